/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block set: every prefix of every list, both families, in one array of cache lines. The tool
 * compiles it (user/model/blockset.c); this is the look-up. Pure.
 *
 * Before including this header for the look-up, define WEIR_SET_LINE(set, index): a pointer to
 * that line, or NULL if the index is out of range. A set that breaks its own rules (a NULL line)
 * blocks nothing.
 *
 *   line 0                set_head
 *   line 1 .. 8           set_tree: IPv6, a search tree over the prefix lengths in use
 *   line 9 ..             set_v4_line: IPv4, one line for each /16
 *   line 9 + 65536 ..     set_filter: IPv6, three bits of a line for the first 32 bits
 *   then, anywhere        set_contents and set_bitmaps for IPv4, set_v6_bucket
 *
 * IPv4: a bit for each /24, and the rank of that bit leads to what stands in the /24 (as in
 * Poptrie, Asai and Ohara, SIGCOMM 2015): one range of hosts, or a bitmap of the 256. A look-up
 * costs one line when the address's /24 is clear, two or three when it is not, whatever the number
 * of prefixes.
 *
 * IPv6: binary search over the prefix lengths in use, with markers (Waldvogel, Varghese, Turner,
 * Plattner, SIGCOMM 1997). The set is the union of the lists, so no stored prefix covers another,
 * and a marker never leads astray: if the marker of a longer prefix matches the address, no
 * shorter prefix can. So there is no backtracking, and at most 8 steps, four with a dozen lengths.
 * The tree is stored and not computed: the verifier does not follow what it cannot know, and all
 * rounds of the search look alike to it.
 */
#ifndef WEIR_BPF_PURE_BLOCKSET_H
#define WEIR_BPF_PURE_BLOCKSET_H

#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.h"

/* ---- lines ---- */

#define WEIR_SET_TREE_LINE	1
#define WEIR_SET_STEPS		8
#define WEIR_SET_V4_LINE	9
#define WEIR_SET_FILTER_LINE	(WEIR_SET_V4_LINE + 65536)
#define WEIR_SET_FILTER_BITS	22	/* 512 KiB: it should stay in the cache */
#define WEIR_SET_FILTER_LINES	(1U << (WEIR_SET_FILTER_BITS - 9))
#define WEIR_SET_FREE_LINE	(WEIR_SET_FILTER_LINE + WEIR_SET_FILTER_LINES)

struct set_head {
	__u64 seed;		/* of the IPv6 hash */
	__u64 generation;
	__u32 v6_start;		/* line of the first bucket */
	__u32 v6_mask;		/* buckets - 1 */
	__u32 v6_lengths;	/* prefix lengths in use: nodes of the tree */
	__u32 lines;		/* in all */
	__u32 v4_prefixes;	/* after merging */
	__u32 v6_prefixes;
	__u32 pad[6];
};

/*
 * Nodes of the tree: prefix length | next node after a marker << 8 | next node after a miss << 16.
 * Node 0 of the first line is the root; next node 0 ends the search.
 */
struct set_tree {
	__u32 node[16];
};

struct set_v4_line {
	__u64 nets[4];		/* a bit for each /24 */
	__u32 base;		/* index of the first /24's content, over all set_contents */
	__u8  rank[4];		/* bits set before each word of @nets */
	__u32 whole;		/* 1: the whole /16 is blocked */
	__u32 pad[5];
};

/*
 * What stands in /24s: first host | last host << 8, or WEIR_SET_BITMAP | index of a bitmap, over
 * all set_bitmaps. Both indices count from the start of the array.
 */
#define WEIR_SET_BITMAP		0x80000000U
struct set_contents {
	__u32 content[16];
};

/* Two bitmaps of 256 hosts. */
struct set_bitmaps {
	__u64 hosts[8];
};

struct set_filter {
	__u64 bits[8];
};

#define WEIR_SET_SLOTS		3
#define WEIR_SET_PROBES		8	/* buckets that a key may be away from home */
#define WEIR_SET_USED		0x80000000U
struct set_v6_bucket {
	__u64 hi[WEIR_SET_SLOTS], lo[WEIR_SET_SLOTS];
	/* 0: free; or WEIR_SET_USED | length << 1 | 1 if it is blocked, and no mere marker */
	__u32 tag[WEIR_SET_SLOTS];
	__u32 spilled;		/* 1: a key of this bucket went to the next */
};

