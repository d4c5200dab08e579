// SPDX-License-Identifier: GPL-2.0-only
/* A rule as the words of `weir drop add`. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/model/explain_text.h"
#include "user/model/parse.h"

struct text {
	char *at;
	size_t left;
};

static __attribute__((format(printf, 2, 3))) void put(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text->at, text->left, format, args);
	va_end(args);
	if (len < 0)
		return;
	if ((size_t)len >= text->left)
		len = text->left ? text->left - 1 : 0;
	text->at += len;
	text->left -= len;
}

void explain_flags_text(uint32_t flags, char text[EXPLAIN_FLAGS_LEN])
{
	static const char *const names[] = { "fin", "syn", "rst", "psh", "ack", "urg" };
	struct text out = { text, EXPLAIN_FLAGS_LEN };
	const char *comma = "";

	*text = '\0';
	for (int bit = 0; bit < 6; bit++) {
		if (!(flags >> bit & 1))
			continue;
		put(&out, "%s%s", comma, names[bit]);
		comma = ",";
	}
	if (!*text)
		put(&out, "none");
}

/* Only the bytes that the mask has: four of them are a rule's most. */
static void put_bytes(struct text *text, const struct explain_condition *condition)
{
	int first = 0, last = 3, at;
	uint32_t value = condition->low, mask = condition->high;

	while (first < 3 && !(mask >> (24 - 8 * first) & 255))
		first++;
	while (last > first && !(mask >> (24 - 8 * last) & 255))
		last--;
	put(text, "payload %u ", condition->at + first);
	for (at = first; at <= last; at++)
		put(text, "%02x", value >> (24 - 8 * at) & 255);
	for (at = first; at <= last && (mask >> (24 - 8 * at) & 255) == 255; at++)
		;
	if (at > last)
		return;
	put(text, "/");
	for (at = first; at <= last; at++)
		put(text, "%02x", mask >> (24 - 8 * at) & 255);
}

static void put_source(struct text *text, const struct explain_condition *condition)
{
	struct prefix prefix = { condition->net_hi, condition->net_lo, condition->at };
	char name[PREFIX_STRLEN];

	prefix_format(&prefix, name);
	put(text, "from %s", name);
}

static void put_flags(struct text *text, const struct explain_condition *condition)
{
	char value[EXPLAIN_FLAGS_LEN], mask[EXPLAIN_FLAGS_LEN];

	explain_flags_text(condition->low, value);
	explain_flags_text(condition->high, mask);
	put(text, "flags %s/%s", value, mask);
}

static void put_number(struct text *text, const struct explain_condition *condition)
{
	static const char *const words[] = {
		[EXPLAIN_SPORT] = "sport", [EXPLAIN_DPORT] = "dport", [EXPLAIN_LENGTH] = "length",
		[EXPLAIN_TTL] = "ip-ttl", [EXPLAIN_ICMP] = "icmp-type",
	};

	put(text, "%s %u", words[condition->field], condition->low);
	if (condition->low != condition->high)
		put(text, "-%u", condition->high);
}

static void put_condition(struct text *text, const struct explain_condition *condition)
{
	const char *proto;

	switch (condition->field) {
	case EXPLAIN_PROTO:
		proto = proto_name(condition->low);
		if (proto)
			put(text, "proto %s", proto);
		else
			put(text, "proto %u", condition->low);
		break;
	case EXPLAIN_FRAGMENT:
		put(text, "fragment");
		break;
	case EXPLAIN_PAYLOAD:
		put_bytes(text, condition);
		break;
	case EXPLAIN_SOURCE:
		put_source(text, condition);
		break;
	case EXPLAIN_FLAGS:
		put_flags(text, condition);
		break;
	default:
		put_number(text, condition);
	}
}

void explain_rule_text(const struct explain_rule *rule, char text[EXPLAIN_TEXT])
{
	/* As a person would say it. */
	static const uint8_t order[] = {
		EXPLAIN_PROTO, EXPLAIN_FRAGMENT, EXPLAIN_SPORT, EXPLAIN_DPORT, EXPLAIN_ICMP,
		EXPLAIN_FLAGS, EXPLAIN_LENGTH, EXPLAIN_TTL, EXPLAIN_PAYLOAD, EXPLAIN_SOURCE,
	};
	struct text out = { text, EXPLAIN_TEXT };

	*text = '\0';
	for (size_t field = 0; field < sizeof(order); field++)
		for (uint32_t i = 0; i < rule->count; i++) {
			if (rule->condition[i].field != order[field])
				continue;
			if (*text)
				put(&out, " ");
			put_condition(&out, &rule->condition[i]);
		}
}
