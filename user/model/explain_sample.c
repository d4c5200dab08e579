// SPDX-License-Identifier: GPL-2.0-only
/* Samples: split in halves by source, and as bitmaps of weights and of conditions. */
#include <stdlib.h>
#include <string.h>

#include "user/model/explain_private.h"

/* ---- splitting ---- */

static bool is_first(const struct explain_packet *packet, const struct hash_seed *seed)
{
	struct hash_key key = { packet->hi, packet->lo, 0 };

	if (seed)
		return hash_of_key(seed, &key) & 1;
	return ((packet->lo ^ packet->hi) * 0x9e3779b97f4a7c15ULL) >> 40 & 1;
}

static void put_packet(struct half *half, const struct explain_packet *packet)
{
	uint32_t i = half->count++;

	half->packet[i] = packet;
	if (!half->columns)
		return;
	for (int field = 0; field < EXPLAIN_NUMBERS; field++)
		half->columns->number[field][i] = packet->number[field];
	for (int at = 0; at < EXPLAIN_BYTES; at++)
		half->columns->payload[at][i] = packet->payload[at];
	half->columns->payload_bytes[i] = packet->payload_bytes;
}

/* By source, so that no source is in both halves; by turns where few sources send most. */
static void split(const struct explain_packet *sample, size_t count, const struct hash_seed *seed,
		  struct half *first, struct half *second)
{
	size_t firsts = 0;
	bool by_source;

	first->count = second->count = 0;
	for (size_t i = 0; i < count; i++)
		firsts += is_first(&sample[i], seed);
	by_source = 3 * (firsts < count - firsts ? firsts : count - firsts) >= count;
	for (size_t i = 0; i < count; i++) {
		bool to_first = by_source ? is_first(&sample[i], seed) : !(i & 1);

		put_packet(to_first ? first : second, &sample[i]);
	}
}

/* ---- weights ---- */

static uint64_t weight_of(const struct explain_packet *packet)
{
	return 1ULL << (packet->shift & EXPLAIN_SHIFT_MOST);
}

static void add_weight(struct half *half, uint32_t shift)
{
	bits_t *set = &half->weight[half->weights];

	memset(set, 0, sizeof(*set));
	half->shift[half->weights] = shift;
	for (uint32_t i = 0; i < half->count; i++)
		if ((half->packet[i]->shift & EXPLAIN_SHIFT_MOST) == shift)
			(*set)[i / 64] |= 1ULL << i % 64;
	half->weights++;
}

/* @by_source: as many as there are sources, all 0. */
static void weigh(struct half *half, uint64_t *by_source, uint32_t sources)
{
	unsigned __int128 of_sources = 0;	/* exact: the numbers of sources are in no order */
	double squares = 0, total;
	uint32_t shifts = 0;

	half->words = (half->count + 63) / 64;
	half->total = 0;
	half->weights = 0;
	memset(half->all, 0, sizeof(half->all));
	for (uint32_t i = 0; i < half->count; i++) {
		double weight = weight_of(half->packet[i]);

		half->all[i / 64] |= 1ULL << i % 64;
		shifts |= 1U << (half->packet[i]->shift & EXPLAIN_SHIFT_MOST);
		half->total += weight_of(half->packet[i]);
		by_source[half->source[i]] += weight_of(half->packet[i]);
		squares += weight * weight;
	}
	for (uint32_t left = shifts; left; left &= left - 1)
		add_weight(half, __builtin_ctz(left));
	for (uint32_t i = 0; i < sources; i++)
		of_sources += (unsigned __int128)by_source[i] * by_source[i];
	total = half->total;
	half->effective = half->count ? total * total / squares : 0;
	half->sources = half->count ? total * total / (double)of_sources : 0;
}

/* ---- numbers for services and sources ---- */

/*
 * What a packet belongs to: the lower port is the service's, of a client or of a server; and
 * opening a connection is a service of its own.
 */
static uint64_t service_of(const struct explain_packet *packet)
{
	int32_t sport = packet->number[EXPLAIN_SPORT], dport = packet->number[EXPLAIN_DPORT];
	int32_t flags = packet->number[EXPLAIN_FLAGS];
	int32_t port = dport < 0 ? packet->number[EXPLAIN_ICMP] : sport < dport ? sport : dport;

	return (uint64_t)packet->number[EXPLAIN_PROTO] << 32 | (uint64_t)(port + 1) << 1 |
	       (flags >= 0 && (flags & 18) == 2);
}

