/* SPDX-License-Identifier: GPL-2.0-only */
/* The entries of the allow list or of the block list: prefixes, each with a value. */
#ifndef WEIR_MODEL_ENTRIES_H
#define WEIR_MODEL_ENTRIES_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"
#include "user/model/prefix.h"

struct entry {
	struct prefix prefix;
	struct weir_entry value;
};

/* Sorted by prefix_cmp(), each prefix once. Zeroed, it is empty. */
struct entries {
	struct entry *at;
	size_t count, room;
};

/* Makes @to a copy of @from; what @to held is not freed. Returns 0 or -ENOMEM. */
int entries_copy(struct entries *to, const struct entries *from);
/* Frees the entries; @entries is then empty. */
void entries_free(struct entries *entries);
void entries_swap(struct entries *a, struct entries *b);

/* The entry with exactly this prefix, or NULL; valid until the next change of @entries. */
struct entry *entries_find(const struct entries *entries, const struct prefix *prefix);
/* Adds an entry or overwrites its value. Returns 1 when added, 0 when overwritten, or -ENOMEM. */
int entries_put(struct entries *entries, const struct prefix *prefix,
		const struct weir_entry *value);
/*
 * For reading many entries in any order: append each, each prefix once, then sort. Until
 * entries_sort() the other functions must not be called. Returns 0 or -ENOMEM.
 */
int entries_append(struct entries *entries, const struct prefix *prefix,
		   const struct weir_entry *value);
void entries_sort(struct entries *entries);
/* Returns 1 when the entry was removed, 0 when there was none. */
int entries_remove(struct entries *entries, const struct prefix *prefix);
/* Removes the entries that have ended by @now_ns (CLOCK_MONOTONIC). */
void entries_expire(struct entries *entries, uint64_t now_ns);

/* The longest entry that covers all of @prefix and has not ended by @now_ns, or NULL. */
const struct entry *entries_cover(const struct entries *entries, const struct prefix *prefix,
				  uint64_t now_ns);
/* The first entry that is @prefix or lies inside it, or NULL. */
const struct entry *entries_inside(const struct entries *entries, const struct prefix *prefix);

/*
 * Sets effective_ns and effective_spare of every entry from all entries that cover it, so that
 * the data path needs only the longest match: the block ends when the last of them ends, and a
 * known source passes only where each of them spares known sources. Entries that have ended
 * must have been removed.
 */
void entries_resolve(struct entries *entries);

/*
 * Walks two sorted sets at once: calls @each for every prefix that is in either, in order,
 * with its entry in each; NULL where there is none. Stops when @each returns non-zero, and
 * returns that.
 */
int entries_diff(const struct entries *was, const struct entries *is,
		 int (*each)(const struct entry *was, const struct entry *is, void *arg), void *arg);

#endif
