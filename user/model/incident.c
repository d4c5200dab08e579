// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "user/model/incident.h"
#include "user/model/reasons.h"

/* ---- names ---- */

static const struct {
	const char *name, *text;
} kinds[] = {
	[INCIDENT_UNCLEAR] = { "unclear", "a flood of no clear kind" },
	[INCIDENT_LISTED] = { "blocklist", "traffic from blocked prefixes and blocklists" },
	[INCIDENT_ONE_SOURCE] = { "one-source", "one loud source" },
	[INCIDENT_REFLECTION] = { "reflection", "answers of reflectors" },
	[INCIDENT_FRAGMENTS] = { "fragments", "a flood of IP fragments" },
	[INCIDENT_ICMP] = { "icmp-flood", "a flood of ICMP packets" },
	[INCIDENT_DNS] = { "dns-flood", "a flood of DNS queries" },
	[INCIDENT_CROWD] = { "crowd", "a crowd of newcomers" },
	[INCIDENT_SYN] = { "syn-flood", "a flood of TCP SYNs" },
	[INCIDENT_UDP] = { "udp-flood", "a flood of UDP packets" },
	[INCIDENT_SPOOFED] = { "spoofed", "a flood from random source addresses" },
	[INCIDENT_MANY_SOURCES] = { "many-sources", "many sources over their limits" },
};
_Static_assert(sizeof(kinds) / sizeof(*kinds) == INCIDENT_KINDS, "a kind without a name");

const char *incident_kind_name(enum incident_kind kind)
{
	return kind < INCIDENT_KINDS ? kinds[kind].name : "?";
}

const char *incident_kind_text(enum incident_kind kind)
{
	return kind < INCIDENT_KINDS ? kinds[kind].text : "?";
}

void incident_title(const struct incident *incident, char text[INCIDENT_TITLE])
{
	const char *kind = incident_kind_text(incident->kind);
	char source[PREFIX_STRLEN];

	snprintf(text, INCIDENT_TITLE, "%s", kind);
	if (incident->kind == INCIDENT_ONE_SOURCE && incident->top_count[INCIDENT_SOURCES]) {
		prefix_format_short(&incident->top[INCIDENT_SOURCES][0].prefix, source);
		snprintf(text, INCIDENT_TITLE, "%s, %s", kind, source);
	}
	if (incident->kind == INCIDENT_REFLECTION && incident->top_count[INCIDENT_SPORTS])
		snprintf(text, INCIDENT_TITLE, "%s from UDP port %u", kind,
			 incident->top[INCIDENT_SPORTS][0].port);
}

enum incident_kind incident_kind_find(const char *name)
{
	enum incident_kind kind = 0;

	while (kind < INCIDENT_KINDS && strcmp(kinds[kind].name, name))
		kind++;
	return kind;
}

const char *incident_class_name(enum incident_class class)
{
	static const char *const names[] = {
		[INCIDENT_CLASS_SYN] = "syn", [INCIDENT_CLASS_TCP] = "tcp",
		[INCIDENT_CLASS_DNS] = "dns", [INCIDENT_CLASS_REFLECTED] = "reflected",
		[INCIDENT_CLASS_UDP] = "udp", [INCIDENT_CLASS_ICMP] = "icmp",
		[INCIDENT_CLASS_FRAGMENT] = "fragment", [INCIDENT_CLASS_OTHER] = "other",
	};

	return class < INCIDENT_CLASSES ? names[class] : "?";
}

const char *incident_table_name(enum incident_table table)
{
	static const char *const names[] = {
		[INCIDENT_SOURCES] = "sources", [INCIDENT_NETWORKS] = "networks",
		[INCIDENT_TARGETS] = "targets", [INCIDENT_DPORTS] = "dports",
		[INCIDENT_SPORTS] = "sports",
	};

	return table < INCIDENT_TABLES ? names[table] : "?";
}

/* ---- counters ---- */

/* A counter begins again at 0 when its device is attached for the first time. */
static uint64_t growth(uint64_t was, uint64_t is)
{
	return is > was ? is - was : 0;
}

/* A name that is new in its slot has counted from 0. */
static void grow_names(struct incident_name *sum, const struct incident_name *was,
		       const struct incident_name *is, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool same = !strcmp(was[i].name, is[i].name);

		if (!*is[i].name)
			continue;
		if (strcmp(sum[i].name, is[i].name))
			sum[i] = (struct incident_name){ 0 };
		memcpy(sum[i].name, is[i].name, sizeof(sum[i].name));
		sum[i].packets += growth(same ? was[i].packets : 0, is[i].packets);
	}
}

void incident_grow(struct incident_counters *sum, const struct incident_counters *was,
		   const struct incident_counters *is)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		sum->reason[i].packets += growth(was->reason[i].packets, is->reason[i].packets);
		sum->reason[i].bytes += growth(was->reason[i].bytes, is->reason[i].bytes);
		sum->would[i] += growth(was->would[i], is->would[i]);
	}
	grow_names(sum->rule, was->rule, is->rule, WEIR_RULES);
	grow_names(sum->budget, was->budget, is->budget, WEIR_BUDGETS);
	sum->known_passed += growth(was->known_passed, is->known_passed);
	sum->known_dropped += growth(was->known_dropped, is->known_dropped);
	sum->first_dropped += growth(was->first_dropped, is->first_dropped);
	sum->returning_dropped += growth(was->returning_dropped, is->returning_dropped);
	sum->strangers_passed += growth(was->strangers_passed, is->strangers_passed);
	sum->connections += growth(was->connections, is->connections);
}

void incident_sum(struct incident_counters *sum, const struct incident_counters *more)
{
	static const struct incident_counters none;

	incident_grow(sum, &none, more);
}

static bool turns_away(int reason)
{
	return strcmp(reason_action(reason), "pass") != 0;
}

struct weir_count incident_turned_away(const struct incident_counters *counters)
{
	struct weir_count sum = { 0 };

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		sum.packets += turns_away(i) ? counters->reason[i].packets : 0;
		sum.bytes += turns_away(i) ? counters->reason[i].bytes : 0;
	}
	return sum;
}

uint64_t incident_passed(const struct incident_counters *counters)
{
	uint64_t sum = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		sum += turns_away(i) ? counters->would[i] : counters->reason[i].packets;
	return sum;
}

/* ---- which records are kept ---- */

size_t incident_to_remove(const struct incident_brief *briefs, size_t count, uint64_t keep,
			  uint64_t age_s, uint64_t unix_s)
{
	size_t least = 0;

	if (count > keep) {
		for (size_t i = 1; i < count - keep / 2; i++)
			if (briefs[i].packets < briefs[least].packets)
				least = i;
		return least;
	}
	for (size_t i = 0; i < count; i++)
		if (unix_s > age_s && briefs[i].end_unix_s < unix_s - age_s)
			return i;
	return count;
}
