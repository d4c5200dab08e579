// SPDX-License-Identifier: GPL-2.0-only
/* weir limit: rates for each source. */
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/cmd_output.h"
#include "user/error.h"
#include "user/policy.h"
#include "user/table.h"

#define V4_BITS	32
#define V6_BITS	64

/* What the words of a limit said; the rates only where they are wanted. */
struct limit_words {
	struct weir_limit_spec spec;
	bool from, proto;	/* were given; proto: and is not `any` */
	uint8_t per[2], pers;	/* as given */
	uint8_t v4_bits, v6_bits;
};

static int set_from(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	struct prefix prefix;

	if (parse_prefix(value, &prefix, err))
		return -EINVAL;
	if (prefix.length == 0)
		return fail(err, EINVAL, "from ::/0 is everybody: leave out \"from\"; for all of "
			    "IPv6 that is routed say from 2000::/3");
	prefix_to_key(&prefix, &w->spec.from);
	w->from = true;
	return 0;
}

static int set_proto(void *into, const char *value, char *err)
{
	struct limit_words *w = into;
	bool any;

	if (w->proto)	/* `icmp` alone is a proto, too */
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

/* Of IPv4 up to 32, of IPv6 above; behind an IPv6 prefix always of IPv6. */
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

static int set_dport(void *into, const char *value, char *err)
{
	struct limit_words *w = into;

	return parse_ports(value, &w->spec.dport_first, &w->spec.dport_last, err);
}

static int set_what(void *into, const char *word, char *err)
{
	struct limit_words *w = into;

	if (w->spec.what != WEIR_ANY_PACKET)
		return fail(err, EINVAL, "\"%s\": one of syn and fragment, once", word);
	w->spec.what = !strcmp(word, "syn") ? WEIR_SYN : WEIR_FRAGMENT;
	return 0;
}

/* A class that no packet can be in is a mistake; say so now and not by silence. */
static int check_class(struct limit_words *w, char *err)
{
	struct weir_limit_spec *spec = &w->spec;

	if (spec->what == WEIR_SYN && w->proto && spec->proto != IPPROTO_TCP)
		return fail(err, EINVAL, "syn: only TCP has connections to open");
	if (spec->what == WEIR_FRAGMENT && spec->dport_first)
		return fail(err, EINVAL, "fragment: a later fragment carries no port");
	if (spec->dport_first && w->proto && spec->proto != IPPROTO_TCP &&
	    spec->proto != IPPROTO_UDP)
		return fail(err, EINVAL, "dport: only tcp and udp are looked at for ports");
	if (spec->what == WEIR_SYN) {
		spec->proto = IPPROTO_TCP;
		spec->any_proto = 0;
	}
	return 0;
}

/* The rates first: `limit del` takes only what comes behind them. */
#define RATE_WORDS 3
static const struct word limit_words[] = {
	{ "rate", "a rate such as 1000pps", set_rate, .often = true },
	{ "burst", "a number of packets, or of bits such as 512kbit", set_burst, .often = true },
	{ "per", "a number of bits", set_per, .often = true },
	{ "from", "a prefix", set_from },
	{ "proto", "tcp, udp, icmp or a number", set_proto },
	{ "icmp", NULL, set_proto },
	{ "syn", NULL, set_what },
	{ "fragment", NULL, set_what },
	{ "dport", "a port or a range", set_dport },
	{ 0 },
};

static int parse_limit(char ***words, bool rates, struct limit_words *w, char *err)
{
	int rc;

	*w = (struct limit_words){ .spec.any_proto = 1, .v4_bits = V4_BITS, .v6_bits = V6_BITS };
	rc = take_words(words, limit_words + (rates ? 0 : RATE_WORDS), w, err);
	if (!rc && rates && !w->spec.rate_packets && !w->spec.rate_bits_per_s)
		rc = fail(err, EINVAL, "a limit needs a rate, such as rate 1000pps");
	if (!rc)
		rc = apply_per(w, err);
	return rc ? rc : check_class(w, err);
}

enum outcome edit_limit_set(struct edit *edit)
{
	struct limit_words w;
	int rc;

	if (parse_limit(&edit->words, true, &w, edit->err))
		return USAGE;
	rc = policy_set(edit->settings->policy, &w.spec, w.v4_bits, w.v6_bits,
			edit->now_ns << WEIR_TICK_SHIFT, edit->err);
	if (rc == -EINVAL || rc == -ERANGE)
		return USAGE;
	if (rc < 0)
		return FAILED;
	edit->changed |= rc > 0;
	return DONE;
}

enum outcome edit_limit_del(struct edit *edit)
{
	char class[FORMAT_LEN], from[PREFIX_STRLEN] = "everybody";
	struct limit_words w;
	struct prefix prefix;
	uint32_t index;

	if (parse_limit(&edit->words, false, &w, edit->err))
		return USAGE;
	index = policy_find(edit->settings->policy, &w.spec);
	if (!index) {
		format_class(&w.spec, class);
		prefix_from_key(&w.spec.from, &prefix);
		if (w.from)
			prefix_format(&prefix, from);
		fail(edit->err, ENOENT, "there is no limit for %s from %s; `weir limit show` lists them",
		     strcmp(class, "all") ? class : "all packets", from);
		return FAILED;
	}
	policy_remove(edit->settings->policy, index);
	edit->changed = true;
	return DONE;
}

enum outcome edit_limit_flush(struct edit *edit)
{
	unsigned int removed = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		if (!edit->settings->policy->spec[i].used)
			continue;
		policy_remove(edit->settings->policy, i);
		removed++;
	}
	edit->changed = removed;
	snprintf(edit->said, sizeof(edit->said), "%u limits removed", removed);
	return DONE;
}

