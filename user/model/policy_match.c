// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/class.h"
#include "user/model/policy_match.h"
#include "user/model/port_set.h"

bool match_same_class(const struct weir_limit_spec *a, const struct weir_limit_spec *b)
{
	return a->what == b->what && a->any_proto == b->any_proto &&
	       (a->any_proto || a->proto == b->proto) && a->icmp4 == b->icmp4 &&
	       a->icmp6 == b->icmp6 && !port_set_order(a->dport, b->dport) &&
	       !port_set_order(a->sport, b->sport);
}

bool match_same_prefix(const struct weir_prefix *a, const struct weir_prefix *b)
{
	return a->prefixlen == b->prefixlen && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

/* Whether the type of an ICMP message is one of the spec's. */
static bool match_icmp(const struct weir_limit_spec *spec, const struct packet_kind *kind)
{
	if (!spec->icmp4 && !spec->icmp6)
		return true;
	return kind->what != WEIR_FRAGMENT && ((kind->icmp4 && kind->icmp4 == spec->icmp4) ||
					       (kind->icmp6 && kind->icmp6 == spec->icmp6));
}

bool match_but_sport(const struct weir_limit_spec *spec, const struct packet_kind *kind)
{
	if (spec->what != WEIR_ANY_PACKET && spec->what != kind->what)
		return false;
	if (!spec->any_proto && spec->proto != kind->proto)
		return false;
	if (spec->sport_first && !class_has_ports(kind->what, kind->proto))
		return false;
	if (spec->dport_first && kind->what == WEIR_FRAGMENT)
		return false;
	if (!match_icmp(spec, kind))
		return false;
	return port_set_has(spec->dport, kind->dport);
}

bool match_sport(const struct weir_limit_spec *spec, uint16_t sport)
{
	return port_set_has(spec->sport, sport);
}

/* In how many families the spec names a type; without one it is for all types, far more. */
static int icmp_types_of(const struct weir_limit_spec *spec)
{
	return !spec->icmp4 && !spec->icmp6 ? 512 : !!spec->icmp4 + !!spec->icmp6;
}

/*
 * The order, most specific first: syn and fragment before any packet, then fewer
 * destination ports before more, then the same of source ports, then fewer types of ICMP, then one
 * protocol before any. Ties, in which no class is more specific, are broken by the lower first port or
 * type, so that the order does not depend on slots.
 */
int match_order(const struct weir_limit_spec *a, const struct weir_limit_spec *b)
{
	int dports = port_set_count(a->dport) - port_set_count(b->dport);
	int sports = port_set_count(a->sport) - port_set_count(b->sport);

	if ((a->what != WEIR_ANY_PACKET) != (b->what != WEIR_ANY_PACKET))
		return a->what != WEIR_ANY_PACKET ? -1 : 1;
	if (dports)
		return dports;
	if (sports)
		return sports;
	if (icmp_types_of(a) != icmp_types_of(b))
		return icmp_types_of(a) - icmp_types_of(b);
	if (a->any_proto != b->any_proto)
		return a->any_proto ? 1 : -1;
	dports = port_set_order(a->dport, b->dport);
	sports = port_set_order(a->sport, b->sport);
	if (dports || sports)
		return dports ? dports : sports;
	if (a->icmp4 != b->icmp4 || a->icmp6 != b->icmp6)
		return a->icmp4 != b->icmp4 ? a->icmp4 - b->icmp4 : a->icmp6 - b->icmp6;
	if (a->what != b->what)
		return a->what < b->what ? -1 : 1;
	return a->proto - b->proto;
}

int policy_order(const struct weir_policy *policy, const uint32_t *a, const uint32_t *b)
{
	const struct weir_limit_spec *x = &policy->spec[*a], *y = &policy->spec[*b];
	int order = memcmp(x->from.addr, y->from.addr, sizeof(x->from.addr));

	if (prefix_key_is_any(&x->from) || prefix_key_is_any(&y->from))
		order = prefix_key_is_any(&y->from) - prefix_key_is_any(&x->from);
	if (!order)
		order = (x->from.prefixlen > y->from.prefixlen) -
			(x->from.prefixlen < y->from.prefixlen);
	return order ? order : match_order(x, y);
}

uint32_t policy_find(const struct weir_policy *policy, const struct weir_limit_spec *spec)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used && match_same_prefix(&policy->spec[i].from, &spec->from) &&
		    match_same_class(&policy->spec[i], spec))
			return i;
	return 0;
}

uint32_t policy_by_serial(const struct weir_policy *policy, uint32_t serial)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->limit[i].serial == serial && policy->spec[i].used)
			return i;
	return 0;
}

struct prefix limit_source(const struct weir_limit *limit, const struct prefix *address)
{
	struct prefix source = { .hi = address->hi, .lo = address->lo, .length = 128 };

	if (limit->serial)
		source.length = source_bits(limit, source.hi, !prefix_is_v4(&source));
	prefix_mask(&source);
	return source;
}

bool policy_same(const struct weir_policy *a, const struct weir_policy *b)
{
	return !memcmp(a->limit, b->limit, sizeof(a->limit)) &&
	       !memcmp(a->spec, b->spec, sizeof(a->spec)) &&
	       !memcmp(a->budget_spec, b->budget_spec, sizeof(a->budget_spec)) &&
	       !memcmp(a->syn_rule, b->syn_rule, sizeof(a->syn_rule)) &&
	       a->syn_share == b->syn_share &&
	       !memcmp(a->dns_rule, b->dns_rule, sizeof(a->dns_rule)) &&
	       !memcmp(a->rule_spec, b->rule_spec, sizeof(a->rule_spec));
}

static int compare_limits(const void *a, const void *b, void *policy)
{
	return policy_order(policy, a, b);
}

size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS])
{
	size_t count = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used)
			order[count++] = i;
	qsort_r(order, count, sizeof(*order), compare_limits, (void *)policy);
	return count;
}
