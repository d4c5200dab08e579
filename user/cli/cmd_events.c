// SPDX-License-Identifier: GPL-2.0-only
/* weir events: packets, judgements and changes of bans, as they happen. */
#include <inttypes.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/output.h"
#include "user/cli/watch.h"
#include "user/host/clock.h"
#include "user/host/incident_store.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/state/changes.h"
#include "user/state/judgements.h"

#define LINE_LEN	512
#define INDENT		4	/* of continuation lines */

struct events {
	struct watch watch;
	const struct call *call;
	struct watch_words words;
	struct bans bans;
	uint64_t judged;	/* number of the last judgement that was shown */
	uint64_t shown;		/* events */
	uint64_t incident, next_incident_ns;	/* that lasts; 0: none */
};

/* ---- one event, in text or JSON ---- */

/* Counts an event to be shown; false once `count` is reached. */
static bool is_wanted(struct events *events)
{
	if (events->watch.end || (events->words.count && events->shown >= events->words.count))
		return false;
	events->shown++;
	return true;
}

static void end_if_enough(struct events *events)
{
	if (events->words.count && events->shown >= events->words.count)
		events->watch.end = WATCH_ENOUGH;
}

static void time_text(uint64_t unix_ns, char text[16])
{
	time_t seconds = unix_ns / NS_PER_S;
	struct tm day;
	size_t used = strftime(text, 16, "%H:%M:%S", localtime_r(&seconds, &day));

	snprintf(text + used, 16 - used, ".%03" PRIu64, unix_ns / 1000000 % 1000);
}

/* Frees @event. */
static void put_event(struct events *events, json_t *event)
{
	if (!event)
		return;
	put_json(stdout, event, events->call->pretty);
	json_decref(event);
}

static void put_text(uint64_t unix_ns, const char *text)
{
	char line[LINE_LEN + 16], when[16];

	time_text(unix_ns, when);
	snprintf(line, sizeof(line), "%s %s", when, text);
	print_wrapped(stdout, line, 0, INDENT);
}

/* Of a packet that is no IP packet all texts are empty. */
struct packet_text {
	char source[PREFIX_STRLEN], destination[PREFIX_STRLEN], proto[16];
	const char *what;	/* NULL: neither a SYN nor a fragment */
};

static void describe(const struct weir_event *event, struct packet_text *text)
{
	static const char *const whats[] = { NULL, "syn", "fragment" };
	struct prefix from = { event->hi, event->lo, 128 }, to = { event->to_hi, event->to_lo, 128 };
	const char *name = proto_name(event->proto);

	*text = (struct packet_text){ .what = event->what < 3 ? whats[event->what] : NULL };
	if (!event->hi && !event->lo && !event->to_hi && !event->to_lo)
		return;
	prefix_format_short(&from, text->source);
	prefix_format_short(&to, text->destination);
	if (name)
		snprintf(text->proto, sizeof(text->proto), "%s", name);
	else
		snprintf(text->proto, sizeof(text->proto), "%u", event->proto);
}

static json_t *packet_json(const struct events *events, const struct weir_event *event,
			   const struct packet_text *text)
{
	const char *dev = events->watch.device[event->slot % WEIR_DEVICES];
	json_t *json = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?}", "event",
				 "packet", "time_ns", (json_int_t)(event->time_ns +
				 events->watch.unix_offset_ns), "dev", dev, "reason",
				 reason_name(event->reason), "action", event_action(event), "source",
				 *text->source ? text->source : NULL, "destination",
				 *text->destination ? text->destination : NULL, "proto",
				 *text->proto ? text->proto : NULL, "what", text->what);

	json_object_set_new(json, "sport", event->sport ? json_integer(event->sport) : json_null());
	json_object_set_new(json, "dport", event->dport ? json_integer(event->dport) : json_null());
	json_object_set_new(json, "bytes", json_integer(event->bytes));
	json_object_set_new(json, "weight", json_integer(event->weight));
	return json;
}

#define CHOSEN_AT_RANDOM	32768	/* source ports from here on tell nothing, and the line is short */

/* " 1900 > 53", the ports of TCP and UDP; nothing where there are none. */
static void ports_text(const struct weir_event *event, char text[24])
{
	*text = '\0';
	if (event->sport && event->sport < CHOSEN_AT_RANDOM)
		snprintf(text, 24, " %u > %u", event->sport, event->dport);
	else if (event->dport)
		snprintf(text, 24, " %u", event->dport);
}

