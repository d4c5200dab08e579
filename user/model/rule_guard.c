// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "user/model/explain_private.h"
#include "user/model/rule_guard.h"

#define NEARLY_ALL	95	/* percent */
#define FEW_PORTS	64	/* hit one answer in a hundred at most, and the question is asked again */
#define PORT_DNS	53
#define PORT_TIME	123
/*
 * Bytes of the IP packet. An answer of a time server has 76 or 96; with the extension fields of NTS
 * (RFC 8915) and one new cookie it stays below 400.
 */
#define TIME_LONGEST	400

/* Errors and redirects. */
static bool is_needed_4(uint32_t type)
{
	return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

/* Errors, multicast listeners (130 to 132, 143) and neighbour discovery (133 to 137). */
static bool is_needed_6(uint32_t type)
{
	return (type >= 1 && type <= 4) || (type >= 130 && type <= 137) || type == 143;
}

/* ---- narrowing ---- */

void rule_narrow_icmp(struct explain_rule *rule, const struct explain_packet *flood, size_t count)
{
	struct explain_condition same = { .field = EXPLAIN_ICMP };
	struct explain_condition icmp = { .field = EXPLAIN_PROTO, .low = IPPROTO_ICMP,
					  .high = IPPROTO_ICMP };
	uint64_t of_type[256] = { 0 }, all = 0;
	uint32_t most = 0;
	bool is_icmp = false;

	for (uint32_t i = 0; i < rule->count; i++)
		is_icmp |= rule->condition[i].field == EXPLAIN_PROTO &&
			   rule->condition[i].low == icmp.low;
	if (!is_icmp || rule_has(rule, EXPLAIN_ICMP) || rule_has(rule, EXPLAIN_FRAGMENT))
		return;
	for (size_t i = 0; i < count; i++) {
		if (!explain_matches(rule, &flood[i]))
			continue;
		all += 1ULL << flood[i].shift;
		if (flood[i].number[EXPLAIN_ICMP] >= 0)
			of_type[flood[i].number[EXPLAIN_ICMP] & 255] += 1ULL << flood[i].shift;
	}
	for (uint32_t type = 1; type < 256; type++)
		if (of_type[type] > of_type[most])
			most = type;
	same.low = same.high = most;
	if (all && of_type[most] * 100 >= all * NEARLY_ALL)
		rule_add(rule, &same);
}

/* ---- guards ---- */

static bool may_match_needed(const struct weir_rule_spec *spec)
{
	if (spec->match & WEIR_MATCH_PROTO && spec->proto != IPPROTO_ICMP &&
	    spec->proto != IPPROTO_ICMPV6)
		return false;
	if (spec->match & (WEIR_MATCH_SPORT | WEIR_MATCH_DPORT | WEIR_MATCH_FLAGS |
			   WEIR_MATCH_FRAGMENT))
		return false;
	return !(spec->match & WEIR_MATCH_ICMP) ||
	       (spec->icmp4 && is_needed_4(spec->icmp4 - 1U)) ||
	       (spec->icmp6 && is_needed_6(spec->icmp6 - 1U));
}

static bool has_few_dports(const struct weir_rule_spec *spec)
{
	uint32_t count = 0;

	for (int i = 0; i < WEIR_PORT_RANGES && spec->dport[i].last; i++)
		count += spec->dport[i].last - spec->dport[i].first + 1U;
	return spec->match & WEIR_MATCH_DPORT && count <= FEW_PORTS;
}

/*
 * Whether the rule can match an answer from @from, or with length 0 from any address. Answers come
 * to a port of some thousands that this host chose at random, or to the port of the service itself.
 */
static bool may_match_answer(const struct weir_rule_spec *spec, const struct prefix *from,
			     uint16_t port)
{
	uint16_t dport = has_few_dports(spec) ? port : 0;
	struct rule_flow udp = { .from = *from, .proto = IPPROTO_UDP, .sport = port, .dport = dport };
	struct rule_flow tcp = { .from = *from, .proto = IPPROTO_TCP, .sport = port, .dport = dport };

	if (port == PORT_TIME && spec->match & WEIR_MATCH_LENGTH &&
	    spec->length_first > TIME_LONGEST)
		return false;
	return rule_covers(spec, &udp) != COVERS_NONE ||
	       (port == PORT_DNS && rule_covers(spec, &tcp) != COVERS_NONE);
}

bool rule_is_permitted(const struct weir_rule_spec *spec, const struct rule_guarded *guarded,
		       char why[ERR_LEN])
{
	static const struct prefix any;
	char text[PREFIX_STRLEN];

	*why = '\0';
	if (spec->match & WEIR_MATCH_FROM)
		snprintf(why, ERR_LEN, "it goes by the source, which can be spoofed");
	else if (may_match_needed(spec))
		snprintf(why, ERR_LEN, "it could drop ICMP errors or neighbour discovery");
	else if (rule_is_broad(spec))
		snprintf(why, ERR_LEN, "it says hardly more than a protocol");
	else if (guarded->dns_unknown && may_match_answer(spec, &any, PORT_DNS))
		snprintf(why, ERR_LEN, "it could drop answers to the DNS server on this host");
	else if (guarded->time_unknown && may_match_answer(spec, &any, PORT_TIME))
		snprintf(why, ERR_LEN, "it could drop answers of this host's time servers");
	for (size_t i = 0; !*why && i < guarded->count; i++) {
		if (!may_match_answer(spec, &guarded->server[i].address, guarded->server[i].port))
			continue;
		prefix_format_short(&guarded->server[i].address, text);
		snprintf(why, ERR_LEN, "it could drop answers of %s; `weir allow add %s` keeps them",
			 text, text);
	}
	return !*why;
}
