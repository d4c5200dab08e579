// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/entries.h"
#include "user/model/judge.h"
#include "user/model/prefixes.h"
#include "user/model/units.h"

#define SPARED_EVERY_NS	(60 * NS_PER_S)	/* for each prefix */
#define SPARED_MOST	16		/* a window */
#define SOURCES_MOST	(1U << 20)	/* watched at a time; the others are limited all the same */
#define UNDONE_MOST	1024
/* A budget's pressed_ns is written at most every 50 ms, by a clock that may lag by 10 ms. */
#define PRESSED_SLACK_NS	(100 * NS_PER_MS)

/* ---- a hash table: open addressing, grown at half full ---- */

struct key {
	uint64_t hi, lo;
	uint32_t tag;		/* a limit's serial, or a prefix's length */
	uint32_t used;
};

/* @stride: of an element, which begins with its struct key. */
struct table {
	char *at;
	size_t stride, room, count;
};

static size_t hash_key(const struct key *key)
{
	uint64_t x = key->hi * 0x9e3779b97f4a7c15ULL ^ (key->lo + key->tag) * 0xbf58476d1ce4e5b9ULL;

	x = (x ^ x >> 31) * 0x94d049bb133111ebULL;
	return x ^ x >> 29;
}

/* Its place, or the free one where it belongs. The table is never full. */
static void *table_place(const struct table *table, const struct key *key)
{
	for (size_t i = hash_key(key) & (table->room - 1);; i = (i + 1) & (table->room - 1)) {
		struct key *each = (struct key *)(table->at + i * table->stride);

		if (!each->used || (each->hi == key->hi && each->lo == key->lo &&
				    each->tag == key->tag))
			return each;
	}
}

static void *table_find(const struct table *table, const struct key *key)
{
	struct key *each = table->room ? table_place(table, key) : NULL;

	return each && each->used ? each : NULL;
}

/* Makes room for as many again; drops what @keep (may be NULL) does not want. */
static int table_rebuild(struct table *table, bool (*keep)(const void *element, uint64_t now),
			 uint64_t now)
{
	struct table fresh = { .stride = table->stride };
	size_t kept = 0;

	for (size_t i = 0; i < table->room; i++) {
		const void *each = table->at + i * table->stride;

		kept += ((const struct key *)each)->used && (!keep || keep(each, now));
	}
	for (fresh.room = 64; fresh.room < 4 * kept; fresh.room *= 2)
		;
	fresh.at = calloc(fresh.room, fresh.stride);
	if (!fresh.at)
		return -ENOMEM;
	for (size_t i = 0; i < table->room; i++) {
		const void *each = table->at + i * table->stride;

		if (!((const struct key *)each)->used || (keep && !keep(each, now)))
			continue;
		memcpy(table_place(&fresh, each), each, fresh.stride);
		fresh.count++;
	}
	free(table->at);
	*table = fresh;
	return 0;
}

/* The element of @key, made if it is missing; NULL: no memory. */
static void *table_put(struct table *table, const struct key *key)
{
	struct key *each;

	if (2 * (table->count + 1) > table->room && table_rebuild(table, NULL, 0))
		return NULL;
	each = table_place(table, key);
	if (!each->used) {
		*each = *key;
		each->used = 1;
		table->count++;
	}
	return each;
}

static void table_clear(struct table *table)
{
	free(table->at);
	*table = (struct table){ .stride = table->stride };
}

static struct key prefix_key(const struct prefix *prefix)
{
	return (struct key){ prefix->hi, prefix->lo, prefix->length, 0 };
}

/* ---- what is kept from window to window ---- */

/* A source that had packets dropped, as the last window left it. */
struct watched {
	struct key key;
	uint64_t passed, dropped;
	uint64_t packets;	/* dropped in those windows */
	uint32_t windows;	/* in a row over the limit */
};

struct watched_network {
	struct prefix prefix;
	uint64_t dropped, packets;
	uint32_t windows;
};

/* What is remembered of a prefix. Times in ns; 0: never. */
struct memory {
	struct key key;
	uint64_t ban_until, undone_until, spared_at;
	uint64_t judged_at;	/* two of its limits, or a source and its network: once */
	uint8_t strikes;
	bool judged_only;	/* the ban was one that only would have been */
};

