// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a list: the first chooses format and options, the others are the
 * text. What is read must come back the same from a plain list of it.
 */
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/listfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void note_progress(void *ctx, size_t done, size_t total)
{
	size_t *last = ctx;

	must(done >= *last && done <= total);
	*last = done;
}

static bool same(const struct prefixes *a, const struct prefixes *b)
{
	if (a->v4_count != b->v4_count || a->v6_count != b->v6_count)
		return false;
	for (size_t i = 0; i < prefixes_count(a); i++) {
		struct prefix x = prefixes_at(a, i), y = prefixes_at(b, i);

		if (prefix_cmp(&x, &y))
			return false;
	}
	return true;
}

/* Text for the operator: some, and none that a terminal would obey. */
static void check_message(const char *err)
{
	size_t len = strnlen(err, ERR_LEN);

	must(len > 0 && len < ERR_LEN);
	for (size_t i = 0; i < len; i++)
		must(err[i] >= ' ' && err[i] <= '~');
}

static void check_set(const struct prefixes *set, const struct list_report *report)
{
	must(report->v4 == set->v4_count && report->v6 == set->v6_count);
	must(report->entries >= report->ranges + report->host_bits);
	must(!report->host_bits == !report->host_bits_line);
	must(report->ranges || report->entries == prefixes_count(set) + report->duplicates);
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		must(!prefix_mask(&prefix));
		must(prefix_is_v4(&prefix) == (i < set->v4_count));
		must(prefixes_has(set, &prefix));
	}
}

static void check_again(const struct prefixes *set)
{
	char *text = malloc(prefixes_count(set) * PREFIX_STRLEN + 1), *at = text;
	struct prefixes again = { 0 };
	struct list_report report;
	char err[ERR_LEN];

	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		if (i & 1)
			prefix_format(&prefix, at);
		else
			prefix_format_short(&prefix, at);
		at += strlen(at);
		*at++ = '\n';
	}
	must(!list_read("again", text, at - text, NULL, &again, &report, err));
	must(report.format == LIST_PLAIN && !report.duplicates && !report.host_bits);
	must(same(set, &again));
	free(text);
	prefixes_free(&again);
}

/* Merged, every prefix must still be held, and the merging must be complete. */
static void check_merged(const struct prefixes *set)
{
	struct prefixes merged = { 0 };

	must(!prefixes_append(&merged, set) && !prefixes_merge(&merged));
	must(prefixes_are_disjoint(&merged) && prefixes_count(&merged) <= prefixes_count(set));
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		must(prefixes_cover(&merged, &prefix));
	}
	prefixes_free(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list_options options = { .progress = note_progress };
	struct prefixes set = { 0 };
	struct list_report report;
	char err[ERR_LEN] = "";
	size_t progress = 0;

	if (!size)
		return 0;
	options.format = data[0] % LIST_FORMATS;
	options.allow_empty = data[0] & 0x40;
	options.skip_bad = data[0] & 0x80;
	options.ctx = &progress;
	if (list_read("fuzz", (const char *)data + 1, size - 1, &options, &set, &report, err)) {
		check_message(err);
		must(!prefixes_count(&set));
	} else {
		must(progress == size - 1);
		must(options.skip_bad || !report.bad);
		must(options.allow_empty || report.entries);
		if (report.bad)
			check_message(err);
		check_set(&set, &report);
		if (report.entries)
			check_again(&set);
		check_merged(&set);
	}
	prefixes_free(&set);
	return 0;
}
