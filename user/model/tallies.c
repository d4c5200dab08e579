// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user/model/tallies.h"
#include "user/model/units.h"

void tallies_init(struct tallies *tallies, const struct hash_seed *seed, uint64_t now_ns)
{
	memset(tallies, 0, sizeof(*tallies));
	hash_table_init(&tallies->index, sizeof(uint64_t), seed);
	for (int i = 0; i < TALLY_SLICES; i++)
		tallies->slice_ns[i] = now_ns;
}

void tallies_free(struct tallies *tallies)
{
	hash_table_clear(&tallies->index);
}

/* Enters tallies->at[@place]. False: out of memory. */
static bool enter(struct tallies *tallies, size_t place)
{
	const struct tally *tally = &tallies->at[place];
	struct hash_key key = { tally->hi, tally->lo, tally->reason };
	uint64_t *value = hash_table_put(&tallies->index, &key);

	if (value)
		*value = place;
	return value;
}

/* NULL: there is no room for a new one. */
static struct tally *find_or_add(struct tallies *tallies, uint64_t hi, uint64_t lo, uint8_t reason)
{
	struct hash_key key = { hi, lo, reason };
	const uint64_t *value = hash_table_find(&tallies->index, &key);

	if (value)
		return &tallies->at[*value];
	if (tallies->count == TALLIES_MOST)
		return NULL;
	tallies->at[tallies->count] = (struct tally){ .hi = hi, .lo = lo, .reason = reason };
	return enter(tallies, tallies->count) ? &tallies->at[tallies->count++] : NULL;
}

void tallies_note(struct tallies *tallies, uint64_t hi, uint64_t lo, uint8_t reason,
		  const struct packet_kind *kind, uint64_t weight)
{
	struct tally *tally = find_or_add(tallies, hi, lo, reason);

	if (!tally)
		return;
	tally->kind = *kind;
	tally->samples[tallies->slice]++;
	tally->weight[tallies->slice] += weight;
	tally->total += weight;
}

uint32_t tally_samples(const struct tally *tally)
{
	uint32_t sum = 0;

	for (int i = 0; i < TALLY_SLICES; i++)
		sum += tally->samples[i];
	return sum;
}

uint64_t tally_weight(const struct tally *tally)
{
	uint64_t sum = 0;

	for (int i = 0; i < TALLY_SLICES; i++)
		sum += tally->weight[i];
	return sum;
}

void tallies_next_slice(struct tallies *tallies, uint64_t now_ns)
{
	size_t kept = 0;

	tallies->slice = (tallies->slice + 1) % TALLY_SLICES;
	tallies->slice_ns[tallies->slice] = now_ns;
	hash_table_clear(&tallies->index);
	for (size_t i = 0; i < tallies->count; i++) {
		struct tally *tally = &tallies->at[kept];

		*tally = tallies->at[i];
		tally->samples[tallies->slice] = 0;
		tally->weight[tallies->slice] = 0;
		if (tally_samples(tally) && enter(tallies, kept))
			kept++;
	}
	tallies->count = kept;
}

double tallies_seconds(const struct tallies *tallies, uint64_t now_ns)
{
	return (now_ns - tallies->slice_ns[(tallies->slice + 1) % TALLY_SLICES]) / (double)NS_PER_S;
}
