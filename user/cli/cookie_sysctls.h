/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two sysctls that `set-sysctl` sets, so that this host's kernel accepts cookies that weir
 * has made: net.ipv4.tcp_syncookies and net.ipv4.tcp_timestamps, both 2.
 *
 * A command sets them when everything else is known to be right, immediately before the rule is
 * written to the maps, and puts them back when that fails. They come first because a rule in
 * force on a host that is not ready refuses every connection that it answers, while a host that
 * is ready without a rule serves all of them: that is what remains when the command is killed
 * between the two writes, and the same command completes it.
 */
#ifndef WEIR_CLI_COOKIE_SYSCTLS_H
#define WEIR_CLI_COOKIE_SYSCTLS_H

#include <stdbool.h>

/* What the sysctls were before; -1: that one was not changed. */
struct cookie_sysctls {
	long syncookies, timestamps;
};

/* Whether nothing is to be set. */
bool cookie_sysctls_ready(void);
/* Sets both or neither. 0, or -errno with @err; @before is filled in either case. */
int cookie_sysctls_set(struct cookie_sysctls *before, char *err);
/* Undoes cookie_sysctls_set(); adds to @err what could not be put back. */
void cookie_sysctls_put_back(const struct cookie_sysctls *before, char *err);

#endif
