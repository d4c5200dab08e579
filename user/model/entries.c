// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/entries.h"

#define LENGTHS	129	/* of a prefix, 0..128: entries that cover one another have different ones */

int entries_copy(struct entries *to, const struct entries *from)
{
	*to = (struct entries){ .at = malloc((from->count + 1) * sizeof(*to->at)) };
	if (!to->at)
		return -ENOMEM;
	if (from->count)
		memcpy(to->at, from->at, from->count * sizeof(*to->at));
	to->count = from->count;
	to->room = from->count + 1;
	return 0;
}

void entries_free(struct entries *entries)
{
	free(entries->at);
	*entries = (struct entries){ 0 };
}

int entries_diff(const struct entries *was, const struct entries *is,
		 int (*each)(const struct entry *was, const struct entry *is, void *arg), void *arg)
{
	size_t w = 0, i = 0;
	int rc = 0;

	while ((w < was->count || i < is->count) && !rc) {
		const struct entry *before = w < was->count ? &was->at[w] : NULL;
		const struct entry *now = i < is->count ? &is->at[i] : NULL;
		int order = !before ? 1 : !now ? -1 : prefix_cmp(&before->prefix, &now->prefix);

		rc = each(order <= 0 ? before : NULL, order >= 0 ? now : NULL, arg);
		w += order <= 0;
		i += order >= 0;
	}
	return rc;
}

void entries_swap(struct entries *a, struct entries *b)
{
	struct entries kept = *a;

	*a = *b;
	*b = kept;
}

/* The index of the first entry that does not come before @prefix. */
static size_t lower_bound(const struct entries *entries, const struct prefix *prefix)
{
	size_t first = 0, end = entries->count;

	while (first < end) {
		size_t mid = first + (end - first) / 2;

		if (prefix_cmp(&entries->at[mid].prefix, prefix) < 0)
			first = mid + 1;
		else
			end = mid;
	}
	return first;
}

struct entry *entries_find(const struct entries *entries, const struct prefix *prefix)
{
	size_t i = lower_bound(entries, prefix);

	if (i == entries->count || prefix_cmp(&entries->at[i].prefix, prefix))
		return NULL;
	return &entries->at[i];
}

static int make_room(struct entries *entries)
{
	size_t room = entries->room ? entries->room * 2 : 16;
	struct entry *at;

	if (entries->count < entries->room)
		return 0;
	at = realloc(entries->at, room * sizeof(*at));
	if (!at)
		return -ENOMEM;
	entries->at = at;
	entries->room = room;
	return 0;
}

static struct entry entry_for(const struct prefix *prefix, const struct weir_entry *value)
{
	struct entry entry = { .prefix = *prefix, .value = *value };

	entry.value.prefixlen = prefix->length;
	return entry;
}

int entries_put(struct entries *entries, const struct prefix *prefix,
		const struct weir_entry *value)
{
	size_t i = lower_bound(entries, prefix);

	if (i < entries->count && !prefix_cmp(&entries->at[i].prefix, prefix)) {
		entries->at[i] = entry_for(prefix, value);
		return 0;
	}
	if (make_room(entries))
		return -ENOMEM;
	memmove(&entries->at[i + 1], &entries->at[i], (entries->count - i) * sizeof(*entries->at));
	entries->at[i] = entry_for(prefix, value);
	entries->count++;
	return 1;
}

int entries_append(struct entries *entries, const struct prefix *prefix,
		   const struct weir_entry *value)
{
	if (make_room(entries))
		return -ENOMEM;
	entries->at[entries->count++] = entry_for(prefix, value);
	return 0;
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_cmp(&((const struct entry *)a)->prefix, &((const struct entry *)b)->prefix);
}

void entries_sort(struct entries *entries)
{
	if (entries->count)
		qsort(entries->at, entries->count, sizeof(*entries->at), by_prefix);
}

int entries_remove(struct entries *entries, const struct prefix *prefix)
{
	struct entry *entry = entries_find(entries, prefix);
	size_t i;

	if (!entry)
		return 0;
	i = entry - entries->at;
	memmove(entry, entry + 1, (entries->count - i - 1) * sizeof(*entry));
	entries->count--;
	return 1;
}

const struct entry *entries_inside(const struct entries *entries, const struct prefix *prefix)
{
	/* Entries of IPv4 stand among those that a prefix of IPv6 encloses. */
	for (size_t i = lower_bound(entries, prefix);
	     i < entries->count && prefix_encloses(prefix, &entries->at[i].prefix); i++)
		if (prefix_covers(prefix, &entries->at[i].prefix))
			return &entries->at[i];
	return NULL;
}

static bool ended(const struct weir_entry *value, uint64_t now_ns)
{
	return value->until_ns && value->until_ns <= now_ns;
}

const struct entry *entries_cover(const struct entries *entries, const struct prefix *prefix,
				  uint64_t now_ns)
{
	const struct entry *best = NULL;

	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->at[i];

		if (ended(&entry->value, now_ns) || !prefix_covers(&entry->prefix, prefix))
			continue;
		if (!best || entry->prefix.length > best->prefix.length)
			best = entry;
	}
	return best;
}

/* The later of two ends in ns; 0 is an end that never comes. */
static uint64_t later_end(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return 0;
	return a > b ? a : b;
}

/*
 * In sorted order an entry comes after all entries that enclose it. The stack holds those that
 * enclose the present one, the longest on top; each already has the effective values of all below
 * that are of its family. IPv4 lies within some prefixes of IPv6, never the other way round, so the
 * top is of the entry's family, or none below is.
 */
void entries_resolve(struct entries *entries)
{
	struct entry *covering[LENGTHS];
	int depth = 0;

	for (size_t i = 0; i < entries->count; i++) {
		struct entry *entry = &entries->at[i];

		while (depth && !prefix_encloses(&covering[depth - 1]->prefix, &entry->prefix))
			depth--;
		entry->value.effective_ns = entry->value.until_ns;
		entry->value.effective_spare = entry->value.spare_known;
		if (depth && prefix_covers(&covering[depth - 1]->prefix, &entry->prefix)) {
			const struct weir_entry *outer = &covering[depth - 1]->value;

			entry->value.effective_ns = later_end(entry->value.until_ns,
							      outer->effective_ns);
			entry->value.effective_spare &= outer->effective_spare;
		}
		covering[depth++] = entry;
	}
}

void entries_expire(struct entries *entries, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < entries->count; i++)
		if (!ended(&entries->at[i].value, now_ns))
			entries->at[kept++] = entries->at[i];
	entries->count = kept;
}
