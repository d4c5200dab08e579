/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames of the link: ARP, neighbour discovery, and what is not IP. They have no source that a
 * limit or a list could name, and without them a host loses its network, so they have a limit of
 * their own that is on unless `attach` is told otherwise: for each neighbour, by its hardware
 * address, and ten times as much for the device.
 *
 * Hardware addresses are as easy to forge as any. So that forged ones do not take the place of the
 * gateway's, strangers may use half of the device's burst only; neighbours that were seen in calm
 * times, in two different minutes, may use all of it. A frame that its neighbour has no room for
 * takes nothing from the device, and only frames that pass are charged to the neighbour, so the
 * cells do not fill up under a flood of addresses.
 *
 * What is not IP costs a tenth of an ARP. Frames that carry a network of their own, such as those
 * of a PPPoE session, pass at any rate: the limit would slow that network down.
 */
#ifndef WEIR_BPF_LINK_H
#define WEIR_BPF_LINK_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/pure/known_line.h"
#include "bpf/rodata.h"

#define LINK_SHARE	10	/* a neighbour's part of the device's rate; the part of an ARP
				 * that a frame costs which is not IP */
#define LINK_BURST	WEIR_TICKS_PER_S	/* of a device and of a neighbour: a second */
#define LINK_CALM_NS	10000000000LL
#define LINK_STAYS	26	/* minutes of 69 s that a neighbour stays known when not seen */
#define LINK_AT_MAX	31	/* a bound on where the last ethertype is */

#define NEIGHBOUR_MINUTE	0x7fffULL
#define NEIGHBOUR_KNOWN		0x8000ULL

/* What names the neighbour that sent the frame, in 48 bits. */
static __always_inline __u64 neighbour_of(struct xdp_md *ctx, const struct packet *pkt)
{
	if (bare)
		return weir_mix(pkt->hi ^ pkt->lo * 3) >> 16;
	return hardware_source(ctx);
}

/* Whether the parser lets the packet pass without a look at its source. */
static __always_inline int is_of_link(enum weir_reason reason)
{
	return reason == WEIR_PASS_ARP || reason == WEIR_PASS_NEIGHBOUR ||
	       reason == WEIR_PASS_NOT_IP;
}

/* Whether the frame is one of a network within this one. */
static __always_inline int is_carrier(struct xdp_md *ctx, const struct packet *pkt)
{
	const __be16 *type = frame_data(ctx) + (weir_opaque(pkt->ip_at - 2) & LINK_AT_MAX);

	if (bare || (void *)(type + 1) > frame_end(ctx))
		return 0;
	switch (be16(*type)) {
	case ETH_P_PPP_SES:
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
	case ETH_P_MACSEC:
		return 1;
	default:
		return 0;
	}
}

static __always_inline int is_neighbour_known(const struct weir_neighbours *line, __u64 mac)
{
	for (int i = 0; i < WEIR_NEIGHBOUR_SLOTS; i++)
		if (line->key[i] >> 16 == mac)
			return (line->key[i] & NEIGHBOUR_KNOWN) != 0;
	return 0;
}

/*
 * Notes that the neighbour was seen. A new one takes a free slot, that of one that was seen in one
 * minute only, or of one that was not seen for LINK_STAYS.
 */
static __always_inline void note_neighbour(struct weir_neighbours *line, __u64 mac, __u64 minute)
{
	int place = -1;

	minute &= NEIGHBOUR_MINUTE;
	for (int i = 0; i < WEIR_NEIGHBOUR_SLOTS; i++) {
		__u64 key = line->key[i];

		if (key >> 16 == mac) {
			if ((key & NEIGHBOUR_MINUTE) != minute)
				line->key[i] = mac << 16 | NEIGHBOUR_KNOWN | minute;
			return;
		}
		if (!(key & NEIGHBOUR_KNOWN) ||
		    ((minute - key) & NEIGHBOUR_MINUTE) > LINK_STAYS)
			place = i;
	}
	for (int i = 0; i < WEIR_NEIGHBOUR_SLOTS; i++)
		if (i == place)
			line->key[i] = mac << 16 | minute;
}

static __always_inline enum weir_reason over_limit(enum weir_reason reason)
{
	return reason == WEIR_PASS_ARP ? WEIR_DROP_ARP :
	       reason == WEIR_PASS_NEIGHBOUR ? WEIR_DROP_NEIGHBOUR : WEIR_DROP_NOT_IP;
}

/* Whether the neighbour and the device have room for the frame, which is then charged. */
static __always_inline int take_link(struct weir_link *link, struct weir_neighbours *line,
				     __u64 hash, __u64 mac, __u64 now, __u64 cost)
{
	__u32 first = hash >> 32 & (WEIR_NEIGHBOUR_SLOTS - 1), other = first + 1 + (hash >> 40 & 1);
	__u64 *a = &line->tat[weir_opaque(first) & (WEIR_NEIGHBOUR_SLOTS - 1)];
	__u64 *b = &line->tat[weir_opaque(other) & (WEIR_NEIGHBOUR_SLOTS - 1)];
	__u64 burst = is_neighbour_known(line, mac) ? LINK_BURST : LINK_BURST / 2;

	if (weir_read(a) + cost * LINK_SHARE > now + LINK_BURST &&
	    weir_read(b) + cost * LINK_SHARE > now + LINK_BURST)
		return 0;
	if (bucket_take(&link->tat, now, cost, burst, 0) != BUCKET_PASS) {
		link->pressed_ns = now >> WEIR_TICK_SHIFT;
		return 0;
	}
	return gate_charge(a, b, now, cost * LINK_SHARE, LINK_BURST, 0) != GATE_CONTENDED;
}

/* Global. The stage for packets that the parser lets pass as @reason. */
__noinline int check_link(struct xdp_md *ctx, struct packet *pkt, __u32 reason)
{
	__u32 slot = device_slot, zero = 0, index;
	struct weir_link *link = bpf_map_lookup_elem(&links, &slot);
	struct weir_meta *info = bpf_map_lookup_elem(&meta, &zero);
	__u64 now_ns = bpf_ktime_get_coarse_ns(), mac, hash, cost = link_cost;
	struct weir_neighbours *line;

	if (!pkt || !link || !info || !cost)
		return reason;
	if (reason == WEIR_PASS_NOT_IP) {
		if (is_carrier(ctx, pkt))
			return reason;
		cost /= LINK_SHARE;
	}
	mac = neighbour_of(ctx, pkt);
	hash = weir_mix((mac << 8 | slot) ^ info->seed);
	index = hash & (WEIR_NEIGHBOUR_LINES - 1);
	line = bpf_map_lookup_elem(&neighbours, &index);
	if (!line)
		return reason;
	if (!take_link(link, line, hash, mac, now_ns << WEIR_TICK_SHIFT, cost))
		return over_limit(reason);
	if (!link->pressed_ns || (__s64)(now_ns - link->pressed_ns) > LINK_CALM_NS)
		note_neighbour(line, mac, known_minute(now_ns, minute_shift));
	return reason;
}

#endif
