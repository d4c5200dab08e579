// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hash table: finds what was put, and stays fast when a sender chooses the keys. The keys are
 * made by inverting the unkeyed mixing that the table had before, so that all of them would begin
 * at one slot.
 */
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/invert.h"
#include "user/model/hash_table.h"

#define CHOSEN		120000
#define SLOT_BITS	19	/* more slots than a table of so many keys has */
#define MULTIPLY_HI	0x9e3779b97f4a7c15ULL
#define MULTIPLY_LO	0xbf58476d1ce4e5b9ULL
#define MULTIPLY_SUM	0x94d049bb133111ebULL

/* ---- the mixing of before, and its inverse ---- */

static uint64_t unkeyed(const struct hash_key *key)
{
	uint64_t x = key->hi * MULTIPLY_HI ^ (key->lo + key->tag) * MULTIPLY_LO;

	x = (x ^ x >> 31) * MULTIPLY_SUM;
	return x ^ x >> 29;
}

/* The /64 that the mixing of before puts at @hash, under limit 1. */
static struct hash_key key_at(uint64_t hash)
{
	struct hash_key key = { .lo = 0, .tag = 1 };
	uint64_t x = unshift(hash, 29) * inverse(MULTIPLY_SUM);

	x = unshift(x, 31) ^ (key.lo + key.tag) * MULTIPLY_LO;
	key.hi = x * inverse(MULTIPLY_HI);
	return key;
}

/* ---- tests ---- */

static void test_hash(struct check *check)
{
	/* openssl mac -macopt c-rounds:1 -macopt d-rounds:3 -macopt size:8 ... SIPHASH */
	const struct hash_seed seed = { { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL } };
	const struct hash_key key = { 0x20010db800000001ULL, 0x0706050403020100ULL, 7 };

	CHECK(check, hash_of_key(&seed, &key) == 0x2718e5bac08b155fULL, "%llx",
	      (unsigned long long)hash_of_key(&seed, &key));
	check_done(check, "the hash", "SipHash-1-3, as OpenSSL computes it");
}

static bool is_odd(const void *value, uint64_t arg)
{
	return *(const uint64_t *)value % 2 == arg;
}

static void test_table(struct check *check)
{
	enum { MANY = 100000 };
	const struct hash_seed seed = { { 3, 4 } };
	struct hash_table table;
	struct hash_key key;
	uint64_t *value, sum = 0;
	size_t seen = 0;

	hash_table_init(&table, sizeof(uint64_t), &seed);
	CHECK(check, !hash_table_find(&table, &(struct hash_key){ 0 }), "found in an empty table");
	for (uint64_t i = 0; i < MANY; i++) {
		value = hash_table_put(&table, &(struct hash_key){ i % 7, i / 7, i % 3 });
		CHECK(check, value && !*value, "key %llu is not new", (unsigned long long)i);
		if (value)
			*value = i;
	}
	CHECK(check, table.count == MANY && table.room >= 2 * MANY, "%zu of %zu", table.count,
	      table.room);
	for (uint64_t i = 0; i < MANY; i++) {
		value = hash_table_find(&table, &(struct hash_key){ i % 7, i / 7, i % 3 });
		CHECK(check, value && *value == i, "key %llu", (unsigned long long)i);
		CHECK(check, !hash_table_find(&table, &(struct hash_key){ i % 7, i / 7, 3 }),
		      "the same with another tag");
	}
	CHECK(check, !hash_table_filter(&table, is_odd, 1) && table.count == MANY / 2,
	      "%zu odd ones", table.count);
	for (size_t at = 0; (value = hash_table_next(&table, &at, &key)); seen++)
		sum += *value;
	CHECK(check, seen == MANY / 2 && sum == (uint64_t)MANY / 2 * (MANY / 2), "%zu, sum %llu",
	      seen, (unsigned long long)sum);
	CHECK(check, !hash_table_find(&table, &(struct hash_key){ 0 }), "removed and found");
	hash_table_clear(&table);
	CHECK(check, !table.count && !hash_table_find(&table, &(struct hash_key){ 1, 0, 1 }),
	      "found in a table that was cleared");
	check_done(check, "the table", "%d keys put, found, half of them removed", MANY);
}

static void test_chosen_keys(struct check *check)
{
	unsigned long long state = check_seed();
	struct hash_seed seed = { { check_random(&state), check_random(&state) } };
	size_t probes = 0, longest = 0, other_place = 0;
	struct hash_table table;
	double started = clock();

	hash_table_init(&table, sizeof(uint64_t), &seed);
	for (uint64_t i = 0; i < CHOSEN; i++) {
		struct hash_key key = key_at(i << SLOT_BITS | 77);

		other_place += (unkeyed(&key) & ((1U << SLOT_BITS) - 1)) != 77;
		CHECK(check, hash_table_put(&table, &key), "out of memory");
	}
	started = (clock() - started) / CLOCKS_PER_SEC;
	CHECK(check, !other_place, "%zu keys would not have collided", other_place);
	CHECK(check, table.count == CHOSEN && table.room <= 1U << SLOT_BITS,
	      "%zu keys in %zu slots", table.count, table.room);
	for (uint64_t i = 0; i < CHOSEN; i++) {
		struct hash_key key = key_at(i << SLOT_BITS | 77);
		size_t one = hash_table_probes(&table, &key);

		probes += one;
		longest = one > longest ? one : longest;
	}
	/* Half full, a look-up that finds its key reads 1.5 slots on average (Knuth 6.4). */
	CHECK(check, probes <= 2 * CHOSEN && longest <= 200,
	      "%.1f slots a look-up, %zu at most", (double)probes / CHOSEN, longest);
	check_done(check, "keys chosen to collide",
		   "%d of them: %.2f slots a look-up, %zu at most; put in %.0f ms of CPU time; "
		   "seed %llu", CHOSEN, (double)probes / CHOSEN, longest, started * 1000,
		   check_seed());
	hash_table_clear(&table);
}

int main(void)
{
	struct check check = { 0 };

	test_hash(&check);
	test_table(&check);
	test_chosen_keys(&check);
	return check_exit(&check);
}
