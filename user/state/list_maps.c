// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/model/error.h"
#include "user/state/list_maps.h"
#include "user/state/maps.h"
#include "user/state/pins.h"

#define LISTS_DIR	WEIR_PIN_ROOT "/lists"
#define HEAD_WORDS	(sizeof(struct weir_list) / sizeof(uint64_t))
#define PATH_LEN	128

static void list_path(char path[PATH_LEN], const char *name, const char *which)
{
	snprintf(path, PATH_LEN, LISTS_DIR "/%s%s%s", name, which ? "/" : "", which ? which : "");
}

static int add_name(const char *name, list_name **names, size_t *count)
{
	list_name *more = *names;

	if (!(*count & (*count - 1)))	/* the room is a power of two */
		more = reallocarray(*names, *count ? 2 * *count : 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	*names = more;
	strcpy(more[(*count)++], name);
	return 0;
}

int list_names(list_name **names, size_t *count, char *err)
{
	DIR *dir = opendir(LISTS_DIR);
	struct dirent *each;
	int rc = 0;

	*names = NULL;
	*count = 0;
	if (!dir)
		return errno == ENOENT ? 0 : fail(err, errno, "cannot open " LISTS_DIR ": %s",
						  strerror(errno));
	while (!rc && (each = readdir(dir)))
		if (each->d_name[0] != '.' && strlen(each->d_name) < WEIR_NAME_LEN)
			rc = add_name(each->d_name, names, count);
	closedir(dir);
	if (!rc)
		return 0;
	free(*names);
	*names = NULL;
	*count = 0;
	return fail(err, ENOMEM, "cannot read the names of the lists: out of memory");
}

const char *list_strerror(int rc)
{
	return rc == -EBADMSG ? "its map is damaged; `weir list del` it and load it anew" :
				strerror(-rc);
}

/* ---- one map, mapped into memory ---- */

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

	view->size = words * sizeof(uint64_t);
	at = mmap(NULL, view->size, PROT_READ | PROT_WRITE, MAP_SHARED, view->fd, 0);
	if (at == MAP_FAILED)
		return neg_errno();
	view->head = at;
	view->words = (uint64_t *)at + HEAD_WORDS;
	return 0;
}

static int view_check_map(const struct view *view, uint32_t *words)
{
	struct bpf_map_info info;
	int rc = map_info(view->fd, &info);

	if (rc)
		return rc;
	*words = info.max_entries;
	return info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(uint64_t) &&
	       info.max_entries >= HEAD_WORDS ? 0 : -EBADMSG;
}

static int view_open(struct view *view, const char *name, const char *which)
{
	char path[PATH_LEN];
	uint32_t words;
	int rc;

	list_path(path, name, which);
	*view = (struct view){ .fd = bpf_obj_get(path) };
	if (view->fd < 0)
		return neg_errno();
	rc = view_check_map(view, &words);
	if (!rc)
		rc = view_map(view, words);
	if (!rc && (view->head->magic != WEIR_LIST_MAGIC ||
		    HEAD_WORDS + view->head->v4_count + PREFIXES_V6_WORDS * view->head->v6_count >
			    words))
		rc = -EBADMSG;
	if (rc)
		view_close(view);
	return rc;
}

static int view_create(struct view *view, const struct weir_list *head, const struct prefixes *set)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t words = HEAD_WORDS + prefixes_words(set);
	int rc;

	*view = (struct view){ .fd = -1 };
	view->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_list", sizeof(__u32), sizeof(uint64_t),
				  words, &opts);
	if (view->fd < 0)
		return neg_errno();
	rc = view_map(view, words);
	if (rc) {
		view_close(view);
		return rc;
	}
	*view->head = *head;
	view->head->magic = WEIR_LIST_MAGIC;
	view->head->v4_count = set->v4_count;
	view->head->v6_count = set->v6_count;
	prefixes_pack(set, view->words);
	return 0;
}

/* ---- reading ---- */

int list_head(const char *name, const char *which, struct weir_list *head)
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

