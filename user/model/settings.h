/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that a person set: limits, allow and block entries. One model for
 * all front ends: commands and `restore` edit it, maps.c reads it from the maps
 * and writes back what differs. Pure.
 */
#ifndef WEIR_MODEL_SETTINGS_H
#define WEIR_MODEL_SETTINGS_H

#include "bpf/weir.h"
#include "user/model/prefix.h"

struct entry {
	struct prefix prefix;
	struct weir_entry value;
};

/* Sorted by prefix, each prefix once. */
struct entries {
	struct entry *at;
	size_t count, room;
};

struct settings {
	struct weir_policy *policy;
	struct entries allow, block;
};

int settings_init(struct settings *settings);
void settings_free(struct settings *settings);
/* 0 or -ENOMEM; @to is overwritten. */
int settings_copy(struct settings *to, const struct settings *from);

/* The entry of exactly this prefix, or NULL. */
struct entry *entries_find(const struct entries *entries, const struct prefix *prefix);
/* Adds or overwrites; 1 added, 0 overwritten, -ENOMEM. */
int entries_put(struct entries *entries, const struct prefix *prefix,
		const struct weir_entry *value);
/* In any order, then sorted: for reading many. 0 or -ENOMEM. */
int entries_append(struct entries *entries, const struct prefix *prefix,
		   const struct weir_entry *value);
void entries_sort(struct entries *entries);
/* 1 removed, 0 was not there. */
int entries_remove(struct entries *entries, const struct prefix *prefix);
/* The longest entry that covers all of @prefix and has not ended, or NULL. */
const struct entry *entries_cover(const struct entries *entries, const struct prefix *prefix,
				  uint64_t now_ns);
/* The first entry that is @prefix or inside it, or NULL. */
const struct entry *entries_inside(const struct entries *entries, const struct prefix *prefix);
/*
 * Sets effective_ns and effective_spare of every entry from all that cover it:
 * known sources pass only where each of them lets them. Entries that have ended
 * are to be dropped first.
 */
void entries_resolve(struct entries *entries);
void entries_swap(struct entries *a, struct entries *b);
/* Drops the entries that have ended. */
void entries_expire(struct entries *entries, uint64_t now_ns);

#endif
