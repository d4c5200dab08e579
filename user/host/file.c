// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/host/file.h"
#include "user/model/error.h"

#define ROOM_LEAST	4096	/* files of /proc say that they are empty */
#define FD_PATH		32

static void fd_path(int fd, char path[FD_PATH])
{
	snprintf(path, FD_PATH, "/proc/self/fd/%d", fd);
}

/*
 * Opening a pipe waits for its other end, and opening a device may start something. The file is
 * therefore looked at before it is opened, by an fd that cannot be exchanged in between.
 * O_NONBLOCK: another process may hold a lease on it, for which open() would wait 45 s.
 */
static int open_regular(const char *path, struct stat *st, char *err)
{
	int place = open(path, O_PATH | O_CLOEXEC), fd;
	char again[FD_PATH];

	if (place < 0 || fstat(place, st)) {
		fd = fail(err, errno, "cannot open %.200s: %s", path, strerror(errno));
	} else if (!S_ISREG(st->st_mode)) {
		fd = fail(err, EINVAL, "%.200s is not a regular file", path);
	} else {
		fd_path(place, again);
		fd = open(again, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			fd = fail(err, errno, "cannot open %.200s: %s", path, errno == EWOULDBLOCK ?
				  "another process holds a lease on it" : strerror(errno));
	}
	if (place >= 0)
		close(place);
	return fd;
}

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int too_large(const char *path, size_t most, char *err)
{
	return fail(err, EFBIG, "%.180s is larger than %zu MiB, which is the most", path, most >> 20);
}

/* Reads to the end, and not through a mapping: a file that is cut meanwhile would end the process. */
static int read_to_end(int fd, const char *path, size_t most, struct file_text *text, char *err)
{
	size_t room = text->size + ROOM_LEAST;
	ssize_t got;

	text->size = 0;
	text->data = malloc(room + 1);
	while (text->data && (got = read(fd, text->data + text->size, room - text->size)) != 0) {
		char *more;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, errno, "cannot read %.200s: %s", path, strerror(errno));
		text->size += got;
		if (text->size > most)
			return too_large(path, most, err);
		if (text->size < room)
			continue;
		room = 2 * room < most + ROOM_LEAST ? 2 * room : most + ROOM_LEAST;
		more = realloc(text->data, room + 1);
		if (!more)
			free(text->data);
		text->data = more;
	}
	if (!text->data)
		return fail(err, ENOMEM, "cannot read %.200s: out of memory", path);
	text->data[text->size] = '\0';
	return 0;
}

/* ---- who can read the file, and who chose it ---- */

/* Calls @holds for "/", "/a", "/a/b", ... of an absolute @path, itself included. */
static bool all_on_path(const char *path, bool (*holds)(const struct stat *st))
{
	char part[PATH_MAX] = "/";
	struct stat st;

	for (size_t at = 0;;) {
		if (lstat(part, &st) || !holds(&st))
			return false;
		if (!path[at] || !path[at + 1])
			return true;
		at += 1 + strcspn(path + at + 1, "/");
		memcpy(part, path, at);
		part[at] = '\0';
	}
}

static bool is_open_to_all(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? st->st_mode & S_IXOTH : S_ISREG(st->st_mode) &&
							      st->st_mode & S_IROTH;
}

/* In a folder with the sticky bit, as /tmp, other users cannot exchange what is not theirs. */
static bool is_of_this_user(const struct stat *st)
{
	if (st->st_uid && st->st_uid != geteuid())
		return false;
	return S_ISREG(st->st_mode) ||
	       (S_ISDIR(st->st_mode) &&
		(!(st->st_mode & (S_IWGRP | S_IWOTH)) || st->st_mode & S_ISVTX));
}

/* The file that is open, and not what now stands in the place that @path names. */
static bool may_be_quoted(int fd, const char *path)
{
	char link[FD_PATH], real[PATH_MAX], named[PATH_MAX];
	ssize_t length;

	fd_path(fd, link);
	length = readlink(link, real, sizeof(real) - 1);
	if (length <= 0 || real[0] != '/')
		return false;
	real[length] = '\0';
	if (all_on_path(real, is_open_to_all))
		return true;
	named[0] = '\0';
	if (*path != '/' && (!getcwd(named, sizeof(named)) ||
			     strlen(named) + strlen(path) + 2 > sizeof(named)))
		return false;
	if (*path != '/')
		strcat(named, "/");
	if (strlen(named) + strlen(path) >= sizeof(named))
		return false;
	strcat(named, path);
	return !strcmp(named, real) && all_on_path(real, is_of_this_user);
}

int file_read(const char *path, size_t most, struct file_text *text, char *err)
{
	struct stat before, after;
	int fd = open_regular(path, &before, err), rc;

	*text = (struct file_text){ 0 };
	if (fd < 0)
		return fd;
	if (before.st_size > 0 && (uint64_t)before.st_size > most) {
		rc = too_large(path, most, err);
	} else {
		text->size = before.st_size;
		rc = read_to_end(fd, path, most, text, err);
	}
	if (!rc && (fstat(fd, &after) || !same_content(&before, &after) ||
		    (before.st_size && text->size != (size_t)before.st_size)))
		rc = fail(err, EAGAIN, "%.180s was changed while it was read; try again when it is "
			  "complete", path);
	if (!rc)
		text->quotable = may_be_quoted(fd, path);
	close(fd);
	if (rc)
		file_text_free(text);
	return rc;
}

void file_text_free(struct file_text *text)
{
	free(text->data);
	*text = (struct file_text){ 0 };
}
