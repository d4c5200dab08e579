// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beam search for the rules that match much of the flood that is left and hardly any calm packet:
 * the best rules of one condition are extended by each other condition, the best of these again.
 */
#include <string.h>

#include "user/model/explain_private.h"

/* What a rule costs beside its conditions, so that few rules win. */
#define RULE_COST	2
#define SAME		0.995	/* of a rule's flood, for a value to be called constant */
#define NETWORKS	4	/* that are tried, of each length */

/* ---- rules that were looked at ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

static uint64_t hash_of_rule(const struct explain_rule *rule)
{
	uint64_t hash = rule->count;

	for (uint32_t i = 0; i < rule->count; i++) {
		const struct explain_condition *c = &rule->condition[i];

		hash = mix(hash, (uint64_t)c->field << 8 | c->at);
		hash = mix(hash, (uint64_t)c->low << 32 | c->high);
	}
	return hash | 1;
}

/* True: it is new, and is noted. When the table is full, all that comes counts as seen. */
static bool note_rule(struct explain *explain, const struct explain_rule *rule)
{
	uint64_t hash = hash_of_rule(rule);

	for (uint32_t i = hash % SEEN, steps = 0; steps < SEEN; i = (i + 1) % SEEN, steps++) {
		if (explain->seen[i] == hash)
			return false;
		if (!explain->seen[i]) {
			explain->seen[i] = hash;
			return true;
		}
	}
	return false;
}

static bool is_refused(const struct explain *explain, const struct explain_rule *rule)
{
	for (uint32_t i = 0; i < explain->refused_count; i++)
		if (!explain_order(&explain->refused[i], rule))
			return true;
	return false;
}

/* ---- the best so far ---- */

static int by_worth(const struct candidate *a, const struct candidate *b)
{
	if (a->worth != b->worth)
		return a->worth > b->worth ? -1 : 1;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	return explain_order(&a->rule, &b->rule);
}

static int by_gain(const struct candidate *a, const struct candidate *b)
{
	if (a->gain != b->gain)
		return a->gain > b->gain ? -1 : 1;
	return explain_order(&a->rule, &b->rule);
}

/* The flood for each word; @worth holds it here. */
static double value_of(const struct candidate *candidate)
{
	return candidate->gain * (1 - 0.3 * candidate->harm / EXPLAIN_CALM_MOST) /
	       (candidate->cost + RULE_COST);
}

static int by_value(const struct candidate *a, const struct candidate *b)
{
	double x = value_of(a), y = value_of(b);

	if (x != y)
		return x > y ? -1 : 1;
	return explain_order(&a->rule, &b->rule);
}

static void keep(struct candidate *best, uint32_t *count, uint32_t most,
		 const struct candidate *candidate,
		 int (*compare)(const struct candidate *, const struct candidate *))
{
	uint32_t at = *count;

	if (at == most && compare(candidate, &best[most - 1]) >= 0)
		return;
	if (at == most)
		at--;
	else
		++*count;
	for (; at && compare(candidate, &best[at - 1]) < 0; at--)
		best[at] = best[at - 1];
	best[at] = *candidate;
}

/* ---- the beam ---- */

/*
 * False: whatever calm traffic @candidate matches, it is better than none of those kept so far. With no
 * harm it would be worth the most; the margin is for rounding.
 */
static bool may_be_kept(const struct explain *explain, const struct candidate *candidate)
{
	struct candidate harmless = *candidate;

	if (explain->found_count < FOUND || explain->best_count < BEAM_BEST ||
	    explain->wide_count < BEAM_WIDE)
		return true;
	harmless.harm = 0;
	return candidate->gain >= explain->wide[BEAM_WIDE - 1].gain ||
	       1.000001 * value_of(&harmless) >= value_of(&explain->found[FOUND - 1]) ||
	       1.000001 * worth_of(candidate->gain, 0) >= explain->best[BEAM_BEST - 1].worth;
}

