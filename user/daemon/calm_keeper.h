/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps the calm sample of each interface (user/model/calm.h): a thread that listens for two
 * seconds every minute to packets that pass. What it heard is taken only if hardly anything was turned away
 * and no budget was under pressure, from the look before until the look after.
 */
#ifndef WEIR_DAEMON_CALM_KEEPER_H
#define WEIR_DAEMON_CALM_KEEPER_H

#include "user/model/calm.h"
#include "user/model/config.h"

/* Starts, ends or restarts it, as the settings say. A failure is logged, and is not fatal. */
void calm_keeper_set(const struct config *config);
/*
 * The sample of an interface as it is now, from its file where nothing was heard yet. For other
 * threads. 0, or -ENOENT: there is none.
 */
int calm_keeper_copy(const char *interface, struct calm *into);
/* Writes the files and ends. */
void calm_keeper_stop(void);

#endif
