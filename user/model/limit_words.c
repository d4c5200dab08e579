// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/icmp_types.h"
#include "user/model/limit_words.h"
#include "user/model/parse.h"
#include "user/model/port_set.h"
#include "user/model/prefix.h"
#include "user/model/words.h"

#define V4_BITS	32
#define V6_BITS	64

static int set_prefix(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	struct prefix prefix;

	if (parse_prefix(value, &prefix, err))
		return -EINVAL;
	if (prefix.length == 0)
		return fail(err, EINVAL, "::/0 is every source: leave it out; for all routed IPv6 addresses "
			    "give 2000::/3");
	prefix_to_key(&prefix, &w->spec.from);
	w->from = true;
	return 0;
}

static int set_proto(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	bool any;

	if (w->proto)	/* `icmp` alone counts as a proto */
		return fail(err, EINVAL, "proto %s: the protocol is given twice", value);
	if (parse_proto(value, &w->spec.proto, &any, err))
		return -EINVAL;
	w->spec.any_proto = any;
	w->proto = !any;
	return 0;
}

static int set_rate(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	struct rate rate;

	if (parse_rate(value, &rate, err))
		return -EINVAL;
	if (rate.packets ? w->spec.rate_packets : w->spec.rate_bits_per_s)
		return fail(err, EINVAL, "rate \"%s\": there is a rate of %s already", value,
			    rate.packets ? "packets" : "bits");
	if (rate.packets) {
		w->spec.rate_packets = rate.packets;
		w->spec.per_s = rate.per_s;
	} else {
		w->spec.rate_bits_per_s = rate.bits_per_s;
	}
	return 0;
}

static int set_burst(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	struct burst burst;

	if (parse_burst(value, &burst, err))
		return -EINVAL;
	if (burst.packets ? w->spec.burst_packets : w->spec.burst_bits)
		return fail(err, EINVAL, "burst \"%s\": there is a burst of %s already", value,
			    burst.packets ? "packets" : "bits");
	if (burst.packets)
		w->spec.burst_packets = burst.packets;
	else
		w->spec.burst_bits = burst.bits;
	return 0;
}

static int set_per(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	uint64_t bits;

	if (parse_number(value, "per", 1, 128, &bits, err))
		return -EINVAL;
	if (w->pers == 2)
		return fail(err, EINVAL, "per \"%s\": one for IPv4 and one for IPv6 at most", value);
	w->per[w->pers++] = bits;
	return 0;
}

/* Up to 32 it is for IPv4, above for IPv6; with an IPv6 prefix it is always for IPv6. */
static int apply_per(struct limit_words *w, char *err)
{
	bool v4_given = false, v6_given = false, only_v4, only_v6;
	struct prefix from;

	prefix_from_key(&w->spec.from, &from);
	only_v4 = w->from && prefix_is_v4(&from);
	only_v6 = w->from && !prefix_is_v4(&from);
	for (int i = 0; i < w->pers; i++) {
		bool v4 = w->per[i] <= 32 && !only_v6;
		bool *given = v4 ? &v4_given : &v6_given;

		if (!v4 && only_v4)
			return fail(err, EINVAL, "per %u: an IPv4 source has up to 32 bits",
				    w->per[i]);
		if (*given)
			return fail(err, EINVAL, "per %u: there is a per %u already", w->per[i],
				    w->per[0]);
		*given = true;
		*(v4 ? &w->v4_bits : &w->v6_bits) = w->per[i];
	}
	return 0;
}

/* Once the protocol is known: the name of a service depends on it. */
static int parse_both_ports(struct limit_words *w, char *err)
{
	uint8_t proto = w->spec.what == WEIR_SYN ? IPPROTO_TCP : w->proto ? w->spec.proto : 0;

	if (w->dport && port_set_parse(w->dport, "dport", proto, w->spec.dport, err))
		return -EINVAL;
	return w->sport ? port_set_parse(w->sport, "sport", proto, w->spec.sport, err) : 0;
}

static int set_what(void *into, const char *word, char *err)
{
	struct limit_words *w = into;

	if (w->spec.what != WEIR_ANY_PACKET)
		return fail(err, EINVAL, "\"%s\": one of syn and fragment, once", word);
	w->spec.what = !strcmp(word, "syn") ? WEIR_SYN : WEIR_FRAGMENT;
	return 0;
}

static int set_icmp_type(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	struct icmp_types types;

	if (icmp_types_parse(value, &types, err))
		return -EINVAL;
	w->spec.icmp4 = types.v4;
	w->spec.icmp6 = types.v6;
	w->icmp_type = value;
	return 0;
}

/*
 * Which messages a type stands for, once the prefix is known. Of a number that means one message in
 * IPv4 and another in IPv6, the operator must say which.
 */
