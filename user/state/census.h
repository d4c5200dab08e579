/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How full the tables are, at a cost that every scrape can pay. Each table is filled by a
 * hash, so any part of it is a fair sample of the whole.
 */
#ifndef WEIR_STATE_CENSUS_H
#define WEIR_STATE_CENSUS_H

#include "user/state/maps.h"

struct census {
	uint64_t entries;
	uint64_t capacity;
};

/* Exact below 8,000 entries, estimated above: a million to 2 %. All return 0 or -errno. */
int census_buckets(const struct maps *maps, struct census *census);
/* Known sources in all and by tier, without those still on their way to it; estimated from 1/256 of
 * the table. */
int census_known(const struct maps *maps, struct census *census, uint64_t of_tier[WEIR_TIERS]);
/* The share of cells with any debt in the part of the gate that all limits use, 1/16 of it. */
int census_gate(const struct maps *maps, double *share);

#endif
