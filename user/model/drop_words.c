// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bpf/pure/rules.h"
#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/icmp_types.h"
#include "user/model/parse.h"
#include "user/model/port_set.h"
#include "user/model/prefix.h"

#define BYTES_MOST	4	/* of the packet, in one condition */

static const struct {
	const char *name;
	uint8_t bit;
} flag_names[] = {
	{ "fin", TCP_FIN }, { "syn", TCP_SYN }, { "rst", TCP_RST }, { "psh", TCP_PSH },
	{ "ack", TCP_ACK }, { "urg", TCP_URG }, { "ece", TCP_ECE }, { "cwr", TCP_CWR },
};

#define FLAG_NAMES	(sizeof(flag_names) / sizeof(*flag_names))

static const char *const spare_names[] = {
	[WEIR_SPARE_KNOWN] = "known", [WEIR_SPARE_PROVEN] = "proven", [WEIR_SPARE_NONE] = "none",
};

/* ---- reading values ---- */

int parse_range(const char *word, const char *what, uint64_t least, uint64_t most, uint16_t *first,
		uint16_t *last, char *err)
{
	size_t length = strcspn(word, "-");
	uint64_t from, to;
	char low[8];

	snprintf(low, sizeof(low), "%.*s", (int)(length < sizeof(low) ? length : 0), word);
	if (parse_number(low, what, least, most, &from, err))
		return fail(err, EINVAL, "%s \"%.40s\": not a number or a range such as %llu-%llu",
			    what, word, (unsigned long long)least, (unsigned long long)most);
	to = from;
	if (word[length] && parse_number(word + length + 1, what, least, most, &to, err))
		return -EINVAL;
	if (to < from)
		return fail(err, EINVAL, "%s \"%.40s\": the range is empty", what, word);
	*first = from;
	*last = to;
	return 0;
}

int parse_tcp_flags(const char *text, size_t length, uint8_t *flags, char *err)
{
	const char *end = text + length;

	*flags = 0;
	if (length == 4 && !strncmp(text, "none", 4))
		return 0;
	for (;;) {
		size_t i = 0, word = 0;

		while (text + word < end && text[word] != ',')
			word++;
		while (i < FLAG_NAMES && (strlen(flag_names[i].name) != word ||
					  strncmp(text, flag_names[i].name, word)))
			i++;
		if (i == FLAG_NAMES)
			return fail(err, EINVAL, "flags: \"%.*s\" is none of fin, syn, rst, psh, ack, urg, "
				    "ece and cwr", word < 40 ? (int)word : 40, text);
		*flags |= flag_names[i].bit;
		text += word;
		if (text == end)
			return 0;
		text++;
	}
}

/* Up to four bytes as hexadecimal digits; returns how many bytes, or -EINVAL. */
static int parse_hex(const char *text, size_t length, uint32_t *value)
{
	*value = 0;
	if (!length || length % 2 || length > 2 * BYTES_MOST)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		int c = tolower((unsigned char)text[i]);

		if (!isxdigit(c))
			return -EINVAL;
		*value = *value << 4 | (isdigit(c) ? c - '0' : c - 'a' + 10);
	}
	return length / 2;
}

/* ---- the words ---- */

static struct weir_rule_spec *with(void *into, uint32_t bit)
{
	struct drop_words *w = into;

	w->spec.match |= bit;
	return &w->spec;
}

static int set_proto(void *into, const char *value, char *err)
{
	struct weir_rule_spec *spec = with(into, WEIR_MATCH_PROTO);
	bool any;

	if (parse_proto(value, &spec->proto, &any, err))
		return -EINVAL;
	if (any)
		spec->match &= ~WEIR_MATCH_PROTO;
	return 0;
}

static int set_fragment(void *into, const char *value, char *err)
{
	(void)value, (void)err;
	with(into, WEIR_MATCH_FRAGMENT);
	return 0;
}

