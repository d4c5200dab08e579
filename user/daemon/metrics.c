// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/daemon/metrics.h"
#include "user/host/incident_store.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/reasons.h"
#include "user/model/text.h"
#include "user/model/tiers.h"
#include "user/state/budgets.h"
#include "user/state/device.h"
#include "user/state/snapshot.h"

#define BITS_PER_BYTE	8
#define LABEL_LEN	256	/* of an escaped value; names are shorter */

/* ---- the formats ---- */

enum type { COUNTER, GAUGE, INFO };

static const char *const type_names[] = { "counter", "gauge", "info" };

/* The output, and the family of the samples that follow. */
struct exposition {
	FILE *to;
	bool open_metrics;
	char sample[96];	/* the name of the family's samples */
};

struct label {
	const char *name, *value;
};

#define LABELS(...) ((const struct label[]){ __VA_ARGS__ __VA_OPT__(,) { 0 } })

/* In OpenMetrics a family's name lacks the suffix of its samples; in the older format it has it. */
static void family(struct exposition *out, enum type type, const char *name, const char *help)
{
	const char *suffix = type == COUNTER ? "_total" : type == INFO ? "_info" : "";
	const char *type_name = type_names[type];

	snprintf(out->sample, sizeof(out->sample), "%s%s", name, suffix);
	if (!out->open_metrics) {
		name = out->sample;
		if (type == INFO)
			type_name = type_names[GAUGE];
	}
	fprintf(out->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_name);
}

static void print_label(FILE *to, const struct label *label)
{
	char escaped[LABEL_LEN];

	fprintf(to, "%s=\"", label->name);
	for (const char *c = text_escape(label->value, escaped, sizeof(escaped)); *c; c++) {
		if (*c == '"' || *c == '\\')
			putc('\\', to);
		putc(*c, to);
	}
	putc('"', to);
}

static void print_name(struct exposition *out, const struct label *labels)
{
	fputs(out->sample, out->to);
	for (const struct label *each = labels; each->name; each++) {
		putc(each == labels ? '{' : ',', out->to);
		print_label(out->to, each);
	}
	fputs(labels->name ? "} " : " ", out->to);
}

static void sample(struct exposition *out, const struct label *labels, uint64_t value)
{
	print_name(out, labels);
	fprintf(out->to, "%llu\n", (unsigned long long)value);
}

static void sample_real(struct exposition *out, const struct label *labels, double value)
{
	print_name(out, labels);
	fprintf(out->to, "%.15g\n", value);
}

/* A family with one sample. */
static void single(struct exposition *out, enum type type, const char *name, double value,
		   const char *help)
{
	family(out, type, name, help);
	sample_real(out, LABELS(), value);
}

/* ---- devices ---- */

/* A name that two network namespaces use must not become one series. */
static const char *device_label(const struct weir_device *device, char text[64])
{
	if (device->netns == own_netns())
		return device->name;
	snprintf(text, 64, "%s@netns:%u", device->name, device->netns);
	return text;
}

static void print_attach_state(struct exposition *out, const struct snapshot *snapshot)
{
	char text[64];

	family(out, GAUGE, "weir_device_attached",
	       "1: the interface has weir's program; 0: it had it, and the program is gone.");
	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct weir_device *device = &snapshot->devices[i].device;

		sample(out, LABELS({ "device", device_label(device, text) },
				   { "mode", device_mode(device) }),
		       snapshot->devices[i].attached);
	}
	family(out, GAUGE, "weir_device_monitor",
	       "1: the interface is in monitor mode, which counts and drops nothing.");
	for (size_t i = 0; i < snapshot->device_count; i++)
		sample(out, LABELS({ "device", device_label(&snapshot->devices[i].device, text) }),
		       snapshot->devices[i].device.monitor);
}

enum count_kind { PACKETS, BYTES, MONITORED_PACKETS, MONITORED_BYTES };

