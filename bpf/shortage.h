/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which SYNs are answered when a core has no time for all. An answer takes a
 * microsecond with what transmits it. A core that does nothing else takes too little from
 * its ring, and what the ring has no room for is lost whoever sent it, customers
 * included. So this program may answer SYNs for half of each core's time (what receives and
 * transmits them takes about a quarter more). Beyond that a stranger's first SYN is
 * dropped at a quarter of the price, and remembered; TCP sends the very same segment
 * again after a second (RFC 6298), and that one is answered. A spoofer gains nothing by
 * sending his twice: it halves his flood.
 *
 * The time is a GCRA for each core (bucket.h), in nanoseconds: its debt grows by what answers
 * take, measured for one in 64, and by a part of that for drops. What tells whose turn it is, is how
 * far it may grow: first SYNs to a quarter of the burst, those that come again to a
 * half, known sources to all of it; drops to three eighths, so that a flood of them
 * leaves no time for first SYNs and takes none from the others.
 *
 * What is remembered is a Bloom filter of one line a SYN for each of the last four times of
 * 1.07 s, so for 3.2 s at least. With a million dropped in a second one in 35 others is
 * taken for one of them, with four million one in four: these are answered by chance.
 * Two CPUs that write one line at once may lose a bit: that SYN has to come once more.
 *
 * Pure, but for the decision at the end: also compiled into the tests.
 */
#ifndef WEIR_BPF_SHORTAGE_H
#define WEIR_BPF_SHORTAGE_H

#include "bpf/pure/hash.h"
#include "bpf/weir.h"

#define ASKED_TIME_SHIFT	30
#define TIME_BURST_NS		128000000ULL	/* an eighth is more than the slowest clock's tick, 10 ms */
#define TIME_SAMPLE		64
#define TIME_LEAST_NS		256	/* what an answer can have taken; else it was interrupted */
#define TIME_MOST_NS		16384
#define TIME_DROP_SHIFT		2	/* a drop costs that part of an answer: both wait for memory */

/* ---- time ---- */

/* Up to which debt a tier gets answers. */
static __always_inline __u64 time_reach(int tier)
{
	return TIME_BURST_NS >> (WEIR_KNOWN - tier);
}

static __always_inline __u64 time_debt(const struct weir_core_time *time, __u64 now_ns)
{
	return time->tat_ns > now_ns ? time->tat_ns - now_ns : 0;
}

/*
 * @weight: how much more than its own time an answer is charged: twice, since half of the
 * core is theirs.
 */
static __always_inline void time_charge(struct weir_core_time *time, __u64 now_ns, __u64 ns,
					__u32 weight)
{
	time->tat_ns = now_ns + time_debt(time, now_ns) + ns * weight;
}

/* Takes what one answer costs, if this tier's turn has come. */
static __always_inline int time_take(struct weir_core_time *time, int tier, __u64 now_ns,
				     __u32 weight)
{
	if (time_debt(time, now_ns) >= time_reach(tier))
		return 0;
	time_charge(time, now_ns, time->cost_ns, weight);
	return 1;
}

/* After a SYN was dropped. */
static __always_inline void time_drop(struct weir_core_time *time, __u64 now_ns, __u32 weight)
{
	if (time_debt(time, now_ns) < TIME_BURST_NS * 3 / 8)
		time_charge(time, now_ns, time->cost_ns >> TIME_DROP_SHIFT, weight);
}

/* An answer took @ns: the mean moves by an eighth of the difference. */
static __always_inline void time_measured(struct weir_core_time *time, __u64 ns)
{
	if (ns < TIME_LEAST_NS)
		ns = TIME_LEAST_NS;
	if (ns > TIME_MOST_NS)
		ns = TIME_MOST_NS;
	time->cost_ns = time->cost_ns ? time->cost_ns - (time->cost_ns >> 3) + (ns >> 3) : ns;
}

/* ---- SYNs that come again ---- */

static __always_inline __u32 asked_index(__u64 hash)
{
	return hash & (WEIR_ASKED_LINES - 1);
}

