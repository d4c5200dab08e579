// SPDX-License-Identifier: GPL-2.0-only
/* weir show: interfaces, counters, and the sources near or over a limit. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/policy.h"
#include "user/model/table.h"
#include "user/model/tiers.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/known.h"
#include "user/state/proof.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"
#include "user/state/try.h"

#define TOP_DEFAULT	20
#define TOP_MAX		(1U << 20)

static int count_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
			void *arg)
{
	(void)key;
	(void)bucket;
	++*(uint64_t *)arg;
	return 0;
}

/* ---- show status ---- */

struct status {
	struct settings settings;
	uint64_t sources;
	uint32_t limits;
	json_t *devices;
	struct weir_common common;
	char remarks[WEIR_DEVICES][512];	/* "": none on that device */
};

static json_t *try_status(const struct weir_device *device)
{
	uint64_t now = now_ns();

	if (!device->try_until_ns)
		return json_null();
	return json_pack("{s:I, s:s}", "seconds_left",
			 (json_int_t)seconds_until(device->try_until_ns, now), "then",
			 try_fallback_word(device));
}

static json_t *device_status(const struct maps *maps, const struct weir_device *device,
			     const struct weir_counters *counters)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:b, s:b, s:b, s:i, s:I, s:o, s:s}", "dev",
			 device->name, "frames", device->bare ? "ip" : "ethernet", "link_pps",
			 (json_int_t)device->link_pps, "mode",
			 device_mode(device), "monitor", device->monitor, "attached",
			 device_is_attached(maps, device), "dispatcher", device->dispatcher,
			 "prog_id", device->prog_id, "since",
			 (json_int_t)device->attached_unix_s, "try", try_status(device),
			 "proof", proof_name(proof_on(counters)));
}

static int read_status(struct maps *maps, struct status *status, char *err)
{
	struct weir_counters counters;
	struct weir_device device;
	int rc;

	*status = (struct status){ .devices = json_array() };
	rc = maps_read_settings(maps, &status->settings, err);
	if (rc)
		return rc;
	rc = maps_read_common(maps, &status->common);
	if (rc)
		return fail(err, -rc, "cannot read what budgets share: %s", strerror(-rc));
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		if (maps_read_counters(maps, slot, &counters))
			counters = (struct weir_counters){ 0 };
		proof_remark(device.name, &counters, status->remarks[slot],
			     sizeof(status->remarks[slot]));
		json_array_append_new(status->devices, device_status(maps, &device, &counters));
	}
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		status->limits += status->settings.policy->spec[i].used;
	maps_each_bucket(maps, count_bucket, &status->sources);
	return 0;
}

/* An expired try is seen only where the process that ends it was killed. */
static void print_try(const struct column *columns, const json_t *device)
{
	json_t *try = json_object_get(device, "try");
	long long left = json_integer_value(json_object_get(try, "seconds_left"));
	char text[128];

	if (!json_is_object(try))
		return;
	if (left)
		snprintf(text, sizeof(text), "on trial for %lld s more, then %s; `weir confirm` keeps it",
			 left, json_string_value(json_object_get(try, "then")));
	else
		snprintf(text, sizeof(text), "its trial is over, and it acts as if %s; attach or detach it",
			 json_string_value(json_object_get(try, "then")));
	table_row(columns, "", text);
}

static void print_device(json_t *device)
{
	static const struct column columns[] = { { "", 16 }, { "", 0 }, { 0 } };
	const char *name = json_string_value(json_object_get(device, "dev"));
	const char *mode = json_string_value(json_object_get(device, "mode"));
	char text[128];

	if (json_is_true(json_object_get(device, "attached")))
		snprintf(text, sizeof(text), "attached, %s mode%s%s", mode,
			 json_is_true(json_object_get(device, "dispatcher")) ?
				 ", with other programs" : "",
			 json_is_true(json_object_get(device, "monitor")) ?
				 ", monitor: nothing is dropped" : "");
	else
		snprintf(text, sizeof(text),
			 "NOT attached any more: the interface or the program was removed");
	table_row(columns, name, text);
	print_try(columns, device);
}

