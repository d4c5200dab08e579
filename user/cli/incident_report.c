// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/incident_report.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/settings.h"
#include "user/model/table.h"
#include "user/model/text.h"
#include "user/state/side_settings.h"

#define LABEL_WIDTH	12	/* of "At most" and its like */
#define INDENT		2
#define PERCENT_OF	10	/* thousandths in a hundredth */

/* ---- parts of lines ---- */

static __attribute__((format(printf, 2, 3))) void line(const char *label, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_wrapped(stdout, text, printf("%-*s", LABEL_WIDTH, label), LABEL_WIDTH);
}

static __attribute__((format(printf, 1, 2))) void paragraph(const char *format, ...)
{
	char text[768];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_wrapped(stdout, text, printf("%*s", INDENT, ""), INDENT);
}

static const char *percent(uint64_t part, uint64_t all, char text[FORMAT_LEN])
{
	uint32_t permille = incident_permille(part, all);

	snprintf(text, FORMAT_LEN, "%u.%u %%", permille / PERCENT_OF, permille % PERCENT_OF);
	return text;
}

/* "216.9 Mbit/s" */
static const char *bits_text(uint64_t bits_per_s, char text[FORMAT_LEN])
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	double value = bits_per_s;
	int unit = 0;

	while (value >= 1000 && unit < 4) {
		value /= 1000;
		unit++;
	}
	snprintf(text, FORMAT_LEN, "%.*f %s", unit ? 1 : 0, value, units[unit]);
	return text;
}

/* "2026-11-27 22:59:03 UTC (23:59:03 +0100)": with the local date where that is another one. */
static const char *time_text(uint64_t unix_s, char text[FORMAT_LEN])
{
	char local[40] = "", utc[32] = "", day[16] = "", day_here[16] = "";
	time_t seconds = unix_s;
	struct tm parts;

	if (gmtime_r(&seconds, &parts)) {
		strftime(utc, sizeof(utc), "%Y-%m-%d %H:%M:%S UTC", &parts);
		strftime(day, sizeof(day), "%Y-%m-%d", &parts);
	}
	if (localtime_r(&seconds, &parts)) {
		strftime(day_here, sizeof(day_here), "%Y-%m-%d", &parts);
		strftime(local, sizeof(local), strcmp(day, day_here) ? "%Y-%m-%d %H:%M:%S %z" :
								       "%H:%M:%S %z", &parts);
	}
	snprintf(text, FORMAT_LEN, "%s (here %s)", utc, local);
	return text;
}

/* ---- when, and how much ---- */

static void print_times(const struct incident *incident)
{
	char when[FORMAT_LEN], lasted[FORMAT_LEN];

	line("Began", "%s", time_text(incident->begin_unix_s, when));
	if (incident->active)
		line("Ended", "not yet, as of %s", time_text(incident->end_unix_s, when));
	else if (incident->cut_off)
		line("Ended", "not seen: weir was detached, or its daemon did not run. Last seen %s",
		     time_text(incident->end_unix_s, when));
	else
		line("Ended", "%s", time_text(incident->end_unix_s, when));
	format_duration((incident->lasted_ms + 999) / 1000, lasted);
	if (incident->pulses)
		line("Lasted", "%s, in %llu pulses", lasted,
		     (unsigned long long)incident->pulses + 1);
	else
		line("Lasted", "%s", lasted);
}

static uint64_t would_pass(const struct incident *incident)
{
	uint64_t sum = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		sum += incident->counted.would[i];
	return sum;
}

static void print_amounts(const struct incident *incident)
{
	struct weir_count turned_away = incident_turned_away(&incident->counted);
	char a[FORMAT_LEN], b[FORMAT_LEN], c[FORMAT_LEN];

	line("At most", "%s packets/s, %s turned away; %s packets/s in calm times",
	     table_grouped(incident->peak_pps, a), bits_text(incident->peak_bits_per_s, b),
	     table_grouped(incident->calm_pps, c));
	line("In all", "%s packets, %s turned away; %s packets passed meanwhile",
	     table_grouped(turned_away.packets, a), table_bytes(turned_away.bytes, b),
	     table_grouped(incident_passed(&incident->counted), c));
	if (would_pass(incident))
		line("", "%s of the packets turned away passed all the same: weir was in monitor "
		     "mode", table_grouped(would_pass(incident), a));
}

/* ---- tables of samples ---- */

static const char *item_text(enum incident_table table, const struct incident_item *item,
			     char text[FORMAT_LEN])
{
	char prefix[PREFIX_STRLEN];
	const char *name = proto_name(item->proto);

	if (table < INCIDENT_DPORTS) {
		prefix_format_short(&item->prefix, prefix);
		snprintf(text, FORMAT_LEN, "%s", prefix);
	} else if (name) {
		snprintf(text, FORMAT_LEN, "%s port %u", name, item->port);
	} else {
		snprintf(text, FORMAT_LEN, "protocol %u port %u", item->proto, item->port);
	}
	return text;
}