/* @n: 0 or 1. Eight bits of the hash that the index does not use. */
static __always_inline __u32 asked_bit(__u64 hash, int n)
{
	return (hash >> (n ? 32 : 24) & 0xff) * WEIR_ASKED_BITS >> 8;
}

/* Whether the SYN of this hash was noted in the last seconds; notes it. */
static __always_inline int asked_before(struct weir_asked_line *line, __u64 hash, __u64 now_ns)
{
	__u32 now = now_ns >> ASKED_TIME_SHIFT, own = now & (WEIR_ASKED_TIMES - 1);
	__u32 a = asked_bit(hash, 0), b = asked_bit(hash, 1);
	int found = 0;

	if (line->time[own] != now) {
		for (int i = 0; i < WEIR_ASKED_BITS / 32; i++)
			line->bits[own][i] = 0;
		line->time[own] = now;
	}
	for (int i = 0; i < WEIR_ASKED_TIMES; i++)
		found |= now - line->time[i] < WEIR_ASKED_TIMES &&
			 line->bits[i][a >> 5 & 3] >> (a & 31) & line->bits[i][b >> 5 & 3] >> (b & 31) & 1;
	line->bits[own][a >> 5 & 3] |= 1U << (a & 31);
	line->bits[own][b >> 5 & 3] |= 1U << (b & 31);
	return found;
}

#ifdef __bpf__

/* ---- the decision ---- */

static __always_inline struct weir_core_time *own_time(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&core_time, &zero);
}

/* From here until the answer is made, for one SYN in many. */
static __always_inline void begin_measure(struct weir_core_time *time)
{
	time->began_ns = time->turn++ % TIME_SAMPLE ? 0 : bpf_ktime_get_ns();
}

static __always_inline void end_measure(void)
{
	struct weir_core_time *time = own_time();

	if (time && time->began_ns)
		time_measured(time, bpf_ktime_get_ns() - time->began_ns);
}

/* Whether this very segment came before: source, ports and sequence number are the same. */
static __always_inline int comes_again(struct xdp_md *ctx, const struct packet *pkt, __u64 seed,
				       __u64 now_ns)
{
	const __u64 *ports_and_seq = frame_data(ctx) + (weir_opaque(pkt->l4_at) & 0x7fff);
	struct weir_asked_line *line;
	__u64 hash;
	__u32 index;

	if ((void *)(ports_and_seq + 1) > frame_end(ctx))
		return 0;
	hash = weir_mix(known_key(pkt->hi, pkt->lo) * (seed | 1) ^ *ports_and_seq);
	index = asked_index(hash);
	line = bpf_map_lookup_elem(&asked, &index);
	return line && asked_before(line, hash, now_ns);
}

enum turn { TURN_NONE, TURN_ANSWER, TURN_STACK };

/*
 * Global. What there is time for: to drop this SYN, to answer it, or to let the budget see
 * it, as the SYNs of known sources where the rule is not for @always.
 */
__noinline int whose_turn(struct xdp_md *ctx, struct packet *pkt, __u64 seed, __u64 now_ns,
			  int always)
{
	struct weir_core_time *time = own_time();
	int tier;

	if (!pkt || !time)
		return TURN_ANSWER;
	if (!always && knows(pkt, now_ns))
		return TURN_STACK;
	begin_measure(time);
	if (time_take(time, WEIR_FIRST_SEEN, now_ns, answer_weight))
		return TURN_ANSWER;
	if (always && knows(pkt, now_ns))
		tier = WEIR_KNOWN;
	else
		tier = comes_again(ctx, pkt, seed, now_ns) ? WEIR_RETURNING : WEIR_FIRST_SEEN;
	if (tier != WEIR_FIRST_SEEN && time_take(time, tier, now_ns, answer_weight))
		return TURN_ANSWER;
	time_drop(time, now_ns, answer_weight);
	return TURN_NONE;
}

#endif /* __bpf__ */

#endif
