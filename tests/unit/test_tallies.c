// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tallies of `weir top`: sums over the last slices, and what they cost when a sender chooses its
 * sources so that they would all fall into one place of the unkeyed hash of before.
 */
#include <stdlib.h>
#include <time.h>

#include "bpf/pure/hash.h"
#include "tests/unit/check.h"
#include "tests/unit/invert.h"
#include "user/model/tallies.h"
#include "user/model/units.h"

static const struct hash_seed seed = { { 0x123456789abcdef0ULL, 42 } };
static const struct packet_kind any_kind;

static void test_sums(struct check *check)
{
	static struct tallies tallies;

	tallies_init(&tallies, &seed, 0);
	for (uint64_t second = 0; second < 3; second++) {
		tallies_note(&tallies, 0, 7, 1, &any_kind, 10);
		if (!second)
			tallies_note(&tallies, 0, 8, 1, &any_kind, 5);
		tallies_note(&tallies, 0, 7, 2, &any_kind, 1);
		tallies_next_slice(&tallies, (second + 1) * NS_PER_S);
	}
	CHECK(check, tallies.count == 3 && tally_weight(&tallies.at[0]) == 30 &&
	      tally_samples(&tallies.at[0]) == 3, "%zu tallies, weight %llu", tallies.count,
	      (unsigned long long)tally_weight(&tallies.at[0]));
	CHECK(check, tallies_seconds(&tallies, 3 * NS_PER_S) == 3, "%.1f s",
	      tallies_seconds(&tallies, 3 * NS_PER_S));
	tallies_next_slice(&tallies, 4 * NS_PER_S);	/* the oldest one has the only sample of 8 */
	CHECK(check, tallies.count == 2, "%zu tallies", tallies.count);
	tallies_note(&tallies, 0, 7, 2, &any_kind, 100);
	CHECK(check, tallies.count == 2 && tally_weight(&tallies.at[1]) == 102 &&
	      tallies.at[1].total == 103, "weight %llu of %llu",
	      (unsigned long long)tally_weight(&tallies.at[1]),
	      (unsigned long long)tallies.at[1].total);
	for (uint64_t i = 0; i < 2 * TALLIES_MOST; i++)
		tallies_note(&tallies, 1, i, 1, &any_kind, 1);
	CHECK(check, tallies.count == TALLIES_MOST, "%zu tallies", tallies.count);
	tallies_free(&tallies);
	check_done(check, "sums", "by source and reason, over %d slices", TALLY_SLICES);
}

/* ---- chosen sources ---- */

static uint64_t unmix(uint64_t y)
{
	y = unshift(y, 33) * inverse(0xc4ceb9fe1a85ec53ULL);
	y = unshift(y, 33) * inverse(0xff51afd7ed558ccdULL);
	return unshift(y, 33);
}

/* The longest run of look-ups in the index, and the sum of all. */
static size_t probes_of(const struct tallies *tallies, size_t *longest)
{
	size_t sum = 0;

	*longest = 0;
	for (size_t i = 0; i < tallies->count; i++) {
		struct hash_key key = { tallies->at[i].hi, tallies->at[i].lo, tallies->at[i].reason };
		size_t probes = hash_table_probes(&tallies->index, &key);

		sum += probes;
		if (probes > *longest)
			*longest = probes;
	}
	return sum;
}

static void test_chosen_sources(struct check *check)
{
	static struct tallies tallies;
	const uint64_t slots = 2 * TALLIES_MOST, reason = 1;
	size_t longest, sum;

	tallies_init(&tallies, &seed, 0);
	for (uint64_t i = 0; i < TALLIES_MOST; i++) {
		/* /64s: the mixing of before, weir_mix(hi ^ weir_mix(lo ^ reason << 56)), ends in 77. */
		uint64_t hi = unmix(i * slots + 77) ^ weir_mix(reason << 56);

		CHECK(check, (weir_mix(hi ^ weir_mix(reason << 56)) & (slots - 1)) == 77, "not inverted");
		tallies_note(&tallies, hi, 0, reason, &any_kind, 1);
	}
	sum = probes_of(&tallies, &longest);
	/* Half full, a look-up that finds its key reads 1.5 slots on average (Knuth 6.4). */
	CHECK(check, tallies.count == TALLIES_MOST && sum <= 2 * TALLIES_MOST && longest <= 100,
	      "%zu tallies, %.1f slots a look-up, %zu at most", tallies.count,
	      (double)sum / TALLIES_MOST, longest);
	check_done(check, "sources chosen to collide", "%d of them: %.2f slots a look-up, %zu at most",
		   TALLIES_MOST, (double)sum / TALLIES_MOST, longest);
	tallies_free(&tallies);
}

int main(void)
{
	struct check check = { 0 };

	test_sums(&check);
	test_chosen_sources(&check);
	return check_exit(&check);
}