static void print_table(const struct incident *incident, enum incident_table table,
			const char *head)
{
	uint64_t packets = incident_turned_away(&incident->counted).packets;
	char name[FORMAT_LEN], share[FORMAT_LEN], about[FORMAT_LEN];

	if (!incident->top_count[table])
		return;
	printf("%*s%s\n", INDENT, "", head);
	for (uint32_t i = 0; i < incident->top_count[table]; i++) {
		const struct incident_item *item = &incident->top[table][i];

		printf("%*s%-44s %8s  about %s\n", 2 * INDENT, "", item_text(table, item, name),
		       percent(item->sampled, incident->sampled, share),
		       table_grouped((double)item->sampled / incident->sampled * packets, about));
	}
}

static void print_sources(const struct incident *incident)
{
	char text[FORMAT_LEN];
	bool at_least;
	uint64_t sources = incident_sources(incident, &at_least);

	printf("\nFrom where\n");
	if (!incident->samples) {
		paragraph("No packets were sampled: other readers of packets were at work.");
		return;
	}
	if (sources)
		paragraph("%s %s source address%s, if all sent the same.",
			  at_least ? "More than" : "About", table_grouped(sources, text),
			  sources == 1 ? "" : "es");
	print_table(incident, INCIDENT_SOURCES, "sources");
	print_table(incident, INCIDENT_NETWORKS, "networks");
	if (!incident->top_count[INCIDENT_SOURCES])
		paragraph("No source has half a per cent of the packets.");
}

static void print_classes(const struct incident *incident)
{
	static const char *const texts[] = {
		[INCIDENT_CLASS_SYN] = "TCP SYNs", [INCIDENT_CLASS_TCP] = "other TCP",
		[INCIDENT_CLASS_DNS] = "DNS queries",
		[INCIDENT_CLASS_REFLECTED] = "UDP from reflectors' ports",
		[INCIDENT_CLASS_UDP] = "other UDP", [INCIDENT_CLASS_ICMP] = "ICMP",
		[INCIDENT_CLASS_FRAGMENT] = "fragments", [INCIDENT_CLASS_OTHER] = "other",
	};
	char share[FORMAT_LEN];

	printf("\nWhat it was made of\n");
	for (int i = 0; i < INCIDENT_CLASSES; i++)
		if (incident->of_class[i])
			printf("%*s%-44s %8s\n", 2 * INDENT, "", texts[i],
			       percent(incident->of_class[i], incident->sampled, share));
	print_table(incident, INCIDENT_SPORTS, "source ports");
}

/* ---- what was done ---- */

static void print_reasons(const struct incident *incident)
{
	char packets[FORMAT_LEN], bytes[FORMAT_LEN];

	printf("\nWhy packets were turned away\n");
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		const struct weir_count *count = &incident->counted.reason[i];

		if (count->packets && strcmp(reason_action(i), "pass"))
			printf("%*s%-20s %20s packets %12s\n", 2 * INDENT, "", reason_name(i),
			       table_grouped(count->packets, packets),
			       table_bytes(count->bytes, bytes));
	}
}

static void print_names(const struct incident_name *names, size_t count, const char *what)
{
	char packets[FORMAT_LEN];

	for (size_t i = 0; i < count; i++)
		if (names[i].packets)
			paragraph("The %s %s dropped %s packets.", what, names[i].name,
				  table_grouped(names[i].packets, packets));
}

static void print_bans(const struct incident *incident)
{
	char text[PREFIX_STRLEN];
	uint64_t bans = incident->source_bans + incident->network_bans;

	if (bans)
		paragraph("The daemon made %llu bans of sources and %llu of networks.",
			  (unsigned long long)incident->source_bans,
			  (unsigned long long)incident->network_bans);
	for (uint32_t i = 0; i < incident->banned_count; i++) {
		prefix_format(&incident->banned[i], text);
		printf("%*s%s\n", 2 * INDENT, "", text);
	}
	if (bans > incident->banned_count && incident->banned_count == INCIDENT_TOP)
		paragraph("These are the first ones; `weir ban-log` has the others.");
	if (incident->would_bans)
		paragraph("The daemon judges only: it would have made %llu bans.",
			  (unsigned long long)incident->would_bans);
	if (incident->spared)
		paragraph("%llu times a source or network was spared; `weir ban-log` says why.",
			  (unsigned long long)incident->spared);
	if (!bans && !incident->would_bans)
		paragraph("The daemon banned no source.");
}

static void print_done(const struct incident *incident)
{
	const struct incident_counters *counted = &incident->counted;
	char passed[FORMAT_LEN], dropped[FORMAT_LEN], share[FORMAT_LEN];

	printf("\nWhat was done\n");
	print_bans(incident);
	print_names(counted->rule, WEIR_RULES, "drop rule");
	print_names(counted->budget, WEIR_BUDGETS, "budget");
	if (counted->known_passed + counted->known_dropped)
		paragraph("Known users: %s packets were let through under pressure, %s were dropped "
			  "(%s served).", table_grouped(counted->known_passed, passed),
			  table_grouped(counted->known_dropped, dropped),
			  percent(counted->known_passed, counted->known_passed +
				  counted->known_dropped, share));
}

