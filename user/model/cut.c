// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdio.h>

#include "user/model/cut.h"
#include "user/model/drop_rules.h"
#include "user/model/format.h"

static bool is_slow(const struct weir_limit_spec *spec)
{
	return (spec->rate_packets && spec->rate_packets < CUT_PPS * (uint64_t)spec->per_s) ||
	       (spec->rate_bits_per_s && spec->rate_bits_per_s < CUT_BITS);
}

bool settings_cut(const struct settings *settings, const struct connection *connection,
		  uint64_t now_ns, char rule[CUT_RULE])
{
	const struct packet_kind kind = { .proto = IPPROTO_TCP, .dport = connection->port,
					  .sport = connection->peer_port };
	const struct rule_flow flow = { .from = connection->peer, .to = connection->here,
				   .proto = IPPROTO_TCP, .sport = connection->peer_port,
				   .dport = connection->port };
	const struct weir_policy *policy = settings->policy;
	const struct entry *block;
	char text[PREFIX_STRLEN];
	uint32_t index;

	if (entries_cover(&settings->allow, &connection->peer, now_ns))
		return false;
	block = entries_cover(&settings->block, &connection->peer, now_ns);
	if (block) {
		prefix_format(&block->prefix, text);
		snprintf(rule, CUT_RULE, "block %s", text);
		return true;
	}
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		if (!rule_cuts(&policy->rule_spec[i], &flow, now_ns))
			continue;
		snprintf(rule, CUT_RULE, "drop rule %s", policy->rule_spec[i].name);
		return true;
	}
	index = policy_lookup(policy, &connection->peer, &kind);
	if (index && is_slow(&policy->spec[index])) {
		snprintf(rule, CUT_RULE, "limit ");
		format_limit(&policy->spec[index], &policy->limit[index], rule + 6, CUT_RULE - 6);
		return true;
	}
	index = budget_lookup(policy, &connection->here, &kind);
	if (!index || !is_slow(&policy->budget_spec[index].limit))
		return false;
	snprintf(rule, CUT_RULE, "budget %s", policy->budget_spec[index].name);
	return true;
}
