/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SYNs that come again: a Bloom filter of one line a SYN for each of the last four periods of
 * 1.07 s, so that a SYN is remembered for at least 3.2 s. False positives: 1 in 35 at a million
 * drops a second, 1 in 4 at four million; those SYNs are answered. When two CPUs write one line
 * at once, a bit may be lost: that SYN has to come once more. Pure.
 */
#ifndef WEIR_BPF_PURE_ASKED_H
#define WEIR_BPF_PURE_ASKED_H

#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

#define ASKED_TIME_SHIFT	30	/* a period is 2^30 ns */

static __always_inline __u32 asked_index(__u64 hash)
{
	return hash & (WEIR_ASKED_LINES - 1);
}

/* Bit @n (0 or 1) of a SYN, from eight bits of the hash that the index does not use. */
static __always_inline __u32 asked_bit(__u64 hash, int n)
{
	return (hash >> (n ? 32 : 24) & 0xff) * WEIR_ASKED_BITS >> 8;
}

/* Notes the SYN of this hash; returns whether it was noted in the last seconds already. */
static __always_inline int asked_before(struct weir_asked_line *line, __u64 hash, __u64 now_ns)
{
	__u32 now = now_ns >> ASKED_TIME_SHIFT, period = now & (WEIR_ASKED_TIMES - 1);
	__u32 a = asked_bit(hash, 0), b = asked_bit(hash, 1);
	int found = 0;

	if (line->time[period] != now) {
		for (int i = 0; i < WEIR_ASKED_BITS / 32; i++)
			line->bits[period][i] = 0;
		line->time[period] = now;
	}
	for (int i = 0; i < WEIR_ASKED_TIMES; i++)
		found |= now - line->time[i] < WEIR_ASKED_TIMES &&
			 line->bits[i][a >> 5 & 3] >> (a & 31) &
			 line->bits[i][b >> 5 & 3] >> (b & 31) & 1;
	line->bits[period][a >> 5 & 3] |= 1U << (a & 31);
	line->bits[period][b >> 5 & 3] |= 1U << (b & 31);
	return found;
}

#endif
