// SPDX-License-Identifier: GPL-2.0-only
/* weir explain: what a flood is made of, and the drop rules that would match it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/output.h"
#include "user/cli/watch.h"
#include "user/daemon/daemon.h"
#include "user/host/calm_store.h"
#include "user/model/explain_fields.h"
#include "user/model/explain_packet.h"
#include "user/model/explain_propose.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/units.h"

#define SECONDS_DEFAULT	5
#define SECONDS_MOST	3600
#define WORDS_INDENT	6

struct explain_words {
	struct watch_words watch;	/* what watch_open() takes */
	const char *dev, *calm_file;
	bool to_given, proto_given;
	struct prefix to;
	uint8_t proto;
};

/* A rule as it is proposed. */
struct proposal {
	struct explain_proposal is;
	char match[EXPLAIN_TEXT + PREFIX_STRLEN + 4], name[WEIR_NAME_LEN];
};

struct explaining {
	struct watch watch;
	const struct call *call;
	struct explain_words words;
	struct explain_packet flood[EXPLAIN_PACKETS];
	uint8_t slot[EXPLAIN_PACKETS];
	size_t count;
	double seconds;			/* it took to hear them */
	uint64_t unread;		/* events of packets that could not be read */
	uint32_t device;		/* the slot that is explained */
	uint64_t represented;		/* packets of that interface */
	struct calm *calm;		/* NULL: there is none */
	char no_calm[ERR_LEN];		/* why there are no rules for want of calm packets */
	struct explain_against against;
	struct explain_share share[EXPLAIN_SHARES];
	uint32_t shares;
	struct explain_result result;
	struct proposal proposal[EXPLAIN_RULES];
};

/* ---- words ---- */

static int set_to(void *into, const char *value, char *err)
{
	struct explain_words *w = into;

	w->to_given = true;
	return parse_prefix(value, &w->to, err);
}

static int set_proto(void *into, const char *value, char *err)
{
	struct explain_words *w = into;
	bool any;
	int rc = parse_proto(value, &w->proto, &any, err);

	w->proto_given = !rc && !any;
	return rc;
}

static const struct word explain_table[] = {
	WORD_TEXT("dev", "an interface", struct explain_words, dev),
	WORD_NUMBER("seconds", struct explain_words, watch.seconds, 1, SECONDS_MOST),
	{ "to", "a prefix", set_to },
	{ "proto", "a protocol", set_proto },
	WORD_TEXT("calm", "a file", struct explain_words, calm_file),
	{ 0 },
};

/* ---- hearing the flood ---- */

static bool is_meant(const struct explaining *e, const struct weir_event *event)
{
	const struct explain_words *w = &e->words;
	struct prefix to = { event->to_hi, event->to_lo, 128 };
	uint8_t proto = event->proto == 58 ? 1 : event->proto;	/* ICMP of both families */

	if (w->dev && strcmp(e->watch.device[event->slot % WEIR_DEVICES], w->dev))
		return false;
	return (!w->to_given || prefix_covers(&w->to, &to)) &&
	       (!w->proto_given || w->proto == proto);
}

static void hear(const struct weir_event *event, void *arg)
{
	struct explaining *e = arg;
	uint32_t slot = event->slot % WEIR_DEVICES;

	if (e->watch.end || !is_meant(e, event))
		return;
	if (event->snap > WEIR_SNAP ||
	    !explain_read_frame(event->data, event->snap, e->watch.bare[slot], event->weight,
				&e->flood[e->count])) {
		e->unread++;
		return;
	}
	e->slot[e->count++] = slot;
	if (e->count == EXPLAIN_PACKETS)
		e->watch.end = WATCH_ENOUGH;
}

static uint64_t weight_of(const struct explain_packet *packet)
{
	return 1ULL << packet->shift;
}

/* One interface is explained: that from which most was turned away. */
static void choose_device(struct explaining *e)
{
	uint64_t sum[WEIR_DEVICES] = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < e->count; i++)
		sum[e->slot[i]] += weight_of(&e->flood[i]);
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (sum[slot] > sum[e->device])
			e->device = slot;
	for (size_t i = 0; i < e->count; i++)
		if (e->slot[i] == e->device)
			e->flood[kept++] = e->flood[i];
	e->count = kept;
	e->represented = sum[e->device];
}

/* ---- the calm sample ---- */

static const char *calm_file(const struct explaining *e, struct config *config)
{
	const struct daemon_options options = { 0 };
	char ignored[ERR_LEN];

	if (e->words.calm_file)
		return e->words.calm_file;
	if (daemon_config(&options, config, ignored))
		config_defaults(config);
	return config->calm_file;
}

static const char *device_name(const struct explaining *e)
{
	if (e->words.dev)
		return e->words.dev;
	return e->watch.device[e->device];
}

