// SPDX-License-Identifier: GPL-2.0-only
/* What the judge remembers of prefixes: bans, strikes, bans that were undone, and spared ones. */
#include <errno.h>

#include "user/model/judge_private.h"
#include "user/model/units.h"

#define SPARED_EVERY_NS	(60 * NS_PER_S)	/* the same prefix is reported as spared so often */

static bool worth_keeping(const void *value, uint64_t forget_before)
{
	const struct memory *memory = value;

	return memory->ban_until > forget_before || memory->undone_until > forget_before ||
	       memory->spared_at > forget_before || memory->judged_at > forget_before ||
	       memory->hits_at > forget_before;
}

/* Before the table grows, what is older than `remember` is removed. */
struct memory *memory_recall(struct judge *judge, const struct prefix *prefix)
{
	struct hash_key key = prefix_key(prefix);
	uint64_t forget_before = judge->now > judge->rules.remember_ns ?
					 judge->now - judge->rules.remember_ns : 0;

	if (hash_table_is_full(&judge->memory) &&
	    hash_table_filter(&judge->memory, worth_keeping, forget_before))
		return NULL;
	return hash_table_put(&judge->memory, &key);
}

struct memory *memory_find(const struct judge *judge, const struct prefix *prefix)
{
	struct hash_key key = prefix_key(prefix);

	return hash_table_find(&judge->memory, &key);
}

static uint8_t one_more(uint32_t strikes)
{
	return strikes < UINT8_MAX ? strikes + 1 : UINT8_MAX;
}

void memory_note_ban(struct judge *judge, const struct decision *d)
{
	struct memory *memory = memory_recall(judge, &d->prefix);

	if (!memory)
		return;
	memory->ban_until = judge->now + d->ttl_ns;
	memory->strikes = one_more(d->about.strikes);
	memory->judged_only = !judge->rules.enforce;
	memory->hits_at = judge->now;
	memory->hits = 0;
	memory->pps = BAN_FRESH;
}

/* ---- from the ring of judgements and from the entries, after a start ---- */

static void note_undone(struct judge *judge, const struct prefix *prefix)
{
	for (size_t i = 0; i < judge->undone_count; i++)
		if (!prefix_cmp(&judge->undone[i], prefix))
			return;
	if (judge->undone_count < UNDONE_MOST)
		judge->undone[judge->undone_count++] = *prefix;
}

static void remember(struct judge *judge, struct memory *memory, const struct prefix *prefix,
		     const struct weir_judgement *judgement, uint64_t then_ns)
{
	switch (judgement->kind) {
	case WEIR_BAN_SOURCE:
	case WEIR_BAN_NETWORK:
	case WEIR_WOULD_BAN_SOURCE:
	case WEIR_WOULD_BAN_NETWORK:
		memory->judged_only = judgement->kind == WEIR_WOULD_BAN_SOURCE ||
				      judgement->kind == WEIR_WOULD_BAN_NETWORK;
		memory->ban_until = then_ns + judgement->ttl_s * NS_PER_S;
		memory->strikes = one_more(judgement->strikes);
		break;
	case WEIR_UNBAN:
		memory->ban_until = 0;
		memory->strikes = 0;
		memory->undone_until = then_ns + judge->rules.undo_ns;
		if (memory->undone_until > judge->now)
			note_undone(judge, prefix);
		break;
	case WEIR_SPARED:
		memory->spared_at = then_ns;
		break;
	case WEIR_GAVE_WAY:	/* its strikes count from now on */
		memory->ban_until = then_ns;
		break;
	}
}

int judge_remember(struct judge *judge, const struct weir_judgement *judgement, uint64_t now_unix_s,
		   uint64_t now_ns)
{
	/* The wall clock may have been set back since. */
	uint64_t age_s = now_unix_s > judgement->unix_s ? now_unix_s - judgement->unix_s : 0;
	struct memory *memory;
	struct prefix prefix;

	prefix_from_key(&judgement->prefix, &prefix);
	judge->now = now_ns;
	memory = memory_recall(judge, &prefix);
	if (!memory)
		return -ENOMEM;
	remember(judge, memory, &prefix, judgement,
		 now_ns > age_s * NS_PER_S ? now_ns - age_s * NS_PER_S : 1);
	return 0;
}

int judge_remember_ban(struct judge *judge, const struct entry *entry)
{
	struct memory *memory = memory_recall(judge, &entry->prefix);

	if (!memory)
		return -ENOMEM;
	memory->judged_only = false;
	memory->ban_until = entry->value.until_ns;
	memory->strikes = one_more(entry->value.strikes);
	memory->hits_at = judge->now;
	memory->hits = entry->value.hits;
	memory->pps = BAN_FRESH;
	return 0;
}

void judge_take_back(struct judge *judge, const struct decisions *decisions)
{
	for (size_t i = 0; i < decisions->count; i++) {
		struct memory *memory = memory_find(judge, &decisions->at[i].prefix);

		if (memory && decisions->at[i].ttl_ns) {
			memory->ban_until = 0;
			memory->strikes = decisions->at[i].about.strikes;
		}
	}
}

/* ---- questions ---- */

void memory_forget_undone(struct judge *judge)
{
	size_t kept = 0;

	for (size_t i = 0; i < judge->undone_count; i++) {
		const struct memory *memory = memory_find(judge, &judge->undone[i]);

		if (memory && memory->undone_until > judge->now)
			judge->undone[kept++] = judge->undone[i];
	}
	judge->undone_count = kept;
}

bool memory_is_undone(const struct judge *judge, const struct prefix *prefix)
{
	for (size_t i = 0; i < judge->undone_count; i++)
		if (prefix_covers(&judge->undone[i], prefix) ||
		    prefix_covers(prefix, &judge->undone[i]))
			return true;
	return false;
}

/* Bans from mode `judge` do not count once the daemon enforces: they were never made. */
static bool counts(const struct judge *judge, const struct memory *memory)
{
	return !(memory->judged_only && judge->rules.enforce);
}

bool memory_is_banned(const struct judge *judge, const struct memory *memory)
{
	return memory->ban_until > judge->now && counts(judge, memory);
}

uint8_t memory_strikes(const struct judge *judge, const struct memory *memory)
{
	if (!counts(judge, memory))
		return 0;
	return memory->ban_until + judge->rules.remember_ns > judge->now ? memory->strikes : 0;
}

bool memory_is_spared(const struct judge *judge, const struct memory *memory)
{
	return memory->spared_at && memory->spared_at + SPARED_EVERY_NS > judge->now;
}

bool memory_is_settled(const struct judge *judge, const struct prefix *prefix)
{
	const struct memory *memory = memory_find(judge, prefix);

	return memory &&
	       (memory_is_banned(judge, memory) || memory_is_spared(judge, memory));
}
