/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Budgets: how much all sources together may send to a service, and which packets go first when
 * that is not enough.
 *
 * A budget is a GCRA like every bucket (pure/bucket.h), but shared by all CPUs and all sources.
 * Each CPU takes from it in chunks of 1/256 of the burst and spends those alone, so no cache line
 * is written for every packet. What is let through is never more than burst + rate x t, plus what
 * CPUs had in hand at the start, at most CPUs x 3/256 of the burst. It does reach rate x t, since
 * what is in hand is used later.
 *
 * Each tier may use a part of the burst only, so that the rest is always there for the tiers above
 * it: first-seen sources a quarter, returning ones half, known ones all. As long as no packet is
 * dropped, the tier of a source is not looked up.
 *
 * Under pressure, newcomers are held to a fair share by network, /24 or /48. Shares are adjusted
 * 20 times a second, until the newcomers' demand within their shares equals what is there for
 * them. That is max-min fairness by estimate, as in core-stateless fair queueing (Stoica, Shenker
 * and Zhang, SIGCOMM 1998). The share is charged to two of three cells in the network's line by
 * the arithmetic of the gate: networks that collide make a share smaller, never larger.
 */
#ifndef WEIR_BPF_BUDGET_H
#define WEIR_BPF_BUDGET_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/pure/known_line.h"
#include "bpf/pure/share.h"

#define BUDGET_CHUNKS		256
#define SHARE_ADJUST_NS		50000000ULL	/* at least; slow budgets wait for 64 packets */
#define SHARE_ADJUST_MAX_NS	2000000000ULL
#define SHARE_BURST_NS		100000000ULL
#define SHARE_BURST_LEAST	(4 * SHARE_ONE)
#define SHARE_SCRAPS		3	/* an eighth of the burst, for packets beyond a share */
#define SHARE_SAMPLE		16	/* one packet in so many is counted */
#define SHARE_FAST		(WEIR_TICKS_PER_S / 100000)	/* a lower cost: count a sample */
#define SEEN_TIME_SHIFT		26	/* the unit is 67 ms; 12 bits of it are 4.6 minutes */
#define SEEN_LASTS		900	/* units: a minute */

/* ---- which budget ---- */

/* What the budget stage knows of a packet; one struct, since BPF passes five arguments. */
struct spend {
	const struct weir_limit *budget;
	struct weir_budget_state *state;
	struct weir_spending *cpu;
	__u64 now;		/* ticks, coarse clock */
	__u64 bytes_cost;
	__u32 slot;
};

/* @index: of the budget, not 0. Returns 1 if all of @spend is found. */
static __always_inline int open_spend(struct spend *spend, const struct packet *pkt,
				      const struct weir_policy *rules, __u32 index, __u64 now_ns)
{
	index &= WEIR_BUDGETS - 1;
	spend->slot = index;
	spend->state = bpf_map_lookup_elem(&budgets, &index);
	spend->cpu = bpf_map_lookup_elem(&spending, &index);
	if (!spend->state || !spend->cpu)
		return 0;
	spend->now = now_ns << WEIR_TICK_SHIFT;
	spend->budget = &rules->budget[index & (WEIR_BUDGETS - 1)];
	spend->bytes_cost = byte_ticks(spend->budget->byte_cost, pkt->bytes);
	return 1;
}

/* The row of budget_of for the packet's destination. Global for the same reason as in_set_v6(). */
__noinline int destination_row(struct packet *pkt, __u32 side)
{
	struct weir_policy *rules = policy_of(side);

	if (!pkt || !rules)
		return 0;
	return find_destination(rules, pkt->to_hi, pkt->to_lo);
}

/* The budget for packets of @class to the destination of this one, an index; 0: none. */
static __always_inline __u32 budget_index(struct packet *pkt, struct hint hint,
					  const struct weir_policy *rules, __u32 class)
{
	__u32 row = rules->destinations > 1 ? destination_row(pkt, hint.side) : 0;

	return budget_in_row(rules, row, class);
}

