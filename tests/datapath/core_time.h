/* SPDX-License-Identifier: GPL-2.0-only */
/* What the SYNs of a core have used of its time, set from outside. */
#ifndef WEIR_TESTS_CORE_TIME_H
#define WEIR_TESTS_CORE_TIME_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "user/state/maps.h"

/* The same for every core. Returns 0, or not, with errno. */
static inline int put_core_time(const struct maps *maps, struct weir_core_time each)
{
	int cpus = libbpf_num_possible_cpus(), rc = -1;
	struct weir_core_time *all = calloc(cpus, sizeof(*all));
	__u32 zero = 0;

	for (int i = 0; all && i < cpus; i++)
		all[i] = each;
	if (all)
		rc = bpf_map_update_elem(maps->fd[MAP_core_time], &zero, all, BPF_ANY);
	free(all);
	return rc;
}

#endif
