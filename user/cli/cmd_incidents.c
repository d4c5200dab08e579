// SPDX-License-Identifier: GPL-2.0-only
/* weir incidents: the floods that the daemon has recorded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/incident_report.h"
#include "user/cli/output.h"
#include "user/host/incident_store.h"
#include "user/model/parse.h"
#include "user/model/table.h"

#define SHOWN_MOST	100	/* of the list, the newest */

/* ---- one ---- */

/* The number in the words. USAGE or DONE. */
static enum outcome take_number(const struct call *call, bool may_lack, uint64_t *number)
{
	struct words words = call->words;
	const char *word = take_value(&words);
	char err[ERR_LEN];

	*number = 0;
	if (!word)
		return may_lack ? DONE : usage(call, "the number of an incident is needed; `weir "
					       "incidents` lists them");
	if (parse_number(word, "incident", 1, INCIDENT_NUMBER_MOST, number, err) ||
	    no_more_words(&words, err))
		return usage(call, "%s", err);
	return DONE;
}

static enum outcome show_one(const struct call *call, uint64_t number,
			     void (*print)(const struct incident *incident))
{
	struct incident *incident = calloc(1, sizeof(*incident));
	enum outcome outcome;
	char err[ERR_LEN];
	int rc = incident ? incident_store_read(number, incident, err) : fail(err, ENOMEM, "out of memory");

	if (rc == -ENOENT) {
		outcome = failed(call, "there is no incident %llu; `weir incidents` lists them",
				 (unsigned long long)number);
	} else if (rc) {
		outcome = failed(call, "%s", err);
	} else {
		if (!call->json)
			print(incident);
		outcome = print_json(call, incident_json(incident));
	}
	free(incident);
	return outcome;
}

enum outcome cmd_incidents_report(const struct call *call)
{
	uint64_t number;
	enum outcome outcome = take_number(call, false, &number);

	return outcome == DONE ? show_one(call, number, print_incident_report) : outcome;
}

/* ---- all ---- */

static const struct column columns[] = {
	{ "NUMBER", 6, true }, { "BEGAN", 16 }, { "LASTED", 8, true }, { "KIND", 12 },
	{ "PEAK, PPS", 10, true }, { "TURNED AWAY", 14, true }, { "BANS", 6, true }, { 0 },
};

static const char *state_of(const struct incident *incident)
{
	return incident->active ? "goes on" : incident->cut_off ? "cut off" : "ended";
}

static void print_row(const struct incident *incident)
{
	char number[FORMAT_LEN], began[32] = "", lasted[FORMAT_LEN], peak[FORMAT_LEN];
	char packets[FORMAT_LEN], bans[FORMAT_LEN];
	time_t seconds = incident->begin_unix_s;
	struct tm parts;

	if (localtime_r(&seconds, &parts))
		strftime(began, sizeof(began), "%Y-%m-%d %H:%M", &parts);
	format_left((incident->lasted_ms + 999) / 1000, lasted);
	if (incident->active)
		snprintf(lasted, sizeof(lasted), "%s", state_of(incident));
	table_row(columns, table_count(incident->number, number), began, lasted,
		  incident_kind_name(incident->kind), table_count(incident->peak_pps, peak),
		  table_count(incident_turned_away(&incident->counted).packets, packets),
		  table_count(incident->source_bans + incident->network_bans, bans));
}

static json_t *row_json(const struct incident *incident)
{
	struct weir_count turned_away = incident_turned_away(&incident->counted);

	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "number",
			 (json_int_t)incident->number, "state", state_of(incident), "kind",
			 incident_kind_name(incident->kind), "begin",
			 (json_int_t)incident->begin_unix_s, "end",
			 (json_int_t)incident->end_unix_s, "lasted_ms",
			 (json_int_t)incident->lasted_ms, "pulses", (json_int_t)incident->pulses,
			 "peak_packets_per_s", (json_int_t)incident->peak_pps,
			 "peak_bits_per_s", (json_int_t)incident->peak_bits_per_s,
			 "turned_away_packets", (json_int_t)turned_away.packets,
			 "turned_away_bytes", (json_int_t)turned_away.bytes, "sources_banned",
			 (json_int_t)incident->source_bans, "networks_banned",
			 (json_int_t)incident->network_bans);
}

/* A record that cannot be read is reported, and the others are shown. */
static json_t *show_rows(const struct call *call, const uint64_t *numbers, size_t count)
{
	struct incident *incident = calloc(1, sizeof(*incident));
	json_t *list = json_array();
	char err[ERR_LEN];

	if (!call->json && count)
		table_head(columns);
	for (size_t i = count; incident && i-- > 0 && count - i <= SHOWN_MOST;) {
		if (incident_store_read(numbers[i], incident, err)) {
			remark(call, "%s", err);
			continue;
		}
		if (!call->json)
			print_row(incident);
		json_array_append_new(list, row_json(incident));
	}
	free(incident);
	return list;
}

enum outcome cmd_incidents(const struct call *call)
{
	uint64_t number, *numbers;
	enum outcome outcome = take_number(call, true, &number);
	char err[ERR_LEN];
	json_t *list;
	size_t count;

	if (outcome != DONE || number)
		return outcome == DONE ? show_one(call, number, print_incident) : outcome;
	if (incident_store_list(&numbers, &count, err))
		return failed(call, "%s", err);
	list = show_rows(call, numbers, count);
	free(numbers);
	if (!call->json && !count)
		remark(call, "no flood has been recorded; the daemon does that");
	else if (!call->json && count > SHOWN_MOST)
		remark(call, "the newest %d of %zu", SHOWN_MOST, count);
	return print_json(call, json_pack("{s:I, s:o}", "total", (json_int_t)count, "incidents", list));
}