/* 1: there is such a map; 0: there is none, or not one of a list; -errno. */
static int is_there(const char *name, const char *which, struct weir_list *head)
{
	int rc = list_head(name, which, head);

	return !rc ? 1 : rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

/* Between the two renames of list_settle() the generation in force is still called next. */
const char *list_pin_in_force(const char *name)
{
	struct weir_list head;

	if (list_head(name, "current", &head) == -ENOENT && !list_head(name, "previous", &head) &&
	    !list_head(name, "next", &head))
		return "next";
	return "current";
}

int list_read_set(const char *name, const char *which, struct prefixes *set, char *err)
{
	bool current = !strcmp(which, "current");
	struct view view;
	int rc = view_open(&view, name, current ? list_pin_in_force(name) : which);

	if (rc == -ENOENT)
		return fail(err, ENOENT, "list %s has no %s generation", name, which);
	if (!rc) {
		rc = prefixes_unpack(set, view.words, view.head->v4_count, view.head->v6_count);
		view_close(&view);
	}
	if (rc == -EINVAL)
		rc = -EBADMSG;
	return rc ? fail(err, -rc, "cannot read list %s: %s", name, list_strerror(rc)) : 0;
}

/* ---- pins ---- */

static int make_folder(const char *name)
{
	char path[PATH_LEN];
	int rc = pins_make_folder(LISTS_DIR);

	list_path(path, name, NULL);
	return rc ? rc : pins_make_folder(path);
}

static int drop_pin(const char *name, const char *which)
{
	char path[PATH_LEN];
	int rc;

	list_path(path, name, which);
	rc = unlink(path) && errno != ENOENT ? -errno : 0;
	list_path(path, name, NULL);
	rmdir(path);	/* fails, as it should, while there is anything in it */
	return rc;
}

static int rename_pin(const char *name, const char *from, const char *to)
{
	char old[PATH_LEN], new[PATH_LEN];

	list_path(old, name, from);
	list_path(new, name, to);
	return rename(old, new) ? -errno : 0;
}

static int pin_next(const char *name, const struct view *view)
{
	char path[PATH_LEN];

	list_path(path, name, "next");
	unlink(path);
	return pins_put(view->fd, path);
}

/* ---- preparing ---- */

int list_prepare_next(const char *name, const struct weir_list *head, const struct prefixes *set)
{
	struct view view;
	int rc = make_folder(name);

	if (!rc)
		rc = view_create(&view, head, set);
	if (rc)
		return rc;
	rc = pin_next(name, &view);
	view_close(&view);
	return rc;
}

/* Moves generation @which of a list to where @pin puts it; it keeps its number and its date. */
static int prepare_move(const char *name, const char *which, uint64_t set_generation,
			int (*pin)(const char *name, const struct view *view))
{
	struct view view;
	int rc = view_open(&view, name, which);

	if (rc)
		return rc;
	view.head->set_generation = set_generation;
	rc = pin(name, &view);
	view_close(&view);
	return rc;
}

static int pin_doomed(const char *name, const struct view *view)
{
	(void)view;
	return rename_pin(name, "current", "doomed");
}

int list_prepare_previous(const char *name, uint64_t set_generation)
{
	return prepare_move(name, "previous", set_generation, pin_next);
}

int list_prepare_delete(const char *name, uint64_t set_generation)
{
	return prepare_move(name, "current", set_generation, pin_doomed);
}

/* ---- settling ---- */

static int settle_next(const char *name, bool forward)
{
	struct weir_list head;
	int there;

	if (!forward)
		return drop_pin(name, "next");
	there = is_there(name, "current", &head);
	if (there < 0)
		return there;
	if (there) {
		int rc = rename_pin(name, "current", "previous");

		if (rc)
			return rc;
	}
	return rename_pin(name, "next", "current");
}

static int settle_doomed(const char *name, bool forward)
{
	int rc;

	if (!forward)
		return rename_pin(name, "doomed", "current");
	rc = drop_pin(name, "previous");
	return rc ? rc : drop_pin(name, "doomed");
}

int list_settle(const char *name, bool forward)
{
	struct weir_list head;
	int there = is_there(name, "next", &head), rc = 0;

	if (there > 0)
		rc = settle_next(name, forward);
	if (there < 0 || rc)
		return there < 0 ? there : rc;
	there = is_there(name, "doomed", &head);
	return there > 0 ? settle_doomed(name, forward) : there;
}

int list_is_prepared(const char *name, uint64_t *set_generation)
{
	struct weir_list head;
	int there = is_there(name, "next", &head);

	if (!there)
		there = is_there(name, "doomed", &head);
	*set_generation = head.set_generation;
	return there;
}
