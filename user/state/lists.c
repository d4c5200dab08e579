// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/pure/blockset.h"
#include "user/model/blockset.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/lists.h"

#define LISTS_DIR	WEIR_PIN_ROOT "/lists"
#define HEAD_WORDS	(sizeof(struct weir_list) / sizeof(uint64_t))
#define PATH_LEN	128
#define NAMES_MAX	(2 * LISTS_MAX)	/* while all lists give way to others */

static void list_path(char path[PATH_LEN], const char *name, const char *which)
{
	snprintf(path, PATH_LEN, LISTS_DIR "/%s%s%s", name, which ? "/" : "", which ? which : "");
}

int list_check_name(const char *name, char *err)
{
	size_t len = strlen(name);

	if (len < 1 || len >= WEIR_NAME_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		return fail(err, EINVAL, "list name \"%.40s\": 1 to %d of a-z, 0-9, - and _", name,
			    WEIR_NAME_LEN - 1);
	return 0;
}

/* ---- one list's map ---- */

/* A list's map, mapped. */
struct view {
	int fd;
	size_t size;
	struct weir_list *head;
	uint64_t *words;	/* behind the head */
};

static void view_close(struct view *view)
{
	if (view->head)
		munmap(view->head, view->size);
	if (view->fd >= 0)
		close(view->fd);
	*view = (struct view){ .fd = -1 };
}

static int view_map(struct view *view, size_t words)
{
	void *at;

	view->size = round_to_pages(words * sizeof(uint64_t));
	at = mmap(NULL, view->size, PROT_READ | PROT_WRITE, MAP_SHARED, view->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	view->head = at;
	view->words = (uint64_t *)at + HEAD_WORDS;
	return 0;
}

/* -ENOENT when it is not there; -EBADMSG when its head lies. */
static int view_open(struct view *view, const char *name, const char *which)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	char path[PATH_LEN];
	int rc;

	list_path(path, name, which);
	*view = (struct view){ .fd = bpf_obj_get(path) };
	if (view->fd < 0)
		return -errno;
	rc = bpf_obj_get_info_by_fd(view->fd, &info, &size) ? -errno : 0;
	if (!rc && (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(uint64_t) ||
		    info.max_entries < HEAD_WORDS))
		rc = -EBADMSG;
	if (!rc)
		rc = view_map(view, info.max_entries);
	if (!rc && (view->head->magic != WEIR_LIST_MAGIC ||
		    HEAD_WORDS + view->head->v4_count + PREFIXES_V6_WORDS * view->head->v6_count >
			    info.max_entries))
		rc = -EBADMSG;
	if (rc)
		view_close(view);
	return rc;
}

static int view_create(struct view *view, const struct prefixes *set)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t words = HEAD_WORDS + prefixes_words(set);
	int rc;

	*view = (struct view){ .fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_list",
						    sizeof(__u32), sizeof(uint64_t), words, &opts) };
	if (view->fd < 0)
		return -errno;
	rc = view_map(view, words);
	if (rc) {
		view_close(view);
		return rc;
	}
	*view->head = (struct weir_list){ .magic = WEIR_LIST_MAGIC, .v4_count = set->v4_count,
					  .v6_count = set->v6_count };
	prefixes_pack(set, view->words);
	return 0;
}

static int read_head(const char *name, const char *which, struct weir_list *head)
{
	struct view view;
	int rc = view_open(&view, name, which);

	*head = (struct weir_list){ 0 };
	if (rc)
		return rc;
	*head = *view.head;
	view_close(&view);
	return 0;
}

/*
 * The name of the pin that is this list's @which. Between the two renames of
 * settle() the current generation is still called next.
 */
static const char *pin_of(const char *name, const char *which)
{
	struct weir_list head;

	if (!strcmp(which, "current") && read_head(name, "current", &head) == -ENOENT &&
	    !read_head(name, "previous", &head) && !read_head(name, "next", &head))
		return "next";
	return which;
}

int list_read_set(const char *name, const char *which, struct prefixes *set, char *err)
{
	struct view view;
	int rc = view_open(&view, name, pin_of(name, which));

	if (rc == -ENOENT)
		return fail(err, ENOENT, "list %s has no %s generation", name, which);
	if (!rc) {
		rc = prefixes_unpack(set, view.words, view.head->v4_count, view.head->v6_count);
		view_close(&view);
	}
	return rc ? fail(err, -rc, "cannot read list %s: %s", name, strerror(-rc)) : 0;
}

/* ---- all lists ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct list_info *)a)->name, ((const struct list_info *)b)->name);
}

/* The names of the folders. */
static int read_names(char names[NAMES_MAX][WEIR_NAME_LEN], size_t *count, char *err)
{
	DIR *dir = opendir(LISTS_DIR);
	struct dirent *each;

	*count = 0;
	if (!dir)
		return errno == ENOENT ? 0 : fail(err, errno, "cannot open " LISTS_DIR ": %s",
						  strerror(errno));
	while ((each = readdir(dir)) && *count < NAMES_MAX) {
		if (each->d_name[0] == '.' || strlen(each->d_name) >= WEIR_NAME_LEN)
			continue;
		strcpy(names[(*count)++], each->d_name);
	}
	closedir(dir);
	return 0;
}