static void print_packet(const struct events *events, const struct weir_event *event,
			 const struct packet_text *text)
{
	char line[LINE_LEN], flow[2 * PREFIX_STRLEN + 48] = "", ports[24];

	ports_text(event, ports);
	if (*text->source)
		snprintf(flow, sizeof(flow), "%s > %s %s%s%s%s ", text->source, text->destination,
			 text->proto, text->what ? " " : "", text->what ? text->what : "", ports);
	snprintf(line, sizeof(line), "%s %s %s %s%u B x%" PRIu64,
		 events->watch.device[event->slot % WEIR_DEVICES], event_action(event),
		 reason_name(event->reason), flow, event->bytes, (uint64_t)event->weight);
	put_text(event->time_ns + events->watch.unix_offset_ns, line);
}

static void tell_packet(const struct weir_event *event, void *arg)
{
	struct events *events = arg;
	struct packet_text text;

	if (!is_wanted(events))
		return;
	describe(event, &text);
	if (events->call->json)
		put_event(events, packet_json(events, event, &text));
	else
		print_packet(events, event, &text);
	end_if_enough(events);
}

/* ---- judgements ---- */

static bool concerns(const struct events *events, const struct prefix *prefix)
{
	const struct prefix *from = &events->words.wanted.from;

	return !events->words.wanted.from_given || prefix_covers(from, prefix) ||
	       prefix_covers(prefix, from);
}

static json_t *judgement_event(const struct weir_judgement *judgement)
{
	json_t *json = judgement_json(judgement);

	json_object_set_new(json, "event", json_string("judgement"));
	json_object_set_new(json, "time_ns", json_integer(judgement->unix_s * NS_PER_S));
	return json;
}

static void print_judgement(const struct weir_judgement *judgement)
{
	char line[LINE_LEN + JUDGEMENT_TEXT], why[JUDGEMENT_TEXT], subject[JUDGEMENT_SUBJECT];

	judgement_explain(judgement, why, sizeof(why));
	snprintf(line, sizeof(line), "judgement: %s %s: %s", judgement_name(judgement->kind),
		 judgement_subject(judgement, subject), why);
	put_text(judgement->unix_s * NS_PER_S, line);
}

static void tell_judgement(struct events *events, const struct weir_judgement *judgement)
{
	struct prefix prefix;

	prefix_from_key(&judgement->prefix, &prefix);
	if (!concerns(events, &prefix) || !is_wanted(events))
		return;
	if (events->call->json)
		put_event(events, judgement_event(judgement));
	else
		print_judgement(judgement);
	end_if_enough(events);
}

static bool read_judgement(const struct events *events, uint64_t number,
			   struct weir_judgement *judgement)
{
	return !judgement_read(&events->watch.maps, number, judgement);
}

/* Judgements made before the start are not shown. */
static void find_last_judgement(struct events *events)
{
	struct weir_judgement *last;
	char ignored[ERR_LEN];
	size_t count;

	if (judgements_read(&events->watch.maps, 1, &last, &count, ignored))
		return;
	events->judged = count ? last->number : 0;
	free(last);
}

static void look_for_judgements(struct events *events)
{
	struct weir_judgement judgement;

	while (read_judgement(events, events->judged + 1, &judgement) &&
	       judgement.number > events->judged) {
		events->judged = judgement.number;	/* a gap: some were overwritten */
		tell_judgement(events, &judgement);
	}
}

/* ---- bans ---- */

static void tell_ban(const struct entry *entry, enum ban_change change, void *arg)
{
	static const char *const words[] = { "added", "changed", "removed", "ended" };
	uint64_t now = now_ns(), left = 0, unix_ns;
	char prefix[PREFIX_STRLEN], ttl[FORMAT_LEN + 8] = "", duration[FORMAT_LEN], line[LINE_LEN];
	const char *origin = origin_name(entry->value.origin);
	const char *kind = entry->value.until_ns ? "ban" : "block";
	struct events *events = arg;

	if (!concerns(events, &entry->prefix) || !is_wanted(events))
		return;
	unix_ns = now + events->watch.unix_offset_ns;
	if (entry->value.until_ns > now)
		left = seconds_until(entry->value.until_ns, now);
	prefix_format(&entry->prefix, prefix);
	if (events->call->json) {
		put_event(events, json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:s}", "event", kind,
					    "time_ns", (json_int_t)unix_ns, "change", words[change],
					    "prefix", prefix, "ttl_seconds", (json_int_t)left,
					    "origin", origin, "comment", entry->value.comment));
	} else {
		if (left) {
			format_duration(left, duration);
			snprintf(ttl, sizeof(ttl), " ttl %s", duration);
		}
		snprintf(line, sizeof(line), "%s: %s %s%s by %s%s%.47s", kind, words[change], prefix,
			 ttl, origin, *entry->value.comment ? ": " : "", entry->value.comment);
		put_text(unix_ns, line);
	}
	end_if_enough(events);
}

