// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "bpf/pure/core_time.h"
#include "user/model/error.h"
#include "user/model/prefix.h"
#include "user/model/syn_rules.h"

uint32_t syn_find(const struct weir_policy *policy, uint16_t first, uint16_t last)
{
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++)
		if (policy->syn_rule[i].used && policy->syn_rule[i].first == first &&
		    policy->syn_rule[i].last == last)
			return i;
	return 0;
}

/*
 * The index of a rule, other than @but, that shares a port with @rule, or 0. A port can have only
 * one rule, because the data path finds it by a single load from a table.
 */
static uint32_t rival_of(const struct weir_policy *policy, const struct weir_syn_rule *rule,
			 uint32_t but)
{
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++)
		if (i != but && policy->syn_rule[i].used && policy->syn_rule[i].first <= rule->last &&
		    policy->syn_rule[i].last >= rule->first)
			return i;
	return 0;
}

int syn_set(struct weir_policy *policy, const struct weir_syn_rule *wanted, char *err)
{
	uint32_t index = syn_find(policy, wanted->first, wanted->last), rival;
	struct weir_syn_rule rule = *wanted;

	rival = rival_of(policy, &rule, index);
	if (rival)
		return fail(err, EEXIST, "ports %u-%u are protected already and overlap with "
			    "these; `weir syn del dport %u-%u` first", policy->syn_rule[rival].first,
			    policy->syn_rule[rival].last, policy->syn_rule[rival].first,
			    policy->syn_rule[rival].last);
	rule.used = 1;
	rule.where = prefix_destination(&rule.to);
	for (uint32_t i = 1; i < WEIR_SYN_RULES && !index; i++)
		if (!policy->syn_rule[i].used)
			index = i;
	if (!index)
		return fail(err, ENOSPC, "there are %d rules already; remove one first",
			    WEIR_SYN_RULES - 1);
	if (!memcmp(&policy->syn_rule[index], &rule, sizeof(rule)))
		return 0;
	policy->syn_rule[index] = rule;
	return 1;
}

void syn_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->syn_rule[index], 0, sizeof(policy->syn_rule[index]));
}

uint32_t syn_share(const struct weir_policy *policy)
{
	return policy->syn_share ? policy->syn_share : TIME_SHARE;
}

void syn_compile(struct weir_policy *policy)
{
	memset(policy->syn_rule_of, 0, sizeof(policy->syn_rule_of));
	policy->syn_rules = 0;
	policy->time_weight = time_weight(syn_share(policy));
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++) {
		const struct weir_syn_rule *rule = &policy->syn_rule[i];

		if (!rule->used)
			continue;
		policy->syn_rules++;
		memset(policy->syn_rule_of + rule->first, i, rule->last - rule->first + 1U);
	}
}
