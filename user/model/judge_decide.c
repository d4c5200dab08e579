// SPDX-License-Identifier: GPL-2.0-only
/* Decisions: which suspects are banned and for how long, and which are spared and why. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/model/judge_private.h"
#include "user/model/units.h"

static uint64_t permille(uint64_t part, uint64_t whole)
{
	return !whole ? 0 : part >= whole ? 1000 : part * 1000 / whole;
}

/* ---- one prefix ---- */

/*
 * A known source is spared until it is proven that it sent the packets itself; its limit holds it.
 * Whether the ban is spared or not, the text says what is proven.
 */
static bool spare_known(const struct judge *judge, struct decision *d)
{
	const struct offender *offender = offender_find(judge, &d->prefix);
	struct conduct conduct = { 0 };
	bool proven = offender && offender_is_proven(judge, offender, &conduct);

	if (!conduct.proven)
		snprintf(d->about.text, sizeof(d->about.text),
			 "known; nothing proves that it sent the packets; its limit holds it");
	else
		snprintf(d->about.text, sizeof(d->about.text), "known; %llu of its %llu dropped "
			 "packets were on its own connections",
			 (unsigned long long)(conduct.proven < conduct.dropped ? conduct.proven :
										 conduct.dropped),
			 (unsigned long long)conduct.dropped);
	return !proven;
}

/* Whether @prefix must not be banned; the reason goes into about.text. */
static bool spare(const struct judge *judge, const struct judge_world *world, struct decision *d)
{
	const struct entry *allowed = entries_inside(world->allow, &d->prefix);
	bool single = is_one_source(&d->prefix);
	size_t size = sizeof(d->about.text);
	char text[PREFIX_STRLEN];
	struct prefix which;
	uint64_t proven, bad;

	if (allowed) {
		prefix_format(&allowed->prefix, text);
		snprintf(d->about.text, size, "allow entry %.43s", text);
		return true;
	}
	if (prefixes_overlap(single ? world->host_addresses : world->host_networks, &d->prefix,
			     &which)) {
		prefix_format(&which, text);
		snprintf(d->about.text, size, "this host has %.43s", text);
		return true;
	}
	if (single) {
		return world->tier_of(world->ctx, &d->prefix) >= WEIR_SEEN &&
		       spare_known(judge, d);
	}
	proven = world->count_proven(world->ctx, &d->prefix);
	bad = d->about.sources > judge->rules.network.sources ? d->about.sources :
							       judge->rules.network.sources;
	if (proven < bad)
		return false;
	snprintf(d->about.text, size, "%llu proven sources are in it", (unsigned long long)proven);
	return true;
}

static uint64_t doubled(uint64_t first, uint8_t times, uint64_t longest)
{
	while (times-- && first < longest)
		first *= 2;
	return first < longest ? first : longest;
}

/* Completes @d, which would ban a source or, with @network, a network, and adds it to @out. */
static int decide(struct judge *judge, const struct judge_world *world, struct decision *d,
		  bool network, struct decisions *out)
{
	struct memory *memory = memory_recall(judge, &d->prefix);
	const struct judge_rules *rules = &judge->rules;

	if (!memory)
		return -ENOMEM;
	if (memory->judged_at == judge->now || judge_is_settled(judge, &d->prefix) ||
	    memory_is_undone(judge, &d->prefix) || entries_find(world->block, &d->prefix))
		return 0;
	memory->judged_at = judge->now;
	d->about.share_permille = permille(d->weight, world->dropped);
	prefix_to_key(&d->prefix, &d->about.prefix);
	if (spare(judge, world, d)) {
		if (memory_is_spared(judge, memory))	/* it was said lately */
			return 0;
		d->about.kind = WEIR_SPARED;
		memory->spared_at = judge->now;
		return decisions_add(out, d);
	}
	d->about.strikes = memory_strikes(judge, memory);
	d->ttl_ns = network ? doubled(rules->network.first_ban_ns, d->about.strikes,
				      rules->network.longest_ban_ns) :
			      doubled(rules->source.first_ban_ns, d->about.strikes,
				      rules->source.longest_ban_ns);
	d->about.ttl_s = d->ttl_ns / NS_PER_S;
	if (network)
		d->about.kind = rules->enforce ? WEIR_BAN_NETWORK : WEIR_WOULD_BAN_NETWORK;
	else
		d->about.kind = rules->enforce ? WEIR_BAN_SOURCE : WEIR_WOULD_BAN_SOURCE;
	return decisions_add(out, d);
}

/* ---- networks of which many sources misbehave ---- */

/* The sources of one network that are banned or about to be. */
struct crowd {
	uint32_t sources;
	uint64_t packets, weight, seen_pps;	/* of those that are decided on now */
	uint32_t windows;
};

