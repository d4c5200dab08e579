// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bound of bans, `most_bans`: what there is no room for takes the place of bans that hardly
 * anything meets any more. The data path counts the packets that each ban drops, one in
 * WEIR_BAN_HIT_SAMPLE of them; two readings some seconds apart give the rate. A ban whose rate is not
 * known yet keeps its place, and so does any that the operator made.
 */
#include <errno.h>
#include <stdlib.h>

#include "user/model/judge_private.h"
#include "user/model/units.h"

#define SPARED_MOST	16	/* reported in one window */
#define HITS_EVERY_NS	(5 * NS_PER_S)	/* rates of bans are taken over at least so long */
#define WORSE		2	/* a ban gives way to a source that sends so many times as much */
#define PUT_OFF		1	/* a judgement that has a number: numbers are given later */

/* A ban that may give way. */
struct place {
	struct prefix prefix;
	uint32_t pps;
};

struct places {
	struct place *at;
	size_t count, used;
};

static bool is_daemons(const struct entry *entry)
{
	return entry->value.origin == WEIR_BY_DAEMON;
}

static size_t count_bans(const struct entries *block)
{
	size_t count = 0;

	for (size_t i = 0; i < block->count; i++)
		count += is_daemons(&block->at[i]);
	return count;
}

/* ---- how much each ban drops ---- */

/* A count that went down is that of a new entry. */
static void note_hits(const struct judge *judge, struct memory *memory, uint32_t hits)
{
	uint64_t took_ms = (judge->now - memory->hits_at) / NS_PER_MS;
	uint64_t more = hits >= memory->hits ? hits - memory->hits : hits;
	uint64_t pps;

	if (memory->hits_at && took_ms < HITS_EVERY_NS / NS_PER_MS)
		return;
	pps = took_ms ? more * WEIR_BAN_HIT_SAMPLE * 1000 / took_ms : 0;
	if (memory->hits_at)
		memory->pps = pps < BAN_FRESH ? pps : BAN_FRESH - 1;
	else
		memory->pps = BAN_FRESH;
	memory->hits = hits;
	memory->hits_at = judge->now;
}

static int note_all_hits(struct judge *judge, const struct entries *block)
{
	for (size_t i = 0; i < block->count; i++) {
		struct memory *memory;

		if (!is_daemons(&block->at[i]))
			continue;
		memory = memory_recall(judge, &block->at[i].prefix);
		if (!memory)
			return -ENOMEM;
		note_hits(judge, memory, block->at[i].value.hits);
	}
	return 0;
}

/* ---- bans that a ban of their network replaces ---- */

static int add_replaced(struct decisions *out, const struct prefix *prefix)
{
	if (out->replaced_count == out->replaced_room) {
		size_t room = out->replaced_room ? 2 * out->replaced_room : 64;
		struct prefix *at = reallocarray(out->replaced, room, sizeof(*at));

		if (!at)
			return -ENOMEM;
		out->replaced = at;
		out->replaced_room = room;
	}
	out->replaced[out->replaced_count++] = *prefix;
	return 0;
}

/*
 * Only bans that add nothing to that of the network: they end no later, and hold no source that
 * the network's ban lets pass. Their strikes stay in the memory.
 */
static int replace_inside(const struct judge *judge, const struct judge_world *world,
			  const struct decision *network, struct decisions *out)
{
	const struct entry *entry = entries_inside(world->block, &network->prefix);
	const struct entry *end = world->block->at + world->block->count;
	uint64_t until = judge->now + network->ttl_ns;
	int rc = 0;

	for (; entry && entry < end && !rc; entry++) {
		if (!prefix_encloses(&network->prefix, &entry->prefix))
			break;
		if (!is_daemons(entry) || !prefix_covers(&network->prefix, &entry->prefix) ||
		    entry->value.until_ns > until ||
		    world->tier_of(world->ctx, &entry->prefix) >= WEIR_PROVEN)
			continue;
		rc = add_replaced(out, &entry->prefix);
	}
	return rc;
}

/* ---- bans that give way ---- */

static int least_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->pps != y->pps)
		return x->pps < y->pps ? -1 : 1;
	return prefix_cmp(&x->prefix, &y->prefix);
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Those that drop the least first. */
static int find_places(const struct judge *judge, const struct judge_world *world,
		       const struct decisions *out, struct places *places)
{
	places->at = calloc(world->block->count + 1, sizeof(*places->at));
	if (!places->at)
		return -ENOMEM;
	for (size_t i = 0; i < world->block->count; i++) {
		const struct entry *entry = &world->block->at[i];
		const struct memory *memory = memory_find(judge, &entry->prefix);

		if (!is_daemons(entry) || !memory || memory->pps == BAN_FRESH)
			continue;
		if (out->replaced_count && bsearch(&entry->prefix, out->replaced, out->replaced_count,
						   sizeof(*out->replaced), by_prefix))
			continue;
		places->at[places->count++] = (struct place){ entry->prefix, memory->pps };
	}
	qsort(places->at, places->count, sizeof(*places->at), least_first);
	return 0;
}

