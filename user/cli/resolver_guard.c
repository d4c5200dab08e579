// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>

#include "user/cli/resolver_guard.h"
#include "user/host/clock.h"
#include "user/host/servers.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"

#define DNS_PORT	53

/* The rule that drops the answers of this resolver, over UDP or TCP, or NULL. */
static const struct weir_rule_spec *rule_against(const struct settings *settings,
						 const struct prefix *resolver, uint64_t now)
{
	const struct rule_flow answers[] = {
		{ .from = *resolver, .proto = IPPROTO_UDP, .sport = DNS_PORT },
		{ .from = *resolver, .proto = IPPROTO_TCP, .sport = DNS_PORT },
	};

	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (rule_cuts(&settings->policy->rule_spec[i], &answers[0], now) ||
		    rule_cuts(&settings->policy->rule_spec[i], &answers[1], now))
			return &settings->policy->rule_spec[i];
	return NULL;
}

int resolver_guard(const struct settings *was, const struct settings *is, char *err)
{
	uint64_t now = now_ns();
	struct servers resolvers;
	char text[PREFIX_STRLEN];
	int rc = 0;

	read_resolv_conf(&resolvers);
	for (size_t i = 0; i < resolvers.count && !rc; i++) {
		const struct prefix *resolver = &resolvers.at[i];
		const struct weir_rule_spec *rule = rule_against(is, resolver, now);

		if (!rule || entries_cover(&is->allow, resolver, now) ||
		    rule_against(was, resolver, now))
			continue;
		prefix_format_short(resolver, text);
		rc = fail(err, EPERM, "drop rule %s would drop the answers of %s, which this host asks for "
			  "names; `weir allow add %s` keeps them; say `force` if you mean it",
			  rule->name, text, text);
	}
	return rc;
}
