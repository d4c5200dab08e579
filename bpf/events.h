/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events about packets. Each reader has a ring of its own and asks for reasons, for sources, and
 * for one packet in so many. Without readers a packet pays for one load.
 */
#ifndef WEIR_BPF_EVENTS_H
#define WEIR_BPF_EVENTS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/maps.h"
#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"

/* How many packets an event about this one stands for; 0: the reader gets no event. */
static __always_inline __u64 weight_for(const struct weir_listener *listener,
					const struct packet *pkt, __u32 reason)
{
	__u64 weight;

	if (!(listener->reasons >> (reason & 63) & 1))
		return 0;
	if ((pkt->hi & listener->mask_hi) != listener->hi ||
	    (pkt->lo & listener->mask_lo) != listener->lo)
		return 0;
	if (listener->only_ipv6 && !pkt->ipv6)
		return 0;
	weight = 1ULL << (listener->every_shift[reason & 63] & 31);
	return bpf_get_prandom_u32() & (weight - 1) ? 0 : weight;
}

static __always_inline void fill_event(struct xdp_md *ctx, struct weir_event *event,
				       const struct packet *pkt, __u32 reason, __u32 passed)
{
	__u32 snap = pkt->bytes < WEIR_SNAP ? pkt->bytes : WEIR_SNAP;

	/* Linux 6.1 must see that the size is not 0. Of 0 bytes the load fails, at run time. */
	snap = (weir_opaque(snap - 1) & (WEIR_SNAP - 1)) + 1;
	event->time_ns = bpf_ktime_get_ns();
	event->hi = pkt->hi;
	event->lo = pkt->lo;
	event->to_hi = pkt->to_hi;
	event->to_lo = pkt->to_lo;
	event->bytes = pkt->bytes;
	event->slot = device_slot;
	event->dport = pkt->dport;
	event->reason = reason;
	event->passed = passed;
	event->proto = pkt->proto;
	event->what = pkt->what;
	event->sport = source_port(ctx, pkt);
	event->icmp = icmp_type(ctx, pkt);
	event->snap = 0;
	if (!bpf_xdp_load_bytes(ctx, 0, event->data, snap))
		event->snap = snap;
}

/*
 * Global. @passed: 1 if the packet goes on. @slots: a bit for each reader. The ring is looked up
 * only for the few packets that become an event.
 */
__noinline int emit_event(struct xdp_md *ctx, struct packet *pkt, __u32 reason, __u32 passed,
			  __u32 slots)
{
	for (__u32 slot = 0; slot < WEIR_LISTENERS; slot++) {
		struct weir_listener *listener;
		struct weir_event *event;
		__u32 index = slot;
		__u64 weight;
		void *ring;

		if (!pkt || !(slots >> slot & 1))
			continue;
		listener = bpf_map_lookup_elem(&listeners, &index);
		if (!listener)
			continue;
		weight = weight_for(listener, pkt, reason);
		if (!weight)
			continue;
		ring = bpf_map_lookup_elem(&events, &index);
		if (!ring)
			continue;
		event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
		if (!event) {
			__sync_fetch_and_add(&listener->lost, 1);
			__sync_fetch_and_add(&listener->lost_packets, weight);
			continue;
		}
		event->weight = weight;
		fill_event(ctx, event, pkt, reason, passed);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

#endif