static void print_facts(const struct incident *incident)
{
	print_times(incident);
	print_amounts(incident);
	printf("\nWhat was attacked\n");
	print_table(incident, INCIDENT_TARGETS, "addresses");
	print_table(incident, INCIDENT_DPORTS, "ports");
	if (!incident->top_count[INCIDENT_TARGETS])
		paragraph("No address has half a per cent of the sampled packets.");
	print_sources(incident);
	print_classes(incident);
	print_reasons(incident);
	print_done(incident);
}

/* ---- what remains ---- */

static const char *advice(enum incident_kind kind)
{
	switch (kind) {
	case INCIDENT_LISTED:
		return "The lists hold such sources as long as they name them; nothing is to be done.";
	case INCIDENT_ONE_SOURCE:
		return "The provider of the source, or of this host, can stop it: if it is not forged, "
		       "the address above names the network that is responsible.";
	case INCIDENT_REFLECTION:
		return "The sources are reflectors: hosts that answer questions asked in this host's "
		       "name. The provider of this host can drop UDP from the source port above, before "
		       "the link; `weir preset reflection` limits it here.";
	case INCIDENT_FRAGMENTS:
		return "A service that needs no large datagrams needs no fragments: `weir limit set "
		       "fragment rate 100pps`, and the provider can drop them before the link.";
	case INCIDENT_ICMP:
		return "`weir limit set icmp rate 100pps` leaves the messages that hosts need.";
	case INCIDENT_DNS:
		return "`weir dns protect when-over-budget` lets resolvers prove themselves over TCP; "
		       "`weir explain` finds what the names of the queries have in common.";
	case INCIDENT_CROWD:
		return "These were most likely people: the budget was too small for all of them. A "
		       "larger one, `weir budget set`, lets more of them in, if the service can serve "
		       "them.";
	case INCIDENT_SYN:
		return "`weir syn protect` answers SYNs with cookies, so that forged ones cost the "
		       "service nothing.";
	case INCIDENT_UDP:
	case INCIDENT_SPOOFED:
	case INCIDENT_MANY_SOURCES:
		return "`weir explain` finds, while such a flood lasts, what its packets have in common, "
		       "and drop rules for them; a budget bounds what the service gets of it.";
	default:
		return "`weir explain` finds, while such a flood lasts, what its packets have in common.";
	}
}

/* How many bans of the daemon are in force; -1: weir is not in use, or the maps cannot be read. */
static long bans_in_force(void)
{
	struct settings settings;
	char ignored[ERR_LEN];
	uint64_t now = now_ns();
	struct maps maps;
	long bans = 0;

	if (maps_open(&maps, MAPS_READ, ignored))
		return -1;
	if (maps_read_settings(&maps, &settings, ignored)) {
		maps_close(&maps);
		return -1;
	}
	for (size_t i = 0; i < settings.block.count; i++)
		bans += settings.block.at[i].value.origin == WEIR_BY_DAEMON &&
			settings.block.at[i].value.until_ns > now;
	settings_free(&settings);
	maps_close(&maps);
	return bans;
}

static void print_remains(const struct incident *incident)
{
	long bans = bans_in_force();

	printf("\nWhat remains\n");
	if (incident->active)
		paragraph("The flood went on when this was written.");
	if (bans == 1)
		paragraph("1 ban of the daemon is in force; it ends by itself.");
	else if (bans >= 0)
		paragraph("%ld bans of the daemon are in force; they end by themselves.", bans);
	paragraph("%s", advice(incident->kind));
}

void print_incident(const struct incident *incident)
{
	char title[INCIDENT_TITLE];

	incident_title(incident, title);
	printf("Incident %llu: %s (%s)\n\n", (unsigned long long)incident->number, title,
	       incident_kind_name(incident->kind));
	print_facts(incident);
}

void print_incident_report(const struct incident *incident)
{
	char host[256] = "", now[FORMAT_LEN], title[INCIDENT_TITLE];

	if (gethostname(host, sizeof(host) - 1))
		*host = '\0';
	printf("Report on incident %llu", (unsigned long long)incident->number);
	if (*host) {
		printf(" at ");
		text_print(stdout, host);
	}
	printf("\n\n");
	incident_title(incident, title);
	line("What", "%s (%s)", title, incident_kind_name(incident->kind));
	print_facts(incident);
	print_remains(incident);
	printf("\nHow to read this\n");
	paragraph("Packets and bytes are counted, by weir's XDP program at the network driver, before "
		  "the system sees them; what the link or the network card lost is not in them. Bytes "
		  "are of whole Ethernet frames without their checksum. Shares are estimated from %llu "
		  "sampled packets. Source addresses can be forged.",
		  (unsigned long long)incident->samples);
	line("Written", "%s by weir " WEIR_VERSION, time_text(time(NULL), now));
}