/* @running: the ban of @d was made in an earlier window. */
static int count_in_crowd(struct hash_table *crowds, const struct decision *d, bool running)
{
	struct prefix network = judge_network_of(&d->prefix);
	struct hash_key key = prefix_key(&network);
	struct crowd *crowd;

	if (network.length == d->prefix.length)
		return 0;
	crowd = hash_table_put(crowds, &key);
	if (!crowd)
		return -ENOMEM;
	crowd->sources++;
	if (running)
		return 0;
	crowd->packets += d->about.packets;
	crowd->weight += d->weight;
	crowd->seen_pps += d->about.seen_pps;
	if (d->about.windows > crowd->windows)
		crowd->windows = d->about.windows;
	return 0;
}

/* Bans that mode `judge` did not make count only while the mode is still `judge`. */
static int count_running(struct judge *judge, struct hash_table *crowds)
{
	const struct memory *memory;
	struct hash_key key;

	for (size_t at = 0; (memory = hash_table_next(&judge->memory, &at, &key));) {
		struct decision d = { .prefix = { key.hi, key.lo, key.tag } };

		if (memory_is_banned(judge, memory) && is_one_source(&d.prefix) &&
		    count_in_crowd(crowds, &d, true))
			return -ENOMEM;
	}
	return 0;
}

/* Only networks with a new source among the banned ones, which has a weight. */
static int decide_crowds(struct judge *judge, const struct judge_world *world,
			 const struct hash_table *crowds, struct decisions *out)
{
	const struct crowd *crowd;
	struct hash_key key;
	int rc = 0;

	for (size_t at = 0; !rc && (crowd = hash_table_next(crowds, &at, &key));) {
		struct decision d = {
			.prefix = { key.hi, key.lo, key.tag }, .weight = crowd->weight,
			.about = { .packets = crowd->packets, .seen_pps = crowd->seen_pps,
				   .sources = crowd->sources, .windows = cut16(crowd->windows) },
		};

		if (crowd->weight && crowd->sources >= judge->rules.network.sources)
			rc = decide(judge, world, &d, true, out);
	}
	return rc;
}

static int find_crowds(struct judge *judge, const struct judge_world *world,
		       const struct decisions *sources, struct decisions *out)
{
	/* Crowds go into `memory`, so their order must be another one: see hash_table_next(). */
	struct hash_seed seed = { { judge->seed.word[0] ^ 1, judge->seed.word[1] } };
	struct hash_table crowds;
	int rc = 0;

	hash_table_init(&crowds, sizeof(struct crowd), &seed);
	for (size_t i = 0; i < sources->count && !rc; i++)
		if (sources->at[i].ttl_ns)
			rc = count_in_crowd(&crowds, &sources->at[i], false);
	if (!rc && crowds.count)
		rc = count_running(judge, &crowds);
	if (!rc)
		rc = decide_crowds(judge, world, &crowds, out);
	hash_table_clear(&crowds);
	return rc;
}

/* ---- all together ---- */

/* Networks that budgets turned away, and not only as a small part of all. */
static int decide_turned_away(struct judge *judge, const struct judge_world *world,
			      struct decisions *out)
{
	int rc = 0;

	for (size_t i = 0; i < judge->suspect_networks.count && !rc; i++) {
		struct decision *d = &judge->suspect_networks.at[i];

		if (permille(d->weight, world->turned_away) >= judge->rules.network.share_permille)
			rc = decide(judge, world, d, true, out);
	}
	return rc;
}

/* A source in a banned network needs no ban of its own. */
static int drop_covered(const struct judge *judge, const struct decisions *networks,
			struct decisions *sources)
{
	struct hash_table banned;
	size_t kept = 0;

	hash_table_init(&banned, 0, &judge->seed);
	for (size_t i = 0; i < networks->count; i++) {
		struct hash_key key = prefix_key(&networks->at[i].prefix);

		if (networks->at[i].ttl_ns && !hash_table_put(&banned, &key)) {
			hash_table_clear(&banned);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < sources->count; i++) {
		struct prefix network = judge_network_of(&sources->at[i].prefix);
		struct hash_key key = prefix_key(&network);

		if (!hash_table_find(&banned, &key))
			sources->at[kept++] = sources->at[i];
	}
	sources->count = kept;
	hash_table_clear(&banned);
	return 0;
}

static int worst_first(const void *a, const void *b)
{
	const struct decision *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return prefix_cmp(&x->prefix, &y->prefix);
}

int judge_end(struct judge *judge, const struct judge_world *world, struct decisions *out)
{
	struct decisions networks = { 0 };
	int rc = note_hits_of_bans(judge, world);

	for (size_t i = 0; i < judge->suspect_sources.count && !rc; i++) {
		struct decision *d = &judge->suspect_sources.at[i];

		rc = decide(judge, world, d, !is_one_source(&d->prefix), out);
	}
	if (!rc)
		rc = find_crowds(judge, world, out, &networks);
	if (!rc)
		rc = decide_turned_away(judge, world, &networks);
	if (!rc)
		rc = drop_covered(judge, &networks, out);
	for (size_t i = 0; i < networks.count && !rc; i++)
		rc = decisions_add(out, &networks.at[i]);
	if (!rc && out->count) {
		qsort(out->at, out->count, sizeof(*out->at), worst_first);
		rc = cut_to_room(judge, world, out);
	}
	free(networks.at);
	return rc;
}
