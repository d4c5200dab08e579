/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of the judge, in three files: judge.c compares the counters of two windows,
 * judge_memory.c knows what was decided before, judge_decide.c makes the decisions.
 */
#ifndef WEIR_MODEL_JUDGE_PRIVATE_H
#define WEIR_MODEL_JUDGE_PRIVATE_H

#include "user/model/hash_table.h"
#include "user/model/judge.h"

#define UNDONE_MOST	1024

/* What is remembered of a prefix. Times in ns; 0: never. */
struct memory {
	uint64_t ban_until, undone_until, spared_at;
	uint64_t judged_at;	/* a prefix that two limits or rules complain of is judged once */
	uint8_t strikes;
	bool judged_only;	/* the ban was not made: the mode was `judge` */
};

struct watched_network {
	struct prefix prefix;
	uint64_t dropped, packets;
	uint32_t windows;
};

struct judge {
	struct judge_rules rules;
	struct hash_seed seed;
	bool looked;
	uint64_t began, now;
	uint64_t window;			/* ns; 0: the first look, nothing to compare with */
	struct hash_table before, watched;	/* sources in the last window, in this one */
	struct watched_network *networks;	/* WEIR_NETWORKS */
	struct hash_table memory;		/* struct memory by prefix */
	struct prefix undone[UNDONE_MOST];
	size_t undone_count;
	struct decisions suspect_sources, suspect_networks;	/* of this window */
};

static inline struct hash_key prefix_key(const struct prefix *prefix)
{
	return (struct hash_key){ prefix->hi, prefix->lo, prefix->length };
}

/* The 16 bits of a counter in struct weir_judgement. */
static inline uint16_t cut16(uint32_t number)
{
	return number < UINT16_MAX ? number : UINT16_MAX;
}

/* One address, or one /64 of IPv6. */
static inline bool is_one_source(const struct prefix *prefix)
{
	return prefix->length >= (prefix_is_v4(prefix) ? 128 : 64);
}

/* judge.c; 0 or -ENOMEM */
int decisions_add(struct decisions *list, const struct decision *decision);

/* judge_memory.c */

/* The memory of @prefix, made if there is none; NULL: out of memory. */
struct memory *memory_recall(struct judge *judge, const struct prefix *prefix);
struct memory *memory_find(const struct judge *judge, const struct prefix *prefix);
/* A ban, or one that mode `judge` did not make, begins with decision @d. */
void memory_note_ban(struct judge *judge, const struct decision *d);
void memory_forget_undone(struct judge *judge);
/* Whether the operator has undone a ban of @prefix, of one around it or of one inside it. */
bool memory_is_undone(const struct judge *judge, const struct prefix *prefix);
bool memory_is_banned(const struct judge *judge, const struct memory *memory);
/* Banned already, or spared within the last minute: there is nothing to decide. */
bool memory_is_settled(const struct judge *judge, const struct prefix *prefix);
/* How many bans came before, as far as they count. */
uint8_t memory_strikes(const struct judge *judge, const struct memory *memory);

#endif