int lists_read(struct list_info **infos, size_t *count, char *err)
{
	char names[NAMES_MAX][WEIR_NAME_LEN];
	size_t found, kept = 0;
	int rc = read_names(names, &found, err);

	*count = 0;
	*infos = NULL;
	if (rc)
		return rc;
	*infos = calloc(found + 1, sizeof(**infos));
	if (!*infos)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < found; i++) {
		struct list_info *info = &(*infos)[kept];

		if (read_head(names[i], pin_of(names[i], "current"), &info->current))
			continue;
		strcpy(info->name, names[i]);
		read_head(names[i], "previous", &info->previous);
		kept++;
	}
	qsort(*infos, kept, sizeof(**infos), by_name);
	*count = kept;
	return 0;
}

static const struct list_change *change_of(const struct list_change *changes, size_t count,
					   const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(changes[i].name, name))
			return &changes[i];
	return NULL;
}

/* The merged union of what the lists will be after @changes. */
static int read_union(const struct list_change *changes, size_t count, struct prefixes *all,
		      char *err)
{
	struct list_info *infos;
	size_t lists;
	int rc = lists_read(&infos, &lists, err);

	for (size_t i = 0; i < lists && !rc; i++)
		if (!change_of(changes, count, infos[i].name))
			rc = list_read_set(infos[i].name, "current", all, err);
	for (size_t i = 0; i < count && !rc; i++) {
		if (changes[i].what == LIST_LOAD)
			rc = prefixes_append(all, &changes[i].set);
		else if (changes[i].what == LIST_ROLLBACK)
			rc = list_read_set(changes[i].name, "previous", all, err);
	}
	free(infos);
	if (!rc)
		rc = prefixes_merge(all);
	if (rc == -ENOMEM)
		fail(err, ENOMEM, "out of memory");
	return rc;
}

int lists_read_union(struct prefixes *all, char *err)
{
	return read_union(NULL, 0, all, err);
}

/* ---- preparing ---- */

static int make_folder(const char *name)
{
	char path[PATH_LEN];

	int rc = maps_make_folder(LISTS_DIR);

	list_path(path, name, NULL);
	return rc ? rc : maps_make_folder(path);
}

static void drop_pin(const char *name, const char *which)
{
	char path[PATH_LEN];

	list_path(path, name, which);
	unlink(path);
	list_path(path, name, NULL);
	rmdir(path);	/* stays while there is anything in it */
}

static int rename_pin(const char *name, const char *from, const char *to)
{
	char old[PATH_LEN], new[PATH_LEN];

	list_path(old, name, from);
	list_path(new, name, to);
	return rename(old, new) ? -errno : 0;
}

static int pin_next(const struct list_change *change, struct view *view)
{
	char path[PATH_LEN];

	list_path(path, change->name, "next");
	unlink(path);
	return maps_pin(view->fd, path);
}

static int prepare_load(const struct list_change *change, uint64_t generation)
{
	struct weir_list current, previous;
	struct view view;
	int rc = make_folder(change->name);

	if (rc)
		return rc;
	read_head(change->name, "current", &current);
	read_head(change->name, "previous", &previous);
	rc = view_create(&view, &change->set);
	if (rc)
		return rc;
	view.head->format = change->format;
	view.head->skip_bad = change->skip_bad;
	view.head->force = change->force;
	view.head->generation = (current.generation > previous.generation ?
					 current.generation : previous.generation) + 1;
	view.head->set_generation = generation;
	view.head->loaded_unix_s = time(NULL);
	snprintf(view.head->file, sizeof(view.head->file), "%s", change->file);
	rc = pin_next(change, &view);
	view_close(&view);
	return rc;
}

/* The previous generation becomes the next; it keeps its number and its date. */
static int prepare_rollback(const struct list_change *change, uint64_t generation)
{
	struct view view;
	int rc = view_open(&view, change->name, "previous");

	if (rc)
		return rc;
	view.head->set_generation = generation;
	rc = pin_next(change, &view);
	view_close(&view);
	return rc;
}

static int prepare_del(const struct list_change *change, uint64_t generation)
{
	struct view view;
	int rc = view_open(&view, change->name, "current");

	if (rc)
		return rc;
	view.head->set_generation = generation;
	view_close(&view);
	return rename_pin(change->name, "current", "doomed");
}

/* What @alloc of the compiler needs: the map that it writes into. */
struct set_map {
	int fd;
	struct weir_line *lines;
	size_t size;
};