static uint64_t count_of(const struct weir_counters *counters, int reason, enum count_kind kind)
{
	switch (kind) {
	case PACKETS:
		return counters->reason[reason].packets;
	case BYTES:
		return counters->reason[reason].bytes;
	case MONITORED_PACKETS:
		return counters->monitored[reason].packets;
	default:
		return counters->monitored[reason].bytes;
	}
}

static void print_counts(struct exposition *out, const struct snapshot *snapshot,
			 enum count_kind kind, const char *name, const char *help)
{
	bool only_drops = kind == MONITORED_PACKETS || kind == MONITORED_BYTES;
	char text[64];

	family(out, COUNTER, name, help);
	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct snapshot_device *each = &snapshot->devices[i];
		const char *device = device_label(&each->device, text);

		for (int reason = 0; reason < WEIR_REASON_MAX; reason++) {
			if (only_drops && strcmp(reason_action(reason), "drop"))
				continue;
			sample(out, LABELS({ "device", device },
					   { "action", reason_action(reason) },
					   { "reason", reason_name(reason) }),
			       count_of(&each->counters, reason, kind));
		}
	}
}

/* Not to be added up: a driver may count a packet in several of them. */
static void print_losses(struct exposition *out, const struct snapshot *snapshot)
{
	char text[64];

	family(out, COUNTER, "weir_device_lost_packets",
	       "Packets that were lost before weir saw them, since it was attached, by the kernel's "
	       "counter; one packet may be in several. Without what weir dropped, where the driver "
	       "is known to count that as well.");
	for (size_t i = 0; i < snapshot->device_count; i++)
		for (int loss = 0; loss < WEIR_LOSSES; loss++)
			sample(out, LABELS({ "device", device_label(&snapshot->devices[i].device, text) },
					   { "where", loss_name(loss) }),
			       snapshot->devices[i].losses.watch.all.lost[loss]);
	family(out, GAUGE, "weir_device_losing",
	       "1: of the last 10 to 20 seconds' packets one in a hundred, and 100 at least, were lost "
	       "before weir saw them.");
	for (size_t i = 0; i < snapshot->device_count; i++)
		sample(out, LABELS({ "device", device_label(&snapshot->devices[i].device, text) }),
		       *snapshot->devices[i].losses.complaint != '\0');
}

static void print_devices(struct exposition *out, const struct snapshot *snapshot)
{
	char text[64];

	print_attach_state(out, snapshot);
	print_losses(out, snapshot);
	print_counts(out, snapshot, PACKETS, "weir_packets",
		     "Packets received; each counts under exactly one reason. Of those with action "
		     "drop, weir_monitored_packets_total passed because of monitor mode.");
	print_counts(out, snapshot, BYTES, "weir_bytes",
		     "Bytes of these packets, on the wire without FCS.");
	print_counts(out, snapshot, MONITORED_PACKETS, "weir_monitored_packets",
		     "Packets that only passed because of monitor mode.");
	print_counts(out, snapshot, MONITORED_BYTES, "weir_monitored_bytes",
		     "Bytes of these packets.");
	family(out, COUNTER, "weir_gate_exact_packets",
	       "Packets for which the gate did not suffice and the source's bucket decided.");
	for (size_t i = 0; i < snapshot->device_count; i++)
		sample(out, LABELS({ "device", device_label(&snapshot->devices[i].device, text) }),
		       snapshot->devices[i].counters.exact);
	family(out, COUNTER, "weir_buckets_created", "Entries added to the table of buckets.");
	for (size_t i = 0; i < snapshot->device_count; i++)
		sample(out, LABELS({ "device", device_label(&snapshot->devices[i].device, text) }),
		       snapshot->devices[i].counters.created);
}

/* ---- tables, lists, bans ---- */

