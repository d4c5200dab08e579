// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/host/bounded.h"
#include "user/host/file.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/list_guard.h"
#include "user/state/list_keep.h"
#include "user/state/list_load.h"

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
static int resolve(const struct list_change *change, char path[PATH_MAX], char *err)
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

/* What a file has, and where it is. */
static int fetch(const struct list_change *change, struct file_text *text, char path[PATH_MAX],
		 char *err)
{
	int rc = resolve(change, path, err);

	return rc ? rc : file_read(change->file, LIST_BYTES_MOST, text, err);
}

/*
 * A link is resolved only where it led to a list. The path that is stored of another file still has
 * its link, by which a later message knows not to quote what it leads to.
 */
static int take(struct list_change *change, const struct file_text *text, const char *path,
		const struct list_progress *progress, struct list_report *report, char *err)
{
	int rc = parse(change, text, progress, report, err);

	if (!rc)
		snprintf(change->file, sizeof(change->file), "%.*s", (int)sizeof(change->file) - 1,
			 path);		/* resolve() knows that it fits */
	return rc;
}

int list_read_file(struct list_change *change, const struct list_progress *progress,
		   struct list_report *report, char *err)
{
	struct file_text text;
	char path[PATH_MAX];
	int rc = fetch(change, &text, path, err);

	if (rc)
		return rc;
	rc = take(change, &text, path, progress, report, err);
	file_text_free(&text);
	return rc;
}

/* What the child that fetches a file hands over. */
struct fetched {
	const struct list_change *change;
	int rc;
	bool quotable;
	size_t size;
	char err[ERR_LEN], path[PATH_MAX];
	char data[LIST_BYTES_MOST + 1];
};

static void fetch_in_child(void *arg)
{
	struct fetched *fetched = arg;
	struct file_text text;

	fetched->rc = fetch(fetched->change, &text, fetched->path, fetched->err);
	if (fetched->rc)
		return;
	memcpy(fetched->data, text.data, text.size);
	fetched->size = text.size;
	fetched->quotable = text.quotable;
}

int list_read_file_within(struct list_change *change, uint64_t ns, pid_t *left,
			  struct list_report *report, char *err)
{
	struct fetched *fetched = bounded_memory(sizeof(*fetched));
	struct file_text text;
	int rc;

	*left = 0;
	if (!fetched)
		return fail(err, ENOMEM, "cannot read %s: out of memory", change->file);
	fetched->change = change;
	rc = bounded_run(fetch_in_child, fetched, -1, ns, left);
	text = (struct file_text){ fetched->data, fetched->size, fetched->quotable };
	if (rc == -ETIMEDOUT)
		fail(err, ETIMEDOUT, "%.150s could not be read within %llu s: its file system does "
		     "not answer, or is too slow", change->file,
		     (unsigned long long)(ns / NS_PER_S));
	else if (rc)
		fail(err, -rc, "cannot read %s: %s", change->file, strerror(-rc));
	else if (fetched->rc)
		rc = fail(err, -fetched->rc, "%s", fetched->err);
	else
		rc = take(change, &text, fetched->path, NULL, report, err);
	bounded_memory_free(fetched, sizeof(*fetched));
	return rc;
}

/* ---- load ---- */

int plan_list_load(struct list_change *change, const struct settings *settings, char *err)
{
	return list_guard(change, settings, err);
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
	char err[ERR_LEN], age[FORMAT_LEN];
	struct weir_list head;
	int rc = list_head(change->name, list_pin_in_force(change->name), &head);

	prefixes_free(&change->set);
	if (rc != -ENOENT && rc != -EBADMSG) {
		fail(said, EIO, "list %s stays as it was: %s", change->name, rc ? strerror(-rc) : why);
		return 0;
	}
	make_storable(change);
	change->instead = true;
	rc = list_read_kept(change->name, &change->set, &change->since_unix_s, err);
	if (!rc)
		rc = list_guard(change, settings, err);
	/* A bare `force` stays one: the guards that it was needed for will see the file later. */
	change->kept = change->force;
	if (rc >= 0) {
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
