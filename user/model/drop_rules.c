// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/pure/packet.h"
#include "bpf/tool.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/port_set.h"
#include "user/model/units.h"

#define SAME_END_NS	(2 * NS_PER_S)
/* Conditions that say hardly anything: shorter prefixes of sources, and as many values as these. */
#define BROAD_V4	8
#define BROAD_V6	16
#define BROAD_LENGTHS	1400
#define BROAD_TTLS	128
#define BROAD_PORTS	32768

uint32_t rule_find(const struct weir_policy *policy, const char *name)
{
	uint32_t i = 0;

	while (i < WEIR_RULES && (!rule_is_used(&policy->rule_spec[i]) ||
				  strcmp(policy->rule_spec[i].name, name)))
		i++;
	return i;
}

static uint32_t free_rule(const struct weir_policy *policy)
{
	uint32_t i = 0;

	while (i < WEIR_RULES && rule_is_used(&policy->rule_spec[i]))
		i++;
	return i;
}

bool rule_same(const struct weir_rule_spec *a, const struct weir_rule_spec *b)
{
	struct weir_rule_spec x = *a, y = *b;

	x.until_ns = y.until_ns = x.added_unix_s = y.added_unix_s = 0;
	return !memcmp(&x, &y, sizeof(x));
}

int rule_set(struct weir_policy *policy, const struct weir_rule_spec *spec, char *err)
{
	uint32_t index = rule_find(policy, spec->name);

	if (index == NO_RULE)
		index = free_rule(policy);
	if (index == NO_RULE)
		return fail(err, ENOSPC, "there are %d rules already; `weir drop del` one first",
			    WEIR_RULES);
	if (rule_same(&policy->rule_spec[index], spec) &&
	    policy->rule_spec[index].until_ns == spec->until_ns)
		return 0;
	policy->rule_spec[index] = *spec;
	return 1;
}

void rule_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->rule_spec[index], 0, sizeof(policy->rule_spec[index]));
}

struct rule_tally rules_count(const struct weir_policy *policy, uint64_t now_ns)
{
	struct rule_tally tally = { 0 };

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[i];

		if (!rule_is_in_force(spec, now_ns))
			continue;
		tally.rules++;
		tally.monitor += !!spec->monitor;
		tally.daemons += spec->origin == WEIR_BY_DAEMON;
		tally.temporary += spec->until_ns != 0;
	}
	return tally;
}

uint32_t rules_expire(struct weir_policy *policy, uint64_t now_ns)
{
	uint32_t removed = 0;

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[i];

		if (!rule_is_used(spec) || rule_is_in_force(spec, now_ns))
			continue;
		rule_remove(policy, i);
		removed++;
	}
	return removed;
}

/* The end that the rule keeps: the old one, where the new one only repeats it. */
static uint64_t end_of(uint64_t was, uint64_t is)
{
	uint64_t apart = was > is ? was - is : is - was;

	return was && is && apart <= SAME_END_NS ? was : is;
}

static uint32_t count_rules(const struct weir_policy *policy)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < WEIR_RULES; i++)
		count += rule_is_used(&policy->rule_spec[i]);
	return count;
}

/* Those of the daemon stay where there is room for them. */
static void remove_unwanted(struct weir_policy *policy, const struct weir_policy *wanted)
{
	uint32_t places = WEIR_RULES - count_rules(wanted);

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[i];

		if (!rule_is_used(spec) || rule_find(wanted, spec->name) != NO_RULE)
			continue;
		if (spec->origin == WEIR_BY_DAEMON && places)
			places--;
		else
			rule_remove(policy, i);
	}
}

void rules_replace(struct weir_policy *policy, const struct weir_policy *wanted)
{
	remove_unwanted(policy, wanted);
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		struct weir_rule_spec spec = wanted->rule_spec[i];
		uint32_t slot;

		if (!rule_is_used(&spec))
			continue;
		slot = rule_find(policy, spec.name);
		if (slot == NO_RULE) {	/* there is a free one: @wanted has no more rules than slots */
			policy->rule_spec[free_rule(policy)] = spec;
			continue;
		}
		spec.until_ns = end_of(policy->rule_spec[slot].until_ns, spec.until_ns);
		if (rule_same(&policy->rule_spec[slot], &spec))
			spec.added_unix_s = policy->rule_spec[slot].added_unix_s;
		policy->rule_spec[slot] = spec;
	}
}