/* The number of a value, the next of @count where it is new. */
static uint16_t number_of(struct explain *explain, uint64_t hi, uint64_t lo, uint32_t *count)
{
	uint32_t slot = tally_hash(&explain->tallies, hi, lo) >> (64 - NUMBER_BITS);
	uint32_t number;

	for (; explain->number_slot[slot]; slot = (slot + 1) % (1 << NUMBER_BITS)) {
		number = explain->number_slot[slot] - 1;
		if (explain->numbered[number].hi == hi && explain->numbered[number].lo == lo)
			return number;
	}
	explain->numbered[*count] = (struct numbered){ hi, lo };
	explain->number_slot[slot] = ++*count;
	return *count - 1;
}

/* Equal values get the same number, in the order in which they come. */
static void number_all(struct explain *explain)
{
	struct half *halves[] = { &explain->search[FLOOD], &explain->search[CALM],
				  &explain->hold[FLOOD], &explain->hold[CALM] };

	explain->services = explain->sources = 0;
	memset(explain->number_slot, 0, sizeof(explain->number_slot));
	for (int h = 0; h < 4; h++)
		for (uint32_t i = 0; i < halves[h]->count; i++)
			halves[h]->service[i] = number_of(explain, 0, service_of(halves[h]->packet[i]),
							  &explain->services);
	for (uint32_t i = 0; i < explain->services; i++)
		explain->service_key[i] = explain->numbered[i].lo;
	memset(explain->number_slot, 0, sizeof(explain->number_slot));
	for (int h = 0; h < 4; h++)
		for (uint32_t i = 0; i < halves[h]->count; i++)
			halves[h]->source[i] = number_of(explain, halves[h]->packet[i]->hi,
							 halves[h]->packet[i]->lo,
							 &explain->sources);
}

/* ---- ranks ---- */

#define NUMBER_WORDS	(65536 / 64 + 1)

/* The numbers of one field that there are, both halves together, and how many are below a word. */
struct present {
	uint64_t bits[NUMBER_WORDS];
	uint32_t below[NUMBER_WORDS];
};

static uint32_t bit_of(int32_t number)
{
	return number < 0 ? 0 : number >= 65535 ? 65536 : number + 1;
}

static void note_present(struct present *present, const struct explain *explain,
			 enum explain_field field)
{
	for (int side = 0; side < SIDES; side++)
		for (uint32_t i = 0; i < explain->search[side].count; i++) {
			uint32_t bit = bit_of(explain->columns[side].number[field][i]);

			present->bits[bit / 64] |= 1ULL << bit % 64;
		}
}

/* Each packet gets its number's place among all numbers of the field, from 0. */
static void rank(struct explain *explain, enum explain_field field)
{
	struct present present = { 0 };
	uint32_t ranks = 0;

	note_present(&present, explain, field);
	for (uint32_t w = 0; w < NUMBER_WORDS; w++) {
		present.below[w] = ranks;
		for (uint64_t left = present.bits[w]; left; left &= left - 1)
			explain->ranked[field][ranks++] =
				(int32_t)(w * 64 + __builtin_ctzll(left)) - 1;
	}
	explain->ranks[field] = ranks;
	for (int side = 0; side < SIDES; side++)
		for (uint32_t i = 0; i < explain->search[side].count; i++) {
			uint32_t bit = bit_of(explain->columns[side].number[field][i]);
			uint64_t lower = present.bits[bit / 64] & ((1ULL << bit % 64) - 1);

			explain->columns[side].rank[field][i] =
				present.below[bit / 64] + __builtin_popcountll(lower);
		}
}

void split_samples(struct explain *explain, const struct explain_packet *const sample[SIDES],
		   const size_t count[SIDES], const struct explain_options *options)
{
	struct half *halves[] = { &explain->search[FLOOD], &explain->search[CALM],
				  &explain->hold[FLOOD], &explain->hold[CALM] };

	for (int side = 0; side < SIDES; side++) {
		explain->search[side].columns = &explain->columns[side];
		explain->hold[side].columns = NULL;
		split(sample[side], count[side], options->seed, &explain->search[side],
		      &explain->hold[side]);
	}
	number_all(explain);
	for (int field = 0; field < EXPLAIN_RANGES; field++)
		rank(explain, field);
	for (int h = 0; h < 4; h++) {
		memset(explain->by_source, 0, explain->sources * sizeof(*explain->by_source));
		weigh(halves[h], explain->by_source, explain->sources);
	}
}

/* ---- sets of packets ---- */

