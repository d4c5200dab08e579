/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is known: sources that were seen to behave in calm times. Under a
 * distributed flood they go first.
 *
 * A source becomes known when it was seen in WEIR_KNOWN_SCORE different
 * minutes and kept to its limit; going over it on the way starts it anew. Who is
 * known stays so when he goes over it: anybody could send that in his name, and his
 * limit holds it. Two generations of the table take turns every 19.5 hours: who is still
 * there when they do is carried over, who is not is forgotten with the generation
 * after. A line of an older epoch counts as empty, so nothing has to be cleared.
 *
 * One line of eight words is one look-up: no chains, no eviction to wait for.
 * Where seven sources of a line are remembered, a new one takes the place of
 * one that is not known yet; with a million known sources in the 2^18 lines 2 % find
 * their line full of known ones, and are not remembered. In front of it stands a Bloom
 * filter of who is known, small enough for the cache: 0.1 % of strangers get past it with
 * 100,000 known sources, 9 % with a million.
 *
 * Two CPUs may write one line at once, and one of them is then lost: a source
 * is known a minute later. Nothing is corrupted: a key is one word, and a state
 * that ended up beside another key is a score of somebody seen in the same line.
 *
 * Pure, but for the line itself: also compiled into the tool and the tests.
 */
#ifndef WEIR_BPF_KNOWN_H
#define WEIR_BPF_KNOWN_H

#include "bpf/pure/hash.h"
#include "bpf/weir.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define KNOWN_BEFORE	(1ULL << WEIR_EPOCH_SHIFT)	/* minutes to the generation before */

/* One source is one IPv4 address or one IPv6 /64. */
static __always_inline __u64 known_key(__u64 hi, __u64 lo)
{
	return hi ? hi : lo;
}

/* Whether a key stands for an IPv4 address, or for a /64 of 0:ffff::/32, which nobody has. */
static __always_inline int known_key_is_v4(__u64 key)
{
	return key >> 32 == 0xffff;
}

/*
 * Minutes of uptime, from the second generation on, so that there is one
 * before. The lines' epoch is a generation's number, cut to a byte.
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

/* The two generations of a line lie side by side. @minute: tells which one. */
static __always_inline __u32 known_index(__u64 hash, __u64 minute)
{
	__u32 line = hash >> 32 & (WEIR_KNOWN_LINES - 1);

	return line * 2 + (minute >> WEIR_EPOCH_SHIFT & 1);
}

static __always_inline __u32 filter_index(__u64 hash)
{
	return hash & (WEIR_FILTER_LINES - 1);
}

/* @n: 0 or 1. Eight bits of the hash that no index uses, as 0..WEIR_FILTER_BITS - 1. */
static __always_inline __u32 filter_bit(__u64 hash, int n)
{
	return ((hash >> (n ? 50 : 15)) & 0xff) * WEIR_FILTER_BITS >> 8;
}

/* 0 is certain. */
static __always_inline int filter_has(const struct weir_filter_line *line, __u64 hash, __u64 minute)
{
	__u32 side = minute >> WEIR_EPOCH_SHIFT & 1, a = filter_bit(hash, 0), b = filter_bit(hash, 1);

	return line->epoch[side] == known_epoch(minute) &&
	       line->bits[side][a >> 6 & 3] >> (a & 63) & 1 &&
	       line->bits[side][b >> 6 & 3] >> (b & 63) & 1;
}

/*
 * For a key that is known. Two CPUs that find the line of an old epoch may each forget what
 * the other noted; it is noted again when its source is next seen in another minute.
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

/* The score of @key, or -1 where it is not remembered. */
static __always_inline int known_score(const struct weir_known_line *line, __u8 epoch, __u64 key)
{
	if (line->epoch != epoch)
		return -1;
	for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (line->key[i] == key)
			return line->state[i] & 15;
	return -1;
}