static void print_tables(struct exposition *out, const struct snapshot *snapshot)
{
	struct snapshot_table tables[SNAPSHOT_TABLES];

	snapshot_tables(snapshot, tables);
	family(out, GAUGE, "weir_table_entries",
	       "Entries in use. More than 8000 buckets (sources near or over a limit) are estimated "
	       "from a part of the table, to 2 percent at a million; known sources from 1/256.");
	for (size_t i = 0; i < SNAPSHOT_TABLES; i++)
		sample(out, LABELS({ "table", tables[i].name }), tables[i].entries);
	family(out, GAUGE, "weir_table_entries_highest",
	       "The most entries so far; for buckets and known, the most at any scrape.");
	for (size_t i = 0; i < SNAPSHOT_TABLES; i++)
		sample(out, LABELS({ "table", tables[i].name }), tables[i].most);
	family(out, GAUGE, "weir_table_capacity", "Entries that the table has room for.");
	for (size_t i = 0; i < SNAPSHOT_TABLES; i++)
		sample(out, LABELS({ "table", tables[i].name }), tables[i].capacity);
	single(out, GAUGE, "weir_gate_saturation_ratio", snapshot->gate_share,
	       "Share of cells with a debt in the part of the gate that all limits use. Near 1 the "
	       "gate no longer distinguishes sources, and every packet is decided by a bucket.");
}

static void print_blocks(struct exposition *out, const struct snapshot *snapshot)
{
	static const char *const origins[] = { "operator", "daemon" };

	family(out, GAUGE, "weir_block_entries",
	       "Block entries by origin. Those of kind ban have a deadline; ended ones count until "
	       "the next change.");
	for (int origin = 0; origin < 2; origin++) {
		sample(out, LABELS({ "origin", origins[origin] }, { "kind", "permanent" }),
		       snapshot->tally.block[origin][0]);
		sample(out, LABELS({ "origin", origins[origin] }, { "kind", "ban" }),
		       snapshot->tally.block[origin][1]);
	}
	single(out, COUNTER, "weir_bans_gave_way", snapshot->tally.bans_gave_way,
	       "Bans that ended early because most_bans was reached and others were worse.");
	single(out, COUNTER, "weir_bans_put_off", snapshot->tally.bans_put_off,
	       "Decisions to ban for which most_bans left no room; one that stays due counts in "
	       "each window.");
}

static void print_lists(struct exposition *out, const struct snapshot *snapshot)
{
	const struct list_info *lists = snapshot->lists;

	family(out, GAUGE, "weir_list_entries", "Prefixes in the loaded list.");
	for (size_t i = 0; i < snapshot->list_count; i++) {
		sample(out, LABELS({ "list", lists[i].name }, { "family", "ipv4" }),
		       lists[i].current.v4_count);
		sample(out, LABELS({ "list", lists[i].name }, { "family", "ipv6" }),
		       lists[i].current.v6_count);
	}
	family(out, GAUGE, "weir_list_generation", "How many times the list was loaded with a new content.");
	for (size_t i = 0; i < snapshot->list_count; i++)
		sample(out, LABELS({ "list", lists[i].name }), lists[i].current.generation);
	family(out, GAUGE, "weir_list_last_load_timestamp_seconds",
	       "When the current generation of the list was loaded.");
	for (size_t i = 0; i < snapshot->list_count; i++)
		sample(out, LABELS({ "list", lists[i].name }), lists[i].current.loaded_unix_s);
	single(out, GAUGE, "weir_blockset_generation", snapshot->set_generation,
	       "Generation of the block set, which all lists are compiled into; 0: there is none.");
}

static void print_limits(struct exposition *out, const struct snapshot *snapshot)
{
	single(out, GAUGE, "weir_limits", snapshot->limits, "Limits that are set.");
	single(out, GAUGE, "weir_policy_generation", snapshot->policy_generation,
	       "How many times the limits and budgets have changed.");
}

/* ---- drop rules ---- */

#define RULE(each) LABELS({ "rule", (each)->name }, \
			  { "mode", (each)->monitor ? "monitor" : "drop" })