/* Once the protocol is known: the name of a service depends on it. */
static int parse_both_ports(struct drop_words *w, char *err)
{
	struct weir_rule_spec *spec = &w->spec;
	uint8_t proto = spec->match & WEIR_MATCH_FLAGS ? IPPROTO_TCP : spec->proto;

	if (w->sport && port_set_parse(w->sport, "sport", proto, spec->sport, err))
		return -EINVAL;
	if (w->dport && port_set_parse(w->dport, "dport", proto, spec->dport, err))
		return -EINVAL;
	spec->match |= (w->sport ? WEIR_MATCH_SPORT : 0) | (w->dport ? WEIR_MATCH_DPORT : 0);
	return 0;
}

static int set_length(void *into, const char *value, char *err)
{
	struct weir_rule_spec *spec = with(into, WEIR_MATCH_LENGTH);

	return parse_range(value, "length", 20, 65535, &spec->length_first, &spec->length_last, err);
}

static int set_ip_ttl(void *into, const char *value, char *err)
{
	struct weir_rule_spec *spec = with(into, WEIR_MATCH_TTL);
	uint16_t first, last;

	if (parse_range(value, "ip-ttl", 0, 255, &first, &last, err))
		return -EINVAL;
	spec->ttl_first = first;
	spec->ttl_last = last;
	return 0;
}

static int set_flags(void *into, const char *value, char *err)
{
	struct weir_rule_spec *spec = with(into, WEIR_MATCH_FLAGS);
	size_t length = strcspn(value, "/");

	if (parse_tcp_flags(value, length, &spec->flags, err))
		return -EINVAL;
	if (!value[length])
		return fail(err, EINVAL, "flags \"%.40s\": give the mask too: of syn,ack those that are set "
			    "are `flags syn/syn,ack`", value);
	if (parse_tcp_flags(value + length + 1, strlen(value + length + 1), &spec->flags_mask, err))
		return -EINVAL;
	if (!spec->flags_mask || spec->flags & ~spec->flags_mask)
		return fail(err, EINVAL, "flags \"%.60s\": the mask must have all flags of the value, and "
			    "at least one", value);
	return 0;
}

static int set_icmp_type(void *into, const char *value, char *err)
{
	struct weir_rule_spec *spec = with(into, WEIR_MATCH_ICMP);
	struct icmp_types types;

	if (icmp_types_parse(value, &types, err))
		return -EINVAL;
	if (types.v4 ? is_icmp_error(types.v4 - 1, 0) : is_icmp_error(types.v6 - 1, 1))
		return fail(err, EINVAL, "icmp-type %.40s: no rule drops messages that tell of errors: "
			    "connections need them to find their packet size", value);
	spec->icmp4 = types.v4;
	spec->icmp6 = types.v6;
	return 0;
}

/* Two values: OFFSET, which is read already, and HEX[/MASK]. */
static int set_bytes(struct drop_words *w, struct weir_rule_bytes *bytes, const char *what,
		     const char *offset, char *err)
{
	const char *value = take_value(w->words);
	size_t length = value ? strcspn(value, "/") : 0;
	uint64_t at;
	int count, masked;

	if (parse_number(offset, what, 0, WEIR_RULE_OFFSET, &at, err))
		return -EINVAL;
	count = value ? parse_hex(value, length, &bytes->value) : -EINVAL;
	if (count < 0)
		return fail(err, EINVAL, "%s %s needs one to %d bytes as hexadecimal digits, such as "
			    "`%s %s ffff` or `%s %s 0f/0f`", what, offset, BYTES_MOST, what, offset,
			    what, offset);
	bytes->mask = count == BYTES_MOST ? ~0U : (1U << 8 * count) - 1;
	masked = value[length] ? parse_hex(value + length + 1, strlen(value + length + 1),
					   &bytes->mask) : count;
	if (masked != count || !bytes->mask || bytes->value & ~bytes->mask)
		return fail(err, EINVAL, "%s %s %.40s: the mask must be as long as the value, not be 0, and "
			    "have all bits of the value", what, offset, value);
	bytes->offset = at;
	bytes->count = count;
	return 0;
}

static int set_payload(void *into, const char *value, char *err)
{
	return set_bytes(into, &with(into, WEIR_MATCH_PAYLOAD)->payload, "payload", value, err);
}