struct judge {
	struct judge_rules rules;
	bool looked;
	uint64_t began, now, window;		/* ns; window 0: the first look, nothing to compare with */
	struct table before, watched;	/* the last window's, this window's */
	struct watched_network *networks;	/* WEIR_NETWORKS */
	struct table memory;
	struct prefix undone[UNDONE_MOST];
	size_t undone_count;
	/* of this window: who stands before the judge */
	struct decisions sources, network_list;
};

struct judge *judge_new(void)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return NULL;
	judge->before.stride = judge->watched.stride = sizeof(struct watched);
	judge->memory.stride = sizeof(struct memory);
	judge->networks = calloc(WEIR_NETWORKS, sizeof(*judge->networks));
	if (!judge->networks) {
		free(judge);
		return NULL;
	}
	return judge;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	table_clear(&judge->before);
	table_clear(&judge->watched);
	table_clear(&judge->memory);
	free(judge->networks);
	free(judge->sources.at);
	free(judge->network_list.at);
	free(judge);
}

void judge_set_rules(struct judge *judge, const struct judge_rules *rules)
{
	judge->rules = *rules;
}

uint64_t judge_window_ns(const struct judge *judge)
{
	return judge->window;
}

struct prefix judge_network_of(const struct prefix *source)
{
	struct prefix network = *source;
	uint8_t length = prefix_is_v4(source) ? 96 + 24 : 48;

	if (network.length > length)
		network.length = length;
	prefix_mask(&network);
	return network;
}

/* ---- memory ---- */

static bool worth_keeping(const void *element, uint64_t forget_before)
{
	const struct memory *memory = element;

	return memory->ban_until > forget_before || memory->undone_until > forget_before ||
	       memory->spared_at > forget_before || memory->judged_at > forget_before;
}

/* Before it grows, what is older than `remember` goes. */
static struct memory *recall(struct judge *judge, const struct prefix *prefix)
{
	struct key key = prefix_key(prefix);
	uint64_t back = judge->now > judge->rules.remember_ns ?
				judge->now - judge->rules.remember_ns : 0;

	if (2 * (judge->memory.count + 1) > judge->memory.room &&
	    table_rebuild(&judge->memory, worth_keeping, back))
		return NULL;
	return table_put(&judge->memory, &key);
}

static void note_undone(struct judge *judge, const struct prefix *prefix)
{
	for (size_t i = 0; i < judge->undone_count; i++)
		if (!prefix_cmp(&judge->undone[i], prefix))
			return;
	if (judge->undone_count < UNDONE_MOST)
		judge->undone[judge->undone_count++] = *prefix;
}

int judge_remember(struct judge *judge, const struct weir_judgement *judgement, uint64_t now_unix_s,
		   uint64_t now_ns)
{
	/* The wall clock may have been set back since. */
	uint64_t age_s = now_unix_s > judgement->unix_s ? now_unix_s - judgement->unix_s : 0;
	uint64_t then = now_ns > age_s * NS_PER_S ? now_ns - age_s * NS_PER_S : 1;
	struct memory *memory;
	struct prefix prefix;

	prefix_from_key(&judgement->prefix, &prefix);
	judge->now = now_ns;
	memory = recall(judge, &prefix);
	if (!memory)
		return -ENOMEM;
	switch (judgement->kind) {
	case WEIR_BAN_SOURCE:
	case WEIR_BAN_NETWORK:
	case WEIR_WOULD_BAN_SOURCE:
	case WEIR_WOULD_BAN_NETWORK:
		memory->judged_only = judgement->kind == WEIR_WOULD_BAN_SOURCE ||
				      judgement->kind == WEIR_WOULD_BAN_NETWORK;
		memory->ban_until = then + judgement->ttl_s * NS_PER_S;
		memory->strikes = judgement->strikes < 255 ? judgement->strikes + 1 : 255;
		break;
	case WEIR_UNBAN:
		memory->ban_until = 0;
		memory->strikes = 0;
		memory->undone_until = then + judge->rules.undo_ns;
		if (memory->undone_until > now_ns)
			note_undone(judge, &prefix);
		break;
	case WEIR_SPARED:
		memory->spared_at = then;
		break;
	}
	return 0;
}

