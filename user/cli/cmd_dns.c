// SPDX-License-Identifier: GPL-2.0-only
/* weir dns: the services whose queries over UDP are answered with "truncated". */
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/host/listening.h"
#include "user/host/tcp.h"
#include "user/model/dns_rules.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/table.h"
#include "user/model/words.h"
#include "user/state/session.h"

#define DNS_PORT	53
#define LABEL_LEN	(PREFIX_STRLEN + 16)	/* "port 53 of ADDRESS" */

/* ---- set and del ---- */

struct dns_words {
	struct weir_dns_rule rule;
	bool always, when_over_budget, force;
};

static int set_port(void *into, const char *value, char *err)
{
	struct dns_words *w = into;
	uint16_t last;

	if (parse_ports("dport", value, IPPROTO_UDP, &w->rule.port, &last, err))
		return -EINVAL;
	return last == w->rule.port ? 0 : fail(err, EINVAL, "dport \"%s\": a rule is for one port",
					       value);
}

static int set_to(void *into, const char *value, char *err)
{
	struct dns_words *w = into;
	struct prefix prefix;

	if (parse_prefix(value, &prefix, err))
		return -EINVAL;
	prefix_to_key(&prefix, &w->rule.to);
	return 0;
}

static void label_of(const struct weir_dns_rule *rule, char label[LABEL_LEN])
{
	char to[PREFIX_STRLEN];
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	prefix_format_short(&prefix, to);
	snprintf(label, LABEL_LEN, "port %u%s%s", rule->port, rule->to.prefixlen ? " of " : "",
		 rule->to.prefixlen ? to : "");
}

static bool is_served(const struct weir_dns_rule *rule, enum transport transport)
{
	struct prefix to;

	prefix_from_key(&rule->to, &to);
	return listens_on(transport, &to, rule->port);
}

/* Refuses a rule that would do harm on this host: -errno with @err. */
static int check_place(const struct weir_dns_rule *rule, char *err)
{
	const char *forwards = rule->to.prefixlen ? NULL : forwarding_cause();
	char label[LABEL_LEN];

	label_of(rule, label);
	if (!is_served(rule, OVER_TCP))
		return fail(err, ENOENT, "nothing listens on TCP %s here: resolvers that are told "
			    "to come by TCP would get no answer. Let the DNS server serve TCP in this "
			    "network namespace; on a router in front of it, no connection proves a "
			    "resolver. `force` overrules", label);
	if (forwards)
		return fail(err, EPERM, "this host forwards (%s): queries on their way to other hosts "
			    "would be answered here, and no resolver be proven; give `to ADDRESS`, an "
			    "address of this host. `force` overrules", forwards);
	return 0;
}

static int check_budget(const struct weir_policy *policy, const struct weir_dns_rule *rule,
			char *err)
{
	char label[LABEL_LEN];

	if (rule->always || dns_has_budget(policy, rule))
		return 0;
	label_of(rule, label);
	return fail(err, ENOENT, "no budget applies to UDP %s, so no query would ever be answered; `weir "
		    "budget set NAME proto udp dport %u rate ...` first, or add `always`. `force` "
		    "overrules", label, rule->port);
}

static int check_words(const struct dns_words *w, char *err)
{
	if (w->always && w->when_over_budget)
		return fail(err, EINVAL, "always or when-over-budget, not both");
	return 0;
}

enum outcome edit_dns_protect(struct edit *edit)
{
	static const struct word words[] = {
		{ "dport", "a port", set_port },
		{ "to", "a prefix", set_to },
		WORD_FLAG("always", struct dns_words, always),
		WORD_FLAG("when-over-budget", struct dns_words, when_over_budget),
		WORD_FLAG("force", struct dns_words, force),
		{ 0 },
	};
	struct dns_words w = { .rule.port = DNS_PORT };
	char label[LABEL_LEN];
	int rc;

