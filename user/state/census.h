/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How full the tables are, at a price that can be paid for every scrape. Each
 * of them is filled by a hash, so any part of it is a fair sample of the whole.
 */
#ifndef WEIR_STATE_CENSUS_H
#define WEIR_STATE_CENSUS_H

#include "user/state/maps.h"

struct census {
	uint64_t entries;
	uint64_t capacity;
};

/* Exact below 8,000, then estimated: a million to 2 %. All: 0 or -errno. */
int census_buckets(const struct maps *maps, struct census *census);
/* Known sources, without those that are not known yet; estimated from 1/256. */
int census_known(const struct maps *maps, struct census *census);
/* The share of the gate's cells that owe anything, estimated from 1/16 to 0.4 %. */
int census_gate(const struct maps *maps, double *share);

#endif
