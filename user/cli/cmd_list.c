// SPDX-License-Identifier: GPL-2.0-only
/* weir list: blocklists from files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/list_words.h"
#include "user/cli/output.h"
#include "user/cli/ssh_guard.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/table.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/list_guard.h"
#include "user/state/list_keep.h"
#include "user/state/list_load.h"
#include "user/state/lists.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"

#define PATH_SHOWN	76	/* columns of a path in the table */

/* ---- progress ---- */

struct progress {
	const char *name;
	uint64_t started_ns, said_ns;
	bool wanted;
};

/* Only on a terminal, and only when it takes longer than a second. */
static void show_progress(void *ctx, size_t done, size_t total)
{
	struct progress *progress = ctx;
	uint64_t now = now_ns();

	if (!progress->wanted || now - progress->started_ns < NS_PER_S ||
	    (now - progress->said_ns < 100 * NS_PER_MS && done < total))
		return;
	progress->said_ns = now;
	fprintf(stderr, "\rreading ");
	text_print(stderr, progress->name);
	fprintf(stderr, ": %zu%%%s", total ? done * 100 / total : 100, done >= total ? "\n" : "");
}

/* ---- load ---- */

static void report_load(const struct call *call, const struct list_change *change,
			const struct list_report *report, double seconds)
{
	char note[ERR_LEN];

	tell(call, "list %s: %zu prefixes (%zu IPv4, %zu IPv6) from %s, format %s, in %.2f s",
	       change->name, prefixes_count(&change->set), change->set.v4_count,
	       change->set.v6_count, change->file, list_format_name(report->format), seconds);
	if (report->bad)
		remark(call, "list %s: %zu lines hold no prefix and were skipped", change->name,
		       report->bad);
	if (report->duplicates)
		remark(call, "list %s: %zu duplicates dropped", change->name, report->duplicates);
	if (report->host_bits)
		remark(call, "list %s: %zu entries had bits set beyond their length, the first in line "
		       "%zu; the bits were cleared", change->name, report->host_bits,
		       report->host_bits_line);
	for (size_t i = 0; guard_note(&change->notes, i, note); i++)
		remark(call, "list %s: %s", change->name, note);
	if (report->declared && report->declared != report->entries)
		remark(call, "list %s: the file declares %zu entries, but has %zu",
		       change->name, report->declared, report->entries);
}

static int read_file(const struct call *call, struct list_change *change,
		     struct list_report *report, char *err)
{
	struct progress progress = { .name = change->file, .started_ns = now_ns(),
				     .wanted = isatty(STDERR_FILENO) };
	struct list_progress shown = { show_progress, &progress };

	return list_read_file(change, call->quiet ? NULL : &shown, report, err);
}

/* 1: it is in force now; 0: it was already; -errno with @err. */
static int put_in_force(struct maps *maps, struct list_change *change, char *err)
{
	struct settings settings;
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	rc = plan_list_load(change, &settings, err);
	if (rc > 0 && !(change->force & (WEIR_GUARD_ALL | WEIR_GUARD_SSH)))
		rc = ssh_guard_list(maps, &settings, &settings, change->name, &change->set, err) ? : 1;
	settings_free(&settings);
	return rc > 0 ? apply_list_change(maps, change, err) ? : 1 : rc;
}

static void keep(const struct call *call, const struct list_change *change)
{
	char err[ERR_LEN];

	if (lists_keep(change, 1, err))
		warn(call, "%s", err);
}

enum outcome cmd_list_load(const struct call *call)
{
	struct list_change change;
	struct list_report report = { 0 };
	struct words words = call->words;
	uint64_t started = now_ns();
	bool attached = true;
	char err[ERR_LEN];
	struct maps maps;
	int rc;

	if (parse_list_load(&words, &change, err))
		return usage(call, "%s", err);
	rc = read_file(call, &change, &report, err);
	if (!rc)
		rc = open_maps(&maps, MAPS_CREATE, err);
	if (!rc) {
		rc = put_in_force(&maps, &change, err);
		attached = devices_attached(&maps);
		close_maps(&maps, rc >= 0);
	}
	if (rc >= 0)
		keep(call, &change);
	if (rc > 0)
		report_load(call, &change, &report, (now_ns() - started) / 1e9);
	else if (!rc)
		tell(call, "list %s: unchanged", change.name);
	prefixes_free(&change.set);
	if (rc < 0)
		return failed(call, "%s", err);
	if (!attached)
		remark_unattached(call);
	return DONE;
}

/* ---- rollback, del ---- */

static int guard_rollback(const struct maps *maps, const char *name, char *err)
{
	struct prefixes previous = { 0 };
	struct settings settings;
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	rc = list_read_set(name, "previous", &previous, err);
	if (!rc)
		rc = ssh_guard_list(maps, &settings, &settings, name, &previous, err);
	prefixes_free(&previous);
	settings_free(&settings);
	return rc;
}

static enum outcome change_list(const struct call *call, bool rollback)
{
	static const struct word rollback_words[] = {
		WORD_BIT("force", struct list_change, force, WEIR_GUARD_ALL), { 0 },
	};
	static const struct word del_words[] = { { 0 } };
	struct list_change change = { .what = rollback ? LIST_ROLLBACK : LIST_DEL };
	struct words words = call->words;
	char err[ERR_LEN];
	const char *name = change.name;
	struct weir_list head = { 0 };
	struct list_info *infos;
	struct maps maps;
	size_t count;
	int rc;

