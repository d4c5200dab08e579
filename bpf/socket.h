/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sockets of this host: the network namespace that the device is in. What a segment says of
 * itself can be forged; whether it belongs to a connection only the kernel knows.
 */
#ifndef WEIR_BPF_SOCKET_H
#define WEIR_BPF_SOCKET_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"

static __always_inline void put_address(__be32 address[4], __u64 hi, __u64 lo)
{
	address[0] = __builtin_bswap32(hi >> 32);
	address[1] = __builtin_bswap32(hi);
	address[2] = __builtin_bswap32(lo >> 32);
	address[3] = __builtin_bswap32(lo);
}

/*
 * The socket that this TCP segment would reach, or NULL. The caller releases it. The header is in
 * the frame: the parser has seen it.
 */
static __always_inline struct bpf_sock *find_socket(struct xdp_md *ctx, const struct packet *pkt)
{
	const __be16 *ports = frame_data(ctx) + (weir_opaque(pkt->l4_at) & L4_AT_MAX);
	struct bpf_sock_tuple tuple = {};

	if ((void *)(ports + 2) > frame_end(ctx))
		return NULL;
	if (pkt->ipv6) {
		put_address(tuple.ipv6.saddr, pkt->hi, pkt->lo);
		put_address(tuple.ipv6.daddr, pkt->to_hi, pkt->to_lo);
		tuple.ipv6.sport = ports[0];
		tuple.ipv6.dport = ports[1];
		return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	tuple.ipv4.saddr = __builtin_bswap32(pkt->lo);
	tuple.ipv4.daddr = __builtin_bswap32(pkt->to_lo);
	tuple.ipv4.sport = ports[0];
	tuple.ipv4.dport = ports[1];
	return bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
}

/*
 * Whether a socket in this state has completed its handshake. One that only received a SYN is no
 * connection yet, and one in TIME_WAIT none any more.
 */
static __always_inline int is_connection(int state)
{
	switch (state) {
	case BPF_TCP_ESTABLISHED:
	case BPF_TCP_FIN_WAIT1:
	case BPF_TCP_FIN_WAIT2:
	case BPF_TCP_CLOSE_WAIT:
	case BPF_TCP_LAST_ACK:
	case BPF_TCP_CLOSING:
		return 1;
	default:
		return 0;
	}
}

/*
 * Whether the segment begins within a receive window of what the connection expects next, before
 * or behind it. The ports of a connection can be guessed; for the sequence number, too, a forger
 * has to see its segments. Where the tool cannot read the kernel's BTF, the offsets are 0 and the
 * ports must do.
 */
#ifndef is_in_window
static __always_inline int is_in_window(struct bpf_sock *sock, __u32 seq)
{
	const void *tcp;
	__u32 next, size;

	if (!window_next_at)
		return 1;
	tcp = bpf_skc_to_tcp_sock(sock);
	if (!tcp)
		return 0;
	next = *(const volatile __u32 *)(tcp + window_next_at);
	size = *(const volatile __u32 *)(tcp + window_size_at);
	return seq - next + size <= 2 * (__u64)size;
}
#endif

/* Global. Whether this host has a connection that the segment belongs to. */
__noinline int own_connection(struct xdp_md *ctx, struct packet *pkt)
{
	const __be32 *seq;
	struct bpf_sock *sock;
	int is = 0;

	if (!pkt)
		return 0;
	seq = frame_data(ctx) + (weir_opaque(pkt->l4_at) & L4_AT_MAX) + sizeof(*seq);
	if ((void *)(seq + 1) > frame_end(ctx))
		return 0;
	sock = find_socket(ctx, pkt);
	if (!sock)
		return 0;
	if (is_connection(sock->state))
		is = is_in_window(sock, __builtin_bswap32(*seq));
	bpf_sk_release(sock);
	return is;
}

#endif