static void extend(struct explain *explain, const struct node *node, uint32_t parent,
		   const struct explain_condition *added, const struct sets *sets, int item)
{
	struct candidate candidate = { .rule = node->rule, .added = *added, .item = item,
				       .parent = parent };

	if (rule_has(&node->rule, added->field))
		return;
	rule_add(&candidate.rule, added);
	if (!note_rule(explain, &candidate.rule))
		return;
	candidate.gain = share_of_both(&explain->search[FLOOD], node->sets.set[FLOOD],
				       sets->set[FLOOD]);
	if (candidate.gain < MIN_GAIN)
		return;
	candidate.cost = rule_cost(&candidate.rule);
	if (!may_be_kept(explain, &candidate))
		return;
	candidate.harm = share_of_both(&explain->search[CALM], node->sets.set[CALM],
				       sets->set[CALM]);
	candidate.worth = worth_of(candidate.gain, candidate.harm);
	if (candidate.harm <= EXPLAIN_CALM_MOST && !is_refused(explain, &candidate.rule))
		keep(explain->found, &explain->found_count, FOUND, &candidate, by_value);
	keep(explain->best, &explain->best_count, BEAM_BEST, &candidate, by_worth);
	keep(explain->wide, &explain->wide_count, BEAM_WIDE, &candidate, by_gain);
}

/* The conditions that are found only among the packets of a node. */
static void extend_by_own(struct explain *explain, const struct node *node, uint32_t parent)
{
	struct explain_condition own[2 * EXPLAIN_RANGES + 3];
	uint32_t count = 0;
	struct sets sets;

	for (int field = 0; field < EXPLAIN_RANGES; field++)
		if (!rule_has(&node->rule, field))
			count += find_ranges(explain, &node->sets, field, own + count);
	if (!rule_has(&node->rule, EXPLAIN_PAYLOAD))
		count += find_fixed_bits(explain, &node->sets, own + count);
	for (uint32_t i = 0; i < count; i++) {
		for (int side = 0; side < SIDES; side++)
			set_of(&explain->search[side], &own[i], sets.set[side]);
		extend(explain, node, parent, &own[i], &sets, -1);
	}
}

static void make_node(struct explain *explain, const struct node *beam,
		      const struct candidate *candidate, struct node *node)
{
	const struct node *parent = &beam[candidate->parent];
	bits_t set;

	node->rule = candidate->rule;
	for (int side = 0; side < SIDES; side++) {
		const uint64_t *added = set;

		if (candidate->item >= 0)
			added = explain->item_sets[candidate->item].set[side];
		else
			set_of(&explain->search[side], &candidate->added, set);
		memset(node->sets.set[side], 0, sizeof(bits_t));
		intersect(&explain->search[side], parent->sets.set[side], added,
			  node->sets.set[side]);
	}
}

/* The next beam, of what this one was extended to. Returns its size. */
static uint32_t next_beam(struct explain *explain, const struct node *beam, struct node *next)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < explain->best_count; i++)
		make_node(explain, beam, &explain->best[i], &next[count++]);
	for (uint32_t i = 0; i < explain->wide_count; i++) {
		bool twice = false;

		for (uint32_t j = 0; j < explain->best_count; j++)
			twice |= !explain_order(&explain->wide[i].rule, &explain->best[j].rule);
		if (!twice)
			make_node(explain, beam, &explain->wide[i], &next[count++]);
	}
	return count;
}

static void search(struct explain *explain, const bits_t live)
{
	uint32_t size = 1;

	memset(explain->seen, 0, sizeof(explain->seen));
	explain->found_count = 0;
	explain->beam[0][0].rule.count = 0;
	memcpy(explain->beam[0][0].sets.set[FLOOD], live, sizeof(bits_t));
	memcpy(explain->beam[0][0].sets.set[CALM], explain->search[CALM].all, sizeof(bits_t));
	for (int depth = 0; depth < DEPTH; depth++) {
		struct node *beam = explain->beam[depth % 2];

		explain->best_count = explain->wide_count = 0;
		for (uint32_t b = 0; b < size; b++) {
			for (uint32_t i = 0; i < explain->items; i++)
				extend(explain, &beam[b], b, &explain->item[i],
				       &explain->item_sets[i], i);
			if (depth)
				extend_by_own(explain, &beam[b], b);
		}
		size = next_beam(explain, beam, explain->beam[(depth + 1) % 2]);
	}
}