/* There are 64 rules at most, so there are few series. */
static void print_rules(struct exposition *out, const struct snapshot *snapshot)
{
	const struct snapshot_rule *end = snapshot->rules + snapshot->rule_count;
	const struct snapshot_rule *each;
	uint64_t daemons = 0;

	for (each = snapshot->rules; each < end; each++)
		daemons += each->daemons;
	family(out, GAUGE, "weir_rules",
	       "Drop rules by origin; ended ones count until the daemon removes them.");
	sample(out, LABELS({ "origin", "operator" }), snapshot->rule_count - daemons);
	sample(out, LABELS({ "origin", "daemon" }), daemons);
	family(out, COUNTER, "weir_rule_dropped_packets",
	       "Packets that the drop rule dropped; in monitor mode: would have dropped.");
	for (each = snapshot->rules; each < end; each++)
		sample(out, RULE(each), each->count.packets);
	family(out, COUNTER, "weir_rule_dropped_bytes", "Bytes of these.");
	for (each = snapshot->rules; each < end; each++)
		sample(out, RULE(each), each->count.bytes);
	family(out, COUNTER, "weir_rule_passed_packets", "Packets within the rule's rate.");
	for (each = snapshot->rules; each < end; each++)
		sample(out, RULE(each), each->count.passed);
	family(out, COUNTER, "weir_rule_spared_packets",
	       "Packets that the rule matched, of sources that it spares.");
	for (each = snapshot->rules; each < end; each++)
		sample(out, RULE(each), each->count.spared);
}

/* ---- budgets ---- */

#define BUDGET(each) LABELS({ "budget", (each)->spec.name })

static void print_budget_settings(struct exposition *out, const struct snapshot *snapshot)
{
	const struct snapshot_budget *end = snapshot->budgets + snapshot->budget_count;
	const struct snapshot_budget *each;

	family(out, GAUGE, "weir_budget_packets_per_second", "The budget's packet rate.");
	for (each = snapshot->budgets; each < end; each++)
		if (each->spec.limit.rate_packets)
			sample_real(out, BUDGET(each), (double)each->spec.limit.rate_packets /
							      each->spec.limit.per_s);
	family(out, GAUGE, "weir_budget_bytes_per_second", "The budget's byte rate.");
	for (each = snapshot->budgets; each < end; each++)
		if (each->spec.limit.rate_bits_per_s)
			sample_real(out, BUDGET(each),
				    (double)each->spec.limit.rate_bits_per_s / BITS_PER_BYTE);
	family(out, GAUGE, "weir_budget_used_ratio", "Used share of the budget's burst; 1: exhausted.");
	for (each = snapshot->budgets; each < end; each++)
		sample_real(out, BUDGET(each), each->used);
	family(out, GAUGE, "weir_budget_pressed",
	       "1: the budget has dropped a packet within the last second.");
	for (each = snapshot->budgets; each < end; each++)
		sample(out, BUDGET(each), each->pressed);
}

static void print_budget_counts(struct exposition *out, const struct snapshot *snapshot)
{
	const struct snapshot_budget *end = snapshot->budgets + snapshot->budget_count;
	const struct snapshot_budget *each;

	family(out, COUNTER, "weir_budget_passed_packets", "Packets that the budget let through.");
	for (each = snapshot->budgets; each < end; each++)
		sample(out, BUDGET(each), each->spent.passed);
	family(out, COUNTER, "weir_budget_passed_bytes", "Bytes that the budget let through.");
	for (each = snapshot->budgets; each < end; each++)
		sample(out, BUDGET(each), each->spent.passed_bytes);
	family(out, COUNTER, "weir_budget_pressed_passed_packets",
	       "Packets of these that it let through under pressure, by kind of source.");
	for (each = snapshot->budgets; each < end; each++) {
		struct budget_counts counts = budget_count(&each->spent);

		sample(out, LABELS({ "budget", each->spec.name }, { "source", "known" }),
		       counts.known);
		sample(out, LABELS({ "budget", each->spec.name }, { "source", "newcomer" }),
		       counts.newcomers);
	}
	family(out, COUNTER, "weir_budget_dropped_packets", "Packets that the budget dropped, by reason.");
	for (each = snapshot->budgets; each < end; each++) {
		struct budget_counts sum = budget_count(&each->spent);
		const struct { enum weir_reason reason; uint64_t packets; } counts[] = {
			{ WEIR_DROP_SHED, sum.shed }, { WEIR_DROP_SHARE, sum.share },
			{ WEIR_DROP_BUDGET, sum.over },
		};

		for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
			sample(out, LABELS({ "budget", each->spec.name },
					   { "reason", reason_name(counts[i].reason) }),
			       counts[i].packets);
	}
	family(out, COUNTER, "weir_budget_dropped_bytes", "Bytes that the budget dropped.");
	for (each = snapshot->budgets; each < end; each++)
		sample(out, BUDGET(each), each->spent.dropped_bytes);
}

