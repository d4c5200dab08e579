/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Drop rules: what tells the packets of a flood from others, from any source. Limits for each
 * source cannot see a flood of reflected answers from thousands of slow sources; its source port
 * can. pure/rules.h says how the rules of a packet are found.
 *
 * Rules stand behind the allow entries, and before limits. Of a packet that a rule would drop, the
 * source is looked up first: one that is known, or proven, as the rule says, is spared, and so is a
 * segment of an established connection of this host. That costs only packets that match. The socket of
 * a source without proof is looked up at most as often as PROOF_COST_NS allows; where it is found,
 * that is a proof, and the source's further packets need no look-up.
 *
 * All rules that match have their say, in their order: one in monitor mode only counts, one with a
 * rate lets packets of all sources together pass by that rate. The rest is dropped.
 */
#ifndef WEIR_BPF_RULES_H
#define WEIR_BPF_RULES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/budget.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/rules.h"
#include "bpf/socket.h"

/* What judge_rules() found, as bits. */
#define RULES_DROP	1
#define RULES_PROVED	2	/* the packet belongs to a connection of this host */

/*
 * Global. The next rule that matches the packet, by the order of the slots; -1: there is none. For
 * rules of which the tables do not say all.
 */
__noinline int next_rule(struct xdp_md *ctx, struct packet *pkt, __u32 side)
{
	struct weir_policy *policy = policy_of(side);
	struct rule_view *view = scratch_view();

	return pkt && policy && view ? take_rule(ctx, pkt, view, &policy->rules) : -1;
}

/* Whether the packet is within the rate of its rule. */
static __always_inline int is_within_rate(const struct weir_rule *rule, __u32 index, __u32 bytes,
					  struct weir_rule_count *cpu, __u64 now)
{
	struct weir_rule_bucket *bucket = bpf_map_lookup_elem(&rule_buckets, &index);

	if (!bucket)
		return 0;
	if (rule->cost)
		return take_rate(&cpu->stash, &bucket->tat, now, rule->cost, rule->burst);
	return take_rate(&cpu->byte_stash, &bucket->byte_tat, now,
			 byte_ticks(rule->byte_cost, bytes), rule->byte_burst);
}

/*
 * Global. What the source has proved: its tier, or WEIR_PROVEN by a connection. The scratch keeps
 * the answer for the other rules that match the packet.
 */
__noinline int evidence_of(struct xdp_md *ctx, struct packet *pkt, __u64 now_ns)
{
	struct rule_view *view = scratch_view();
	struct weir_core_time *cpu = cpu_time();
	int tier;

	if (!pkt || !view || !cpu)
		return WEIR_FIRST_SEEN;
	if (view->asked)
		return view->tier;
	tier = tier_fast(pkt, now_ns);
	if (tier < WEIR_PROVEN && pkt->what != WEIR_FRAGMENT && may_be_connected(pkt) &&
	    may_look_up(cpu, now_ns) && own_connection(ctx, pkt)) {
		tier = WEIR_PROVEN;
		view->proved = 1;
	}
	view->asked = 1;
	view->tier = tier;
	return tier;
}

static __always_inline int is_spared(struct xdp_md *ctx, struct packet *pkt, __u8 spare,
				     __u64 now_ns)
{
	if (spare == WEIR_SPARE_NONE)
		return 0;
	return evidence_of(ctx, pkt, now_ns) >=
	       (spare == WEIR_SPARE_PROVEN ? WEIR_PROVEN : WEIR_SEEN);
}

/* Global. Whether this rule, which matches, drops the packet. */
__noinline int apply_rule(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u32 index,
			  __u64 now_ns)
{
	struct weir_policy *policy = policy_of(side);
	struct weir_rule_count *cpu = bpf_map_lookup_elem(&rule_counts, &index);
	const struct weir_rule *rule;

	if (!pkt || !policy || !cpu || index >= WEIR_RULES)
		return 0;
	rule = &policy->rules.rule[weir_opaque(index) & (WEIR_RULES - 1)];
	if (rule->until_ns && now_ns >= rule->until_ns)
		return 0;
	if ((rule->cost || rule->byte_cost) &&
	    is_within_rate(rule, index, pkt->bytes, cpu, now_ns << WEIR_TICK_SHIFT)) {
		cpu->passed++;
		return 0;
	}
	if (is_spared(ctx, pkt, rule->spare, now_ns)) {
		cpu->spared++;
		return 0;
	}
	cpu->packets++;
	cpu->bytes += pkt->bytes;
	return !rule->monitor;
}

/* Global. All rules for a packet that at least one of @left, by rules_for(), may concern; RULES_*. */
__noinline int judge_rules(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u64 now_ns,
			   __u64 left)
{
	struct weir_policy *policy = policy_of(side);
	struct rule_view *view = scratch_view();
	int index, found = 0;

	if (!pkt || !policy || !view || !view_packet(ctx, pkt, view))
		return 0;
	view->left = rules_left(ctx, &policy->rules, pkt, view, left);
	for (int i = 0; i < WEIR_RULES && !found && view->left; i++) {
		index = lowest_rule(view->left);
		if (policy->rules.exact >> index & 1)
			index = next_rule(ctx, pkt, side);
		else
			view->left &= view->left - 1;
		if (index < 0)
			break;
		if (!apply_rule(ctx, pkt, side, index, now_ns))
			continue;
		view->rule = index;
		found = RULES_DROP;
	}
	return view->proved ? found | RULES_PROVED : found;
}

/* The stage. */
static __always_inline enum weir_reason check_rules(struct xdp_md *ctx, struct packet *pkt,
						    struct hint hint, const struct rules *rules,
						    __u64 now_ns)
{
	__u64 left;
	int found;

	if (!rules->policy || !rules->policy->drop_rules)
		return WEIR_CONTINUE;
	left = rules_for(ctx, &rules->policy->rules, pkt);
	if (!left)
		return WEIR_CONTINUE;
	found = judge_rules(ctx, pkt, hint.side, now_ns, left);
	if (found & RULES_PROVED)
		prove(pkt, now_ns);
	return found & RULES_DROP ? WEIR_DROP_RULE : WEIR_CONTINUE;
}

#endif