/* Frees a place for @d, at the cost of the ban that drops the least, if that is much less. */
static bool make_way(const struct judge *judge, struct places *places, const struct decision *d)
{
	if (places->used == places->count ||
	    judge_per_second(judge, d->weight) < (uint64_t)WORSE * (places->at[places->used].pps + 1))
		return false;
	places->used++;
	return true;
}

/*
 * The sources whose bans a network's ban had replaced are free with it. @networks: sorted; one walk
 * of the memory for all of them.
 */
static void free_inside(struct judge *judge, const struct prefix *networks, size_t count)
{
	struct memory *memory;
	struct hash_key key;

	for (size_t at = 0; count && (memory = hash_table_next(&judge->memory, &at, &key));) {
		struct prefix source = { key.hi, key.lo, key.tag }, network;

		if (memory->ban_until <= judge->now || !is_one_source(&source))
			continue;
		network = judge_network_of(&source);
		if (bsearch(&network, networks, count, sizeof(*networks), by_prefix))
			memory->ban_until = judge->now;
	}
}

/* The bans of @places that are used end now, and count as strikes. */
static int end_bans(struct judge *judge, const struct places *places, struct decisions *out)
{
	struct prefix *networks = calloc(places->used + 1, sizeof(*networks));
	size_t count = 0;
	int rc = networks ? 0 : -ENOMEM;

	for (size_t i = 0; i < places->used && !rc; i++) {
		const struct place *place = &places->at[i];
		struct decision d = { .prefix = place->prefix,
				      .about = { .kind = WEIR_GAVE_WAY, .seen_pps = place->pps } };
		struct memory *memory = memory_find(judge, &place->prefix);

		if (memory)
			memory->ban_until = judge->now;
		if (!is_one_source(&place->prefix))
			networks[count++] = place->prefix;
		prefix_to_key(&place->prefix, &d.about.prefix);
		rc = decisions_add(out, &d);
	}
	if (!rc && count)
		qsort(networks, count, sizeof(*networks), by_prefix);
	if (!rc)
		free_inside(judge, networks, count);
	out->gave_way = places->used;
	free(networks);
	return rc;
}

/* ---- all together ---- */

static int replace_all(struct judge *judge, const struct judge_world *world, struct decisions *out)
{
	size_t kept = 1;
	int rc = 0;

	for (size_t i = 0; i < out->count && !rc; i++)
		if (out->at[i].about.kind == WEIR_BAN_NETWORK)
			rc = replace_inside(judge, world, &out->at[i], out);
	if (!out->replaced_count)
		return rc;
	qsort(out->replaced, out->replaced_count, sizeof(*out->replaced), by_prefix);
	for (size_t i = 1; i < out->replaced_count; i++)	/* of a network within another one */
		if (prefix_cmp(&out->replaced[i], &out->replaced[kept - 1]))
			out->replaced[kept++] = out->replaced[i];
	out->replaced_count = kept;
	return rc;
}

static bool is_of_network(const struct decision *d)
{
	return d->about.kind == WEIR_BAN_NETWORK || d->about.kind == WEIR_WOULD_BAN_NETWORK;
}

/*
 * Gives the bans their places. Those of networks come first, since each may have made room for
 * itself; within each kind, the worst offenders. What gets no place has a time of 0 then.
 */
static void give_places(const struct judge *judge, size_t bans, struct places *places,
			struct decisions *out)
{
	for (int network = 1; network >= 0; network--) {
		for (size_t i = 0; i < out->count; i++) {
			struct decision *d = &out->at[i];

			if (!d->ttl_ns || is_of_network(d) != network)
				continue;
			if (bans < judge->rules.most_bans) {
				bans++;
			} else if (!make_way(judge, places, d)) {
				d->ttl_ns = 0;
				d->about.number = PUT_OFF;
				out->put_off++;
			}
		}
	}
}

/* Only bans that have a place are remembered: what was put off has to be decided on again. */
static void keep(struct judge *judge, struct decisions *out)
{
	size_t spared = 0, kept = 0;

	for (size_t i = 0; i < out->count; i++) {
		const struct decision *d = &out->at[i];

		if (d->about.number == PUT_OFF || (!d->ttl_ns && spared++ >= SPARED_MOST))
			continue;
		if (d->ttl_ns)
			memory_note_ban(judge, d);
		out->at[kept++] = *d;
	}
	out->count = kept;
}

static size_t count_wanted(const struct decisions *out)
{
	size_t count = 0;

	for (size_t i = 0; i < out->count; i++)
		count += out->at[i].ttl_ns > 0;
	return count;
}

int cut_to_room(struct judge *judge, const struct judge_world *world, struct decisions *out)
{
	struct places places = { 0 };
	int rc = replace_all(judge, world, out);
	size_t bans = count_bans(world->block) - out->replaced_count;

	if (!rc && bans + count_wanted(out) > judge->rules.most_bans)
		rc = find_places(judge, world, out, &places);
	if (!rc) {
		give_places(judge, bans, &places, out);
		keep(judge, out);
		rc = end_bans(judge, &places, out);
	}
	free(places.at);
	return rc;
}

/* Once half of the room is used: before that no rate is needed. */
int note_hits_of_bans(struct judge *judge, const struct judge_world *world)
{
	if (count_bans(world->block) < judge->rules.most_bans / 2)
		return 0;
	return note_all_hits(judge, world->block);
}
