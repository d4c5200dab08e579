// SPDX-License-Identifier: GPL-2.0-only
/* weir suggest: limits that no source of the traffic seen would run into. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/cli/watch.h"
#include "user/daemon/daemon.h"
#include "user/daemon/traffic_log.h"
#include "user/host/clock.h"
#include "user/model/table.h"
#include "user/model/traffic_week.h"
#include "user/model/units.h"

#define SECONDS_LEAST	5	/* in less the burst hides a fifth of a rate */
#define SECONDS_DEFAULT	60
#define SECONDS_MOST	86400
#define PART_S		60	/* each source counts once in so long */
#define EVENTS_PER_S	10000
#define P99_SOURCES	100	/* fewer have no such quantile */
#define P999_SOURCES	1000
#define FEW_SOURCES	30
#define LOST_PERCENT	1
#define COMMAND_LEN	192

struct suggest_words {
	uint64_t seconds;	/* 0: not given */
	const char *dev;
};

static const struct word suggest_words[] = {
	WORD_NUMBER("seconds", struct suggest_words, seconds, SECONDS_LEAST, SECONDS_MOST),
	WORD_TEXT("dev", "an interface", struct suggest_words, dev),
	{ 0 },
};

struct suggestion {
	struct suggest_words words;
	struct traffic traffic;
	bool kept;		/* by the daemon, not watched now */
	uint64_t lost_percent;	/* of the packets, for which the ring or memory had no room */
	/* while watching */
	struct watch watch;
	struct traffic_samples samples;
	uint64_t part_ns, part_end_ns;
	uint64_t left_out;
};

/* ---- watching ---- */

static void take_sample(const struct weir_event *event, void *arg)
{
	struct suggestion *s = arg;
	struct traffic_sample sample;

	if (s->words.dev && strcmp(s->words.dev, s->watch.device[event->slot % WEIR_DEVICES]))
		return;
	if (traffic_sample(event, &sample) && !sample.dropped)
		traffic_samples_put(&s->samples, &sample);
}

static void end_part(struct suggestion *s)
{
	traffic_add(&s->traffic, s->samples.at, s->samples.count);
	s->left_out += s->samples.left_out;
	s->samples.count = s->samples.left_out = 0;
}

/* The last part ends with the watch, which may be a moment before its time. */
static void end_part_in_time(void *arg)
{
	struct suggestion *s = arg;

	if (now_ns() < s->part_end_ns || now_ns() + s->part_ns / 2 > s->watch.end_ns)
		return;
	end_part(s);
	s->part_end_ns += s->part_ns;
}

static bool is_attached_to(const struct watch *watch, const char *dev)
{
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (!strcmp(watch->device[slot], dev))
			return true;
	return false;
}

static void note_lost(struct suggestion *s, const struct listen_totals *totals)
{
	uint64_t lost = totals->lost + s->left_out, all = totals->events + totals->lost;

	s->lost_percent = all ? 100 * lost / all : 0;
}

static enum outcome watch_traffic(const struct call *call, struct suggestion *s)
{
	uint64_t seconds = s->words.seconds ? s->words.seconds : SECONDS_DEFAULT;
	struct watch_words w = { .wanted = { .reasons = traffic_reasons(),
					     .events_per_s = EVENTS_PER_S }, .seconds = seconds };
	struct listen_totals totals;
	enum watch_end end;
	char err[ERR_LEN];

	s->watch = (struct watch){ .tick = end_part_in_time, .arg = s };
	if (watch_open(&s->watch, &w, take_sample, err))
		return failed(call, "%s", err);
	if (!s->watch.attached || (s->words.dev && !is_attached_to(&s->watch, s->words.dev))) {
		watch_close(&s->watch);
		return failed(call, "%s: weir is not attached; `weir attach dev %s monitor` first",
			      s->words.dev ? s->words.dev : "no interface",
			      s->words.dev ? s->words.dev : "IF");
	}
	remark(call, "watching what passes for %" PRIu64 " s; Ctrl-C ends it earlier", seconds);
	s->part_ns = seconds * NS_PER_S / ((seconds + PART_S - 1) / PART_S);
	s->part_end_ns = now_ns() + s->part_ns;
	s->traffic.from_unix_s = time(NULL);
	end = watch_run(&s->watch);
	totals = watch_close(&s->watch);
	end_part(s);
	s->traffic.to_unix_s = time(NULL);
	note_lost(s, &totals);
	traffic_samples_free(&s->samples);
	return end == WATCH_FAILED ? failed(call, "cannot read the samples") : DONE;
}

/* ---- what the daemon has kept ---- */

