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
#define CHANGES		(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB)

/* Two stamps of a file differ if its content does. */
struct stamp {
	uint64_t inode, size, seconds, nanoseconds;
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
	uint64_t every_ns, next_ns;
};

struct list_watcher {
	int inotify;
	struct watched_file files[FILES_MOST];
	size_t count;
	uint64_t refresh_ns;
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
	*stamp = (struct stamp){ st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
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
	watch_folder(watcher, path);
	if (!read_stamp(path, &file->stamp) || file->stamp.seconds >= loaded_s)
		file->due_ns = now_ns();
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

/* Each further change postpones the loading: the file has to stay the same for `settle`. */
static void note_changes(struct list_watcher *watcher, const struct config *config)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < watcher->count; i++) {
		struct watched_file *file = &watcher->files[i];
		struct stamp stamp;

		if (file->next_ns && now >= file->next_ns) {
			file->due_ns = now;
			file->next_ns = now + file->every_ns;
		}
		if (!config->watch || !read_stamp(file->path, &stamp) ||
		    !memcmp(&stamp, &file->stamp, sizeof(stamp)))
			continue;
		file->stamp = stamp;
		file->due_ns = now + config->settle_ns;
	}
}

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

static void load(const struct watched_file *file)
{
	struct list_change change = { .what = LIST_LOAD, .format = file->format,
				      .skip_bad = file->skip_bad, .force = file->force };
	struct list_report report = { 0 };
	char why[ERR_LEN] = "", err[ERR_LEN], note[ERR_LEN];
	struct maps maps;
	int rc, read_rc;

	snprintf(change.name, sizeof(change.name), "%s", file->name);
	snprintf(change.file, sizeof(change.file), "%s", file->path);
	rc = list_check_name(file->name, err);
	read_rc = rc ? rc : list_read_file(&change, NULL, &report, why);
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
}

static void load_if_due(struct watched_file *file, const struct config *config, uint64_t now)
{
	struct stamp stamp = file->stamp;
	uint64_t began = now_ns();

	if (!file->due_ns || now < file->due_ns || now < file->rest_ns)
		return;
	read_stamp(file->path, &stamp);
	file->due_ns = 0;
	if (memcmp(&stamp, &file->stamp, sizeof(stamp)))	/* it is still being written */
		file->due_ns = now + config->settle_ns;
	else
		load(file);
	/* A file that is large and changes all the time must not keep the daemon from banning. */
	now = now_ns();
	file->rest_ns = now + BUSY_PART * (now - began);
	file->stamp = stamp;
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
		load_if_due(&watcher->files[i], config, now);
}
