// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/explain_private.h"
#include "user/model/rule_spec.h"

#define WORDS_MOST	32

int rule_spec_read(const char *text, struct weir_rule_spec *spec, char *err)
{
	char copy[RULE_TEXT + WEIR_NAME_LEN], *word[WORDS_MOST + 1], *left, *each;
	struct words words = { word };
	struct drop_words parsed;
	size_t count = 0;
	int rc;

	if (strlen(text) >= sizeof(copy))
		return fail(err, EINVAL, "too long");
	strcpy(copy, text);
	for (each = strtok_r(copy, " ", &left); each && count < WORDS_MOST;
	     each = strtok_r(NULL, " ", &left))
		word[count++] = each;
	word[count] = NULL;
	if (each)
		return fail(err, EINVAL, "too many words");
	rc = parse_drop_words(&words, &parsed, err);
	if (!rc)
		*spec = parsed.spec;
	return rc;
}

void rule_spec_write(const struct weir_rule_spec *spec, char *text, size_t size)
{
	static const char cut[] = "...";
	char match[RULE_TEXT];

	format_rule_match(spec, match);
	if ((size_t)snprintf(text, size, "%s %s", spec->name, match) >= size)
		strcpy(text + size - sizeof(cut), cut);
}

static void add_range(struct explain_rule *rule, enum explain_field field, uint32_t low,
		      uint32_t high)
{
	struct explain_condition condition = { .field = field, .low = low, .high = high };

	rule_add(rule, &condition);
}

static bool add_ports(struct explain_rule *rule, enum explain_field field,
		      const struct weir_ports ranges[WEIR_PORT_RANGES])
{
	if (ranges[1].last)
		return false;
	add_range(rule, field, ranges[0].first, ranges[0].last);
	return true;
}

/* Of the rule the last byte is the lowest one; of the condition the first byte is the highest. */
static bool add_payload(struct explain_rule *rule, const struct weir_rule_bytes *bytes)
{
	uint32_t shift = 32 - 8 * bytes->count;
	struct explain_condition condition = {
		.field = EXPLAIN_PAYLOAD, .at = bytes->offset, .low = bytes->value << shift,
		.high = bytes->mask << shift,
	};

	if (!bytes->count || bytes->offset > EXPLAIN_BYTES)
		return false;
	rule_add(rule, &condition);
	return true;
}

static void add_source(struct explain_rule *rule, const struct weir_prefix *key)
{
	struct prefix from;
	struct explain_condition condition = { .field = EXPLAIN_SOURCE };

	prefix_from_key(key, &from);
	condition.at = from.length;
	condition.net_hi = from.hi;
	condition.net_lo = from.lo;
	rule_add(rule, &condition);
}

bool rule_spec_explain(const struct weir_rule_spec *spec, struct explain_rule *rule)
{
	uint32_t match = spec->match;

	*rule = (struct explain_rule){ 0 };
	if (match & (WEIR_MATCH_L4 | WEIR_MATCH_TO) || spec->icmp4 != spec->icmp6)
		return false;
	if (match & WEIR_MATCH_PROTO)
		add_range(rule, EXPLAIN_PROTO, spec->proto, spec->proto);
	if (match & WEIR_MATCH_FRAGMENT)
		add_range(rule, EXPLAIN_FRAGMENT, 1, 1);
	if (match & WEIR_MATCH_LENGTH)
		add_range(rule, EXPLAIN_LENGTH, spec->length_first, spec->length_last);
	if (match & WEIR_MATCH_TTL)
		add_range(rule, EXPLAIN_TTL, spec->ttl_first, spec->ttl_last);
	if (match & WEIR_MATCH_ICMP)
		add_range(rule, EXPLAIN_ICMP, spec->icmp4 - 1, spec->icmp4 - 1);
	if (match & WEIR_MATCH_FLAGS)
		add_range(rule, EXPLAIN_FLAGS, spec->flags, spec->flags_mask);
	if (match & WEIR_MATCH_FROM)
		add_source(rule, &spec->from);
	if (match & WEIR_MATCH_SPORT && !add_ports(rule, EXPLAIN_SPORT, spec->sport))
		return false;
	if (match & WEIR_MATCH_DPORT && !add_ports(rule, EXPLAIN_DPORT, spec->dport))
		return false;
	return !(match & WEIR_MATCH_PAYLOAD) || add_payload(rule, &spec->payload);
}
