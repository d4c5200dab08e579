// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/host/write_file.h"
#include "user/model/error.h"

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? neg_errno() : -EIO;
		data += done;
		size -= done;
	}
	return fsync(fd) ? neg_errno() : 0;
}

/* What another hand may have left in the place of the new file is removed, not written through. */
static int open_new(const char *path, mode_t mode)
{
	int fd;

	if (unlink(path) && errno != ENOENT)
		return neg_errno();
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? neg_errno() : fd;
}

int file_replace(const char *path, const void *data, size_t size, mode_t mode, char *err)
{
	char aside[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside))
		return fail(err, ENAMETOOLONG, "the name of %.120s is too long", path);
	fd = open_new(aside, mode);
	if (fd < 0)
		return fail(err, -fd, "cannot write %.180s: %s", aside, strerror(-fd));
	rc = write_all(fd, data, size);
	if (close(fd) && !rc)
		rc = neg_errno();
	if (!rc && rename(aside, path))
		rc = neg_errno();
	if (!rc)
		return 0;
	unlink(aside);
	return fail(err, -rc, "cannot write %.180s: %s", path, strerror(-rc));
}

void make_folder_of(const char *file)
{
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", file);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = '\0';
	mkdir(folder, 0700);
}
