// SPDX-License-Identifier: GPL-2.0-only
/* Files of lists: read again when they change, and on their schedule. */
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
#include "user/state/list_load.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"

#define REFRESH_NS	5000000000ULL	/* how soon a list loaded by hand is watched too */
#define FILES_MOST	LISTS_MAX
#define CHANGES		(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB)

/* What tells one content of a file from another. */
struct stamp {
	uint64_t inode, size, seconds, nanoseconds;
};

struct file {
	char name[WEIR_NAME_LEN];	/* of the list */
	char path[CONFIG_TEXT];
	enum list_format format;
	bool skip_bad, wanted;
	struct stamp stamp;		/* as it was last seen */
	uint64_t due_ns;		/* 0: nothing to do */
	uint64_t every_ns, next_ns;
};

struct list_watcher {
	int inotify;
	struct file files[FILES_MOST];
	size_t count;
	uint64_t refresh_ns;
	bool stirred;			/* something happened in a folder */
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

/* Which file it was does not matter: a look at all of them is cheap. */
void list_watcher_event(struct list_watcher *watcher)
{
	char events[4096];

	while (read(watcher->inotify, events, sizeof(events)) > 0)
		watcher->stirred = true;
}

static bool read_stamp(const char *path, struct stamp *stamp)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	*stamp = (struct stamp){ st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
	return true;
}

/* The folder, not the file: a new file renamed into place is another inode. */
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

static struct file *find_file(struct list_watcher *watcher, const char *name)
{
	for (size_t i = 0; i < watcher->count; i++)
		if (!strcmp(watcher->files[i].name, name))
			return &watcher->files[i];
	if (watcher->count == FILES_MOST)
		return NULL;
	watcher->files[watcher->count] = (struct file){ 0 };
	snprintf(watcher->files[watcher->count].name, WEIR_NAME_LEN, "%s", name);
	return &watcher->files[watcher->count++];
}

/* @loaded_s: when it was last loaded; 0: never. A file that is newer is due at once. */
static void want_file(struct list_watcher *watcher, const char *name, const char *path, uint64_t loaded_s)
{
	struct file *file = find_file(watcher, name);

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

/* Lists of the settings file, and those that somebody loaded by hand. */
static void refresh(struct list_watcher *watcher, const struct config *config)
{
	struct list_info *infos = NULL;
	char ignored[ERR_LEN];
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < watcher->count; i++)
		watcher->files[i].wanted = false;
	if (lists_read(&infos, &count, ignored))
		count = 0;
	for (size_t i = 0; i < config->list_count; i++) {
		const struct config_list *list = &config->lists[i];
		struct file *file;
		uint64_t loaded = 0;

		for (size_t n = 0; n < count; n++)
			if (!strcmp(infos[n].name, list->name))
				loaded = infos[n].current.loaded_unix_s;
		want_file(watcher, list->name, list->file, loaded);
		file = find_file(watcher, list->name);
		if (!file)
			continue;
		list_format_find(list->format, &file->format);
		file->skip_bad = list->skip_bad;
		if (file->every_ns != list->every_ns)
			file->next_ns = list->every_ns ? now_ns() + list->every_ns : 0;
		file->every_ns = list->every_ns;
	}
	for (size_t i = 0; i < count && config->watch; i++) {
		struct file *file = find_file(watcher, infos[i].name);

		if (!file || file->wanted)
			continue;
		want_file(watcher, infos[i].name, infos[i].current.file,
			  infos[i].current.loaded_unix_s);
		file->format = infos[i].current.format;
		file->skip_bad = infos[i].current.skip_bad;
	}
	free(infos);
	for (size_t i = 0; i < watcher->count; i++)
		if (watcher->files[i].wanted)
			watcher->files[kept++] = watcher->files[i];
	watcher->count = kept;
}

/* A change begins the time of settling anew. */
static void note_changes(struct list_watcher *watcher, const struct config *config)
{
	uint64_t now = now_ns();

	for (size_t i = 0; i < watcher->count; i++) {
		struct file *file = &watcher->files[i];
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

/* 1: loaded, 0: nothing new in it, or -errno. */
static int load_under_lock(struct maps *maps, struct list_change *change, char *err)
{
	struct list_report report = { 0 };
	struct settings settings;
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	rc = plan_list_load(change, &settings, NULL, &report, err);
	settings_free(&settings);
	if (rc > 0)
		rc = apply_list_change(maps, change, err) ? : 1;
	return rc;
}

static void load(const struct file *file)
{
	struct list_change change = { .what = LIST_LOAD, .format = file->format,
				      .skip_bad = file->skip_bad };
	char err[ERR_LEN];
	struct maps maps;
	int rc;

	snprintf(change.name, sizeof(change.name), "%s", file->name);
	snprintf(change.file, sizeof(change.file), "%s", file->path);
	rc = list_check_name(file->name, err);
	if (!rc)
		rc = open_maps(&maps, MAPS_WRITE, err);
	if (!rc) {
		rc = load_under_lock(&maps, &change, err);
		maps_close(&maps);
	}
	if (rc < 0)
		log_line(LOG_ERR, "list %s stays as it was: %s", file->name, err);
	else if (rc > 0)
		log_line(LOG_INFO, "list %s: %zu prefixes from %s", file->name,
			 prefixes_count(&change.set), file->path);
	prefixes_free(&change.set);
}

void list_watcher_look(struct list_watcher *watcher, const struct config *config)
{
	uint64_t now = now_ns();

	if (now >= watcher->refresh_ns || watcher->stirred) {
		if (now >= watcher->refresh_ns)
			refresh(watcher, config);
		note_changes(watcher, config);
		watcher->refresh_ns = now >= watcher->refresh_ns ? now + REFRESH_NS : watcher->refresh_ns;
		watcher->stirred = false;
	}
	for (size_t i = 0; i < watcher->count; i++) {
		struct file *file = &watcher->files[i];

		struct stamp stamp = file->stamp;

		if (!file->due_ns || now < file->due_ns)
			continue;
		read_stamp(file->path, &stamp);
		file->due_ns = 0;
		if (memcmp(&stamp, &file->stamp, sizeof(stamp)))	/* still being written */
			file->due_ns = now + config->settle_ns;
		else
			load(file);
		file->stamp = stamp;
	}
}
