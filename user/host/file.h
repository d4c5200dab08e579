/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading files whose folder another user may own. Such a user can put anything in the place of the
 * file at any moment: a pipe, a device, a link to a file that only this process may read.
 */
#ifndef WEIR_HOST_FILE_H
#define WEIR_HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct file_text {
	char *data;		/* allocated; a NUL follows it */
	size_t size;
	/*
	 * Whether a message may quote from it: every user can read the file, or only root and this
	 * process's user could have put it there.
	 */
	bool quotable;
};

/*
 * Reads a regular file of at most @most bytes into memory. It does not block on what is in the
 * file's place, and does not open anything but a regular file. 0, or -errno with @err, which names
 * the file: -EFBIG, -EAGAIN (it was changed meanwhile), ...
 */
int file_read(const char *path, size_t most, struct file_text *text, char *err);
void file_text_free(struct file_text *text);

#endif