int judge_remember_ban(struct judge *judge, const struct entry *entry)
{
	struct memory *memory = recall(judge, &entry->prefix);

	if (!memory)
		return -ENOMEM;
	memory->judged_only = false;
	memory->ban_until = entry->value.until_ns;
	memory->strikes = entry->value.strikes < 255 ? entry->value.strikes + 1 : 255;
	return 0;
}

static void forget_undone(struct judge *judge)
{
	size_t kept = 0;

	for (size_t i = 0; i < judge->undone_count; i++) {
		struct key key = prefix_key(&judge->undone[i]);
		const struct memory *memory = table_find(&judge->memory, &key);

		if (memory && memory->undone_until > judge->now)
			judge->undone[kept++] = judge->undone[i];
	}
	judge->undone_count = kept;
}

/* What a person let go is not taken again, nor what it is in, nor what is in it. */
static bool is_undone(const struct judge *judge, const struct prefix *prefix)
{
	for (size_t i = 0; i < judge->undone_count; i++)
		if (prefix_covers(&judge->undone[i], prefix) ||
		    prefix_covers(prefix, &judge->undone[i]))
			return true;
	return false;
}

static bool is_banned(const struct judge *judge, const struct memory *memory)
{
	return memory->ban_until > judge->now && !(memory->judged_only && judge->rules.act);
}

/* Bans before this one; of those that only would have been, none counts once it is serious. */
static uint8_t strikes_of(const struct judge *judge, const struct memory *memory)
{
	if (memory->judged_only && judge->rules.act)
		return 0;
	return memory->ban_until + judge->rules.remember_ns > judge->now ? memory->strikes : 0;
}

/* ---- looking ---- */

void judge_begin(struct judge *judge, uint64_t now_ns)
{
	struct table empty = { .stride = sizeof(struct watched) };

	judge->window = judge->looked && now_ns > judge->began ? now_ns - judge->began : 0;
	judge->looked = true;
	judge->now = judge->began = now_ns;
	table_clear(&judge->before);
	judge->before = judge->watched;
	judge->watched = empty;
	judge->sources.count = judge->network_list.count = 0;
	forget_undone(judge);
}

static uint64_t per_second(const struct judge *judge, uint64_t packets)
{
	uint64_t window_ms = judge->window / NS_PER_MS;

	return window_ms ? packets * 1000 / window_ms : 0;
}

static int add_decision(struct decisions *list, const struct decision *decision)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct decision *at = reallocarray(list->at, room, sizeof(*at));

		if (!at)
			return -ENOMEM;
		list->at = at;
		list->room = room;
	}
	list->at[list->count++] = *decision;
	return 0;
}

/* Banned already, or spared a moment ago: there is nothing to judge. */
static bool is_settled(const struct judge *judge, const struct prefix *prefix)
{
	struct key key = prefix_key(prefix);
	const struct memory *memory = table_find(&judge->memory, &key);

	return memory && (is_banned(judge, memory) ||
			  (memory->spared_at && memory->spared_at + SPARED_EVERY_NS > judge->now));
}

static uint16_t cut16(uint32_t number)
{
	return number < 65535 ? number : 65535;
}

/*
 * Over its limit in this window: enough was dropped, and for each packet that
 * passed (times - 1) or more were dropped. A bucket that was evicted counts
 * anew, and so does its source.
 */
int judge_source(struct judge *judge, const struct judge_source *source)
{
	struct key key = { source->key.hi, source->key.lo, source->key.serial, 0 };
	const struct watched *before = table_find(&judge->before, &key);
	uint64_t dropped, passed;
	struct watched *now;

	if (!source->dropped || judge->watched.count >= SOURCES_MOST)
		return 0;
	now = table_put(&judge->watched, &key);
	if (!now)
		return -ENOMEM;
	now->passed = source->passed;
	now->dropped = source->dropped;
	if (!judge->window)
		return 0;
	if (before && (before->dropped > source->dropped || before->passed > source->passed))
		before = NULL;
	dropped = source->dropped - (before ? before->dropped : 0);
	passed = source->passed - (before ? before->passed : 0);
	if (!dropped || per_second(judge, dropped) < judge->rules.source.least_pps ||
	    dropped / (judge->rules.source.times - 1) < passed)
		return 0;
	now->windows = (before ? before->windows : 0) + 1;
	now->packets = (before ? before->packets : 0) + dropped;
	if (now->windows < judge->rules.source.windows || is_settled(judge, &source->prefix))
		return 0;
	return add_decision(&judge->sources, &(struct decision){
		.about = { .windows = cut16(now->windows), .packets = now->packets,
			   .limit_pps = source->limit_pps,
			   .seen_pps = per_second(judge, dropped + passed) },
		.prefix = source->prefix, .weight = dropped });
}

