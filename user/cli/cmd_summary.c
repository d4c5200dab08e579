// SPDX-License-Identifier: GPL-2.0-only
/* weir without words: the state in five lines, and what to do next. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/cli/ssh_guard.h"
#include "user/host/clock.h"
#include "user/host/interfaces.h"
#include "user/model/drop_rules.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/lists.h"
#include "user/state/side_settings.h"
#include "user/state/snapshot.h"
#include "user/state/try.h"

#define LOOK_NS		(500 * NS_PER_MS)	/* between two readings of the counters */
#define REASONS_SHOWN	3
#define LABEL		10			/* columns of "attached" and the like */

struct summary {
	struct settings settings;
	struct weir_device device[WEIR_DEVICES];
	size_t devices, lists;
	bool on_trial, all_monitor;
	double seconds;				/* between the readings */
	struct weir_counters delta;
	double daemon_age_s;			/* negative: it never ran */
};

/* ---- reading ---- */

static void subtract(struct weir_counters *from, const struct weir_counters *what)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		from->reason[i].packets -= what->reason[i].packets;
		from->monitored[i].packets -= what->monitored[i].packets;
	}
}

static int read_rates(const struct maps *maps, struct summary *summary, char *err)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct weir_counters before;
	uint64_t start = now_ns();
	int rc = devices_sum(maps, &before);

	nanosleep(&look, NULL);
	if (!rc)
		rc = devices_sum(maps, &summary->delta);
	if (rc)
		return fail(err, -rc, "cannot read the counters: %s", strerror(-rc));
	subtract(&summary->delta, &before);
	summary->seconds = (double)(now_ns() - start) / NS_PER_S;
	return 0;
}

static int read_summary(struct maps *maps, struct summary *summary, char *err)
{
	const struct weir_tally *tally = &maps->hints->tally;
	struct weir_device device;
	struct list_info *infos;
	int rc = maps_read_settings(maps, &summary->settings, err);

	if (rc)
		return rc;
	entries_expire(&summary->settings.block, now_ns());
	summary->all_monitor = true;
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		if (!device_is_attached(maps, &device))
			continue;
		summary->device[summary->devices++] = device;
		summary->on_trial |= device.try_until_ns && !try_is_over(&device);
		summary->all_monitor &= device.monitor;
	}
	summary->daemon_age_s = tally->daemon_ns ?
				(double)(now_ns() - tally->daemon_ns) / NS_PER_S : -1;
	rc = lists_read(&infos, &summary->lists, err);
	if (!rc)
		free(infos);
	if (!rc && summary->devices)
		rc = read_rates(maps, summary, err);
	if (rc)
		settings_free(&summary->settings);
	return rc;
}

static unsigned int count_limits(const struct weir_policy *policy)
{
	unsigned int count = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		count += policy->spec[i].used;
	return count;
}

static unsigned int count_budgets(const struct weir_policy *policy)
{
	unsigned int count = 0;

	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		count += policy->budget_spec[i].limit.used;
	return count;
}

static bool has_settings(const struct weir_policy *policy)
{
	return count_limits(policy) || count_budgets(policy) || rules_count(policy, now_ns()).rules;
}

/* Packets in a second; @dropped: of the reasons that drop, otherwise of the others. */
static double rate_of(const struct summary *summary, bool dropped)
{
	uint64_t packets = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!strcmp(reason_action(i), "drop") == dropped)
			packets += summary->delta.reason[i].packets;
	return summary->seconds ? (double)packets / summary->seconds : 0;
}

/* ---- the five lines ---- */

static void print_labelled(const char *label, const char *text)
{
	print_wrapped(stdout, text, printf("%-*s", LABEL, label), LABEL);
}

static void print_attached(const struct summary *summary)
{
	char text[WEIR_DEVICES * 64] = "to no interface";
	size_t length = 0;

	for (size_t i = 0; i < summary->devices; i++) {
		const struct weir_device *device = &summary->device[i];

		length += snprintf(text + length, sizeof(text) - length, "%s%s (%s%s%s)",
				   length ? ", " : "", device->name, device_mode(device),
				   device->monitor ? ", monitor: drops nothing" : "",
				   device->try_until_ns ? ", on trial" : "");
	}
	print_labelled("attached", text);
}

static void print_settings(const struct summary *summary)
{
	const struct settings *settings = &summary->settings;
	char text[256];

	snprintf(text, sizeof(text), "limits %u, budgets %u, drop rules %u, lists %zu, allow %zu, "
		 "block %zu", count_limits(settings->policy), count_budgets(settings->policy),
		 rules_count(settings->policy, now_ns()).rules, summary->lists,
		 settings->allow.count, settings->block.count);
	print_labelled("settings", text);
}

/* The reason that drops most of those not in @shown yet; WEIR_REASON_MAX: no more drops. */
static int next_worst(const struct summary *summary, uint64_t shown)
{
	int worst = WEIR_REASON_MAX;
	uint64_t most = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		uint64_t packets = summary->delta.reason[i].packets;

		if (strcmp(reason_action(i), "drop") || shown >> i & 1 || packets <= most)
			continue;
		most = packets;
		worst = i;
	}
	return worst;
}

