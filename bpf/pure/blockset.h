/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block set: every prefix of every list, both families, in one array of
 * cache lines. The tool compiles it (user/blockset.c); this is the look-up.
 * Pure: also compiled into the tool and the tests.
 *
 * For the look-up, define WEIR_SET_LINE(set, index) before the include: a pointer
 * to that struct weir_line, or NULL when the index is out of range. A set that breaks
 * its own rules (a NULL line) blocks nobody.
 *
 *   line 0                head
 *   line 1 .. 8           IPv6: search tree over the prefix lengths in use
 *   line 9 ..             IPv4: one line per /16
 *   line 9 + 65536 ..     IPv6: filter, three bits of a line for the first 32 bits
 *   then, anywhere        IPv4 ranges and bitmaps, IPv6 buckets
 *
 * IPv4: a bit per /24, and the rank of that bit leads to what stands in the /24
 * (as in Poptrie, Asai and Ohara, SIGCOMM 2015): one range of hosts, or a bitmap
 * of the 256. An address costs one line when its /24 is clear, two or three when
 * it is not, whatever the number of prefixes.
 *
 * IPv6: binary search over the prefix lengths in use, with markers (Waldvogel,
 * Varghese, Turner, Plattner, SIGCOMM 1997). The union of the lists is stored,
 * so no stored prefix covers another, and a marker never leads astray: if a
 * marker of a longer prefix matches the address, no shorter prefix can. No
 * backtracking, at most 8 steps, four with a dozen lengths. The tree is stored
 * and not computed: what the verifier cannot know it need not follow, and all
 * rounds of the search look alike to it.
 */
#ifndef WEIR_BPF_PURE_BLOCKSET_H
#define WEIR_BPF_PURE_BLOCKSET_H

#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.h"

/* head */
#define WEIR_SET_SEED		0	/* word: of the IPv6 hash */
#define WEIR_SET_GENERATION	1	/* word */
#define WEIR_SET_V6_START	4	/* half: first bucket's line */
#define WEIR_SET_V6_MASK	5	/* half: buckets - 1 */
#define WEIR_SET_V6_LENGTHS	6	/* half: how many lengths are in use: tree nodes */
#define WEIR_SET_LINES		7	/* half: lines in all */
#define WEIR_SET_V4_PREFIXES	8	/* half: after merging */
#define WEIR_SET_V6_PREFIXES	9	/* half: after merging */

/*
 * A node of the tree, one half: prefix length | next node after a marker << 8 |
 * next node after a miss << 16. Node 0 is the root; next 0 ends the search.
 */
#define WEIR_SET_TREE_LINE	1
#define WEIR_SET_STEPS		8
#define WEIR_SET_V4_LINE	9
#define WEIR_SET_FILTER_LINE	(WEIR_SET_V4_LINE + 65536)
#define WEIR_SET_FILTER_BITS	22	/* 512 KiB: it should stay in the cache */
#define WEIR_SET_FILTER_LINES	(1U << (WEIR_SET_FILTER_BITS - 9))
#define WEIR_SET_FREE_LINE	(WEIR_SET_FILTER_LINE + WEIR_SET_FILTER_LINES)

/*
 * A /16's line: word 0..3 are the bits of its /24s; half 8 is the index, in
 * halves from the start of the array, of the first /24's content; byte 36..39
 * hold the set bits before each word; half 10 is 1 where the whole /16 is blocked.
 *
 * A /24's content, one half: first host | last host << 8, or with the top bit
 * set the index of a bitmap, in half lines from the start of the array.
 */
#define WEIR_SET_BASE		8
#define WEIR_SET_RANK		36
#define WEIR_SET_WHOLE		10
#define WEIR_SET_BITMAP		0x80000000U

/*
 * An IPv6 bucket: word 0..2 the upper halves of three addresses, word 3..5 the
 * lower, half 12..14 their tags, half 15 is 1 when a key of this bucket went to
 * the next. Tag: 0 free, else length << 1 | (blocked, not a mere marker) | USED.
 */
#define WEIR_SET_SLOTS		3
#define WEIR_SET_TAG		12
#define WEIR_SET_SPILLED	15
#define WEIR_SET_USED		0x80000000U
#define WEIR_SET_PROBES		8	/* buckets that a key may be away from home */

/* Bits set. BPF has no instruction for it. Hacker's Delight, 5-1. */
static __always_inline __u32 weir_popcount(__u64 x)
{
	x -= (x >> 1) & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (x * 0x0101010101010101ULL) >> 56;
}

static __always_inline __u32 weir_set_bucket(__u64 hi, __u64 lo, __u32 length, __u64 seed)
{
	return weir_mix(hi ^ weir_mix(lo ^ seed ^ length));
}

/*
 * The filter (Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom
 * filters", 2007): all bits of a key are in one line. With 250,000 different first
 * 32 bits it lets 0.4 % of the others through; one bit for each let 6 %.
 */
