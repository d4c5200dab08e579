// SPDX-License-Identifier: GPL-2.0-only
/* weir show sources, show source: the sources near or over a limit. */
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
#define SECONDS_DEFAULT	3	/* of `show sources all` */
#define SECONDS_MOST	60

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
		     char text[PREFIX_STRLEN], char class[CLASS_LEN])
{
	uint32_t limit = policy_by_serial(settings->policy, source->key.serial);
	struct prefix address = { .hi = source->key.hi, .lo = source->key.lo, .length = 128 };
	struct prefix prefix = limit_source(&settings->policy->limit[limit], &address);

	prefix_format(&prefix, text);
	if (limit)
		format_class(&settings->policy->spec[limit], class);
	else
		snprintf(class, CLASS_LEN, "(limit removed)");
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
	char text[PREFIX_STRLEN], class[CLASS_LEN];

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
		char text[PREFIX_STRLEN], class[CLASS_LEN];
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

struct sources_words {
	bool all;
	uint64_t top, seconds;	/* seconds 0: not given */
};

static const struct word sources_words[] = {
	WORD_FLAG("all", struct sources_words, all),
	WORD_NUMBER("top", struct sources_words, top, 1, TOP_MAX),
	WORD_NUMBER("seconds", struct sources_words, seconds, 1, SECONDS_MOST),
	{ 0 },
};

enum outcome cmd_show_sources(const struct call *call)
{
	struct sources_words w = { .top = TOP_DEFAULT };
	struct words words = call->words;
	char err[ERR_LEN];

	if (take_words(&words, sources_words, &w, err))
		return usage(call, "%s", err);
	if (w.seconds && !w.all)
		return usage(call, "seconds is for `show sources all`: buckets are read at once");
	if (w.all)
		return show_all_sources(call, w.top, w.seconds ? w.seconds : SECONDS_DEFAULT);
	return show_buckets(call, w.top, NULL);
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
