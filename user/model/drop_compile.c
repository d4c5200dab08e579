// SPDX-License-Identifier: GPL-2.0-only
/* From drop rules to the tables of the data path; bpf/pure/rules.h reads them. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/pure/rules.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/model/port_set.h"

#define VALUES	65536	/* of a port, or a length */

/* ---- lines: ports and lengths ---- */

/* Whether a rule has a condition on this line; @set: the values that meet it. */
static bool values_of(const struct weir_rule_spec *spec, enum weir_rule_line line,
		      struct weir_ports set[WEIR_PORT_RANGES])
{
	static const uint32_t bits[WEIR_LINES] = { WEIR_MATCH_SPORT, WEIR_MATCH_DPORT,
						   WEIR_MATCH_LENGTH };
	const struct weir_ports *from = line == WEIR_LINE_SPORT ? spec->sport : spec->dport;

	if (!rule_is_used(spec) || !(spec->match & bits[line]))
		return false;
	memcpy(set, from, WEIR_PORT_RANGES * sizeof(*set));
	if (line == WEIR_LINE_LENGTH) {
		set[0] = (struct weir_ports){ spec->length_first, spec->length_last };
		set[1] = (struct weir_ports){ 0 };
	}
	return true;
}

/* The rules that a value does not rule out; those of @free have no condition. */
static uint64_t rules_at(const struct weir_policy *policy, enum weir_rule_line line, uint32_t value,
			 uint64_t free)
{
	struct weir_ports values[WEIR_PORT_RANGES];
	uint64_t set = free;

	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (values_of(&policy->rule_spec[i], line, values) && port_set_has(values, value))
			set |= 1ULL << i;
	return set;
}

/* The piece with this set, a new one if there is none; or WEIR_PIECES - 1: there is no room. */
static uint32_t piece_for(__u64 *piece, uint32_t *pieces, uint64_t set)
{
	uint32_t i = 0;

	while (i < *pieces && piece[i] != set)
		i++;
	if (i == *pieces && i < WEIR_PIECES - 1)
		piece[(*pieces)++] = set;
	return i;
}

/* @starts: where a piece may begin; with room for VALUES + 1. */
static int compile_line(struct weir_policy *policy, enum weir_rule_line line, uint8_t *starts,
			char *err)
{
	struct weir_rule_tables *rules = &policy->rules;
	struct weir_ports values[WEIR_PORT_RANGES];
	uint64_t free = rules->all;
	uint32_t pieces = 0, piece = 0;

	memset(starts, 0, VALUES + 1);
	starts[0] = 1;
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		if (!values_of(&policy->rule_spec[i], line, values))
			continue;
		port_set_edges(values, starts);
		free &= ~(1ULL << i);
	}
	if (free != rules->all)
		rules->used |= RULE_TABLE(LINE) << line;
	for (uint32_t value = 0; value < VALUES; value++) {
		if (starts[value])
			piece = piece_for(rules->piece[line], &pieces,
					  rules_at(policy, line, value, free));
		if (piece == WEIR_PIECES - 1)
			return fail(err, ENOSPC, "the ports or lengths of the rules overlap in more than "
				    "%d ways; use fewer different ranges", WEIR_PIECES - 1);
		rules->index[line][value] = piece;
	}
	rules->piece[line][WEIR_PIECES - 1] = free;
	return 0;
}

/* ---- tables by the value itself ---- */

static bool is_of_proto(const struct weir_rule_spec *spec, uint32_t proto)
{
	if (!(spec->match & WEIR_MATCH_PROTO))
		return true;
	return proto == spec->proto || (proto == IPPROTO_ICMPV6 && spec->proto == IPPROTO_ICMP);
}

static void compile_values(struct weir_rule_tables *rules, const struct weir_rule_spec *spec,
			   uint64_t bit)
{
	for (uint32_t v = 0; v < 256; v++) {
		if (is_of_proto(spec, v))
			rules->proto[1][v] |= bit;
		if (is_of_proto(spec, v) && !(spec->match & WEIR_MATCH_FRAGMENT))
			rules->proto[0][v] |= bit;
		if (!(spec->match & WEIR_MATCH_TTL) ||
		    (v >= spec->ttl_first && v <= spec->ttl_last))
			rules->ttl[v] |= bit;
		if ((v & spec->flags_mask) == spec->flags)
			rules->flags[v] |= bit;
		if (!(spec->match & WEIR_MATCH_ICMP) || v + 1 == spec->icmp4)
			rules->icmp[0][v] |= bit;
		if (!(spec->match & WEIR_MATCH_ICMP) || v + 1 == spec->icmp6)
			rules->icmp[1][v] |= bit;
	}
	if (!(spec->match & WEIR_MATCH_FLAGS))
		rules->flags[WEIR_HAS_NONE] |= bit;
	if (!(spec->match & WEIR_MATCH_ICMP))
		rules->icmp[0][WEIR_HAS_NONE] |= bit, rules->icmp[1][WEIR_HAS_NONE] |= bit;
	if (spec->match & (WEIR_MATCH_PROTO | WEIR_MATCH_FRAGMENT))
		rules->used |= RULE_TABLE(PROTO);
	if (spec->match & WEIR_MATCH_TTL)
		rules->used |= RULE_TABLE(TTL);
	if (spec->match & WEIR_MATCH_FLAGS)
		rules->used |= RULE_TABLE(FLAGS);
	if (spec->match & WEIR_MATCH_ICMP)
		rules->used |= RULE_TABLE(ICMP);
}

