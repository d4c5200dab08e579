/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel's TCP counts in the network namespace of the caller. */
#ifndef WEIR_HOST_NETSTAT_H
#define WEIR_HOST_NETSTAT_H

#include <stdint.h>

/* Since the namespace was made; names as in /proc/net/netstat, TcpExt. */
struct tcp_counts {
	uint64_t cookies_received;	/* SyncookiesRecv: taken for good, a connection follows */
	uint64_t listen_overflows;	/* ListenOverflows: the accept queue of a listener was full */
};

/* 0, or -ENOENT where the kernel does not say. */
int tcp_counts_read(struct tcp_counts *counts);
/*
 * Connections that others made to this host: PassiveOpens, which counts handshakes that were
 * completed. 0, or -ENOENT.
 */
int tcp_connections_read(uint64_t *connections);

#endif
