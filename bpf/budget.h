/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Budgets: how much all sources together may send to a service, and which packets go first when
 * that is not enough.
 *
 * A budget is a GCRA like every bucket (pure/bucket.h), but shared by all CPUs and all sources.
 * Each CPU takes from it in chunks, of 1/256 of the burst or less, and spends those alone, so no
 * cache line is written for every packet. What is let through is never more than burst + rate x t,
 * plus what CPUs had in hand at the start, at most CPUs x 4/256 of the burst, plus five bursts of a
 * sixteenth from the reserves. It does reach rate x t, since what is in hand is used later.
 *
 * As long as no packet is dropped, the tier of a source is not looked up. Under pressure
 * (enum weir_tier):
 *
 * - Each tier may use a part of the burst only, so that the rest is always there for the tiers
 *   above it: reach_of().
 * - A sixteenth of the rate is in reserve for each tier alone, so that none is shut out by the
 *   tiers above it, however real their sources are (a botnet of hosts that proved themselves over
 *   days). What a tier takes from its reserve, the others have less.
 * - Within each tier a network, /24 or /48, is held to a fair share. Shares are adjusted 20 times a
 *   second, until the tier's demand within its shares equals what is there for it; a tier that has
 *   enough is not held back. That is max-min fairness by estimate, as in core-stateless fair
 *   queueing (Stoica, Shenker and Zhang, SIGCOMM 1998). The share is charged to cells in the
 *   network's line by the arithmetic of the gate: networks that collide make a share smaller, never
 *   larger. Each budget has lines of its own.
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
#define SCRAPS_REACH		1	/* eighths of the burst, for packets beyond a share */
#define RESERVE_SHIFT		4	/* a tier's own part of the rate */
#define SHARE_SAMPLE		16	/* one packet in so many is counted, at random */
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
	struct weir_network *network;	/* the packet's, under pressure */
	__u64 hash;			/* of that network */
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

/* ---- networks and their shares ---- */

/*
 * Notes that the source came, and returns whether it came within the last minute. A cell holds the
 * time and a tag of one source; of two sources that share a cell, the later one stays.
 */
static __always_inline int seen_lately(__u64 hash, __u64 now_ns)
{
	__u32 index = hash & (WEIR_SEEN_CELLS - 1), tag = hash >> 32 & 0xfffff;
	__u32 time = now_ns >> SEEN_TIME_SHIFT & 0xfff, was;
	__u32 *cell = bpf_map_lookup_elem(&seen, &index);

	if (!cell)
		return 0;
	was = *cell;
	if (was != (time << 20 | tag))
		*cell = time << 20 | tag;
	return was && (was & 0xfffff) == tag && ((time - (was >> 20)) & 0xfff) < SEEN_LASTS;
}

/* Neighbours on the link have no network in common: each link-local address is one of its own. */
static __always_inline int is_own_network(const struct packet *pkt)
{
	return pkt->ipv6 && is_link_local(pkt->hi);
}

static __always_inline __u64 network_key(const struct packet *pkt)
{
	if (!pkt->ipv6)
		return pkt->lo & ~0xffULL;
	return is_own_network(pkt) ? pkt->hi : pkt->hi & ~0xffffULL;
}

/*
 * What the line of a network is found by. A neighbour chooses its 64 bits freely; the seed is turned
 * for them, so that it cannot choose those of another network.
 */
static __always_inline __u64 network_mixed(const struct packet *pkt, __u64 seed)
{
	__u64 of = is_own_network(pkt) ? pkt->lo : network_key(pkt) + pkt->ipv6;

	if (is_own_network(pkt))
		seed = seed << 32 | seed >> 32;
	return weir_mix(of * 0x9e3779b97f4a7c15ULL ^ seed);
}

/* The cells were on the clock of another budget, before budgets were set or deleted. */
static __always_inline void take_over(struct weir_network *network, __u32 slot)
{
	for (int i = 0; i < 4; i++)
		network->used[i] = 0;
	for (int i = 0; i < WEIR_KNOWN_TIERS; i++)
		network->known_used[i][0] = network->known_used[i][1] = 0;
	network->budget = slot;
}