/* ---- newcomers ---- */

/*
 * Notes that the source came, and returns whether it came within the last minute. A cell holds the
 * time and a tag of one source; of two sources that share a cell, the later one stays.
 */
static __always_inline int seen_lately(__u64 hash, __u64 now_ns)
{
	__u32 index = hash & (WEIR_SEEN - 1), tag = hash >> 32 & 0xfffff;
	__u32 time = now_ns >> SEEN_TIME_SHIFT & 0xfff, was;
	__u32 *cell = bpf_map_lookup_elem(&seen, &index);

	if (!cell)
		return 0;
	was = *cell;
	if (was != (time << 20 | tag))
		*cell = time << 20 | tag;
	return was && (was & 0xfffff) == tag && ((time - (was >> 20)) & 0xfff) < SEEN_LASTS;
}

static __always_inline __u64 network_key(const struct packet *pkt)
{
	return pkt->ipv6 ? pkt->hi & ~0xffffULL : pkt->lo & ~0xffULL;
}

/* The line of the packet's network, with its cells on the clock of the budget in @slot. */
static __always_inline struct weir_network *network_of(const struct packet *pkt, __u32 slot,
							__u64 seed, __u64 *hash)
{
	struct weir_network *network;
	__u32 index;

	*hash = weir_mix(network_key(pkt) * 0x9e3779b97f4a7c15ULL ^ seed ^ slot);
	index = *hash & (WEIR_NETWORKS - 1);
	network = bpf_map_lookup_elem(&networks, &index);
	if (network && network->budget != slot) {
		for (int i = 0; i < 4; i++)
			network->used[i] = 0;
		network->budget = slot;
	}
	return network;
}

/*
 * Charges one packet to the network's share, if it is within it. A cell says how much the network
 * used, in the same unit as the budget says how much it could have used: so no network is left
 * with a debt counted by an earlier share.
 */
static __always_inline int within_share(struct weir_network *network, __u64 hash, int tier,
					const struct weir_budget_state *state, __u64 now_ns)
{
	__u64 pace = state->pace[tier & 1], burst, used, bound;
	__u32 a, b;

	used = state->used[tier & 1] + share_used(pace, now_ns - state->used_ns);
	burst = share_used(pace, SHARE_BURST_NS);
	if (burst < SHARE_BURST_LEAST)
		burst = SHARE_BURST_LEAST;
	if (tier == WEIR_FIRST_SEEN)
		return bucket_take(&network->used[3], used, SHARE_ONE, burst, 0) == BUCKET_PASS;
	a = (hash >> 40 & 0xff) * 3 >> 8;
	b = a + 1 + (hash >> 48 & 1);
	b = b > 2 ? b - 3 : b;
	bound = gate_charge(&network->used[a & 3], &network->used[b & 3], used, SHARE_ONE, burst,
			    0);
	return bound != GATE_CONTENDED && bound + SHARE_ONE <= burst;
}

/* Counts one drop in SHARE_SAMPLE, in the manner of Misra and Gries (weir_network). */
static __always_inline void note_drop(struct weir_network *network, __u64 key, __u64 now_ns)
{
	if (network->key == key) {
		__sync_fetch_and_add(&network->dropped, SHARE_SAMPLE);
		network->seen_ns = now_ns;
	} else if (network->dropped <= SHARE_SAMPLE) {
		network->key = key;
		network->dropped = SHARE_SAMPLE;
		network->seen_ns = now_ns;
	} else {
		__sync_fetch_and_add(&network->dropped, -SHARE_SAMPLE);
	}
}

/* ---- the decision ---- */

/* How much of the burst a tier may use, as a shift: a quarter, a half, all. */
static __always_inline int reach_of(int tier)
{
	return WEIR_KNOWN - tier;
}