/* ---- incidents ---- */

static void tell_incident(struct events *events, uint64_t number, const char *change)
{
	struct incident *incident = calloc(1, sizeof(*incident));
	uint64_t unix_ns = now_ns() + events->watch.unix_offset_ns;
	char line[LINE_LEN], ignored[ERR_LEN];
	const char *kind = NULL;

	if (!is_wanted(events)) {
		free(incident);
		return;
	}
	if (incident && !incident_store_read(number, incident, ignored))
		kind = incident_kind_name(incident->kind);
	if (events->call->json) {
		put_event(events, json_pack("{s:s, s:I, s:s, s:I, s:s?}", "event", "incident",
					    "time_ns", (json_int_t)unix_ns, "change", change,
					    "number", (json_int_t)number, "kind", kind));
	} else {
		snprintf(line, sizeof(line), "incident %" PRIu64 " %s%s%s", number, change,
			 kind ? ": " : "", kind ? incident_kind_text(incident->kind) : "");
		put_text(unix_ns, line);
	}
	free(incident);
	end_if_enough(events);
}

/* One that lasted at the start is told when it ends. */
static void look_for_incidents(struct events *events)
{
	struct incident_summary summary;
	char ignored[ERR_LEN];
	bool first = !events->next_incident_ns;

	if (now_ns() < events->next_incident_ns)
		return;
	events->next_incident_ns = now_ns() + NS_PER_S;
	if (incident_store_read_summary(&summary, ignored))
		return;
	if (!first && summary.active != events->incident) {
		if (events->incident)
			tell_incident(events, events->incident, "ended");
		if (summary.active)
			tell_incident(events, summary.active, "began");
	}
	events->incident = summary.active;
}

/* ---- the command ---- */

/* With `reason` only packets are shown. */
static void tick(void *arg)
{
	struct events *events = arg;

	if (events->words.wanted.reasons)
		return;
	look_for_judgements(events);
	if (!events->words.wanted.from_given)
		look_for_incidents(events);
	bans_look(&events->bans, &events->watch.maps, tell_ban, events);
}

static void flush(void *arg)
{
	struct watch *watch = &((struct events *)arg)->watch;
	bool failed_now = fflush(stdout) || ferror(stdout) || watch_reader_left(STDOUT_FILENO);

	if (failed_now && watch_is_signalled()) {
		clearerr(stdout);
		__fpurge(stdout);	/* no reader is left, and fflush() in main() would block */
		watch->end = WATCH_SIGNAL;
	} else if (failed_now) {
		watch->end = WATCH_FAILED;
	}
}

static void say_end(const struct events *events, enum watch_end end,
		    const struct listen_totals *totals)
{
	if (end == WATCH_DETACHED)
		remark(events->call, "weir is detached: there is nothing more to see");
	if (events->shown == totals->packets && !totals->lost)
		return;
	remark(events->call, "%" PRIu64 " packets matched, %" PRIu64 " events shown, %" PRIu64
	       " samples lost", totals->packets, events->shown, totals->lost);
}

static const struct word events_words[] = {
	WATCH_WORDS,
	{ 0 },
};

enum outcome cmd_events(const struct call *call)
{
	struct events events = { .watch = { .tick = tick, .flush = flush, .arg = &events },
				 .call = call };
	struct listen_totals totals;
	enum watch_end end;
	char err[ERR_LEN];

	if (watch_parse(call->words, events_words, &events.words, err))
		return usage(call, "%s", err);
	if (watch_open(&events.watch, &events.words, tell_packet, err))
		return failed(call, "%s", err);
	if (!events.watch.attached)
		remark(call, "weir is on no interface yet: waiting for `weir attach`");
	find_last_judgement(&events);
	end = watch_run(&events.watch);
	totals = watch_close(&events.watch);
	bans_free(&events.bans);
	if (end == WATCH_FAILED && watch_reader_left(STDOUT_FILENO))
		watch_die_of_pipe();
	say_end(&events, end, &totals);
	return end == WATCH_FAILED ? FAILED : DONE;
}