/* ---- what a rule would do ---- */

/* The cover of a condition on a value that may not be known (0). */
static enum rule_cover covers_port(const struct weir_rule_spec *spec, uint32_t bit,
				   const struct weir_ports set[WEIR_PORT_RANGES], uint16_t port)
{
	if (!(spec->match & bit))
		return COVERS_ALL;
	if (!port)
		return COVERS_SOME;
	return port_set_has(set, port) ? COVERS_ALL : COVERS_NONE;
}

static enum rule_cover covers_end(const struct weir_rule_spec *spec, uint32_t bit,
				  const struct weir_prefix *key, const struct prefix *address)
{
	struct prefix prefix;

	if (!(spec->match & bit))
		return COVERS_ALL;
	if (!address->length)
		return COVERS_SOME;
	prefix_from_key(key, &prefix);
	return prefix_covers(&prefix, address) ? COVERS_ALL : COVERS_NONE;
}

/* What a peer sends once the connection is there; of a server that this host asks, the SYN-ACK too. */
static enum rule_cover covers_flags(const struct weir_rule_spec *spec, const struct rule_flow *flow)
{
	static const uint8_t sent[] = { TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN,
					TCP_ACK | TCP_SYN };
	uint32_t kinds = flow->sport ? 4 : 3, met = 0;

	if (!(spec->match & WEIR_MATCH_FLAGS))
		return COVERS_ALL;
	if (flow->proto != IPPROTO_TCP)
		return COVERS_NONE;
	for (uint32_t i = 0; i < kinds; i++)
		met |= (uint32_t)((sent[i] & spec->flags_mask) == spec->flags) << i;
	return (met & 3) == 3 ? COVERS_ALL : met ? COVERS_SOME : COVERS_NONE;
}

enum rule_cover rule_covers(const struct weir_rule_spec *spec, const struct rule_flow *flow)
{
	const uint32_t unknown = WEIR_MATCH_LENGTH | WEIR_MATCH_TTL | WEIR_MATCH_PAYLOAD |
				 WEIR_MATCH_L4 | WEIR_MATCH_FRAGMENT;
	const enum rule_cover covers[] = {
		covers_port(spec, WEIR_MATCH_SPORT, spec->sport, flow->sport),
		covers_port(spec, WEIR_MATCH_DPORT, spec->dport, flow->dport),
		covers_end(spec, WEIR_MATCH_FROM, &spec->from, &flow->from),
		covers_end(spec, WEIR_MATCH_TO, &spec->to, &flow->to),
		covers_flags(spec, flow),
		spec->match & unknown ? COVERS_SOME : COVERS_ALL,
	};
	enum rule_cover least = COVERS_ALL;

	if (spec->match & WEIR_MATCH_ICMP ||
	    (spec->match & WEIR_MATCH_PROTO && spec->proto != flow->proto))
		return COVERS_NONE;
	for (size_t i = 0; i < sizeof(covers) / sizeof(*covers); i++)
		if (covers[i] < least)
			least = covers[i];
	return least;
}

bool rule_cuts(const struct weir_rule_spec *spec, const struct rule_flow *flow, uint64_t now_ns)
{
	enum rule_cover covers;

	if (!rule_is_in_force(spec, now_ns) || spec->monitor)
		return false;
	covers = rule_covers(spec, flow);
	return covers == COVERS_ALL || (covers == COVERS_SOME && spec->spare == WEIR_SPARE_NONE);
}

bool rule_is_broad(const struct weir_rule_spec *spec)
{
	uint32_t match = spec->match & ~(WEIR_MATCH_PROTO | WEIR_MATCH_TO);
	struct prefix from;

	prefix_from_key(&spec->from, &from);
	if (from.length < (prefix_is_v4(&from) ? 96 + BROAD_V4 : BROAD_V6))
		match &= ~WEIR_MATCH_FROM;
	if (spec->length_last - spec->length_first >= BROAD_LENGTHS)
		match &= ~WEIR_MATCH_LENGTH;
	if (spec->ttl_last - spec->ttl_first >= BROAD_TTLS)
		match &= ~WEIR_MATCH_TTL;
	if (port_set_count(spec->sport) >= BROAD_PORTS)
		match &= ~WEIR_MATCH_SPORT;
	if (port_set_count(spec->dport) >= BROAD_PORTS)
		match &= ~WEIR_MATCH_DPORT;
	return !match;
}
