/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The settings and listeners of this host's TCP, and whether it forwards, in the network namespace
 * of the caller.
 */
#ifndef WEIR_HOST_TCP_H
#define WEIR_HOST_TCP_H

#include <stdbool.h>

#include "bpf/weir.h"

#define SYSCTL_SYNCOOKIES	"/proc/sys/net/ipv4/tcp_syncookies"
#define SYSCTL_TIMESTAMPS	"/proc/sys/net/ipv4/tcp_timestamps"
#define SYSCTL_ECN		"/proc/sys/net/ipv4/tcp_ecn"

/* The last number in the file of a sysctl, which is not negative; -1: it cannot be read. */
long read_sysctl(const char *path);
/* Writes @number to the file of a sysctl. Returns 0, or -EIO with @err. */
int write_sysctl(const char *path, long number, char *err);

/* Whether a TCP socket listens on any of the rule's ports. */
bool tcp_listens(const struct weir_syn_rule *rule);

/*
 * The state of the socket that a segment from @source to @to would reach, a TCP_* of
 * netinet/tcp.h; 0: there is none; -EIO: the kernel does not say. Addresses and ports are in
 * network order.
 */
int tcp_state(bool ipv6, const void *source, __be16 sport, const void *to, __be16 dport);

/*
 * Why this namespace forwards packets, which pass the program as well: a constant text for a
 * message, such as "it has a bridge". NULL: it does not forward.
 */
const char *forwarding_cause(void);

/*
 * The window scale (RFC 7323) that the kernel will choose when it makes a connection out of a
 * cookie, computed from the receive buffers of the rule's listeners. @differ is set to whether they
 * would get different ones; the smallest is returned then, with which the windows of the other
 * listeners are smaller than they could be, but never wrong.
 */
__u8 tcp_window_scale(const struct weir_syn_rule *rule, bool *differ);

#endif
