/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work that may not come back, such as looking at a file of a network file system that hangs. It is
 * done by a child process, since a process in such a call cannot be ended until the file system
 * answers, and would keep what it has open: locks, the watchdog, the end of the daemon.
 */
#ifndef WEIR_HOST_BOUNDED_H
#define WEIR_HOST_BOUNDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Zeroed memory that a child writes and this process reads; costs only what is written. NULL: none. */
void *bounded_memory(size_t size);
void bounded_memory_free(void *memory, size_t size);
/*
 * Runs @job in a child process, which has no file open but @fd (-1: none).
 * 0: it is done; -ETIMEDOUT: not within @ns, and it was killed. It may live on for as long as the
 * file system hangs: *@left is its number then, for bounded_is_over(). Or another -errno.
 */
int bounded_run(void (*job)(void *arg), void *arg, int fd, uint64_t ns, pid_t *left);
/* Whether a child that was left, or none (0), has ended; sets *@left to 0 then. */
bool bounded_is_over(pid_t *left);

#endif