/* ---- what tables cannot say ---- */

/* 0, or what the rate is refused for, with @err. */
static int compile_rate(struct weir_rule *rule, const struct weir_rule_spec *spec, char *err)
{
	struct weir_limit_spec rate = { .rate_packets = spec->rate_packets, .per_s = spec->per_s,
					.rate_bits_per_s = spec->rate_bits_per_s };
	struct weir_limit limit = { 0 };
	char why[ERR_LEN];
	int rc = 0;

	if (rate.rate_packets || rate.rate_bits_per_s)
		rc = budget_ticks(&limit, &rate, why);
	if (rc)
		return fail(err, -rc, "drop rule %s: %.180s", spec->name, why);
	rule->cost = limit.cost;
	rule->burst = limit.burst;
	rule->byte_cost = limit.byte_cost;
	rule->byte_burst = limit.byte_burst;
	return 0;
}

static int compile_rule(struct weir_rule_tables *rules, const struct weir_rule_spec *spec,
			uint32_t index, char *err)
{
	struct weir_rule *rule = &rules->rule[index];

	rule->until_ns = spec->until_ns;
	rule->payload = spec->payload;
	rule->l4 = spec->l4;
	rule->monitor = spec->monitor;
	rule->spare = spec->spare;
	rule->by_from = !!(spec->match & WEIR_MATCH_FROM);
	rule->by_to = !!(spec->match & WEIR_MATCH_TO);
	rule->from = prefix_destination(&spec->from);
	rule->to = prefix_destination(&spec->to);
	if (spec->match & (WEIR_MATCH_PAYLOAD | WEIR_MATCH_L4 | WEIR_MATCH_FROM | WEIR_MATCH_TO))
		rules->exact |= 1ULL << index;
	compile_values(rules, spec, 1ULL << index);
	return compile_rate(rule, spec, err);
}

/* ---- the first bytes of conditions on bytes ---- */

static const struct weir_rule_bytes *bytes_of(const struct weir_rule_spec *spec, bool l4)
{
	return l4 ? &spec->l4 : &spec->payload;
}

/* Gives the places that rules look at first a table each, as far as there are tables. */
static void find_peeks(struct weir_policy *policy)
{
	struct weir_rule_tables *rules = &policy->rules;

	for (uint32_t i = 0; i < 2 * WEIR_RULES; i++) {
		const struct weir_rule_bytes *bytes = bytes_of(&policy->rule_spec[i / 2], i % 2);
		uint32_t k = 0;

		while (k < rules->peeks && (rules->peek_at[k] != bytes->offset ||
					    rules->peek_l4[k] != i % 2))
			k++;
		if (!bytes->count || k < rules->peeks || k == WEIR_PEEKS)
			continue;
		rules->peek_at[k] = bytes->offset;
		rules->peek_l4[k] = i % 2;
		rules->peeks++;
	}
}

static bool has_first_byte(const struct weir_rule_bytes *bytes, uint32_t byte)
{
	int shift = 8 * (bytes->count - 1);

	return byte < WEIR_HAS_NONE && (byte & bytes->mask >> shift) == bytes->value >> shift;
}

static void compile_peeks(struct weir_policy *policy)
{
	struct weir_rule_tables *rules = &policy->rules;

	find_peeks(policy);
	for (uint32_t k = 0; k < rules->peeks; k++)
		for (uint32_t i = 0; i < WEIR_RULES; i++) {
			const struct weir_rule_bytes *bytes = bytes_of(&policy->rule_spec[i],
								       rules->peek_l4[k]);
			bool other = !bytes->count || bytes->offset != rules->peek_at[k];

			for (uint32_t byte = 0; byte <= WEIR_HAS_NONE; byte++)
				if (other || has_first_byte(bytes, byte))
					rules->peek[k][byte] |= 1ULL << i;
		}
}

/* ---- all of it ---- */

int rules_compile(struct weir_policy *policy, char *err)
{
	static __thread uint8_t starts[VALUES + 1];
	struct weir_rule_tables *rules = &policy->rules;
	int rc = 0;

	memset(rules, 0, sizeof(*rules));
	policy->drop_rules = 0;
	for (uint32_t i = 0; i < WEIR_RULES && !rc; i++) {
		if (!rule_is_used(&policy->rule_spec[i]))
			continue;
		rules->all |= 1ULL << i;
		policy->drop_rules++;
		rc = compile_rule(rules, &policy->rule_spec[i], i, err);
	}
	if (rc || !rules->all)
		return rc;
	compile_peeks(policy);
	for (int line = 0; line < WEIR_LINES && !rc; line++)
		rc = compile_line(policy, line, starts, err);
	return rc;
}