static int check_icmp_family(const struct limit_words *w, char *err)
{
	const struct weir_limit_spec *spec = &w->spec;
	struct prefix from;
	const char *v4, *v6;

	prefix_from_key(&spec->from, &from);
	if (w->from && !(prefix_is_v4(&from) ? spec->icmp4 : spec->icmp6))
		return fail(err, EINVAL, "icmp-type %.40s: %s has no such message", w->icmp_type,
			    prefix_is_v4(&from) ? "IPv4" : "IPv6");
	if (!w->from && spec->icmp4 == spec->icmp6 &&
	    icmp_type_differs((struct icmp_types){ spec->icmp4, spec->icmp6 }, &v4, &v6))
		return fail(err, EINVAL, "icmp-type %.40s is %s in IPv4 and %s in IPv6: give the name",
			    w->icmp_type, v4, v6);
	return 0;
}

static int check_icmp_type(const struct limit_words *w, char *err)
{
	const struct weir_limit_spec *spec = &w->spec;

	if (w->proto && spec->proto != IPPROTO_ICMP)
		return fail(err, EINVAL, "icmp-type: only icmp has it");
	if (spec->what == WEIR_FRAGMENT)
		return fail(err, EINVAL, "fragment: a later fragment carries no ICMP type");
	if (spec->what != WEIR_ANY_PACKET || spec->dport_first || spec->sport_first)
		return fail(err, EINVAL, "icmp-type: ICMP has neither ports nor connections");
	return check_icmp_family(w, err);
}

/* A class to which no packet can belong is an error of the operator, and is refused. */
static int check_class(struct limit_words *w, char *err)
{
	struct weir_limit_spec *spec = &w->spec;

	if (w->icmp_type && check_icmp_type(w, err))
		return -EINVAL;
	if (spec->what == WEIR_SYN && w->proto && spec->proto != IPPROTO_TCP)
		return fail(err, EINVAL, "syn: only TCP has connections to open");
	if (spec->what == WEIR_FRAGMENT && (spec->dport_first || spec->sport_first))
		return fail(err, EINVAL, "fragment: a later fragment carries no port");
	if ((spec->dport_first || spec->sport_first) && w->proto && spec->proto != IPPROTO_TCP &&
	    spec->proto != IPPROTO_UDP)
		return fail(err, EINVAL, "%s: only tcp and udp have ports here",
			    spec->dport_first ? "dport" : "sport");
	if (spec->what == WEIR_SYN || w->icmp_type) {
		spec->proto = w->icmp_type ? IPPROTO_ICMP : IPPROTO_TCP;
		spec->any_proto = 0;
	}
	return 0;
}

#define RATE_WORDS \
	{ "rate", "a rate such as 1000pps", set_rate, .often = true }, \
	{ "burst", "a number of packets, or of bits such as 512kbit", set_burst, .often = true }
#define CLASS_WORDS \
	{ "proto", "tcp, udp, icmp or a number", set_proto }, \
	{ "icmp", NULL, set_proto }, \
	{ "syn", NULL, set_what }, \
	{ "fragment", NULL, set_what }, \
	WORD_TEXT("dport", "ports such as 80,443,8000-8100 or https", struct limit_words, dport), \
	WORD_TEXT("sport", "ports such as 53,123,1024-65535", struct limit_words, sport), \
	{ "icmp-type", "a type such as echo-request", set_icmp_type }
#define FROM_WORD	{ "from", "a prefix", set_prefix }
#define TO_WORD		{ "to", "a prefix", set_prefix }
#define FORCE_WORD	WORD_FLAG("force", struct limit_words, force)
#define PER_WORD	{ "per", "a number of bits", set_per, .often = true }

static const struct word words_to_set_limit[] = {
	FROM_WORD, CLASS_WORDS, RATE_WORDS, PER_WORD, FORCE_WORD, { 0 },
};
static const struct word words_to_find_limit[] = { FROM_WORD, CLASS_WORDS, FORCE_WORD, { 0 } };
static const struct word words_to_set_budget[] = {
	TO_WORD, CLASS_WORDS, RATE_WORDS, FORCE_WORD, { 0 },
};

static const struct word *const tables[] = {
	[LIMIT_TO_SET] = words_to_set_limit,
	[LIMIT_TO_FIND] = words_to_find_limit,
	[BUDGET_TO_SET] = words_to_set_budget,
};

int parse_limit_words(struct words *words, enum limit_use use, struct limit_words *w, char *err)
{
	int rc;

	*w = (struct limit_words){ .spec.any_proto = 1, .v4_bits = V4_BITS, .v6_bits = V6_BITS };
	rc = take_words(words, tables[use], w, err);
	if (!rc && use != LIMIT_TO_FIND && !w->spec.rate_packets && !w->spec.rate_bits_per_s)
		rc = fail(err, EINVAL, "a rate is needed, such as rate 1000pps");
	if (!rc)
		rc = parse_both_ports(w, err);
	if (!rc)
		rc = apply_per(w, err);
	return rc ? rc : check_class(w, err);
}
