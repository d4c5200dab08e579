// SPDX-License-Identifier: GPL-2.0-only
/* weir show status: where weir is, what is set, and what of it is at work. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/colour.h"
#include "user/cli/output.h"
#include "user/daemon/daemon.h"
#include "user/host/clock.h"
#include "user/model/drop_rules.h"
#include "user/model/format.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/state/budgets.h"
#include "user/state/device.h"
#include "user/state/known.h"
#include "user/state/lists.h"
#include "user/state/loss_watch.h"
#include "user/state/proof.h"
#include "user/state/side_settings.h"
#include "user/state/snapshot.h"
#include "user/state/tables.h"
#include "user/state/try.h"

#define LABEL_WIDTH	16
#define LINE_LEN	1024

struct status_budget {
	const char *name;
	double used;
	bool pressed;
};

struct status {
	struct settings settings;
	uint64_t sources;
	uint32_t limits, syn_rules, dns_rules;
	json_t *devices;
	struct weir_common common;
	struct status_budget budgets[WEIR_BUDGETS];
	size_t budget_count;
	struct rule_tally drop_rules;
	struct list_info *lists;
	size_t list_count;
	uint64_t bans, daemon_bans;	/* of the block entries */
	struct known_count known;
	double daemon_age_s;		/* since its last loop; negative: there was none */
	const char *daemon_mode;
	char remarks[WEIR_DEVICES][512];	/* "": none on that device */
	char lost[WEIR_DEVICES][256];	/* the same: packets that weir never saw */
	char alarms[WEIR_DEVICES][LOSS_COMPLAINT];
};

/* ---- reading ---- */

static int count_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
			void *arg)
{
	(void)key;
	(void)bucket;
	++*(uint64_t *)arg;
	return 0;
}

static json_t *try_status(const struct weir_device *device)
{
	uint64_t now = now_ns();

	if (!device->try_until_ns)
		return json_null();
	return json_pack("{s:I, s:s}", "seconds_left",
			 (json_int_t)seconds_until(device->try_until_ns, now), "then",
			 try_fallback_word(device));
}

static json_t *device_status(const struct maps *maps, const struct weir_device *device,
			     const struct weir_counters *counters, const struct losses *losses)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:b, s:b, s:b, s:i, s:I, s:o, s:s, s:o}", "dev",
			 device->name, "frames", device->bare ? "ip" : "ethernet", "link_pps",
			 (json_int_t)device->link_pps, "mode",
			 device_mode(device), "monitor", device->monitor, "attached",
			 device_is_attached(maps, device), "dispatcher", device->dispatcher,
			 "prog_id", device->prog_id, "since",
			 (json_int_t)device->attached_unix_s, "try", try_status(device),
			 "proof", proof_name(proof_on(counters)), "lost", losses_json(losses));
}

static void read_lost(struct status *status, uint32_t slot, const struct weir_device *device,
		      const struct losses *losses)
{
	char list[192];

	memcpy(status->alarms[slot], losses->complaint, LOSS_COMPLAINT);
	if (*losses_list(&losses->watch.all, list, sizeof(list)))
		snprintf(status->lost[slot], sizeof(status->lost[slot]),
			 "%s: lost before weir saw them: %s", device->name, list);
}

static void read_devices(const struct maps *maps, struct status *status)
{
	struct weir_counters counters;
	struct weir_device device;
	struct losses losses;

	loss_watch_look(maps);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		if (maps_read_counters(maps, slot, &counters))
			counters = (struct weir_counters){ 0 };
		proof_remark(device.name, &counters, status->remarks[slot],
			     sizeof(status->remarks[slot]));
		loss_watch_read(maps, slot, &device, &losses);
		read_lost(status, slot, &device, &losses);
		json_array_append_new(status->devices, device_status(maps, &device, &counters,
								     &losses));
	}
}

static void read_policy(const struct maps *maps, struct status *status)
{
	const struct weir_policy *policy = status->settings.policy;
	struct weir_budget_state state;
	struct weir_spending sum;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		status->limits += policy->spec[i].used;
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++)
		status->syn_rules += policy->syn_rule[i].used;
	for (uint32_t i = 1; i < WEIR_DNS_RULES; i++)
		status->dns_rules += policy->dns_rule[i].used;
	status->drop_rules = rules_count(policy, now_ns());
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_budget_spec *spec = &policy->budget_spec[i];

		if (!spec->limit.used || maps_read_budget(maps, i, &state, &sum))
			continue;
		status->budgets[status->budget_count++] = (struct status_budget){
			spec->name, budget_used(&policy->budget[i], &state),
			budget_is_pressed(&state),
		};
	}
}

