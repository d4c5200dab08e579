/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which SYNs are answered when a core has no time for all. An answer takes a microsecond,
 * transmitting it included. A core that does nothing else takes too little from its receive ring,
 * and the ring then loses packets of proven sources as well as of the flood. So this program
 * answers SYNs for a share of each core's time at most (`syn share`, 30 % of it where nothing is
 * set); receiving and transmitting them takes as much again. Beyond that, the first SYN of a source
 * without proof is dropped at a quarter of the price, and remembered. TCP sends the very same
 * segment again after a second (RFC 6298), and that one is answered. A spoofer gains nothing by
 * sending each SYN twice: it halves the flood.
 *
 * Segments without SYN from strangers are looked up, since each may bring a cookie or belong to a
 * connection; half of the share is for that. Beyond it the first one is dropped and remembered, and
 * one of the same ports and sequence number is looked up: that is what TCP sends again, and the data
 * behind the bare ACK of a handshake has the number of that ACK. While a core is short of time for
 * them, the ACK that an answer asks for is noted as well, as if it had come before: it is looked up
 * at once.
 *
 * pure/core_time.h has the arithmetic of the time, pure/asked.h what is remembered.
 */
#ifndef WEIR_BPF_SHORTAGE_H
#define WEIR_BPF_SHORTAGE_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/maps.h"
#include "bpf/pure/asked.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/core_time.h"
#include "bpf/pure/hash.h"
#include "bpf/rodata.h"

#define TIME_SAMPLE	64	/* one answer in so many is measured */
#define ACK_SHORT_NS	4000000000ULL	/* for so long a core counts as short of time for ACKs */

/* Begins to measure an answer, for one SYN in TIME_SAMPLE; put_answer() ends it. */
static __always_inline void begin_measure(struct weir_core_time *time)
{
	time->began_ns = time->sample_tick++ % TIME_SAMPLE ? 0 : bpf_ktime_get_ns();
}

static __always_inline void end_measure(void)
{
	struct weir_core_time *time = cpu_time();

	if (time && time->began_ns)
		time_measured(&time->cost_ns, bpf_ktime_get_ns() - time->began_ns, TIME_LEAST_NS);
}

/* Notes a segment by the first eight bytes of its header, and returns whether it was noted before. */
static __always_inline int is_noted(const struct packet *pkt, __u64 ports_and_seq, __u64 seed,
				    __u64 now_ns)
{
	__u64 hash = weir_mix(known_key(pkt->hi, pkt->lo) * (seed | 1) ^ ports_and_seq);
	__u32 index = asked_index(hash);
	struct weir_asked_line *line = bpf_map_lookup_elem(&asked, &index);

	return line && asked_before(line, hash, now_ns);
}

/* Notes the segment, and returns whether it came before: same source, ports, sequence number. */
static __always_inline int comes_again(struct xdp_md *ctx, const struct packet *pkt, __u64 seed,
				       __u64 now_ns)
{
	const __u64 *ports_and_seq = frame_data(ctx) + (weir_opaque(pkt->l4_at) & L4_AT_MAX);

	if ((void *)(ports_and_seq + 1) > frame_end(ctx))
		return 0;
	return is_noted(pkt, *ports_and_seq, seed, now_ns);
}

/* Notes the ACK that the answer to this SYN asks for, where it might find no time otherwise. */
static __always_inline void expect_ack(const struct packet *pkt, __u64 seed, __u64 now_ns)
{
	const struct weir_core_time *time = cpu_time();
	const struct syn_headers *headers;
	__u32 seq;

	if (!time || !time->ack_short_ns || now_ns - time->ack_short_ns >= ACK_SHORT_NS)
		return;
	headers = scratch_headers();
	if (!headers)
		return;
	seq = be32(be32(headers->tcp.seq) + 1);
	is_noted(pkt, (__u64)seq << 32 | headers->tcp_word[0], seed, now_ns);
}

/* SYN_TO_STACK: no answer; the SYN goes on to the budget, and to the kernel if that has room. */
enum syn_plan { SYN_DROP, SYN_ANSWER, SYN_TO_STACK };

/*
 * Global. What this core has time for: to drop this SYN, to answer it, or to leave it to the
 * budget, as it does with SYNs of proven sources under a rule that is not @always in force.
 */
__noinline int plan_syn(struct xdp_md *ctx, struct packet *pkt, __u64 seed, __u64 now_ns,
			int always)
{
	struct weir_core_time *time = cpu_time();
	int tier;

	if (!pkt || !time)
		return SYN_ANSWER;
	if (!always && tier_fast(pkt, now_ns) >= WEIR_PROVEN)
		return SYN_TO_STACK;
	begin_measure(time);
	if (time_take(time, WEIR_FIRST_SEEN, now_ns))
		return SYN_ANSWER;
	if (always && tier_fast(pkt, now_ns) >= WEIR_PROVEN)
		tier = WEIR_PROVEN;
	else
		tier = comes_again(ctx, pkt, seed, now_ns) ? WEIR_RETURNING : WEIR_FIRST_SEEN;
	if (tier != WEIR_FIRST_SEEN && time_take(time, tier, now_ns))
		return SYN_ANSWER;
	time_drop(time, now_ns);
	return SYN_DROP;
}

/* Global. Whether this core has time to look up a stranger's segment without SYN. */
__noinline int plan_ack(struct xdp_md *ctx, struct packet *pkt, __u64 seed, __u64 now_ns)
{
	struct weir_core_time *time = cpu_time();

	if (!pkt || !time || time_take_ack(time, WEIR_FIRST_SEEN, now_ns))
		return 1;
	if (comes_again(ctx, pkt, seed, now_ns) && time_take_ack(time, WEIR_RETURNING, now_ns))
		return 1;
	time_drop_ack(time, now_ns);
	return 0;
}

#endif
