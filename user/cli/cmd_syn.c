// SPDX-License-Identifier: GPL-2.0-only
/* weir syn: the services whose SYNs are answered by cookies. */
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/core_time.h"
#include "user/cli/output.h"
#include "user/host/packet_rules.h"
#include "user/host/tcp.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/syn_rules.h"
#include "user/model/table.h"
#include "user/model/words.h"
#include "user/state/cookie_watch.h"
#include "user/state/session.h"

#define SERVICE_LEN	(PREFIX_STRLEN + 32)

/* ---- set and del ---- */

struct syn_words {
	struct weir_syn_rule rule;
	bool always, when_over_budget, set_sysctl, force;
};

static int set_ports(void *into, const char *value, char *err)
{
	struct syn_words *w = into;

	return parse_ports("dport", value, IPPROTO_TCP, &w->rule.first, &w->rule.last, err);
}

static int set_to(void *into, const char *value, char *err)
{
	struct syn_words *w = into;
	struct prefix prefix;

	if (parse_prefix(value, &prefix, err))
		return -EINVAL;
	prefix_to_key(&prefix, &w->rule.to);
	return 0;
}

static const struct word protect_words[] = {
	{ "dport", "a port or a range", set_ports },
	{ "to", "a prefix", set_to },
	WORD_FLAG("always", struct syn_words, always),
	WORD_FLAG("when-over-budget", struct syn_words, when_over_budget),
	WORD_FLAG("set-sysctl", struct syn_words, set_sysctl),
	WORD_FLAG("force", struct syn_words, force),
	{ 0 },
};

/* Whether the kernel accepts weir's cookies, or is to be set so that it does. */
static int check_kernel(struct edit *edit, const struct weir_syn_rule *rule, char *err)
{
	long cookies = read_sysctl(SYSCTL_SYNCOOKIES);

	if (cookies < 0)
		return fail(err, ENOENT, "this kernel has no net.ipv4.tcp_syncookies "
			    "(CONFIG_SYN_COOKIES), so its listeners accept no cookies");
	edit->set_sysctls |= rule->set_sysctl;
	if (cookies != 2 && !edit->set_sysctls)
		return fail(err, EPERM, "net.ipv4.tcp_syncookies is %ld: the kernel accepts cookies "
			    "that weir has made only with 2; `sysctl -w net.ipv4.tcp_syncookies=2`, or "
			    "add `set-sysctl`", cookies);
	return 0;
}

/* Refuses a rule that would do harm on this host: -errno with @err. */
static int check_place(const struct weir_syn_rule *rule, char *err)
{
	const char *forwards = rule->to.prefixlen ? NULL : forwarding_cause();
	char obstacle[OBSTACLE_LEN];

	if (!tcp_listens(rule))
		return fail(err, ENOENT, "nothing listens on port %u here: cookies are for services of "
			    "this host in this network namespace, whose kernel makes the connection; "
			    "they cannot protect forwarded traffic. `force` overrules",
			    rule->first);
	if (forwards)
		return fail(err, EPERM, "this host forwards (%s): SYNs on their way to other hosts would "
			    "be answered here; give `to ADDRESS`, an address of this host. `force` "
			    "overrules", forwards);
	if (packet_rules_obstacle(rule, obstacle))
		return fail(err, EPERM, "%s; except port %u there. `force` overrules", obstacle,
			    rule->first);
	return 0;
}

/*
 * Whether a budget applies to SYNs of the rule's service, be it only to those from some source
 * ports; looked up as the data path does.
 */
static bool has_budget(const struct weir_policy *policy, const struct weir_syn_rule *rule)
{
	struct packet_kind kind = { .proto = IPPROTO_TCP, .what = WEIR_SYN, .dport = rule->first };
	struct prefix to;

	prefix_from_key(&rule->to, &to);
	for (uint32_t sport = 0; sport <= UINT16_MAX; sport++) {
		kind.sport = sport;
		if (budget_lookup(policy, &to, &kind))
			return true;
		if (!policy->sport_groups)
			return false;
	}
	return false;
}

static void note(struct edit *edit, const char *text)
{
	size_t len = strlen(edit->note);

	snprintf(edit->note + len, sizeof(edit->note) - len, "%s%s", len ? "; " : "", text);
}

