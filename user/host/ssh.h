/* SPDX-License-Identifier: GPL-2.0-only */
/* The SSH sessions to this host, which a block or a limit could cut off. */
#ifndef WEIR_HOST_SSH_H
#define WEIR_HOST_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

struct ssh_session {
	struct prefix peer, here;	/* addresses */
	uint16_t peer_port, port;	/* port: at this host */
	bool own;			/* this process runs in it */
};

/*
 * The established TCP connections of this network namespace that an SSH server holds, without those
 * from this host itself. The kernel lists the connections. One is a session when its socket is
 * root's and either is open in a process named sshd, sshd-session or dropbear, or is bound to port
 * 22, which is what remains where other processes' files cannot be read; or when SSH_CONNECTION of
 * this process or one of its ancestors names both of its ends (sudo and su clear the environment).
 * utmp is not asked: it names users, and may be stale.
 *
 * Only connections for which @wanted returns true are looked at, NULL: all. It sees no @own. To find
 * a connection's process costs a walk through /proc, which is saved where none is wanted. The caller
 * frees *@sessions. 0, or -errno with *@count 0.
 */
typedef bool ssh_wanted(const struct ssh_session *session, void *arg);
int ssh_sessions(ssh_wanted *wanted, void *arg, struct ssh_session **sessions, size_t *count);

#endif
