// SPDX-License-Identifier: GPL-2.0-only
/* weir show health: the state of weir itself, for the terminal and for the page. */
#include "user/cli/output.h"
#include "user/state/cookie_watch.h"
#include "user/state/device.h"
#include "user/model/error.h"
#include "user/state/proof.h"
#include "user/state/snapshot.h"
#include "user/state/unread.h"
#include "user/model/table.h"

#define UNREAD_LEAST	1000	/* packets of a device that are enough to judge by */

/* ---- JSON ---- */

static json_t *devices_json(const struct snapshot *snapshot)
{
	json_t *list = json_array();

	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct weir_device *device = &snapshot->devices[i].device;
		unsigned int percent;

		is_mostly_unread(&snapshot->devices[i].counters, 0, &percent);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:i, s:s, s:o}", "dev",
						      device->name, "mode", device_mode(device),
						      "monitor", device->monitor, "attached",
						      snapshot->devices[i].attached,
						      "not_ip_percent", percent, "proof",
						      proof_name(proof_on(&snapshot->devices[i].counters)),
						      "lost", losses_json(&snapshot->devices[i].losses)));
	}
	return list;
}

static json_t *tables_json(const struct snapshot *snapshot)
{
	struct snapshot_table tables[SNAPSHOT_TABLES];
	json_t *list = json_array();

	snapshot_tables(snapshot, tables);
	for (size_t i = 0; i < SNAPSHOT_TABLES; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I}", "table",
						      tables[i].name, "entries",
						      (json_int_t)tables[i].entries, "highest",
						      (json_int_t)tables[i].most, "capacity",
						      (json_int_t)tables[i].capacity));
	return list;
}

static json_t *blocks_json(const struct weir_tally *tally)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "operator_permanent",
			 (json_int_t)tally->block[WEIR_BY_OPERATOR][0], "operator_bans",
			 (json_int_t)tally->block[WEIR_BY_OPERATOR][1], "daemon_permanent",
			 (json_int_t)tally->block[WEIR_BY_DAEMON][0], "daemon_bans",
			 (json_int_t)tally->block[WEIR_BY_DAEMON][1]);
}

static json_t *daemon_json(const struct snapshot *snapshot)
{
	const struct weir_tally *tally = &snapshot->tally;

	return json_pack("{s:b, s:f, s:I, s:f, s:f}", "up", snapshot_daemon_is_up(snapshot),
			 "seconds_since_loop", snapshot->daemon_age_s, "loops",
			 (json_int_t)tally->daemon_loops, "loop_seconds",
			 tally->daemon_loop_us / 1e6, "longest_loop_seconds",
			 tally->daemon_longest_us / 1e6);
}

static json_t *known_json(const struct snapshot *snapshot)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}",
			 "long", (json_int_t)snapshot->known_of_tier[WEIR_LONG],
			 "proven", (json_int_t)snapshot->known_of_tier[WEIR_PROVEN],
			 "seen", (json_int_t)snapshot->known_of_tier[WEIR_SEEN],
			 "put_off", (json_int_t)snapshot->common.seen_put_off,
			 "no_room", (json_int_t)snapshot->common.known_full,
			 "full", snapshot->known_is_full);
}

static json_t *health_json(const struct snapshot *snapshot)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:I, s:s}", "version",
			 WEIR_VERSION, "abi", WEIR_ABI, "devices", devices_json(snapshot),
			 "tables", tables_json(snapshot), "known", known_json(snapshot),
			 "gate_saturation", snapshot->gate_share, "block",
			 blocks_json(&snapshot->tally), "cookies", cookies_json(&snapshot->cookies),
			 "daemon", daemon_json(snapshot),
			 "blockset_generation", (json_int_t)snapshot->set_generation, "alarm",
			 snapshot->alarm);
}

/* ---- text ---- */

static void print_tables(const struct snapshot *snapshot)
{
	static const struct column columns[] = {
		{ "TABLE", 12 }, { "ENTRIES", 14, true }, { "HIGHEST", 14, true },
		{ "ROOM FOR", 14, true }, { 0 },
	};
	struct snapshot_table tables[SNAPSHOT_TABLES];

	snapshot_tables(snapshot, tables);
	table_head(columns);
	for (size_t i = 0; i < SNAPSHOT_TABLES; i++) {
		char entries[FORMAT_LEN], most[FORMAT_LEN], capacity[FORMAT_LEN];

		table_row(columns, tables[i].name, table_count(tables[i].entries, entries),
			  table_count(tables[i].most, most),
			  table_count(tables[i].capacity, capacity));
	}
}

