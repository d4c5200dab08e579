/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon: reads what the data path counted, bans who stays over limit,
 * keeps lists and files in step. What it knows stands in the maps, so that it
 * may be killed and started at any time.
 */
#ifndef WEIR_DAEMON_DAEMON_H
#define WEIR_DAEMON_DAEMON_H

#include "user/daemon/http.h"
#include "user/model/config.h"
#include "user/state/maps.h"

struct daemon_options {
	const char *file;	/* NULL: CONFIG_FILE where there is one, else the defaults */
	bool judge_only;	/* whatever the file says */
	http_answer *answer;	/* what the read commands print, for the page */
};

/* The settings that hold by @options; 0 or -errno with @err. */
int daemon_config(const struct daemon_options *options, struct config *config, char *err);
/* Until SIGTERM or SIGINT; 0 or -errno with @err. */
int daemon_run(const struct daemon_options *options, char *err);

/* daemon_bans.c: the judge and the bans. */
struct rotation;
struct rotation *rotation_new(void);
void rotation_free(struct rotation *rotation);
/* One window, with @maps as they are open for reading. 0 or -errno with @err. */
int rotation_look(struct rotation *rotation, const struct maps *maps, const struct config *config, char *err);

/* daemon_lists.c: files of lists. */
struct folders;
struct folders *folders_new(void);
void folders_free(struct folders *folders);
int folders_fd(const struct folders *folders);
/* Something happened in a watched folder. */
void folders_event(struct folders *folders);
/* Loads what is due. */
void folders_look(struct folders *folders, const struct config *config);

/* daemon_state.c: what is kept over a reboot. */
struct keeper;
struct keeper *keeper_new(void);
void keeper_free(struct keeper *keeper);
/* Into maps that are fresh. */
void keeper_restore(struct keeper *keeper, const struct config *config);
/* Writes both files in processes of their own, if they are due. */
void keeper_look(struct keeper *keeper, const struct config *config);
void keeper_child_ended(struct keeper *keeper);
/* Writes both and waits for it. */
void keeper_finish(struct keeper *keeper, const struct config *config);

#endif
