/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line of the table of known sources (known.h), and the line of the Bloom filter in front of
 * it: whether a source is in it, and how it gets there. Pure.
 *
 * A line remembers seven sources, in one cache line: no chains, no eviction to wait for. Where it
 * is full, a new source takes the place of one that is not known yet; with a million known sources
 * in the 2^18 lines, 2 % of further ones find a line full of known sources and are not remembered.
 *
 * When two CPUs write one line at once, one of the writes is lost: a source becomes known a minute
 * later. Nothing else can go wrong: a key is one word, and a state that ends up beside another key
 * is the score of another source in the same line.
 */
#ifndef WEIR_BPF_PURE_KNOWN_LINE_H
#define WEIR_BPF_PURE_KNOWN_LINE_H

#include "bpf/pure/address.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.h"

#define KNOWN_BEFORE	(1ULL << WEIR_EPOCH_SHIFT)	/* minutes to the generation before */

/* A source is one IPv4 address or one IPv6 /64. */
static __always_inline __u64 known_key(__u64 hi, __u64 lo)
{
	return hi ? hi : lo;
}

/*
 * Whether the key is that of this source alone. Not so for link-local addresses, which share a
 * /64, for ::/64, and for hosts without an address: these are never known.
 */
static __always_inline int has_known_key(__u64 hi, __u64 lo)
{
	return hi ? !is_link_local(hi) : is_mapped(hi, lo) && !is_unspecified(hi, lo);
}

/* Whether a key stands for an IPv4 address, or for a /64 of 0:ffff::/32, which is not in use. */
static __always_inline int known_key_is_v4(__u64 key)
{
	return key >> 32 == 0xffff;
}

/*
 * Minutes of uptime, counted from the second generation on, so that there always is a previous
 * one. The epoch of a line is the number of its generation, cut to a byte.
 */
static __always_inline __u64 known_minute(__u64 now_ns, __u32 minute_shift)
{
	return (now_ns >> minute_shift) + (1 << WEIR_EPOCH_SHIFT);
}

static __always_inline __u8 known_epoch(__u64 minute)
{
	return minute >> WEIR_EPOCH_SHIFT;
}

static __always_inline __u64 known_hash(__u64 key, __u64 seed)
{
	return weir_mix(key ^ seed);
}

/* The index of a line, by @minute: its two generations lie side by side. */
static __always_inline __u32 known_index(__u64 hash, __u64 minute)
{
	__u32 line = hash >> 32 & (WEIR_KNOWN_LINES - 1);

	return line * 2 + (minute >> WEIR_EPOCH_SHIFT & 1);
}

static __always_inline __u32 filter_index(__u64 hash)
{
	return hash & (WEIR_FILTER_LINES - 1);
}

/* Bit @n (0 or 1) of a key, below WEIR_FILTER_BITS, from eight bits that no index uses. */
static __always_inline __u32 filter_bit(__u64 hash, int n)
{
	return ((hash >> (n ? 50 : 15)) & 0xff) * WEIR_FILTER_BITS >> 8;
}

/* Whether the key may be known: false positives are possible, false negatives are not. */
static __always_inline int filter_has(const struct weir_filter_line *line, __u64 hash, __u64 minute)
{
	__u32 side = minute >> WEIR_EPOCH_SHIFT & 1;
	__u32 a = filter_bit(hash, 0), b = filter_bit(hash, 1);

	return line->epoch[side] == known_epoch(minute) &&
	       line->bits[side][a >> 6 & 3] >> (a & 63) & 1 &&
	       line->bits[side][b >> 6 & 3] >> (b & 63) & 1;
}

/*
 * Notes a key that is known. Two CPUs that both find a line of an old epoch may each clear what
 * the other noted; the source is noted again when it is seen in another minute.
 */
static __always_inline void filter_note(struct weir_filter_line *line, __u64 hash, __u64 minute)
{
	__u32 side = minute >> WEIR_EPOCH_SHIFT & 1;
	__u8 epoch = known_epoch(minute);

	if (line->epoch[side] != epoch) {
		for (int i = 0; i < WEIR_FILTER_BITS / 64; i++)
			line->bits[side][i] = 0;
		line->epoch[side] = epoch;
	}
	for (int n = 0; n < 2; n++) {
		__u32 bit = filter_bit(hash, n), word = bit >> 6 & 3;

		if (!(line->bits[side][word] >> (bit & 63) & 1))
			__sync_fetch_and_or(&line->bits[side][word], 1ULL << (bit & 63));
	}
}

/* The score of @key, or -1 if it is not in the line. */
static __always_inline int known_score(const struct weir_known_line *line, __u8 epoch, __u64 key)
{
	if (line->epoch != epoch)
		return -1;
	for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (line->key[i] == key)
			return line->state[i] & 15;
	return -1;
}

/* The slot that @key has or may take; WEIR_KNOWN_SLOTS: the line is full of known sources. */
static __always_inline __u32 known_slot(const struct weir_known_line *line, __u64 key)
{
	__u32 slot = WEIR_KNOWN_SLOTS, least = WEIR_KNOWN_SCORE;

	for (__u32 i = 0; i < WEIR_KNOWN_SLOTS; i++) {
		__u32 score = line->key[i] ? line->state[i] & 15 : 0;

		if (line->key[i] == key)
			return i;
		if (score < least) {
			least = score;
			slot = i;
		}
	}
	return slot;
}

/*
 * Notes that @key was seen and returns its new score, or -1 if there is no room. @least: the score
 * of the previous generation or of an import, -1 if there is none. @good: the source kept to its
 * limit.
 */
static __always_inline int known_note(struct weir_known_line *line, __u64 key, __u64 minute,
				      int least, int good)
{
	__u8 mark = (minute & 15) << 4, epoch = known_epoch(minute);
	int score, fresh;
	__u32 slot;

	if (line->epoch != epoch) {
		for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
			line->key[i] = 0;
		line->epoch = epoch;
	}
	slot = known_slot(line, key);
	if (slot >= WEIR_KNOWN_SLOTS)
		return -1;
	fresh = line->key[slot] != key;
	if (!fresh && good && (line->state[slot] & 0xf0) == mark && least < 0)
		return line->state[slot] & 15;
	score = fresh ? 0 : line->state[slot] & 15;
	if (fresh || (line->state[slot] & 0xf0) != mark)
		score++;
	if (score < least)
		score = least;
	if (score > WEIR_KNOWN_SCORE)
		score = WEIR_KNOWN_SCORE;
	if (!good && (fresh ? least : line->state[slot] & 15) < WEIR_KNOWN_SCORE)
		score = 0;
	line->key[slot] = key;
	line->state[slot] = mark | score;
	return score;
}

#endif
