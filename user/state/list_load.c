// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/host/addresses.h"
#include "user/host/file.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/guard.h"
#include "user/model/text.h"
#include "user/state/list_keep.h"
#include "user/state/list_load.h"

#define TENFOLD	10

/* ---- reading ---- */

static int check_path(const char *path, const char *what, char *err)
{
	char shown[ERR_LEN];

	if (text_is_plain(path))
		return 0;
	return fail(err, EINVAL, "%s %.150s has control characters, or is not UTF-8; rename it", what,
		    text_escape(path, shown, sizeof(shown)));
}

/* The path that is stored: absolute, since the daemon reads the file again from another folder. */
static int resolve(struct list_change *change, char path[PATH_MAX], char *err)
{
	int rc = check_path(change->file, "the path of the list file", err);

	if (rc)
		return rc;
	if (!realpath(change->file, path))
		return fail(err, errno, "cannot open list file %s: %s", change->file,
			    strerror(errno));
	if (strlen(path) >= sizeof(change->file))
		return fail(err, ENAMETOOLONG, "the path of %s is longer than %zu bytes", path,
			    sizeof(change->file) - 1);
	return check_path(path, "the path of the list file", err);
}

static int parse(struct list_change *change, const struct file_text *text,
		 const struct list_progress *progress, struct list_report *report, char *err)
{
	struct list_options options = { .format = change->format, .skip_bad = change->skip_bad,
					.unquoted = !text->quotable,
					.progress = progress ? progress->show : NULL,
					.ctx = progress ? progress->ctx : NULL };
	int rc = list_read(change->file, text->data, text->size, &options, &change->set, report, err);

	if (!rc && prefixes_sort(&change->set, NULL))
		rc = fail(err, ENOMEM, "cannot sort the prefixes of %s: out of memory", change->file);
	return rc;
}

int list_read_file(struct list_change *change, const struct list_progress *progress,
		   struct list_report *report, char *err)
{
	struct file_text text;
	char path[PATH_MAX];
	int rc = resolve(change, path, err);

	if (!rc)
		rc = file_read(change->file, LIST_BYTES_MOST, &text, err);
	if (rc)
		return rc;
	rc = parse(change, &text, progress, report, err);
	file_text_free(&text);
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

/* Applies the guards of `block add` to every prefix of the list that covers @inner. */
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

static int guard_entries(const struct list_change *change, const struct settings *settings,
			 char *err)
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

/* 1: it is loaded, with @info; 0: it is not; -errno with @err. */
static int find_loaded(const char *name, struct list_info *info, char *err)
{
	struct list_info *infos;
	size_t count;
	int rc = lists_read(&infos, &count, err);

	for (size_t i = 0; i < count && !rc; i++) {
		if (strcmp(infos[i].name, name))
			continue;
		*info = infos[i];
		rc = 1;
	}
	free(infos);
	return rc;
}

int plan_list_load(struct list_change *change, const struct settings *settings, char *err)
{
	struct list_info info = { 0 };
	int loaded = find_loaded(change->name, &info, err), rc = 0;
	size_t was = info.current.v4_count + info.current.v6_count;

	if (loaded < 0)
		return loaded;
	if (was && same_set(change->name, &change->set))
		return 0;
	rc = guard_size(change, was, err);
	if (!rc && !change->force)
		rc = guard_entries(change, settings, err);
	return rc ? rc : 1;
}

static void format_age(uint64_t since_unix_s, char text[FORMAT_LEN])
{
	uint64_t now = time(NULL);

	format_duration(now > since_unix_s ? now - since_unix_s : 0, text);
}

/* What is stored of a list that was not read: its path as it is given, made absolute. */
static void make_storable(struct list_change *change)
{
	char path[PATH_MAX] = "", shown[PATH_MAX];

	if (change->file[0] != '/' && getcwd(path, sizeof(path) - sizeof(change->file) - 1))
		strcat(path, "/");
	strcat(path, change->file);
	if (text_is_plain(path) && strlen(path) < sizeof(change->file))
		strcpy(change->file, path);
	else
		text_escape(change->file, shown, sizeof(change->file));
	if (!text_is_plain(change->file))
		strcpy(change->file, shown);
}

int plan_list_instead(struct list_change *change, const struct settings *settings, const char *why,
		      char *said)
{
	struct list_info info;
	char err[ERR_LEN], age[FORMAT_LEN];
	int rc = find_loaded(change->name, &info, err);

	prefixes_free(&change->set);
	if (rc) {
		fail(said, EIO, "list %s stays as it was: %s", change->name, rc < 0 ? err : why);
		return 0;
	}
	make_storable(change);
	change->instead = true;
	rc = list_read_kept(change->name, &change->set, &change->since_unix_s, err);
	if (!rc && !change->force)
		rc = guard_entries(change, settings, err);
	if (!rc) {
		format_age(change->since_unix_s, age);
		fail(said, EIO, "list %s: what its file had %s ago is loaded, %zu prefixes: %s",
		     change->name, age, prefixes_count(&change->set), why);
		return 1;
	}
	prefixes_free(&change->set);
	change->since_unix_s = 0;
	fail(said, EIO, "list %s is EMPTY until its file can be loaded: %.120s; %.90s", change->name,
	     why, err);
	return 1;
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