static void read_entries(struct status *status)
{
	uint64_t now = now_ns();

	entries_expire(&status->settings.allow, now);
	entries_expire(&status->settings.block, now);
	for (size_t i = 0; i < status->settings.block.count; i++) {
		const struct weir_entry *value = &status->settings.block.at[i].value;

		status->bans += value->until_ns != 0;
		status->daemon_bans += value->until_ns && value->origin == WEIR_BY_DAEMON;
	}
}

static void read_daemon(const struct maps *maps, struct status *status)
{
	uint64_t last = maps->hints->tally.daemon_ns;

	status->daemon_age_s = last ? (double)(now_ns() - last) / NS_PER_S : -1;
	status->daemon_mode = daemon_mode();
}

static bool daemon_is_up(const struct status *status)
{
	return status->daemon_age_s >= 0 && status->daemon_age_s < DAEMON_SILENT_S;
}

static int read_known(const struct maps *maps, struct status *status, char *err)
{
	struct known known;
	int rc = known_open(maps, &known, err);

	if (rc)
		return rc;
	known_count(&known, &status->known);
	known_close(&known);
	return 0;
}

static int read_status(const struct maps *maps, struct status *status, char *err)
{
	int rc;

	*status = (struct status){ .devices = json_array() };
	rc = maps_read_settings(maps, &status->settings, err);
	if (rc)
		return rc;
	rc = maps_read_common(maps, &status->common);
	if (rc)
		return fail(err, -rc, "cannot read what budgets share: %s", strerror(-rc));
	rc = read_known(maps, status, err);
	if (rc)
		return rc;
	rc = lists_read(&status->lists, &status->list_count, err);
	if (rc)
		return rc;
	read_devices(maps, status);
	read_policy(maps, status);
	read_entries(status);
	read_daemon(maps, status);
	maps_each_bucket(maps, count_bucket, &status->sources);
	return 0;
}

static void free_status(struct status *status)
{
	json_decref(status->devices);
	settings_free(&status->settings);
	free(status->lists);
}

/* ---- text ---- */