_Static_assert(sizeof(struct set_head) == sizeof(struct weir_line), "block set: head");
_Static_assert(sizeof(struct set_tree) == sizeof(struct weir_line), "block set: tree");
_Static_assert(sizeof(struct set_v4_line) == sizeof(struct weir_line), "block set: IPv4");
_Static_assert(sizeof(struct set_contents) == sizeof(struct weir_line), "block set: contents");
_Static_assert(sizeof(struct set_bitmaps) == sizeof(struct weir_line), "block set: bitmaps");
_Static_assert(sizeof(struct set_filter) == sizeof(struct weir_line), "block set: filter");
_Static_assert(sizeof(struct set_v6_bucket) == sizeof(struct weir_line), "block set: bucket");

/* ---- arithmetic ---- */

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
 * The filter (Putze, Sanders and Singler, "Cache-, hash- and space-efficient Bloom filters",
 * 2007): all bits of a key are in one line. With 250,000 different first 32 bits, 0.4 % of the
 * others pass it; with one bit for each, 6 % did.
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

/* ---- look-up ---- */

/* @addr: host order. */
static __always_inline int weir_set_has_v4(void *set, __u32 addr)
{
	__u32 net = addr >> 8 & 255, host = addr & 255, index, content, word;
	const struct set_v4_line *line = WEIR_SET_LINE(set, WEIR_SET_V4_LINE + (addr >> 16));
	const struct set_contents *contents;
	const struct set_bitmaps *bitmaps;
	__u64 bits;

	if (!line)
		return 0;
	if (line->whole)
		return 1;
	bits = line->nets[net >> 6];
	if (!(bits >> (net & 63) & 1))
		return 0;
	index = line->base + line->rank[net >> 6] +
		weir_popcount(bits & ((1ULL << (net & 63)) - 1));

	contents = WEIR_SET_LINE(set, index >> 4);
	if (!contents)
		return 0;
	content = contents->content[index & 15];
	if (!(content & WEIR_SET_BITMAP))
		return host >= (content & 255) && host <= (content >> 8 & 255);

	content &= ~WEIR_SET_BITMAP;
	bitmaps = WEIR_SET_LINE(set, content >> 1);
	if (!bitmaps)
		return 0;
	/* Linux 6.1 forgets the bounds of both operands of "or": the mask states them anew. */
	word = weir_opaque((content & 1) << 2 | host >> 6) & 7;
	return bitmaps->hosts[word] >> (host & 63) & 1;
}

/* The tag of a stored (prefix, length), 0 if it is not stored. */
static __always_inline __u32 weir_set_find(void *set, const struct set_head *head, __u64 hi,
					   __u64 lo, __u32 length)
{
	__u32 home = weir_set_bucket(hi, lo, length, head->seed);
	__u32 mask = head->v6_mask;
	const struct set_v6_bucket *bucket;

	for (__u32 probe = 0; probe < WEIR_SET_PROBES; probe++) {
		bucket = WEIR_SET_LINE(set, head->v6_start + ((home + probe) & mask));
		if (!bucket)
			return 0;
		for (__u32 slot = 0; slot < WEIR_SET_SLOTS; slot++) {
			__u32 tag = bucket->tag[slot];

			if (bucket->hi[slot] == hi && bucket->lo[slot] == lo &&
			    (tag | 1) == (WEIR_SET_USED | length << 1 | 1))
				return tag;
		}
		if (!bucket->spilled)
			return 0;
	}
	return 0;
}

/*
 * Whether the filter lets an address pass: 0 is certain. @hi: the upper 64 bits of the address, as
 * a number.
 */
static __always_inline int weir_set_maybe_v6(void *set, __u64 hi)
{
	__u64 hash = weir_set_filter_hash(hi >> 32);
	const struct set_filter *line = WEIR_SET_LINE(set, weir_set_filter_line(hash));

	if (!line)
		return 0;
	for (int n = 0; n < WEIR_SET_FILTER_KEYS; n++) {
		__u32 bit = weir_set_filter_bit(hash, n);

		if (!(line->bits[bit >> 6] >> (bit & 63) & 1))
			return 0;
	}
	return 1;
}

/* Of an address that the filter lets pass; @lo: its lower 64 bits. */
static __always_inline int weir_set_has_v6(void *set, __u64 hi, __u64 lo)
{
	const struct set_head *head = WEIR_SET_LINE(set, 0);
	const struct set_tree *tree;
	__u32 node = 0;

	if (!head)
		return 0;
	if (!head->v6_lengths)
		return 0;

	for (int step = 0; step < WEIR_SET_STEPS; step++) {
		__u64 key_hi = hi, key_lo = lo;
		__u32 tag;

		tree = WEIR_SET_LINE(set, WEIR_SET_TREE_LINE + (node >> 4 & 7));
		if (!tree)
			return 0;
		node = tree->node[node & 15];
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