static struct weir_line *alloc_set(void *ctx, size_t lines)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	struct set_map *map = ctx;
	void *at;

	map->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_set", sizeof(__u32),
				 sizeof(struct weir_line), lines, &opts);
	if (map->fd < 0)
		return NULL;
	map->size = round_to_pages(lines * sizeof(struct weir_line));
	at = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	map->lines = at == MAP_FAILED ? NULL : at;
	return map->lines;
}

int lists_compile(const struct maps *maps, const struct prefixes *all, uint64_t generation, int *fd,
		  char *err)
{
	struct set_map map = { .fd = -1 };
	int rc = blockset_compile(all, maps->meta.seed ^ generation, generation, alloc_set, &map, err);

	if (map.lines)
		munmap(map.lines, map.size);
	if (rc && map.fd >= 0)
		close(map.fd);
	*fd = rc ? -1 : map.fd;
	return rc;
}

/* As many lists as there will be after @changes: not too many? */
static int check_count(const struct list_change *changes, size_t count, char *err)
{
	struct list_info *infos;
	size_t lists, after;
	int rc = lists_read(&infos, &lists, err);

	if (rc)
		return rc;
	after = lists;
	for (size_t i = 0; i < count; i++)
		after += changes[i].what == LIST_LOAD;
	for (size_t i = 0; i < lists; i++)
		after -= change_of(changes, count, infos[i].name) &&
			 change_of(changes, count, infos[i].name)->what != LIST_ROLLBACK;
	free(infos);
	return after <= LISTS_MAX ? 0 : fail(err, E2BIG, "that would be %zu lists, and %d is the "
					     "most; put some together", after, LISTS_MAX);
}

int lists_prepare(const struct maps *maps, struct list_change *changes, size_t count, int *set_fd,
		  char *err)
{
	uint64_t generation = maps_set_generation(maps) + 1;
	struct prefixes all = { 0 };
	int rc = check_count(changes, count, err);

	*set_fd = -1;
	if (!rc)
		rc = read_union(changes, count, &all, err);
	if (!rc)
		rc = lists_compile(maps, &all, generation, set_fd, err);
	if (!rc)
		maps_hint_set(maps, &all, true);
	for (size_t i = 0; i < count && !rc; i++) {
		if (changes[i].what == LIST_LOAD)
			rc = prepare_load(&changes[i], generation);
		else if (changes[i].what == LIST_ROLLBACK)
			rc = prepare_rollback(&changes[i], generation);
		else
			rc = prepare_del(&changes[i], generation);
		if (rc)
			fail(err, -rc, "cannot prepare list %s: %s", changes[i].name, strerror(-rc));
	}
	prefixes_free(&all);
	if (rc) {
		char ignored[ERR_LEN];

		if (*set_fd >= 0)
			close(*set_fd);
		*set_fd = -1;
		lists_recover(maps, ignored);
	}
	return rc;
}

int lists_publish(const struct maps *maps, int set_fd, char *err)
{
	int rc = maps_put_set(maps, set_fd);

	return rc ? fail(err, -rc, "cannot swap the block set: %s", strerror(-rc)) : 0;
}

/* ---- after the write, and after an accident ---- */

static int settle(const char *name, bool forward)
{
	struct weir_list head;
	int rc = 0;

	if (!read_head(name, "next", &head)) {
		if (forward) {
			if (!read_head(name, "current", &head))
				rc = rename_pin(name, "current", "previous");
			if (!rc)
				rc = rename_pin(name, "next", "current");
		} else {
			drop_pin(name, "next");
		}
	}
	if (!rc && !read_head(name, "doomed", &head)) {
		if (forward) {
			drop_pin(name, "previous");
			drop_pin(name, "doomed");
		} else {
			rc = rename_pin(name, "doomed", "current");
		}
	}
	return rc;
}

/* Whether what was begun with this list took effect. */
static bool took_effect(const char *name, uint64_t in_force)
{
	struct weir_list head;

	if (read_head(name, "next", &head) && read_head(name, "doomed", &head))
		return false;
	return head.set_generation <= in_force;
}

int lists_recover(const struct maps *maps, char *err)
{
	char names[NAMES_MAX][WEIR_NAME_LEN];
	uint64_t in_force = maps_set_generation(maps);
	size_t count;
	int rc = read_names(names, &count, err);

	for (size_t i = 0; i < count && !rc; i++) {
		rc = settle(names[i], took_effect(names[i], in_force));
		if (rc)
			fail(err, -rc, "cannot tidy up list %s: %s", names[i], strerror(-rc));
	}
	return rc;
}

int lists_finish(const struct maps *maps, const struct list_change *changes, size_t count, char *err)
{
	struct prefixes all = { 0 };
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		rc = settle(changes[i].name, true);
		if (rc)
			fail(err, -rc, "list %s is in force, but cannot be tidied up: %s",
			     changes[i].name, strerror(-rc));
	}
	if (!rc)
		rc = lists_read_union(&all, err);
	if (!rc)
		maps_hint_set(maps, &all, false);
	prefixes_free(&all);
	return rc;
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
