// SPDX-License-Identifier: GPL-2.0-only
/* weir list: blocklists from files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/state/lists.h"
#include "user/model/table.h"

#define TENFOLD	10
#define PATH_SHOWN	76	/* of a path in a table */
#define FORMATS	"auto, plain, ipsum, ndjson, ipset or nft"

/* ---- reading a file ---- */

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

	if (!progress->wanted || now - progress->started_ns < 1000000000ULL ||
	    (now - progress->said_ns < 100000000ULL && done < total))
		return;
	progress->said_ns = now;
	fprintf(stderr, "\rreading %s: %zu%%%s", progress->name, total ? done * 100 / total : 100,
		done >= total ? "\n" : "");
}

static int read_mapped(const char *name, int fd, size_t size, struct list_change *change,
		       bool quiet, struct list_report *report, char *err)
{
	struct progress progress = { .name = name, .started_ns = now_ns(),
				     .wanted = !quiet && isatty(STDERR_FILENO) };
	struct list_options options = { .format = change->format, .skip_bad = change->skip_bad,
					.progress = show_progress, .ctx = &progress };
	char *data = NULL;
	int rc;

	if (size) {
		data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			return fail(err, errno, "cannot read %s: %s", name, strerror(errno));
	}
	rc = list_read(name, size ? data : "", size, &options, &change->set, report, err);
	if (data)
		munmap(data, size);
	if (!rc && prefixes_sort(&change->set, NULL))
		rc = fail(err, ENOMEM, "out of memory");
	return rc;
}

static int read_file(struct list_change *change, bool quiet, struct list_report *report, char *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, rc;

	if (!realpath(change->file, path))
		return fail(err, errno, "cannot open list file %s: %s", change->file,
			    strerror(errno));
	if (strlen(path) >= sizeof(change->file))
		return fail(err, ENAMETOOLONG, "the path of %s is longer than %zu bytes", path,
			    sizeof(change->file) - 1);
	if (!is_utf8(path))
		return fail(err, EINVAL, "the path of the list file is no UTF-8; rename it");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		rc = fail(err, errno, "cannot open list file %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = fail(err, EINVAL, "%s is not a file", path);
	else
		rc = read_mapped(change->file, fd, st.st_size, change, quiet, report, err);
	if (fd >= 0)
		close(fd);
	snprintf(change->file, sizeof(change->file), "%s", path);
	return rc;
}

/* ---- guards ---- */

static int guard_size(const struct list_change *change, size_t was, char *err)
{
	size_t is = prefixes_count(&change->set);

	if (!was || change->force || (is < was * TENFOLD && is * TENFOLD > was))
		return 0;
	return fail(err, EPERM, "list %s had %zu prefixes, %s has %zu: a tenfold change at once is "
		    "most often a broken download; say `force` if it is not", change->name, was,
		    change->file, is);
}

/* The guards of `block add`, asked of every prefix in the list that covers @inner. */
static int guard_cover(const struct list_change *change, const struct prefix *inner,
		       const struct settings *settings, const struct prefixes *own, char *err)
{
	int shortest = prefix_is_v4(inner) ? 96 : 0, rc = 0;
	char why[ERR_LEN];

	for (int length = inner->length; length >= shortest && !rc; length--) {
		struct prefix prefix = { .hi = inner->hi, .lo = inner->lo, .length = length };

		prefix_mask(&prefix);
		if (!prefixes_has(&change->set, &prefix))
			continue;
		rc = guard_prefix(&prefix, settings, own, why);
		if (rc)
			fail(err, -rc, "list %s: %.200s", change->name, why);
	}
	return rc;
}

static int guard_entries(const struct list_change *change, const struct settings *settings, char *err)
{
	struct prefix v4 = prefix_v4(0, 0), v6 = { 0 };
	struct prefixes own = { 0 };
	int rc = own_addresses(&own);

	if (rc)
		return fail(err, -rc, "cannot read this host's addresses: %s", strerror(-rc));
	rc = guard_cover(change, &v4, settings, &own, err);
	if (!rc)
		rc = guard_cover(change, &v6, settings, &own, err);
	for (size_t i = 0; i < prefixes_count(&own) && !rc; i++) {
		struct prefix address = prefixes_at(&own, i);

		rc = guard_cover(change, &address, settings, &own, err);
	}
	for (size_t i = 0; i < settings->allow.count && !rc; i++)
		rc = guard_cover(change, &settings->allow.at[i].prefix, settings, &own, err);
	prefixes_free(&own);
	return rc;
}

static bool same_set(const char *name, const struct prefixes *set)
{
	struct prefixes current = { 0 };
	char ignored[ERR_LEN];
	bool same;

	if (list_read_set(name, "current", &current, ignored))
		return false;
	same = current.v4_count == set->v4_count && current.v6_count == set->v6_count &&
	       (!set->v4_count ||
		!memcmp(current.v4, set->v4, set->v4_count * sizeof(*set->v4)));
	for (size_t i = 0; i < set->v6_count && same; i++)
		same = !prefix_cmp(&current.v6[i], &set->v6[i]);
	prefixes_free(&current);
	return same;
}

/* ---- load ---- */

static int set_file(void *into, const char *value, char *err)
{
	struct list_change *change = into;

	if (!*value || strlen(value) >= sizeof(change->file))
		return fail(err, EINVAL, "file \"%.40s\": a path of 1 to %zu bytes", value,
			    sizeof(change->file) - 1);
	strcpy(change->file, value);
	return 0;
}

static int set_format(void *into, const char *value, char *err)
{
	struct list_change *change = into;

	if (list_format_find(value, &change->format))
		return 0;
	return fail(err, EINVAL, "format \"%.40s\": " FORMATS, value);
}

static int set_load_flag(void *into, const char *value, char *err)
{
	struct list_change *change = into;

	(void)err;
	*(*value == 'f' ? &change->force : &change->skip_bad) = true;
	return 0;
}

static int set_name(struct list_change *change, char ***words, char *err)
{
	const char *name = take_value(words);

	if (!name)
		return fail(err, EINVAL, "a list's name is needed");
	if (list_check_name(name, err))
		return -EINVAL;
	strcpy(change->name, name);
	return 0;
}

/* `diff` takes the last of them only. */
static const struct word load_words[] = {
	{ "force", NULL, set_load_flag },
	{ "skip-bad", NULL, set_load_flag },
	{ "format", FORMATS, set_format },
	{ "file", "a path", set_file },
	{ 0 },
};
static const struct word *const file_words = load_words + 2;

int parse_list_load(char ***words, struct list_change *change, char *err)
{
	int rc;

	*change = (struct list_change){ .what = LIST_LOAD };
	rc = set_name(change, words, err);
	if (!rc)
		rc = take_words(words, load_words, change, err);
	if (!rc && !change->file[0])
		rc = fail(err, EINVAL, "list load needs file F");
	return rc;
}

/* 1: there is something to load; 0: unchanged; -errno. Reads and checks, writes nothing. */
int plan_list_load(struct list_change *change, const struct settings *settings, bool quiet,
		   struct list_report *report, char *err)
{
	struct list_info *infos;
	size_t count, was = 0;
	int rc = read_file(change, quiet, report, err);

	if (rc)
		return rc;
	rc = lists_read(&infos, &count, err);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(infos[i].name, change->name))
			was = infos[i].current.v4_count + infos[i].current.v6_count;
	free(infos);
	if (!rc && was && same_set(change->name, &change->set))
		return 0;
	if (!rc)
		rc = guard_size(change, was, err);
	if (!rc && !change->force)
		rc = guard_entries(change, settings, err);
	return rc ? rc : 1;
}

