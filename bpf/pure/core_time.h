/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of a core's time the answers to SYNs may take. The time is a GCRA for each core
 * (bucket.h), in nanoseconds: its debt grows by what answers take, and by a part of that for each
 * drop. Each tier may run up a different debt; that is its priority. First-seen sources may go to
 * a quarter of the burst, SYNs that come again to a half, proven sources to all of it; drops
 * charge up to three eighths, so that a flood of them leaves no time for first SYNs and takes none
 * from the others. Pure.
 */
#ifndef WEIR_BPF_PURE_CORE_TIME_H
#define WEIR_BPF_PURE_CORE_TIME_H

#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

#define TIME_BURST_NS		128000000ULL	/* an eighth exceeds any clock's tick */
#define TIME_LEAST_NS		256	/* bounds on what an answer takes: outside them the */
#define TIME_MOST_NS		16384	/* measurement was interrupted */
#define TIME_DROP_SHIFT		2	/* a drop costs a quarter of an answer: a wait for memory */

/* The debt up to which the SYNs of a tier are answered. */
static __always_inline __u64 time_reach(int tier)
{
	return TIME_BURST_NS >> (tier < WEIR_SEEN ? WEIR_SEEN - tier : 0);
}

static __always_inline __u64 time_debt(const struct weir_core_time *time, __u64 now_ns)
{
	return time->tat_ns > now_ns ? time->tat_ns - now_ns : 0;
}

/* @weight: how often an answer's own time is charged: twice, since answers may take half a core. */
static __always_inline void time_charge(struct weir_core_time *time, __u64 now_ns, __u64 ns,
					__u32 weight)
{
	time->tat_ns = now_ns + time_debt(time, now_ns) + ns * weight;
}

/* Charges one answer, if the tier may still run up debt. Returns 1 if it may. */
static __always_inline int time_take(struct weir_core_time *time, int tier, __u64 now_ns,
				     __u32 weight)
{
	if (time_debt(time, now_ns) >= time_reach(tier))
		return 0;
	time_charge(time, now_ns, time->cost_ns, weight);
	return 1;
}

/* Charges a SYN that was dropped. */
static __always_inline void time_drop(struct weir_core_time *time, __u64 now_ns, __u32 weight)
{
	if (time_debt(time, now_ns) < TIME_BURST_NS * 3 / 8)
		time_charge(time, now_ns, time->cost_ns >> TIME_DROP_SHIFT, weight);
}

/* An answer took @ns: the mean cost moves by an eighth of the difference. */
static __always_inline void time_measured(struct weir_core_time *time, __u64 ns)
{
	if (ns < TIME_LEAST_NS)
		ns = TIME_LEAST_NS;
	if (ns > TIME_MOST_NS)
		ns = TIME_MOST_NS;
	time->cost_ns = time->cost_ns ? time->cost_ns - (time->cost_ns >> 3) + (ns >> 3) : ns;
}

#endif