/* ---- show ---- */

static int compare_limits(const void *a, const void *b, void *policy)
{
	return policy_order(policy, a, b);
}

size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS])
{
	size_t count = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used)
			order[count++] = i;
	qsort_r(order, count, sizeof(*order), compare_limits, (void *)policy);
	return count;
}

static void format_from(const struct weir_limit_spec *spec, char from[PREFIX_STRLEN])
{
	struct prefix prefix;

	prefix_from_key(&spec->from, &prefix);
	if (is_default(&spec->from))
		snprintf(from, PREFIX_STRLEN, "any");
	else
		prefix_format(&prefix, from);
}

static json_t *limit_json(const struct weir_limit_spec *spec, const struct weir_limit *limit)
{
	char from[PREFIX_STRLEN], class[FORMAT_LEN];

	format_from(spec, from);
	format_class(spec, class);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "from", from, "class", class,
			 "rate_packets", (json_int_t)spec->rate_packets, "per_seconds",
			 (json_int_t)spec->per_s, "burst_packets", (json_int_t)spec->burst_packets,
			 "rate_bits_per_s", (json_int_t)spec->rate_bits_per_s, "burst_bits",
			 (json_int_t)spec->burst_bits, "per_v4", limit->v4_bits, "per_v6",
			 limit->v6_bits);
}

static const struct column limit_columns[] = {
	{ "FROM", 18 }, { "CLASS", 27 }, { "RATE", 11, true }, { "BURST", 10, true }, { "PER", 0 },
	{ 0 },
};

/* With two rates, the second stands below the first. */
static void print_limit(const struct weir_limit_spec *spec, const struct weir_limit *limit)
{
	char from[PREFIX_STRLEN], class[FORMAT_LEN], rate[FORMAT_LEN], burst[FORMAT_LEN], per[16];

	format_from(spec, from);
	format_class(spec, class);
	snprintf(per, sizeof(per), "/%u /%u", limit->v4_bits, limit->v6_bits);
	if (spec->rate_packets) {
		format_packet_rate(spec->rate_packets, spec->per_s, rate);
		table_row(limit_columns, from, class, rate,
			  table_count(spec->burst_packets, burst), per);
		from[0] = class[0] = per[0] = '\0';
	}
	if (spec->rate_bits_per_s) {
		format_bits(spec->rate_bits_per_s, rate);
		format_bits(spec->burst_bits, burst);
		table_row(limit_columns, from, class, rate, burst, per);
	}
}

enum outcome cmd_limit_show(const struct call *call)
{
	uint32_t order[WEIR_LIMITS];
	struct settings settings;
	char err[ERR_LEN];
	json_t *list;
	size_t count;

	if (read_settings(&settings, err))
		return failed("%s", err);
	count = limits_in_order(settings.policy, order);
	list = json_array();
	if (!call->json && count)
		table_head(limit_columns);
	for (size_t i = 0; i < count; i++) {
		const struct weir_limit_spec *spec = &settings.policy->spec[order[i]];
		const struct weir_limit *limit = &settings.policy->limit[order[i]];

		if (call->json)
			json_array_append_new(list, limit_json(spec, limit));
		else
			print_limit(spec, limit);
	}
	if (!call->json && !count)
		remark(call, "no limits are set");
	settings_free(&settings);
	return print_json(call, json_pack("{s:o}", "limits", list));
}