#define WEIR_SET_FILTER_KEYS	3

static __always_inline __u64 weir_set_filter_hash(__u32 top)
{
	return top * 0x9e3779b97f4a7c15ULL;
}

static __always_inline __u32 weir_set_filter_line(__u64 hash)
{
	return WEIR_SET_FILTER_LINE + (hash >> (64 - (WEIR_SET_FILTER_BITS - 9)));
}

/* @n: 0..WEIR_SET_FILTER_KEYS - 1. Bit 0..511 of the line. */
static __always_inline __u32 weir_set_filter_bit(__u64 hash, int n)
{
	return hash >> (24 + 9 * n) & 511;
}

#ifdef WEIR_SET_LINE

/* @addr: host order. */
static __always_inline int weir_set_has_v4(void *set, __u32 addr)
{
	__u32 net = addr >> 8 & 255, host = addr & 255, index, content, word;
	const struct weir_line *line = WEIR_SET_LINE(set, WEIR_SET_V4_LINE + (addr >> 16));
	__u64 bits;

	if (!line)
		return 0;
	if (line->half[WEIR_SET_WHOLE])
		return 1;
	bits = line->word[net >> 6];
	if (!(bits >> (net & 63) & 1))
		return 0;
	index = line->half[WEIR_SET_BASE] + line->byte[WEIR_SET_RANK + (net >> 6)] +
		weir_popcount(bits & ((1ULL << (net & 63)) - 1));

	line = WEIR_SET_LINE(set, index >> 4);
	if (!line)
		return 0;
	content = line->half[index & 15];
	if (!(content & WEIR_SET_BITMAP))
		return host >= (content & 255) && host <= (content >> 8 & 255);

	content &= ~WEIR_SET_BITMAP;
	line = WEIR_SET_LINE(set, content >> 1);
	if (!line)
		return 0;
	/* Linux 6.1 forgets the bounds of both operands of "or". */
	word = weir_opaque((content & 1) << 2 | host >> 6) & 7;
	return line->word[word] >> (host & 63) & 1;
}

/* The tag of a stored (prefix, length), 0 when it is not stored. */
static __always_inline __u32 weir_set_find(void *set, const struct weir_line *head, __u64 hi,
					   __u64 lo, __u32 length)
{
	__u32 home = weir_set_bucket(hi, lo, length, head->word[WEIR_SET_SEED]);
	__u32 mask = head->half[WEIR_SET_V6_MASK];
	const struct weir_line *line;

	for (__u32 probe = 0; probe < WEIR_SET_PROBES; probe++) {
		line = WEIR_SET_LINE(set, head->half[WEIR_SET_V6_START] + ((home + probe) & mask));
		if (!line)
			return 0;
		for (__u32 slot = 0; slot < WEIR_SET_SLOTS; slot++) {
			__u32 tag = line->half[WEIR_SET_TAG + slot];

			if (line->word[slot] == hi && line->word[3 + slot] == lo &&
			    (tag | 1) == (WEIR_SET_USED | length << 1 | 1))
				return tag;
		}
		if (!line->half[WEIR_SET_SPILLED])
			return 0;
	}
	return 0;
}

/* What the filter says: 0 is certain. @hi: the address's upper 64 bits as a number. */
static __always_inline int weir_set_maybe_v6(void *set, __u64 hi)
{
	__u64 hash = weir_set_filter_hash(hi >> 32);
	const struct weir_line *line = WEIR_SET_LINE(set, weir_set_filter_line(hash));

	if (!line)
		return 0;
	for (int n = 0; n < WEIR_SET_FILTER_KEYS; n++) {
		__u32 bit = weir_set_filter_bit(hash, n);

		if (!(line->word[bit >> 6] >> (bit & 63) & 1))
			return 0;
	}
	return 1;
}

/* Of an address that the filter lets through; @lo: its lower 64 bits. */
static __always_inline int weir_set_has_v6(void *set, __u64 hi, __u64 lo)
{
	const struct weir_line *line, *head = WEIR_SET_LINE(set, 0);
	__u32 node = 0;

	if (!head)
		return 0;
	if (!head->half[WEIR_SET_V6_LENGTHS])
		return 0;

	for (int step = 0; step < WEIR_SET_STEPS; step++) {
		__u64 key_hi = hi, key_lo = lo;
		__u32 tag;

		line = WEIR_SET_LINE(set, WEIR_SET_TREE_LINE + (node >> 4 & 7));
		if (!line)
			return 0;
		node = line->half[node & 15];
		weir_mask(&key_hi, &key_lo, node & 255);
		tag = weir_set_find(set, head, key_hi, key_lo, node & 255);
		if (tag & 1)
			return 1;
		node = tag ? node >> 8 & 255 : node >> 16 & 255;
		if (!node)
			return 0;
	}
	return 0;
}

#endif /* WEIR_SET_LINE */

#endif
