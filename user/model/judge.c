// SPDX-License-Identifier: GPL-2.0-only
/* Finds suspects: sources and networks that exceed their limit or share, window after window. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf/pure/class.h"
#include "user/model/format.h"
#include "user/model/judge_private.h"
#include "user/model/units.h"

#define SOURCES_MOST	(1U << 20)	/* watched at a time; others are limited, not banned */

/* A source that had packets dropped, as the last window left it. */
struct watched_source {
	uint64_t passed, dropped, dropped_bytes;
	uint64_t packets;	/* dropped in the windows of this row */
	uint32_t windows;	/* in a row over the limit */
	struct span span;
};

struct judge *judge_new(const struct hash_seed *seed)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return NULL;
	judge->seed = *seed;
	hash_table_init(&judge->before, sizeof(struct watched_source), seed);
	hash_table_init(&judge->watched, sizeof(struct watched_source), seed);
	hash_table_init(&judge->memory, sizeof(struct memory), seed);
	hash_table_init(&judge->offenders, sizeof(struct offender), seed);
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
	hash_table_clear(&judge->before);
	hash_table_clear(&judge->watched);
	hash_table_clear(&judge->memory);
	hash_table_clear(&judge->offenders);
	free(judge->networks);
	free(judge->suspect_sources.at);
	free(judge->suspect_networks.at);
	free(judge);
}

void judge_set_rules(struct judge *judge, const struct judge_rules *rules)
{
	judge->rules = *rules;
}

struct prefix judge_network_of(const struct prefix *source)
{
	struct prefix network = *source;
	uint8_t length = prefix_is_v4(source) ? 96 + 24 : 48;

	if (is_link_local(source->hi))	/* neighbours have no network of their own */
		return network;
	if (network.length > length)
		network.length = length;
	prefix_mask(&network);
	return network;
}

int decisions_add(struct decisions *list, const struct decision *decision)
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

void decisions_free(struct decisions *decisions)
{
	free(decisions->at);
	free(decisions->replaced);
	*decisions = (struct decisions){ 0 };
}

void judge_begin(struct judge *judge, uint64_t now_ns)
{
	judge->window_before = judge->window;
	judge->window = judge->looked && now_ns > judge->began ? now_ns - judge->began : 0;
	judge->looked = true;
	judge->now = judge->began = now_ns;
	hash_table_clear(&judge->before);
	judge->before = judge->watched;
	hash_table_init(&judge->watched, sizeof(struct watched_source), &judge->seed);
	judge->suspect_sources.count = judge->suspect_networks.count = 0;
	span_begin(judge);
	offenders_begin(judge);
	memory_forget_undone(judge);
}

uint64_t judge_per_second(const struct judge *judge, uint64_t packets)
{
	uint64_t window_ms = judge->window / NS_PER_MS;

	return window_ms ? packets * 1000 / window_ms : 0;
}

/* ---- sources ---- */

/*
 * What the limit lets through in a window, in packets: what passed, or what could have. A packet
 * that passes the gate is in no counter of the bucket, so @passed alone is too little where a source
 * sends in bursts: of an upload in a LAN it was less than half.
 */
static uint64_t allowed(const struct judge *judge, const struct judge_source *source,
			uint64_t passed, uint64_t dropped, uint64_t dropped_bytes)
{
	unsigned __int128 ticks = (unsigned __int128)judge->window << WEIR_TICK_SHIFT;
	unsigned __int128 most = UINT64_MAX;

	if (source->cost)
		most = ticks / source->cost;
	if (source->byte_cost && dropped_bytes) {
		unsigned __int128 bytes = (ticks << WEIR_BYTE_COST_SHIFT) / source->byte_cost;
		unsigned __int128 packets = bytes * dropped / dropped_bytes;

		most = packets < most ? packets : most;
	}
	return most < UINT64_MAX && most > passed ? most : passed;
}

/* Enough was dropped, and for each packet that was allowed (times - 1) or more were dropped. */
static bool source_exceeds(const struct judge *judge, uint64_t could_pass, uint64_t dropped)
{
	return dropped && judge_per_second(judge, dropped) >= judge->rules.source.least_pps &&
	       dropped / (judge->rules.source.times - 1) >= could_pass;
}

bool judge_is_settled(const struct judge *judge, const struct prefix *prefix)
{
	const struct offender *offender;
	struct conduct conduct;

	if (!memory_is_settled(judge, prefix))
		return false;
	offender = offender_find(judge, prefix);
	return !offender || !memory_is_spared(judge, memory_find(judge, prefix)) ||
	       !offender_is_proven(judge, offender, &conduct);
}

/* @windows, @packets: for how long, and what was dropped meanwhile; the rest is of this window. */
static int suspect(struct judge *judge, const struct judge_source *source, uint64_t windows,
		   uint64_t packets, uint64_t passed, uint64_t dropped, const char *text)
{
	struct decision d = {
		.about = { .windows = cut16(windows), .packets = packets,
			   .limit_pps = source->limit_pps,
			   .seen_pps = judge_per_second(judge, dropped + passed) },
		.prefix = source->prefix, .weight = dropped };

	snprintf(d.about.text, sizeof(d.about.text), "%s", text);
	return decisions_add(&judge->suspect_sources, &d);
}

