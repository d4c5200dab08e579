// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "user/model/explain_fields.h"

#define LEAST	0.05
#define PAYLOAD_BYTES	4
#define ALL_FLAGS	0x3f

struct value {
	uint64_t hi, lo, weight;
};

static uint64_t weight_of(const struct explain_packet *packet)
{
	return 1ULL << (packet->shift & EXPLAIN_SHIFT_MOST);
}

static bool is_v4(uint64_t hi, uint64_t lo)
{
	return !hi && lo >> 32 == 0xffff;
}

/* False: the packet has no such field, or it is not worth a line. */
static bool value_of(const struct explain_packet *packet, enum explain_field field,
		     struct value *value)
{
	struct prefix network = { packet->hi, packet->lo, 48 };
	uint32_t word;

	if (is_v4(packet->hi, packet->lo))
		network.length = 96 + 24;
	*value = (struct value){ .weight = weight_of(packet) };
	switch (field) {
	case EXPLAIN_SOURCE:
		prefix_mask(&network);
		value->hi = network.hi;
		value->lo = network.lo;
		return true;
	case EXPLAIN_PAYLOAD:
		memcpy(&word, packet->payload, sizeof(word));
		value->lo = __builtin_bswap32(word);
		return !packet->number[EXPLAIN_FRAGMENT] && packet->payload_bytes >= PAYLOAD_BYTES;
	case EXPLAIN_FRAGMENT:
		value->lo = 1;
		return packet->number[EXPLAIN_FRAGMENT];
	default:
		value->lo = packet->number[field];
		return packet->number[field] >= 0;
	}
}

static struct explain_condition condition_of(const struct value *value, enum explain_field field)
{
	struct explain_condition condition = { .field = field, .low = value->lo,
					       .high = value->lo };

	if (field == EXPLAIN_FLAGS)
		condition.high = ALL_FLAGS;
	if (field == EXPLAIN_PAYLOAD)
		condition.high = ~0U;
	if (field != EXPLAIN_SOURCE)
		return condition;
	return (struct explain_condition){ .field = field, .net_hi = value->hi,
					   .net_lo = value->lo,
					   .at = is_v4(value->hi, value->lo) ? 96 + 24 : 48 };
}

static int by_value(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

static int by_weight(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return by_value(a, b);
}

/* Adds equal values up, and puts the greatest first. Returns how many different ones there are. */
static size_t add_up(struct value *values, size_t count)
{
	size_t kept = 0;

	qsort(values, count, sizeof(*values), by_value);
	for (size_t i = 0; i < count; i++) {
		if (kept && !by_value(&values[kept - 1], &values[i]))
			values[kept - 1].weight += values[i].weight;
		else
			values[kept++] = values[i];
	}
	qsort(values, kept, sizeof(*values), by_weight);
	return kept;
}

double explain_share_of(const struct explain_rule *rule, const struct explain_packet *packets,
			size_t count, uint32_t *hits)
{
	uint64_t all = 0, sum = 0;

	*hits = 0;
	for (size_t i = 0; i < count; i++) {
		bool match = explain_matches(rule, &packets[i]);

		all += weight_of(&packets[i]);
		sum += match ? weight_of(&packets[i]) : 0;
		*hits += match;
	}
	return all ? (double)sum / all : 0;
}

uint32_t explain_shares(const struct explain_packet *flood, size_t flood_count,
			const struct explain_packet *calm, size_t calm_count,
			struct explain_share shares[EXPLAIN_SHARES])
{
	static const uint8_t order[] = {
		EXPLAIN_PROTO, EXPLAIN_FRAGMENT, EXPLAIN_SPORT, EXPLAIN_DPORT, EXPLAIN_ICMP,
		EXPLAIN_FLAGS, EXPLAIN_LENGTH, EXPLAIN_TTL, EXPLAIN_PAYLOAD, EXPLAIN_SOURCE,
	};
	struct value *values = calloc(flood_count + 1, sizeof(*values));
	uint32_t shown = 0, hits;
	uint64_t all = 0;

	for (size_t i = 0; i < flood_count; i++)
		all += weight_of(&flood[i]);
	for (size_t f = 0; values && f < sizeof(order); f++) {
		size_t count = 0;

		for (size_t i = 0; i < flood_count; i++)
			count += value_of(&flood[i], order[f], &values[count]);
		count = add_up(values, count);
		for (size_t i = 0; i < count && i < EXPLAIN_SHOWN; i++) {
			struct explain_rule rule = { .count = 1 };

			if ((double)values[i].weight / all < LEAST)
				break;
			rule.condition[0] = condition_of(&values[i], order[f]);
			shares[shown++] = (struct explain_share){
				rule.condition[0], (double)values[i].weight / all,
				explain_share_of(&rule, calm, calm_count, &hits) };
		}
	}
	free(values);
	return shown;
}
