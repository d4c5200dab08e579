// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches the files of lists: those in the settings file, and those that the operator loaded with
 * `weir list load`. A file that has changed is loaded once it has stayed the same for `settle`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "user/daemon/list_watcher.h"
#include "user/host/bounded.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/units.h"
#include "user/state/list_keep.h"
#include "user/state/list_load.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"

#define REFRESH_NS	(5 * NS_PER_S)	/* how soon a list loaded by hand is watched */
#define REFRESH_PART	50		/* with thousands of lists later: at most a 50th of the time */
#define FILES_MOST	LISTS_MAX
#define BUSY_PART	20		/* reading one file takes at most this part of the time */
#define ANSWER_NS	(5 * NS_PER_S)	/* what takes longer hangs; the watchdog has time for two */
#define STUCK_MOST_NS	(3600 * NS_PER_S)
#define CHANGES		(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB)

/* Two stamps of a file differ if its content does. */
struct stamp {
	uint64_t device, inode, size, seconds, nanoseconds;
};

struct watched_file {
	char name[WEIR_NAME_LEN];	/* of the list */
	char path[CONFIG_TEXT];
	enum list_format format;
	bool skip_bad, wanted;
	uint8_t force;			/* enum weir_guard */
	struct stamp stamp;		/* when it was last looked at */
	uint64_t due_ns;		/* when it is to be loaded; 0: it has not changed */
	uint64_t rest_ns;		/* until then it is not read again */
	pid_t left;			/* the child that hangs in its file system; 0: none does */
	bool held;			/* the child was killed and lives on */
	uint64_t stuck_until_ns, stuck_ns;	/* it did not answer; for how long it is left alone */
	bool is_new;			/* its folder is not watched yet */
	uint64_t loaded_s;		/* of a new one: when the list was last loaded */
	uint64_t every_ns, next_ns;
};

struct list_watcher {
	int inotify;
	struct watched_file files[FILES_MOST];
	size_t count;
	uint64_t refresh_ns;
	uint64_t rest_ns;		/* until then no file is looked at: several did not answer */
	bool changed;			/* in a watched folder, since the last look */
	bool keep_failed;		/* told already that lists cannot be kept */
};

struct list_watcher *list_watcher_new(void)
{
	struct list_watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	watcher->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watcher->inotify >= 0)
		return watcher;
	free(watcher);
	return NULL;
}

void list_watcher_free(struct list_watcher *watcher)
{
	if (!watcher)
		return;
	close(watcher->inotify);
	free(watcher);
}

int list_watcher_fd(const struct list_watcher *watcher)
{
	return watcher->inotify;
}

/* The event is not decoded: looking at all watched files is cheap. */
void list_watcher_event(struct list_watcher *watcher)
{
	char events[4096];

	while (read(watcher->inotify, events, sizeof(events)) > 0)
		watcher->changed = true;
}

static bool read_stamp(const char *path, struct stamp *stamp)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	*stamp = (struct stamp){ st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
	return true;
}

/* Watches the folder: a new file that is renamed into place has another inode than the old one. */
static void watch_folder(const struct list_watcher *watcher, const char *path)
{
	char folder[CONFIG_TEXT];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	slash[slash == folder] = '\0';
	inotify_add_watch(watcher->inotify, folder, CHANGES);
}

static struct watched_file *find_file(struct list_watcher *watcher, const char *name)
{
	for (size_t i = 0; i < watcher->count; i++)
		if (!strcmp(watcher->files[i].name, name))
			return &watcher->files[i];
	if (watcher->count == FILES_MOST)
		return NULL;
	watcher->files[watcher->count] = (struct watched_file){ 0 };
	snprintf(watcher->files[watcher->count].name, WEIR_NAME_LEN, "%s", name);
	return &watcher->files[watcher->count++];
}

/*
 * Keeps @path watched as the file of list @name. @loaded_s: when the list was last loaded, or 0.
 * A file that is newer than that is due at once.
 */
