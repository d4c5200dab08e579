/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of the buckets and of the gate in front of them. Pure: no helpers, no maps; time
 * comes in as an argument.
 *
 * A bucket is a GCRA (ITU-T I.371, virtual scheduling): one number, the theoretical arrival time
 * (TAT). Its debt is TAT - now. A packet conforms while debt + cost <= burst, and then moves the
 * TAT by its cost. From idle exactly burst / cost packets pass back to back; over time exactly the
 * rate passes. All times are in ticks (weir.h).
 *
 * A clock that lags on another CPU makes the debt look larger, never smaller.
 */
#ifndef WEIR_BPF_PURE_BUCKET_H
#define WEIR_BPF_PURE_BUCKET_H

#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.h"

/*
 * How often a swap is tried. Each failure means that another CPU's swap went through, so among N
 * CPUs N tries are enough. The bound is for the verifier; a packet that fails so often is dropped
 * as contended.
 */
#define WEIR_TRIES	16

/* A test that must see a swap lost defines its own (tests/datapath/test_reasons.bpf.c). */
#ifndef weir_swap
#define weir_swap(address, old, new) __sync_val_compare_and_swap(address, old, new)
#endif
#define weir_read(address) (*(volatile __typeof__(*(address)) *)(address))

enum bucket_verdict { BUCKET_PASS, BUCKET_OVER, BUCKET_CONTENDED };

/*
 * Charges @cost to the bucket at @tat, or nothing. @least: a lower bound of the debt, since what
 * passed the gate was never charged to the bucket.
 */
static __always_inline enum bucket_verdict bucket_take(__u64 *tat, __u64 now, __u64 cost,
						       __u64 burst, __u64 least)
{
	for (int i = 0; i < WEIR_TRIES; i++) {
		__u64 old = weir_read(tat);
		__u64 base = old > now + least ? old : now + least;

		if (base - now + cost > burst)
			return BUCKET_OVER;
		if (weir_swap(tat, old, base + cost) == old)
			return BUCKET_PASS;
	}
	return BUCKET_CONTENDED;
}

/* Undoes bucket_take(), after the byte bucket refused the same packet. */
static __always_inline void bucket_give(__u64 *tat, __u64 cost)
{
	__sync_fetch_and_add(tat, -cost);
}

/*
 * A source's two cells, which are never the same one, among the first 2^@bits lines. @seed: secret,
 * per boot.
 */
struct gate_place {
	__u32 line, a, b;
};

static __always_inline struct gate_place gate_place(const struct weir_bucket_key *key, __u64 seed,
						    __u32 bits)
{
	__u64 hash = weir_mix((key->lo ^ key->hi * (seed | 1)) +
			      (seed ^ key->serial * 0x9e3779b97f4a7c15ULL));
	struct gate_place place = {
		.line = hash & ((1U << (bits & 31)) - 1),
		.a = hash >> 32 & (WEIR_GATE_CELLS - 1),
	};

	place.b = place.a ^ (1 + ((hash >> 40 & 0xff) * (WEIR_GATE_CELLS - 1) >> 8));
	return place;
}

/* Raises the cell, last read as @seen, to @target. Returns whether it is there or above now. */
static __always_inline int raise_cell(__u64 *cell, __u64 seen, __u64 target)
{
	return seen >= target || weir_swap(cell, seen, target) == seen;
}

