// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hold-out's word on a rule. At most TESTS rules are judged by it, and the bound that decides
 * is corrected for so many (Bonferroni), so that luck among many candidates makes no rule.
 */
#include <math.h>
#include <string.h>

#include "user/model/explain_private.h"

#define TEST_Z		2.95	/* one-sided 0.0016, about 0.025 / TESTS */
#define BOUND_Z		1.645	/* one-sided 0.05 */
#define NEAR_Z		2.33	/* one-sided 0.01 */
#define CONTRAST	10	/* of the flood's lower bound over calm traffic's upper one */
#define HOSTS_CONTRAST	2	/* the same where it is among sources */
#define WORTH_ASKING	0.20	/* a rule that is not sure must add so much of the flood */
#define SERVICE_HIT	0.01	/* of a calm service; more makes a rule doubtful */
#define SOURCE_HIT	0.50	/* of what a calm source sent */

double wilson(double share, double n, double z, int sign)
{
	double middle, spread;

	if (n <= 0)
		return sign > 0 ? 1 : 0;
	middle = share + z * z / (2 * n);
	spread = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
	return (middle + sign * spread) / (1 + z * z / n);
}

/* ---- groups ---- */

static uint32_t count_of(const struct half *half, const uint16_t *numbers, uint16_t number)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < half->count; i++)
		count += numbers[i] == number;
	return count;
}

/*
 * The first group, in the order of the packets, of which @set holds two packets at least and more
 * than @most of all. Returns how many it holds; 0: there is none.
 */
static uint32_t hit_group(const struct half *half, const uint16_t *numbers, const bits_t set,
			  double most, uint16_t *group)
{
	uint16_t hits[2 * EXPLAIN_PACKETS] = { 0 };

	for (uint32_t i = 0; i < half->count; i++)
		hits[numbers[i]] += has_bit(set, i);
	for (uint32_t i = 0; i < half->count; i++) {
		uint32_t count = hits[numbers[i]];

		if (!has_bit(set, i) || !count)
			continue;
		hits[numbers[i]] = 0;	/* each group is looked at once */
		if (count < 2 || count <= most * count_of(half, numbers, numbers[i]))
			continue;
		*group = numbers[i];
		return count;
	}
	return 0;
}

enum explain_doubt hits_a_group(const struct explain *explain, const struct half *calm,
				const bits_t set, struct explain_verdict *verdict)
{
	struct explain_verdict ignored;
	uint64_t key;
	uint16_t group;

	verdict = verdict ? verdict : &ignored;
	verdict->doubt_packets = hit_group(calm, calm->service, set, SERVICE_HIT, &group);
	if (verdict->doubt_packets) {
		key = explain->service_key[group];
		verdict->doubt_proto = key >> 32;
		verdict->doubt_port = (key >> 1 & 0x1ffff) - 1;
		return EXPLAIN_SERVICE;
	}
	verdict->doubt_packets = hit_group(calm, calm->source, set, SOURCE_HIT, &group);
	return verdict->doubt_packets ? EXPLAIN_ONE_SOURCE : EXPLAIN_SURE;
}

/* ---- what is near ---- */

struct near {
	bits_t flood, calm;	/* the packets that the rule is compared among */
};

/* The packets of the services that a rule takes flood from. */
static void near_by_service(const struct explain *explain, const bits_t taken, struct near *near)
{
	const struct half *flood = &explain->hold[FLOOD], *calm = &explain->hold[CALM];
	bool same[2 * EXPLAIN_PACKETS] = { false };

	memset(near, 0, sizeof(*near));
	for (uint32_t i = 0; i < flood->count; i++)
		if (has_bit(taken, i))
			same[flood->service[i]] = true;
	for (uint32_t i = 0; i < flood->count; i++)
		near->flood[i / 64] |= (uint64_t)same[flood->service[i]] << i % 64;
	for (uint32_t i = 0; i < calm->count; i++)
		near->calm[i / 64] |= (uint64_t)same[calm->service[i]] << i % 64;
}

/* The packets that are alike but for what hosts have. */
static void near_but_hosts(const struct explain *explain, const struct explain_rule *rule,
			   struct near *near)
{
	struct explain_rule rest = { 0 };

	for (uint32_t i = 0; i < rule->count; i++)
		if (!goes_by_hosts(&rule->condition[i]))
			rule_add(&rest, &rule->condition[i]);
	match(&explain->hold[FLOOD], &rest, near->flood);
	match(&explain->hold[CALM], &rest, near->calm);
}

