/* SPDX-License-Identifier: GPL-2.0-only */
/* The parser over XDP's context: the program includes this header, and not pure/packet.h. */
#ifndef WEIR_BPF_FRAME_H
#define WEIR_BPF_FRAME_H

#ifdef WEIR_BPF_PURE_PACKET_H
#error "bpf/frame.h must come before bpf/pure/packet.h"
#endif

#include <linux/bpf.h>

#define FRAME			struct xdp_md
#define frame_data(frame)	((void *)(long)(frame)->data)
#define frame_end(frame)	((void *)(long)(frame)->data_end)

#include "bpf/pure/packet.h"

/* The hardware address that the frame comes from, in 48 bits; 0 if the frame ends before. */
static __always_inline __u64 hardware_source(struct xdp_md *ctx)
{
	const __be16 *mac = frame_data(ctx) + ETH_ALEN;

	if ((void *)(mac + 3) > frame_end(ctx))
		return 0;
	return (__u64)be16(mac[0]) << 32 | (__u64)be16(mac[1]) << 16 | be16(mac[2]);
}

/* The source port; 0 unless TCP or UDP, not a later fragment. Few packets need it read. */
static __always_inline __u16 source_port(struct xdp_md *ctx, const struct packet *pkt)
{
	const __be16 *port = frame_data(ctx) + (weir_opaque(pkt->l4_at) & L4_AT_MAX);

	if (!has_ports(pkt) || (void *)(port + 1) > frame_end(ctx))
		return 0;
	return be16(*port);
}

/* The type of ICMP over IPv4, or of ICMPv6 over IPv6, plus 1; 0: the packet has none. */
static __always_inline __u32 icmp_type(struct xdp_md *ctx, const struct packet *pkt)
{
	const __u8 *type = frame_data(ctx) + (weir_opaque(pkt->l4_at) & L4_AT_MAX);

	if (!has_icmp_type(pkt) || (void *)(type + 1) > frame_end(ctx))
		return 0;
	return *type + 1;
}

#endif
