// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "user/host/file.h"
#include "user/model/error.h"
#include "user/state/list_keep.h"

#define KEPT_MAGIC	0x315450454b524957ULL	/* "WIRKEPT1" */
#define FILE_MOST	(sizeof(struct kept_head) + \
			 LIST_PREFIXES_MOST * PREFIXES_V6_WORDS * sizeof(uint64_t))
#define LEFT_OVER_S	3600	/* a file aside that is older was left by a process that was killed */
#define NAME_ASIDE	(WEIR_NAME_LEN + 32)

/* The file, in little-endian order as everything in weir; the words of prefixes_pack() follow. */
struct kept_head {
	uint64_t magic;
	uint64_t v4_count, v6_count;
	uint64_t words_sum;		/* of the words behind this head */
	char list[WEIR_NAME_LEN];
	uint64_t head_sum;		/* of all of the above */
};

/* A change of one word always changes the sum: each step is a bijection of it. */
static uint64_t sum_of(const void *data, size_t size)
{
	const char *at = data;
	uint64_t sum = 0xcbf29ce484222325ULL, word;

	for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
		sum ^= sum >> 32;
	}
	return sum;
}

_Static_assert(offsetof(struct kept_head, head_sum) % sizeof(uint64_t) == 0, "sum_of() takes words");

static uint64_t head_sum(const struct kept_head *head)
{
	return sum_of(head, offsetof(struct kept_head, head_sum));
}

/* ---- the folder ---- */

/* What root makes here belongs to the user that owns the folder, which is the daemon's. */
static void give_to_owner(int fd, int folder)
{
	struct stat st;

	if (geteuid() == 0 && !fstat(folder, &st) && st.st_uid && fchown(fd, st.st_uid, st.st_gid))
		return;
}

/*
 * The folder may belong to the daemon's user, which is not trusted with root's rights: every name
 * in it is used without following links. An fd or -errno.
 */
static int open_folder(bool make)
{
	int parent, fd, rc;

	if (make && mkdir(STATE_FOLDER, 0750) && errno != EEXIST)
		return -errno;
	parent = open(STATE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	fd = openat(parent, "kept", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make && !mkdirat(parent, "kept", 0700)) {
		fd = openat(parent, "kept", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			give_to_owner(fd, parent);
	}
	rc = fd < 0 ? -errno : fd;
	close(parent);
	return rc;
}

struct kept_file {
	char name[NAME_ASIDE];
	time_t changed;
	uint64_t size;
};

static int newest_first(const void *a, const void *b)
{
	const struct kept_file *x = a, *y = b;

	return x->changed < y->changed ? 1 : x->changed > y->changed ? -1 : strcmp(x->name, y->name);
}

static void drop_what_is_too_much(int folder, struct kept_file *files, size_t count)
{
	uint64_t bytes = 0;
	size_t kept = 0;

	if (count)	/* else @files is NULL, which qsort() must not be given */
		qsort(files, count, sizeof(*files), newest_first);
	for (size_t i = 0; i < count; i++) {
		bool aside = files[i].name[0] == '.';

		if (!aside && kept < LISTS_MAX && bytes + files[i].size <= KEPT_BYTES_MOST) {
			kept++;
			bytes += files[i].size;
		} else if (!aside || files[i].changed + LEFT_OVER_S < time(NULL)) {
			unlinkat(folder, files[i].name, 0);
		}
	}
}

static void tidy(int folder)
{
	struct kept_file *files = NULL, *more;
	size_t count = 0, room = 0;
	struct dirent *each;
	int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);

	while (dir && (each = readdir(dir))) {
		struct stat st;

		if (strlen(each->d_name) >= NAME_ASIDE ||
		    fstatat(folder, each->d_name, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode))
			continue;
		if (count == room) {
			more = reallocarray(files, room = 2 * room + 64, sizeof(*files));
			if (!more)
				break;
			files = more;
		}
		strcpy(files[count].name, each->d_name);
		files[count].changed = st.st_mtime;
		files[count++].size = st.st_size;
	}
	drop_what_is_too_much(folder, files, count);
	free(files);
	if (dir)
		closedir(dir);
	else if (again >= 0)
		close(again);
}

/* ---- writing ---- */

static int write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno != EINTR)
			return -errno;
		at += put < 0 ? 0 : put;
		size -= put < 0 ? 0 : put;
	}
	return 0;
}