static uint32_t sources_in(const struct half *half, const bits_t set)
{
	bool seen[2 * EXPLAIN_PACKETS] = { false };
	uint32_t count = 0;

	for (uint32_t i = 0; i < half->count; i++) {
		if (!has_bit(set, i) || seen[half->source[i]])
			continue;
		seen[half->source[i]] = true;
		count++;
	}
	return count;
}

struct judged {
	bits_t flood, calm;	/* what the rule matches */
	bool hosts;		/* sources count, not packets */
	double gain, harm, low;
};

/*
 * A rule that carves a part out of one calm service finds few calm packets there to be compared
 * with, and so a wide bound. Among these, too, it must take more of the flood than of calm traffic.
 */
static bool is_apart(const struct explain *explain, const struct judged *judged,
		     const struct near *near)
{
	const struct half *flood = &explain->hold[FLOOD], *calm = &explain->hold[CALM];
	uint32_t n = judged->hosts ? sources_in(calm, near->calm) : count_bits(calm, near->calm);
	double of_flood, of_calm;

	if (!n)
		return true;
	of_flood = share_of(flood, judged->flood) / share_of(flood, near->flood);
	of_calm = share_of_both(calm, judged->calm, near->calm) / share_of(calm, near->calm);
	return of_flood >= wilson(of_calm, n, NEAR_Z, 1);
}

/* ---- the judgement ---- */

static bool has_source(const struct explain_rule *rule)
{
	return rule_has(rule, EXPLAIN_SOURCE);
}

static enum explain_doubt doubt_of(const struct explain *explain, const struct explain_rule *rule,
				   const struct judged *judged, double bound, double all)
{
	double of_all = wilson(all, explain->hold[CALM].effective, BOUND_Z, 1);

	if (bound > EXPLAIN_CALM_MOST || of_all > EXPLAIN_CALM_MOST)
		return judged->hosts ? EXPLAIN_FEW_SOURCES : EXPLAIN_FEW_PACKETS;
	if (has_source(rule))
		return EXPLAIN_BY_SOURCE;
	if (rule->count == 1 && rule->condition[0].field == EXPLAIN_PROTO)
		return EXPLAIN_BARE;
	return EXPLAIN_SURE;
}

bool judge_rule(const struct explain *explain, const struct explain_rule *rule, const bits_t live,
		const bits_t taken, struct explain_verdict *verdict)
{
	const struct half *flood = &explain->hold[FLOOD], *calm = &explain->hold[CALM];
	double n, high, bound, all;
	struct judged judged = { 0 };
	struct near near;
	bits_t both;

	for (uint32_t i = 0; i < rule->count; i++)
		judged.hosts |= goes_by_hosts(&rule->condition[i]);
	match(flood, rule, judged.flood);
	match(calm, rule, judged.calm);
	judged.gain = share_of_both(flood, judged.flood, live);
	judged.harm = share_of(calm, judged.calm);
	for (uint32_t w = 0; w < calm->words; w++)
		both[w] = judged.calm[w] | taken[w];
	all = share_of(calm, both);
	judged.low = wilson(judged.gain, flood->effective, TEST_Z, -1);
	n = judged.hosts ? calm->sources : calm->effective;
	high = wilson(judged.harm, n, TEST_Z, 1);
	bound = wilson(judged.harm, n, BOUND_Z, 1);
	if (judged.low < MIN_GAIN / 2 || all > EXPLAIN_CALM_MOST ||
	    judged.low < (judged.hosts ? HOSTS_CONTRAST : CONTRAST) * high)
		return false;
	verdict->doubt = hits_a_group(explain, calm, judged.calm, verdict);
	if (verdict->doubt && judged.low < EXPLAIN_FLOOD_WANTED / 2)
		return false;
	near_by_service(explain, judged.flood, &near);
	if (!is_apart(explain, &judged, &near))
		return false;
	if (judged.hosts)
		near_but_hosts(explain, rule, &near);
	if (judged.hosts && !is_apart(explain, &judged, &near))
		return false;
	if (judged.low < WORTH_ASKING && (verdict->doubt || bound > EXPLAIN_CALM_MOST))
		return false;
	if (!verdict->doubt)
		verdict->doubt = doubt_of(explain, rule, &judged, bound, all);
	verdict->rule = *rule;
	verdict->flood = share_of(flood, judged.flood);
	verdict->gain = judged.gain;
	verdict->calm = judged.harm;
	verdict->bound = bound;
	verdict->calm_hits = count_bits(calm, judged.calm);
	return true;
}
