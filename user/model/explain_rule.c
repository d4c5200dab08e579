// SPDX-License-Identifier: GPL-2.0-only
/* Conditions and rules: what they mean, what they cost, and their order. */
#include <string.h>

#include "user/model/explain_private.h"

/* The fields in the order in which rules are compared: by name. */
static const uint8_t place[EXPLAIN_FIELDS] = {
	[EXPLAIN_DPORT] = 0, [EXPLAIN_FLAGS] = 1, [EXPLAIN_FRAGMENT] = 2, [EXPLAIN_ICMP] = 3,
	[EXPLAIN_LENGTH] = 4, [EXPLAIN_PAYLOAD] = 5, [EXPLAIN_PROTO] = 6, [EXPLAIN_SPORT] = 7,
	[EXPLAIN_SOURCE] = 8, [EXPLAIN_TTL] = 9,
};

/* ---- what a match is ---- */

/* @mask may leave out bytes at its end, which the packet then need not have. */
static bool bytes_match(const struct explain_condition *condition, const uint8_t *bytes,
			uint32_t count)
{
	uint32_t needed = condition->at + 4 - (condition->high ?
					       __builtin_ctz(condition->high) / 8 : 0), word;

	if (count < needed)
		return false;
	memcpy(&word, bytes + condition->at, sizeof(word));
	return (__builtin_bswap32(word) & condition->high) == condition->low;
}

static bool source_matches(const struct explain_condition *condition,
			   const struct explain_packet *packet)
{
	struct prefix mask = prefix_netmask(condition->at);

	return (packet->hi & mask.hi) == condition->net_hi &&
	       (packet->lo & mask.lo) == condition->net_lo;
}

bool explain_holds(const struct explain_condition *condition, const struct explain_packet *packet)
{
	int32_t number;

	switch (condition->field) {
	case EXPLAIN_PAYLOAD:
		return !packet->number[EXPLAIN_FRAGMENT] &&
		       bytes_match(condition, packet->payload, packet->payload_bytes);
	case EXPLAIN_SOURCE:
		return source_matches(condition, packet);
	case EXPLAIN_FLAGS:
		number = packet->number[EXPLAIN_FLAGS];
		return number >= 0 && ((uint32_t)number & condition->high) == condition->low;
	default:
		number = packet->number[condition->field];
		return number >= 0 && (uint32_t)number >= condition->low &&
		       (uint32_t)number <= condition->high;
	}
}

bool explain_matches(const struct explain_rule *rule, const struct explain_packet *packet)
{
	for (uint32_t i = 0; i < rule->count; i++)
		if (!explain_holds(&rule->condition[i], packet))
			return false;
	return true;
}

bool goes_by_hosts(const struct explain_condition *condition)
{
	return condition->field == EXPLAIN_TTL || condition->field == EXPLAIN_SOURCE ||
	       (condition->field == EXPLAIN_SPORT && condition->low != condition->high);
}

/* ---- what it costs ---- */

/* Whole bytes are cheaper than scattered bits. */
static double bytes_cost(uint32_t mask)
{
	int none = 0, some = 0;

	for (int shift = 0; shift < 32; shift += 8) {
		uint32_t byte = mask >> shift & 255;

		none += byte == 0;
		some += byte > 0 && byte < 255;
	}
	return 3.0 + 0.3 * none + 0.6 * some;
}

/* Simple and lasting conditions are cheap: ports before lengths, values before ranges. */
double condition_cost(const struct explain_condition *condition)
{
	static const double base[EXPLAIN_FIELDS] = {
		[EXPLAIN_PROTO] = 0.4, [EXPLAIN_FRAGMENT] = 0.8, [EXPLAIN_SPORT] = 1.0,
		[EXPLAIN_DPORT] = 1.0, [EXPLAIN_ICMP] = 1.0, [EXPLAIN_FLAGS] = 1.1,
		[EXPLAIN_LENGTH] = 1.2, [EXPLAIN_TTL] = 1.5, [EXPLAIN_SOURCE] = 5.0,
	};
	bool port = condition->field == EXPLAIN_SPORT || condition->field == EXPLAIN_DPORT;

	if (condition->field == EXPLAIN_PAYLOAD)
		return bytes_cost(condition->high);
	if (condition->field >= EXPLAIN_FLAGS || condition->low == condition->high)
		return base[condition->field];
	port = port && condition->high - condition->low > 1024;
	return base[condition->field] + (port ? 2.0 : 0.6);
}

double rule_cost(const struct explain_rule *rule)
{
	double sum = 0;

	for (uint32_t i = 0; i < rule->count; i++)
		sum += condition_cost(&rule->condition[i]);
	return sum;
}

/* ---- the order ---- */

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int condition_order(const struct explain_condition *a, const struct explain_condition *b)
{
	int by = order(place[a->field], place[b->field]);

	if (!by && a->field == EXPLAIN_SOURCE) {
		by = order(a->net_hi, b->net_hi);
		by = by ? by : order(a->net_lo, b->net_lo);
	}
	by = by ? by : order(a->at, b->at);
	by = by ? by : order(a->low, b->low);
	return by ? by : order(a->high, b->high);
}

int explain_order(const struct explain_rule *a, const struct explain_rule *b)
{
	for (uint32_t i = 0; i < a->count && i < b->count; i++) {
		int by = condition_order(&a->condition[i], &b->condition[i]);

		if (by)
			return by;
	}
	return order(a->count, b->count);
}

bool rule_has(const struct explain_rule *rule, enum explain_field field)
{
	for (uint32_t i = 0; i < rule->count; i++)
		if (rule->condition[i].field == field)
			return true;
	return false;
}

static void drop_field(struct explain_rule *rule, enum explain_field field)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < rule->count; i++)
		if (rule->condition[i].field != field)
			rule->condition[kept++] = rule->condition[i];
	rule->count = kept;
}

void rule_add(struct explain_rule *rule, const struct explain_condition *condition)
{
	uint32_t at;

	drop_field(rule, condition->field);
	for (at = rule->count; at && condition_order(&rule->condition[at - 1], condition) > 0; at--)
		rule->condition[at] = rule->condition[at - 1];
	rule->condition[at] = *condition;
	rule->count++;
}