static void print_status(const struct call *call, const struct status *status)
{
	json_t *device;
	size_t i;

	if (!json_array_size(status->devices))
		printf("attached to no interface\n");
	json_array_foreach(status->devices, i, device)
		print_device(device);
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (*status->remarks[slot])
			print_wrapped(stdout, status->remarks[slot], 0, 0);
	if (known_is_full(&status->common))
		print_wrapped(stdout, "ALARM: " KNOWN_FULL_TEXT, 0, 4);
	printf("limits %u, allow %zu, block %zu\n", status->limits, status->settings.allow.count,
	       status->settings.block.count);
	printf("sources near or over a limit: %llu\n", (unsigned long long)status->sources);
	if (!status->limits)
		remark(call, "no limits are set: traffic is counted and passes");
}

enum outcome cmd_show_status(const struct call *call)
{
	struct status status;
	char err[ERR_LEN];
	struct maps maps;
	json_t *root;

	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	if (read_status(&maps, &status, err)) {
		maps_close(&maps);
		return failed(call, "%s", err);
	}
	if (!call->json)
		print_status(call, &status);
	root = json_pack("{s:i, s:O, s:i, s:I, s:I, s:I, s:b}", "abi", WEIR_ABI, "devices",
			 status.devices, "limits", status.limits, "allow",
			 (json_int_t)status.settings.allow.count, "block",
			 (json_int_t)status.settings.block.count, "sources",
			 (json_int_t)status.sources, "known_full", known_is_full(&status.common));
	json_decref(status.devices);
	settings_free(&status.settings);
	maps_close(&maps);
	return print_json(call, root);
}

/* ---- show stats ---- */

static json_t *stats_json(const struct weir_device *device, const struct weir_counters *counters)
{
	json_t *reasons = json_array();
	uint64_t packets = 0, bytes = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		const struct weir_count *count = &counters->reason[i];
		json_t *reason = json_pack("{s:s, s:s, s:I, s:I}", "reason", reason_name(i),
					   "action", reason_action(i), "packets",
					   (json_int_t)count->packets, "bytes",
					   (json_int_t)count->bytes);

		if (strcmp(reason_action(i), "pass"))
			json_object_set_new(reason, "monitored",
					    json_integer(counters->monitored[i].packets));
		json_array_append_new(reasons, reason);
		packets += count->packets;
		bytes += count->bytes;
	}
	return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:I, s:I}", "dev", device->name, "mode",
			 device_mode(device), "monitor", device->monitor, "packets",
			 (json_int_t)packets, "bytes", (json_int_t)bytes, "reasons", reasons,
			 "exact", (json_int_t)counters->exact, "created",
			 (json_int_t)counters->created);
}

static const struct column stats_columns[] = {
	{ "", 1 }, { "REASON", 14 }, { "ACTION", 12 }, { "PACKETS", 20, true },
	{ "BYTES", 24, true }, { 0 },
};

static void print_count(const char *reason, const char *action, const struct weir_count *count)
{
	char packets[FORMAT_LEN], bytes[FORMAT_LEN];

	table_row(stats_columns, "", reason, action, table_count(count->packets, packets),
		  table_count(count->bytes, bytes));
}

static void print_stats(const struct weir_device *device, const struct weir_counters *counters)
{
	struct weir_count all = { 0 };

	printf("%s (%s mode%s)\n", device->name, device_mode(device),
	       device->monitor ? ", monitor: nothing is dropped" : "");
	table_head(stats_columns);
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		const struct weir_count *count = &counters->reason[i];
		const struct weir_count *let = &counters->monitored[i];

		all.packets += count->packets;
		all.bytes += count->bytes;
		if (!count->packets)
			continue;
		print_count(reason_name(i), let->packets == count->packets ? "would drop" :
			    reason_action(i), count);
		if (let->packets && let->packets != count->packets)
			print_count("", "(would drop)", let);
	}
	print_count("all", "", &all);
}