/* Whether there is any; a file that cannot be read is reported, and is no reason to fail. */
static bool read_kept(const struct call *call, struct suggestion *s)
{
	struct daemon_options options = { 0 };
	struct traffic_week *week = calloc(1, sizeof(*week));
	struct config *config = calloc(1, sizeof(*config));
	char err[ERR_LEN] = "";

	if (week && config && !daemon_config(&options, config, err) && *config->traffic_file &&
	    !traffic_log_read(config->traffic_file, week, err))
		traffic_week_sum(week, time(NULL), &s->traffic);
	if (*err)
		remark(call, "%s", err);
	free(config);
	free(week);
	s->kept = s->traffic.minutes > 0;
	return s->kept;
}

/* ---- as text ---- */

/* A limit for all packets must not be below one for some of them. */
static uint64_t rate_of(const struct traffic *traffic, enum traffic_class class, bool tighter)
{
	uint64_t rate = tighter ? traffic_tighter(traffic, class) : traffic_rate(traffic, class);

	if (class != TRAFFIC_OTHER || !rate)
		return rate;
	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++)
		if (i != TRAFFIC_OTHER && traffic_rate(traffic, i) > rate)
			rate = traffic_rate(traffic, i);
	return tighter ? 0 : rate;
}

static void class_name(const struct traffic *traffic, enum traffic_class class, char text[32])
{
	if (class == TRAFFIC_OTHER)
		snprintf(text, 32, "other protocols");
	else
		traffic_words(traffic, class, text);
}

static void command_of(const struct traffic *traffic, enum traffic_class class, uint64_t rate,
		       char text[COMMAND_LEN])
{
	char words[32], value[FORMAT_LEN];

	traffic_words(traffic, class, words);
	format_packet_rate(rate, 1, value);
	snprintf(text, COMMAND_LEN, "weir limit set %s%srate %s", words, *words ? " " : "", value);
}

static const struct column rate_columns[] = {
	{ "CLASS", 21 }, { "SOURCES", 11, true }, { "P50", 11, true }, { "P99", 11, true },
	{ "P99.9", 11, true }, { "MAX", 10, true }, { 0 },
};

/* Bits in two digits, rounded up, so that they have a unit. */
static const char *need_text(double need, bool bits, char text[FORMAT_LEN])
{
	double ten = 1;

	if (!bits)
		return table_count(ceil(need), text);
	while (need * TRAFFIC_BITS > 100 * ten)
		ten *= 10;
	format_bits(ceil(need * TRAFFIC_BITS / ten) * ten, text);
	return text;
}

static void print_needs(const char *name, const char *sources, const uint32_t *needs, bool bits)
{
	static const struct { double of; uint64_t sources; } columns[] = {
		{ 0.5, 1 }, { 0.99, P99_SOURCES }, { 0.999, P999_SOURCES }, { 1, 1 },
	};
	char text[4][FORMAT_LEN];

	for (int i = 0; i < 4; i++) {
		if (traffic_sources(needs) < columns[i].sources)
			snprintf(text[i], FORMAT_LEN, "-");
		else
			need_text(traffic_quantile(needs, columns[i].of), bits, text[i]);
	}
	table_row(rate_columns, name, sources, text[0], text[1], text[2], text[3]);
}

static void print_rates(const struct traffic *traffic)
{
	char name[32], sources[FORMAT_LEN];

	table_head(rate_columns);
	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++) {
		const struct traffic_needs *needs = &traffic->of[i];

		if (!traffic_sources(needs->packets))
			continue;
		class_name(traffic, i, name);
		print_needs(name, table_count(traffic_sources(needs->packets), sources),
			    needs->packets, false);
		print_needs("", "bit/s", needs->bits, true);
	}
}

static void print_limit(const struct traffic *traffic, enum traffic_class class, bool tighter)
{
	const struct traffic_needs *needs = &traffic->of[class];
	uint64_t rate = rate_of(traffic, class, tighter), sources = traffic_sources(needs->packets);
	char command[COMMAND_LEN], line[128];

	if (!rate)
		return;
	command_of(traffic, class, rate, command);
	snprintf(line, sizeof(line), "# %swould have touched %" PRIu64 " of %" PRIu64 " sources%s%s",
		 tighter ? "tighter: " : "", traffic_above(needs->packets, rate), sources,
		 sources < FEW_SOURCES ? ", which are few" : "",
		 traffic_is_coarse(traffic, class) ? "; coarse" : "");
	printf("%s\n%s%s\n", line, tighter ? "# " : "", command);
}

static void print_times(const struct suggestion *s)
{
	char from[32], to[32], line[384];
	time_t began = s->traffic.from_unix_s, ended = s->traffic.to_unix_s;
	struct tm day;

	strftime(from, sizeof(from), "%Y-%m-%d %H:%M", localtime_r(&began, &day));
	strftime(to, sizeof(to), "%Y-%m-%d %H:%M", localtime_r(&ended, &day));
	if (s->kept)
		snprintf(line, sizeof(line), "what the daemon saw from %s to %s, in samples of %" PRIu64
			 " minutes; a source counts once in each minute", from, to,
			 s->traffic.minutes);
	else
		snprintf(line, sizeof(line), "what passed from %s to %s%s", from, to,
			 s->traffic.minutes > 1 ? "; a source counts once in each minute" : "");
	print_wrapped(stdout, line, 0, 0);
}