static void print_budget_tiers(struct exposition *out, const struct snapshot *snapshot)
{
	const struct snapshot_budget *end = snapshot->budgets + snapshot->budget_count;
	const struct snapshot_budget *each;

	family(out, COUNTER, "weir_budget_tier_passed_packets",
	       "Packets that the budget let through under pressure, by the source's tier.");
	for (each = snapshot->budgets; each < end; each++)
		for (int tier = 0; tier < WEIR_TIERS; tier++)
			sample(out, LABELS({ "budget", each->spec.name },
					   { "tier", tier_name(tier) }), each->spent.let_in[tier]);
	family(out, COUNTER, "weir_budget_tier_dropped_packets",
	       "Packets that the budget dropped, by the source's tier; cause no-room: within the "
	       "share of the source's network, over-share: beyond it.");
	for (each = snapshot->budgets; each < end; each++)
		for (int tier = 0; tier < WEIR_TIERS; tier++) {
			sample(out, LABELS({ "budget", each->spec.name },
					   { "tier", tier_name(tier) }, { "cause", "no-room" }),
			       each->spent.no_room[tier]);
			sample(out, LABELS({ "budget", each->spec.name },
					   { "tier", tier_name(tier) }, { "cause", "over-share" }),
			       each->spent.over_share[tier]);
		}
}

/* ---- known sources ---- */

static void print_known(struct exposition *out, const struct snapshot *snapshot)
{
	char text[64];

	family(out, GAUGE, "weir_known_sources",
	       "Known sources by tier, estimated from 1/256 of the table: seen (without proof), "
	       "proven, long (proven in two generations).");
	for (int tier = WEIR_SEEN; tier < WEIR_TIERS; tier++)
		sample(out, LABELS({ "tier", tier_name(tier) }), snapshot->known_of_tier[tier]);
	single(out, COUNTER, "weir_known_put_off", snapshot->common.seen_put_off,
	       "Times that a source did not become known without proof, since too many did.");
	single(out, COUNTER, "weir_known_no_room", snapshot->common.known_full,
	       "Proofs of sources for which the table had no room.");
	family(out, COUNTER, "weir_proof_lookups",
	       "TCP segments whose socket was looked up, a sample, and whether this host has their "
	       "connection.");
	for (size_t i = 0; i < snapshot->device_count; i++) {
		const struct weir_counters *counters = &snapshot->devices[i].counters;
		const char *device = device_label(&snapshot->devices[i].device, text);

		sample(out, LABELS({ "device", device }, { "connection", "own" }), counters->own);
		sample(out, LABELS({ "device", device }, { "connection", "none" }),
		       counters->looked_up - counters->own);
	}
}

/* ---- cookies ---- */

static void print_cookies(struct exposition *out, const struct snapshot *snapshot)
{
	const struct weir_cookie_count *all = &snapshot->cookies.all;

	single(out, COUNTER, "weir_syncookies_returned", all->returned,
	       "SYN cookies that came back from sources without proof, since the first look.");
	single(out, COUNTER, "weir_syncookies_refused", all->refused,
	       "Of these, cookies that the kernel did not take, so that no connection was made.");
	single(out, COUNTER, "weir_listen_overflows", all->overflows,
	       "Connections for which the accept queue of a listener of this host had no room.");
}

