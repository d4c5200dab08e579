// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any packets as calm traffic and as a flood: the input is a few templates, repeated with some bytes
 * of chance until there are enough. No crash, no endless search, and no rule that matches more of
 * calm traffic than is said.
 */
#include <stdlib.h>
#include <string.h>

#include "user/model/explain.h"
#include "user/model/explain_fields.h"
#include "user/model/explain_text.h"

#define CALM	5600
#define FLOOD	400
#define TEMPLATE	24	/* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static uint64_t chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int32_t port(const uint8_t *two)
{
	return two[0] == 255 ? EXPLAIN_NONE : two[0] << 8 | two[1];
}

static void make_packet(const uint8_t *t, uint64_t *state, struct explain_packet *packet)
{
	int32_t *number = packet->number;
	uint64_t random = chance(state);

	memset(packet, 0, sizeof(*packet));
	packet->lo = 0xffffULL << 32 | (uint32_t)(t[0] & 1 ? random : random & 0xff);
	packet->hi = t[0] & 2 ? 0x20010db800000000ULL | (random >> 40) : 0;
	packet->shift = t[0] >> 3;
	number[EXPLAIN_PROTO] = t[1];
	number[EXPLAIN_FRAGMENT] = t[2] & 1;
	number[EXPLAIN_SPORT] = port(t + 3);
	number[EXPLAIN_DPORT] = port(t + 5);
	number[EXPLAIN_LENGTH] = (t[7] << 8 | t[8]) + (t[2] & 2 ? random >> 8 & 0x3ff : 0);
	number[EXPLAIN_LENGTH] &= 0xffff;
	number[EXPLAIN_TTL] = t[2] & 4 ? random >> 20 & 255 : t[9];
	number[EXPLAIN_ICMP] = t[10] == 255 ? EXPLAIN_NONE : t[10];
	number[EXPLAIN_FLAGS] = t[11] > 63 ? EXPLAIN_NONE : t[11];
	packet->payload_bytes = t[12] % (EXPLAIN_BYTES + 1);
	for (int i = 0; i < packet->payload_bytes; i++)
		packet->payload[i] = t[13] & 1 && i > t[14] % 8 ? chance(state) : t[15 + i % 9];
}

static void make_sample(const uint8_t *data, size_t size, uint64_t *state,
			struct explain_packet *packets, size_t count)
{
	size_t templates = size / TEMPLATE;

	for (size_t i = 0; i < count; i++)
		make_packet(data + chance(state) % templates * TEMPLATE, state, &packets[i]);
}

static void check_result(const struct explain_result *result, const struct explain_packet *calm,
			 const struct explain_packet *flood)
{
	char text[EXPLAIN_TEXT];
	uint32_t hits;

	must(result->count <= EXPLAIN_RULES && result->flood >= 0 && result->flood <= 1);
	must(result->calm <= EXPLAIN_CALM_MOST);
	for (uint32_t i = 0; i < result->count; i++) {
		const struct explain_verdict *verdict = &result->verdict[i];

		must(verdict->rule.count && verdict->rule.count <= EXPLAIN_CONDITIONS);
		must(verdict->gain > 0 && verdict->flood >= verdict->gain && verdict->flood <= 1);
		must(verdict->doubt || verdict->bound <= EXPLAIN_CALM_MOST);
		must(verdict->calm <= verdict->bound);
		/* Neither half may have more than that, so the whole may not. */
		must(explain_share_of(&verdict->rule, calm, CALM, &hits) <= EXPLAIN_CALM_MOST + 1e-9);
		must(explain_share_of(&verdict->rule, flood, FLOOD, &hits) > 0);
		explain_rule_text(&verdict->rule, text);
		must(*text && strlen(text) < EXPLAIN_TEXT - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct explain_packet calm[CALM], flood[FLOOD];
	static struct explain *explain;
	struct explain_options options = { .rules = 2, .rounds = 2 };
	struct explain_result result;
	uint64_t state = 88172645463325252ULL;
	size_t half;

	if (size < 2 * TEMPLATE)
		return 0;
	if (!explain)
		explain = explain_new();
	must(explain);
	half = size / TEMPLATE / 2 * TEMPLATE;
	make_sample(data, half, &state, calm, CALM);
	make_sample(data + half, size - half, &state, flood, FLOOD);
	explain_find(explain, calm, CALM, flood, FLOOD, &options, &result);
	check_result(&result, calm, flood);
	return 0;
}