static void want_file(struct list_watcher *watcher, const char *name, const char *path,
		      uint64_t loaded_s)
{
	struct watched_file *file = find_file(watcher, name);

	if (!file)
		return;
	file->wanted = true;
	if (!strcmp(file->path, path))
		return;
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->stamp = (struct stamp){ 0 };
	file->is_new = true;
	file->loaded_s = loaded_s;
}

static uint64_t loaded_at(const struct list_info *infos, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(infos[i].name, name))
			return infos[i].current.loaded_unix_s;
	return 0;
}

static void want_configured(struct list_watcher *watcher, const struct config_list *list,
			    uint64_t loaded_s)
{
	struct watched_file *file;

	want_file(watcher, list->name, list->file, loaded_s);
	file = find_file(watcher, list->name);
	if (!file)
		return;
	list_format_find(list->format, &file->format);
	file->skip_bad = list->skip_bad;
	file->force = list->force;
	if (file->every_ns != list->every_ns)
		file->next_ns = list->every_ns ? now_ns() + list->every_ns : 0;
	file->every_ns = list->every_ns;
}

/* The settings file takes precedence: there a list may have another file or another schedule. */
static void want_loaded(struct list_watcher *watcher, const struct list_info *info)
{
	struct watched_file *file = find_file(watcher, info->name);

	if (!file || file->wanted)
		return;
	want_file(watcher, info->name, info->current.file, info->current.loaded_unix_s);
	file->format = info->current.format;
	file->skip_bad = info->current.skip_bad;
	/* The operator let this list be what it is, not the next change of its size. */
	file->force = info->current.force & ~(WEIR_GUARD_SIZE | WEIR_GUARD_ALL);
}

/* Those that were loaded while the folder could not be written, or by an older version. */
static void keep_missing(struct list_watcher *watcher, const struct list_info *infos, size_t count)
{
	char err[ERR_LEN];
	bool failed = lists_keep_missing(infos, count, err) != 0;

	if (failed && !watcher->keep_failed)
		log_line(LOG_WARNING, "%s", err);
	watcher->keep_failed = failed;
}

/* Makes the files to watch those of the settings file and of all lists that are loaded. */
static void refresh(struct list_watcher *watcher, const struct config *config)
{
	struct list_info *infos = NULL;
	char ignored[ERR_LEN];
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < watcher->count; i++)
		watcher->files[i].wanted = false;
	if (lists_read(&infos, &count, ignored))
		count = 0;
	keep_missing(watcher, infos, count);
	for (size_t i = 0; i < config->list_count; i++)
		want_configured(watcher, &config->lists[i],
				loaded_at(infos, count, config->lists[i].name));
	for (size_t i = 0; i < count && config->watch; i++)
		want_loaded(watcher, &infos[i]);
	free(infos);
	for (size_t i = 0; i < watcher->count; i++)
		if (watcher->files[i].wanted)
			watcher->files[kept++] = watcher->files[i];
	watcher->count = kept;
}

/* ---- looking at files, in a child: a file system that hangs must not stop the daemon ---- */

struct seen {
	struct stamp stamp;
	bool visited, there;
};

struct visit {
	const struct list_watcher *watcher;
	size_t first, last;		/* of the files, which are visited in this order */
	volatile size_t at;		/* the one that is visited now */
	struct seen seen[FILES_MOST];
};

static bool is_left_alone(const struct watched_file *file)
{
	return file->left || now_ns() < file->stuck_until_ns;
}

/* One that shares its device with a file that hangs would hang, too. */
static bool is_stuck(const struct list_watcher *watcher, const struct watched_file *file)
{
	for (size_t i = 0; i < watcher->count; i++) {
		const struct watched_file *other = &watcher->files[i];

		if ((other == file || (file->stamp.device &&
				       other->stamp.device == file->stamp.device)) &&
		    is_left_alone(other))
			return true;
	}
	return false;
}

