// SPDX-License-Identifier: GPL-2.0-only
/* What a flood was: rules over what dropped it, which is counted, and what was sampled of it. */
#include "user/model/incident.h"

#define HALF		500	/* thousandths: a part is what the flood is */
#define ONE_SOURCE	600	/* thousandths, of one source */
#define SPOOFED_SOURCES	10000	/* senders that all send the same: a botnet is seldom as even */
#define CROWD_SOURCES	16
#define CROWD_PPS	5	/* of one person's machine, which is refused and tries again */
#define CROWD_RETURNS	200	/* thousandths of what budgets turned away came again */
#define CROWD_CONNECTS	100	/* connections, in thousandths of strangers' packets let through */

uint32_t incident_permille(uint64_t part, uint64_t all)
{
	return all ? (double)part * 1000 / all + 0.5 : 0;
}

/* Without one hit in n trials the rate is below 3/n, with 95 % confidence. */
#define NONE_OF		3

uint64_t incident_sources(const struct incident *incident, bool *at_least)
{
	bool none = incident->same < 1;

	if (at_least)
		*at_least = none;
	if (none)
		return incident->pair_count / NONE_OF;
	return incident->pairs / incident->same + 0.5;
}

static bool is_most_of(const struct incident *incident, enum incident_class class)
{
	return incident_permille(incident->of_class[class], incident->sampled) >= HALF;
}

static uint64_t dropped_for(const struct incident *incident, const enum weir_reason *reasons,
			    size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += incident->counted.reason[reasons[i]].packets;
	return sum;
}

static bool is_mostly_for(const struct incident *incident, const enum weir_reason *reasons,
			  size_t count)
{
	return incident_permille(dropped_for(incident, reasons, count),
				 incident_turned_away(&incident->counted).packets) >= HALF;
}

#define IS_MOSTLY_FOR(incident, ...)                                      \
	is_mostly_for(incident, (const enum weir_reason[]){ __VA_ARGS__ }, \
		      sizeof((enum weir_reason[]){ __VA_ARGS__ }) / sizeof(enum weir_reason))

/*
 * People that are refused try again, each at the pace of a machine that waits for an answer, and
 * those that are let in complete a handshake, which a forged address cannot. Random addresses do not
 * come again, and the machines of a botnet are faster. On a router no handshake is seen, and a crowd
 * is called a flood.
 */
static bool is_crowd(const struct incident *incident)
{
	bool none_met;
	uint64_t sources = incident_sources(incident, &none_met);
	uint64_t strangers = incident->counted.first_dropped + incident->counted.returning_dropped;
	double seconds = incident->lasted_ms / 1000.0;

	if (sources < CROWD_SOURCES || none_met || seconds <= 0 ||
	    !IS_MOSTLY_FOR(incident, WEIR_DROP_SHED, WEIR_DROP_SHARE, WEIR_DROP_BUDGET))
		return false;
	return incident_turned_away(&incident->counted).packets / seconds / sources <= CROWD_PPS &&
	       incident_permille(incident->counted.returning_dropped, strangers) >= CROWD_RETURNS &&
	       incident_permille(incident->counted.connections,
				 incident->counted.strangers_passed) >= CROWD_CONNECTS;
}

/* Bans are no kind: what they drop is as the sources were before. */
enum incident_kind incident_kind_of(const struct incident *incident)
{
	const struct incident_item *loudest = incident->top[INCIDENT_SOURCES];

	if (IS_MOSTLY_FOR(incident, WEIR_DROP_LIST, WEIR_DROP_BLOCK))
		return INCIDENT_LISTED;
	if (!incident->sampled)
		return INCIDENT_UNCLEAR;
	if (incident->top_count[INCIDENT_SOURCES] &&
	    incident_permille(loudest->sampled, incident->sampled) >= ONE_SOURCE)
		return INCIDENT_ONE_SOURCE;
	if (is_most_of(incident, INCIDENT_CLASS_REFLECTED))
		return INCIDENT_REFLECTION;
	if (is_most_of(incident, INCIDENT_CLASS_FRAGMENT))
		return INCIDENT_FRAGMENTS;
	if (is_most_of(incident, INCIDENT_CLASS_ICMP))
		return INCIDENT_ICMP;
	if (is_most_of(incident, INCIDENT_CLASS_DNS))
		return INCIDENT_DNS;
	if (is_crowd(incident))
		return INCIDENT_CROWD;
	if (is_most_of(incident, INCIDENT_CLASS_SYN))
		return INCIDENT_SYN;
	if (is_most_of(incident, INCIDENT_CLASS_UDP))
		return INCIDENT_UDP;
	if (incident_sources(incident, NULL) >= SPOOFED_SOURCES)
		return INCIDENT_SPOOFED;
	if (IS_MOSTLY_FOR(incident, WEIR_DROP_RATE, WEIR_DROP_BAN, WEIR_DROP_CONTENDED,
			  WEIR_DROP_TABLE_FULL))
		return INCIDENT_MANY_SOURCES;
	return INCIDENT_UNCLEAR;
}
