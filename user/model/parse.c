// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/units.h"

#define RATE_MAX	1000000000ULL		/* packets per second */
#define BITS_MAX	1000000000000ULL	/* of a burst, or per second */
#define BURST_MAX	1000000000ULL		/* packets */
#define DURATION_MAX	(3650 * 86400ULL)	/* seconds */

struct unit {
	const char *suffix;
	uint64_t factor;
	uint32_t per_s;		/* the seconds in which that many packets pass; 0: no rate of packets */
};

/*
 * Reads the digits at the start of @word and sets @number to them times the factor of the unit
 * that follows. Returns the unit, or NULL when there are no digits, when the rest of the word is
 * none of the units, or when the number takes more than 64 bits.
 */
static const struct unit *digits_and_unit(const char *word, const struct unit *units,
					  uint64_t *number)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*word))
		return NULL;
	for (; isdigit((unsigned char)*word); word++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *word - '0', &value))
			return NULL;
	for (; units->suffix; units++) {
		if (strcmp(word, units->suffix))
			continue;
		return __builtin_mul_overflow(value, units->factor, number) ? NULL : units;
	}
	return NULL;
}

int parse_rate(const char *word, struct rate *rate, char *err)
{
	static const struct unit packets[] = {
		{ "pps", 1, 1 }, { "kpps", 1000, 1 }, { "mpps", 1000000, 1 }, { "/s", 1, 1 },
		{ "/min", 1, 60 }, { "/h", 1, 3600 }, { 0 },
	};
	static const struct unit bits[] = {
		{ "bit", 1, 1 }, { "kbit", 1000, 1 }, { "mbit", 1000000, 1 },
		{ "gbit", 1000000000, 1 }, { 0 },
	};
	const struct unit *unit;
	uint64_t number;

	*rate = (struct rate){ 0 };
	unit = digits_and_unit(word, packets, &number);
	if (unit) {
		if (number == 0)
			return fail(err, EINVAL, "rate \"%s\": a rate of zero would pass nothing; use "
				    "`weir block` for that", word);
		if (number / unit->per_s > RATE_MAX)
			return fail(err, EINVAL, "rate \"%s\": at most 1000mpps", word);
		rate->packets = number;
		rate->per_s = unit->per_s;
		return 0;
	}
	unit = digits_and_unit(word, bits, &number);
	if (!unit)
		return fail(err, EINVAL, "rate \"%s\": not a rate such as 1000pps, 10kpps, 1mpps, 100/min, "
			    "20/h, 50mbit or 1gbit", word);
	if (number < 1000)
		return fail(err, EINVAL, "rate \"%s\": at least 1kbit", word);
	if (number > BITS_MAX)
		return fail(err, EINVAL, "rate \"%s\": at most 1000gbit", word);
	rate->bits_per_s = number;
	return 0;
}

int parse_burst(const char *word, struct burst *burst, char *err)
{
	static const struct unit packets[] = { { "", 1, 0 }, { 0 } };
	static const struct unit bits[] = {
		{ "bit", 1, 0 }, { "kbit", 1000, 0 }, { "mbit", 1000000, 0 },
		{ "gbit", 1000000000, 0 }, { 0 },
	};
	uint64_t number;

	*burst = (struct burst){ 0 };
	if (digits_and_unit(word, packets, &number)) {
		if (number < 1 || number > BURST_MAX)
			return fail(err, EINVAL, "burst \"%s\": 1..%llu packets", word, BURST_MAX);
		burst->packets = number;
		return 0;
	}
	if (!digits_and_unit(word, bits, &number))
		return fail(err, EINVAL, "burst \"%s\": not a number of packets, nor bits such as 512kbit",
			    word);
	if (number < 1 || number > BITS_MAX)
		return fail(err, EINVAL, "burst \"%s\": 1bit..1000gbit", word);
	burst->bits = number;
	return 0;
}