/*
 * Finds the line of the packet's network among those of the budget. Before the tier is looked up:
 * under a flood neither line is in the cache, and the CPU then waits for both at once.
 */
static __always_inline void find_network(struct spend *spend, const struct packet *pkt,
					 const struct weir_policy *rules)
{
	__u64 hash = network_mixed(pkt, rules->seed ^ spend->slot);
	__u32 bits = rules->network_bits & 31;
	__u32 index = spend->budget->serial << bits | (hash & ((1U << bits) - 1));
	struct weir_network *network = bpf_map_lookup_elem(&networks, &index);

	if (network && network->budget != spend->slot)
		take_over(network, spend->slot);
	spend->network = network;
	spend->hash = hash;
}

/* Charges one packet to @cell, if that leaves it within @burst. */
static __always_inline int charge_cell(__u64 *cell, __u64 used, __u64 burst)
{
	return bucket_take(cell, used, SHARE_ONE, burst, 0) == BUCKET_PASS;
}

/* The cell of the network for a tier that has one or one of two. */
static __always_inline __u64 *share_cell(struct weir_network *network, __u64 hash, __u32 tier)
{
	if (tier < WEIR_SEEN)
		return &network->used[3];
	return &network->known_used[(tier - WEIR_SEEN) & 3][hash >> 40 & 1];
}

/* The same to the two cells that a network has of three. */
static __always_inline int charge_two(struct weir_network *network, __u64 hash, __u64 used,
				      __u64 burst)
{
	__u32 a = (hash >> 40 & 0xff) * 3 >> 8, b = a + 1 + (hash >> 48 & 1);
	__u64 bound;

	b = b > 2 ? b - 3 : b;
	bound = gate_charge(&network->used[a & 3], &network->used[b & 3], used, SHARE_ONE, burst,
			    0);
	return bound != GATE_CONTENDED && bound + SHARE_ONE <= burst;
}

/*
 * Global. Charges one packet to the network's share, if it is within it. A cell says how much the
 * network used, in the same unit as the budget says how much it could have used: so no network is
 * left with a debt counted by an earlier share.
 */
__noinline int within_share(struct weir_network *network, __u64 hash, __u32 tier,
			    struct weir_budget_state *state, __u64 now_ns)
{
	__u64 pace, burst, used;

	if (!network || !state || tier >= WEIR_TIERS)
		return 0;
	pace = state->pace[tier];
	used = state->used[tier] + share_used(pace, now_ns - state->used_ns);
	burst = share_used(pace, SHARE_BURST_NS);
	if (burst < SHARE_BURST_LEAST)
		burst = SHARE_BURST_LEAST;
	if (tier == WEIR_RETURNING)
		return charge_two(network, hash, used, burst);
	return charge_cell(share_cell(network, hash, tier), used, burst);
}

/* Counts one drop in SHARE_SAMPLE, in the manner of Misra and Gries (weir_network). */
static __always_inline void note_drop(struct weir_network *network, const struct packet *pkt,
				      __u64 now_ns)
{
	__u64 key = network_key(pkt), key_lo = is_own_network(pkt) ? pkt->lo : 0;

	if (network->key == key && network->key_lo == key_lo) {
		__sync_fetch_and_add(&network->dropped, SHARE_SAMPLE);
		network->seen_ns = now_ns;
	} else if (network->dropped <= SHARE_SAMPLE) {
		network->key = key;
		network->key_lo = key_lo;
		network->dropped = SHARE_SAMPLE;
		network->seen_ns = now_ns;
	} else {
		__sync_fetch_and_add(&network->dropped, -SHARE_SAMPLE);
	}
}

/* ---- the decision ---- */

/* How much of the burst a tier may use, in eighths: 2, 4, 6, 7 and 8. */
static __always_inline __u32 reach_of(int tier)
{
	return tier < WEIR_PROVEN ? 2 * tier + 2 : tier + 4;
}

