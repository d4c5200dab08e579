/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes of this host, from /proc. */
#ifndef WEIR_HOST_PROCESS_H
#define WEIR_HOST_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * When the process was started, in clock ticks (sysconf(_SC_CLK_TCK)) since boot. Process
 * numbers are used again; a number together with its start is not. 0: there is no such
 * process, or /proc is not mounted.
 */
uint64_t process_started(pid_t pid);

/*
 * Whether the process with that number and that start still runs. A start of 0, noted where
 * /proc was not mounted, counts as running for as long as it is not mounted.
 */
bool process_is_running(pid_t pid, uint64_t started);

/* The number of its parent; 0 where it has none or does not run. */
pid_t process_parent(pid_t pid);

#endif
