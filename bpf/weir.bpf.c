// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir: the data path. The maps, and a packet's journey through them.
 *
 * Each stage answers with a reason, or with WEIR_CONTINUE to hand the packet on
 * to the next; conclude() turns the reason into an action. Cheap and certain
 * stages come first.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/budget.h"
#include "bpf/clock.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/rodata.h"
#include "bpf/syn.h"
#include "bpf/verdict.h"

/* Set by the tool before it loads the program, one program for each device. */
const volatile __u32 device_slot;	/* index into devices and counters */
const volatile __u8 monitor;		/* 1: count what would drop, drop nothing */
const volatile __u64 try_until_ns;	/* 0: for good; from then on it is monitor_after that counts */
const volatile __u8 monitor_after;
const volatile __u16 mtu = 1500;	/* of the device, when the program was loaded */
const volatile __u8 minute_shift = WEIR_MINUTE_SHIFT;	/* shorter in tests */
const volatile __u8 answer_weight = 2;	/* see shortage.h; 0 in tests: no core is ever short of time */

#define LEARN_SAMPLE	64	/* of so many packets one is looked at */

/* A limit is the source's own, a budget all sources'; who keeps to both is learnt. */
static __always_inline enum weir_reason check_rates(struct xdp_md *ctx, struct packet *pkt,
						    struct hint hint, struct weir_counters *cpu)
{
	struct rules rules = find_rules(pkt, hint);
	__u64 now_ns = coarse_ns(cpu);
	enum weir_reason reason = check_limits(pkt, hint, &rules, now_ns, cpu);
	int good = reason == WEIR_CONTINUE || reason == WEIR_PASS_LIMIT;

	if (!(cpu->sample_tick++ % LEARN_SAMPLE) && pkt->what == WEIR_ANY_PACKET)
		learn_known(pkt, good, now_ns);
	if (!good)
		return reason;
	if (rules.policy && rules.policy->syn_rules && pkt->tcp_flags) {
		enum weir_reason answer = check_service(ctx, pkt, hint, &rules, now_ns);

		if (answer != WEIR_CONTINUE)
			return answer;
	}
	return check_budget(pkt, hint, &rules, now_ns, reason);
}

static __always_inline int journey(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct env env = { cpu_counters(), bpf_map_lookup_elem(&hints, &zero) };
	struct packet pkt = {};
	enum weir_reason reason;

	if (!env.cpu || !env.hints)
		return XDP_ABORTED;
	reason = parse(ctx, &pkt);
	if (reason == WEIR_CONTINUE) {
		struct hint hint = hint_of(&pkt, env.hints);

		reason = check_lists(&pkt, hint);
		if (reason == WEIR_CONTINUE)
			reason = check_rates(ctx, &pkt, hint, env.cpu);
	}
	return conclude(ctx, &pkt, &env, reason);
}

SEC("xdp")
int weir_ingress(struct xdp_md *ctx)
{
	return journey(ctx);
}

char _license[] SEC("license") = "GPL";