static void visit_in_child(void *arg)
{
	struct visit *visit = arg;

	for (visit->at = visit->first; visit->at <= visit->last; visit->at++) {
		const struct watched_file *file = &visit->watcher->files[visit->at];
		struct seen *seen = &visit->seen[visit->at];

		if (is_stuck(visit->watcher, file))
			continue;
		if (file->is_new)
			watch_folder(visit->watcher, file->path);
		seen->there = read_stamp(file->path, &seen->stamp);
		seen->visited = true;
	}
}

/*
 * Each time in a row it is left alone for twice as long, so that files behind it have their turn. One
 * hanging device costs the daemon ANSWER_NS; with several it does something else in between.
 */
static void note_stuck(struct list_watcher *watcher, struct watched_file *file, pid_t left)
{
	uint64_t rest = BUSY_PART * ANSWER_NS, now = now_ns();

	for (size_t i = 0; i < watcher->count; i++)
		if (is_left_alone(&watcher->files[i]))
			watcher->rest_ns = now + rest;
	file->left = left;
	file->held = false;
	file->stuck_ns = !file->stuck_ns ? rest : file->stuck_ns > STUCK_MOST_NS / 2 ? STUCK_MOST_NS :
			 2 * file->stuck_ns;
	file->stuck_until_ns = now + file->stuck_ns;
	log_line(LOG_ERR, "list %s: %s does not answer within %llu s, as on a network file system that "
		 "hangs; it is left alone until that answers, or for %llu s, and so are all files on "
		 "its device", file->name, file->path, (unsigned long long)(ANSWER_NS / NS_PER_S),
		 (unsigned long long)(file->stuck_ns / NS_PER_S));
}

/* A killed child that lived on ends when the file system answers. */
static void ask_left(struct watched_file *file)
{
	if (!file->left)
		return;
	if (!bounded_is_over(&file->left))
		file->held = true;
	else if (file->held)
		file->stuck_until_ns = 0;
}

/* @watch: a change is a reason to load it, once it has stayed the same for `settle`. */
static void note_seen(struct watched_file *file, const struct seen *seen, uint64_t settle_ns,
		      bool watch)
{
	uint64_t now = now_ns();

	if (file->stuck_ns)
		log_line(LOG_NOTICE, "list %s: %s answers again", file->name, file->path);
	file->stuck_ns = 0;
	if (file->is_new) {
		file->is_new = false;
		if (!seen->there || seen->stamp.seconds >= file->loaded_s)
			file->due_ns = now;
		file->stamp = seen->stamp;
	} else if (watch && seen->there && memcmp(&seen->stamp, &file->stamp, sizeof(seen->stamp))) {
		file->stamp = seen->stamp;
		file->due_ns = now + settle_ns;
	}
}

/*
 * Visits the files from @first to @last and notes what has changed, or which one hangs. False: not
 * all were visited.
 */
static bool visit_files(struct list_watcher *watcher, size_t first, size_t last, uint64_t settle_ns,
			bool watch)
{
	struct visit *visit = bounded_memory(sizeof(*visit));
	size_t visited = first;
	pid_t left;
	int rc;

	if (!visit)
		return false;
	*visit = (struct visit){ .watcher = watcher, .first = first, .last = last, .at = first };
	rc = bounded_run(visit_in_child, visit, watcher->inotify, ANSWER_NS, &left);
	if (!rc || rc == -ETIMEDOUT)
		visited = rc ? visit->at : last + 1;
	for (size_t i = first; i < visited; i++)
		if (visit->seen[i].visited)
			note_seen(&watcher->files[i], &visit->seen[i], settle_ns, watch);
	if (rc == -ETIMEDOUT && visited <= last)
		note_stuck(watcher, &watcher->files[visited], left);
	bounded_memory_free(visit, sizeof(*visit));
	return visited > last;
}

static void note_changes(struct list_watcher *watcher, const struct config *config)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < watcher->count; i++) {
		struct watched_file *file = &watcher->files[i];

		ask_left(file);
		if (file->next_ns && now >= file->next_ns) {
			file->due_ns = now;
			file->next_ns = now + file->every_ns;
		}
	}
	if (watcher->count && now >= watcher->rest_ns)
		visit_files(watcher, 0, watcher->count - 1, config->settle_ns, config->watch);
}