int apply_list_change(const struct maps *maps, struct list_change *change, char *err)
{
	int set_fd, rc;

	rc = lists_prepare(maps, change, 1, &set_fd, err);
	if (rc)
		return rc;
	rc = lists_publish(maps, set_fd, err);
	close(set_fd);
	if (rc) {
		char ignored[ERR_LEN];

		lists_recover(maps, ignored);
		return rc;
	}
	return lists_finish(maps, change, 1, err);
}

static void report_load(const struct call *call, const struct list_change *change,
			const struct list_report *report, double seconds)
{
	remark(call, "list %s: %zu prefixes (%zu IPv4, %zu IPv6) from %s, format %s, in %.2f s",
	       change->name, prefixes_count(&change->set), change->set.v4_count,
	       change->set.v6_count, change->file, list_format_name(report->format), seconds);
	if (report->bad)
		remark(call, "list %s: %zu lines are no prefix and were left out", change->name,
		       report->bad);
	if (report->duplicates)
		remark(call, "list %s: %zu duplicates dropped", change->name, report->duplicates);
	if (report->host_bits)
		remark(call, "list %s: %zu entries had bits set behind their length, first in line "
		       "%zu; they were cleared", change->name, report->host_bits,
		       report->host_bits_line);
	if (report->declared && report->declared != report->entries)
		remark(call, "list %s: it says it has %zu entries, but %zu were found",
		       change->name, report->declared, report->entries);
}

static enum outcome load(const struct call *call, struct maps *maps, struct list_change *change)
{
	struct list_report report = { 0 };
	uint64_t started = now_ns();
	struct settings settings;
	char err[ERR_LEN];
	int rc;

