/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of the journey: the reason becomes an action and is counted. */
#ifndef WEIR_BPF_VERDICT_H
#define WEIR_BPF_VERDICT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/answer.h"
#include "bpf/dns.h"
#include "bpf/events.h"
#include "bpf/frame.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"

/* What every packet needs, looked up once. */
struct env {
	struct weir_counters *cpu;	/* of this device and CPU */
	struct weir_hints *hints;
};

static __always_inline int find_env(struct env *env)
{
	__u32 slot = device_slot, zero = 0;

	env->cpu = bpf_map_lookup_elem(&counters, &slot);
	env->hints = bpf_map_lookup_elem(&hints, &zero);
	return env->cpu && env->hints;
}

/* Where the packet is described; see struct weir_counters. */
static __always_inline struct packet *empty_packet(struct weir_counters *cpu)
{
	struct packet *pkt = (void *)cpu->packet;

	_Static_assert(sizeof(*pkt) <= sizeof(cpu->packet), "room for a packet");
	*pkt = (struct packet){};
	return pkt;
}

static __always_inline int action_of(enum weir_reason reason)
{
	switch (reason) {
#define R(id, name, action) case WEIR_##id: return XDP_##action;
	WEIR_REASONS(R)
#undef R
	default:
		return XDP_ABORTED;
	}
}

/*
 * A trial ends by itself, even when no tool is left to take the program off. Called only for
 * packets about to be dropped or answered. Without a trial try_until_ns is 0 and the verifier
 * removes the branch.
 */
static __always_inline int in_monitor_mode(void)
{
	if (try_until_ns && bpf_ktime_get_coarse_ns() >= try_until_ns)
		return monitor_after;
	return monitor;
}

static __always_inline int put_any_answer(struct xdp_md *ctx, struct packet *pkt, __u32 reason)
{
	return reason == WEIR_TX_DNS ? put_truncated(ctx, pkt) : put_answer(ctx, pkt);
}

/*
 * The only place with XDP actions, counters and monitor mode. An answer is made before the packet
 * is counted, so that a failure is counted as what it is (its stage has made an answer to a query),
 * and written to the frame afterwards, so that events show the packet that came.
 */
static __always_inline int conclude(struct xdp_md *ctx, struct packet *pkt, const struct env *env,
				    struct hint hint, enum weir_reason reason)
{
	/* One register, checked first: otherwise some verifiers know the range of copies only. */
	__u32 index = weir_opaque(reason);
	int action, spared;

	if (index >= WEIR_REASON_MAX)
		return XDP_ABORTED;
	action = action_of(index);
	spared = action != XDP_PASS && in_monitor_mode();
	if (index == WEIR_TX_COOKIE && !spared && make_answer(pkt, hint.side)) {
		index = WEIR_DROP_NO_ANSWER;
		action = XDP_DROP;
	}
	env->cpu->reason[index].packets++;
	env->cpu->reason[index].bytes += pkt->bytes;
	if (env->hints->listeners)
		emit_event(ctx, pkt, index, spared || action != XDP_DROP, env->hints->listeners);
	if (spared) {
		env->cpu->monitored[index].packets++;
		env->cpu->monitored[index].bytes += pkt->bytes;
		return XDP_PASS;
	}
	if (action == XDP_TX && put_any_answer(ctx, pkt, index))
		return XDP_ABORTED;
	return action;
}

#endif