/* ---- loading ---- */

static int plan(struct list_change *change, const struct settings *settings, int read_rc, char *err)
{
	char said[ERR_LEN];
	int rc = read_rc ? read_rc : plan_list_load(change, settings, err);

	if (rc >= 0)
		return rc;
	rc = plan_list_instead(change, settings, err, said);
	log_line(LOG_ERR, "%s", said);
	return rc ? 1 : -EALREADY;
}

/* @read_rc: of list_read_file(). 1: the list was loaded; 0: it is the same; -EALREADY: logged. */
static int load_under_lock(struct maps *maps, struct list_change *change, int read_rc, char *err)
{
	struct settings settings;
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	rc = plan(change, &settings, read_rc, err);
	settings_free(&settings);
	if (rc > 0)
		rc = apply_list_change(maps, change, err) ? : 1;
	return rc;
}

/* False: the file could not be read in time. */
static bool load(struct list_watcher *watcher, struct watched_file *file)
{
	struct list_change change = { .what = LIST_LOAD, .format = file->format,
				      .skip_bad = file->skip_bad, .force = file->force };
	struct list_report report = { 0 };
	char why[ERR_LEN] = "", err[ERR_LEN], note[ERR_LEN];
	struct maps maps;
	pid_t left = 0;
	int rc, read_rc;

	snprintf(change.name, sizeof(change.name), "%s", file->name);
	snprintf(change.file, sizeof(change.file), "%s", file->path);
	rc = check_name("list", file->name, err);
	read_rc = rc ? rc : list_read_file_within(&change, ANSWER_NS, &left, &report, why);
	if (read_rc == -ETIMEDOUT)
		note_stuck(watcher, file, left);
	if (!rc)
		rc = open_maps(&maps, MAPS_WRITE, err);
	if (!rc) {
		memcpy(err, why, sizeof(err));
		rc = load_under_lock(&maps, &change, read_rc, err);
		maps_close(&maps);
	}
	if (rc >= 0 && lists_keep(&change, 1, why))
		log_line(LOG_WARNING, "%s", why);
	if (rc < 0 && rc != -EALREADY)
		log_line(LOG_ERR, "list %s stays as it was: %s", file->name, err);
	else if (rc > 0 && !change.instead)
		log_line(LOG_INFO, "list %s: %zu prefixes from %s", file->name,
			 prefixes_count(&change.set), file->path);
	for (size_t i = 0; rc > 0 && !change.instead && guard_note(&change.notes, i, note); i++)
		log_line(LOG_INFO, "list %s: %s", file->name, note);
	prefixes_free(&change.set);
	return read_rc != -ETIMEDOUT;
}

static void load_if_due(struct list_watcher *watcher, size_t number, const struct config *config)
{
	struct watched_file *file = &watcher->files[number];
	uint64_t began = now_ns(), due_ns = file->due_ns;

	if (!due_ns || began < due_ns || began < file->rest_ns || began < watcher->rest_ns ||
	    is_stuck(watcher, file))
		return;
	file->due_ns = 0;
	if (!visit_files(watcher, number, number, config->settle_ns, true))
		file->due_ns = due_ns;
	else if (!file->due_ns && !load(watcher, file))		/* due again: it is still being written */
		file->due_ns = due_ns;
	/* A file that is large and changes all the time must not keep the daemon from banning. */
	file->rest_ns = now_ns() + BUSY_PART * (now_ns() - began);
}

void list_watcher_look(struct list_watcher *watcher, const struct config *config)
{
	uint64_t now = now_ns(), took;
	bool due = now >= watcher->refresh_ns;

	if (due || watcher->changed) {
		if (due) {
			refresh(watcher, config);
			took = REFRESH_PART * (now_ns() - now);
			watcher->refresh_ns = now + (took > REFRESH_NS ? took : REFRESH_NS);
		}
		note_changes(watcher, config);
		watcher->changed = false;
	}
	for (size_t i = 0; i < watcher->count; i++)
		load_if_due(watcher, i, config);
}
