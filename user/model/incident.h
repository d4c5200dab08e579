/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An incident: what one flood was, from where, and what was done. Its record, its form in a file,
 * and which of many records are kept. incident_phase.h says when a flood begins and ends,
 * incident_sample.h what its packets have in common. Pure.
 */
#ifndef WEIR_MODEL_INCIDENT_H
#define WEIR_MODEL_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

#define INCIDENT_TOP		10	/* items of each table of a record */
#define INCIDENT_FILE_MOST	(1 << 20)	/* bytes of a file; the largest record has 60 kB */
#define INCIDENT_NUMBER_MOST	999999999
#define INCIDENT_VALUE_MOST	(1ULL << 53)	/* of each number in a file: exact in any JSON reader */

/* What a flood was: the first that holds, in the order of incident_kind_of(). */
enum incident_kind {
	INCIDENT_UNCLEAR,	/* no packets were sampled, or none of the others */
	INCIDENT_LISTED,
	INCIDENT_ONE_SOURCE,
	INCIDENT_REFLECTION,
	INCIDENT_FRAGMENTS,
	INCIDENT_ICMP,
	INCIDENT_DNS,
	INCIDENT_CROWD,
	INCIDENT_SYN,
	INCIDENT_UDP,
	INCIDENT_SPOOFED,
	INCIDENT_MANY_SOURCES,
	INCIDENT_KINDS
};

/* What a sampled packet was: exactly one. */
enum incident_class {
	INCIDENT_CLASS_SYN, INCIDENT_CLASS_TCP, INCIDENT_CLASS_DNS, INCIDENT_CLASS_REFLECTED,
	INCIDENT_CLASS_UDP, INCIDENT_CLASS_ICMP, INCIDENT_CLASS_FRAGMENT, INCIDENT_CLASS_OTHER,
	INCIDENT_CLASSES
};

enum incident_table {
	INCIDENT_SOURCES,	/* an IPv4 address, or a /64 */
	INCIDENT_NETWORKS,	/* /24 and /48 */
	INCIDENT_TARGETS,	/* destination addresses */
	INCIDENT_DPORTS,
	INCIDENT_SPORTS,
	INCIDENT_TABLES
};

struct incident_item {
	struct prefix prefix;	/* of SOURCES, NETWORKS and TARGETS */
	uint32_t proto, port;	/* of DPORTS and SPORTS; port 0: none */
	uint64_t sampled;	/* packets that the samples stand for, and never more than the truth */
};

struct incident_name {
	char name[WEIR_NAME_LEN];
	uint64_t packets;
};

/* Cumulative counters of all devices, rules and budgets, or what they grew by. */
struct incident_counters {
	struct weir_count reason[WEIR_REASON_MAX];
	uint64_t would[WEIR_REASON_MAX];	/* of those, packets let through in monitor mode */
	struct incident_name rule[WEIR_RULES];	/* dropped; the name is empty where there is none */
	struct incident_name budget[WEIR_BUDGETS];	/* dropped by each */
	/* of budgets under pressure, all together: packets of known sources; of strangers dropped */
	uint64_t known_passed, known_dropped;
	uint64_t first_dropped, returning_dropped, strangers_passed;
	uint64_t connections;	/* handshakes that others completed with this host */
};

/* Adds to @sum what the counters grew by from @was to @is. One that became less counts nothing. */
void incident_grow(struct incident_counters *sum, const struct incident_counters *was,
		   const struct incident_counters *is);
void incident_sum(struct incident_counters *sum, const struct incident_counters *more);
/* Packets and bytes of the reasons that turn away: dropped, answered, or would have been. */
struct weir_count incident_turned_away(const struct incident_counters *counters);
uint64_t incident_passed(const struct incident_counters *counters);

