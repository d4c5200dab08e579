// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/hash.h"
#include "bpf/pure/known_line.h"
#include "user/host/clock.h"
#include "user/state/hints.h"

bool is_host_entry(const struct prefix *prefix)
{
	if (prefix_is_v4(prefix))
		return prefix->length == 128;
	return prefix->length == 64 && has_known_key(prefix->hi, 0) &&
	       !known_key_is_v4(prefix->hi);
}

/* ---- what the bits are to be ---- */

/* Sets @bit for every IPv4 /16 and every hash of an IPv6 /32 that @prefix overlaps. */
static void set_bits(struct weir_hints *hints, const struct prefix *prefix, uint8_t bit)
{
	uint64_t first, count;

	if (prefix->length >= 96 && prefix_is_v4(prefix)) {
		first = prefix->lo >> 16 & 0xffff;
		count = prefix->length >= 112 ? 1 : 1ULL << (112 - prefix->length);
		for (uint64_t i = 0; i < count; i++)
			hints->v4[first + i] |= bit;
		return;
	}
	first = prefix->hi >> 32;
	count = prefix->length >= 32 ? 1 : 1ULL << (32 - prefix->length);
	if (count >= 65536) {
		for (uint64_t i = 0; i < 65536; i++)
			hints->v6[i] |= bit;
		return;
	}
	for (uint64_t i = 0; i < count; i++)
		hints->v6[weir_hint_v6(first + i) & 0xffff] |= bit;
}

void hints_of_settings(struct weir_hints *hints, const struct settings *settings)
{
	const struct weir_policy *policy = settings->policy;

	for (size_t i = 0; i < settings->allow.count; i++)
		set_bits(hints, &settings->allow.at[i].prefix, WEIR_HINT_ALLOW);
	for (size_t i = 0; i < settings->block.count; i++)
		set_bits(hints, &settings->block.at[i].prefix,
			 is_host_entry(&settings->block.at[i].prefix) ? WEIR_HINT_HOST :
									WEIR_HINT_BLOCK);
	for (uint32_t row = 1; row < policy->scopes; row++) {
		struct prefix prefix;

		if (policy->scope[row].prefixlen > 128)
			continue;
		prefix_from_key(&policy->scope[row], &prefix);
		set_bits(hints, &prefix, WEIR_HINT_SCOPE);
	}
}

/* ---- changing the bits that the data path reads ---- */

void hints_add(struct weir_hints *live, const struct weir_hints *wanted)
{
	for (uint32_t i = 0; i < 65536; i++) {
		if (wanted->v4[i] & ~live->v4[i])
			live->v4[i] |= wanted->v4[i];
		if (wanted->v6[i] & ~live->v6[i])
			live->v6[i] |= wanted->v6[i];
	}
}

void hints_trim(struct weir_hints *live, const struct weir_hints *wanted, uint8_t keep)
{
	for (uint32_t i = 0; i < 65536; i++) {
		uint8_t v4 = (live->v4[i] & keep) | wanted->v4[i];
		uint8_t v6 = (live->v6[i] & keep) | wanted->v6[i];

		if (live->v4[i] != v4)
			live->v4[i] = v4;
		if (live->v6[i] != v6)
			live->v6[i] = v6;
	}
}

void hints_for_set(struct weir_hints *live, const struct prefixes *set, bool only_add)
{
	struct weir_hints *wanted = calloc(1, sizeof(*wanted));

	if (!wanted) {
		/* With all bits set, every packet is looked up: slower, but never wrong. */
		memset(live->v4, 0xff, sizeof(live->v4));
		memset(live->v6, 0xff, sizeof(live->v6));
		return;
	}
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		set_bits(wanted, &prefix, WEIR_HINT_SET);
	}
	hints_add(live, wanted);
	if (!only_add)
		hints_trim(live, wanted, (uint8_t)~WEIR_HINT_SET);
	free(wanted);
}

/* ---- the tally ---- */

void tally_settings(struct weir_hints *hints, const struct settings *settings)
{
	struct weir_tally *tally = &hints->tally;
	uint32_t block[2][2] = { 0 };

	for (size_t i = 0; i < settings->block.count; i++) {
		const struct weir_entry *entry = &settings->block.at[i].value;

		block[entry->origin == WEIR_BY_DAEMON][entry->until_ns != 0]++;
	}
	memcpy(tally->block, block, sizeof(block));
	tally->allow = settings->allow.count;
	if (tally->allow > tally->most_allow)
		tally->most_allow = tally->allow;
	if (settings->block.count > tally->most_block)
		tally->most_block = settings->block.count;
}

void tally_loop(struct weir_hints *hints, uint64_t start_ns)
{
	struct weir_tally *tally = &hints->tally;
	uint64_t now = now_ns(), took_us = (now - start_ns) / 1000;

	tally->daemon_loop_us = took_us < UINT32_MAX ? took_us : UINT32_MAX;
	if (tally->daemon_loop_us > tally->daemon_longest_us)
		tally->daemon_longest_us = tally->daemon_loop_us;
	tally->daemon_loops++;
	tally->daemon_ns = now;
}

void tally_bans(struct weir_hints *hints, uint64_t gave_way, uint64_t put_off)
{
	hints->tally.bans_gave_way += gave_way;
	hints->tally.bans_put_off += put_off;
}