uint64_t judge_network_share(const struct weir_budget_state *states, size_t count,
			     uint64_t since_ns)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < count; i++) {
		if (!states[i].pressed_ns || states[i].pressed_ns + PRESSED_SLACK_NS < since_ns)
			continue;
		for (int tier = 0; tier < WEIR_KNOWN; tier++) {
			uint64_t ticks = states[i].share[tier];
			uint64_t pps = ticks ? (WEIR_TICKS_PER_S + ticks - 1) / ticks : 0;

			if (pps > largest)
				largest = pps;
		}
	}
	return largest;
}

int judge_network(struct judge *judge, const struct judge_network *network)
{
	struct watched_network *watched = &judge->networks[network->line];
	bool same = watched->windows + watched->dropped &&
		    !prefix_cmp(&watched->prefix, &network->prefix);
	uint64_t before = same ? watched->dropped : 0, dropped, pps;

	dropped = network->dropped > before ? network->dropped - before : 0;
	watched->prefix = network->prefix;
	watched->dropped = network->dropped;
	pps = per_second(judge, dropped);
	if (!judge->window || !dropped || !network->share_pps ||
	    pps < judge->rules.network.least_pps ||
	    pps < judge->rules.network.times * network->share_pps) {
		watched->windows = 0;
		watched->packets = 0;
		return 0;
	}
	watched->windows = (same ? watched->windows : 0) + 1;
	watched->packets = (same ? watched->packets : 0) + dropped;
	if (watched->windows < judge->rules.network.windows || is_settled(judge, &network->prefix))
		return 0;
	return add_decision(&judge->network_list, &(struct decision){
		.about = { .windows = cut16(watched->windows), .packets = watched->packets,
			   .limit_pps = network->share_pps, .seen_pps = pps },
		.prefix = network->prefix, .weight = dropped });
}

bool judge_is_due(const struct judge *judge)
{
	return judge->sources.count || judge->network_list.count;
}

/* ---- deciding ---- */

static uint64_t permille(uint64_t part, uint64_t whole)
{
	return !whole ? 0 : part >= whole ? 1000 : part * 1000 / whole;
}

static bool is_one_source(const struct prefix *prefix)
{
	return prefix->length >= (prefix_is_v4(prefix) ? 128 : 64);
}

/* Why @prefix must not be banned, into about.text; false: it may. */
static bool spare(const struct judge *judge, const struct judge_world *world, struct decision *d)
{
	const struct entry *allowed = entries_inside(world->allow, &d->prefix);
	bool single = is_one_source(&d->prefix);
	size_t size = sizeof(d->about.text);
	char text[PREFIX_STRLEN];
	struct prefix which;
	uint64_t known, bad;

	if (allowed) {
		prefix_format(&allowed->prefix, text);
		snprintf(d->about.text, size, "allow entry %.43s", text);
		return true;
	}
	if (prefixes_overlap(single ? world->own : world->own_networks, &d->prefix, &which)) {
		prefix_format(&which, text);
		snprintf(d->about.text, size, "this host has %.43s", text);
		return true;
	}
	if (single) {
		if (!world->is_known(world->ctx, &d->prefix))
			return false;
		snprintf(d->about.text, size, "a known source; its limit holds it");
		return true;
	}
	known = world->count_known(world->ctx, &d->prefix);
	bad = d->about.sources > judge->rules.network.sources ? d->about.sources :
							       judge->rules.network.sources;
	if (known < bad)
		return false;
	snprintf(d->about.text, size, "%llu known sources are in it", (unsigned long long)known);
	return true;
}