/* The slot that @key has, or may take; WEIR_KNOWN_SLOTS: none. */
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
 * Notes that @key was seen, and returns the score that it has then; -1: there is no
 * room. @least: the score that it brings from the generation before, or from an import;
 * -1: none. @good: it kept to its limit.
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

#ifdef __bpf__

#define CALM_AFTER_NS		10000000000LL

static __always_inline __u64 hash_of(__u64 key)
{
	__u32 zero = 0;
	struct weir_meta *own = bpf_map_lookup_elem(&meta, &zero);

	return known_hash(key, own ? own->seed : 0);
}

static __always_inline struct weir_known_line *line_of(__u64 hash, __u64 minute)
{
	__u32 index = known_index(hash, minute);

	return bpf_map_lookup_elem(&known, &index);
}

static __always_inline int score_at(__u64 key, __u64 hash, __u64 minute)
{
	struct weir_known_line *line = line_of(hash, minute);

	return line ? known_score(line, known_epoch(minute), key) : -1;
}

static __always_inline int may_be_known(const struct packet *pkt, __u64 now_ns)
{
	__u64 hash = hash_of(known_key(pkt->hi, pkt->lo)), minute = known_minute(now_ns, minute_shift);
	__u32 index = filter_index(hash);
	struct weir_filter_line *filter = bpf_map_lookup_elem(&known_filter, &index);

	return filter && (filter_has(filter, hash, minute) ||
			  filter_has(filter, hash, minute - KNOWN_BEFORE));
}

/* Global, for the verifier's sake. Of this generation, or else of the one before. */
__noinline int score_of(__u64 key, __u64 minute)
{
	__u64 hash = hash_of(key);
	int score = score_at(key, hash, minute);

	return score < 0 ? score_at(key, hash, minute - KNOWN_BEFORE) : score;
}

static __always_inline int is_known(const struct packet *pkt, __u64 now_ns)
{
	return score_of(known_key(pkt->hi, pkt->lo), known_minute(now_ns, minute_shift)) >=
	       WEIR_KNOWN_SCORE;
}

/* The same, for who is most often a stranger: the filter first, for it is in the cache. */
static __always_inline int knows(const struct packet *pkt, __u64 now_ns)
{
	return may_be_known(pkt, now_ns) && is_known(pkt, now_ns);
}

/* Global: what it has on the stack is not on that of the deepest calls. */
__noinline int note_in_filter(__u64 hash, __u64 minute)
{
	__u32 index = filter_index(hash);
	struct weir_filter_line *filter = bpf_map_lookup_elem(&known_filter, &index);

	if (filter)
		filter_note(filter, hash, minute);
	return 0;
}

/* See known_note(). */
static __always_inline void remember(struct weir_known_line *line, __u64 key, __u64 hash,
				     __u64 minute, int least, int good)
{
	if (known_note(line, key, minute, least, good) >= WEIR_KNOWN_SCORE)
		note_in_filter(hash, minute);
}

/*
 * Global. Called for one packet in many: remembers who behaves, in calm times,
 * which are those in which no budget has turned anybody away for ten seconds.
 */
__noinline int learn(struct packet *pkt, int good, __u64 now_ns)
{
	__u64 minute = known_minute(now_ns, minute_shift), key, hash;
	struct weir_budget_state *all;
	struct weir_known_line *line;
	__u32 zero = 0;
	int before = -1;

	all = bpf_map_lookup_elem(&budgets, &zero);
	if (!pkt || !all)
		return 0;
	if (all->pressed_ns && (__s64)(now_ns - all->pressed_ns) < CALM_AFTER_NS)
		return 0;
	key = known_key(pkt->hi, pkt->lo);
	hash = hash_of(key);
	line = line_of(hash, minute);
	if (!line)
		return 0;
	if (known_score(line, known_epoch(minute), key) < 0)
		before = score_at(key, hash, minute - KNOWN_BEFORE);
	remember(line, key, hash, minute, before, good);
	return 0;
}

#endif /* __bpf__ */

#endif