enum outcome cmd_show_stats(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN];
	struct weir_counters counters;
	struct weir_device device;
	const char *name = NULL;
	struct maps maps;
	bool any = false;
	json_t *devices;

	if (take_interface(&words, &name, err))
		return usage(call, "%s", err);
	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	devices = json_array();
	for (uint32_t slot = 0; device_next(&maps, &slot, &device); slot++) {
		if (name && strcmp(name, device.name))
			continue;
		if (maps_read_counters(&maps, slot, &counters))
			continue;
		any = true;
		if (call->json)
			json_array_append_new(devices, stats_json(&device, &counters));
		else
			print_stats(&device, &counters);
	}
	maps_close(&maps);
	if (!any && name) {
		json_decref(devices);
		return failed(call, "%s: weir is not attached", name);
	}
	if (!any && !call->json)
		remark(call, "attached to no interface");
	return print_json(call, json_pack("{s:o}", "devices", devices));
}

/* ---- show sources ---- */

struct source {
	struct weir_bucket_key key;
	struct weir_bucket bucket;
};

struct worst {
	struct source *at;	/* room for twice the wanted number */
	size_t count, wanted;
	uint64_t total;
	const struct settings *settings;
	const struct prefix *only;	/* an address: its buckets alone; NULL: all */
	enum weir_tier tier;		/* of that address */
};

static int worst_first(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->bucket.dropped != y->bucket.dropped)
		return x->bucket.dropped < y->bucket.dropped ? 1 : -1;
	if (x->bucket.passed != y->bucket.passed)
		return x->bucket.passed < y->bucket.passed ? 1 : -1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* All addresses that agree in the bits of a limit's `per` share one bucket. */
static bool is_bucket_of(const struct worst *worst, const struct weir_bucket_key *key)
{
	const struct weir_policy *policy = worst->settings->policy;
	uint32_t limit = policy_by_serial(policy, key->serial);
	struct prefix source = limit_source(&policy->limit[limit], worst->only);

	return key->hi == source.hi && key->lo == source.lo;
}

/* Keeps the worst: when the room is full, the array is sorted and the better half dropped. */
static int keep_worst(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
		      void *arg)
{
	struct worst *worst = arg;

	if (worst->only && !is_bucket_of(worst, key))
		return 0;
	worst->total++;
	worst->at[worst->count++] = (struct source){ .key = *key, .bucket = *bucket };
	if (worst->count < 2 * worst->wanted)
		return 0;
	qsort(worst->at, worst->count, sizeof(*worst->at), worst_first);
	worst->count = worst->wanted;
	return 0;
}

static void describe(const struct settings *settings, const struct source *source,
		     char text[PREFIX_STRLEN], char class[FORMAT_LEN])
{
	uint32_t limit = policy_by_serial(settings->policy, source->key.serial);
	struct prefix address = { .hi = source->key.hi, .lo = source->key.lo, .length = 128 };
	struct prefix prefix = limit_source(&settings->policy->limit[limit], &address);

	prefix_format(&prefix, text);
	if (limit)
		format_class(&settings->policy->spec[limit], class);
	else
		snprintf(class, FORMAT_LEN, "(limit removed)");
}

/*
 * Of the packets that the bucket decided: what passed the gate while the source was within half
 * its burst is not counted. Rounded down, so 100 says that none passed. The product has room for
 * 500 years of 10 million packets/s.
 */
static unsigned int dropped_percent(const struct weir_bucket *bucket)
{
	uint64_t packets = bucket->passed + bucket->dropped;

	return packets ? 100 * bucket->dropped / packets : 0;
}

static json_t *source_json(const struct settings *settings, const struct source *source)
{
	char text[PREFIX_STRLEN], class[FORMAT_LEN];

	describe(settings, source, text, class);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:i}", "source", text, "class", class, "passed",
			 (json_int_t)source->bucket.passed, "dropped",
			 (json_int_t)source->bucket.dropped, "dropped_bytes",
			 (json_int_t)source->bucket.dropped_bytes, "dropped_percent",
			 (int)dropped_percent(&source->bucket));
}