/* ---- the daemon, and all together ---- */

static void print_daemon(struct exposition *out, const struct snapshot *snapshot)
{
	const struct weir_tally *tally = &snapshot->tally;
	bool up = snapshot_daemon_is_up(snapshot);

	single(out, GAUGE, "weir_daemon_up", up,
	       "1: the daemon finished a loop in the last ten seconds. Limits, lists and bans take "
	       "effect without it.");
	single(out, COUNTER, "weir_daemon_loops", tally->daemon_loops, "Loops that the daemon has finished.");
	if (!tally->daemon_ns)
		return;
	single(out, GAUGE, "weir_daemon_loop_age_seconds", snapshot->daemon_age_s,
	       "Time since the daemon's last loop ended.");
	single(out, GAUGE, "weir_daemon_loop_duration_seconds", tally->daemon_loop_us / 1e6,
	       "Time that the daemon's last loop took.");
	single(out, GAUGE, "weir_daemon_loop_duration_highest_seconds",
	       tally->daemon_longest_us / 1e6, "Time that the daemon's longest loop took.");
}

/* Where no daemon has recorded a flood, both are 0. */
static void print_incidents(struct exposition *out, const struct snapshot *snapshot)
{
	struct incident_summary summary;
	char ignored[ERR_LEN];

	incident_store_read_summary(&summary, ignored);
	single(out, GAUGE, "weir_incident_active",
	       summary.active && snapshot_daemon_is_up(snapshot),
	       "1: a flood lasts, of which the daemon writes a record.");
	family(out, COUNTER, "weir_incidents", "Floods that have ended and were recorded, by kind.");
	for (int i = 0; i < INCIDENT_KINDS; i++)
		sample(out, LABELS({ "kind", incident_kind_name(i) }), summary.ended[i]);
}

static void print_metrics(struct exposition *out, const struct snapshot *snapshot)
{
	char abi[16];

	snprintf(abi, sizeof(abi), "%u", WEIR_ABI);
	family(out, INFO, "weir_build", "Version of weir and of its ABI.");
	sample(out, LABELS({ "version", WEIR_VERSION }, { "abi", abi }), 1);
	single(out, GAUGE, "weir_in_use", snapshot->in_use,
	       "0: weir is attached to no interface, and nothing is set.");
	if (!snapshot->in_use)
		return;
	single(out, GAUGE, "weir_restore_alarm", *snapshot->alarm != '\0',
	       "1: at the last boot the settings, or their lists, could not be restored.");
	print_devices(out, snapshot);
	print_tables(out, snapshot);
	print_blocks(out, snapshot);
	print_lists(out, snapshot);
	print_limits(out, snapshot);
	print_rules(out, snapshot);
	print_budget_settings(out, snapshot);
	print_budget_counts(out, snapshot);
	print_budget_tiers(out, snapshot);
	print_known(out, snapshot);
	print_cookies(out, snapshot);
	print_incidents(out, snapshot);
	print_daemon(out, snapshot);
	single(out, GAUGE, "weir_scrape_duration_seconds", snapshot->took_s,
	       "Time that reading these metrics took.");
}

char *metrics_text(bool open_metrics, char *err)
{
	struct exposition out = { .open_metrics = open_metrics };
	struct snapshot snapshot;
	char *text = NULL;
	size_t size;

	if (snapshot_read(&snapshot, err))
		return NULL;
	out.to = open_memstream(&text, &size);
	if (out.to) {
		print_metrics(&out, &snapshot);
		if (open_metrics)
			fputs("# EOF\n", out.to);
		if (fclose(out.to)) {
			free(text);
			text = NULL;
		}
	}
	snapshot_free(&snapshot);
	if (!text)
		fail(err, ENOMEM, "out of memory");
	return text;
}
