// SPDX-License-Identifier: GPL-2.0-only
/* weir budget: what all sources together may send to a service. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "user/state/budgets.h"
#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/limit_words.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/table.h"
#include "user/model/tiers.h"
#include "user/model/words.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

/* What is in force now, in the words of `save`. */
static void say_set(struct edit *edit, const char *name, bool existed)
{
	const struct weir_policy *policy = edit->settings->policy;
	char words[2 * FORMAT_LEN + PREFIX_STRLEN];

	format_budget(&policy->budget_spec[budget_find(policy, name)].limit, words, sizeof(words));
	snprintf(edit->said, sizeof(edit->said), "budget %.31s %s: %.200s", name,
		 !existed ? "set" : edit->changed ? "changed" : "unchanged", words);
}

enum outcome edit_budget_set(struct edit *edit)
{
	const char *name = take_value(&edit->words);
	struct limit_words w;
	bool existed;
	int rc;

	if (!name) {
		fail(edit->err, EINVAL, "budget set needs a name");
		return USAGE;
	}
	if (check_name("budget", name, edit->err) ||
	    parse_limit_words(&edit->words, BUDGET_TO_SET, &w, edit->err))
		return USAGE;
	edit->force = w.force;
	existed = budget_find(edit->settings->policy, name);
	rc = budget_set(edit->settings->policy, name, &w.spec, edit->err);
	edit->changed |= rc > 0;
	if (rc >= 0)
		say_set(edit, name, existed);
	return outcome_of_value(rc);
}

enum outcome edit_budget_del(struct edit *edit)
{
	const char *name = take_value(&edit->words);
	uint32_t index;

	if (!name) {
		fail(edit->err, EINVAL, "budget del needs a name");
		return USAGE;
	}
	if (no_more_words(&edit->words, edit->err))
		return USAGE;
	index = budget_find(edit->settings->policy, name);
	if (!index) {
		fail(edit->err, ENOENT, "there is no budget %.40s; `weir budget show` lists them",
		     name);
		return FAILED;
	}
	budget_remove(edit->settings->policy, index);
	edit->changed = true;
	snprintf(edit->said, sizeof(edit->said), "budget %s removed", name);
	return DONE;
}

/* ---- show ---- */

/* What became of the packets of each tier under pressure. */
static json_t *tiers_json(const struct weir_spending *sum)
{
	json_t *list = json_array();

	for (int tier = WEIR_LONG; tier >= 0; tier--)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I}", "tier",
						      tier_name(tier), "passed",
						      (json_int_t)sum->let_in[tier], "no_room",
						      (json_int_t)sum->no_room[tier], "over_share",
						      (json_int_t)sum->over_share[tier]));
	return list;
}

static json_t *budget_json(const struct weir_budget_spec *spec, const struct weir_limit *budget,
		    const struct weir_budget_state *state, const struct weir_spending *sum)
{
	struct budget_counts counts = budget_count(sum);
	char to[PREFIX_STRLEN], class[CLASS_LEN];

	format_end(&spec->limit.from, to);
	format_class(&spec->limit, class);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:b, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:I, s:o}",
			 "name", spec->name, "to", to, "class", class,
			 "rate_packets", (json_int_t)spec->limit.rate_packets,
			 "per_seconds", (json_int_t)spec->limit.per_s,
			 "burst_packets", (json_int_t)spec->limit.burst_packets,
			 "rate_bits_per_s", (json_int_t)spec->limit.rate_bits_per_s,
			 "burst_bits", (json_int_t)spec->limit.burst_bits,
			 "used", budget_used(budget, state), "pressed", budget_is_pressed(state),
			 "passed", (json_int_t)sum->passed,
			 "passed_bytes", (json_int_t)sum->passed_bytes,
			 "known", (json_int_t)counts.known,
			 "newcomers", (json_int_t)counts.newcomers,
			 "shed", (json_int_t)counts.shed, "share", (json_int_t)counts.share,
			 "over", (json_int_t)counts.over,
			 "dropped_bytes", (json_int_t)sum->dropped_bytes, "tiers", tiers_json(sum));
}

static const struct column budget_columns[] = {
	{ "NAME", 12 }, { "RATE", 10, true }, { "USED", 5, true }, { "PASSED", 15, true },
	{ "DROPPED", 15, true }, { "FOR", 0 }, { 0 },
};

/* Only tiers that came; the last column is free here. */
static void print_tiers(const struct weir_spending *sum)
{
	char passed[FORMAT_LEN], dropped[FORMAT_LEN];

	for (int tier = WEIR_LONG; tier >= 0; tier--) {
		uint64_t over = sum->no_room[tier] + sum->over_share[tier];

		if (sum->let_in[tier] || over)
			table_row(budget_columns, "  used up:", tier_name(tier), "",
				  table_count(sum->let_in[tier], passed),
				  table_count(over, dropped), tier < WEIR_SEEN ? "newcomers" :
				  "known sources");
	}
}

static void print_budget(const struct weir_budget_spec *spec, const struct weir_limit *budget,
			 const struct weir_budget_state *state, const struct weir_spending *sum)
{
	char rate[FORMAT_LEN], used[16], passed[FORMAT_LEN], dropped[FORMAT_LEN];
	char class[CLASS_LEN], to[PREFIX_STRLEN], what[CLASS_LEN + PREFIX_STRLEN + 8];
	bool both = spec->limit.rate_packets && spec->limit.rate_bits_per_s;
	struct budget_counts counts = budget_count(sum);

	format_end(&spec->limit.from, to);
	format_class(&spec->limit, class);
	snprintf(what, sizeof(what), "%s%s%s", class, strcmp(to, "any") ? " to " : "",
		 strcmp(to, "any") ? to : "");
	if (spec->limit.rate_packets)
		format_packet_rate(spec->limit.rate_packets, spec->limit.per_s, rate);
	else
		format_bits(spec->limit.rate_bits_per_s, rate);
	snprintf(used, sizeof(used), "%.0f%%", 100 * budget_used(budget, state));
	table_row(budget_columns, spec->name, rate, used, table_count(sum->passed, passed),
		  table_count(counts.dropped, dropped), what);
	if (both) {
		format_bits(spec->limit.rate_bits_per_s, rate);
		table_row(budget_columns, "", rate, "", "", "", "");
	}
	if (budget_is_pressed(state))
		print_tiers(sum);
}

enum outcome cmd_budget_show(const struct call *call)
{
	struct weir_budget_state state;
	struct weir_spending sum;
	struct settings settings;
	struct maps maps;
	char err[ERR_LEN];
	json_t *list = json_array();
	bool any = false;

	if (maps_open(&maps, MAPS_READ, err) || maps_read_settings(&maps, &settings, err)) {
		json_decref(list);
		return failed(call, "%s", err);
	}
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_budget_spec *spec = &settings.policy->budget_spec[i];
		const struct weir_limit *budget = &settings.policy->budget[i];

		if (!spec->limit.used || maps_read_budget(&maps, i, &state, &sum))
			continue;
		if (call->json)
			json_array_append_new(list, budget_json(spec, budget, &state, &sum));
		else if (!any)
			table_head(budget_columns);
		any = true;
		if (!call->json)
			print_budget(spec, budget, &state, &sum);
	}
	settings_free(&settings);
	maps_close(&maps);
	if (!any && !call->json)
		remark(call, "no budgets are set");
	return print_json(call, json_pack("{s:o}", "budgets", list));
}
