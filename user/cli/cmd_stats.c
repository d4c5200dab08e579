// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir show stats: packets and bytes by reason. On a terminal the counters are read twice, a second
 * apart, for rates; a script gets the counters at once, and rates by the word `rates`.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/colour.h"
#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/model/words.h"
#include "user/state/device.h"
#include "user/state/tables.h"

#define INTERVAL_NS	NS_PER_S

struct stats_words {
	const char *dev;	/* NULL: all */
	bool rates;
};

struct reading {
	struct weir_device device;
	struct weir_counters counters, before;
	uint64_t read_ns, before_ns;	/* before_ns 0: there are no rates */
};

struct readings {
	struct reading *at;
	uint32_t slot[WEIR_DEVICES];
	size_t count;
};

/* ---- reading ---- */

static enum outcome read_first(const struct call *call, const struct maps *maps, const char *dev,
			       struct readings *readings)
{
	struct weir_device device;

	readings->at = calloc(WEIR_DEVICES, sizeof(*readings->at));
	if (!readings->at)
		return failed(call, "out of memory");
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		struct reading *reading = &readings->at[readings->count];

		if ((dev && strcmp(dev, device.name)) ||
		    maps_read_counters(maps, slot, &reading->counters))
			continue;
		reading->device = device;
		reading->read_ns = now_ns();
		readings->slot[readings->count++] = slot;
	}
	return dev && !readings->count ? failed(call, "%s: weir is not attached", dev) : DONE;
}

/* Reads once more after the interval. A device whose counters began anew meanwhile has no rates. */
static void read_again(const struct maps *maps, struct readings *readings)
{
	struct timespec interval = { .tv_sec = INTERVAL_NS / NS_PER_S };

	nanosleep(&interval, NULL);
	for (size_t i = 0; i < readings->count; i++) {
		struct reading *reading = &readings->at[i];
		struct weir_counters now;

		if (maps_read_counters(maps, readings->slot[i], &now))
			continue;
		reading->before = reading->counters;
		reading->before_ns = reading->read_ns;
		reading->counters = now;
		reading->read_ns = now_ns();
		for (int reason = 0; reason < WEIR_REASON_MAX; reason++)
			if (now.reason[reason].packets < reading->before.reason[reason].packets)
				reading->before_ns = 0;
	}
}

struct rate_of {
	double packets, bits;	/* per second */
};

static struct rate_of rate_between(const struct reading *reading, const struct weir_count *now,
				   const struct weir_count *before)
{
	double seconds = (double)(reading->read_ns - reading->before_ns) / NS_PER_S;

	return (struct rate_of){ (now->packets - before->packets) / seconds,
				 8.0 * (now->bytes - before->bytes) / seconds };
}

static struct weir_count sum_of(const struct weir_counters *counters)
{
	struct weir_count all = { 0 };

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		all.packets += counters->reason[i].packets;
		all.bytes += counters->reason[i].bytes;
	}
	return all;
}

/* ---- JSON ---- */

static void add_rate(json_t *object, const struct reading *reading, const struct weir_count *now,
		     const struct weir_count *before)
{
	struct rate_of rate;

	if (!reading->before_ns)
		return;
	rate = rate_between(reading, now, before);
	json_object_set_new(object, "packets_per_second", json_real(rate.packets));
	json_object_set_new(object, "bits_per_second", json_real(rate.bits));
}

static json_t *reason_json(const struct reading *reading, enum weir_reason i)
{
	const struct weir_count *count = &reading->counters.reason[i];
	json_t *reason = json_pack("{s:s, s:s, s:I, s:I}", "reason", reason_name(i), "action",
				   reason_action(i), "packets", (json_int_t)count->packets,
				   "bytes", (json_int_t)count->bytes);

	if (strcmp(reason_action(i), "pass"))
		json_object_set_new(reason, "monitored",
				    json_integer(reading->counters.monitored[i].packets));
	add_rate(reason, reading, count, &reading->before.reason[i]);
	return reason;
}

static json_t *reading_json(const struct reading *reading)
{
	const struct weir_counters *counters = &reading->counters;
	struct weir_count all = sum_of(counters), before = sum_of(&reading->before);
	json_t *reasons = json_array(), *json;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		json_array_append_new(reasons, reason_json(reading, i));
	json = json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:I, s:I}", "dev", reading->device.name,
			 "mode", device_mode(&reading->device), "monitor", reading->device.monitor,
			 "packets", (json_int_t)all.packets, "bytes", (json_int_t)all.bytes,
			 "reasons", reasons, "exact", (json_int_t)counters->exact, "created",
			 (json_int_t)counters->created);
	add_rate(json, reading, &all, &before);
	return json;
}

