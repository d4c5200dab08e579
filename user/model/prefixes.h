/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of prefixes. */
#ifndef WEIR_MODEL_PREFIXES_H
#define WEIR_MODEL_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

/*
 * A set. Zeroed is empty. Some functions want it sorted (prefixes_sort) or
 * merged (prefixes_merge, which sorts): their comments say so.
 */
struct prefixes {
	uint64_t *v4; /* address << 8 | length: its order is prefix_cmp's */
	struct prefix *v6;
	size_t v4_count, v4_room;
	size_t v6_count, v6_room;
};

enum prefix_family { PREFIX_V4, PREFIX_V6 };

static inline size_t prefixes_in(const struct prefixes *set, enum prefix_family family)
{
	return family == PREFIX_V4 ? set->v4_count : set->v6_count;
}

static inline size_t prefixes_count(const struct prefixes *set)
{
	return set->v4_count + set->v6_count;
}

static inline struct prefix prefixes_get(const struct prefixes *set, enum prefix_family family,
					 size_t index)
{
	if (family == PREFIX_V4)
		return prefix_v4(set->v4[index] >> 8, set->v4[index] & 255);
	return set->v6[index];
}

/* All of a set by one index: first IPv4, then IPv6. */
static inline struct prefix prefixes_at(const struct prefixes *set, size_t index)
{
	if (index < set->v4_count)
		return prefixes_get(set, PREFIX_V4, index);
	return prefixes_get(set, PREFIX_V6, index - set->v4_count);
}

/* All these return 0 or -ENOMEM; the set is then as it was. */
int prefixes_add(struct prefixes *set, const struct prefix *prefix);
int prefixes_append(struct prefixes *set, const struct prefixes *more);
/* Sorts and drops what stands there twice; @duplicates (may be NULL): how many that were. */
int prefixes_sort(struct prefixes *set, size_t *duplicates);
/*
 * The union: what another prefix covers goes, and two halves become one whole.
 * The result is sorted, no prefix in it covers another, and it is the smallest
 * set of prefixes for these addresses.
 */
int prefixes_merge(struct prefixes *set);
void prefixes_free(struct prefixes *set);

/* Whether the set is sorted and no prefix in it covers another. */
bool prefixes_are_disjoint(const struct prefixes *set);

/* Of a sorted set: whether it holds this very prefix. */
bool prefixes_has(const struct prefixes *set, const struct prefix *prefix);
/* Of a merged set: whether it holds every address of @prefix. */
bool prefixes_cover(const struct prefixes *set, const struct prefix *prefix);
/* Of a merged set: whether it holds any address of @prefix; @which (may be NULL): one that does. */
bool prefixes_overlap(const struct prefixes *set, const struct prefix *prefix,
		      struct prefix *which);

/*
 * From one sorted set to another: adds to @added and @removed (either may be
 * NULL), in order. Returns 0 or -ENOMEM.
 */
int prefixes_diff(const struct prefixes *from, const struct prefixes *to, struct prefixes *added,
		  struct prefixes *removed);

/*
 * A sorted set in words, to be kept in an array map: IPv4 one word each
 * (address << 8 | length), then IPv6 three (hi, lo, length). The counts are the
 * caller's to keep.
 */
#define PREFIXES_V6_WORDS 3
size_t prefixes_words(const struct prefixes *set);
void prefixes_pack(const struct prefixes *set, uint64_t *words);
/* Adds to @set. -EINVAL for words that no sorted set packs to: @set is then as it was. */
int prefixes_unpack(struct prefixes *set, const uint64_t *words, size_t v4_count, size_t v6_count);

#endif