/* "SYNs to port 443", "SYNs to ports 8000-8010 of 192.0.2.1" */
static void format_service(const struct weir_syn_rule *rule, char text[SERVICE_LEN])
{
	char to[PREFIX_STRLEN], last[16] = "";
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	prefix_format_short(&prefix, to);
	if (rule->last != rule->first)
		snprintf(last, sizeof(last), "-%u", rule->last);
	snprintf(text, SERVICE_LEN, "SYNs to port%s %u%s%s%s", *last ? "s" : "", rule->first, last,
		 rule->to.prefixlen ? " of " : "", rule->to.prefixlen ? to : "");
}

static void remark_on(struct edit *edit, const struct weir_syn_rule *rule, bool differ)
{
	char text[ERR_LEN];

	if (!rule->timestamps)
		note(edit, "net.ipv4.tcp_timestamps is not 2, so connections by cookie work, but are "
			  "slow: they have no window scale and no SACK; `set-sysctl` sets it");
	if (rule->timestamps && differ)
		note(edit, "these listeners have receive buffers of different sizes: all of them get the "
			  "smallest window scale; a rule for each port is faster");
	if (!rule->always && !has_budget(edit->settings->policy, rule)) {
		snprintf(text, sizeof(text), "no budget applies to these SYNs, so cookies are never sent; "
			 "`weir budget set NAME syn dport %u rate ...`", rule->first);
		note(edit, text);
	}
}

enum outcome edit_syn_protect(struct edit *edit)
{
	struct syn_words w = { 0 };
	char service[SERVICE_LEN];
	bool differ;
	int rc;

	if (take_words(&edit->words, protect_words, &w, edit->err))
		return USAGE;
	if (!w.rule.first) {
		fail(edit->err, EINVAL, "syn protect needs dport N, or a range");
		return USAGE;
	}
	if (w.always && w.when_over_budget) {
		fail(edit->err, EINVAL, "always or when-over-budget, not both");
		return USAGE;
	}
	w.rule.always = w.always;
	w.rule.set_sysctl = w.set_sysctl;
	if (!w.force && check_place(&w.rule, edit->err))
		return FAILED;
	if (check_kernel(edit, &w.rule, edit->err))
		return FAILED;
	w.rule.timestamps = edit->set_sysctls || read_sysctl(SYSCTL_TIMESTAMPS) == 2;
	w.rule.ecn = read_sysctl(SYSCTL_ECN) > 0;
	w.rule.wscale = tcp_window_scale(&w.rule, &differ);
	rc = syn_set(edit->settings->policy, &w.rule, edit->err);
	if (rc < 0)
		return FAILED;
	edit->changed |= rc > 0;
	format_service(&w.rule, service);
	snprintf(edit->said, sizeof(edit->said), "%s are answered with cookies%s%s", service,
		 w.rule.always ? "" : " when over budget", rc > 0 ? "" : ", as before");
	remark_on(edit, &w.rule, differ);
	return DONE;
}

enum outcome edit_syn_del(struct edit *edit)
{
	static const struct word del_words[] = {
		{ "dport", "a port or a range", set_ports },
		{ 0 },
	};
	struct syn_words w = { 0 };
	char service[SERVICE_LEN];
	uint32_t index;

	if (take_words(&edit->words, del_words, &w, edit->err))
		return USAGE;
	if (!w.rule.first) {
		fail(edit->err, EINVAL, "syn del needs dport N, or the range as it was set");
		return USAGE;
	}
	index = syn_find(edit->settings->policy, w.rule.first, w.rule.last);
	if (!index) {
		fail(edit->err, ENOENT, "there is no rule for ports %u-%u; `weir syn show` lists them",
		     w.rule.first, w.rule.last);
		return FAILED;
	}
	format_service(&edit->settings->policy->syn_rule[index], service);
	syn_remove(edit->settings->policy, index);
	edit->changed = true;
	snprintf(edit->said, sizeof(edit->said), "%s are no longer answered", service);
	return DONE;
}

/*
 * One value for all rules: what is shared out is the time of a core, and any core may get the SYNs
 * of every rule.
 */
enum outcome edit_syn_share(struct edit *edit)
{
	struct weir_policy *policy = edit->settings->policy;
	const char *value = take_value(&edit->words);
	size_t len = value ? strlen(value) : 0;
	uint64_t percent = 0;
	char number[16];