static uint64_t doubled(uint64_t first, uint8_t times, uint64_t most)
{
	while (times-- && first < most)
		first *= 2;
	return first < most ? first : most;
}

/* Completes @d, a ban of one source or of a network, and puts it on the list. */
static int decide(struct judge *judge, const struct judge_world *world, struct decision *d,
		  bool network, struct decisions *out)
{
	struct memory *memory = recall(judge, &d->prefix);
	const struct judge_rules *rules = &judge->rules;

	if (!memory)
		return -ENOMEM;
	if (memory->judged_at == judge->now || is_settled(judge, &d->prefix) ||
	    is_undone(judge, &d->prefix) || entries_find(world->block, &d->prefix))
		return 0;
	memory->judged_at = judge->now;
	d->about.share_permille = permille(d->weight, world->dropped);
	prefix_to_key(&d->prefix, &d->about.prefix);
	if (spare(judge, world, d)) {
		d->about.kind = WEIR_SPARED;
		memory->spared_at = judge->now;
		return add_decision(out, d);
	}
	d->about.strikes = strikes_of(judge, memory);
	d->ttl_ns = network ? doubled(rules->network.ban_ns, d->about.strikes, rules->network.most_ns) :
			      doubled(rules->source.ban_ns, d->about.strikes, rules->source.most_ns);
	d->about.ttl_s = d->ttl_ns / NS_PER_S;
	if (network)
		d->about.kind = rules->act ? WEIR_BAN_NETWORK : WEIR_WOULD_BAN_NETWORK;
	else
		d->about.kind = rules->act ? WEIR_BAN_SOURCE : WEIR_WOULD_BAN_SOURCE;
	return add_decision(out, d);
}

/* Only now: a ban for which there was no room must come again. */
static void remember_decision(struct judge *judge, const struct decision *d)
{
	struct memory *memory = recall(judge, &d->prefix);

	if (!memory)
		return;
	memory->ban_until = judge->now + d->ttl_ns;
	memory->strikes = d->about.strikes < 255 ? d->about.strikes + 1 : 255;
	memory->judged_only = !judge->rules.act;
}

/* How many of a network's sources are banned or about to be. */
struct crowd {
	struct key key;
	uint32_t sources;
	uint64_t packets, weight, seen_pps;
	uint32_t windows;
};

static int count_in_crowd(struct table *crowds, const struct decision *d, bool fresh)
{
	struct prefix network = judge_network_of(&d->prefix);
	struct key key = prefix_key(&network);
	struct crowd *crowd;

	if (network.length == d->prefix.length)
		return 0;
	crowd = table_put(crowds, &key);
	if (!crowd)
		return -ENOMEM;
	crowd->sources++;
	if (!fresh)
		return 0;
	crowd->packets += d->about.packets;
	crowd->weight += d->weight;
	crowd->seen_pps += d->about.seen_pps;
	if (d->about.windows > crowd->windows)
		crowd->windows = d->about.windows;
	return 0;
}

/* Bans that run, of sources; what was only judged counts only for judging. */
static int count_running(struct judge *judge, struct table *crowds)
{
	for (size_t i = 0; i < judge->memory.room; i++) {
		const struct memory *memory = (struct memory *)(judge->memory.at +
								i * judge->memory.stride);
		struct decision d = { .prefix = { memory->key.hi, memory->key.lo,
						  memory->key.tag } };

		if (!memory->key.used || !is_banned(judge, memory) || !is_one_source(&d.prefix))
			continue;
		if (count_in_crowd(crowds, &d, false))
			return -ENOMEM;
	}
	return 0;
}

/* Networks of which enough sources misbehave: only those with a new one among them. */
static int decide_crowds(struct judge *judge, const struct judge_world *world, struct table *crowds,
			 struct decisions *out)
{
	int rc = 0;

	for (size_t i = 0; i < crowds->room && !rc; i++) {
		const struct crowd *crowd = (struct crowd *)(crowds->at + i * crowds->stride);
		struct decision d = { 0 };

		if (!crowd->key.used || !crowd->weight ||
		    crowd->sources < judge->rules.network.sources)
			continue;
		d.prefix = (struct prefix){ crowd->key.hi, crowd->key.lo, crowd->key.tag };
		d.weight = crowd->weight;
		d.about.packets = crowd->packets;
		d.about.seen_pps = crowd->seen_pps;
		d.about.sources = crowd->sources;
		d.about.windows = cut16(crowd->windows);
		rc = decide(judge, world, &d, true, out);
	}
	return rc;
}