	if (parse_list_name(&words, &change, err) ||
	    take_words(&words, rollback ? rollback_words : del_words, &change, err))
		return usage(call, "%s", err);
	if (open_maps(&maps, MAPS_WRITE, err))
		return failed(call, "%s", err);
	rc = lists_read(&infos, &count, err);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(infos[i].name, name))
			head = rollback ? infos[i].previous : infos[i].current;
	free(infos);
	if (!rc && !head.magic)
		rc = fail(err, ENOENT, rollback ? "list %s has no previous generation" :
						  "there is no list %s; `weir list show` lists them",
			  name);
	if (!rc && rollback && !change.force)
		rc = guard_rollback(&maps, name, err);
	if (!rc)
		rc = apply_list_change(&maps, &change, err);
	maps_close(&maps);
	if (rc)
		return failed(call, "%s", err);
	keep(call, &change);
	if (rollback)
		tell(call, "list %s: back to generation %llu with %llu prefixes", name,
		       (unsigned long long)head.generation,
		       (unsigned long long)(head.v4_count + head.v6_count));
	else
		tell(call, "list %s: removed", name);
	return DONE;
}

enum outcome cmd_list_rollback(const struct call *call)
{
	return change_list(call, true);
}

enum outcome cmd_list_del(const struct call *call)
{
	return change_list(call, false);
}

/* ---- show, diff ---- */

static json_t *list_json(const struct list_info *info)
{
	const struct weir_list *head = &info->current;
	json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "list", info->name, "ipv4",
				 (json_int_t)head->v4_count, "ipv6", (json_int_t)head->v6_count,
				 "generation", (json_int_t)head->generation, "loaded",
				 (json_int_t)head->loaded_unix_s, "file", head->file, "format",
				 list_format_name(head->format));

	if (info->previous.magic)
		json_object_set_new(json, "previous_generation",
				    json_integer(info->previous.generation));
	return json;
}

static const struct column list_columns[] = {
	{ "LIST", 16 }, { "IPV4", 9, true }, { "IPV6", 9, true }, { "GEN", 5, true },
	{ "LOADED", 16 }, { "FILE", 0 }, { 0 },
};

static void print_list(const struct list_info *info)
{
	const struct weir_list *head = &info->current;
	char v4[FORMAT_LEN], v6[FORMAT_LEN], generation[FORMAT_LEN], when[32], file[PATH_SHOWN + 1];
	size_t length = strlen(head->file);
	time_t loaded = head->loaded_unix_s;
	struct tm tm;

	localtime_r(&loaded, &tm);
	strftime(when, sizeof(when), loaded ? "%Y-%m-%d %H:%M" : "never", &tm);
	if (length <= PATH_SHOWN)
		strcpy(file, head->file);
	else	/* the end of a path distinguishes it better than its start */
		snprintf(file, sizeof(file), "...%s", head->file + length - PATH_SHOWN + 3);
	table_row(list_columns, info->name, table_count(head->v4_count, v4),
		  table_count(head->v6_count, v6), table_count(head->generation, generation), when,
		  file);
}

enum outcome cmd_list_show(const struct call *call)
{
	struct list_info *infos;
	json_t *lists;
	char err[ERR_LEN];
	struct maps maps;
	size_t count;

	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	maps_close(&maps);
	if (lists_read(&infos, &count, err))
		return failed(call, "%s", err);
	lists = json_array();
	if (!call->json && count)
		table_head(list_columns);
	for (size_t i = 0; i < count; i++) {
		if (call->json)
			json_array_append_new(lists, list_json(&infos[i]));
		else
			print_list(&infos[i]);
	}
	if (!call->json && !count)
		remark(call, "no lists are loaded");
	free(infos);
	return print_json(call, json_pack("{s:o}", "lists", lists));
}

static json_t *set_json(const struct prefixes *set, const char *sign, bool print)
{
	char text[PREFIX_STRLEN];
	json_t *array = json_array();

	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		prefix_format(&prefix, text);
		if (print)
			printf("%s%s\n", sign, text);
		else
			json_array_append_new(array, json_string(text));
	}
	return array;
}

static enum outcome print_diff(const struct call *call, const struct prefixes *from,
			       const struct prefixes *to)
{
	struct prefixes added = { 0 }, removed = { 0 };
	enum outcome outcome = FAILED;
	json_t *plus, *minus;

	if (prefixes_diff(from, to, &added, &removed)) {
		failed(call, "out of memory");
	} else {
		minus = set_json(&removed, "-", !call->json);
		plus = set_json(&added, "+", !call->json);
		outcome = print_json(call, json_pack("{s:o, s:o}", "removed", minus, "added", plus));
		remark(call, "%zu added, %zu removed", prefixes_count(&added),
		       prefixes_count(&removed));
	}
	prefixes_free(&added);
	prefixes_free(&removed);
	return outcome;
}

/* The changes from the previous generation to the current one, or from that to a file. */
enum outcome cmd_list_diff(const struct call *call)
{
	struct list_change change = { 0 };
	struct list_report report;
	struct prefixes from = { 0 }, to = { 0 };
	struct words words = call->words;
	char err[ERR_LEN];
	enum outcome outcome;
	int rc;

	if (parse_list_diff(&words, &change, err))
		return usage(call, "%s", err);
	if (change.file[0]) {
		rc = list_read_file(&change, NULL, &report, err);
		if (!rc)
			rc = list_leave_out(&change, err);
		if (!rc)
			rc = list_read_set(change.name, "current", &from, err);
		to = change.set;
	} else {
		rc = list_read_set(change.name, "previous", &from, err);
		if (!rc)
			rc = list_read_set(change.name, "current", &to, err);
	}
	outcome = rc ? failed(call, "%s", err) : print_diff(call, &from, &to);
	prefixes_free(&from);
	prefixes_free(&to);
	return outcome;
}
