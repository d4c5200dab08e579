// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir: the data path. A packet passes the stages of journey() in order, the cheap and certain
 * ones first. Each stage answers with a reason, or with WEIR_CONTINUE if it has no objection;
 * conclude() turns the reason into an action and counts it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/budget.h"
#include "bpf/clock.h"
#include "bpf/dns.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/link.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/rodata.h"
#include "bpf/rules.h"
#include "bpf/syn.h"
#include "bpf/verdict.h"

/* Set by the tool before it loads the program, one program for each device. */
const volatile __u32 device_slot;	/* index into devices and counters */
const volatile __u8 monitor;		/* 1: count what would drop, drop nothing */
const volatile __u64 try_until_ns;	/* end of a trial, when monitor_after replaces monitor;
					 * 0: no trial */
const volatile __u8 monitor_after;
const volatile __u16 mtu = 1500;	/* of the device, when the program was loaded */
const volatile __u8 bare;	/* 1: frames have no link header, see parse_bare() */
const volatile __u64 link_cost = WEIR_TICKS_PER_S / 10000;	/* ticks that a frame of the link costs
								 * the device, see link.h; 0: no limit */
const volatile __u8 minute_shift = WEIR_MINUTE_SHIFT;	/* shorter in tests */
const volatile __u8 answer_weight = 1;	/* 0 in tests: cookies cost no time, see shortage.h */
/* Of listener.h: jiffies, 0 where the kernel has no BTF; and where to read, in bytes. */
const volatile __u32 clock_fresh;
const volatile __u16 clock_stamp_at;
const volatile __u16 clock_group_at;
const volatile __u16 clock_group_stamp_at;
/* Of socket.h: where to read, in bytes; 0 where the kernel has no BTF. */
const volatile __u16 window_next_at;
const volatile __u16 window_size_at;

static __always_inline int journey(struct xdp_md *ctx)
{
	struct env env;
	struct packet *pkt;
	struct hint hint = {};
	struct rules rules;
	enum weir_reason reason, limit;
	__u64 now_ns;

	if (!find_env(&env))
		return XDP_ABORTED;
	pkt = empty_packet(env.cpu);
	reason = parse(ctx, pkt, bare);
	if (reason == WEIR_CONTINUE) {
		hint = hint_of(pkt, env.hints);
		reason = check_lists(pkt, hint, env.cpu);
	} else if (is_of_link(reason)) {
		reason = check_link(ctx, pkt, reason);
	}
	if (reason == WEIR_CONTINUE) {
		rules = find_rules(ctx, pkt, hint);
		now_ns = coarse_ns(env.cpu);
		limit = reason = check_rules(ctx, pkt, hint, &rules, now_ns);
		if (reason == WEIR_CONTINUE)
			limit = reason = check_limits(ctx, pkt, hint, &rules, now_ns, env.cpu);
		if (is_within_limit(reason))
			reason = check_service(ctx, pkt, hint, &rules, now_ns, reason);
		if (is_within_limit(reason))
			reason = check_queries(ctx, pkt, hint, &rules, now_ns, reason);
		if (is_within_limit(reason))
			reason = check_budget(pkt, hint, &rules, now_ns, reason);
		if (is_within_limit(limit) || limit == WEIR_DROP_RATE)
			learn_from(ctx, pkt, limit == WEIR_DROP_RATE,
				   reason == WEIR_PASS_NEWCOMER, now_ns, env.cpu);
	}
	return conclude(ctx, pkt, &env, hint, reason);
}

SEC("xdp")
int weir_ingress(struct xdp_md *ctx)
{
	return journey(ctx);
}

char _license[] SEC("license") = "GPL";
