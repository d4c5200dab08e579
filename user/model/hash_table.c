// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/hash_table.h"

#define ROOM_LEAST	64

/* The key's fields one by one: a struct hash_key ends with padding, 8 bytes a slot. */
struct hash_slot {
	uint64_t hi, lo;
	uint32_t tag, used;
	uint64_t value[];	/* of any type */
};

/* ---- SipHash-1-3 (Aumasson and Bernstein, INDOCRYPT 2012) of three words ---- */

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

uint64_t hash_of_key(const struct hash_seed *seed, const struct hash_key *key)
{
	struct sip s = { seed->word[0] ^ 0x736f6d6570736575ULL,
			 seed->word[1] ^ 0x646f72616e646f6dULL,
			 seed->word[0] ^ 0x6c7967656e657261ULL,
			 seed->word[1] ^ 0x7465646279746573ULL };

	sip_word(&s, key->hi);
	sip_word(&s, key->lo);
	sip_word(&s, key->tag);
	sip_word(&s, 24ULL << 56);	/* bytes */
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* ---- the table ---- */

void hash_table_init(struct hash_table *table, size_t value_size, const struct hash_seed *seed)
{
	*table = (struct hash_table){
		.seed = *seed,
		.slot_size = sizeof(struct hash_slot) + (value_size + 7) / 8 * 8,
	};
}

void hash_table_clear(struct hash_table *table)
{
	free(table->slots);
	table->slots = NULL;
	table->room = table->count = 0;
}

static struct hash_slot *slot_at(const struct hash_table *table, size_t index)
{
	void *slot = table->slots + index * table->slot_size;

	return slot;
}

static struct hash_key key_of(const struct hash_slot *slot)
{
	return (struct hash_key){ slot->hi, slot->lo, slot->tag };
}

static bool is_key(const struct hash_slot *slot, const struct hash_key *key)
{
	return slot->hi == key->hi && slot->lo == key->lo && slot->tag == key->tag;
}

/* The slot of @key, or the free one where it belongs. The table must not be full. */
static struct hash_slot *find_slot(const struct hash_table *table, const struct hash_key *key,
				   size_t *probes)
{
	size_t index = hash_of_key(&table->seed, key);

	for (*probes = 1;; (*probes)++, index++) {
		struct hash_slot *slot = slot_at(table, index & (table->room - 1));

		if (!slot->used || is_key(slot, key))
			return slot;
	}
}

void *hash_table_find(const struct hash_table *table, const struct hash_key *key)
{
	struct hash_slot *slot;
	size_t probes;

	if (!table->room)
		return NULL;
	slot = find_slot(table, key, &probes);
	return slot->used ? slot->value : NULL;
}

size_t hash_table_probes(const struct hash_table *table, const struct hash_key *key)
{
	size_t probes = 0;

	if (table->room)
		find_slot(table, key, &probes);
	return probes;
}

bool hash_table_is_full(const struct hash_table *table)
{
	return 2 * (table->count + 1) > table->room;
}

static bool keep_all(const void *value, uint64_t arg)
{
	(void)value, (void)arg;
	return true;
}

/* Leaves room for as many values as are kept, and as many again. */
int hash_table_filter(struct hash_table *table, bool (*keep)(const void *value, uint64_t arg),
		      uint64_t arg)
{
	struct hash_table fresh = *table;
	size_t kept = 0, probes;

	for (size_t i = 0; i < table->room; i++)
		kept += slot_at(table, i)->used && keep(slot_at(table, i)->value, arg);
	fresh.count = kept;
	for (fresh.room = ROOM_LEAST; fresh.room < 4 * kept; fresh.room *= 2)
		;
	fresh.slots = calloc(fresh.room, fresh.slot_size);
	if (!fresh.slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->room; i++) {
		const struct hash_slot *slot = slot_at(table, i);
		struct hash_key key = key_of(slot);

		if (slot->used && keep(slot->value, arg))
			memcpy(find_slot(&fresh, &key, &probes), slot, fresh.slot_size);
	}
	free(table->slots);
	/* One by one: clang's analyzer takes the old slots for the new after a copy of the struct. */
	table->slots = fresh.slots;
	table->room = fresh.room;
	table->count = fresh.count;
	return 0;
}

void *hash_table_put(struct hash_table *table, const struct hash_key *key)
{
	struct hash_slot *slot;
	size_t probes;

	if (hash_table_is_full(table) && hash_table_filter(table, keep_all, 0))
		return NULL;
	slot = find_slot(table, key, &probes);
	if (!slot->used) {
		slot->hi = key->hi;
		slot->lo = key->lo;
		slot->tag = key->tag;
		slot->used = true;
		table->count++;
	}
	return slot->value;
}

void *hash_table_next(const struct hash_table *table, size_t *position, struct hash_key *key)
{
	while (*position < table->room) {
		struct hash_slot *slot = slot_at(table, (*position)++);

		if (!slot->used)
			continue;
		*key = key_of(slot);
		return slot->value;
	}
	return NULL;
}
