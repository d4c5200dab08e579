/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hash table for keys that senders choose: the prefixes of their packets. Open addressing with
 * linear probing, at most half full. Pure.
 *
 * The hash is keyed. With a fixed one, a sender that knows the source picks addresses that all
 * fall into one place: 120,000 such /64s made a look of the daemon take 10.7 s instead of 0.04 s.
 */
#ifndef WEIR_MODEL_HASH_TABLE_H
#define WEIR_MODEL_HASH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t hi, lo;
	uint32_t tag;		/* a limit's serial, or a prefix's length */
};

/* Random, and never shown. */
struct hash_seed {
	uint64_t word[2];
};

struct hash_table {
	struct hash_seed seed;
	char *slots;		/* each a struct hash_slot and its value */
	size_t slot_size;
	size_t room;		/* slots: 0, or a power of two */
	size_t count;		/* of those, in use */
};

/* @value_size: of what each key stands for. Allocates nothing. */
void hash_table_init(struct hash_table *table, size_t value_size, const struct hash_seed *seed);
/* Frees everything; the table may be used again. */
void hash_table_clear(struct hash_table *table);

/* The value of @key; NULL: the key is not there. */
void *hash_table_find(const struct hash_table *table, const struct hash_key *key);
/* The value of @key, all zero if the key is new; NULL: out of memory. Moves other values. */
void *hash_table_put(struct hash_table *table, const struct hash_key *key);
/* Whether hash_table_put() of one more key would make the table grow. */
bool hash_table_is_full(const struct hash_table *table);
/* Removes the values that @keep does not want. 0 or -ENOMEM. Moves the others. */
int hash_table_filter(struct hash_table *table, bool (*keep)(const void *value, uint64_t arg),
		      uint64_t arg);

/*
 * The next value from *@position on, which begins at 0, with its key; NULL: there are no more.
 * Its order is that of the hash: what is put into another table from here needs another seed,
 * or it fills that table from one end, and each put searches through all before it.
 */
void *hash_table_next(const struct hash_table *table, size_t *position, struct hash_key *key);

/* SipHash-1-3 of @key. */
uint64_t hash_of_key(const struct hash_seed *seed, const struct hash_key *key);
/* How many slots a look-up of @key reads; for the tests. */
size_t hash_table_probes(const struct hash_table *table, const struct hash_key *key);

#endif
