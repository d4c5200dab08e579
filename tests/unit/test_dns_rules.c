// SPDX-License-Identifier: GPL-2.0-only
/* user/model/dns_rules.c: rules are set, found, replaced and removed, and the most specific counts. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/class.h"
#include "tests/unit/check.h"
#include "user/model/dns_rules.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/model/prefix.h"

static struct check check;

static struct weir_dns_rule rule_for(const char *to, uint16_t port, bool always)
{
	struct weir_dns_rule rule = { .port = port, .always = always };
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (to && prefix_parse(to, &prefix, NULL, err))
		abort();
	prefix_to_key(&prefix, &rule.to);
	return rule;
}

static int set(struct weir_policy *policy, const char *to, uint16_t port, bool always)
{
	struct weir_dns_rule rule = rule_for(to, port, always);
	char err[ERR_LEN];

	return dns_set(policy, &rule, err);
}

/* -1: no rule holds; else its `always`. */
static int found(const struct weir_policy *policy, const char *to, uint16_t port)
{
	struct prefix address;
	uint32_t index;
	char err[ERR_LEN];

	if (prefix_parse(to, &address, NULL, err))
		abort();
	index = find_dns_rule(policy, address.hi, address.lo, port);
	return index ? policy->dns_rule[index].always : -1;
}

static void test_rules(struct weir_policy *policy)
{
	struct weir_dns_rule rule = rule_for("192.0.2.1", 53, false);

	CHECK(&check, set(policy, NULL, 53, true) == 1 && set(policy, NULL, 53, true) == 0,
	      "set twice");
	CHECK(&check, set(policy, "192.0.2.1", 53, true) == 1 &&
	      set(policy, "192.0.2.1", 53, false) == 1, "replaced");
	set(policy, "192.0.2.0/24", 53, true);
	set(policy, "2001:db8::/32", 53, false);
	set(policy, "192.0.2.1", 5353, true);
	dns_compile(policy);
	CHECK(&check, policy->dns_rules == 5, "%u rules", policy->dns_rules);
	CHECK(&check, found(policy, "192.0.2.1", 53) == 0, "the address");
	CHECK(&check, found(policy, "192.0.2.2", 53) == 1, "its network");
	CHECK(&check, found(policy, "203.0.113.1", 53) == 1, "any");
	CHECK(&check, found(policy, "2001:db8::1", 53) == 0, "a network of IPv6");
	CHECK(&check, found(policy, "2001:db9::1", 53) == 1, "any, of IPv6");
	CHECK(&check, found(policy, "192.0.2.1", 5353) == 1, "another port");
	CHECK(&check, found(policy, "192.0.2.2", 5353) == -1 && found(policy, "192.0.2.1", 54) == -1,
	      "no rule");
	dns_remove(policy, dns_find(policy, &rule.to, 53));
	dns_compile(policy);
	CHECK(&check, !dns_find(policy, &rule.to, 53) && found(policy, "192.0.2.1", 53) == 1,
	      "removed");
	check_done(&check, "DNS rules by destination and port", "5 rules");
}

static void test_full(struct weir_policy *policy)
{
	char to[32], err[ERR_LEN] = "";
	struct weir_dns_rule more = rule_for("203.0.113.200", 53, true);
	int i, rc = 1;

	memset(policy, 0, sizeof(*policy));
	for (i = 0; rc > 0; i++) {
		snprintf(to, sizeof(to), "203.0.113.%d", i);
		rc = set(policy, to, 53, true);
	}
	CHECK(&check, rc == -ENOSPC && i == WEIR_DNS_RULES, "%d rules, then %d", i - 1, rc);
	CHECK(&check, dns_set(policy, &more, err) == -ENOSPC && strstr(err, "dns del"), "%s", err);
	dns_compile(policy);
	for (i = 0; i < WEIR_DNS_RULES - 1; i++) {
		snprintf(to, sizeof(to), "203.0.113.%d", i);
		CHECK(&check, found(policy, to, 53) == 1, "rule %d is not found", i);
	}
	check_done(&check, "as many as there is room for", "%d rules", WEIR_DNS_RULES - 1);
}

static void test_budgets(struct weir_policy *policy)
{
	static const struct { const char *what, *of; struct weir_limit_spec spec; bool any, one; }
	rows[] = {
		{ "UDP", NULL, { .proto = IPPROTO_UDP }, true, true },
		{ "any protocol", NULL, { .any_proto = 1 }, true, true },
		{ "the port", NULL, { .proto = IPPROTO_UDP, .dport_first = 50, .dport_last = 60 }, true,
		  true },
		{ "another port", NULL, { .proto = IPPROTO_UDP, .dport_first = 54, .dport_last = 60 },
		  false, false },
		{ "TCP", NULL, { .proto = IPPROTO_TCP }, false, false },
		{ "SYNs", NULL, { .proto = IPPROTO_TCP, .what = WEIR_SYN }, false, false },
		{ "fragments", NULL, { .any_proto = 1, .what = WEIR_FRAGMENT }, false, false },
		{ "the address", "192.0.2.1", { .proto = IPPROTO_UDP }, true, true },
		{ "its network", "192.0.2.0/24", { .proto = IPPROTO_UDP }, true, true },
		{ "another network", "198.51.100.0/24", { .proto = IPPROTO_UDP }, true, false },
	};
	struct weir_dns_rule any = rule_for(NULL, 53, false), one = rule_for("192.0.2.1", 53, false);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct weir_limit_spec spec = rows[i].spec;
		struct prefix prefix;
		char err[ERR_LEN];

		memset(policy, 0, sizeof(*policy));
		spec.rate_packets = 100;
		spec.per_s = 1;
		if (rows[i].of && prefix_parse(rows[i].of, &prefix, NULL, err))
			abort();
		if (rows[i].of)
			prefix_to_key(&prefix, &spec.from);
		if (budget_set(policy, "b", &spec, err) < 0)
			abort();
		CHECK(&check, dns_has_budget(policy, &any) == rows[i].any, "%s: any", rows[i].what);
		CHECK(&check, dns_has_budget(policy, &one) == rows[i].one, "%s: one", rows[i].what);
	}
	check_done(&check, "whether a budget holds for a rule", "%zu budgets",
		   sizeof(rows) / sizeof(*rows));
}

int main(void)
{
	struct weir_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		abort();
	test_rules(policy);
	test_full(policy);
	test_budgets(policy);
	free(policy);
	return check_exit(&check);
}
