// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "user/model/dns_rules.h"
#include "user/model/error.h"
#include "user/model/policy_match.h"
#include "user/model/prefix.h"

uint32_t dns_find(const struct weir_policy *policy, const struct weir_prefix *to, uint16_t port)
{
	for (uint32_t i = 1; i < WEIR_DNS_RULES; i++)
		if (policy->dns_rule[i].used && policy->dns_rule[i].port == port &&
		    !memcmp(&policy->dns_rule[i].to, to, sizeof(*to)))
			return i;
	return 0;
}

int dns_set(struct weir_policy *policy, const struct weir_dns_rule *wanted, char *err)
{
	uint32_t index = dns_find(policy, &wanted->to, wanted->port);
	struct weir_dns_rule rule = *wanted;

	for (uint32_t i = 1; i < WEIR_DNS_RULES && !index; i++)
		if (!policy->dns_rule[i].used)
			index = i;
	if (!index)
		return fail(err, ENOSPC, "there are %d rules already; `weir dns del` one first",
			    WEIR_DNS_RULES - 1);
	rule.used = 1;
	rule.next = policy->dns_rule[index].next;
	rule.where = prefix_destination(&rule.to);
	if (!memcmp(&policy->dns_rule[index], &rule, sizeof(rule)))
		return 0;
	policy->dns_rule[index] = rule;
	return 1;
}

void dns_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->dns_rule[index], 0, sizeof(policy->dns_rule[index]));
}

/* Puts the rule into the chain of its port, behind those with longer prefixes. */
static void link_rule(struct weir_policy *policy, uint8_t index)
{
	struct weir_dns_rule *rule = &policy->dns_rule[index];
	uint8_t *at = &policy->dns_rule_of[rule->port];

	while (*at && policy->dns_rule[*at].to.prefixlen >= rule->to.prefixlen)
		at = &policy->dns_rule[*at].next;
	rule->next = *at;
	*at = index;
}

void dns_compile(struct weir_policy *policy)
{
	memset(policy->dns_rule_of, 0, sizeof(policy->dns_rule_of));
	policy->dns_rules = 0;
	for (uint8_t i = 1; i < WEIR_DNS_RULES; i++) {
		policy->dns_rule[i].next = 0;
		if (!policy->dns_rule[i].used)
			continue;
		policy->dns_rules++;
		link_rule(policy, i);
	}
}

bool dns_has_budget(const struct weir_policy *policy, const struct weir_dns_rule *rule)
{
	const struct packet_kind query = { .proto = IPPROTO_UDP, .dport = rule->port };
	struct prefix to, of;

	prefix_from_key(&rule->to, &to);
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_limit_spec *spec = &policy->budget_spec[i].limit;

		if (!spec->used || !match_but_sport(spec, &query))
			continue;
		prefix_from_key(&spec->from, &of);
		if (!spec->from.prefixlen || !rule->to.prefixlen || prefix_covers(&of, &to) ||
		    prefix_covers(&to, &of))
			return true;
	}
	return false;
}
