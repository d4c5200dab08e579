/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of networks under pressure: the /24s and /48s of newcomers from which
 * budgets dropped packets, and how many. The data path fills it, see bpf/budget.h.
 */
#ifndef WEIR_STATE_NETWORKS_H
#define WEIR_STATE_NETWORKS_H

#include "user/state/maps.h"

struct network {
	uint32_t line;		/* in the table */
	uint64_t key;		/* as in struct weir_network; another network may take the line */
	struct prefix prefix;	/* the /24 or /48 that @key stands for */
	uint64_t dropped;	/* packets, since the network took the line */
	uint64_t seen_ns;	/* the last of them, coarse clock */
};

/*
 * Calls @each for every network in the table, in the order of lines, until it returns
 * non-zero; returns that, or -errno where the table cannot be mapped.
 */
int networks_each(const struct maps *maps, int (*each)(const struct network *network, void *arg),
		  void *arg);

#endif