static void print_now(const struct summary *summary)
{
	char text[256];
	uint64_t shown = 0;
	size_t length;

	if (!summary->devices) {
		print_labelled("now", "sees no packets");
		return;
	}
	length = snprintf(text, sizeof(text), "%.0f packets/s pass, %.0f %s", rate_of(summary, false),
			  rate_of(summary, true), summary->all_monitor ? "would drop" : "drop");
	for (int n = 0; n < REASONS_SHOWN; n++) {
		int reason = next_worst(summary, shown);

		if (reason == WEIR_REASON_MAX)
			break;
		shown |= 1ULL << reason;
		length += snprintf(text + length, sizeof(text) - length, "%s%s %.0f",
				   n ? ", " : ": ", reason_name(reason),
				   (double)summary->delta.reason[reason].packets / summary->seconds);
	}
	print_labelled("now", text);
}

static void print_daemon(const struct summary *summary)
{
	char text[64] = "up";

	if (summary->daemon_age_s < 0)
		snprintf(text, sizeof(text), "never ran; weir filters without it");
	else if (summary->daemon_age_s >= DAEMON_SILENT_S)
		snprintf(text, sizeof(text), "silent for %.0f s; weir filters without it",
			 summary->daemon_age_s);
	print_labelled("daemon", text);
}

/* ---- what to do next ---- */

static void suggest(const char *command, const char *purpose)
{
	printf("  %-38s # %s\n", command, purpose);
}

static void suggest_attach(const char *name, const char *words, const char *purpose)
{
	char command[64];

	snprintf(command, sizeof(command), "weir attach %s %s", name, words);
	suggest(command, purpose);
}

static bool in_ssh_session(void)
{
	struct prefixes peers = { 0 };
	bool any = !ssh_peers(&peers) && prefixes_count(&peers);

	prefixes_free(&peers);
	return any;
}

/* The first settings of README.md, which tests/system/test_first_settings.py plays users against. */
static void print_beginning(void)
{
	char name[IF_NAMESIZE];

	printf("nothing is attached and nothing is set; to begin with:\n");
	if (in_ssh_session())
		suggest("weir allow add ssh", "your SSH sessions always pass");
	else
		suggest("weir allow add 203.0.113.10", "your own address always passes");
	suggest("weir limit set syn rate 100pps", "new TCP connections of each source");
	suggest("weir limit set proto udp rate 5kpps", "UDP of each source");
	suggest("weir limit set icmp rate 100pps", "ICMP of each source");
	suggest("weir limit set rate 1mpps", "everything else of each source");
	suggest_attach(interface_to_begin(name), "monitor", "judges, and drops nothing");
	suggest("weir show stats", "what would drop, and why");
}

static void print_next(const struct summary *summary)
{
	char name[IF_NAMESIZE];

	printf("next:\n");
	if (!has_settings(summary->settings.policy))
		suggest("weir limit set syn rate 100pps", "limit new TCP connections of each source");
	if (!summary->devices)
		suggest_attach(interface_to_begin(name), "monitor", "judges, and drops nothing");
	if (summary->on_trial)
		suggest("weir confirm", "keep what is on trial, before it undoes itself");
	if (summary->devices && summary->all_monitor)
		suggest_attach(summary->device[0].name, "try 60s", "drop; undone unless confirmed");
	if (summary->devices)
		suggest("weir show stats", summary->all_monitor ? "what would drop, and why" :
								  "what drops, and why");
	if (summary->devices)
		suggest("weir top", "the sources dropped most, live");
	suggest("weir help", "all commands");
}

/* ---- all of it ---- */

static enum outcome answer_unused(const struct call *call, const char *why)
{
	if (call->json)
		return print_json(call, json_pack("{s:s, s:i, s:b}", "version", WEIR_VERSION, "abi",
						  WEIR_ABI, "in_use", 0));
	cmd_version(call);
	if (strchr(why, '('))	/* the pins cannot be seen from here, and the text says why */
		print_wrapped(stdout, why, 0, 0);
	print_beginning();
	return DONE;
}

static enum outcome answer_other_user(const struct call *call)
{
	if (call->json)
		return print_json(call, json_pack("{s:s, s:i, s:n}", "version", WEIR_VERSION, "abi",
						  WEIR_ABI, "in_use"));
	cmd_version(call);
	print_wrapped(stdout, "this user cannot see what weir does here: the interfaces it is attached "
		      "to, its settings, counters and bans; `sudo weir` can, and so can the members of "
		      "the group weir while it runs", 0, 0);
	return DONE;
}

static json_t *summary_json(const struct summary *summary)
{
	json_t *names = json_array();

	for (size_t i = 0; i < summary->devices; i++)
		json_array_append_new(names, json_string(summary->device[i].name));
	return json_pack("{s:s, s:i, s:b, s:o, s:f, s:f, s:b}", "version", WEIR_VERSION, "abi",
			 WEIR_ABI, "in_use", 1, "attached", names, "passed_pps",
			 rate_of(summary, false), "dropped_pps", rate_of(summary, true), "daemon_up",
			 summary->daemon_age_s >= 0 && summary->daemon_age_s < DAEMON_SILENT_S);
}

enum outcome cmd_summary(const struct call *call)
{
	struct summary summary = { 0 };
	char err[ERR_LEN];
	struct maps maps;
	json_t *root;
	int rc = maps_open(&maps, MAPS_READ, err);

	if (rc == -ENOENT)
		return answer_unused(call, err);
	if (rc == -EPERM || rc == -EACCES)
		return answer_other_user(call);
	if (rc)
		return failed(call, "%s", err);
	rc = read_summary(&maps, &summary, err);
	maps_close(&maps);
	if (rc)
		return failed(call, "%s", err);
	if (!call->json) {
		cmd_version(call);
		print_attached(&summary);
		print_settings(&summary);
		print_now(&summary);
		print_daemon(&summary);
		print_next(&summary);
	}
	root = summary_json(&summary);
	settings_free(&summary.settings);
	return print_json(call, root);
}