static int suspect_span(struct judge *judge, const struct judge_source *source,
			const struct span *span, uint64_t passed, uint64_t dropped)
{
	const struct span_part *part = span->part;
	char duration[FORMAT_LEN], text[80];

	format_duration(judge->rules.source.span_ns / NS_PER_S, duration);
	snprintf(text, sizeof(text), "within %.40s, not in a row", duration);
	return suspect(judge, source, span_sum(judge, part[0].windows, part[1].windows),
		       span_sum(judge, part[0].packets, part[1].packets), passed, dropped, text);
}

/* What was counted since the look before: @before, or nothing where a bucket began anew. */
static int judge_counted(struct judge *judge, const struct judge_source *source,
			 const struct watched_source *before, struct watched_source *now)
{
	uint64_t dropped = source->dropped - before->dropped;
	uint64_t dropped_bytes = source->dropped_bytes - before->dropped_bytes;
	uint64_t passed = source->passed - before->passed;
	uint64_t could_pass = allowed(judge, source, passed, dropped, dropped_bytes);
	struct offender *offender = offender_find(judge, &source->prefix);
	bool exceeds = source_exceeds(judge, could_pass, dropped);

	if (offender) {
		offender->window.allowed += could_pass;
		offender->window.dropped += dropped;
		offender->over |= exceeds;
	}
	now->span = span_next(judge, &before->span, dropped, dropped_bytes, source);
	if (exceeds) {
		now->windows = before->windows + 1;
		now->packets = before->packets + dropped;
	}
	if (now->windows >= judge->rules.source.windows && !judge_is_settled(judge, &source->prefix))
		return suspect(judge, source, now->windows, now->packets, passed, dropped, "");
	if (!span_exceeds(judge, &now->span))
		return 0;
	if (!judge_is_settled(judge, &source->prefix))
		return suspect_span(judge, source, &now->span, passed, dropped);
	now->span = (struct span){ 0 };	/* what led to a ban does not lead to the next one */
	return 0;
}

int judge_source(struct judge *judge, const struct judge_source *source)
{
	struct hash_key key = { source->key.hi, source->key.lo, source->key.serial };
	const struct watched_source *before = hash_table_find(&judge->before, &key);
	struct watched_source fresh = { 0 }, *now;

	if (!source->dropped || judge->watched.count >= SOURCES_MOST)
		return 0;
	if (source->key.hi == HARDWARE_HI)	/* it has no address that could be banned */
		return 0;
	now = hash_table_put(&judge->watched, &key);
	if (!now)
		return -ENOMEM;
	now->passed = source->passed;
	now->dropped = source->dropped;
	now->dropped_bytes = source->dropped_bytes;
	if (!judge->window)
		return 0;
	/* The counters of a bucket that was evicted begin again at 0, and so does its row. */
	if (before && (before->dropped > source->dropped || before->passed > source->passed)) {
		fresh.span = before->span;
		before = NULL;
	}
	return judge_counted(judge, source, before ? before : &fresh, now);
}

/* ---- networks ---- */

uint64_t judge_network_share(const struct weir_budget_state *states, size_t count,
			     uint64_t since_ns)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < count; i++) {
		if (!states[i].pressed_ns || !is_under_pressure(&states[i], since_ns))
			continue;
		for (int tier = 0; tier < WEIR_SEEN; tier++) {
			uint64_t ticks = states[i].share[tier];
			uint64_t pps = ticks ? (WEIR_TICKS_PER_S + ticks - 1) / ticks : 0;

			if (pps > largest)
				largest = pps;
		}
	}
	return largest;
}

static bool network_exceeds(const struct judge *judge, uint64_t pps, uint64_t share_pps)
{
	return judge->window && share_pps && pps && pps >= judge->rules.network.least_pps &&
	       pps >= judge->rules.network.times * share_pps;
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
	pps = judge_per_second(judge, dropped);
	if (is_link_local(network->prefix.hi))
		return 0;
	if (!network_exceeds(judge, pps, network->share_pps)) {
		watched->windows = 0;
		watched->packets = 0;
		return 0;
	}
	watched->windows = (same ? watched->windows : 0) + 1;
	watched->packets = (same ? watched->packets : 0) + dropped;
	if (watched->windows < judge->rules.network.windows ||
	    judge_is_settled(judge, &network->prefix))
		return 0;
	return decisions_add(&judge->suspect_networks, &(struct decision){
		.about = { .windows = cut16(watched->windows), .packets = watched->packets,
			   .limit_pps = network->share_pps, .seen_pps = pps },
		.prefix = network->prefix, .weight = dropped });
}

bool judge_is_due(const struct judge *judge)
{
	return judge->suspect_sources.count || judge->suspect_networks.count;
}
