/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state saver: writes known sources and the operator's settings to files, and restores them
 * after a reboot. It runs the commands that an operator would use (`known export`, `save`,
 * `known import`, `restore`) as child processes: writing a million known sources takes a second,
 * for which the daemon's loop must not stop.
 */
#ifndef WEIR_DAEMON_STATE_SAVER_H
#define WEIR_DAEMON_STATE_SAVER_H

#include "user/model/config.h"

struct state_saver;

/* NULL: out of memory. */
struct state_saver *state_saver_new(void);
void state_saver_free(struct state_saver *saver);
/* Restores both files into maps that are still empty; waits until that is done. */
void state_saver_restore(struct state_saver *saver, const struct config *config);
/* Starts the child processes that write both files, if they are due. */
void state_saver_look(struct state_saver *saver, const struct config *config);
/* A SIGCHLD has arrived. */
void state_saver_child_ended(struct state_saver *saver);
/* Writes both files and waits until they are written. */
void state_saver_finish(struct state_saver *saver, const struct config *config);

#endif