	if (take_words(&edit->words, words, &w, edit->err) || check_words(&w, edit->err))
		return USAGE;
	w.rule.always = w.always;
	if (!w.force && (check_budget(edit->settings->policy, &w.rule, edit->err) ||
			 check_place(&w.rule, edit->err)))
		return FAILED;
	rc = dns_set(edit->settings->policy, &w.rule, edit->err);
	if (rc < 0)
		return FAILED;
	edit->changed |= rc > 0;
	label_of(&w.rule, label);
	snprintf(edit->said, sizeof(edit->said), "queries to UDP %s are answered with \"truncated\"%s%s",
		 label, w.always ? "" : " when over budget", rc > 0 ? "" : ", as before");
	if (!w.force && !is_served(&w.rule, OVER_UDP))
		snprintf(edit->note, sizeof(edit->note), "nothing listens on UDP %s here", label);
	return DONE;
}

enum outcome edit_dns_del(struct edit *edit)
{
	static const struct word words[] = {
		{ "dport", "a port", set_port },
		{ "to", "a prefix", set_to },
		{ 0 },
	};
	struct dns_words w = { .rule.port = DNS_PORT };
	char label[LABEL_LEN];
	uint32_t index;

	if (take_words(&edit->words, words, &w, edit->err))
		return USAGE;
	index = dns_find(edit->settings->policy, &w.rule.to, w.rule.port);
	label_of(&w.rule, label);
	if (!index) {
		fail(edit->err, ENOENT, "there is no rule for %s; `weir dns show` lists them", label);
		return FAILED;
	}
	dns_remove(edit->settings->policy, index);
	edit->changed = true;
	snprintf(edit->said, sizeof(edit->said), "queries to UDP %s are no longer answered", label);
	return DONE;
}

/* ---- show ---- */

static const struct column dns_columns[] = {
	{ "PORT", 6 }, { "WHEN", 17 }, { "TO", 0 }, { 0 },
};

static void show_rule(const struct call *call, const struct weir_dns_rule *rule, json_t *list)
{
	char to[PREFIX_STRLEN], port[8];

	format_end(&rule->to, to);
	if (call->json) {
		json_array_append_new(list, json_pack("{s:i, s:s, s:s}", "port", rule->port, "to", to,
			"when", rule->always ? "always" : "when-over-budget"));
		return;
	}
	snprintf(port, sizeof(port), "%u", rule->port);
	table_row(dns_columns, port, rule->always ? "always" : "when over budget", to);
}

/* Remarks on what has changed since the rule was set. */
static void check_rule(const struct call *call, const struct weir_policy *policy,
		       const struct weir_dns_rule *rule)
{
	char label[LABEL_LEN];

	label_of(rule, label);
	if (!is_served(rule, OVER_TCP))
		remark(call, "nothing listens on TCP %s here: resolvers that are told to come by TCP "
		       "get no answer", label);
	if (!is_served(rule, OVER_UDP))
		remark(call, "nothing listens on UDP %s here", label);
	if (!rule->always && !dns_has_budget(policy, rule))
		remark(call, "no budget applies to UDP %s, so no query is answered; `weir budget set NAME "
		       "proto udp dport %u rate ...`", label, rule->port);
}

enum outcome cmd_dns_show(const struct call *call)
{
	struct settings settings;
	json_t *list;
	char err[ERR_LEN];
	bool any = false;

	if (read_settings(&settings, err))
		return failed(call, "%s", err);
	list = json_array();
	for (uint32_t i = 1; i < WEIR_DNS_RULES; i++) {
		if (!settings.policy->dns_rule[i].used)
			continue;
		if (!any && !call->json)
			table_head(dns_columns);
		any = true;
		show_rule(call, &settings.policy->dns_rule[i], list);
		check_rule(call, settings.policy, &settings.policy->dns_rule[i]);
	}
	settings_free(&settings);
	if (!any && !call->json)
		remark(call, "no DNS service is protected");
	return print_json(call, json_pack("{s:o}", "protected", list));
}
