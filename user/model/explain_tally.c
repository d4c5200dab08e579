// SPDX-License-Identifier: GPL-2.0-only
/* Counts of values by weight, of at most as many as half a sample has packets. */
#include <string.h>

#include "user/model/explain_private.h"

#define SLOTS	(sizeof(((struct tallies *)0)->slot) / sizeof(uint16_t))
#define SLOT_BITS	14

_Static_assert(SLOTS == 1 << SLOT_BITS && SLOTS >= 2 * HALF_MOST, "at most half full");

void tally_clear(struct tallies *tallies)
{
	tallies->count = 0;
	memset(tallies->slot, 0, sizeof(tallies->slot));
}

/* Multiply-shift with a secret key (Dietzfelbinger 1997). */
uint64_t tally_hash(const struct tallies *tallies, uint64_t hi, uint64_t lo)
{
	uint64_t mixed = (lo ^ hi >> 32 ^ hi << 32) * (tallies->key | 1);

	return (mixed ^ mixed >> 29 ^ hi) * (tallies->key >> 7 | 1);
}

void tally_add(struct tallies *tallies, uint64_t hi, uint64_t lo, uint64_t weight)
{
	uint32_t slot = tally_hash(tallies, hi, lo) >> (64 - SLOT_BITS);
	struct tally *entry;

	for (; tallies->slot[slot]; slot = (slot + 1) % SLOTS) {
		entry = &tallies->entry[tallies->slot[slot] - 1];
		if (entry->key[0] == hi && entry->key[1] == lo) {
			entry->weight += weight;
			return;
		}
	}
	if (tallies->count >= HALF_MOST)
		return;
	entry = &tallies->entry[tallies->count];
	*entry = (struct tally){ { hi, lo }, weight, tallies->count };
	tallies->slot[slot] = ++tallies->count;
}

uint32_t tally_greatest(struct tallies *tallies, uint32_t most)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < tallies->count; i++) {
		struct tally entry = tallies->entry[i];
		uint32_t at = kept;

		if (kept == most && tallies->entry[kept - 1].weight >= entry.weight)
			continue;
		if (kept == most)
			at--;
		for (; at && tallies->entry[at - 1].weight < entry.weight; at--)
			tallies->entry[at] = tallies->entry[at - 1];
		tallies->entry[at] = entry;
		kept += kept < most;
	}
	return kept;
}

void tally_field(struct tallies *tallies, const struct half *half, enum explain_field field,
		 const bits_t set)
{
	tally_clear(tallies);
	for (uint32_t w = 0; w < half->weights; w++)
		for (uint32_t i = 0; i < half->words; i++)
			for (uint64_t left = set[i] & half->weight[w][i]; left; left &= left - 1)
				tally_add(tallies, 0, (uint32_t)half->columns->number[field][
					  i * 64 + __builtin_ctzll(left)], 1ULL << half->shift[w]);
}
