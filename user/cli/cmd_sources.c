// SPDX-License-Identifier: GPL-2.0-only
/* weir show sources all: the sources that send most, whether or not they are near a limit. */
#include <inttypes.h>
#include <stdlib.h>

#include "user/cli/output.h"
#include "user/cli/watch.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/traffic_samples.h"
#include "user/model/traffic_top.h"
#include "user/model/units.h"

#define EVENTS_PER_S	10000

struct watched {
	struct watch watch;
	struct traffic_samples samples;
	struct traffic_source *sources;
	size_t count;
	double seconds;
};

static void take_sample(const struct weir_event *event, void *arg)
{
	struct watched *w = arg;
	struct traffic_sample sample;

	if (traffic_sample(event, &sample))
		traffic_samples_put(&w->samples, &sample);
}

/* 0, or -errno with @err. */
static int watch_sources(struct watched *w, uint64_t seconds, char *err)
{
	struct watch_words words = { .wanted = { .events_per_s = EVENTS_PER_S }, .seconds = seconds };
	uint64_t began_ns;
	int rc;

	words.wanted.reasons = reasons_of_action("pass") | reasons_of_action("drop") |
			       reasons_of_action("tx");
	w->watch = (struct watch){ .arg = w };
	rc = watch_open(&w->watch, &words, take_sample, err);
	if (rc)
		return rc;
	began_ns = now_ns();
	if (w->watch.attached)
		watch_run(&w->watch);
	w->seconds = (double)(now_ns() - began_ns) / NS_PER_S;
	if (!w->watch.attached)
		rc = fail(err, ENODEV, "weir is on no interface: `weir attach dev IF monitor` first");
	watch_close(&w->watch);
	return rc;
}

static int sum_sources(struct watched *w, char *err)
{
	w->sources = calloc(w->samples.count ? w->samples.count : 1, sizeof(*w->sources));
	if (!w->sources)
		return fail(err, ENOMEM, "out of memory");
	w->count = traffic_top(w->samples.at, w->samples.count, w->sources);
	return 0;
}

static uint64_t per_second(const struct watched *w, uint64_t count)
{
	return count / w->seconds + 0.5;
}

/* "udp 53", "syn 443", "icmp". */
static void class_text(const struct traffic_source *source, char text[32])
{
	static const char *const names[] = { "syn", "tcp", "icmp", "fragment", "other", "udp" };

	if (source->dport)
		snprintf(text, 32, "%s %u", names[source->class], source->dport);
	else
		snprintf(text, 32, "%s", names[source->class]);
}

static void source_text(const struct traffic_source *source, char text[PREFIX_STRLEN])
{
	struct prefix prefix = { .hi = source->hi, .lo = source->lo, .length = 128 };

	if (!prefix_is_v4(&prefix) && !source->lo)
		prefix.length = 64;
	prefix_format_short(&prefix, text);
}

static json_t *source_json(const struct watched *w, const struct traffic_source *source)
{
	char text[PREFIX_STRLEN], class[32];

	source_text(source, text);
	class_text(source, class);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:s}", "source", text, "packets_per_s",
			 (json_int_t)per_second(w, source->packets), "bits_per_s",
			 (json_int_t)per_second(w, 8 * source->bytes), "dropped_per_s",
			 (json_int_t)per_second(w, source->dropped), "error_percent",
			 (json_int_t)traffic_error_percent(source), "mostly", class);
}

static void print_source(const struct watched *w, const struct traffic_source *source)
{
	static const struct column columns[] = {
		{ "SOURCE", 23 }, { "PACKETS/S", 9, true }, { "KBIT/S", 9, true },
		{ "DROPPED/S", 9, true }, { "+-%", 3, true }, { "MOSTLY", 0 }, { 0 },
	};
	char text[PREFIX_STRLEN], class[32], cell[4][FORMAT_LEN];

	if (source == w->sources)
		table_head(columns);
	source_text(source, text);
	class_text(source, class);
	table_row(columns, text, table_count(per_second(w, source->packets), cell[0]),
		  table_count(per_second(w, source->bytes * 8 / 1000), cell[1]),
		  table_count(per_second(w, source->dropped), cell[2]),
		  table_count(traffic_error_percent(source), cell[3]), class);
}

static enum outcome print_sources(const struct call *call, const struct watched *w, uint64_t top)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->count && i < top; i++) {
		if (call->json)
			json_array_append_new(list, source_json(w, &w->sources[i]));
		else
			print_source(w, &w->sources[i]);
	}
	if (!call->json)
		remark(call, "%zu sources in %.1f s, from %zu samples", w->count, w->seconds,
		       w->samples.count);
	return print_json(call, json_pack("{s:f, s:I, s:I, s:o}", "seconds", w->seconds, "samples",
					  (json_int_t)w->samples.count, "total",
					  (json_int_t)w->count, "sources", list));
}

enum outcome show_all_sources(const struct call *call, uint64_t top, uint64_t seconds)
{
	struct watched w = { 0 };
	enum outcome outcome;
	char err[ERR_LEN];
	int rc = watch_sources(&w, seconds, err);

	if (!rc)
		rc = sum_sources(&w, err);
	outcome = rc ? failed(call, "%s", err) : print_sources(call, &w, top);
	free(w.sources);
	traffic_samples_free(&w.samples);
	return outcome;
}