/* Takes the packet's part of both rates, or nothing. @down: the part of the burst, as a shift. */
static __always_inline int take_budget(const struct spend *spend, int tier, int down)
{
	const struct weir_limit *budget = spend->budget;

	if (budget->cost &&
	    !budget_take(&spend->cpu->stash[tier], &spend->state->tat, spend->now, budget->cost,
			 budget->burst / BUDGET_CHUNKS, budget->burst >> down))
		return 0;
	if (!budget->byte_cost)
		return 1;
	if (budget_take(&spend->cpu->byte_stash[tier], &spend->state->byte_tat, spend->now,
			spend->bytes_cost, budget->byte_burst / BUDGET_CHUNKS,
			budget->byte_burst >> down))
		return 1;
	spend->cpu->stash[tier] += budget->cost;
	return 0;
}

static __always_inline void mark_pressed(struct weir_budget_state *state, __u64 now_ns)
{
	struct weir_common *all = common_state();

	if ((__s64)(now_ns - state->pressed_ns) < (__s64)PRESSED_NOTE_NS)
		return;
	state->pressed_ns = now_ns;
	if (all)
		all->pressed_ns = now_ns;
}

static __always_inline void adjust_shares(const struct spend *spend, __u64 now_ns)
{
	struct weir_budget_state *state = spend->state;
	__u64 cost = spend->budget->cost ? spend->budget->cost : spend->bytes_cost;
	__u64 due = state->adjust_ns, wait = 64 * cost >> WEIR_TICK_SHIFT;

	if (wait < SHARE_ADJUST_NS)
		wait = SHARE_ADJUST_NS;
	if (wait > SHARE_ADJUST_MAX_NS)
		wait = SHARE_ADJUST_MAX_NS;
	if (now_ns < due || weir_swap(&state->adjust_ns, due, now_ns + wait) != due)
		return;
	for (int tier = 0; tier < WEIR_KNOWN; tier++) {
		__u32 asked = state->asked[tier], given = state->given[tier];

		state->asked[tier] = state->given[tier] = 0;
		if (!state->used_ns)
			state->used[tier] = now_ns << SHARE_CLOCK_SHIFT;
		else
			state->used[tier] += share_used(state->pace[tier], now_ns - state->used_ns);
		state->share[tier] = share_adjust(state->share[tier], cost, asked, given);
		state->pace[tier] = share_pace(state->share[tier]);
	}
	state->used_ns = now_ns;
}

/* Counts a packet that was within its share, so that shares follow the demand. */
static __always_inline void count_demand(const struct spend *spend, int tier, int given)
{
	__sync_fetch_and_add(&spend->state->asked[tier & 1], 1);
	if (given)
		__sync_fetch_and_add(&spend->state->given[tier & 1], 1);
}

/*
 * A packet within its network's share gets what the tier may use of the budget. Beyond the share
 * it gets scraps: room that no other packet uses.
 */
static __always_inline enum weir_reason check_newcomer(struct packet *pkt, struct spend *spend,
						       __u64 seed)
{
	__u64 now_ns = spend->now >> WEIR_TICK_SHIFT, hash, source;
	struct weir_network *network = network_of(pkt, spend->slot, seed, &hash);
	int sampled = !(spend->cpu->sample_tick++ % SHARE_SAMPLE), tier;
	enum weir_reason reason;

	if (!network)
		return WEIR_DROP_SHED;
	source = weir_mix(known_key(pkt->hi, pkt->lo) ^ seed * 3);
	tier = seen_lately(source, now_ns) ? WEIR_RETURNING : WEIR_FIRST_SEEN;
	adjust_shares(spend, now_ns);
	if (within_share(network, hash, tier, spend->state, now_ns)) {
		reason = take_budget(spend, tier, reach_of(tier)) ? WEIR_PASS_NEWCOMER :
								    WEIR_DROP_SHED;
	} else {
		if (take_budget(spend, WEIR_FIRST_SEEN, SHARE_SCRAPS))
			return WEIR_PASS_NEWCOMER;
		reason = WEIR_DROP_SHARE;
	}
	if (sampled && reason != WEIR_PASS_NEWCOMER)
		note_drop(network, network_key(pkt), now_ns);
	if (reason != WEIR_DROP_SHARE && (sampled || spend->budget->cost >= SHARE_FAST))
		count_demand(spend, tier, reason == WEIR_PASS_NEWCOMER);
	return reason;
}