/* Global. Takes @cost from @stash, and that from @tat if its debt remains within @allowed. */
__noinline int take_rate(__u64 *stash, __u64 *tat, __u64 now, __u64 cost, __u64 allowed)
{
	return stash && tat && budget_take(stash, tat, now, cost, allowed / BUDGET_CHUNKS, allowed);
}

/* Takes the packet's part of both rates, or nothing. */
static __always_inline int take_budget(const struct spend *spend, int tier, __u32 reach)
{
	const struct weir_limit *budget = spend->budget;

	if (budget->cost && !take_rate(&spend->cpu->stash[tier], &spend->state->tat, spend->now,
				       budget->cost, (budget->burst >> 3) * reach))
		return 0;
	if (!budget->byte_cost)
		return 1;
	if (take_rate(&spend->cpu->byte_stash[tier], &spend->state->byte_tat, spend->now,
		      spend->bytes_cost, (budget->byte_burst >> 3) * reach))
		return 1;
	spend->cpu->stash[tier] += budget->cost;
	return 0;
}

/* Global. Takes @cost from a tier's reserve, which fills at a sixteenth of the rate. */
__noinline int take_reserve(__u64 *reserve, __u64 now, __u64 cost, __u64 burst)
{
	__u64 least = cost << (RESERVE_SHIFT + 1);

	return reserve && bucket_take(reserve, now, cost << RESERVE_SHIFT,
				      burst > least ? burst : least, 0) == BUCKET_PASS;
}

/*
 * Global. Charges what came from a reserve to the budget, beyond its burst if need be: all reserves
 * are less than a third of the rate, so the debt stays bounded.
 */
__noinline int overdraw(__u64 *tat, __u64 now, __u64 cost)
{
	__u64 none = 0;

	return tat && budget_take(&none, tat, now, cost, cost, ~0ULL >> 1);
}

