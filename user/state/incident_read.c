// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "user/host/netstat.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/reasons.h"
#include "user/state/device.h"
#include "user/state/incident_read.h"
#include "user/state/judgements.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

static void read_reasons(const struct weir_counters *sum, struct incident_counters *counters)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		counters->reason[i] = sum->reason[i];
		if (strcmp(reason_action(i), "pass"))
			counters->would[i] = sum->monitored[i].packets;
	}
}

static void read_rules(const struct maps *maps, const struct weir_policy *policy,
		       struct incident_counters *counters)
{
	for (uint32_t slot = 0; slot < WEIR_RULES; slot++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[slot];
		struct weir_rule_count count;

		if (!rule_is_used(spec) || maps_read_rule(maps, slot, &count))
			continue;
		memcpy(counters->rule[slot].name, spec->name, sizeof(spec->name));
		counters->rule[slot].packets = count.packets;
	}
}

static void add_spending(const struct weir_spending *sum, struct incident_name *budget,
			 struct incident_counters *counters)
{
	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		uint64_t dropped = sum->no_room[tier] + sum->over_share[tier];

		budget->packets += dropped;
		if (tier == WEIR_FIRST_SEEN)
			counters->first_dropped += dropped;
		else if (tier == WEIR_RETURNING)
			counters->returning_dropped += dropped;
		else
			counters->known_dropped += dropped;
		*(tier >= WEIR_SEEN ? &counters->known_passed : &counters->strangers_passed) +=
			sum->let_in[tier];
	}
}

static void read_budgets(const struct maps *maps, const struct weir_policy *policy,
			 struct incident_counters *counters)
{
	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++) {
		const struct weir_budget_spec *spec = &policy->budget_spec[slot];
		struct weir_budget_state state;
		struct weir_spending sum;

		if (!spec->limit.used || maps_read_budget(maps, slot, &state, &sum))
			continue;
		memcpy(counters->budget[slot].name, spec->name, sizeof(spec->name));
		add_spending(&sum, &counters->budget[slot], counters);
	}
}

int incident_read(const struct maps *maps, struct incident_counters *counters, char *err)
{
	const struct weir_policy *policy;
	struct weir_counters sum;
	int rc = devices_sum(maps, &sum);

	*counters = (struct incident_counters){ 0 };
	if (rc)
		return fail(err, -rc, "cannot read the counters: %s", strerror(-rc));
	policy = maps_map_policy(maps, err);
	if (!policy)
		return -EIO;
	read_reasons(&sum, counters);
	read_rules(maps, policy, counters);
	read_budgets(maps, policy, counters);
	tcp_connections_read(&counters->connections);
	maps_unmap_policy(policy);
	return 0;
}

uint64_t incident_newest_judgement(const struct maps *maps)
{
	struct weir_judgement *last = NULL;
	char ignored[ERR_LEN];
	uint64_t number = 0;
	size_t count;

	if (!judgements_read(maps, 1, &last, &count, ignored))
		number = count ? last->number : 0;
	free(last);
	return number;
}

static void add_judgement(const struct weir_judgement *judgement, struct incident *incident)
{
	bool banned = judgement->kind == WEIR_BAN_SOURCE || judgement->kind == WEIR_BAN_NETWORK;

	incident->source_bans += judgement->kind == WEIR_BAN_SOURCE;
	incident->network_bans += judgement->kind == WEIR_BAN_NETWORK;
	incident->would_bans += judgement->kind == WEIR_WOULD_BAN_SOURCE ||
				judgement->kind == WEIR_WOULD_BAN_NETWORK;
	incident->spared += judgement->kind == WEIR_SPARED;
	if (banned && incident->banned_count < INCIDENT_TOP) {
		struct prefix *prefix = &incident->banned[incident->banned_count];

		prefix_from_key(&judgement->prefix, prefix);
		for (uint32_t i = 0; i < incident->banned_count; i++)
			banned = banned && prefix_cmp(prefix, &incident->banned[i]);
		incident->banned_count += banned;	/* a ban that is renewed is named once */
	}
}

void incident_read_judgements(const struct maps *maps, struct incident *incident)
{
	struct weir_judgement judgement;

	while (!judgement_read(maps, incident->judgement + 1, &judgement) &&
	       judgement.number > incident->judgement) {
		incident->judgement = judgement.number;	/* a gap: some were overwritten */
		add_judgement(&judgement, incident);
	}
}
