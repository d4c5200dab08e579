/* SPDX-License-Identifier: GPL-2.0-only */
/* What this host's TCP is like, in the network namespace of the caller. */
#ifndef WEIR_HOST_TCP_H
#define WEIR_HOST_TCP_H

#include <stdbool.h>

#include "bpf/weir.h"

#define SYSCTL_SYNCOOKIES	"/proc/sys/net/ipv4/tcp_syncookies"
#define SYSCTL_TIMESTAMPS	"/proc/sys/net/ipv4/tcp_timestamps"
#define SYSCTL_ECN		"/proc/sys/net/ipv4/tcp_ecn"

/* The last number in the file; -1: it cannot be read. */
long read_sysctl(const char *path);
/* 0, or a negative errno with @err. */
int write_sysctl(const char *path, long number, char *err);

/* Whether a socket listens on any of the rule's ports. */
bool tcp_listens(const struct weir_syn_rule *rule);

/* What is forwarded here passes weir too: "net.ipv4.ip_forward", a bridge, or NULL. */
const char *forwarding_cause(void);

/*
 * The scale that the kernel will choose for its windows when it makes a connection
 * out of a cookie: of the rule's listeners, the least, which is right for that one and
 * merely small for the others. @differ: they are not all alike.
 */
__u8 tcp_window_scale(const struct weir_syn_rule *rule, bool *differ);

#endif
