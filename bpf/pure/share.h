/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of budgets: taking from a budget in chunks, and the share that each network of
 * newcomers gets under pressure. Pure.
 */
#ifndef WEIR_BPF_PURE_SHARE_H
#define WEIR_BPF_PURE_SHARE_H

#include "bpf/pure/bucket.h"
#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

#define SHARE_ONE		(1ULL << 12)	/* a packet, in the unit of what networks used */
#define SHARE_START		16		/* the first share is this part of the budget */
#define SHARE_SLOWEST		(60 * WEIR_TICKS_PER_S)	/* ticks a packet */
#define SHARE_CLOCK_SHIFT	6	/* faster than a share of 15 million packets a second */

/*
 * Takes @cost from @stash, after taking a chunk from the budget at @tat if the stash is too small.
 * @allowed: the debt up to which this tier may go. Returns 1 if there was enough.
 */
static __always_inline int budget_take(__u64 *stash, __u64 *tat, __u64 now, __u64 cost,
				       __u64 chunk, __u64 allowed)
{
	__u64 want = chunk > cost ? chunk : cost;

	if (*stash >= cost) {
		*stash -= cost;
		return 1;
	}
	for (int i = 0; i < WEIR_TRIES; i++) {
		__u64 old = weir_read(tat);
		__u64 base = old > now ? old : now;

		if (base - now + want > allowed)
			want = cost;
		if (base - now + want > allowed)
			return 0;
		if (weir_swap(tat, old, base + want) == old) {
			*stash += want - cost;
			return 1;
		}
	}
	return 0;
}

/*
 * The next share, in ticks a packet: @asked packets were within the present share, and @given of
 * them found room. At a time it at most
 * doubles or falls by an eighth.
 */
static __always_inline __u64 share_adjust(__u64 share, __u64 budget_cost, __u32 asked, __u32 given)
{
	if (!share)
		share = budget_cost * SHARE_START;
	if (asked > given + (given >> 4)) {
		if (asked >= 2 * given)
			share *= 2;
		else
			share = share / given * asked;
	} else {
		share -= share >> 3;
	}
	if (share < budget_cost)
		share = budget_cost;
	return share > SHARE_SLOWEST ? SHARE_SLOWEST : share;
}

/* A share of @share ticks a packet as a pace, in 2^-52 packets a ns. */
static __always_inline __u64 share_pace(__u64 share)
{
	return (1ULL << 56) / share;	/* a ns is 2^4 ticks */
}

/*
 * How much a pace amounts to in @ns, in 2^-12 packets. Longer than 18 minutes counts as 18
 * minutes; a negative time, where the clock of another CPU was ahead, counts as none.
 */
static __always_inline __u64 share_used(__u64 pace, __u64 ns)
{
	if ((__s64)ns < 0)
		return 0;
	if (ns > 1ULL << 40)
		ns = 1ULL << 40;
	return (pace >> 12) * (ns >> 10) >> 18;
}

#endif
