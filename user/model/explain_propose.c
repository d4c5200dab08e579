// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "user/model/explain_fields.h"
#include "user/model/explain_propose.h"
#include "user/model/parse.h"

#define NAME_HASH	0xffffff

/* ---- the calm sample ---- */

void explain_take_against(const struct calm *calm, struct explain_against *against)
{
	const struct calm_sample *known = &calm->sample[CALM_KNOWN];
	const struct calm_sample *strangers = &calm->sample[CALM_STRANGERS];

	memcpy(against->packet, known->packet, known->count * sizeof(*known->packet));
	against->count = known->count;
	against->of_strangers = known->count < EXPLAIN_CALM_LEAST && strangers->count;
	if (!against->of_strangers)
		return;
	for (uint32_t i = 0; i < strangers->count && against->count < EXPLAIN_PACKETS; i++)
		against->packet[against->count++] = strangers->packet[i];
}

void explain_say_too_few(const struct calm *calm, const struct explain_against *against,
			 char text[ERR_LEN])
{
	struct calm_extent extent[CALM_KINDS];

	for (int kind = 0; kind < CALM_KINDS; kind++)
		calm_measure(&calm->sample[kind], &extent[kind]);
	snprintf(text, ERR_LEN, "the calm sample has %u packets, and %u are needed; the daemon "
		 "keeps at most %u of one /24 or /48, and those that it has are of %u networks",
		 against->count, EXPLAIN_CALM_LEAST, CALM_OF_NETWORK,
		 extent[CALM_KNOWN].networks + extent[CALM_STRANGERS].networks);
}

/* ---- proposals ---- */

static void doubt_text(const struct explain_verdict *verdict, char text[ERR_LEN])
{
	const char *proto = proto_name(verdict->doubt_proto);

	switch (verdict->doubt) {
	case EXPLAIN_SERVICE:
		snprintf(text, ERR_LEN, "it takes %u calm packets of one service, %s %u",
			 verdict->doubt_packets, proto ? proto : "protocol",
			 proto ? verdict->doubt_port : verdict->doubt_proto);
		break;
	case EXPLAIN_ONE_SOURCE:
		snprintf(text, ERR_LEN, "it takes %u packets, most that a calm source sent",
			 verdict->doubt_packets);
		break;
	case EXPLAIN_FEW_SOURCES:
		snprintf(text, ERR_LEN, "it goes by what hosts have, and the calm sample has too "
			 "few sources to be sure");
		break;
	case EXPLAIN_FEW_PACKETS:
		snprintf(text, ERR_LEN, "the calm sample has too few packets to be sure");
		break;
	case EXPLAIN_BY_SOURCE:
		snprintf(text, ERR_LEN, "it goes by the source alone, which can be spoofed");
		break;
	case EXPLAIN_BARE:
		snprintf(text, ERR_LEN, "it names a protocol and nothing else");
		break;
	default:
		*text = '\0';
	}
}

void explain_propose(const struct explain_verdict *verdict, const struct calm *calm,
		     const struct explain_against *against, struct explain_proposal *proposal)
{
	const struct calm_sample *strangers = &calm->sample[CALM_STRANGERS];

	proposal->verdict = verdict;
	explain_rule_text(&verdict->rule, proposal->match);
	explain_share_of(&verdict->rule, strangers->packet, strangers->count,
			 &proposal->stranger_hits);
	doubt_text(verdict, proposal->doubt);
	if (!*proposal->doubt && against->of_strangers)
		snprintf(proposal->doubt, ERR_LEN, "the calm sample has only %u packets of known "
			 "sources; the others may be an attacker's", calm->sample[CALM_KNOWN].count);
	else if (!*proposal->doubt && proposal->stranger_hits)
		snprintf(proposal->doubt, ERR_LEN, "in calm times it matched %u of %u packets of "
			 "sources that are not known", proposal->stranger_hits, strangers->count);
	proposal->sure = !*proposal->doubt;
}

void explain_name(const struct explain_rule *rule, const char *match, char name[WEIR_NAME_LEN])
{
	const char *proto = "any";
	uint32_t hash = 2166136261U, port = 0;	/* FNV-1a */
	size_t used;

	for (const char *at = match; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619U;
	for (uint32_t i = 0; i < rule->count; i++) {
		const struct explain_condition *c = &rule->condition[i];

		if (c->field == EXPLAIN_PROTO)
			proto = proto_name(c->low) ? proto_name(c->low) : "proto";
		if ((c->field == EXPLAIN_SPORT || c->field == EXPLAIN_DPORT) && c->low == c->high)
			port = port && c->field == EXPLAIN_DPORT ? port : c->low;
	}
	used = snprintf(name, WEIR_NAME_LEN, "%s", proto);
	if (port)
		used += snprintf(name + used, WEIR_NAME_LEN - used, "-%u", port);
	snprintf(name + used, WEIR_NAME_LEN - used, "-%06x", (hash ^ hash >> 24) & NAME_HASH);
}
