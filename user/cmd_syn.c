// SPDX-License-Identifier: GPL-2.0-only
/* weir syn: which services have their SYNs answered by cookies. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "user/cmd_output.h"
#include "user/error.h"
#include "user/parse.h"
#include "user/policy.h"
#include "user/syn.h"
#include "user/table.h"
#include "user/words.h"

#define SYNCOOKIES	"/proc/sys/net/ipv4/tcp_syncookies"
#define TIMESTAMPS	"/proc/sys/net/ipv4/tcp_timestamps"
#define ECN		"/proc/sys/net/ipv4/tcp_ecn"
#define TCP_RMEM	"/proc/sys/net/ipv4/tcp_rmem"
#define RMEM_MAX	"/proc/sys/net/core/rmem_max"
#define RMEM_DEFAULT	212992	/* where the namespace does not show it */
#define STATE_LISTEN	10

/* ---- what this host is like ---- */

/* The last number in the file; -1: it cannot be read. */
static long read_sysctl(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = -1, next;

	if (!file)
		return -1;
	while (fscanf(file, "%ld", &next) == 1)
		number = next;
	fclose(file);
	return number;
}

static int write_sysctl(const char *path, long number, char *err)
{
	FILE *file = fopen(path, "we");
	bool good = file && fprintf(file, "%ld\n", number) > 0;

	if (file && fclose(file))
		good = false;
	return good ? 0 : fail(err, EIO, "cannot write %ld to %s: %s", number, path, strerror(errno));
}

static bool listens_in(const char *path, const struct weir_syn_rule *rule)
{
	FILE *file = fopen(path, "re");
	unsigned int port, state;
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port,
			       &state) == 2 &&
			state == STATE_LISTEN && port >= rule->first && port <= rule->last;
	if (file)
		fclose(file);
	return found;
}

static bool listens(const struct weir_syn_rule *rule)
{
	return listens_in("/proc/self/net/tcp", rule) || listens_in("/proc/self/net/tcp6", rule);
}

/*
 * The scale that the kernel will choose for its windows when it makes a
 * connection out of a cookie, as tcp_select_initial_window() does.
 */
static uint8_t window_scale(void)
{
	long space = read_sysctl(TCP_RMEM), most = read_sysctl(RMEM_MAX);
	int scale = 0;

	if (most < 0)
		most = RMEM_DEFAULT;
	if (space < most)
		space = most;
	while (space >> (scale + 16) && scale < 14)
		scale++;
	return scale;
}

/* ---- set and del ---- */

struct syn_words {
	struct weir_syn_rule rule;
	bool always, over, force;
};

