/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commands that would cut off a live SSH session ask for `force`. Only commands that an operator
 * types: the daemon and the units are not asked. A session that is cut off already, or that passes
 * no program that drops, is no reason to ask.
 */
#ifndef WEIR_CLI_SSH_GUARD_H
#define WEIR_CLI_SSH_GUARD_H

#include "user/cli/command.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/*
 * 0, or -EPERM with @err: under @is a session would be cut off that was not under @was and the
 * lists in force. Here the lists stay as they are.
 */
int ssh_guard_settings(const struct maps *maps, const struct settings *was,
		       const struct settings *is, char *err);
/* The same where lists change, too: each one that is in force then is asked about by itself. */
int ssh_guard_rules(const struct maps *maps, const struct settings *was, const struct settings *is,
		    char *err);
/* List @name holds @set then. */
int ssh_guard_list(const struct maps *maps, const struct settings *was, const struct settings *is,
		   const char *name, const struct prefixes *set, char *err);
/* The same for an attach that would drop packets: every session that is not allowed counts. */
int ssh_guard_attach(const struct maps *maps, const char *device, char *err);
/* A remark for each session that is not allowed: what could cut it off, and how to prevent it. */
void ssh_warn(const struct call *call, const struct maps *maps, const char *device);
/* Appends the peers of all sessions, each once and sorted. 0 or -errno. */
int ssh_peers(struct prefixes *peers);

#endif
