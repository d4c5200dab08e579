/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables that the data path writes: counters of devices, buckets, gate, budgets, rules. */
#ifndef WEIR_STATE_TABLES_H
#define WEIR_STATE_TABLES_H

#include "user/state/maps.h"

/* What the device in @slot counted, summed over the CPUs. 0 or -errno. */
int maps_read_counters(const struct maps *maps, uint32_t slot, struct weir_counters *sum);
int maps_clear_counters(const struct maps *maps, uint32_t slot);

/* Calls @each for every bucket until it returns non-zero; returns that, or -errno. */
int maps_each_bucket(const struct maps *maps,
		     int (*each)(const struct weir_bucket_key *key,
				 const struct weir_bucket *bucket, void *arg),
		     void *arg);
int maps_read_bucket(const struct maps *maps, const struct weir_bucket_key *key,
		     struct weir_bucket *bucket);

/* The state of a budget, and what it counted, summed over the CPUs. 0 or -errno. */
int maps_read_budget(const struct maps *maps, uint32_t slot, struct weir_budget_state *state,
		     struct weir_spending *sum);
int maps_clear_budget(const struct maps *maps, uint32_t slot);
/* What a drop rule counted, summed over the CPUs. 0 or -errno. */
int maps_read_rule(const struct maps *maps, uint32_t slot, struct weir_rule_count *sum);
/* Its counts and its bucket. */
int maps_clear_rule(const struct maps *maps, uint32_t slot);
/* What all budgets share. 0 or -errno. */
int maps_read_common(const struct maps *maps, struct weir_common *common);

#endif
