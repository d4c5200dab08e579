/* SPDX-License-Identifier: GPL-2.0-only */
/* A judge with the state of a host that it is given, for its tests. Time is an argument. */
#ifndef TESTS_UNIT_JUDGE_BENCH_H
#define TESTS_UNIT_JUDGE_BENCH_H

#include <string.h>

#include "bpf/pure/address.h"
#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/judge.h"

#define S	1000000000ULL
#define SECOND(n) ((n) * S + 1000 * S)

static const struct judge_rules usual = {
	.enforce = true, .undo_ns = 100 * S, .remember_ns = 1000 * S, .most_bans = 100000,
	.source = { .windows = 3, .times = 2, .least_pps = 50, .first_ban_ns = 60 * S,
		    .longest_ban_ns = 300 * S },
	.network = { .sources = 8, .windows = 3, .times = 10, .least_pps = 1000,
		     .share_permille = 50, .first_ban_ns = 60 * S, .longest_ban_ns = 120 * S },
};

/* A judge, the state of the host that it is given, and its last decisions. */
struct bench {
	struct judge *judge;
	struct judge_rules rules;
	struct entries allow, block;
	struct prefixes own, own_networks, seen, proven;
	struct judge_world world;
	struct decisions said;
	uint64_t second;
};

static inline struct prefix prefix_of(const char *text)
{
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err))
		printf("# %s\n", err);
	return prefix;
}

static inline enum weir_tier tier_of(void *ctx, const struct prefix *source)
{
	struct bench *bench = ctx;

	if (prefixes_overlap(&bench->proven, source, NULL))
		return WEIR_PROVEN;
	return prefixes_overlap(&bench->seen, source, NULL) ? WEIR_SEEN : WEIR_FIRST_SEEN;
}

static inline uint64_t count_proven(void *ctx, const struct prefix *prefix)
{
	struct bench *bench = ctx;
	uint64_t count = 0;

	for (size_t i = 0; i < prefixes_count(&bench->proven); i++) {
		struct prefix each = prefixes_at(&bench->proven, i);

		if (prefix_covers(prefix, &each))
			count += each.length < 128 && prefix_is_v4(&each) ? 1 << (128 - each.length) : 1;
	}
	return count;
}

static inline void bench_open(struct bench *bench)
{
	const struct hash_seed seed = { { 1, 2 } };

	*bench = (struct bench){ .judge = judge_new(&seed), .rules = usual, .second = 1 };
	bench->world = (struct judge_world){
		.allow = &bench->allow, .block = &bench->block, .host_addresses = &bench->own,
		.host_networks = &bench->own_networks, .tier_of = tier_of,
		.count_proven = count_proven, .ctx = bench,
		.dropped = 100000, .turned_away = 100000,
	};
}

static inline void bench_close(struct bench *bench)
{
	judge_free(bench->judge);
	decisions_free(&bench->said);
	free(bench->allow.at);
	free(bench->block.at);
	prefixes_free(&bench->own);
	prefixes_free(&bench->own_networks);
	prefixes_free(&bench->seen);
	prefixes_free(&bench->proven);
}

static inline void begin(struct bench *bench)
{
	decisions_free(&bench->said);
	judge_set_rules(bench->judge, &bench->rules);
	judge_begin(bench->judge, SECOND(bench->second++));
}

static inline void see(struct bench *bench, const struct prefix *source, uint64_t passed, uint64_t dropped)
{
	judge_source(bench->judge, &(struct judge_source){
		.key = { .hi = source->hi, .lo = source->lo, .serial = 1 }, .prefix = *source,
		.passed = passed, .dropped = dropped, .limit_pps = 1000,
		.cost = WEIR_TICKS_PER_S / 1000 });
}

/* Plays a window in which only @source was seen, with these counters. Returns the decisions. */
static inline size_t window(struct bench *bench, const char *source, uint64_t passed, uint64_t dropped)
{
	struct prefix prefix = prefix_of(source);

	begin(bench);
	see(bench, &prefix, passed, dropped);
	judge_end(bench->judge, &bench->world, &bench->said);
	return bench->said.count;
}

/* @source floods for as many windows as a ban takes. Returns the kind of decision, or -1. */
static inline int flood(struct bench *bench, const char *source)
{
	static uint64_t counted = 100;
	size_t count = 0;

	window(bench, source, counted / 5, counted);
	for (uint64_t i = 0; i < usual.source.windows && !count; i++) {
		counted += 5000;
		count = window(bench, source, counted / 5, counted);
	}
	return count == 1 ? bench->said.at[0].about.kind : -1;
}

static inline void idle(struct bench *bench, uint64_t seconds)
{
	bench->second += seconds;
	begin(bench);
	judge_end(bench->judge, &bench->world, &bench->said);
}

#endif