static void print_lost(const struct snapshot_device *device)
{
	char list[256], text[512];

	if (!*losses_list(&device->losses.watch.all, list, sizeof(list)))
		return;
	snprintf(text, sizeof(text), "%s: lost before weir saw them, since it was attached: %s",
		 device->device.name, list);
	print_wrapped(stdout, text, 0, 0);
}

static void print_devices(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct snapshot_device *each = &snapshot->devices[i];
		char text[512];
		unsigned int percent;

		printf("%s: %s\n", each->device.name,
		       each->attached ? "attached" : "NOT attached any more");
		print_lost(each);
		if (proof_remark(each->device.name, &each->counters, text, sizeof(text)))
			print_wrapped(stdout, text, 0, 0);
		if (!is_mostly_unread(&each->counters, UNREAD_LEAST, &percent))
			continue;
		snprintf(text, sizeof(text), "%s: %u%% of its packets are not IP to weir: "
			 UNREAD_REMEDY, each->device.name, percent);
		print_wrapped(stdout, text, 0, 0);
	}
}

static void print_known(const struct snapshot *snapshot)
{
	printf("known sources, estimated: %llu proven for long, %llu proven, %llu only seen\n",
	       (unsigned long long)snapshot->known_of_tier[WEIR_LONG],
	       (unsigned long long)snapshot->known_of_tier[WEIR_PROVEN],
	       (unsigned long long)snapshot->known_of_tier[WEIR_SEEN]);
	if (snapshot->common.seen_put_off)
		printf("put off: %llu times, since too many sources would have become known without "
		       "proof\n", (unsigned long long)snapshot->common.seen_put_off);
	if (snapshot->common.known_full)
		printf("no room: %llu times for a source that proved itself\n",
		       (unsigned long long)snapshot->common.known_full);
}

static void print_health(const struct snapshot *snapshot)
{
	char line[COOKIE_COMPLAINT + LOSS_COMPLAINT], complaint[COOKIE_COMPLAINT];

	if (*snapshot->alarm) {
		snprintf(line, sizeof(line), "ALARM: %s", snapshot->alarm);
		print_wrapped(stdout, line, 0, 4);
	}
	if (snapshot->known_is_full)
		print_wrapped(stdout, "ALARM: " KNOWN_FULL_TEXT, 0, 4);
	if (cookie_watch_complaint(&snapshot->cookies, complaint)) {
		snprintf(line, sizeof(line), "ALARM: SYN cookies: %s", complaint);
		print_wrapped(stdout, line, 0, 4);
	}
	for (size_t i = 0; i < snapshot->device_count; i++) {
		if (!*snapshot->devices[i].losses.complaint)
			continue;
		snprintf(line, sizeof(line), "ALARM: %s", snapshot->devices[i].losses.complaint);
		print_wrapped(stdout, line, 0, 4);
	}
	print_devices(snapshot);
	if (!snapshot->device_count)
		printf("attached to no interface\n");
	print_tables(snapshot);
	print_known(snapshot);
	printf("gate: %.1f%% of its cells hold a debt\n", 100 * snapshot->gate_share);
	if (snapshot_daemon_is_up(snapshot))
		printf("daemon: up, its last loop took %.1f ms, the longest %.1f ms\n",
		       snapshot->tally.daemon_loop_us / 1e3,
		       snapshot->tally.daemon_longest_us / 1e3);
	else if (snapshot->daemon_age_s < 0)
		printf("daemon: never ran; limits, lists and bans are in force without it\n");
	else
		printf("daemon: silent for %.0f s; limits, lists and bans are in force without it\n",
		       snapshot->daemon_age_s);
}

enum outcome cmd_show_health(const struct call *call)
{
	struct snapshot snapshot;
	char err[ERR_LEN];
	json_t *root;

	if (snapshot_read(&snapshot, err))
		return failed(call, "%s", err);
	if (!snapshot.in_use)
		return failed(call, "%s", snapshot.why_not);
	if (!call->json)
		print_health(&snapshot);
	root = health_json(&snapshot);
	snapshot_free(&snapshot);
	return print_json(call, root);
}
