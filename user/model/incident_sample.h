/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sampled packets of a flood have in common: a table for each property, of fixed size.
 *
 * The tables are those of Metwally's Space-Saving (ICDT 2005) with weights: of a packet's key that
 * no item has, the item with the least weight is taken over, weight and all, and notes how much of
 * it may be of others. What an item has beyond that is never more than the truth, and a key with
 * more than 1/INCIDENT_ITEMS of all packets has an item. So random addresses fill no memory, and
 * none of them is named as a source of the flood. Pure.
 */
#ifndef WEIR_MODEL_INCIDENT_SAMPLE_H
#define WEIR_MODEL_INCIDENT_SAMPLE_H

#include "user/model/incident.h"

#define INCIDENT_ITEMS	128
#define INCIDENT_BLOCK	4096	/* samples among which those of one source are counted */

struct sample_item {
	struct incident_item of;	/* of.sampled: weight, that of others included */
	uint64_t of_others;		/* the most that it may be */
	uint32_t hits;			/* samples since it has this key */
};

struct sample_table {
	struct sample_item at[INCIDENT_ITEMS];
	uint32_t count;
};

struct sample_source {
	uint64_t hi, lo, weight;
};

struct incident_sample {
	struct sample_table table[INCIDENT_TABLES];
	uint64_t of_class[INCIDENT_CLASSES];
	uint64_t samples, sampled;
	struct sample_source block[INCIDENT_BLOCK];
	uint32_t block_count;
	double pairs, same;
	uint64_t pair_count;
};

void incident_sample_put(struct incident_sample *sample, const struct weir_event *event);
/* Writes what was sampled to @incident, its kind included. */
void incident_sample_tell(struct incident_sample *sample, struct incident *incident);
/* Begins with what @incident has of samples: of a daemon that was started again. */
void incident_sample_resume(struct incident_sample *sample, const struct incident *incident);

#endif