int parse_duration(const char *word, uint64_t *ns, char *err)
{
	static const struct unit units[] = {
		{ "s", 1, 0 }, { "m", 60, 0 }, { "h", 3600, 0 }, { "d", 86400, 0 }, { 0 },
	};
	uint64_t seconds;

	if (!digits_and_unit(word, units, &seconds))
		return fail(err, EINVAL, "\"%s\": not a duration such as 30s, 10m, 2h or 7d", word);
	if (seconds < 1 || seconds > DURATION_MAX)
		return fail(err, EINVAL, "duration \"%s\": from 1s to 3650d", word);
	*ns = seconds * NS_PER_S;
	return 0;
}

int parse_number(const char *word, const char *what, uint64_t least, uint64_t most,
		 uint64_t *number, char *err)
{
	static const struct unit none[] = { { "", 1, 0 }, { 0 } };

	if (!digits_and_unit(word, none, number) || *number < least || *number > most)
		return fail(err, EINVAL, "%s \"%s\": a whole number from %llu to %llu", what, word,
			    (unsigned long long)least, (unsigned long long)most);
	return 0;
}

int parse_ports(const char *word, uint16_t *first, uint16_t *last, char *err)
{
	char low[8], *dash;
	uint64_t from, to;

	if (strlen(word) >= 2 * sizeof(low))
		return fail(err, EINVAL, "dport \"%.40s\": not a port or a range such as 1000-2000", word);
	dash = strchr(word, '-');
	if (dash && (size_t)(dash - word) >= sizeof(low))
		return fail(err, EINVAL, "dport \"%s\": not a port or a range such as 1000-2000", word);
	snprintf(low, sizeof(low), "%.*s", dash ? (int)(dash - word) : 7, word);
	if (!dash && strlen(word) >= sizeof(low))
		return fail(err, EINVAL, "dport \"%s\": ports are 1..65535", word);
	if (parse_number(low, "dport", 1, 65535, &from, err))
		return -EINVAL;
	to = from;
	if (dash && parse_number(dash + 1, "dport", 1, 65535, &to, err))
		return -EINVAL;
	if (to < from)
		return fail(err, EINVAL, "dport \"%s\": the range is empty", word);
	*first = from;
	*last = to;
	return 0;
}

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },	  { "udp", IPPROTO_UDP },   { "icmp", IPPROTO_ICMP },
	{ "icmp", IPPROTO_ICMPV6 }, { "sctp", IPPROTO_SCTP }, { "gre", IPPROTO_GRE },
	{ "esp", IPPROTO_ESP },	  { "ah", IPPROTO_AH },	    { "ipip", IPPROTO_IPIP },
	{ "igmp", IPPROTO_IGMP },
};

const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].number == proto)
			return protocols[i].name;
	return NULL;
}

int parse_proto(const char *word, uint8_t *proto, bool *any, char *err)
{
	uint64_t number;

	*any = !strcmp(word, "any");
	*proto = 0;
	if (*any)
		return 0;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		if (strcmp(word, protocols[i].name))
			continue;
		*proto = protocols[i].number;
		return 0;
	}
	if (parse_number(word, "proto", 0, 255, &number, err))
		return fail(err, EINVAL, "proto \"%s\": tcp, udp, icmp, any, or a number 0..255", word);
	*proto = number == IPPROTO_ICMPV6 ? IPPROTO_ICMP : number;
	return 0;
}

int parse_prefix(const char *word, struct prefix *prefix, char *err)
{
	char text[PREFIX_STRLEN];
	bool host_bits;
	int rc;

	rc = prefix_parse(word, prefix, &host_bits, err);
	if (rc)
		return rc;
	if (host_bits) {
		prefix_format(prefix, text);
		return fail(err, EINVAL, "\"%s\": bits are set behind the prefix length; did you mean %s?",
			    word, text);
	}
	return 0;
}

int parse_address(const char *word, struct prefix *address, char *err)
{
	if (parse_prefix(word, address, err))
		return -EINVAL;
	return address->length == 128 ? 0 : fail(err, EINVAL, "\"%s\": this must be an "
						 "address, not a prefix", word);
}

int list_check_name(const char *name, char *err)
{
	size_t len = strlen(name);

	if (len < 1 || len >= WEIR_NAME_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		return fail(err, EINVAL, "list name \"%.40s\": 1 to %d of a-z, 0-9, - and _", name,
			    WEIR_NAME_LEN - 1);
	return 0;
}
