/* SPDX-License-Identifier: GPL-2.0-only */
/* From opening the maps to closing them, as one command needs it. */
#ifndef WEIR_STATE_SESSION_H
#define WEIR_STATE_SESSION_H

#include "user/state/maps.h"

/* For writing: what an interrupted change of the lists left is tidied up first. */
int open_maps(struct maps *maps, enum maps_use use, char *err);
/* Maps that were made by this opening go again unless the command is @done. */
void close_maps(struct maps *maps, bool done);
/* The settings in force; 0, or -errno with @err. */
int read_settings(struct settings *settings, char *err);

#endif