/* A line with a label; what does not fit goes on below, behind the labels. */
static void print_labelled(enum colour colour, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void print_labelled(enum colour colour, const char *label, const char *format, ...)
{
	char text[LINE_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%-*s ", LABEL_WIDTH, label);
	colour_begin(stdout, colour);
	print_wrapped(stdout, text, LABEL_WIDTH + 1, LABEL_WIDTH + 1);
	colour_end(stdout, colour);
}

/* An expired try is seen only where the process that ends it was killed. */
static void print_try(const json_t *device)
{
	json_t *try = json_object_get(device, "try");
	const char *then = json_string_value(json_object_get(try, "then"));
	char left[FORMAT_LEN];

	if (!json_is_object(try))
		return;
	format_left(json_integer_value(json_object_get(try, "seconds_left")), left);
	if (json_integer_value(json_object_get(try, "seconds_left")))
		print_labelled(COLOUR_YELLOW, "", "on trial for %s more, then %s; `weir confirm` keeps it",
			       left, then);
	else
		print_labelled(COLOUR_RED, "", "its trial is over, and it acts as if %s; attach or "
			       "detach it", then);
}

/* "", or ", for 2d3h": the clock of the day may have been set back meanwhile. */
static void format_since(const json_t *device, char text[FORMAT_LEN + 8])
{
	int64_t seconds = time(NULL) - json_integer_value(json_object_get(device, "since"));
	char duration[FORMAT_LEN];

	format_left(seconds > 0 ? seconds : 0, duration);
	snprintf(text, FORMAT_LEN + 8, " for %s", duration);
}

static void print_device(json_t *device)
{
	const char *name = json_string_value(json_object_get(device, "dev"));
	bool monitor = json_is_true(json_object_get(device, "monitor"));
	char since[FORMAT_LEN + 8];

	format_since(device, since);
	if (json_is_true(json_object_get(device, "attached")))
		print_labelled(COLOUR_NONE, name, "attached%s, %s mode%s%s", since,
			       json_string_value(json_object_get(device, "mode")),
			       json_is_true(json_object_get(device, "dispatcher")) ?
				       ", with other programs" : "",
			       monitor ? ", monitor: nothing is dropped" : "");
	else
		print_labelled(COLOUR_RED, name,
			       "NOT attached any more: the interface or the program was removed");
	print_try(device);
}

static void print_daemon(const struct status *status)
{
	char duration[FORMAT_LEN];

	if (status->daemon_age_s < 0) {
		print_labelled(COLOUR_NONE, "daemon", "never ran; all else works without it");
		return;
	}
	format_left(status->daemon_age_s, duration);
	if (!daemon_is_up(status))
		print_labelled(COLOUR_YELLOW, "daemon", "silent for %s; limits, lists and bans are in "
			       "force without it", duration);
	else if (status->daemon_mode)
		print_labelled(COLOUR_NONE, "daemon", "up, mode %s", status->daemon_mode);
	else
		print_labelled(COLOUR_NONE, "daemon", "up");
}

/* Appends to @line, a list with commas. */
static void add_item(char line[LINE_LEN], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add_item(char line[LINE_LEN], const char *format, ...)
{
	size_t used = strlen(line);
	va_list args;

	if (used)
		used += snprintf(line + used, LINE_LEN - used, ", ");
	va_start(args, format);
	if (used < LINE_LEN)
		vsnprintf(line + used, LINE_LEN - used, format, args);
	va_end(args);
}

static void print_budgets(const struct status *status)
{
	enum colour colour = COLOUR_NONE;
	char line[LINE_LEN] = "";

	for (size_t i = 0; i < status->budget_count; i++) {
		const struct status_budget *budget = &status->budgets[i];

		add_item(line, "%s %.0f%% used%s", budget->name, 100 * budget->used,
			 budget->pressed ? ", TURNING AWAY" : "");
		if (budget->pressed)
			colour = COLOUR_RED;
	}
	print_labelled(colour, "budgets", "%s", *line ? line : "none");
}

static void print_drop_rules(const struct rule_tally *tally)
{
	char by_daemon[40] = "";

	if (tally->daemons)
		snprintf(by_daemon, sizeof(by_daemon), ", %u %s the daemon's", tally->daemons,
			 tally->daemons == 1 ? "is" : "are");
	if (tally->rules)
		print_labelled(COLOUR_NONE, "drop rules", "%u; %u only count%s, %u end%s by %s%s",
			       tally->rules, tally->monitor, tally->monitor == 1 ? "s" : "",
			       tally->temporary, tally->temporary == 1 ? "s" : "",
			       tally->temporary == 1 ? "itself" : "themselves", by_daemon);
	else
		print_labelled(COLOUR_NONE, "drop rules", "none");
}

static void print_lists(const struct status *status)
{
	char line[LINE_LEN] = "", count[FORMAT_LEN];

	for (size_t i = 0; i < status->list_count; i++) {
		const struct weir_list *list = &status->lists[i].current;

		add_item(line, "%s with %s prefixes", status->lists[i].name,
			 table_grouped(list->v4_count + list->v6_count, count));
	}
	print_labelled(COLOUR_NONE, "lists", "%s", *line ? line : "none");
}

static void print_entries(const struct status *status)
{
	char block[FORMAT_LEN], bans[FORMAT_LEN], daemon[FORMAT_LEN], allow[FORMAT_LEN];

	print_labelled(COLOUR_NONE, "block", "%s permanent, %s for a time (%s by the daemon)",
		       table_grouped(status->settings.block.count - status->bans, block),
		       table_grouped(status->bans, bans),
		       table_grouped(status->daemon_bans, daemon));
	print_labelled(COLOUR_NONE, "allow", "%s", table_grouped(status->settings.allow.count, allow));
}

static void print_known(const struct status *status)
{
	char of_long[FORMAT_LEN], proven[FORMAT_LEN], seen[FORMAT_LEN];

	print_labelled(COLOUR_NONE, "known sources", "%s proven for long, %s proven, %s only seen",
		       table_grouped(status->known.of_tier[WEIR_LONG], of_long),
		       table_grouped(status->known.of_tier[WEIR_PROVEN], proven),
		       table_grouped(status->known.of_tier[WEIR_SEEN], seen));
}

static void print_services(const char *label, uint32_t rules)
{
	if (rules)
		print_labelled(COLOUR_NONE, label, "%u service%s protected", rules,
			       rules > 1 ? "s" : "");
	else
		print_labelled(COLOUR_NONE, label, "off");
}

static void print_losses(const struct status *status)
{
	char line[LOSS_COMPLAINT + 16];

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++) {
		if (*status->lost[slot])
			print_wrapped(stdout, status->lost[slot], 0, 0);
		if (!*status->alarms[slot])
			continue;
		snprintf(line, sizeof(line), "ALARM: %s", status->alarms[slot]);
		colour_begin(stdout, COLOUR_RED);
		print_wrapped(stdout, line, 0, 4);
		colour_end(stdout, COLOUR_RED);
	}
}

static void print_status(const struct call *call, const struct status *status)
{
	char sources[FORMAT_LEN];
	json_t *device;
	size_t i;

	print_labelled(COLOUR_NONE, "weir", "version " WEIR_VERSION ", ABI %d", WEIR_ABI);
	if (!json_array_size(status->devices))
		print_labelled(COLOUR_NONE, "interfaces", "attached to no interface");
	json_array_foreach(status->devices, i, device)
		print_device(device);
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (*status->remarks[slot])
			print_wrapped(stdout, status->remarks[slot], 0, 0);
	print_losses(status);
	print_daemon(status);
	print_labelled(COLOUR_NONE, "limits", "%u; sources near or over one: %s", status->limits,
		       table_grouped(status->sources, sources));
	print_budgets(status);
	print_drop_rules(&status->drop_rules);
	print_lists(status);
	print_entries(status);
	print_services("SYN cookies", status->syn_rules);
	print_services("DNS", status->dns_rules);
	print_known(status);
	if (known_is_full(&status->common)) {
		colour_begin(stdout, COLOUR_RED);
		print_wrapped(stdout, "ALARM: " KNOWN_FULL_TEXT, 0, 4);
		colour_end(stdout, COLOUR_RED);
	}
	if (!status->limits)
		remark(call, "no limits are set: traffic is counted and passes");
}

/* ---- JSON ---- */

static json_t *budgets_json(const struct status *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < status->budget_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:f, s:b}", "name",
						      status->budgets[i].name, "used",
						      status->budgets[i].used, "pressed",
						      status->budgets[i].pressed));
	return list;
}