/*
 * The gate: a count-min sketch of TATs. A source shares its two cells, in one cache line, with
 * other sources, but neither cell is ever below the source's own TAT, so the smaller of the two
 * bounds its debt from above. While that bound, this packet included, is at most half the burst,
 * the packet certainly conforms and no bucket is needed.
 *
 * The update is conservative (Estan and Varghese, SIGCOMM 2002): both cells are raised to the
 * bound plus the cost and no further, so a cell holds the largest debt of its sources and not
 * their sum. To keep "never below" among CPUs without a lock, the larger cell is raised first, and
 * the charge is committed by a swap of the smaller. Proof: let T be the source's TAT, all
 * committed charges included, and both cells >= T. A commit swaps the smaller cell from E to
 * E + cost while the other is >= E + cost already. The swap succeeded, so E is the cell's value of
 * that moment, hence E >= T, and both cells are now >= T + cost. If another CPU committed in
 * between, the swap fails and the round starts again. What a failed round raised is an overcharge
 * of at most one packet per failure.
 *
 * A packet that would lift the bound above @cap, the longest burst of the limit, is not charged
 * here: it is most often over its limit, and a refused packet must cost nothing. If its bucket
 * accepts it all the same (the debt was another source's), gate_fill() charges it afterwards.
 * Until then the bound is far above what the gate lets pass alone, so no packet passes for lack of
 * that charge. Sources of other limits share the cells; nothing lowers a cell.
 *
 * Returns the bound on the source's debt before this packet, in ticks, or GATE_CONTENDED: nothing
 * was charged, and the packet must not pass.
 */
#define GATE_CONTENDED	(~0ULL)

static __always_inline __u64 gate_charge(__u64 *a, __u64 *b, __u64 now, __u64 cost, __u64 cap,
					 __u64 floor)
{
	if (floor < now)
		floor = now;
	for (int i = 0; i < WEIR_TRIES; i++) {
		__u64 at_a = weir_read(a), at_b = weir_read(b);
		__u64 debt_a = at_a > floor ? at_a : floor;
		__u64 debt_b = at_b > floor ? at_b : floor;
		__u64 bound = debt_a < debt_b ? debt_a : debt_b;
		__u64 target = bound + cost;

		if (target > now + cap)
			return bound - now;
		/* Idle cells are equal: both are raised to the floor. */
		if (debt_a <= debt_b) {
			if (raise_cell(b, at_b, target) && raise_cell(a, at_a, target))
				return bound - now;
		} else {
			if (raise_cell(a, at_a, target) && raise_cell(b, at_b, target))
				return bound - now;
		}
	}
	return GATE_CONTENDED;
}

/* Raises both cells, after the bucket accepted a packet that the gate had not charged. */
static __always_inline void gate_fill(__u64 *a, __u64 *b, __u64 full)
{
	for (int i = 0; i < WEIR_TRIES; i++)
		if (raise_cell(a, weir_read(a), full) && raise_cell(b, weir_read(b), full))
			return;
}

/*
 * The least debt that the bucket must be assumed to have before this packet, given the gate's
 * bound: what passed the gate was never charged to the bucket, and that is never more than @half
 * the burst, nor more than the bound. Proof that no source gets more than its burst and rate: as
 * long as its true debt is at most half the burst, it is at most this. When a packet lifts it
 * above, that packet and all until the debt falls back went through the bucket, whose TAT began at
 * no less than the debt of that moment.
 */
static __always_inline __u64 gate_least(__u64 bound, __u64 half, __u64 floor, __u64 now)
{
	if (floor > now && floor - now > half)	/* half of the longer burst before a change */
		half = floor - now;
	return bound < half ? bound : half;
}

/*
 * A debt in ticks at cost @was, as ticks at cost @is: the same number of packets. The fraction of
 * a packet is kept to ten binary digits, rounded up.
 */
static __always_inline __u64 debt_rescale(__u64 debt, __u64 was, __u64 is)
{
	__u64 packets, part;

	if (!was || was == is)
		return debt;
	packets = debt / was;
	part = ((debt % was) << 10) / was + 1;
	if (packets > (1ULL << 60) / (is + 1))
		return 1ULL << 60;
	return packets * is + ((is >> 10) + 1) * part;
}

/*
 * Ticks that a frame of @bytes costs; byte_cost is fixed-point. A frame may be longer than 64 KiB:
 * in skb mode it may stand for many packets (GSO). Beyond BYTES_COUNTED it costs no more, so that
 * the product fits in 64 bits at the least rate, 1 kbit/s.
 */
#define BYTES_COUNTED	0x1ffffU

static __always_inline __u64 byte_ticks(__u64 byte_cost, __u32 bytes)
{
	if (bytes > BYTES_COUNTED)
		bytes = BYTES_COUNTED;
	return byte_cost * bytes >> WEIR_BYTE_COST_SHIFT;
}

#endif
