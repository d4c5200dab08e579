/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looks for drop rules while there is a flood (the setting `rules`): a thread that listens to what
 * is turned away, searches as `weir explain` does, and carries out what model/rule_judge.h decides.
 */
#ifndef WEIR_DAEMON_RULE_FINDER_H
#define WEIR_DAEMON_RULE_FINDER_H

#include "user/model/config.h"

/*
 * Starts, ends or restarts it, as the settings say; where these say `off`, rules that the daemon has
 * put in force end now. A failure is logged, and is not fatal.
 */
void rule_finder_set(const struct config *config);
/* Rules in force stay until their time is over. */
void rule_finder_stop(void);

#endif
