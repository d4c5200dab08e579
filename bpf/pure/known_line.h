/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line of the table of known sources (known.h), and the line of the Bloom filter in front of
 * it: whether a source is in it, and how it gets there. Pure.
 *
 * A line remembers seven sources, in one cache line: no chains, no eviction to wait for. Where it
 * is full, a source takes the place of one whose evidence is easier to forge: one without proof
 * displaces only those that are not known yet, one with proof all that have none. With a million
 * proven sources in the 2^18 lines, 2 % of further ones find a line full of proven sources and are
 * not remembered, unless one network has several places in the line: it then gives one of them up.
 * So no single network can fill the table, even one of IPv6 with a million /64s whose host completes
 * a handshake from each.
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
 * /64, for ::/64, for 0:ffff::/32, whose keys are those of IPv4, and for hosts without an address:
 * these are never known.
 */
static __always_inline int has_known_key(__u64 hi, __u64 lo)
{
	return hi ? !is_link_local(hi) && hi >> 32 != MAPPED_TOP :
		    is_mapped(hi, lo) && !is_unspecified(hi, lo);
}

/* Whether a key of has_known_key() stands for an IPv4 address. */
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

/* The rank of @key, or -1 if it is not in the line. */
static __always_inline int known_rank(const struct weir_known_line *line, __u8 epoch, __u64 key)
{
	if (line->epoch != epoch)
		return -1;
	for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (line->key[i] == key)
			return line->state[i] & 15;
	return -1;
}

/*
 * The tier of a source with these ranks in its line of this generation and of the one before, -1
 * where it is not in it. Proof counts until the generation after the one in which it was given.
 */
static __always_inline enum weir_tier known_tier(int rank, int before)
{
	int proof = (rank < 0 ? 0 : rank) | (before < 0 ? 0 : before);

	if (proof & WEIR_RANK_LONG)
		return WEIR_LONG;
	if (proof & WEIR_RANK_PROVEN)
		return WEIR_PROVEN;
	rank = rank < 0 ? before : rank;
	return rank >= WEIR_KNOWN_SCORE ? WEIR_SEEN : WEIR_FIRST_SEEN;
}

/*
 * How a source was seen: over its limit, within it, with a connection under pressure, or with proof
 * that it is there. A connection under pressure makes it known at once, and no more: were it proven,
 * a crowd that comes with the flood would be the equal of those that came before it.
 */
enum known_how { KNOWN_BAD, KNOWN_GOOD, KNOWN_CONNECTED, KNOWN_PROOF };

/*
 * The slot that @key has or may take: a free one, or that of another source whose rank is below
 * @strength. WEIR_KNOWN_SLOTS: there is none.
 */
static __always_inline __u32 known_slot(const struct weir_known_line *line, __u64 key, int strength)
{
	__u32 slot = WEIR_KNOWN_SLOTS;
	int least = strength;

	for (__u32 i = 0; i < WEIR_KNOWN_SLOTS; i++) {
		int rank = line->key[i] ? line->state[i] & 15 : -1;

		if (line->key[i] == key)
			return i;
		if (rank < least) {
			least = rank;
			slot = i;
		}
	}
	return slot;
}

/* What counts as one network here: an IPv4 /16, an IPv6 /32. */
static __always_inline __u32 known_network(__u64 key)
{
	return known_key_is_v4(key) ? 0xffff0000U | (key >> 16 & 0xffff) : key >> 32;
}

/*
 * Before a proven @key is noted: if the line has no room, a network with several places gives one
 * up. That is the network of @key itself, if it has any.
 */
static __always_inline void known_make_room(struct weir_known_line *line, __u64 key, __u8 epoch)
{
	__u32 place = WEIR_KNOWN_SLOTS;

	if (line->epoch != epoch || known_slot(line, key, WEIR_RANK_PROVEN) < WEIR_KNOWN_SLOTS)
		return;
	weir_forget();
	for (__u32 i = 0; i < WEIR_KNOWN_SLOTS; i++) {
		__u32 network = known_network(line->key[i]);

		for (__u32 j = i + 1; j < WEIR_KNOWN_SLOTS; j++)
			if (known_network(line->key[j]) == network)
				place = i;
	}
	weir_forget();
	for (__u32 i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (known_network(line->key[i]) == known_network(key))
			place = i;
	for (__u32 i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (i == place)
			line->key[i] = 0;
}

/* The score after a source was seen. @was: -1 if it is new; @before: of the last generation. */
static __always_inline int known_score(int was, int before, int new_minute, int how)
{
	int score = was < 0 ? 0 : was & WEIR_KNOWN_SCORE;
	int least = before < 0 ? 0 : before & WEIR_KNOWN_SCORE;

	if (how == KNOWN_CONNECTED)
		return WEIR_KNOWN_SCORE;
	if (how == KNOWN_BAD && (was < 0 ? least : score) < WEIR_KNOWN_SCORE)
		return 0;
	if (new_minute && score < WEIR_KNOWN_SCORE)
		score++;
	return score < least ? least : score;
}

#define KNOWN_ROSE	16	/* with the rank: the source became known just now, without proof */

/*
 * Notes that @key was seen and returns its new rank, with KNOWN_ROSE where that is so, or -1 if
 * there is no room. @before: its rank in the generation before or by an import, -1 if there is
 * none.
 */
static __always_inline int known_note(struct weir_known_line *line, __u64 key, __u64 minute,
				      int before, enum known_how how)
{
	int strength = how != KNOWN_PROOF ? WEIR_KNOWN_SCORE :
		       before >= WEIR_RANK_PROVEN ? WEIR_RANK_LONG : WEIR_RANK_PROVEN;
	__u8 mark = (minute & 15) << 4, epoch = known_epoch(minute);
	int was, rank, fresh_minute;
	__u32 slot;

	if (line->epoch != epoch) {
		for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
			line->key[i] = 0;
		line->epoch = epoch;
	}
	slot = known_slot(line, key, strength);
	if (slot >= WEIR_KNOWN_SLOTS)
		return -1;
	was = line->key[slot] == key ? line->state[slot] & 15 : -1;
	fresh_minute = was < 0 || (line->state[slot] & 0xf0) != mark;
	rank = known_score(was, before, fresh_minute, how);
	if (was >= 0)
		rank |= was & ~WEIR_KNOWN_SCORE;
	if (how == KNOWN_PROOF)
		rank |= before >= WEIR_RANK_PROVEN ? WEIR_RANK_LONG | WEIR_RANK_PROVEN :
						     WEIR_RANK_PROVEN;
	if (!fresh_minute && rank == was)
		return rank;
	line->key[slot] = key;
	line->state[slot] = mark | rank;
	if (how != KNOWN_CONNECTED && rank == WEIR_KNOWN_SCORE && was < WEIR_KNOWN_SCORE &&
	    before < WEIR_KNOWN_SCORE)
		rank |= KNOWN_ROSE;
	return rank;
}

/* Takes back that a source became known without proof: it needs one more minute. */
static __always_inline void known_put_off(struct weir_known_line *line, __u64 key)
{
	for (int i = 0; i < WEIR_KNOWN_SLOTS; i++)
		if (line->key[i] == key && (line->state[i] & 15) == WEIR_KNOWN_SCORE)
			line->state[i]--;
}

#endif
