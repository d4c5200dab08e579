// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "user/model/format.h"
#include "user/model/icmp_types.h"
#include "user/model/parse.h"
#include "user/model/port_set.h"

void format_packet_rate(uint64_t packets, uint32_t per_s, char text[FORMAT_LEN])
{
	const char *unit = per_s == 60 ? "/min" : per_s == 3600 ? "/h" : "pps";

	snprintf(text, FORMAT_LEN, "%llu%s", (unsigned long long)packets, unit);
}

void format_bits(uint64_t bits, char text[FORMAT_LEN])
{
	static const char *const units[] = { "bit", "kbit", "mbit", "gbit" };
	int unit = 0;

	while (unit < 3 && bits && bits % 1000 == 0) {
		bits /= 1000;
		unit++;
	}
	snprintf(text, FORMAT_LEN, "%llu%s", (unsigned long long)bits, units[unit]);
}

/* Writes at most @parts units, the largest that is not 0 first; what is smaller is left out. */
static void format_parts(uint64_t seconds, int parts, char text[FORMAT_LEN])
{
	static const struct {
		uint64_t seconds;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int unit = 0, used = 0;

	while (unit < 3 && seconds < units[unit].seconds)
		unit++;
	for (; unit < 4 && parts--; unit++) {
		uint64_t count = seconds / units[unit].seconds;

		seconds %= units[unit].seconds;
		if (count || !used)
			used += snprintf(text + used, FORMAT_LEN - used, "%llu%c",
					 (unsigned long long)count, units[unit].unit);
	}
}

void format_duration(uint64_t seconds, char text[FORMAT_LEN])
{
	format_parts(seconds, 4, text);
}

void format_left(uint64_t seconds, char text[FORMAT_LEN])
{
	format_parts(seconds, 2, text);
}

/* Appends @words to @text, with a space between the two. */
static void add_words(char *text, size_t size, const char *words)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s", used ? " " : "", words);
}

/* Appends the name and the ports, and nothing for any port. */
static void add_ports(const char *name, const struct weir_ports set[WEIR_PORT_RANGES],
		      char text[CLASS_LEN])
{
	char ports[PORT_SET_TEXT];

	port_set_format(set, ports);
	if (!*ports)
		return;
	add_words(text, CLASS_LEN, name);
	add_words(text, CLASS_LEN, ports);
}

void format_class(const struct weir_limit_spec *spec, char text[CLASS_LEN])
{
	const char *name = proto_name(spec->proto);
	char word[32];

	text[0] = '\0';
	if (!spec->any_proto && spec->what != WEIR_SYN && !spec->icmp4 && !spec->icmp6) {
		if (name)
			snprintf(word, sizeof(word), "proto %s", name);
		else
			snprintf(word, sizeof(word), "proto %u", spec->proto);
		add_words(text, CLASS_LEN, word);
	}
	if (spec->what == WEIR_SYN)
		add_words(text, CLASS_LEN, "syn");
	if (spec->what == WEIR_FRAGMENT)
		add_words(text, CLASS_LEN, "fragment");
	if (spec->icmp4 || spec->icmp6) {
		icmp_types_format((struct icmp_types){ spec->icmp4, spec->icmp6 }, word);
		add_words(text, CLASS_LEN, "icmp-type");
		add_words(text, CLASS_LEN, word);
	}
	add_ports("dport", spec->dport, text);
	add_ports("sport", spec->sport, text);
	if (!text[0])
		snprintf(text, CLASS_LEN, "all");
}

void format_end(const struct weir_prefix *end, char text[PREFIX_STRLEN])
{
	struct prefix prefix;

	prefix_from_key(end, &prefix);
	if (prefix_key_is_any(end))
		snprintf(text, PREFIX_STRLEN, "any");
	else
		prefix_format(&prefix, text);
}

/* Appends the prefix and the class. @end: "from" for a source, "to" for a destination. */
static void add_match(const struct weir_limit_spec *spec, const char *end, char *text, size_t size)
{
	char word[CLASS_LEN + 40], value[CLASS_LEN];
	struct prefix prefix;

	prefix_from_key(&spec->from, &prefix);
	if (!prefix_key_is_any(&spec->from)) {
		prefix_format(&prefix, value);
		snprintf(word, sizeof(word), "%s %s", end, value);
		add_words(text, size, word);
	}
	format_class(spec, value);
	if (strcmp(value, "all"))
		add_words(text, size, value);
}

static void add_rates(const struct weir_limit_spec *spec, char *text, size_t size)
{
	char word[FORMAT_LEN + 40], value[FORMAT_LEN];

	if (spec->rate_packets) {
		format_packet_rate(spec->rate_packets, spec->per_s, value);
		snprintf(word, sizeof(word), "rate %s burst %llu", value,
			 (unsigned long long)spec->burst_packets);
		add_words(text, size, word);
	}
	if (spec->rate_bits_per_s) {
		format_bits(spec->rate_bits_per_s, value);
		snprintf(word, sizeof(word), "rate %s", value);
		add_words(text, size, word);
		format_bits(spec->burst_bits, value);
		snprintf(word, sizeof(word), "burst %s", value);
		add_words(text, size, word);
	}
}

void format_limit(const struct weir_limit_spec *spec, const struct weir_limit *limit, char *text,
		  size_t size)
{
	char word[32];

	text[0] = '\0';
	add_match(spec, "from", text, size);
	add_rates(spec, text, size);
	if (limit->v4_bits != 32) {
		snprintf(word, sizeof(word), "per %u", limit->v4_bits);
		add_words(text, size, word);
	}
	if (limit->v6_bits != 64) {
		snprintf(word, sizeof(word), "per %u", limit->v6_bits);
		add_words(text, size, word);
	}
}

void format_budget(const struct weir_limit_spec *spec, char *text, size_t size)
{
	text[0] = '\0';
	add_match(spec, "to", text, size);
	add_rates(spec, text, size);
}

void format_syn(const struct weir_syn_rule *rule, char *text, size_t size)
{
	char to[PREFIX_STRLEN], ports[16];
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	prefix_format(&prefix, to);
	snprintf(ports, sizeof(ports), rule->first == rule->last ? "%u" : "%u-%u", rule->first,
		 rule->last);
	snprintf(text, size, "dport %s%s%s %s%s", ports, rule->to.prefixlen ? " to " : "",
		 rule->to.prefixlen ? to : "", rule->always ? "always" : "when-over-budget",
		 rule->set_sysctl ? " set-sysctl" : "");
}

void format_dns(const struct weir_dns_rule *rule, char *text, size_t size)
{
	char to[PREFIX_STRLEN];
	struct prefix prefix;

	prefix_from_key(&rule->to, &prefix);
	prefix_format(&prefix, to);
	snprintf(text, size, "dport %u%s%s %s", rule->port, rule->to.prefixlen ? " to " : "",
		 rule->to.prefixlen ? to : "", rule->always ? "always" : "when-over-budget");
}

bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string != NULL;
}