/* Whether the file has this content already; then only its date becomes that of now. */
static bool refresh(int folder, const struct kept_head *head)
{
	int fd = openat(folder, head->list, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct kept_head old;
	struct stat st;
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == sizeof(old) + (head->v4_count + PREFIXES_V6_WORDS *
							  head->v6_count) * sizeof(uint64_t) &&
	       read(fd, &old, sizeof(old)) == sizeof(old) && !memcmp(&old, head, sizeof(old)) &&
	       !futimens(fd, NULL);
	close(fd);
	return same;
}

static int write_aside(int folder, const char *aside, const struct kept_head *head,
		       const uint64_t *words, size_t size)
{
	int fd, rc;

	unlinkat(folder, aside, 0);
	fd = openat(folder, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	give_to_owner(fd, folder);
	rc = write_all(fd, head, sizeof(*head));
	if (!rc)
		rc = write_all(fd, words, size);
	if (!rc && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int keep(int folder, const char *name, const struct prefixes *set)
{
	struct kept_head head = { .magic = KEPT_MAGIC, .v4_count = set->v4_count,
				  .v6_count = set->v6_count };
	size_t size = prefixes_words(set) * sizeof(uint64_t);
	uint64_t *words = malloc(size + 1);
	char aside[NAME_ASIDE];
	int rc = 0;

	if (!words)
		return -ENOMEM;
	snprintf(head.list, sizeof(head.list), "%s", name);
	prefixes_pack(set, words);
	head.words_sum = sum_of(words, size);
	head.head_sum = head_sum(&head);
	if (!refresh(folder, &head)) {
		snprintf(aside, sizeof(aside), ".%s.%d", name, getpid());
		rc = write_aside(folder, aside, &head, words, size);
		if (!rc && renameat(folder, aside, folder, name))
			rc = -errno;
		if (rc)
			unlinkat(folder, aside, 0);
	}
	free(words);
	return rc;
}

static int keep_change(int folder, const struct list_change *change, char *err)
{
	struct prefixes set = { 0 };
	int rc = 0;

	if (change->what == LIST_DEL) {
		unlinkat(folder, change->name, 0);
	} else if (change->what == LIST_ROLLBACK) {
		rc = list_read_set(change->name, "current", &set, err);
		if (!rc)
			rc = keep(folder, change->name, &set);
		prefixes_free(&set);
	} else if (!change->instead) {
		rc = keep(folder, change->name, &change->set);
	}
	return rc;
}

static int cannot_keep(const char *name, int rc, char *err)
{
	return fail(err, -rc, "list %s is in force, but cannot be kept in " LISTS_KEPT " for the next "
		    "boot: %s", name, strerror(-rc));
}

int lists_keep(const struct list_change *changes, size_t count, char *err)
{
	int folder = open_folder(true), rc = 0;

	if (folder < 0)
		return count ? cannot_keep(changes[0].name, folder, err) : 0;
	for (size_t i = 0; i < count; i++) {
		int one = keep_change(folder, &changes[i], err);

		if (one && !rc)
			rc = cannot_keep(changes[i].name, one, err);
	}
	tidy(folder);
	if (fsync(folder) && !rc)
		rc = fail(err, errno, "cannot write " LISTS_KEPT ": %s", strerror(errno));
	close(folder);
	return rc;
}

int lists_keep_missing(const struct list_info *infos, size_t count, char *err)
{
	int folder = open_folder(true), rc = 0;

	if (folder < 0)
		return count ? cannot_keep(infos[0].name, folder, err) : 0;
	for (size_t i = 0; i < count && !rc; i++) {
		struct prefixes set = { 0 };
		struct stat st;

		if (!fstatat(folder, infos[i].name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !(infos[i].current.v4_count + infos[i].current.v6_count))
			continue;
		rc = list_read_set(infos[i].name, "current", &set, err);
		if (!rc)
			rc = keep(folder, infos[i].name, &set);
		if (rc)
			cannot_keep(infos[i].name, rc, err);
		prefixes_free(&set);
	}
	close(folder);
	return rc;
}

/* ---- reading ---- */

static bool is_whole(const struct file_text *text, const char *name, struct kept_head *head)
{
	size_t size = text->size - sizeof(*head), words = size / sizeof(uint64_t);

	if (text->size < sizeof(*head))
		return false;
	memcpy(head, text->data, sizeof(*head));
	return head->magic == KEPT_MAGIC && head->head_sum == head_sum(head) &&
	       !strncmp(head->list, name, sizeof(head->list)) &&
	       head->v4_count <= LIST_PREFIXES_MOST && head->v6_count <= LIST_PREFIXES_MOST &&
	       size % sizeof(uint64_t) == 0 &&
	       words == head->v4_count + PREFIXES_V6_WORDS * head->v6_count &&
	       head->words_sum == sum_of(text->data + sizeof(*head), size);
}

int list_read_kept(const char *name, struct prefixes *set, uint64_t *since_unix_s, char *err)
{
	char path[sizeof(LISTS_KEPT) + WEIR_NAME_LEN + 1];
	struct kept_head head;
	struct file_text text;
	struct stat st;
	int rc;

	snprintf(path, sizeof(path), LISTS_KEPT "/%s", name);
	rc = lstat(path, &st) ? -errno : 0;
	if (rc == -ENOENT)
		return fail(err, ENOENT, "no generation of list %s is kept", name);
	if (rc || !S_ISREG(st.st_mode))
		return fail(err, rc ? -rc : EINVAL, "%s cannot be used: %s", path,
			    rc ? strerror(-rc) : "it is not a regular file");
	rc = file_read(path, FILE_MOST, &text, err);
	if (rc)
		return rc;
	*since_unix_s = st.st_mtime;
	if (!is_whole(&text, name, &head))
		rc = fail(err, EBADMSG, "%s is damaged: its checksum is wrong", path);
	else if (prefixes_unpack(set, (const uint64_t *)(text.data + sizeof(head)), head.v4_count,
				 head.v6_count))
		rc = fail(err, EBADMSG, "%s is damaged, or there is no memory for it", path);
	file_text_free(&text);
	return rc;
}
