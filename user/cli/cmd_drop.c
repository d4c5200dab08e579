// SPDX-License-Identifier: GPL-2.0-only
/* weir drop: rules that drop packets by what they look like. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/drop_rules.h"
#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/model/words.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

/* ---- add, del, flush ---- */

enum outcome edit_drop_add(struct edit *edit)
{
	struct drop_words w;
	int rc;

	if (parse_drop_words(&edit->words, &w, edit->err))
		return USAGE;
	if (!w.force && !w.spec.monitor && rule_is_broad(&w.spec)) {
		fail(edit->err, EPERM, "drop rule %s: it says hardly more than a protocol and a "
		     "destination, and would drop what customers send, too; add a condition (sport, length, "
		     "payload ...), try it with `monitor`, or say `force` if you mean it",
		     w.spec.name);
		return FAILED;
	}
	w.spec.until_ns = w.ttl_ns ? edit->now_ns + w.ttl_ns : 0;
	w.spec.added_unix_s = edit->now_unix_s;
	edit->force = w.force;
	rc = rule_set(edit->settings->policy, &w.spec, edit->err);
	edit->changed |= rc > 0;
	snprintf(edit->said, sizeof(edit->said), "drop rule %s: %s", w.spec.name,
		 w.spec.monitor ? "what matches is counted, and nothing is dropped" :
		 w.spec.rate_packets || w.spec.rate_bits_per_s ?
		 "what exceeds its rate is dropped" : "what matches is dropped");
	return rc < 0 ? FAILED : DONE;
}

enum outcome edit_drop_del(struct edit *edit)
{
	const char *name = take_value(&edit->words);
	uint32_t index;

	if (!name) {
		fail(edit->err, EINVAL, "drop del needs a name");
		return USAGE;
	}
	if (no_more_words(&edit->words, edit->err))
		return USAGE;
	index = rule_find(edit->settings->policy, name);
	if (index == NO_RULE) {
		fail(edit->err, ENOENT, "there is no drop rule %.40s; `weir drop show` lists them",
		     name);
		return FAILED;
	}
	rule_remove(edit->settings->policy, index);
	edit->changed = true;
	snprintf(edit->said, sizeof(edit->said), "drop rule removed: %.31s", name);
	return DONE;
}

enum outcome edit_drop_flush(struct edit *edit)
{
	uint32_t removed = 0;

	if (no_more_words(&edit->words, edit->err))
		return USAGE;
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		if (!rule_is_used(&edit->settings->policy->rule_spec[i]))
			continue;
		rule_remove(edit->settings->policy, i);
		removed++;
	}
	edit->changed = removed > 0;
	snprintf(edit->said, sizeof(edit->said), "%u drop rule%s removed", removed,
		 removed == 1 ? "" : "s");
	return DONE;
}

/* ---- show ---- */

static uint64_t age_of(const struct weir_rule_spec *spec, uint64_t now_unix_s)
{
	return now_unix_s > spec->added_unix_s ? now_unix_s - spec->added_unix_s : 0;
}

static const char *const spares[] = { "known", "proven", "none" };

static json_t *rule_json(const struct weir_rule_spec *spec, const struct weir_rule_count *sum,
			 uint64_t now)
{
	char match[RULE_TEXT];
	json_t *json;

	format_rule_match(spec, match);
	json = json_pack("{s:s, s:s, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "name", spec->name, "match", match, "monitor", spec->monitor,
			 "spare", spares[spec->spare % 3], "origin", origin_name(spec->origin),
			 "rate_packets", (json_int_t)spec->rate_packets,
			 "per_seconds", (json_int_t)spec->per_s,
			 "rate_bits_per_s", (json_int_t)spec->rate_bits_per_s,
			 "packets", (json_int_t)sum->packets, "bytes", (json_int_t)sum->bytes,
			 "passed", (json_int_t)sum->passed, "spared", (json_int_t)sum->spared,
			 "added", (json_int_t)spec->added_unix_s,
			 "age_seconds", (json_int_t)age_of(spec, time(NULL)));
	if (spec->until_ns)
		json_object_set_new(json, "ttl_seconds",
				    json_integer(seconds_until(spec->until_ns, now)));
	return json;
}

static const struct column rule_columns[] = {
	{ "NAME", 13 }, { "DROPPED", 14, true }, { "BYTES", 16, true }, { "SPARED", 12, true },
	{ "AGE", 8, true }, { "LEFT", 8, true }, { 0 },
};

/* Ages are for reading: no more than two figures and a unit. */
static const char *format_age(uint64_t seconds, char text[FORMAT_LEN])
{
	static const struct { uint64_t seconds; char unit; } units[] = {
		{ 172800, 'd' }, { 7200, 'h' }, { 120, 'm' },
	};
	static const uint64_t each[] = { 86400, 3600, 60 };

	for (size_t i = 0; i < sizeof(each) / sizeof(*each); i++) {
		if (seconds < units[i].seconds)
			continue;
		snprintf(text, FORMAT_LEN, "%llu%c", (unsigned long long)(seconds / each[i]),
			 units[i].unit);
		return text;
	}
	snprintf(text, FORMAT_LEN, "%llus", (unsigned long long)seconds);
	return text;
}

static void print_rule(const struct weir_rule_spec *spec, const struct weir_rule_count *sum,
		       uint64_t now)
{
	char packets[FORMAT_LEN], bytes[FORMAT_LEN], spared[FORMAT_LEN], age[FORMAT_LEN];
	char left[FORMAT_LEN] = "-", match[RULE_TEXT], action[RULE_TEXT];

	format_rule_match(spec, match);
	format_rule_action(spec, action);
	if (spec->until_ns)
		format_age(seconds_until(spec->until_ns, now), left);
	table_row(rule_columns, spec->name, table_count(sum->packets, packets),
		  table_count(sum->bytes, bytes), table_count(sum->spared, spared),
		  format_age(age_of(spec, time(NULL)), age), left);
	printf("  ");
	print_wrapped(stdout, match, 2, 2);
	if (*action) {
		printf("  ");
		print_wrapped(stdout, action, 2, 2);
	}
	if (spec->monitor)
		printf("  monitor: \"dropped\" is what would be\n");
	if (spec->origin == WEIR_BY_DAEMON)
		printf("  by the daemon; `weir ban-log` says why\n");
}

enum outcome cmd_drop_show(const struct call *call)
{
	struct settings settings;
	uint64_t now = now_ns();
	char err[ERR_LEN];
	struct maps maps;
	json_t *list;
	bool any = false;

	if (maps_open(&maps, MAPS_READ, err) || maps_read_settings(&maps, &settings, err))
		return failed(call, "%s", err);
	list = json_array();
	rules_expire(settings.policy, now);
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &settings.policy->rule_spec[i];
		struct weir_rule_count sum;

		if (!rule_is_used(spec) || maps_read_rule(&maps, i, &sum))
			continue;
		if (call->json)
			json_array_append_new(list, rule_json(spec, &sum, now));
		else if (!any)
			table_head(rule_columns);
		any = true;
		if (!call->json)
			print_rule(spec, &sum, now);
	}
	settings_free(&settings);
	maps_close(&maps);
	if (!any && !call->json)
		remark(call, "no drop rules");
	return print_json(call, json_pack("{s:o}", "rules", list));
}
