// SPDX-License-Identifier: GPL-2.0-only
/* From two samples to rules: search on one half, judgement on the other, again on what is left. */
#include <stdlib.h>
#include <string.h>

#include "user/model/explain_private.h"

/* What a rule must cover beside the others, or it goes. */
#define NEEDED	0.01

struct explain *explain_new(void)
{
	return calloc(1, sizeof(struct explain));
}

void explain_free(struct explain *explain)
{
	free(explain);
}

/* The share of a half of the hold-out that the rules match together, without rule @but. */
static double covered(const struct half *half, const struct explain_result *result, uint32_t but)
{
	bits_t all = { 0 }, set;

	for (uint32_t i = 0; i < result->count; i++) {
		if (i == but)
			continue;
		match(half, &result->verdict[i].rule, set);
		for (uint32_t w = 0; w < half->words; w++)
			all[w] |= set[w];
	}
	return share_of(half, all);
}

/* What later rules match as well is left out. */
static void leave_out_needless(const struct half *flood, struct explain_result *result)
{
	for (uint32_t i = 0; i < result->count && result->count > 1;) {
		if (covered(flood, result, i) < covered(flood, result, EXPLAIN_RULES) - NEEDED) {
			i++;
			continue;
		}
		result->count--;
		memmove(&result->verdict[i], &result->verdict[i + 1],
			(result->count - i) * sizeof(*result->verdict));
	}
}

/* What no rule matches yet, and the calm packets that rules do match. */
struct left {
	bits_t search, hold, taken;
};

static void subtract(const struct half *half, const struct explain_rule *rule, bits_t from)
{
	bits_t set;

	match(half, rule, set);
	for (uint32_t w = 0; w < half->words; w++)
		from[w] &= ~set[w];
}

static void take_verdict(const struct explain *explain, const struct explain_rule *rule,
			 struct left *left)
{
	bits_t set;

	subtract(&explain->search[FLOOD], rule, left->search);
	subtract(&explain->hold[FLOOD], rule, left->hold);
	match(&explain->hold[CALM], rule, set);
	for (uint32_t w = 0; w < explain->hold[CALM].words; w++)
		left->taken[w] |= set[w];
}

/*
 * One round: the first of the rules found that stands. False: nothing was found to be tried.
 * @networks: only source networks are tried.
 */
static bool one_round(struct explain *explain, struct left *left, bool networks, uint32_t *tests,
		      struct explain_result *result)
{
	struct explain_rule tried[8], rule;
	uint32_t count = networks ? find_networks(explain, left->search, tried) :
				    grow(explain, left->search, tried);

	for (uint32_t i = 0; i < count && *tests < TESTS; i++) {
		struct explain_verdict *verdict = &result->verdict[result->count];

		rule = tried[i];
		explain->refused[explain->refused_count++] = rule;
		if (!networks)
			narrow(explain, left->search, &rule);
		++*tests;
		if (!judge_rule(explain, &rule, left->hold, left->taken, verdict))
			continue;
		result->count++;
		take_verdict(explain, &rule, left);
		break;
	}
	return count > 0;
}

static void find_rules(struct explain *explain, const struct explain_options *options,
		       struct explain_result *result)
{
	uint32_t most = options->rules ? options->rules : EXPLAIN_RULES, tests = 0, rounds = 0;
	bool networks = false;
	struct left left;

	memcpy(left.search, explain->search[FLOOD].all, sizeof(left.search));
	memcpy(left.hold, explain->hold[FLOOD].all, sizeof(left.hold));
	memset(left.taken, 0, sizeof(left.taken));
	explain->refused_count = 0;
	while (result->count < most && result->count < EXPLAIN_RULES && tests < TESTS &&
	       (!options->rounds || rounds++ < options->rounds) &&
	       share_of(&explain->search[FLOOD], left.search) >= MIN_GAIN) {
		if (one_round(explain, &left, networks, &tests, result))
			continue;
		if (networks)
			break;
		networks = true;
	}
}

void explain_find(struct explain *explain, const struct explain_packet *calm, size_t calm_count,
		  const struct explain_packet *flood, size_t flood_count,
		  const struct explain_options *options, struct explain_result *result)
{
	const struct explain_packet *const sample[SIDES] = { flood, calm };
	size_t count[SIDES] = { flood_count, calm_count };
	const struct half *hold = explain->hold;

	for (int side = 0; side < SIDES; side++)
		if (count[side] > EXPLAIN_PACKETS)
			count[side] = EXPLAIN_PACKETS;
	memset(result, 0, sizeof(*result));
	result->bound = 1;
	if (count[FLOOD] < EXPLAIN_FLOOD_LEAST || count[CALM] < EXPLAIN_CALM_LEAST) {
		result->end = count[FLOOD] < EXPLAIN_FLOOD_LEAST ? EXPLAIN_TOO_FEW_FLOOD :
								   EXPLAIN_TOO_FEW_CALM;
		return;
	}
	explain->tallies.key = options->seed ? options->seed->word[0] ^ options->seed->word[1] :
					       0x9e3779b97f4a7c15ULL;
	split_samples(explain, sample, count, options);
	find_rules(explain, options, result);
	leave_out_needless(&hold[FLOOD], result);
	result->flood = covered(&hold[FLOOD], result, EXPLAIN_RULES);
	result->calm = covered(&hold[CALM], result, EXPLAIN_RULES);
	result->calm_packets = hold[CALM].count;
	result->bound = wilson(result->calm, hold[CALM].effective, 1.645, 1);
	result->end = result->flood >= EXPLAIN_FLOOD_WANTED ? EXPLAIN_COMPLETE :
		      result->count ? EXPLAIN_PARTIAL : EXPLAIN_NOTHING;
}
