// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/prefixes.h"

/*
 * Makes room for @more prefixes of a family. Doubling the room keeps the mean cost of an addition
 * constant.
 */
static int reserve(struct prefixes *set, enum prefix_family family, size_t more)
{
	size_t *room = family == PREFIX_V4 ? &set->v4_room : &set->v6_room;
	size_t size = family == PREFIX_V4 ? sizeof(*set->v4) : sizeof(*set->v6);
	size_t count = prefixes_in(set, family), wanted;
	void *grown;

	if (more <= *room - count)
		return 0;
	wanted = *room < 32 ? 64 : *room * 2;
	if (wanted < count + more)
		wanted = count + more;
	grown = reallocarray(family == PREFIX_V4 ? (void *)set->v4 : set->v6, wanted, size);
	if (!grown)
		return -ENOMEM;
	if (family == PREFIX_V4)
		set->v4 = grown;
	else
		set->v6 = grown;
	*room = wanted;
	return 0;
}

/* Stores @prefix at @index, from where prefixes_get() reads it. */
static void put(struct prefixes *set, enum prefix_family family, size_t index,
		const struct prefix *prefix)
{
	if (family == PREFIX_V4)
		set->v4[index] = (prefix->lo & 0xffffffff) << 8 | (prefix->length - 96);
	else
		set->v6[index] = *prefix;
}

int prefixes_add(struct prefixes *set, const struct prefix *prefix)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;

	if (reserve(set, family, 1))
		return -ENOMEM;
	put(set, family, family == PREFIX_V4 ? set->v4_count++ : set->v6_count++, prefix);
	return 0;
}

int prefixes_append(struct prefixes *set, const struct prefixes *more)
{
	if (reserve(set, PREFIX_V4, more->v4_count) || reserve(set, PREFIX_V6, more->v6_count))
		return -ENOMEM;
	if (more->v4_count)
		memcpy(set->v4 + set->v4_count, more->v4, more->v4_count * sizeof(*set->v4));
	if (more->v6_count)
		memcpy(set->v6 + set->v6_count, more->v6, more->v6_count * sizeof(*set->v6));
	set->v4_count += more->v4_count;
	set->v6_count += more->v6_count;
	return 0;
}

void prefixes_free(struct prefixes *set)
{
	free(set->v4);
	free(set->v6);
	*set = (struct prefixes){ 0 };
}

/*
 * Radix sort, least significant digit first (Knuth, TAOCP 3, 5.2.5). The 40 bits of a prefix are
 * four digits; as that is an even number of passes, the result ends up in the first array. It is
 * linear in the number of prefixes.
 */
#define RADIX_BITS	10
#define RADIX_DIGITS	4

static size_t digit_of(uint64_t word, int digit)
{
	return word >> digit * RADIX_BITS & ((1 << RADIX_BITS) - 1);
}

/* Returns 0 or -ENOMEM; the array is then as it was. */
static int sort_v4(uint64_t *word, size_t count)
{
	size_t place[RADIX_DIGITS][1 << RADIX_BITS] = { 0 };
	uint64_t *from = word, *to, *spare;

	to = spare = reallocarray(NULL, count, sizeof(*word));
	if (!spare)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (int digit = 0; digit < RADIX_DIGITS; digit++)
			place[digit][digit_of(word[i], digit)]++;
	for (int digit = 0; digit < RADIX_DIGITS; digit++) {
		size_t next = 0, here;

		for (int i = 0; i < 1 << RADIX_BITS; i++) {
			here = place[digit][i];
			place[digit][i] = next;
			next += here;
		}
		for (size_t i = 0; i < count; i++)
			to[place[digit][digit_of(from[i], digit)]++] = from[i];
		spare = from;
		from = to;
		to = spare;
	}
	free(to);
	return 0;
}

