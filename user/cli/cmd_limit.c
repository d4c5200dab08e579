// SPDX-License-Identifier: GPL-2.0-only
/* weir limit: rates for each source. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/limit_words.h"
#include "user/model/policy.h"
#include "user/model/table.h"
#include "user/state/session.h"

#define WORDS_LEN	(2 * FORMAT_LEN + PREFIX_STRLEN)

/* What is in force now, in the words of `save`; @before: 0 where there was no such limit. */
static void say_set(struct edit *edit, const struct limit_words *w, uint32_t before)
{
	const struct weir_policy *policy = edit->settings->policy;
	uint32_t index = policy_find(policy, &w->spec);
	char words[WORDS_LEN];

	format_limit(&policy->spec[index], &policy->limit[index], words, sizeof(words));
	snprintf(edit->said, sizeof(edit->said), "limit %s: %.220s",
		 !before ? "set" : edit->changed ? "changed" : "unchanged", words);
}

/* One number above 32 is one for IPv6; below a /48 somebody rather meant IPv4. */
static void note_per(struct edit *edit, const struct limit_words *w)
{
	if (!w->from && w->pers == 1 && w->per[0] > 32 && w->per[0] < 48)
		snprintf(edit->note, sizeof(edit->note), "per %u is for IPv6, since an IPv4 address has 32 "
			 "bits; IPv4 sources are told apart by all %u bits", w->per[0], w->v4_bits);
}

/* Before a limit is set: how much of the gate it needs depends on how much can arrive. */
static void ask_link(struct edit *edit)
{
	if (edit->fastest_link)
		policy_fit_gate(edit->settings->policy, edit->fastest_link(),
				edit->now_ns << WEIR_TICK_SHIFT);
	edit->fastest_link = NULL;
}

enum outcome edit_limit_set(struct edit *edit)
{
	struct limit_words w;
	uint32_t before;
	int rc;

	if (parse_limit_words(&edit->words, LIMIT_TO_SET, &w, edit->err))
		return USAGE;
	ask_link(edit);
	before = policy_find(edit->settings->policy, &w.spec);
	rc = policy_set(edit->settings->policy, &w.spec, w.v4_bits, w.v6_bits,
			edit->now_ns << WEIR_TICK_SHIFT, edit->err);
	edit->changed |= rc > 0;
	edit->force = w.force;
	if (rc < 0)
		return outcome_of_value(rc);
	say_set(edit, &w, before);
	note_per(edit, &w);
	return DONE;
}

enum outcome edit_limit_del(struct edit *edit)
{
	char class[CLASS_LEN], from[PREFIX_STRLEN] = "any source";
	struct limit_words w;
	struct prefix prefix;
	uint32_t index;

	if (parse_limit_words(&edit->words, LIMIT_TO_FIND, &w, edit->err))
		return USAGE;
	format_class(&w.spec, class);
	if (!strcmp(class, "all"))
		snprintf(class, sizeof(class), "all packets");
	prefix_from_key(&w.spec.from, &prefix);
	if (w.from)
		prefix_format(&prefix, from);
	index = policy_find(edit->settings->policy, &w.spec);
	if (!index) {
		fail(edit->err, ENOENT, "there is no limit for %s from %s; `weir limit show` lists them",
		     class, from);
		return FAILED;
	}
	policy_remove(edit->settings->policy, index);
	edit->changed = true;
	edit->force = w.force;
	snprintf(edit->said, sizeof(edit->said), "limit removed: %.180s from %s", class, from);
	return DONE;
}

enum outcome edit_limit_flush(struct edit *edit)
{
	unsigned int removed = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		if (!edit->settings->policy->spec[i].used)
			continue;
		policy_remove(edit->settings->policy, i);
		removed++;
	}
	edit->changed = removed;
	snprintf(edit->said, sizeof(edit->said), "%u limit%s removed", removed,
		 removed == 1 ? "" : "s");
	return DONE;
}

/* ---- show ---- */

static json_t *limit_json(const struct weir_limit_spec *spec, const struct weir_limit *limit)
{
	char from[PREFIX_STRLEN], class[CLASS_LEN];

	format_end(&spec->from, from);
	format_class(spec, class);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "from", from, "class", class,
			 "rate_packets", (json_int_t)spec->rate_packets, "per_seconds",
			 (json_int_t)spec->per_s, "burst_packets", (json_int_t)spec->burst_packets,
			 "rate_bits_per_s", (json_int_t)spec->rate_bits_per_s, "burst_bits",
			 (json_int_t)spec->burst_bits, "per_v4", limit->v4_bits, "per_v6",
			 limit->v6_bits);
}

static const struct column limit_columns[] = {
	{ "FROM", 18 }, { "CLASS", 27 }, { "RATE", 11, true }, { "BURST", 10, true }, { "PER", 0 },
	{ 0 },
};

/* A second rate is printed in a line below the first. */
static void print_limit(const struct weir_limit_spec *spec, const struct weir_limit *limit)
{
	char from[PREFIX_STRLEN], class[CLASS_LEN], rate[FORMAT_LEN], burst[FORMAT_LEN], per[16];

	format_end(&spec->from, from);
	format_class(spec, class);
	snprintf(per, sizeof(per), "/%u /%u", limit->v4_bits, limit->v6_bits);
	if (spec->rate_packets) {
		format_packet_rate(spec->rate_packets, spec->per_s, rate);
		table_row(limit_columns, from, class, rate,
			  table_count(spec->burst_packets, burst), per);
		from[0] = class[0] = per[0] = '\0';
	}
	if (spec->rate_bits_per_s) {
		format_bits(spec->rate_bits_per_s, rate);
		format_bits(spec->burst_bits, burst);
		table_row(limit_columns, from, class, rate, burst, per);
	}
}

enum outcome cmd_limit_show(const struct call *call)
{
	uint32_t order[WEIR_LIMITS];
	struct settings settings;
	char err[ERR_LEN];
	json_t *list;
	size_t count;

	if (read_settings(&settings, err))
		return failed(call, "%s", err);
	count = limits_in_order(settings.policy, order);
	list = json_array();
	if (!call->json && count)
		table_head(limit_columns);
	for (size_t i = 0; i < count; i++) {
		const struct weir_limit_spec *spec = &settings.policy->spec[order[i]];
		const struct weir_limit *limit = &settings.policy->limit[order[i]];

		if (call->json)
			json_array_append_new(list, limit_json(spec, limit));
		else
			print_limit(spec, limit);
	}
	if (!call->json && !count)
		remark(call, "no limits are set");
	settings_free(&settings);
	return print_json(call, json_pack("{s:o}", "limits", list));
}