static int set_l4(void *into, const char *value, char *err)
{
	return set_bytes(into, &with(into, WEIR_MATCH_L4)->l4, "l4", value, err);
}

static int set_prefix(struct weir_prefix *key, const char *what, const char *value, char *err)
{
	struct prefix prefix;

	if (parse_prefix(value, &prefix, err))
		return -EINVAL;
	if (!prefix.length)
		return fail(err, EINVAL, "%s ::/0 is every address: leave it out; for all routed IPv6 "
			    "addresses give 2000::/3", what);
	prefix_to_key(&prefix, key);
	return 0;
}

static int set_from(void *into, const char *value, char *err)
{
	return set_prefix(&with(into, WEIR_MATCH_FROM)->from, "from", value, err);
}

static int set_to(void *into, const char *value, char *err)
{
	return set_prefix(&with(into, WEIR_MATCH_TO)->to, "to", value, err);
}

static int set_rate(void *into, const char *value, char *err)
{
	struct drop_words *w = into;
	struct rate rate;

	if (parse_rate(value, &rate, err))
		return -EINVAL;
	w->spec.rate_packets = rate.packets;
	w->spec.per_s = rate.packets ? rate.per_s : 0;
	w->spec.rate_bits_per_s = rate.bits_per_s;
	return 0;
}

static int set_ttl(void *into, const char *value, char *err)
{
	struct drop_words *w = into;

	if (value[strspn(value, "0123456789-")] == '\0')
		return fail(err, EINVAL, "ttl %.20s: `ttl %.20ss` ends the rule after so many seconds; "
			    "`ip-ttl %.20s` matches the TTL of packets", value, value, value);
	return parse_duration(value, &w->ttl_ns, err);
}

static int set_spare(void *into, const char *value, char *err)
{
	struct drop_words *w = into;

	for (size_t i = 0; i < sizeof(spare_names) / sizeof(*spare_names); i++) {
		if (strcmp(value, spare_names[i]))
			continue;
		w->spec.spare = i;
		return 0;
	}
	return fail(err, EINVAL, "spare \"%.40s\": known, proven or none", value);
}

static int set_monitor(void *into, const char *value, char *err)
{
	struct drop_words *w = into;

	(void)value, (void)err;
	w->spec.monitor = 1;
	return 0;
}

/* ---- what can be together ---- */

static bool is_proto(const struct weir_rule_spec *spec, uint8_t proto)
{
	return !(spec->match & WEIR_MATCH_PROTO) || spec->proto == proto;
}

static int check_icmp_family(const struct weir_rule_spec *spec, bool v4, char *err)
{
	if (v4 ? spec->icmp4 : spec->icmp6)
		return 0;
	return fail(err, EINVAL, "icmp-type: %s has no such message", v4 ? "IPv4" : "IPv6");
}

/* A condition that no packet can meet is an error of the operator, and is refused. */
static int check_match(const struct weir_rule_spec *spec, char *err)
{
	const uint32_t in_first = WEIR_MATCH_SPORT | WEIR_MATCH_DPORT | WEIR_MATCH_FLAGS |
				  WEIR_MATCH_ICMP | WEIR_MATCH_PAYLOAD | WEIR_MATCH_L4;
	struct prefix from, to;

	prefix_from_key(&spec->from, &from);
	prefix_from_key(&spec->to, &to);
	if (!spec->match)
		return fail(err, EINVAL, "a condition is needed, such as proto udp sport 123");
	if (spec->match & WEIR_MATCH_FRAGMENT && spec->match & in_first)
		return fail(err, EINVAL, "fragment: a later fragment carries no ports, flags, ICMP type or "
			    "header");
	if (spec->match & (WEIR_MATCH_SPORT | WEIR_MATCH_DPORT) && !is_proto(spec, IPPROTO_TCP) &&
	    !is_proto(spec, IPPROTO_UDP))
		return fail(err, EINVAL, "%s: only tcp and udp have ports here",
			    spec->match & WEIR_MATCH_SPORT ? "sport" : "dport");
	if (spec->match & WEIR_MATCH_FLAGS && !is_proto(spec, IPPROTO_TCP))
		return fail(err, EINVAL, "flags: only tcp has them");
	if (spec->match & WEIR_MATCH_ICMP && !is_proto(spec, IPPROTO_ICMP))
		return fail(err, EINVAL, "icmp-type: only icmp has it");
	if (spec->match & WEIR_MATCH_ICMP &&
	    spec->match & (WEIR_MATCH_SPORT | WEIR_MATCH_DPORT | WEIR_MATCH_FLAGS))
		return fail(err, EINVAL, "icmp-type: ICMP has neither ports nor flags");
	if (spec->match & WEIR_MATCH_FROM && spec->match & WEIR_MATCH_TO &&
	    prefix_is_v4(&from) != prefix_is_v4(&to))
		return fail(err, EINVAL, "from and to: both must be IPv4, or both IPv6");
	if (spec->match & WEIR_MATCH_ICMP && spec->match & WEIR_MATCH_FROM)
		return check_icmp_family(spec, prefix_is_v4(&from), err);
	if (spec->match & WEIR_MATCH_ICMP && spec->match & WEIR_MATCH_TO)
		return check_icmp_family(spec, prefix_is_v4(&to), err);
	return 0;
}