static __always_inline enum weir_reason count_spending(struct weir_spending *cpu, __u64 bytes,
						       enum weir_reason reason)
{
	switch (reason) {
	case WEIR_DROP_SHED:
		cpu->shed++;
		break;
	case WEIR_DROP_SHARE:
		cpu->share++;
		break;
	case WEIR_DROP_BUDGET:
		cpu->over++;
		break;
	case WEIR_PASS_KNOWN:
		cpu->known++;
		break;
	case WEIR_PASS_NEWCOMER:
		cpu->newcomers++;
		break;
	default:
		break;
	}
	if (reason == WEIR_DROP_SHED || reason == WEIR_DROP_SHARE || reason == WEIR_DROP_BUDGET) {
		cpu->dropped_bytes += bytes;
	} else {
		cpu->passed++;
		cpu->passed_bytes += bytes;
	}
	return reason;
}

/*
 * What most packets need, without a call: the budget is not under pressure, and this CPU has
 * enough in hand. Returns 1 if the packet is paid for.
 */
static __always_inline int spend_in_hand(const struct packet *pkt, const struct weir_policy *rules,
					 __u32 index, __u64 now_ns)
{
	const struct weir_limit *budget = &rules->budget[index & (WEIR_BUDGETS - 1)];
	struct weir_budget_state *state = bpf_map_lookup_elem(&budgets, &index);
	struct weir_spending *cpu = bpf_map_lookup_elem(&spending, &index);

	if (!state || !cpu || budget->byte_cost || is_under_pressure(state, now_ns) ||
	    cpu->stash[WEIR_FIRST_SEEN] < budget->cost)
		return 0;
	cpu->stash[WEIR_FIRST_SEEN] -= budget->cost;
	count_spending(cpu, pkt->bytes, WEIR_CONTINUE);
	return 1;
}

/*
 * Global. @index: of the budget, not 0. WEIR_CONTINUE: the budget had room without regard to the
 * source's tier, and the packet's reason stays what it was.
 */
__noinline int spend_budget(struct packet *pkt, __u32 side, __u32 index, __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	enum weir_reason reason;
	struct spend spend = {};

	if (!pkt || !rules || !open_spend(&spend, pkt, rules, index, now_ns))
		return WEIR_CONTINUE;
	if (!is_under_pressure(spend.state, now_ns) &&
	    take_budget(&spend, WEIR_FIRST_SEEN, reach_of(WEIR_FIRST_SEEN)))
		return count_spending(spend.cpu, pkt->bytes, WEIR_CONTINUE);
	if (is_known_fast(pkt, now_ns))
		reason = take_budget(&spend, WEIR_KNOWN, reach_of(WEIR_KNOWN)) ?
				 WEIR_PASS_KNOWN : WEIR_DROP_BUDGET;
	else
		reason = check_newcomer(pkt, &spend, rules->seed);
	if (reason != WEIR_PASS_KNOWN && reason != WEIR_PASS_NEWCOMER)
		mark_pressed(spend.state, now_ns);
	return count_spending(spend.cpu, pkt->bytes, reason);
}

/* The stage. @so_far: the reason for which the packet passes if no budget objects. */
static __always_inline enum weir_reason check_budget(struct packet *pkt, struct hint hint,
						     const struct rules *rules, __u64 now_ns,
						     enum weir_reason so_far)
{
	enum weir_reason reason;
	__u32 index;

	if (!rules->policy || !rules->policy->budgets)
		return so_far;
	index = budget_index(pkt, hint, rules->policy, rules->class);
	if (!index || spend_in_hand(pkt, rules->policy, index & (WEIR_BUDGETS - 1), now_ns))
		return so_far;
	reason = spend_budget(pkt, hint.side, index, now_ns);
	return reason == WEIR_CONTINUE ? so_far : reason;
}

#endif