/* Takes the packet's part of both rates from the tier's reserve, or nothing. */
static __always_inline int take_own(const struct spend *spend, int tier)
{
	const struct weir_limit *budget = spend->budget;
	struct weir_budget_state *state = spend->state;

	if (budget->cost && !take_reserve(&state->reserve_tat[tier], spend->now, budget->cost,
					  budget->burst))
		return 0;
	if (budget->byte_cost && !take_reserve(&state->byte_reserve_tat[tier], spend->now,
					       spend->bytes_cost, budget->byte_burst)) {
		if (budget->cost)
			bucket_give(&state->reserve_tat[tier], budget->cost << RESERVE_SHIFT);
		return 0;
	}
	if (budget->cost)
		overdraw(&state->tat, spend->now, budget->cost);
	if (budget->byte_cost)
		overdraw(&state->byte_tat, spend->now, spend->bytes_cost);
	return 1;
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

/* Global. */
__noinline int adjust_share(struct weir_budget_state *state, __u32 tier, __u64 cost, __u64 now_ns)
{
	__u32 asked, given;

	if (!state || tier >= WEIR_TIERS)
		return 0;
	asked = state->asked[tier];
	given = state->given[tier];
	state->asked[tier] = state->given[tier] = 0;
	if (!state->used_ns)
		state->used[tier] = now_ns << SHARE_CLOCK_SHIFT;
	else
		state->used[tier] += share_used(state->pace[tier], now_ns - state->used_ns);
	/* Known sources are held to shares only once there is not enough for them alone. */
	if (!state->share[tier] && tier >= WEIR_SEEN)
		state->share[tier] = cost;
	state->share[tier] = share_adjust(state->share[tier], cost, asked, given);
	state->pace[tier] = share_pace(state->share[tier]);
	return 0;
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
	for (int tier = 0; tier < WEIR_TIERS; tier++)
		adjust_share(state, tier, cost, now_ns);
	state->used_ns = now_ns;
}

/* Counts a packet that was within its share, so that shares follow the demand. */
static __always_inline void count_demand(const struct spend *spend, int tier, int given)
{
	__sync_fetch_and_add(&spend->state->asked[tier], 1);
	if (given)
		__sync_fetch_and_add(&spend->state->given[tier], 1);
}

/* What became of a packet under pressure. */
enum spent { SPENT, NO_ROOM, OVER_SHARE };

/*
 * A packet within its network's share gets what its tier may use of the budget, or of the tier's
 * reserve. Beyond the share it gets scraps: room that no other packet uses.
 */
static __always_inline enum spent spend_in_tier(const struct packet *pkt, struct spend *spend,
						int tier)
{
	__u64 now_ns = spend->now >> WEIR_TICK_SHIFT;
	struct weir_network *network = spend->network;
	int sampled = is_sample(&spend->cpu->until_sample, SHARE_SAMPLE);
	enum spent spent;

	if (!network)
		return NO_ROOM;
	adjust_shares(spend, now_ns);
	if (within_share(network, spend->hash, tier, spend->state, now_ns)) {
		spent = take_budget(spend, tier, reach_of(tier)) || take_own(spend, tier) ?
				SPENT : NO_ROOM;
		if (sampled || spend->budget->cost >= SHARE_FAST)
			count_demand(spend, tier, spent == SPENT);
	} else {
		spent = take_budget(spend, WEIR_FIRST_SEEN, SCRAPS_REACH) ? SPENT : OVER_SHARE;
	}
	if (sampled && spent != SPENT)
		note_drop(network, pkt, now_ns);
	return spent;
}

static __always_inline enum weir_reason count_spending(const struct spend *spend, __u64 bytes,
						       int tier, enum spent spent)
{
	struct weir_spending *cpu = spend->cpu;

	if (spent == SPENT) {
		cpu->let_in[tier]++;
		cpu->passed++;
		cpu->passed_bytes += bytes;
		return tier < WEIR_SEEN ? WEIR_PASS_NEWCOMER : WEIR_PASS_KNOWN;
	}
	cpu->dropped_bytes += bytes;
	if (spent == OVER_SHARE) {
		cpu->over_share[tier]++;
		return WEIR_DROP_SHARE;
	}
	cpu->no_room[tier]++;
	return tier < WEIR_SEEN ? WEIR_DROP_SHED : WEIR_DROP_BUDGET;
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
	cpu->passed++;
	cpu->passed_bytes += pkt->bytes;
	return 1;
}

/* The tier of a packet's source, noting a newcomer as seen now. */
static __always_inline int tier_under_pressure(const struct packet *pkt, __u64 seed, __u64 now_ns)
{
	int tier = tier_fast(pkt, now_ns);
	__u64 source;

	if (tier != WEIR_FIRST_SEEN)
		return tier;
	source = weir_mix((known_key(pkt->hi, pkt->lo) ^ seed * 3) + pkt->ipv6);
	return seen_lately(source, now_ns) ? WEIR_RETURNING : WEIR_FIRST_SEEN;
}

/*
 * Global. @index: of the budget, not 0. WEIR_CONTINUE: the budget had room without regard to the
 * source's tier, and the packet's reason stays what it was.
 */
__noinline int spend_budget(struct packet *pkt, __u32 side, __u32 index, __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	struct spend spend = {};
	enum spent spent;
	int tier;

	if (!pkt || !rules || !open_spend(&spend, pkt, rules, index, now_ns))
		return WEIR_CONTINUE;
	if (!is_under_pressure(spend.state, now_ns) &&
	    take_budget(&spend, WEIR_FIRST_SEEN, reach_of(WEIR_FIRST_SEEN))) {
		spend.cpu->passed++;
		spend.cpu->passed_bytes += pkt->bytes;
		return WEIR_CONTINUE;
	}
	find_network(&spend, pkt, rules);
	tier = tier_under_pressure(pkt, rules->seed, now_ns);
	if (tier < 0 || tier >= WEIR_TIERS)	/* never: the verifier does not know */
		return WEIR_CONTINUE;
	spent = spend_in_tier(pkt, &spend, tier);
	if (spent != SPENT)
		mark_pressed(spend.state, now_ns);
	return count_spending(&spend, pkt->bytes, tier, spent);
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
