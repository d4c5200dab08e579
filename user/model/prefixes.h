/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets of prefixes. A set keeps the families apart: as an entry of a list, ::/0 means all of IPv6
 * and does not cover IPv4.
 */
#ifndef WEIR_MODEL_PREFIXES_H
#define WEIR_MODEL_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

/*
 * A set, empty when zeroed. Some functions require it to be sorted (by prefixes_sort) or merged
 * (by prefixes_merge, which also sorts); their comments say so.
 */
struct prefixes {
	uint64_t *v4;		/* address << 8 | length, which sorts as prefix_cmp() does */
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

/* The prefix at @index, below prefixes_in(), of one family. */
static inline struct prefix prefixes_get(const struct prefixes *set, enum prefix_family family,
					 size_t index)
{
	if (family == PREFIX_V4)
		return prefix_v4(set->v4[index] >> 8, set->v4[index] & 255);
	return set->v6[index];
}

/* The prefix at @index, below prefixes_count(): first those of IPv4, then those of IPv6. */
static inline struct prefix prefixes_at(const struct prefixes *set, size_t index)
{
	if (index < set->v4_count)
		return prefixes_get(set, PREFIX_V4, index);
	return prefixes_get(set, PREFIX_V6, index - set->v4_count);
}

/* These four return 0, or -ENOMEM and leave the set as it was. */
int prefixes_add(struct prefixes *set, const struct prefix *prefix);
int prefixes_append(struct prefixes *set, const struct prefixes *more);
/* Sorts and removes duplicates; @duplicates (may be NULL) is set to the number removed. */
int prefixes_sort(struct prefixes *set, size_t *duplicates);
/*
 * Removes prefixes that another one covers, and replaces two halves by their whole. The result is
 * sorted, no prefix in it covers another, and it is the smallest set of prefixes that holds
 * exactly these addresses.
 */
int prefixes_merge(struct prefixes *set);

/* Frees the memory; the set is then empty. */
void prefixes_free(struct prefixes *set);

/* Whether the set is sorted and no prefix in it covers another. */
bool prefixes_are_disjoint(const struct prefixes *set);

/* Whether a sorted set holds exactly this prefix. */
bool prefixes_has(const struct prefixes *set, const struct prefix *prefix);
/* Whether a merged set holds every address of @prefix. */
bool prefixes_cover(const struct prefixes *set, const struct prefix *prefix);
/*
 * Whether a merged set holds any address of @prefix; if so, @which (may be NULL) is set to a
 * prefix of the set that holds one.
 */
bool prefixes_overlap(const struct prefixes *set, const struct prefix *prefix,
		      struct prefix *which);

/*
 * Compares two sorted sets: appends to @added the prefixes that only @to has, to @removed those
 * that only @from has, in order. Either may be NULL. Returns 0 or -ENOMEM.
 */
int prefixes_diff(const struct prefixes *from, const struct prefixes *to, struct prefixes *added,
		  struct prefixes *removed);

/*
 * A sorted set as words in host byte order, which an array map keeps: one word for each prefix of
 * IPv4 (address << 8 | length), then three for each of IPv6 (hi, lo, length). The caller keeps
 * both counts.
 */
#define PREFIXES_V6_WORDS	3
/* How many words prefixes_pack() writes. */
size_t prefixes_words(const struct prefixes *set);
void prefixes_pack(const struct prefixes *set, uint64_t *words);
/*
 * Appends the packed prefixes to @set. Returns 0, -ENOMEM, or -EINVAL for words that
 * prefixes_pack() cannot have written; on failure @set is as it was.
 */
int prefixes_unpack(struct prefixes *set, const uint64_t *words, size_t v4_count, size_t v6_count);

#endif
