/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which limit applies to a packet, and whether its source is within it.
 *
 * The limit follows from what the packet is (its class, one look-up in an array) and where it
 * comes from (its row: the longest prefix that has limits of its own, otherwise the default's).
 * Most sources are far from their limit, and the gate shows that from one cache line; only sources
 * near it have a bucket.
 */
#ifndef WEIR_BPF_LIMITS_H
#define WEIR_BPF_LIMITS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"

static __always_inline struct weir_policy *policy_of(__u32 side)
{
	void *inner = bpf_map_lookup_elem(&policy, &side);
	__u32 zero = 0;

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

static __always_inline __u32 row_of(const struct weir_policy *rules, const struct packet *pkt,
				    struct hint hint)
{
	struct weir_prefix key;
	void *rows;
	__u32 *row;

	if (!(hint.bits & WEIR_HINT_SCOPE))
		return 0;
	rows = bpf_map_lookup_elem(&scopes, &hint.side);
	if (!rows)
		return 0;
	key = source_key(pkt);
	row = bpf_map_lookup_elem(rows, &key);
	if (!row || !is_of_family(rules->scope[*row & (WEIR_SCOPES - 1)].prefixlen, pkt->ipv6))
		return 0;
	return *row;
}

/* A source's two cells in the gate. */
struct cells {
	__u64 *a, *b;
};

static __always_inline int find_cells(const struct weir_bucket_key *key, __u64 seed, __u32 bits,
				      struct cells *cells)
{
	struct gate_place place = gate_place(key, seed, bits);
	struct weir_gate_line *line = bpf_map_lookup_elem(&gate, &place.line);

	if (!line)
		return 0;
	cells->a = &line->tat[place.a & (WEIR_GATE_CELLS - 1)];
	cells->b = &line->tat[place.b & (WEIR_GATE_CELLS - 1)];
	return 1;
}

/*
 * Raises both cells to @full. Global: its caller looks the cells up again here, and need not keep
 * them. That is for packets which pass although their source's limit is nearly used up.
 */
__noinline int fill_cells(struct weir_bucket_key *key, __u64 seed, __u32 bits, __u64 full)
{
	struct cells cells;

	if (key && find_cells(key, seed, bits, &cells))
		gate_fill(cells.a, cells.b, full);
	return 0;
}

/*
 * Rare, and global: only packets that need it pay for its stack. The key is copied, since Linux
 * 6.1 accepts no map key in a caller's memory.
 */
__noinline int create_bucket(struct weir_bucket_key *key, __u64 cost, __u64 byte_cost)
{
	struct weir_bucket fresh = { .cost = cost, .byte_cost = byte_cost };
	struct weir_bucket_key copy;

	if (!key)
		return 0;
	copy = *key;
	/* If another CPU was faster, its bucket is used. */
	bpf_map_update_elem(&buckets, &copy, &fresh, BPF_NOEXIST);
	return 0;
}

/*
 * After a change of rate the bucket owes as many packets as before. Rare. While one CPU converts
 * the debt, another may still decide by the old figure, for one packet.
 */
__noinline int convert_debt(__u64 *tat, __u64 *cost, __u64 is, __u64 now)
{
	__u64 was, old;

	if (!tat || !cost)
		return 0;
	was = *cost;
	if (was == is || weir_swap(cost, was, is) != was)
		return 0;
	old = *tat;
	if (old > now)
		weir_swap(tat, old, now + debt_rescale(old - now, was, is));
	return 0;
}

static __always_inline enum bucket_verdict take_both(struct weir_bucket *bucket,
						     const struct weir_limit *limit, __u64 now,
						     __u64 bytes_cost, __u64 least)
{
	enum bucket_verdict verdict = BUCKET_PASS;

	if (limit->cost)
		verdict = bucket_take(&bucket->tat, now, limit->cost, limit->burst, least);
	if (verdict != BUCKET_PASS || !limit->byte_cost)
		return verdict;
	verdict = bucket_take(&bucket->byte_tat, now, bytes_cost, limit->byte_burst, least);
	if (verdict != BUCKET_PASS && limit->cost)
		bucket_give(&bucket->tat, limit->cost);
	return verdict;
}

static __always_inline enum weir_reason check_bucket(const struct packet *pkt,
						     struct weir_bucket_key *key,
						     const struct weir_limit *limit, __u64 now,
						     __u64 bytes_cost, __u64 least,
						     struct weir_counters *cpu)
{
	struct weir_bucket *bucket = bpf_map_lookup_elem(&buckets, key);
	enum bucket_verdict verdict;

	cpu->exact++;
	if (!bucket) {
		create_bucket(key, limit->cost, limit->byte_cost);
		bucket = bpf_map_lookup_elem(&buckets, key);
		cpu->created += bucket != NULL;
	}
	if (!bucket)
		return WEIR_DROP_TABLE_FULL;
	if (bucket->cost != limit->cost)
		convert_debt(&bucket->tat, &bucket->cost, limit->cost, now);
	if (bucket->byte_cost != limit->byte_cost)
		convert_debt(&bucket->byte_tat, &bucket->byte_cost, limit->byte_cost, now);

	verdict = take_both(bucket, limit, now, bytes_cost, least);
	if (verdict == BUCKET_PASS) {
		__sync_fetch_and_add(&bucket->passed, 1);
		return WEIR_PASS_LIMIT;
	}
	__sync_fetch_and_add(&bucket->dropped, 1);
	__sync_fetch_and_add(&bucket->dropped_bytes, pkt->bytes);
	return verdict == BUCKET_OVER ? WEIR_DROP_RATE : WEIR_DROP_CONTENDED;
}

/* The policy in force and the packet's class in it (0 when no limit or budget is set). */
struct rules {
	struct weir_policy *policy;
	__u32 class;
};

/* The class of TCP or UDP that has @class by all but its source port, which few policies look at. */
static __always_inline __u32 refine_class(struct xdp_md *ctx, const struct packet *pkt,
					  const struct weir_policy *policy, __u32 class)
{
	return policy->sport_groups ? class_with_sport(policy, class, source_port(ctx, pkt)) : class;
}

/*
 * The class of a packet. TCP and UDP take no branch for types of ICMP: they are told apart once, and
 * each of them has its look-up, since the compiler asks for the protocol again where they share one.
 */
static __always_inline __u32 class_of_packet(struct xdp_md *ctx, const struct packet *pkt,
					     const struct weir_policy *policy)
{
	__u32 what = pkt->what, proto = pkt->proto, class, type;

	if (what == WEIR_FRAGMENT)
		return class_of(policy, WEIR_FRAGMENT, proto, 0);
	if (proto == IPPROTO_UDP) {
		class = class_of(policy, WEIR_ANY_PACKET, IPPROTO_UDP, pkt->dport);
		return refine_class(ctx, pkt, policy, class);
	}
	if (proto == IPPROTO_TCP) {
		class = class_of(policy, what, IPPROTO_TCP, pkt->dport);
		return refine_class(ctx, pkt, policy, class);
	}
	class = class_of(policy, WEIR_ANY_PACKET, proto, 0);
	if (!policy->icmp_types)
		return class;
	type = icmp_type(ctx, pkt);
	return type ? class_of_icmp(policy, pkt->ipv6, type - 1) : class;
}

static __always_inline struct rules find_rules(struct xdp_md *ctx, const struct packet *pkt,
					       struct hint hint)
{
	struct rules rules = { .policy = policy_of(hint.side) };

	if (rules.policy && (rules.policy->active || rules.policy->budgets))
		rules.class = class_of_packet(ctx, pkt, rules.policy) & (WEIR_CLASSES - 1);
	return rules;
}

/* Whether the packet is within its limit or has none, and no other stage has decided. */
static __always_inline int is_within_limit(enum weir_reason reason)
{
	return reason == WEIR_CONTINUE || reason == WEIR_PASS_LIMIT;
}

/* Hosts without an address are told apart by their hardware addresses, where there are any. */
static __always_inline void name_by_hardware(struct xdp_md *ctx, struct weir_bucket_key *key)
{
	key->hi = HARDWARE_HI;
	key->lo = hardware_source(ctx);
}

/* The stage. @now_ns: the coarse clock. */
static __always_inline enum weir_reason check_limits(struct xdp_md *ctx, const struct packet *pkt,
						     struct hint hint, const struct rules *found,
						     __u64 now_ns, struct weir_counters *cpu)
{
	struct weir_policy *rules = found->policy;
	__u64 now, cost, bytes_cost, bound;
	const struct weir_limit *limit;
	enum weir_reason reason;
	struct weir_bucket_key key;
	struct cells cells;
	int above_cap;
	__u32 id;

	if (!rules || !rules->active)
		return WEIR_CONTINUE;
	id = limit_index(rules, row_of(rules, pkt, hint), found->class);
	if (!id)
		return WEIR_CONTINUE;
	limit = &rules->limit[id];
	weir_one_register(limit);

	now = (limit->coarse ? now_ns : bpf_ktime_get_ns()) << WEIR_TICK_SHIFT;
	bytes_cost = byte_ticks(limit->byte_cost, pkt->bytes);
	cost = limit->cost > bytes_cost ? limit->cost : bytes_cost;
	key = bucket_key(limit, pkt->hi, pkt->lo, pkt->ipv6);
	if (is_unspecified(pkt->hi, pkt->lo) && !bare)
		name_by_hardware(ctx, &key);
	if (!find_cells(&key, rules->seed, limit->gate_bits, &cells))
		return WEIR_CONTINUE;
	bound = gate_charge(cells.a, cells.b, now, cost, limit->cap, limit->floor);
	if (bound == GATE_CONTENDED)
		return WEIR_DROP_CONTENDED;
	if (bound + cost <= limit->half)
		return WEIR_PASS_LIMIT;

	above_cap = bound + cost > limit->cap;
	reason = check_bucket(pkt, &key, limit, now, bytes_cost,
			      gate_least(bound, limit->half, limit->floor, now), cpu);
	if (reason == WEIR_PASS_LIMIT && above_cap)
		fill_cells(&key, rules->seed, limit->gate_bits, now + limit->cap);
	return reason;
}

#endif