	if (!value) {
		fail(edit->err, EINVAL, "syn share needs a percentage, such as 30%%, or `default`");
		return USAGE;
	}
	if (strcmp(value, "default")) {
		snprintf(number, sizeof(number), "%.*s",
			 (int)(len && value[len - 1] == '%' ? len - 1 : len), value);
		if (parse_number(number, "syn share", TIME_SHARE_LEAST, TIME_SHARE_MOST, &percent,
				 edit->err))
			return USAGE;
	}
	if (no_more_words(&edit->words, edit->err))
		return USAGE;
	edit->changed |= policy->syn_share != percent;
	policy->syn_share = percent;
	snprintf(edit->said, sizeof(edit->said), "cookies may take %u%% of each core's time",
		 syn_share(policy));
	return DONE;
}

/* ---- show ---- */

static const struct column syn_columns[] = {
	{ "PORTS", 12 }, { "WHEN", 17 }, { "OFFERS", 22 }, { "TO", 0 }, { 0 },
};

static void show_rule(const struct call *call, const struct weir_syn_rule *rule, json_t *list)
{
	char to[PREFIX_STRLEN] = "any", ports[16], offers[32];
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	if (rule->to.prefixlen)
		prefix_format(&prefix, to);
	if (call->json) {
		json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:s, s:b, s:b, s:i}",
			"first", rule->first, "last", rule->last, "to", to, "when",
			rule->always ? "always" : "when-over-budget", "timestamps",
			rule->timestamps, "ecn", rule->timestamps && rule->ecn, "wscale",
			rule->timestamps ? rule->wscale : 0));
		return;
	}
	snprintf(ports, sizeof(ports), rule->first == rule->last ? "%u" : "%u-%u", rule->first,
		 rule->last);
	snprintf(offers, sizeof(offers), rule->timestamps ? "all, window scale %u" : "MSS only",
		 rule->wscale);
	table_row(syn_columns, ports, rule->always ? "always" : "when over budget", offers, to);
}

/* Remarks on what has changed on the host since the rule was set. */
static void check_rule(const struct call *call, const struct weir_syn_rule *rule)
{
	char obstacle[OBSTACLE_LEN];
	bool differ;

	if (packet_rules_obstacle(rule, obstacle))
		remark(call, "port %u: %s", rule->first, obstacle);
	if (!tcp_listens(rule))
		remark(call, "nothing listens on port %u here", rule->first);
	else if (rule->timestamps && rule->wscale != tcp_window_scale(rule, &differ))
		remark(call, "port %u: the kernel's window scale is %u now and the rule's %u; set the rule "
		       "again", rule->first, tcp_window_scale(rule, &differ), rule->wscale);
	if (rule->timestamps && read_sysctl(SYSCTL_TIMESTAMPS) != 2)
		remark(call, "net.ipv4.tcp_timestamps is not 2 here any more: the kernel misreads the "
		       "options of connections by cookie; set it, or set the rule again");
}

static void print_cookies(const struct call *call, const struct weir_cookie_watch *watch)
{
	char returned[FORMAT_LEN], refused[FORMAT_LEN], complaint[COOKIE_COMPLAINT];

	printf("cookies that came back from sources without proof: %s, refused by the kernel: %s\n",
	       table_count(watch->all.returned, returned), table_count(watch->all.refused, refused));
	if (cookie_watch_complaint(watch, complaint))
		remark(call, "%s", complaint);
}

enum outcome cmd_syn_show(const struct call *call)
{
	struct weir_cookie_watch watch = { 0 };
	struct settings settings;
	json_t *list;
	char err[ERR_LEN];
	uint32_t share;
	bool any = false;

	if (read_settings(&settings, err) || cookie_watch_read(&watch, err))
		return failed(call, "%s", err);
	list = json_array();
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++) {
		if (!settings.policy->syn_rule[i].used)
			continue;
		if (!any && !call->json)
			table_head(syn_columns);
		any = true;
		show_rule(call, &settings.policy->syn_rule[i], list);
		check_rule(call, &settings.policy->syn_rule[i]);
	}
	share = syn_share(settings.policy);
	settings_free(&settings);
	if (any && !call->json)
		printf("cookies may take %u%% of each core's time\n", share);
	if (any && !call->json)
		print_cookies(call, &watch);
	if (!any && !call->json)
		remark(call, "no service is protected by cookies");
	else if (any && read_sysctl(SYSCTL_SYNCOOKIES) != 2)
		remark(call, "net.ipv4.tcp_syncookies is not 2 here any more: the kernel refuses "
		       "connections by cookie");
	return print_json(call, json_pack("{s:o, s:i, s:o}", "protected", list, "share_percent",
					  share, "cookies", cookies_json(&watch)));
}