struct incident {
	uint64_t number;	/* from 1 */
	bool active;		/* it has not ended, as far as this file says */
	bool cut_off;		/* its end was not seen: weir was detached, or the daemon stopped */
	uint64_t begin_unix_s;
	uint64_t end_unix_s;	/* of one that is active: when the record was written */
	uint64_t lasted_ms;	/* by a clock that does not jump */
	enum incident_kind kind;
	uint64_t calm_pps, peak_pps, peak_bits_per_s;	/* turned away; in the loudest second */
	uint64_t pulses;	/* times that it began again after a pause */
	struct incident_counters counted;
	/* ---- of samples ---- */
	uint64_t samples, sampled;	/* events, and the packets that they stand for */
	uint64_t of_class[INCIDENT_CLASSES];	/* of @sampled */
	struct incident_item top[INCIDENT_TABLES][INCIDENT_TOP];
	uint32_t top_count[INCIDENT_TABLES];
	/* Weights of pairs of samples, and of those whose two have one source: their quotient is
	 * how many sources, of the same rate each, would meet as often. */
	double pairs, same;
	uint64_t pair_count;
	/* ---- what the daemon did ---- */
	uint64_t source_bans, network_bans, would_bans, spared;
	struct prefix banned[INCIDENT_TOP];	/* the first ones */
	uint32_t banned_count;
	/* ---- of one that is active: where a daemon that is started again goes on ---- */
	uint64_t maps_made_s;	/* when the maps were made: others are of another boot */
	uint64_t began_ns, loud_ns, read_ns;	/* CLOCK_MONOTONIC */
	uint64_t judgement;	/* number of the last one that is counted */
	struct incident_counters raw;	/* as read last */
	struct incident_counters pending;	/* grown since @loud_ns: counts if it goes on */
};

const char *incident_kind_name(enum incident_kind kind);	/* "syn-flood" */
/* INCIDENT_KINDS: there is none of this name. */
enum incident_kind incident_kind_find(const char *name);
const char *incident_kind_text(enum incident_kind kind);	/* "a flood of TCP SYNs" */
/* The same with what it goes by: "one loud source, 198.51.100.7", "answers of reflectors from UDP
 * port 123". */
#define INCIDENT_TITLE	128
void incident_title(const struct incident *incident, char text[INCIDENT_TITLE]);
const char *incident_class_name(enum incident_class class);
const char *incident_table_name(enum incident_table table);

/* ---- incident_kind.c ---- */

enum incident_kind incident_kind_of(const struct incident *incident);
/*
 * About how many sources, if all sent the same; 0: not known. @at_least (may be NULL): no two
 * samples had one source, so this is the lower 95 % bound.
 */
uint64_t incident_sources(const struct incident *incident, bool *at_least);
/* @part of @all in thousandths; 0 of 0. */
uint32_t incident_permille(uint64_t part, uint64_t all);

/* ---- incident_file.c ---- */

/* The record, without what only the daemon needs; NULL: out of memory. */
struct json_t *incident_json(const struct incident *incident);
/* The text of a file, allocated; NULL: out of memory. */
char *incident_file_text(const struct incident *incident);
/* Reads that text; @name is for messages. 0, or -EINVAL with @err and an empty @incident. */
int incident_file_parse(const char *name, const char *text, size_t size, struct incident *incident,
			char *err);

/* What is known without reading the records: a file beside them. */
struct incident_summary {
	uint64_t last;		/* number of the last one; 0: there was none */
	uint64_t active;	/* number of the one that lasts; 0: none does */
	uint64_t calm_pps;	/* turned away in calm times */
	uint64_t ended[INCIDENT_KINDS];
};
char *incident_summary_text(const struct incident_summary *summary);
int incident_summary_parse(const char *name, const char *text, size_t size,
			   struct incident_summary *summary, char *err);

/* ---- which records are kept ---- */

struct incident_brief {
	uint64_t number, end_unix_s, packets;
};

/*
 * Which of @count records, in the order of their numbers, is to go; @count: none. More than @keep:
 * the one with the fewest packets, of those that are not among the newer half, so that many small
 * floods do not displace a large one. Else the first that ended more than @age_s before @unix_s.
 */
size_t incident_to_remove(const struct incident_brief *briefs, size_t count, uint64_t keep,
			  uint64_t age_s, uint64_t unix_s);

#endif