static int cmp_v6(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static bool is_sorted(const struct prefixes *set, enum prefix_family family)
{
	struct prefix last, next;

	for (size_t i = 1; i < prefixes_in(set, family); i++) {
		last = prefixes_get(set, family, i - 1);
		next = prefixes_get(set, family, i);
		if (prefix_cmp(&last, &next) > 0)
			return false;
	}
	return true;
}

static void set_count(struct prefixes *set, enum prefix_family family, size_t count)
{
	if (family == PREFIX_V4)
		set->v4_count = count;
	else
		set->v6_count = count;
}

/* Removes equal neighbours of a sorted family. Returns how many. */
static size_t dedupe(struct prefixes *set, enum prefix_family family)
{
	size_t count = prefixes_in(set, family), kept = 0;
	struct prefix last, next;

	for (size_t i = 0; i < count; i++) {
		next = prefixes_get(set, family, i);
		if (i && !prefix_cmp(&last, &next))
			continue;
		put(set, family, kept++, &next);
		last = next;
	}
	set_count(set, family, kept);
	return count - kept;
}

int prefixes_sort(struct prefixes *set, size_t *duplicates)
{
	size_t dropped;

	if (!is_sorted(set, PREFIX_V4) && sort_v4(set->v4, set->v4_count))
		return -ENOMEM;
	if (!is_sorted(set, PREFIX_V6))
		qsort(set->v6, set->v6_count, sizeof(*set->v6), cmp_v6);
	dropped = dedupe(set, PREFIX_V4) + dedupe(set, PREFIX_V6);
	if (duplicates)
		*duplicates = dropped;
	return 0;
}

/* Whether two disjoint prefixes are the halves of a whole one, which @b then becomes. */
static bool join(const struct prefix *a, struct prefix *b)
{
	struct prefix whole = *b;

	if (a->length != b->length || !whole.length)
		return false;
	whole.length--;
	prefix_mask(&whole);
	if (!prefix_covers(&whole, a))
		return false;
	*b = whole;
	return true;
}

/*
 * In sorted order, a prefix either lies in the last one kept or is disjoint from all that were
 * kept, and only the last one kept can be its other half.
 */
static void merge(struct prefixes *set, enum prefix_family family)
{
	size_t count = prefixes_in(set, family), kept = 0;
	struct prefix last, next;

	for (size_t i = 0; i < count; i++) {
		next = prefixes_get(set, family, i);
		if (kept) {
			last = prefixes_get(set, family, kept - 1);
			if (prefix_covers(&last, &next))
				continue;
		}
		while (kept && join(&last, &next)) {
			kept--;
			if (kept)
				last = prefixes_get(set, family, kept - 1);
		}
		put(set, family, kept++, &next);
	}
	set_count(set, family, kept);
}

int prefixes_merge(struct prefixes *set)
{
	int rc = prefixes_sort(set, NULL);

	if (rc)
		return rc;
	merge(set, PREFIX_V4);
	merge(set, PREFIX_V6);
	return 0;
}

bool prefixes_are_disjoint(const struct prefixes *set)
{
	for (int family = PREFIX_V4; family <= PREFIX_V6; family++) {
		struct prefix last, next;

		for (size_t i = 1; i < prefixes_in(set, family); i++) {
			last = prefixes_get(set, family, i - 1);
			next = prefixes_get(set, family, i);
			if (prefix_cmp(&last, &next) >= 0 || prefix_covers(&last, &next))
				return false;
		}
	}
	return true;
}

/* How many prefixes of a sorted family come before @prefix. */
static size_t rank(const struct prefixes *set, enum prefix_family family,
		   const struct prefix *prefix)
{
	size_t low = 0, high = prefixes_in(set, family);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct prefix here = prefixes_get(set, family, mid);

		if (prefix_cmp(&here, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool prefixes_has(const struct prefixes *set, const struct prefix *prefix)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;
	size_t at = rank(set, family, prefix);
	struct prefix found;

	if (at == prefixes_in(set, family))
		return false;
	found = prefixes_get(set, family, at);
	return !prefix_cmp(&found, prefix);
}

/*
 * Prefixes overlap only where one covers the other. In a merged set, the prefix before the place
 * of @prefix is the only one that can cover it, and those that it covers begin at its place.
 */
bool prefixes_overlap(const struct prefixes *set, const struct prefix *prefix, struct prefix *which)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;
	size_t at = rank(set, family, prefix);
	struct prefix found;

	if (at < prefixes_in(set, family)) {
		found = prefixes_get(set, family, at);
		if (prefix_covers(prefix, &found))
			goto out_found;
	}
	if (!at)
		return false;
	found = prefixes_get(set, family, at - 1);
	if (!prefix_covers(&found, prefix))
		return false;
out_found:
	if (which)
		*which = found;
	return true;
}

/* In a merged set halves were joined, so a single prefix must hold all of @prefix. */
bool prefixes_cover(const struct prefixes *set, const struct prefix *prefix)
{
	struct prefix found;

	return prefixes_overlap(set, prefix, &found) && prefix_covers(&found, prefix);
}

static int diff(const struct prefixes *from, const struct prefixes *to, enum prefix_family family,
		struct prefixes *added, struct prefixes *removed)
{
	size_t i = 0, j = 0, m = prefixes_in(from, family), n = prefixes_in(to, family);
	struct prefix old, new;
	int order;

	while (i < m || j < n) {
		if (i < m)
			old = prefixes_get(from, family, i);
		if (j < n)
			new = prefixes_get(to, family, j);
		order = i == m ? 1 : j == n ? -1 : prefix_cmp(&old, &new);
		if (order < 0 && removed && prefixes_add(removed, &old))
			return -ENOMEM;
		if (order > 0 && added && prefixes_add(added, &new))
			return -ENOMEM;
		i += order <= 0;
		j += order >= 0;
	}
	return 0;
}

int prefixes_diff(const struct prefixes *from, const struct prefixes *to, struct prefixes *added,
		  struct prefixes *removed)
{
	int rc = diff(from, to, PREFIX_V4, added, removed);

	return rc ? rc : diff(from, to, PREFIX_V6, added, removed);
}

size_t prefixes_words(const struct prefixes *set)
{
	return set->v4_count + set->v6_count * PREFIXES_V6_WORDS;
}

void prefixes_pack(const struct prefixes *set, uint64_t *words)
{
	if (set->v4_count)
		memcpy(words, set->v4, set->v4_count * sizeof(*words));
	words += set->v4_count;
	for (size_t i = 0; i < set->v6_count; i++) {
		*words++ = set->v6[i].hi;
		*words++ = set->v6[i].lo;
		*words++ = set->v6[i].length;
	}
}

/* Reads a prefix from words that may be anything. Returns false when no prefix packs to them. */
static bool unpack_v4(uint64_t word, struct prefix *prefix)
{
	if (word >> 40 || (word & 255) > 32)
		return false;
	*prefix = prefix_v4(word >> 8, word & 255);
	return !prefix_mask(prefix);
}

static bool unpack_v6(const uint64_t *word, struct prefix *prefix)
{
	if (word[2] > 128)
		return false;
	*prefix = (struct prefix){ word[0], word[1], word[2] };
	return !prefix_mask(prefix) && !prefix_is_v4(prefix);
}

int prefixes_unpack(struct prefixes *set, const uint64_t *words, size_t v4_count, size_t v6_count)
{
	const struct prefixes before = *set;
	struct prefix last, next;

	if (reserve(set, PREFIX_V4, v4_count) || reserve(set, PREFIX_V6, v6_count))
		return -ENOMEM;
	for (size_t i = 0; i < v4_count; i++, last = next) {
		if (!unpack_v4(words[i], &next) || (i && prefix_cmp(&last, &next) >= 0))
			goto out_broken;
		put(set, PREFIX_V4, set->v4_count++, &next);
	}
	words += v4_count;
	for (size_t i = 0; i < v6_count; i++, last = next) {
		if (!unpack_v6(words + i * PREFIXES_V6_WORDS, &next) ||
		    (i && prefix_cmp(&last, &next) >= 0))
			goto out_broken;
		put(set, PREFIX_V6, set->v6_count++, &next);
	}
	return 0;

out_broken:
	set->v4_count = before.v4_count;
	set->v6_count = before.v6_count;
	return -EINVAL;
}
