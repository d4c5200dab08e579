/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon: reads what the data path has counted, bans sources that stay over their limit, keeps
 * the loaded lists in step with their files, and saves the state. All that it needs to go on is in
 * the maps, so it may be killed and started again at any time.
 */
#ifndef WEIR_DAEMON_DAEMON_H
#define WEIR_DAEMON_DAEMON_H

#include "user/daemon/http.h"
#include "user/model/config.h"

struct daemon_options {
	const char *file;	/* NULL: CONFIG_FILE if it exists, else the defaults */
	bool judge_only;	/* overrides the file's mode */
	http_answer *answer;	/* runs the read commands for the web page */
};

/* The settings that @options lead to. 0, or -errno with @err. */
int daemon_config(const struct daemon_options *options, struct config *config, char *err);
/* Runs until SIGTERM or SIGINT. 0, or -errno with @err. */
int daemon_run(const struct daemon_options *options, char *err);
/* "enforce" or "judge", of the daemon that runs or ran last; NULL: not known to this user. */
const char *daemon_mode(void);

#endif
