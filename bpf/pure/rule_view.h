/* SPDX-License-Identifier: GPL-2.0-only */
/* What drop rules look at in a packet, beside struct packet. Pure. */
#ifndef WEIR_BPF_PURE_RULE_VIEW_H
#define WEIR_BPF_PURE_RULE_VIEW_H

#include "bpf/weir.h"

/* Indices into weir_rule_tables; 256 where the packet has no such field. */
#define WEIR_HAS_NONE	256

struct rule_view {
	__u64 left;		/* rules that may match the packet and were not looked at yet */
	__u32 length;		/* of the IP packet */
	__u32 ttl;
	__u32 flags, icmp;	/* or WEIR_HAS_NONE */
	__u32 l4_at, payload_at;	/* in the frame */
	__u32 end_at;		/* of the IP packet; 0: nothing behind the IP header is to be read */
	__u32 asked;		/* 1: @tier is what the source has proved, see rules.h */
	__u32 tier;
	__u32 proved;		/* 1: the packet belongs to a connection of this host */
	__u32 rule;		/* that dropped it; read by the tool's own run of the program */
};

#endif
