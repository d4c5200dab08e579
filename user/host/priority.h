/* SPDX-License-Identifier: GPL-2.0-only */
/* The place of a command among the processes of a machine that a flood keeps busy. */
#ifndef WEIR_HOST_PRIORITY_H
#define WEIR_HOST_PRIORITY_H

/*
 * From here on this process goes before all that are not real-time, and to a core that runs none of
 * those: for commands that change what the data path does, which take some tenths of a second of CPU
 * time, mostly in the kernel. Its threads and children do so as well. Without the right to do that,
 * nothing changes.
 */
void run_before_others(void);

#endif
