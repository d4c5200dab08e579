/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last five minutes, a sample a second: who opens the page in the middle of
 * a flood sees how it began. Kept by a thread, for all pages at once.
 */
#ifndef WEIR_DAEMON_HISTORY_H
#define WEIR_DAEMON_HISTORY_H

#include <jansson.h>

int history_start(char *err);
void history_stop(void);

/* Packets and bits per second: in all, and by reason those that there were. */
json_t *history_json(void);

#endif