/* ---- text ---- */

#define COUNT_COLUMNS \
	{ "REASON", 15 }, { "ACTION", 12 }, { "PACKETS", 19, true }, { "%", 5, true }, \
	{ "BYTES", 9, true }

static const struct column *columns_of(const struct reading *reading)
{
	static const struct column counts[] = { COUNT_COLUMNS, { 0 } };
	static const struct column rates[] = { COUNT_COLUMNS, { "PER SECOND", 12, true }, { 0 } };

	return reading->before_ns ? rates : counts;
}

/* The part of @all, rounded down, but never 0.0 of something. */
static void format_share(uint64_t packets, uint64_t all, char text[FORMAT_LEN])
{
	unsigned int permille = all ? (unsigned __int128)1000 * packets / all : 0;

	if (packets && !permille)
		snprintf(text, FORMAT_LEN, "<0.1");
	else
		snprintf(text, FORMAT_LEN, "%u.%u", permille / 10, permille % 10);
}

struct row {
	const char *reason, *action;
	const struct weir_count *count, *before;
	uint64_t all;			/* packets of the device */
	enum colour colour;
};

static void print_row(const struct reading *reading, const struct row *row)
{
	char packets[FORMAT_LEN], share[FORMAT_LEN], bytes[FORMAT_LEN], rate[FORMAT_LEN] = "";

	format_share(row->count->packets, row->all, share);
	if (reading->before_ns)
		table_grouped(rate_between(reading, row->count, row->before).packets + 0.5, rate);
	colour_begin(stdout, row->colour);
	table_row(columns_of(reading), row->reason, row->action,
		  table_grouped(row->count->packets, packets), share,
		  table_bytes(row->count->bytes, bytes), rate);
	colour_end(stdout, row->colour);
}

static bool is_drop(enum weir_reason reason)
{
	return !strcmp(reason_action(reason), "drop");
}

/* Of what monitor mode let through of a reason in part, there is a row of its own. */
static void print_reason(const struct reading *reading, enum weir_reason i, uint64_t all)
{
	const struct weir_count *count = &reading->counters.reason[i];
	const struct weir_count *let = &reading->counters.monitored[i];
	bool all_let = let->packets == count->packets;
	struct row row = { reason_name(i), all_let ? "would drop" : reason_action(i), count,
			   &reading->before.reason[i], all,
			   !is_drop(i) ? COLOUR_NONE : all_let ? COLOUR_YELLOW : COLOUR_RED };
	struct row let_row = { "", "(would drop)", let, &reading->before.monitored[i], all,
			       COLOUR_YELLOW };

	if (!count->packets)
		return;
	print_row(reading, &row);
	if (let->packets && !all_let)
		print_row(reading, &let_row);
}

static void print_reading(const struct reading *reading)
{
	struct weir_count all = sum_of(&reading->counters), before = sum_of(&reading->before);
	struct row total = { "all", "", &all, &before, all.packets, COLOUR_NONE };

	printf("%s (%s mode%s)\n", reading->device.name, device_mode(&reading->device),
	       reading->device.monitor ? ", monitor: nothing is dropped" : "");
	table_head(columns_of(reading));
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		print_reason(reading, i, all.packets);
	print_row(reading, &total);
}

/* ---- */

static int parse_stats(struct words words, struct stats_words *w, char *err)
{
	static const struct word table[] = {
		WORD_INTERFACE(struct stats_words, dev),
		WORD_FLAG("rates", struct stats_words, rates),
		{ 0 },
	};

	*w = (struct stats_words){ 0 };
	return take_words(&words, table, w, err);
}

enum outcome cmd_show_stats(const struct call *call)
{
	struct readings readings = { 0 };
	struct stats_words w;
	char err[ERR_LEN];
	struct maps maps;
	enum outcome outcome;
	json_t *devices;

	if (parse_stats(call->words, &w, err))
		return usage(call, "%s", err);
	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	outcome = read_first(call, &maps, w.dev, &readings);
	if (readings.count && (w.rates || (!call->json && isatty(STDOUT_FILENO))))
		read_again(&maps, &readings);
	maps_close(&maps);
	devices = json_array();
	for (size_t i = 0; i < readings.count; i++) {
		if (call->json)
			json_array_append_new(devices, reading_json(&readings.at[i]));
		else
			print_reading(&readings.at[i]);
	}
	if (outcome == DONE && !readings.count && !call->json)
		remark(call, "attached to no interface");
	free(readings.at);
	if (outcome == DONE)
		return print_json(call, json_pack("{s:o}", "devices", devices));
	json_decref(devices);
	return outcome;
}
