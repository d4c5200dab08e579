/* SPDX-License-Identifier: GPL-2.0-only */
/* Writing a file so that it is the old one or the new one at each moment. */
#ifndef WEIR_HOST_WRITE_FILE_H
#define WEIR_HOST_WRITE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Beside it as PATH.new, to the disk, and renamed. 0, or -errno with @err. */
int file_replace(const char *path, const void *data, size_t size, mode_t mode, char *err);

/*
 * Makes the folder that the file is in, but none above that. A daemon that systemd did not start has
 * no folder of its own yet. Where it fails, writing the file does, and says why.
 */
void make_folder_of(const char *file);

#endif
