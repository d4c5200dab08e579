/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The folder in bpffs that holds the pins of all maps: mounting it, the lock of its writers,
 * making and removing what is in it.
 */
#ifndef WEIR_STATE_PINS_H
#define WEIR_STATE_PINS_H

#include <stdbool.h>

#define BPFFS		"/sys/fs/bpf"

bool pins_are_mounted(void);
/* Mounts bpffs where it is missing. 0 or -errno with @err. */
int pins_mount(char *err);

/*
 * Takes the lock that one writer at a time holds on the folder, and waits up to 10 s for it.
 * Returns an fd to close, or -errno with @err. @create: makes the folder first. Without it,
 * -ENOENT leaves @err as it is: there is no folder, so weir is not in use.
 */
int pins_lock(bool create, char *err);

/*
 * Pins a map, makes a folder (or finds it there): both are open to the daemon's group where
 * the folder of all pins is. 0 or -errno.
 */
int pins_put(int fd, const char *path);
int pins_make_folder(const char *path);

/*
 * Removes everything below the folder: what a creation left that did not finish. 0 or -errno
 * with @err.
 */
int pins_clear(char *err);
/* Removes the folder and all that is in it. 0 or -errno with @err. */
int pins_remove(char *err);

#endif