static json_t *lists_json(const struct status *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < status->list_count; i++) {
		const struct weir_list *current = &status->lists[i].current;

		json_array_append_new(list, json_pack("{s:s, s:I}", "list", status->lists[i].name,
						      "prefixes", (json_int_t)(current->v4_count +
									       current->v6_count)));
	}
	return list;
}

static json_t *daemon_json(const struct status *status)
{
	return json_pack("{s:b, s:s?, s:f}", "up", daemon_is_up(status), "mode",
			 daemon_is_up(status) ? status->daemon_mode : NULL, "seconds_since_loop",
			 status->daemon_age_s);
}

static json_t *known_json(const struct status *status)
{
	return json_pack("{s:I, s:I, s:I}", "long",
			 (json_int_t)status->known.of_tier[WEIR_LONG], "proven",
			 (json_int_t)status->known.of_tier[WEIR_PROVEN], "seen",
			 (json_int_t)status->known.of_tier[WEIR_SEEN]);
}

static json_t *drop_rules_json(const struct rule_tally *tally)
{
	return json_pack("{s:i, s:i, s:i, s:i}", "count", tally->rules, "monitor", tally->monitor,
			 "temporary", tally->temporary, "daemon", tally->daemons);
}

static json_t *status_json(const struct status *status)
{
	return json_pack("{s:s, s:i, s:O, s:o, s:i, s:o, s:o, s:o, s:I, s:I, s:I, s:i, s:i, s:o, s:I, s:b}",
			 "version", WEIR_VERSION, "abi", WEIR_ABI, "devices", status->devices,
			 "daemon", daemon_json(status), "limits", status->limits, "budgets",
			 budgets_json(status), "drop_rules", drop_rules_json(&status->drop_rules),
			 "lists", lists_json(status), "allow",
			 (json_int_t)status->settings.allow.count, "block",
			 (json_int_t)status->settings.block.count, "bans", (json_int_t)status->bans,
			 "syn_rules", status->syn_rules, "dns_rules", status->dns_rules, "known",
			 known_json(status), "sources", (json_int_t)status->sources, "known_full",
			 known_is_full(&status->common));
}

enum outcome cmd_show_status(const struct call *call)
{
	struct status status;
	char err[ERR_LEN];
	struct maps maps;
	json_t *root = NULL;
	int rc;

	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	rc = read_status(&maps, &status, err);
	maps_close(&maps);
	if (!rc && !call->json)
		print_status(call, &status);
	if (!rc)
		root = status_json(&status);
	free_status(&status);
	return rc ? failed(call, "%s", err) : print_json(call, root);
}
