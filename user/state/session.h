/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening and closing the maps as a command needs it. */
#ifndef WEIR_STATE_SESSION_H
#define WEIR_STATE_SESSION_H

#include "user/state/maps.h"

/* As maps_open(); then tidies up after commands that were killed. 0 or -errno with @err. */
int open_maps(struct maps *maps, enum maps_use use, char *err);
/* Closes them; maps that this opening created are removed again unless the command is @done. */
void close_maps(struct maps *maps, bool done);
/* The settings in force; 0, or -errno with @err. */
int read_settings(struct settings *settings, char *err);

#endif