/* 64 bytes of 0 or 1 as bits. The product puts byte i of eight at bit 56 + i, without carries. */
static uint64_t pack(const uint8_t flags[64])
{
	uint64_t word = 0, eight;

	for (int i = 0; i < 8; i++) {
		memcpy(&eight, flags + 8 * i, sizeof(eight));
		word |= (eight * 0x0102040810204080ULL >> 56) << 8 * i;
	}
	return word;
}

static void set_of_numbers(const struct half *half, const struct explain_condition *condition,
			   bits_t set)
{
	const int32_t *number = half->columns->number[condition->field];
	uint32_t low = condition->low, width = condition->high - low;
	uint8_t flags[64];

	for (uint32_t w = 0; w < half->words; w++, number += 64) {
		for (int i = 0; i < 64; i++)	/* no number is -1: far above each range */
			flags[i] = (uint32_t)number[i] - low <= width;
		set[w] = pack(flags) & half->all[w];
	}
}

static void set_of_flags(const struct half *half, const struct explain_condition *condition,
			 bits_t set)
{
	const int32_t *number = half->columns->number[EXPLAIN_FLAGS];
	/* With the sign, so that -1, which has all bits, is no match. */
	uint32_t mask = condition->high | 1U << 31;
	uint8_t flags[64];

	for (uint32_t w = 0; w < half->words; w++, number += 64) {
		for (int i = 0; i < 64; i++)
			flags[i] = ((uint32_t)number[i] & mask) == condition->low;
		set[w] = pack(flags) & half->all[w];
	}
}

static void set_of_payload(const struct half *half, const struct explain_condition *condition,
			   bits_t set)
{
	uint32_t last = 4 - (condition->high ? __builtin_ctz(condition->high) / 8 : 0);
	const int32_t *later = half->columns->number[EXPLAIN_FRAGMENT];
	const uint8_t *have = half->columns->payload_bytes;

	for (uint32_t w = 0; w < half->words; w++) {
		uint8_t flags[64], needed = condition->at + last;

		for (int i = 0; i < 64; i++)
			flags[i] = have[w * 64 + i] >= needed;
		for (uint32_t j = 0; j < last; j++) {
			const uint8_t *byte = half->columns->payload[condition->at + j] + w * 64;
			uint8_t mask = condition->high >> (24 - 8 * j);
			uint8_t value = condition->low >> (24 - 8 * j);

			for (int i = 0; i < 64; i++)
				flags[i] &= (byte[i] & mask) == value;
		}
		for (int i = 0; i < 64; i++)
			flags[i] &= !later[w * 64 + i];
		set[w] = pack(flags) & half->all[w];
	}
}

void set_of(const struct half *half, const struct explain_condition *condition, bits_t set)
{
	if (half->columns && condition->field < EXPLAIN_FLAGS) {
		set_of_numbers(half, condition, set);
	} else if (half->columns && condition->field == EXPLAIN_FLAGS) {
		set_of_flags(half, condition, set);
	} else if (half->columns && condition->field == EXPLAIN_PAYLOAD) {
		set_of_payload(half, condition, set);
	} else {
		memset(set, 0, half->words * sizeof(*set));
		for (uint32_t i = 0; i < half->count; i++)
			if (explain_holds(condition, half->packet[i]))
				set[i / 64] |= 1ULL << i % 64;
	}
}

void intersect(const struct half *half, const bits_t a, const bits_t b, bits_t set)
{
	for (uint32_t w = 0; w < half->words; w++)
		set[w] = a[w] & b[w];
}

void match(const struct half *half, const struct explain_rule *rule, bits_t set)
{
	bits_t one;

	memcpy(set, half->all, half->words * sizeof(*set));
	for (uint32_t i = 0; i < rule->count; i++) {
		set_of(half, &rule->condition[i], one);
		intersect(half, set, one, set);
	}
}

/* The bits of four words at once would need an instruction that not each x86-64 has. */
static inline uint64_t ones(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555ULL;
	word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return word * 0x0101010101010101ULL >> 56;
}

double share_of_both(const struct half *half, const bits_t a, const bits_t b)
{
	uint64_t sum = 0;

	for (uint32_t k = 0; k < half->weights; k++) {
		uint64_t count = 0;

		for (uint32_t w = 0; w < half->words; w++)
			count += ones(a[w] & b[w] & half->weight[k][w]);
		sum += count << half->shift[k];
	}
	return half->total ? (double)sum / half->total : 0;
}

double share_of(const struct half *half, const bits_t set)
{
	return share_of_both(half, set, set);
}

uint32_t count_bits(const struct half *half, const bits_t set)
{
	uint32_t count = 0;

	for (uint32_t w = 0; w < half->words; w++)
		count += ones(set[w]);
	return count;
}
