/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rates of the last five minutes, sampled once a second by a thread, for all open pages: a page
 * that is opened in the middle of a flood shows how the flood began.
 */
#ifndef WEIR_DAEMON_HISTORY_H
#define WEIR_DAEMON_HISTORY_H

#include <jansson.h>

int history_start(char *err);
void history_stop(void);

/* Bits per second in all; packets per second for each reason that was counted. */
json_t *history_json(void);

#endif