static int set_ports(void *into, const char *value, char *err)
{
	struct syn_words *w = into;

	return parse_ports(value, &w->rule.first, &w->rule.last, err);
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

static int set_when(void *into, const char *word, char *err)
{
	struct syn_words *w = into;

	if (w->always || w->over)
		return fail(err, EINVAL, "%s: one of always and when-over-budget", word);
	w->always = !strcmp(word, "always");
	w->over = !w->always;
	w->rule.always = w->always;
	return 0;
}

static int set_sysctl(void *into, const char *word, char *err)
{
	struct syn_words *w = into;

	(void)word;
	(void)err;
	w->rule.set_sysctl = 1;
	return 0;
}

static int set_force(void *into, const char *word, char *err)
{
	struct syn_words *w = into;

	(void)word;
	(void)err;
	w->force = true;
	return 0;
}

static const struct word protect_words[] = {
	{ "dport", "a port or a range", set_ports },
	{ "to", "a prefix", set_to },
	{ "always", NULL, set_when },
	{ "when-over-budget", NULL, set_when },
	{ "set-sysctl", NULL, set_sysctl },
	{ "force", NULL, set_force },
	{ 0 },
};

/* A rehearsal changes nothing on this host: its settings are of no namespace. */
static int prepare_host(const struct edit *edit, const struct weir_syn_rule *rule, char *err)
{
	bool may = rule->set_sysctl && edit->now_ns && !edit->check_only;
	long cookies = read_sysctl(SYNCOOKIES);

	if (cookies < 0)
		return fail(err, ENOENT, "this kernel has no net.ipv4.tcp_syncookies "
			    "(CONFIG_SYN_COOKIES), so its listeners accept no cookies");
	if (cookies != 2 && may && write_sysctl(SYNCOOKIES, 2, err))
		return -EIO;
	if (cookies != 2 && !rule->set_sysctl)
		return fail(err, EPERM, "net.ipv4.tcp_syncookies is %ld: the kernel accepts cookies "
			    "that are not its own only with 2; `sysctl -w net.ipv4.tcp_syncookies=2`, "
			    "or say `set-sysctl`", cookies);
	if (read_sysctl(TIMESTAMPS) != 2 && may && write_sysctl(TIMESTAMPS, 2, err))
		return -EIO;
	return 0;
}

enum outcome edit_syn_protect(struct edit *edit)
{
	struct syn_words w = { 0 };
	int rc;

	if (take_words(&edit->words, protect_words, &w, edit->err))
		return USAGE;
	if (!w.rule.first) {
		fail(edit->err, EINVAL, "syn protect needs dport N, or a range");
		return USAGE;
	}
	if (!w.force && !listens(&w.rule)) {
		fail(edit->err, ENOENT, "nothing listens on port %u here: cookies are for services of "
		     "this host, in this network namespace; the connection is made by its own "
		     "kernel, so forwarded traffic is out of their reach. `force` overrules",
		     w.rule.first);
		return FAILED;
	}
	if (prepare_host(edit, &w.rule, edit->err))
		return FAILED;
	w.rule.timestamps = read_sysctl(TIMESTAMPS) == 2;
	w.rule.ecn = read_sysctl(ECN) > 0;
	w.rule.wscale = window_scale();
	rc = syn_set(edit->settings->policy, &w.rule, edit->err);
	if (rc < 0)
		return FAILED;
	edit->changed |= rc > 0;
	if (!w.rule.timestamps)
		snprintf(edit->said, sizeof(edit->said), "net.ipv4.tcp_timestamps is not 2, so "
			 "connections by cookie have no window scale and no SACK: right, but slow; "
			 "`set-sysctl` sets it");
	return DONE;
}

enum outcome edit_syn_del(struct edit *edit)
{
	static const struct word del_words[] = {
		{ "dport", "a port or a range", set_ports },
		{ 0 },
	};
	struct syn_words w = { 0 };
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
	syn_remove(edit->settings->policy, index);
	edit->changed = true;
	return DONE;
}

/* ---- show and save ---- */

void format_syn(const struct weir_syn_rule *rule, char *text, size_t size)
{
	char to[PREFIX_STRLEN], ports[16];
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	prefix_format(&prefix, to);
	snprintf(ports, sizeof(ports), rule->first == rule->last ? "%u" : "%u-%u", rule->first,
		 rule->last);
	snprintf(text, size, "dport %s%s%s %s%s", ports, rule->to.prefixlen ? " to " : "",
		 rule->to.prefixlen ? to : "", rule->always ? "always" : "when-over-budget",
		 rule->set_sysctl ? " set-sysctl" : "");
}

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

enum outcome cmd_syn_show(const struct call *call)
{
	struct settings settings;
	json_t *list;
	char err[ERR_LEN];
	bool any = false;

	if (read_settings(&settings, err))
		return failed("%s", err);
	list = json_array();
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++) {
		if (!settings.policy->syn_rule[i].used)
			continue;
		if (!any && !call->json)
			table_head(syn_columns);
		any = true;
		show_rule(call, &settings.policy->syn_rule[i], list);
	}
	settings_free(&settings);
	if (!any && !call->json)
		remark(call, "no service is protected by cookies");
	else if (read_sysctl(SYNCOOKIES) != 2)
		remark(call, "net.ipv4.tcp_syncookies is not 2 here any more: the kernel refuses "
		       "connections by cookie");
	return print_json(call, json_pack("{s:o}", "protected", list));
}
