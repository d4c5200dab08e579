/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sums of sampled packets by source and reason, over the last seconds. Senders choose the sources,
 * so their places come from a keyed hash. Pure: time is an argument.
 */
#ifndef WEIR_MODEL_TALLIES_H
#define WEIR_MODEL_TALLIES_H

#include "user/model/hash_table.h"
#include "user/model/policy.h"

#define TALLIES_MOST	8192	/* TALLY_SLICES seconds have fewer samples */
#define TALLY_SLICES	4	/* seconds over which samples are averaged */

struct tally {
	uint64_t hi, lo;
	uint8_t reason;
	struct packet_kind kind;	/* of the last sample */
	uint32_t samples[TALLY_SLICES];
	uint64_t weight[TALLY_SLICES], total;
};

struct tallies {
	struct tally at[TALLIES_MOST];
	size_t count;
	struct hash_table index;	/* uint64_t: the place in @at */
	uint32_t slice;
	uint64_t slice_ns[TALLY_SLICES];	/* start of each slice */
};

/* @seed: random. Allocates nothing. */
void tallies_init(struct tallies *tallies, const struct hash_seed *seed, uint64_t now_ns);
void tallies_free(struct tallies *tallies);
/* Adds a sample that stands for @weight packets. When all tallies are in use, new sources are lost. */
void tallies_note(struct tallies *tallies, uint64_t hi, uint64_t lo, uint8_t reason,
		  const struct packet_kind *kind, uint64_t weight);
/* Drops the oldest slice, and the tallies that have no samples in the others. */
void tallies_next_slice(struct tallies *tallies, uint64_t now_ns);
/* How long the slices together have lasted. */
double tallies_seconds(const struct tallies *tallies, uint64_t now_ns);

uint32_t tally_samples(const struct tally *tally);
uint64_t tally_weight(const struct tally *tally);

#endif