static int read_calm(struct explaining *e, char *err)
{
	struct config *config = calloc(1, sizeof(*config));
	const struct hash_seed none = { { 0 } };
	const char *file;
	int rc;

	e->calm = calm_new(&none, 0);
	if (!config || !e->calm) {
		free(config);
		return fail(err, ENOMEM, "out of memory");
	}
	file = calm_file(e, config);
	rc = *file ? calm_store_read(file, device_name(e), e->calm, e->no_calm) :
		     fail(e->no_calm, ENOENT, "the daemon is set to keep no calm sample "
			  "(state.calm)");
	if (!rc)
		explain_take_against(e->calm, &e->against);
	else if (rc == -ENOENT && *file)
		fail(e->no_calm, ENOENT, "there is no calm sample of %.16s (%.100s.%.16s): the "
		     "daemon takes one while nothing is flooded, in some minutes or hours (`systemctl "
		     "enable --now weir`)", device_name(e), file, device_name(e));
	if (!rc && e->against.count < EXPLAIN_CALM_LEAST)
		explain_say_too_few(e->calm, &e->against, e->no_calm);
	free(config);
	return 0;	/* without it, the shares are shown all the same */
}

/* ---- rules ---- */

static void propose(struct explaining *e, uint32_t i)
{
	struct proposal *p = &e->proposal[i];
	char to[PREFIX_STRLEN];
	size_t used;

	explain_propose(&e->result.verdict[i], e->calm, &e->against, &p->is);
	used = strlen(strcpy(p->match, p->is.match));
	if (e->words.to_given) {
		prefix_format(&e->words.to, to);
		snprintf(p->match + used, sizeof(p->match) - used, " to %s", to);
	}
	explain_name(&p->is.verdict->rule, p->match, p->name);
}

static int find_rules(struct explaining *e, char *err)
{
	struct explain *explain = explain_new();
	struct explain_options options = { 0 };
	struct hash_seed seed;

	if (!explain)
		return fail(err, ENOMEM, "out of memory");
	/* Which half a source is in must not be known to senders. */
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		options.seed = &seed;
	explain_find(explain, e->against.packet, e->against.count, e->flood, e->count, &options,
		     &e->result);
	explain_free(explain);
	for (uint32_t i = 0; i < e->result.count; i++)
		propose(e, i);
	return 0;
}

/* Why there are no rules, or not for all of the flood; NULL: there is nothing to say. */
static const char *shortcoming(const struct explaining *e)
{
	if (!e->count)
		return "nothing is turned away now";
	if (*e->no_calm)
		return e->no_calm;
	switch (e->result.end) {
	case EXPLAIN_TOO_FEW_FLOOD:
		return "too few packets were turned away to find rules: 200 are needed; more "
		       "`seconds` may help";
	case EXPLAIN_TOO_FEW_CALM:
		return "the calm sample is too small";
	case EXPLAIN_NOTHING:
		return "no rule tells what is turned away from calm traffic";
	case EXPLAIN_PARTIAL:
		return "the rules match a part of what is turned away; the rest looks like calm "
		       "traffic";
	default:
		return NULL;
	}
}

/* ---- as JSON ---- */

static json_t *shares_json(const struct explaining *e)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < e->shares; i++) {
		struct explain_rule rule = { 1, { e->share[i].condition } };
		char text[EXPLAIN_TEXT];

		explain_rule_text(&rule, text);
		json_array_append_new(list, json_pack("{s:s, s:f, s:o}", "match", text, "share",
						      e->share[i].flood, "calm_share",
						      e->against.count ?
						      json_real(e->share[i].calm) : json_null()));
	}
	return list;
}

static json_t *rules_json(const struct explaining *e)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < e->result.count; i++) {
		const struct proposal *p = &e->proposal[i];
		const struct explain_verdict *v = p->is.verdict;

		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:b, s:s?}", "name", p->name,
			"match", p->match, "share", v->flood, "added_share", v->gain, "calm_share",
			v->calm, "calm_bound", v->bound, "calm_hits", (json_int_t)v->calm_hits,
			"stranger_hits", (json_int_t)p->is.stranger_hits, "sure", p->is.sure, "doubt",
			p->is.sure ? NULL : p->is.doubt));
	}
	return list;
}

static json_t *calm_json(const struct explaining *e)
{
	struct calm_extent known, strangers;

	if (!e->against.count)
		return json_null();
	calm_measure(&e->calm->sample[CALM_KNOWN], &known);
	calm_measure(&e->calm->sample[CALM_STRANGERS], &strangers);
	if (strangers.from_unix_s &&
	    (!known.from_unix_s || strangers.from_unix_s < known.from_unix_s))
		known.from_unix_s = strangers.from_unix_s;
	if (strangers.to_unix_s > known.to_unix_s)
		known.to_unix_s = strangers.to_unix_s;
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "known_packets",
			 (json_int_t)e->calm->sample[CALM_KNOWN].count, "stranger_packets",
			 (json_int_t)e->calm->sample[CALM_STRANGERS].count, "judged_packets",
			 (json_int_t)e->result.calm_packets, "from_unix_s",
			 (json_int_t)known.from_unix_s, "to_unix_s", (json_int_t)known.to_unix_s);
}