	if (maps_read_settings(maps, &settings, err))
		return failed("%s", err);
	rc = plan_list_load(change, &settings, call->quiet, &report, err);
	settings_free(&settings);
	if (rc == 0) {
		remark(call, "list %s: unchanged", change->name);
		return DONE;
	}
	if (rc > 0)
		rc = apply_list_change(maps, change, err);
	if (rc)
		return failed("%s", err);
	report_load(call, change, &report, (now_ns() - started) / 1e9);
	return DONE;
}

enum outcome cmd_list_load(const struct call *call)
{
	struct list_change change;
	char **words = call->words, err[ERR_LEN];
	enum outcome outcome;
	struct maps maps;

	if (parse_list_load(&words, &change, err))
		return usage(call, "%s", err);
	if (access(change.file, R_OK))
		return failed("cannot read list file %s: %s", change.file, strerror(errno));
	if (open_maps(&maps, MAPS_CREATE, err))
		return failed("%s", err);
	outcome = load(call, &maps, &change);
	prefixes_free(&change.set);
	close_maps(&maps, outcome);
	return outcome;
}

/* ---- rollback, del ---- */

static enum outcome change_list(const struct call *call, bool rollback)
{
	struct list_change change = { .what = rollback ? LIST_ROLLBACK : LIST_DEL };
	char **words = call->words, err[ERR_LEN];
	const char *name = change.name;
	struct weir_list head = { 0 };
	struct list_info *infos;
	struct maps maps;
	size_t count;
	int rc;

	if (set_name(&change, &words, err) || no_more_words(words, err))
		return usage(call, "%s", err);
	if (open_maps(&maps, MAPS_WRITE, err))
		return failed("%s", err);
	rc = lists_read(&infos, &count, err);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(infos[i].name, name))
			head = rollback ? infos[i].previous : infos[i].current;
	free(infos);
	if (!rc && !head.magic)
		rc = fail(err, ENOENT, rollback ? "list %s has no previous generation" :
						  "there is no list %s; `weir list show` lists them",
			  name);
	if (!rc)
		rc = apply_list_change(&maps, &change, err);
	maps_close(&maps);
	if (rc)
		return failed("%s", err);
	if (rollback)
		remark(call, "list %s: back to generation %llu with %llu prefixes", name,
		       (unsigned long long)head.generation,
		       (unsigned long long)(head.v4_count + head.v6_count));
	else
		remark(call, "list %s: removed", name);
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
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	if (length <= PATH_SHOWN)
		strcpy(file, head->file);
	else	/* the end of a path says more than its start */
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
		return failed("%s", err);
	maps_close(&maps);
	if (lists_read(&infos, &count, err))
		return failed("%s", err);
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
		failed("out of memory");
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

/* From the previous generation to the current, or from the current to a file. */
enum outcome cmd_list_diff(const struct call *call)
{
	struct list_change change = { 0 };
	struct list_report report;
	struct prefixes from = { 0 }, to = { 0 };
	char **words = call->words, err[ERR_LEN];
	enum outcome outcome;
	int rc;

	if (set_name(&change, &words, err) || take_words(&words, file_words, &change, err))
		return usage(call, "%s", err);
	if (change.file[0]) {
		rc = read_file(&change, true, &report, err);
		if (!rc)
			rc = list_read_set(change.name, "current", &from, err);
		to = change.set;
	} else {
		rc = list_read_set(change.name, "previous", &from, err);
		if (!rc)
			rc = list_read_set(change.name, "current", &to, err);
	}
	outcome = rc ? failed("%s", err) : print_diff(call, &from, &to);
	prefixes_free(&from);
	prefixes_free(&to);
	return outcome;
}

bool list_that_covers(const struct prefix *prefix, char name[WEIR_NAME_LEN])
{
	struct prefixes set = { 0 };
	struct list_info *infos;
	bool covered = false;
	char err[ERR_LEN];
	size_t count;

	if (lists_read(&infos, &count, err))
		return false;
	for (size_t i = 0; i < count && !covered; i++) {
		set = (struct prefixes){ 0 };
		covered = !list_read_set(infos[i].name, "current", &set, err) &&
			  !prefixes_merge(&set) && prefixes_cover(&set, prefix);
		if (covered)
			strcpy(name, infos[i].name);
		prefixes_free(&set);
	}
	free(infos);
	if (covered)
		return true;
	/* No list alone, but all of them together? */
	if (!lists_read_union(&set, err) && prefixes_cover(&set, prefix)) {
		strcpy(name, "(several)");
		covered = true;
	}
	prefixes_free(&set);
	return covered;
}