uint32_t grow(struct explain *explain, const bits_t live, struct explain_rule out[TRIED])
{
	const struct half *calm = &explain->search[CALM];
	uint32_t count = 0;
	bits_t set;

	find_items(explain, live);
	search(explain, live);
	for (uint32_t i = 0; i < explain->found_count && count < TRIED; i++) {
		match(calm, &explain->found[i].rule, set);
		if (hits_a_group(explain, calm, set, NULL) == EXPLAIN_SURE)
			out[count++] = explain->found[i].rule;
	}
	for (uint32_t i = 0; !count && i < TRIED && i < explain->found_count; i++)
		out[i] = explain->found[i].rule;
	if (!count)
		count = explain->found_count < TRIED ? explain->found_count : TRIED;
	return count;
}

/* ---- narrowing ---- */

void narrow(struct explain *explain, const bits_t live, struct explain_rule *rule)
{
	static const uint8_t fields[] = { EXPLAIN_PROTO, EXPLAIN_SPORT, EXPLAIN_DPORT,
					  EXPLAIN_LENGTH };
	const struct half *flood = &explain->search[FLOOD];

	for (size_t f = 0; f < sizeof(fields); f++) {
		const struct tally *first = &explain->tallies.entry[0];
		struct explain_condition same = { .field = fields[f] };
		bits_t set;

		match(flood, rule, set);
		intersect(flood, set, live, set);
		tally_field(&explain->tallies, flood, fields[f], set);
		if (!tally_greatest(&explain->tallies, 1) || (int32_t)first->key[1] < 0)
			continue;
		if ((double)first->weight / flood->total < SAME * share_of(flood, set))
			continue;
		same.low = same.high = first->key[1];
		rule_add(rule, &same);
	}
}

/* ---- networks ---- */

static void tally_networks(struct explain *explain, const bits_t live, uint8_t length,
			   uint8_t length6)
{
	const struct half *flood = &explain->search[FLOOD];

	tally_clear(&explain->tallies);
	for (uint32_t k = 0; k < flood->weights; k++)
		for (uint32_t w = 0; w < flood->words; w++)
			for (uint64_t left = live[w] & flood->weight[k][w]; left; left &= left - 1) {
				const struct explain_packet *packet =
					flood->packet[w * 64 + __builtin_ctzll(left)];
				bool v4 = !packet->hi && packet->lo >> 32 == 0xffff;
				struct prefix mask = prefix_netmask(v4 ? length : length6);

				tally_add(&explain->tallies, packet->hi & mask.hi,
					  packet->lo & mask.lo, 1ULL << flood->shift[k]);
			}
}

uint32_t find_networks(struct explain *explain, const bits_t live, struct explain_rule out[8])
{
	static const uint8_t lengths[][2] = { { 96 + 24, 48 }, { 96 + 16, 32 } };
	uint32_t count = 0;

	for (int l = 0; l < 2; l++) {
		uint32_t greatest;

		tally_networks(explain, live, lengths[l][0], lengths[l][1]);
		greatest = tally_greatest(&explain->tallies, NETWORKS);
		for (uint32_t i = 0; i < greatest; i++) {
			const struct tally *entry = &explain->tallies.entry[i];
			bool v4 = !entry->key[0] && entry->key[1] >> 32 == 0xffff;
			struct explain_rule rule = { 1, { { .field = EXPLAIN_SOURCE,
				.at = lengths[l][!v4], .net_hi = entry->key[0],
				.net_lo = entry->key[1] } } };
			bits_t set;

			match(&explain->search[CALM], &rule, set);
			if ((double)entry->weight / explain->search[FLOOD].total >= MIN_GAIN &&
			    share_of(&explain->search[CALM], set) <= EXPLAIN_CALM_MOST &&
			    !is_refused(explain, &rule))
				out[count++] = rule;
		}
	}
	return count;
}