/* A condition says its protocol, so that packets of others need not be looked at. */
static void add_proto(struct weir_rule_spec *spec)
{
	if (spec->match & WEIR_MATCH_FLAGS)
		spec->proto = IPPROTO_TCP;
	if (spec->match & WEIR_MATCH_ICMP)
		spec->proto = IPPROTO_ICMP;
	if (spec->match & (WEIR_MATCH_FLAGS | WEIR_MATCH_ICMP))
		spec->match |= WEIR_MATCH_PROTO;
}

int parse_drop_words(struct words *words, struct drop_words *w, char *err)
{
	static const struct word table[] = {
		{ "proto", "tcp, udp, icmp or a number", set_proto },
		{ "fragment", NULL, set_fragment },
		WORD_TEXT("sport", "ports such as 53,123,1024-65535", struct drop_words, sport),
		WORD_TEXT("dport", "ports such as 80,443,8000-8100 or https", struct drop_words, dport),
		{ "length", "a length of IP packets, or a range", set_length },
		{ "ip-ttl", "a TTL of packets, or a range", set_ip_ttl },
		{ "flags", "flags and a mask, such as syn/syn,ack", set_flags },
		{ "icmp-type", "a type such as echo-request", set_icmp_type },
		{ "payload", "an offset and bytes, such as 0 ffff", set_payload },
		{ "l4", "an offset and bytes, such as 14 0000", set_l4 },
		{ "from", "a prefix", set_from },
		{ "to", "a prefix", set_to },
		{ "rate", "a rate such as 1000pps", set_rate },
		{ "ttl", "a duration such as 10m", set_ttl },
		{ "spare", "known, proven or none", set_spare },
		{ "monitor", NULL, set_monitor },
		WORD_FLAG("force", struct drop_words, force),
		{ 0 },
	};
	const char *name = take_value(words);

	*w = (struct drop_words){ .words = words };
	if (!name)
		return fail(err, EINVAL, "drop add needs a name");
	if (check_name("rule", name, err) || take_words(words, table, w, err) ||
	    parse_both_ports(w, err) || check_match(&w->spec, err))
		return -EINVAL;
	strcpy(w->spec.name, name);
	add_proto(&w->spec);
	return 0;
}

/* ---- writing them ---- */

static __attribute__((format(printf, 2, 3))) void add(char text[RULE_TEXT], const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	if (length && length < RULE_TEXT - 1)
		text[length++] = ' ';
	va_start(args, format);
	vsnprintf(text + length, RULE_TEXT - length, format, args);
	va_end(args);
}

static void add_range(char text[RULE_TEXT], const char *what, uint32_t first, uint32_t last)
{
	if (first == last)
		add(text, "%s %u", what, first);
	else
		add(text, "%s %u-%u", what, first, last);
}