static int decide_turned_away(struct judge *judge, const struct judge_world *world,
			      struct decisions *out)
{
	int rc = 0;

	for (size_t i = 0; i < judge->network_list.count && !rc; i++) {
		struct decision *d = &judge->network_list.at[i];

		if (permille(d->weight, world->turned_away) >= judge->rules.network.share_permille)
			rc = decide(judge, world, d, true, out);
	}
	return rc;
}

/* A network's ban makes those of its sources idle. */
static int drop_covered(const struct decisions *networks, struct decisions *sources)
{
	struct table banned = { .stride = sizeof(struct key) };
	size_t kept = 0;

	for (size_t i = 0; i < networks->count; i++) {
		struct key key = prefix_key(&networks->at[i].prefix);

		if (networks->at[i].ttl_ns && !table_put(&banned, &key)) {
			table_clear(&banned);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < sources->count; i++) {
		struct prefix network = judge_network_of(&sources->at[i].prefix);
		struct key key = prefix_key(&network);

		if (!table_find(&banned, &key))
			sources->at[kept++] = sources->at[i];
	}
	sources->count = kept;
	table_clear(&banned);
	return 0;
}

static int worst_first(const void *a, const void *b)
{
	const struct decision *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return prefix_cmp(&x->prefix, &y->prefix);
}

static size_t count_bans(const struct entries *block)
{
	size_t count = 0;

	for (size_t i = 0; i < block->count; i++)
		count += block->at[i].value.origin == WEIR_BY_DAEMON;
	return count;
}

/* As many bans as there is room for, and a few of those that were spared. */
static void cut_to_room(struct judge *judge, const struct judge_world *world,
			struct decisions *out)
{
	size_t bans = count_bans(world->block), spared = 0, kept = 0;

	for (size_t i = 0; i < out->count; i++) {
		const struct decision *d = &out->at[i];

		if (!d->ttl_ns && spared++ >= SPARED_MOST)
			continue;
		if (d->ttl_ns && bans++ >= judge->rules.most_bans) {
			out->put_off++;
			continue;
		}
		if (d->ttl_ns)
			remember_decision(judge, d);
		out->at[kept++] = *d;
	}
	out->count = kept;
}

int judge_end(struct judge *judge, const struct judge_world *world, struct decisions *out)
{
	struct table crowds = { .stride = sizeof(struct crowd) };
	struct decisions networks = { 0 };
	int rc = 0;

	for (size_t i = 0; i < judge->sources.count && !rc; i++) {
		struct decision *d = &judge->sources.at[i];

		rc = decide(judge, world, d, !is_one_source(&d->prefix), out);
	}
	for (size_t i = 0; i < out->count && !rc; i++)
		if (out->at[i].ttl_ns)
			rc = count_in_crowd(&crowds, &out->at[i], true);
	if (!rc && crowds.count)
		rc = count_running(judge, &crowds);
	if (!rc)
		rc = decide_crowds(judge, world, &crowds, &networks);
	if (!rc)
		rc = decide_turned_away(judge, world, &networks);
	if (!rc) {
		rc = drop_covered(&networks, out);
		for (size_t i = 0; i < networks.count && !rc; i++)
			rc = add_decision(out, &networks.at[i]);
	}
	if (!rc && out->count) {
		qsort(out->at, out->count, sizeof(*out->at), worst_first);
		cut_to_room(judge, world, out);
	}
	table_clear(&crowds);
	free(networks.at);
	return rc;
}

void judge_take_back(struct judge *judge, const struct decisions *decisions)
{
	for (size_t i = 0; i < decisions->count; i++) {
		struct key key = prefix_key(&decisions->at[i].prefix);
		struct memory *memory = table_find(&judge->memory, &key);

		if (memory && decisions->at[i].ttl_ns) {
			memory->ban_until = 0;
			memory->strikes = decisions->at[i].about.strikes;
		}
	}
}