/* The tier of the address that `show source` asks for. */
static void add_tier(const struct call *call, const struct worst *worst, json_t *root)
{
	if (!worst->only)
		return;
	json_object_set_new(root, "tier", json_string(tier_name(worst->tier)));
	if (!call->json)
		remark(call, "in the eyes of budgets the source %s (tier %s)",
		       tier_meaning(worst->tier), tier_name(worst->tier));
}

static enum outcome print_sources(const struct call *call, const struct settings *settings,
				  struct worst *worst)
{
	static const struct column columns[] = {
		{ "SOURCE", 23 }, { "CLASS", 27 }, { "DROPPED", 12, true },
		{ "%", 3, true }, { "PASSED", 11, true }, { 0 },
	};
	json_t *list = json_array(), *root;

	qsort(worst->at, worst->count, sizeof(*worst->at), worst_first);
	if (worst->count > worst->wanted)
		worst->count = worst->wanted;
	if (!call->json && worst->count)
		table_head(columns);
	for (size_t i = 0; i < worst->count; i++) {
		char text[PREFIX_STRLEN], class[FORMAT_LEN];
		char dropped[FORMAT_LEN], percent[FORMAT_LEN], passed[FORMAT_LEN];
		const struct weir_bucket *bucket = &worst->at[i].bucket;

		if (call->json) {
			json_array_append_new(list, source_json(settings, &worst->at[i]));
			continue;
		}
		describe(settings, &worst->at[i], text, class);
		table_row(columns, text, class, table_count(bucket->dropped, dropped),
			  table_count(dropped_percent(bucket), percent),
			  table_count(bucket->passed, passed));
	}
	if (!call->json)
		remark(call, "%llu sources near or over a limit",
		       (unsigned long long)worst->total);
	root = json_pack("{s:I, s:o}", "total", (json_int_t)worst->total, "sources", list);
	add_tier(call, worst, root);
	return print_json(call, root);
}

static int read_tier(const struct maps *maps, struct worst *worst, char *err)
{
	struct known known;
	int rc = known_open(maps, &known, err);

	if (rc)
		return rc;
	worst->tier = known_tier_of(&known, worst->only);
	known_close(&known);
	return 0;
}

/* Prints the worst @wanted buckets. @only: those of this address; NULL: of all. */
static enum outcome show_buckets(const struct call *call, size_t wanted, const struct prefix *only)
{
	struct settings settings;
	struct worst worst = { .settings = &settings, .only = only, .wanted = wanted };
	enum outcome outcome;
	char err[ERR_LEN];
	struct maps maps;
	int rc;

	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	rc = only ? read_tier(&maps, &worst, err) : 0;
	if (!rc)
		rc = maps_read_settings(&maps, &settings, err);
	if (rc) {
		maps_close(&maps);
		return failed(call, "%s", err);
	}
	worst.at = calloc(2 * wanted, sizeof(*worst.at));
	rc = worst.at ? maps_each_bucket(&maps, keep_worst, &worst) : -ENOMEM;
	outcome = rc ? failed(call, "cannot read the sources: %s", strerror(-rc)) :
		       print_sources(call, &settings, &worst);
	free(worst.at);
	settings_free(&settings);
	maps_close(&maps);
	return outcome;
}

enum outcome cmd_show_sources(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN];
	uint64_t wanted = TOP_DEFAULT;

	if (take_count(&words, "top", TOP_MAX, &wanted, err))
		return usage(call, "%s", err);
	return show_buckets(call, wanted, NULL);
}

/* ---- show source ---- */

enum outcome cmd_show_source(const struct call *call)
{
	struct prefix address;
	char err[ERR_LEN], *value;
	struct words words = call->words;

	value = take_value(&words);
	if (!value)
		return usage(call, "show source needs an address");
	if (no_more_words(&words, err))
		return usage(call, "%s", err);
	if (parse_address(value, &address, err))
		return usage(call, "%s", err);
	return show_buckets(call, TOP_DEFAULT, &address);
}