static void add_ports(char text[RULE_TEXT], const char *what,
		      const struct weir_ports set[WEIR_PORT_RANGES])
{
	char ports[PORT_SET_TEXT];

	port_set_format(set, ports);
	add(text, "%s %s", what, ports);
}

static const char *flags_text(uint8_t flags, char text[64])
{
	size_t length = 0;

	snprintf(text, 64, "none");
	for (size_t i = 0; i < FLAG_NAMES; i++)
		if (flags & flag_names[i].bit)
			length += snprintf(text + length, 64 - length, "%s%s", length ? "," : "",
					   flag_names[i].name);
	return text;
}

static const char *icmp_type_text(const struct weir_rule_spec *spec, char text[64])
{
	icmp_types_format((struct icmp_types){ spec->icmp4, spec->icmp6 }, text);
	return text;
}

static void add_bytes(char text[RULE_TEXT], const char *what, const struct weir_rule_bytes *bytes)
{
	uint32_t all = bytes->count == BYTES_MOST ? ~0U : (1U << 8 * bytes->count) - 1;
	int digits = 2 * bytes->count;

	if (bytes->mask == all)
		add(text, "%s %u %0*x", what, bytes->offset, digits, bytes->value);
	else
		add(text, "%s %u %0*x/%0*x", what, bytes->offset, digits, bytes->value, digits,
		    bytes->mask);
}

static void add_end(char text[RULE_TEXT], const char *what, const struct weir_prefix *key)
{
	char end[PREFIX_STRLEN];
	struct prefix prefix;

	prefix_from_key(key, &prefix);
	prefix_format(&prefix, end);
	add(text, "%s %s", what, end);
}

static void add_proto_word(char text[RULE_TEXT], const struct weir_rule_spec *spec)
{
	if (proto_name(spec->proto))
		add(text, "proto %s", proto_name(spec->proto));
	else
		add(text, "proto %u", spec->proto);
}

void format_rule_match(const struct weir_rule_spec *spec, char text[RULE_TEXT])
{
	char value[64], mask[64];

	*text = '\0';
	if (spec->match & WEIR_MATCH_FROM)
		add_end(text, "from", &spec->from);
	if (spec->match & WEIR_MATCH_TO)
		add_end(text, "to", &spec->to);
	if (spec->match & WEIR_MATCH_PROTO)
		add_proto_word(text, spec);
	if (spec->match & WEIR_MATCH_FRAGMENT)
		add(text, "fragment");
	if (spec->match & WEIR_MATCH_SPORT)
		add_ports(text, "sport", spec->sport);
	if (spec->match & WEIR_MATCH_DPORT)
		add_ports(text, "dport", spec->dport);
	if (spec->match & WEIR_MATCH_LENGTH)
		add_range(text, "length", spec->length_first, spec->length_last);
	if (spec->match & WEIR_MATCH_TTL)
		add_range(text, "ip-ttl", spec->ttl_first, spec->ttl_last);
	if (spec->match & WEIR_MATCH_FLAGS)
		add(text, "flags %s/%s", flags_text(spec->flags, value),
		    flags_text(spec->flags_mask, mask));
	if (spec->match & WEIR_MATCH_ICMP)
		add(text, "icmp-type %s", icmp_type_text(spec, value));
	if (spec->match & WEIR_MATCH_PAYLOAD)
		add_bytes(text, "payload", &spec->payload);
	if (spec->match & WEIR_MATCH_L4)
		add_bytes(text, "l4", &spec->l4);
}

void format_rule_action(const struct weir_rule_spec *spec, char text[RULE_TEXT])
{
	char rate[FORMAT_LEN];

	*text = '\0';
	if (spec->rate_packets)
		format_packet_rate(spec->rate_packets, spec->per_s, rate);
	else if (spec->rate_bits_per_s)
		format_bits(spec->rate_bits_per_s, rate);
	if (spec->rate_packets || spec->rate_bits_per_s)
		add(text, "rate %s", rate);
	if (spec->spare != WEIR_SPARE_KNOWN)
		add(text, "spare %s", spare_names[spec->spare % 3]);
	if (spec->monitor)
		add(text, "monitor");
}