static void print_remarks(const struct call *call, const struct suggestion *s)
{
	uint32_t weight = 1;

	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++)
		if (s->traffic.of[i].weight > weight)
			weight = s->traffic.of[i].weight;
	if (weight > 1)
		remark(call, "a sample stood for up to %u packets: small rates are uncertain, and the "
		       "limits allow for that with 95 %% confidence; what is coarse is so by far. With "
		       "less bulk traffic they become tighter", weight);
	if (s->lost_percent >= LOST_PERCENT)
		remark(call, "%" PRIu64 " %% of the samples were lost: watch again, in calmer times",
		       s->lost_percent);
	remark(call, "packets that limits in force dropped are not among these");
}

static void print_suggestion(const struct call *call, const struct suggestion *s)
{
	bool any = false;

	print_times(s);
	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++)
		any |= traffic_sources(s->traffic.of[i].packets) > 0;
	if (!any) {
		remark(call, "nothing passed that a limit would count");
		return;
	}
	printf("Lowest limits with which a source would have lost no packet, over all sources:\n");
	print_rates(&s->traffic);
	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++) {
		print_limit(&s->traffic, i, false);
		print_limit(&s->traffic, i, true);
	}
	print_remarks(call, s);
}

/* ---- as JSON ---- */

static json_t *quantile_json(const uint32_t *needs, double of, uint64_t sources, double unit)
{
	return traffic_sources(needs) < sources ? json_null() :
	       json_integer(ceil(traffic_quantile(needs, of) * unit));
}

static json_t *needs_json(const uint32_t *needs, double unit)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "p50", quantile_json(needs, 0.5, 1, unit), "p99",
			 quantile_json(needs, 0.99, P99_SOURCES, unit), "p99_9",
			 quantile_json(needs, 0.999, P999_SOURCES, unit), "max",
			 quantile_json(needs, 1, 1, unit));
}

static json_t *command_json(const struct traffic *traffic, enum traffic_class class, bool tighter)
{
	uint64_t rate = rate_of(traffic, class, tighter);
	char command[COMMAND_LEN];

	if (!rate)
		return json_null();
	command_of(traffic, class, rate, command);
	return json_pack("{s:s, s:I, s:I}", "command", command, "rate_packets", (json_int_t)rate,
			 "touched",
			 (json_int_t)traffic_above(traffic->of[class].packets, rate));
}

static json_t *class_json(const struct traffic *traffic, enum traffic_class class)
{
	const struct traffic_needs *needs = &traffic->of[class];
	char name[32];

	class_name(traffic, class, name);
	return json_pack("{s:s, s:I, s:I, s:I, s:b, s:o, s:o, s:o, s:o}", "class", name, "sources",
			 (json_int_t)traffic_sources(needs->packets), "samples",
			 (json_int_t)needs->samples, "weight", (json_int_t)needs->weight, "coarse",
			 traffic_is_coarse(traffic, class), "packets_per_s",
			 needs_json(needs->packets, 1), "bits_per_s", needs_json(needs->bits, TRAFFIC_BITS),
			 "suggested", command_json(traffic, class, false), "tighter",
			 command_json(traffic, class, true));
}

static json_t *suggestion_json(const struct suggestion *s)
{
	json_t *classes = json_array();

	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++)
		if (traffic_sources(s->traffic.of[i].packets))
			json_array_append_new(classes, class_json(&s->traffic, i));
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "seen_by", s->kept ? "daemon" : "command",
			 "from", (json_int_t)s->traffic.from_unix_s, "to",
			 (json_int_t)s->traffic.to_unix_s, "parts", (json_int_t)s->traffic.minutes,
			 "lost_percent", (json_int_t)s->lost_percent, "classes", classes);
}

enum outcome cmd_suggest(const struct call *call)
{
	struct suggestion *s = calloc(1, sizeof(*s));
	struct words words = call->words;
	enum outcome outcome = DONE;
	char err[ERR_LEN];

	if (!s)
		return failed(call, "out of memory");
	if (take_words(&words, suggest_words, &s->words, err))
		outcome = usage(call, "%s", err);
	else if (s->words.seconds || s->words.dev || !read_kept(call, s))
		outcome = watch_traffic(call, s);
	if (outcome == DONE && !call->json)
		print_suggestion(call, s);
	if (outcome == DONE)
		outcome = print_json(call, suggestion_json(s));
	free(s);
	return outcome;
}
