/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of a core's time cookies may take. The time is a GCRA for each core (bucket.h), in
 * nanoseconds: its debt grows by what answers to SYNs take, and by a part of that for each drop.
 * Each tier may run up a different debt; that is its priority. First-seen sources may go to a
 * quarter of the burst, SYNs that come again to a half, proven sources to all of it; drops charge
 * up to three eighths, so that a flood of them leaves no time for first SYNs and takes none from the
 * others.
 *
 * Segments without SYN that must be looked up have a GCRA of their own with the same tiers, for half
 * of that time. What they take is charged to both: together, SYNs and they take no more than the
 * whole, a flood of SYNs takes nothing from them, and a flood of them leaves half for SYNs. Pure.
 */
#ifndef WEIR_BPF_PURE_CORE_TIME_H
#define WEIR_BPF_PURE_CORE_TIME_H

#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

#define TIME_BURST_NS		128000000ULL	/* an eighth exceeds any clock's tick */
#define TIME_LEAST_NS		256	/* bounds on what an answer takes: outside them the */
#define TIME_MOST_NS		16384	/* measurement was interrupted */
#define TIME_ACK_LEAST_NS	64	/* the same for a look-up */
#define TIME_DROP_SHIFT		2	/* a drop costs a quarter of an answer: a wait for memory */
#define TIME_WEIGHT_SHIFT	8
#define TIME_SHARE		30	/* percent of a core, where nothing else is set */
#define TIME_SHARE_LEAST	1
#define TIME_SHARE_MOST		80	/* the rest receives the packets */

/* How often a nanosecond is charged, in 1/256, so that @percent of a core's time is used. */
static __always_inline __u32 time_weight(__u32 percent)
{
	return (100U << TIME_WEIGHT_SHIFT) / percent;
}

/* The debt up to which the SYNs of a tier are answered. */
static __always_inline __u64 time_reach(int tier)
{
	return TIME_BURST_NS >> (tier < WEIR_SEEN ? WEIR_SEEN - tier : 0);
}

static __always_inline __u64 time_debt(__u64 tat_ns, __u64 now_ns)
{
	return tat_ns > now_ns ? tat_ns - now_ns : 0;
}

static __always_inline void time_charge(__u64 *tat_ns, __u64 now_ns, __u64 ns, __u32 weight)
{
	*tat_ns = now_ns + time_debt(*tat_ns, now_ns) + (ns * weight >> TIME_WEIGHT_SHIFT);
}

/* Charges @ns to an account that may owe less than @most_ns. Returns 1 if it may. */
static __always_inline int time_spend(__u64 *tat_ns, __u64 now_ns, __u64 ns, __u64 most_ns)
{
	__u64 debt = time_debt(*tat_ns, now_ns);

	if (debt >= most_ns)
		return 0;
	*tat_ns = now_ns + debt + ns;
	return 1;
}

/* Charges one answer, if the tier may still run up debt. Returns 1 if it may. */
static __always_inline int time_take(struct weir_core_time *time, int tier, __u64 now_ns)
{
	if (time_debt(time->tat_ns, now_ns) >= time_reach(tier))
		return 0;
	time_charge(&time->tat_ns, now_ns, time->cost_ns, time->weight);
	return 1;
}

/* Charges a SYN that was dropped. */
static __always_inline void time_drop(struct weir_core_time *time, __u64 now_ns)
{
	if (time_debt(time->tat_ns, now_ns) < TIME_BURST_NS * 3 / 8)
		time_charge(&time->tat_ns, now_ns, time->cost_ns >> TIME_DROP_SHIFT, time->weight);
}

/* To both accounts; twice to that of half the size. */
static __always_inline void time_charge_ack(struct weir_core_time *time, __u64 now_ns, __u64 ns)
{
	time_charge(&time->ack_tat_ns, now_ns, ns, 2 * time->weight);
	time_charge(&time->tat_ns, now_ns, ns, time->weight);
}

/* The same for a segment without SYN that is to be looked up. */
static __always_inline int time_take_ack(struct weir_core_time *time, int tier, __u64 now_ns)
{
	if (time_debt(time->ack_tat_ns, now_ns) >= time_reach(tier))
		return 0;
	time_charge_ack(time, now_ns, time->ack_cost_ns);
	return 1;
}

static __always_inline void time_drop_ack(struct weir_core_time *time, __u64 now_ns)
{
	if (time_debt(time->ack_tat_ns, now_ns) < TIME_BURST_NS * 3 / 8)
		time_charge_ack(time, now_ns, time->ack_cost_ns >> TIME_DROP_SHIFT);
	time->ack_short_ns = now_ns;
}

/* Something took @ns: the mean moves by an eighth of the difference. */
static __always_inline void time_measured(__u64 *mean_ns, __u64 ns, __u64 least_ns)
{
	if (ns < least_ns)
		ns = least_ns;
	if (ns > TIME_MOST_NS)
		ns = TIME_MOST_NS;
	*mean_ns = *mean_ns ? *mean_ns - (*mean_ns >> 3) + (ns >> 3) : ns;
}

#endif