static json_t *answer(const struct explaining *e, const struct listen_totals *totals)
{
	const char *remark_text = shortcoming(e);

	return json_pack("{s:s?, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:f, s:f, s:f, s:s?}", "dev",
			 e->count ? device_name(e) : e->words.dev, "seconds", e->seconds, "packets",
			 (json_int_t)e->represented, "samples", (json_int_t)e->count, "lost",
			 (json_int_t)totals->lost, "calm", calm_json(e), "fields", shares_json(e),
			 "rules", rules_json(e), "rules_share", e->result.flood, "rules_calm_share",
			 e->result.calm, "rules_calm_bound",
			 e->result.count ? e->result.bound : 0.0,
			 "remark", remark_text);
}

/* ---- as text ---- */

static const char *percent(double share, char text[16])
{
	snprintf(text, 16, share > 0 && share < 0.001 ? "%.3f%%" : "%.1f%%", 100 * share);
	return text;
}

static void print_shares(const struct explaining *e)
{
	static const struct column columns[] = {
		{ "WHAT IS TURNED AWAY", 44 }, { "SHARE", 10, true }, { "OF CALM", 10, true },
		{ 0 },
	};

	table_head(columns);
	for (uint32_t i = 0; i < e->shares; i++) {
		struct explain_rule rule = { 1, { e->share[i].condition } };
		char text[EXPLAIN_TEXT], share[16], calm[16];

		explain_rule_text(&rule, text);
		table_row(columns, text, percent(e->share[i].flood, share),
			  e->against.count ? percent(e->share[i].calm, calm) : "");
	}
}

static void print_rule(const struct explaining *e, const struct proposal *p)
{
	const struct explain_verdict *v = p->is.verdict;
	char line[2 * ERR_LEN], share[16], bound[16], calm[FORMAT_LEN];

	printf("\nweir drop add %s %s\n%*s", p->name, p->match, WORDS_INDENT, "");
	snprintf(line, sizeof(line), "matches %s of what is turned away, %u of %s calm packets, "
		 "with 95 %% confidence less than %s of calm traffic", percent(v->flood, share),
		 v->calm_hits, table_count(e->result.calm_packets, calm), percent(v->bound, bound));
	print_wrapped(stdout, line, WORDS_INDENT, WORDS_INDENT);
	if (p->is.sure)
		return;
	printf("%*s", WORDS_INDENT, "");
	snprintf(line, sizeof(line), "not sure: %s", p->is.doubt);
	print_wrapped(stdout, line, WORDS_INDENT, WORDS_INDENT);
}

static void print_text(const struct explaining *e, const struct listen_totals *totals)
{
	char packets[FORMAT_LEN], share[16], calm[16];
	const char *text = shortcoming(e);

	if (e->count) {
		remark(e->call, "%s: %s packets were turned away in %.1f s; %zu samples of them, %"
		       PRIu64 " lost", device_name(e), table_count(e->represented, packets),
		       e->seconds, e->count, totals->lost);
		print_shares(e);
	}
	for (uint32_t i = 0; i < e->result.count; i++)
		print_rule(e, &e->proposal[i]);
	if (e->result.count > 1)
		printf("\ntogether: %s of what is turned away, %s of calm traffic\n",
		       percent(e->result.flood, share), percent(e->result.calm, calm));
	fflush(stdout);
	if (text)
		remark(e->call, "%s", text);
}

/* ---- the command ---- */

static enum outcome run_explain(struct explaining *e)
{
	struct listen_totals totals;
	struct timespec from, to;
	enum watch_end end;
	char err[ERR_LEN];

	e->words.watch.wanted.reasons = reasons_turned_away();
	if (watch_open(&e->watch, &e->words.watch, hear, err))
		return failed(e->call, "%s", err);
	if (!e->watch.attached)
		remark(e->call, "weir is on no interface yet: nothing is turned away");
	clock_gettime(CLOCK_MONOTONIC, &from);
	end = watch_run(&e->watch);
	clock_gettime(CLOCK_MONOTONIC, &to);
	e->seconds = to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
	totals = watch_close(&e->watch);
	if (end == WATCH_FAILED)
		return failed(e->call, "cannot read the packets that are turned away");
	choose_device(e);
	if (e->count && read_calm(e, err))
		return failed(e->call, "%s", err);
	e->shares = explain_shares(e->flood, e->count, e->against.packet, e->against.count,
				   e->share);
	if (e->count && e->against.count >= EXPLAIN_CALM_LEAST && find_rules(e, err))
		return failed(e->call, "%s", err);
	if (!e->call->json)
		print_text(e, &totals);
	return print_json(e->call, answer(e, &totals));
}

enum outcome cmd_explain(const struct call *call)
{
	struct explaining *e = calloc(1, sizeof(*e));
	struct words words = call->words;
	enum outcome outcome;
	char err[ERR_LEN];

	if (!e)
		return failed(call, "out of memory");
	e->watch.arg = e;
	e->call = call;
	e->words.watch.seconds = SECONDS_DEFAULT;
	outcome = take_words(&words, explain_table, &e->words, err) ? usage(call, "%s", err) :
								       run_explain(e);
	calm_free(e->calm);
	free(e);
	return outcome;
}
