// SPDX-License-Identifier: GPL-2.0-only
/* Incidents: when a flood begins and ends, what it was, its file, and which records are kept. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/incident_phase.h"
#include "user/model/incident_sample.h"

#define V4(number)	(0xffff00000000ULL | (number))
#define START_NS	(1000 * NS_PER_S)

static const struct phase_rules rules = { .least_pps = 1000, .times = 3 };

/* ---- when ---- */

struct played {
	int begun, ended;		/* how many incidents */
	int begun_at, ended_at;		/* the second after which the last was known */
	uint64_t began_s, loud_s;	/* what it says of itself */
	uint64_t pulses;
};

/* One value for each second. */
static struct played play(struct phase *phase, const uint32_t *pps, int seconds)
{
	struct played played = { 0 };

	for (int s = 0; s < seconds; s++) {
		uint64_t from = START_NS + s * NS_PER_S;
		enum phase_step step = phase_look(phase, &rules, from, from + NS_PER_S, pps[s]);

		if (step == PHASE_BEGAN) {
			played.begun++;
			played.begun_at = s + 1;
		} else if (step == PHASE_ENDED) {
			played.ended++;
			played.ended_at = s + 1;
		}
	}
	played.began_s = (phase->began_ns - START_NS) / NS_PER_S;
	played.loud_s = (phase->loud_ns - START_NS) / NS_PER_S;
	played.pulses = phase->pulses;
	return played;
}

#define SECONDS_MOST	1000
static uint32_t series[SECONDS_MOST];

/* @on seconds at @pps from @from on, @off between, until @to. */
static void fill(int from, int to, int on, int off, uint32_t pps)
{
	for (int s = from; s < to; s++)
		series[s] = (s - from) % (on + off) < on ? pps : 0;
}

static void test_plain(struct check *check)
{
	struct phase phase = { 0 };
	struct played played;

	memset(series, 0, sizeof(series));
	fill(20, 50, 30, 0, 5000);
	played = play(&phase, series, 100);
	CHECK(check, played.begun == 1 && played.ended == 1, "%d, %d", played.begun, played.ended);
	CHECK(check, played.begun_at - 20 <= 3, "known at %d", played.begun_at);
	CHECK(check, played.ended_at - 50 <= 15, "known at %d", played.ended_at);
	CHECK(check, played.began_s == 20 && played.loud_s == 50, "%llu to %llu",
	      (unsigned long long)played.began_s, (unsigned long long)played.loud_s);
	CHECK(check, phase.peak_pps == 5000, "%llu", (unsigned long long)phase.peak_pps);
	check_done(check, "a flood of 30 s", "known after %d s, its end after %d s",
		   played.begun_at - 20, played.ended_at - 50);
}

/* Floods that a sender interrupts. */
static void test_pulses(struct check *check)
{
	static const struct {
		int on, off, incidents, pulses;
	} rows[] = {
		{ 5, 5, 1, 9 },		/* one incident, 10 pulses in 100 s */
		{ 1, 4, 1, 19 },	/* two loud seconds within ten */
		{ 1, 12, 0, 0 },	/* a second in thirteen is no flood */
		{ 3, 9, 1, 8 },
		{ 3, 13, 7, 0 },	/* seven, but for phase_hold() */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct phase phase = { 0 };
		struct played played;

		memset(series, 0, sizeof(series));
		fill(10, 110, rows[i].on, rows[i].off, 20000);
		played = play(&phase, series, 200);
		CHECK(check, played.begun == rows[i].incidents && played.ended == rows[i].incidents,
		      "%d on, %d off: %d begun, %d ended", rows[i].on, rows[i].off, played.begun,
		      played.ended);
		CHECK(check, !rows[i].incidents || played.pulses == (uint64_t)rows[i].pulses,
		      "%d on, %d off: %llu pulses", rows[i].on, rows[i].off,
		      (unsigned long long)played.pulses);
	}
	check_done(check, "pulses", "%zu patterns", sizeof(rows) / sizeof(*rows));
}

/*
 * What was turned away in each second of a flood of 5 s on, 5 s off, over a veth pair on a machine
 * that was busy with other work, so that hardly a second is as the next.
 */
static void test_recorded(struct check *check)
{
	static const uint32_t recorded[] = {
		0, 0, 0, 0, 0, 0, 0, 852, 2467, 7484, 4648, 8447, 0, 0, 0, 0, 0, 2583, 2300, 850, 1172,
		1005, 53, 0, 0, 0, 0, 4321, 2143, 1503, 2645, 2764, 355, 0, 0, 0, 0, 2509, 1946, 2802,
		580, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct phase phase = { 0 };
	struct played played = play(&phase, recorded, sizeof(recorded) / sizeof(*recorded));

	CHECK(check, played.begun == 1 && played.ended == 1 && played.pulses == 3,
	      "%d begun, %d ended, %llu pulses", played.begun, played.ended,
	      (unsigned long long)played.pulses);
	CHECK(check, played.began_s == 8 && played.begun_at == 10 && played.loud_s == 41 &&
	      played.ended_at == 51, "from %llu, known at %d, to %llu, known at %d",
	      (unsigned long long)played.began_s, played.begun_at,
	      (unsigned long long)played.loud_s, played.ended_at);
	check_done(check, "a recorded flood in pulses", "from second 8 to 41, in 4 pulses");
}

/* An attacker that pauses longer than the hold, for a week. */
static void test_week_of_pulses(struct check *check)
{
	uint64_t hold_ns = PHASE_HOLD_NS, ended_ns = START_NS, at = START_NS;
	int incidents = 0;

	while (at < START_NS + 7 * 86400 * NS_PER_S) {
		uint64_t began = at;

		at += 3 * NS_PER_S + hold_ns + NS_PER_S;	/* waits just long enough each time */
		hold_ns = phase_hold(INCIDENT_UDP, began, INCIDENT_UDP, ended_ns, hold_ns);
		at += hold_ns;
		ended_ns = at;
		incidents++;
	}
	CHECK(check, incidents < 600, "%d", incidents);
	CHECK(check, phase_hold(INCIDENT_SYN, START_NS, INCIDENT_UDP, START_NS, 40 * NS_PER_S) ==
	      PHASE_HOLD_NS, "another kind");
	CHECK(check, phase_hold(INCIDENT_UDP, START_NS + 600 * NS_PER_S, INCIDENT_UDP, START_NS,
				40 * NS_PER_S) == PHASE_HOLD_NS, "long after");
	CHECK(check, phase_hold(INCIDENT_UDP, START_NS, INCIDENT_UDP, 0, 0) == PHASE_HOLD_NS,
	      "the first one");
	check_done(check, "a week of pulses that wait for each end", "%d incidents", incidents);
}

static void test_below(struct check *check)
{
	struct phase phase = { 0 };
	struct played played;

	memset(series, 0, sizeof(series));
	fill(0, 900, 900, 0, 900);	/* below the least */
	played = play(&phase, series, 900);
	CHECK(check, !played.begun, "900 pps");
	CHECK(check, phase.calm_pps > 150 && phase.calm_pps < 900, "calm %.0f", phase.calm_pps);
	phase.calm_pps = 900;
	fill(0, 20, 20, 0, 2600);	/* not three times of calm */
	fill(20, 60, 40, 0, 2800);	/* three times */
	fill(60, 90, 30, 0, 1500);	/* goes on: above half */
	fill(90, 120, 30, 0, 1200);	/* and below it is over */
	played = play(&phase, series, 120);
	CHECK(check, played.begun == 1 && played.began_s == 20, "began at %llu",
	      (unsigned long long)played.began_s);
	CHECK(check, played.ended == 1 && played.loud_s == 90, "ended at %llu",
	      (unsigned long long)played.loud_s);
	check_done(check, "the bar, its multiple of calm, and hysteresis", "calm %.0f pps",
		   phase.calm_pps);
}

/* Growing slowly raises what is calm, but slowly as well; what lasts for days becomes normal. */
static void test_slow(struct check *check)
{
	struct phase slow = { 0 }, lasting = { 0 };
	double pps = 500;
	uint64_t at = START_NS;
	int minutes = 0, hours = 0;

	while (pps < 1e6 && !slow.active) {
		phase_look(&slow, &rules, at, at + NS_PER_S, pps);
		at += NS_PER_S;
		pps *= exp2(1.0 / 600);		/* twice as much every ten minutes */
		minutes = (at - START_NS) / NS_PER_S / 60;
	}
	CHECK(check, slow.active, "1 Mpps after %d minutes, and it is calm", minutes);
	at = START_NS;
	for (int s = 0; s < 100 * 3600 && (s < 10 || lasting.active); s++) {
		phase_look(&lasting, &rules, at, at + NS_PER_S, 20000);
		at += NS_PER_S;
		hours = s / 3600;
	}
	CHECK(check, !lasting.active && hours > 12 && hours < 48, "%d hours", hours);
	check_done(check, "slow changes", "growth twofold in ten minutes is a flood at %.0f pps, "
		   "20,000 pps for ever are none after %d hours", pps, hours);
}

/* Looks that are far apart: the daemon was away, or busy. */
static void test_gaps(struct check *check)
{
	struct phase phase = { 0 };
	uint64_t at = START_NS;
	enum phase_step step;

	step = phase_look(&phase, &rules, at, at + 5 * NS_PER_S, 50000);
	CHECK(check, step == PHASE_BEGAN && phase.began_ns == START_NS, "one window of 5 s: %d", step);
	at += 5 * NS_PER_S;
	step = phase_look(&phase, &rules, at, at + 300 * NS_PER_S, 3000000);
	CHECK(check, step == PHASE_LOUD, "300 s without a look, in a flood: %d", step);
	at += 300 * NS_PER_S;
	step = phase_look(&phase, &rules, at, at + 300 * NS_PER_S, 30000);
	CHECK(check, step == PHASE_ENDED && phase.loud_ns == at, "and out of it: %d", step);
	step = phase_look(&phase, &rules, at, at, 30000);
	CHECK(check, step == PHASE_CALM, "no time has passed: %d", step);
	step = phase_look(&phase, &rules, at, at - NS_PER_S, 30000);
	CHECK(check, step == PHASE_CALM, "the clock went back: %d", step);
	check_done(check, "windows of any length", "5 s, 300 s, 0 s");
}

/* ---- what ---- */

static unsigned long long state;

struct made {
	const char *what;
	enum incident_kind kind;
	uint32_t sources;	/* 0: of all addresses */
	uint8_t proto, event;	/* enum weir_what */
	uint16_t sport, dport;	/* sport 0: any */
	enum weir_reason reason;
	uint64_t returning;	/* thousandths of what was dropped */
	uint64_t connections;	/* thousandths of what strangers got through */
	uint64_t pps;
	uint32_t loud;		/* thousandths of one source among them */
};

static const struct made made[] = {
	{ "one source", INCIDENT_ONE_SOURCE, 1, IPPROTO_UDP, 0, 0, 9, WEIR_DROP_RATE, 0, 0, 12000, 0 },
	{ "one source, banned", INCIDENT_ONE_SOURCE, 1, IPPROTO_UDP, 0, 0, 9, WEIR_DROP_BAN, 0, 0,
	  12000, 0 },
	{ "one source of many", INCIDENT_ONE_SOURCE, 500, IPPROTO_TCP, WEIR_SYN, 0, 80,
	  WEIR_DROP_RATE, 0, 0, 12000, 700 },
	{ "NTP", INCIDENT_REFLECTION, 3000, IPPROTO_UDP, 0, 123, 4000, WEIR_DROP_SHED, 0, 0, 90000, 0 },
	{ "DNS answers", INCIDENT_REFLECTION, 9000, IPPROTO_UDP, 0, 53, 4000, WEIR_DROP_RULE, 0, 0,
	  90000, 0 },
	{ "DNS queries", INCIDENT_DNS, 0, IPPROTO_UDP, 0, 0, 53, WEIR_DROP_SHED, 0, 0, 90000, 0 },
	{ "fragments", INCIDENT_FRAGMENTS, 0, IPPROTO_UDP, WEIR_FRAGMENT, 0, 0, WEIR_DROP_RATE, 0, 0,
	  90000, 0 },
	{ "ICMP", INCIDENT_ICMP, 50, IPPROTO_ICMP, 0, 0, 0, WEIR_DROP_RATE, 0, 0, 90000, 0 },
	{ "ICMPv6", INCIDENT_ICMP, 50, IPPROTO_ICMPV6, 0, 0, 0, WEIR_DROP_RATE, 0, 0, 90000, 0 },
	{ "random SYNs", INCIDENT_SYN, 0, IPPROTO_TCP, WEIR_SYN, 0, 443, WEIR_DROP_SHED, 10, 0,
	  900000, 0 },
	{ "SYNs of a botnet", INCIDENT_SYN, 1000, IPPROTO_TCP, WEIR_SYN, 0, 443, WEIR_DROP_SHED, 900,
	  300, 100000, 0 },
	{ "SYNs that do not come again", INCIDENT_SYN, 4000, IPPROTO_TCP, WEIR_SYN, 0, 443,
	  WEIR_DROP_SHED, 10, 300, 4000, 0 },
	{ "SYNs of a small network, forged", INCIDENT_SYN, 4000, IPPROTO_TCP, WEIR_SYN, 0, 443,
	  WEIR_DROP_SHED, 900, 10, 10000, 0 },
	{ "SYNs that cookies answer", INCIDENT_SYN, 0, IPPROTO_TCP, WEIR_SYN, 0, 443,
	  WEIR_TX_COOKIE, 0, 0, 900000, 0 },
	{ "a crowd", INCIDENT_CROWD, 4000, IPPROTO_TCP, WEIR_SYN, 0, 443, WEIR_DROP_SHED, 600, 300,
	  4000, 0 },
	{ "UDP", INCIDENT_UDP, 200, IPPROTO_UDP, 0, 0, 27015, WEIR_DROP_RATE, 0, 0, 90000, 0 },
	{ "random ACKs", INCIDENT_SPOOFED, 0, IPPROTO_TCP, 0, 0, 443, WEIR_DROP_SHED, 0, 0, 900000, 0 },
	{ "ACKs of 200 sources", INCIDENT_MANY_SOURCES, 200, IPPROTO_TCP, 0, 0, 443, WEIR_DROP_RATE, 0,
	  0, 90000, 0 },
	{ "of a list", INCIDENT_LISTED, 200, IPPROTO_UDP, 0, 0, 9, WEIR_DROP_LIST, 0, 0, 90000, 0 },
	{ "GRE, turned away", INCIDENT_UNCLEAR, 200, IPPROTO_GRE, 0, 0, 0, WEIR_DROP_SHED, 0, 0, 90000,
	  0 },
};

static struct incident_sample sample;
static struct incident incident, again;

static void make(const struct made *row, uint32_t events, uint32_t weight)
{
	uint64_t packets = row->pps * 10;

	sample = (struct incident_sample){ 0 };
	incident = (struct incident){ .number = 1, .lasted_ms = 10000, .began_ns = 1, .loud_ns = 2 };
	incident.counted.reason[row->reason] = (struct weir_count){ packets, packets * 60 };
	incident.counted.returning_dropped = packets * row->returning / 1000;
	incident.counted.first_dropped = packets - incident.counted.returning_dropped;
	incident.counted.strangers_passed = 3000;
	incident.counted.connections = 3 * row->connections;
	for (uint32_t i = 0; i < events; i++) {
		uint32_t source = check_random(&state);

		if (row->sources)
			source = 0xcb007100 + source % row->sources;
		if (check_random(&state) % 1000 < row->loud)
			source = 0xc6336407;
		incident_sample_put(&sample, &(struct weir_event){
			.lo = V4(source), .to_lo = V4(0xc0000201), .weight = weight, .bytes = 60,
			.proto = row->proto, .what = row->event, .dport = row->dport,
			.sport = row->sport ? row->sport : 1024 + check_random(&state) % 60000,
			.reason = row->reason });
	}
	incident_sample_tell(&sample, &incident);
}

static void test_kinds(struct check *check)
{
	size_t rows = sizeof(made) / sizeof(*made);
	bool seen[INCIDENT_KINDS] = { false };
	char title[INCIDENT_TITLE];
	int kinds = 0;

	for (size_t i = 0; i < rows; i++) {
		for (uint32_t events = 300; events <= 9000; events *= 30) {
			make(&made[i], events, 64);
			CHECK(check, incident.kind == made[i].kind, "%s, %u samples: %s, not %s",
			      made[i].what, events, incident_kind_name(incident.kind),
			      incident_kind_name(made[i].kind));
		}
		kinds += !seen[made[i].kind];
		seen[made[i].kind] = true;
	}
	CHECK(check, kinds == INCIDENT_KINDS, "%d of %d kinds", kinds, INCIDENT_KINDS);
	for (int i = 0; i < INCIDENT_KINDS; i++)
		CHECK(check, (int)incident_kind_find(incident_kind_name(i)) == i, "name of %d", i);
	make(&made[3], 3000, 64);
	incident_title(&incident, title);
	CHECK(check, !strcmp(title, "answers of reflectors from UDP port 123"), "%s", title);
	make(&made[2], 3000, 64);
	incident_title(&incident, title);
	CHECK(check, !strcmp(title, "one loud source, 198.51.100.7"), "%s", title);
	CHECK(check, incident_kind_find("x") == INCIDENT_KINDS, "a name that is none");
	check_done(check, "kinds", "%zu floods, 300 and 9,000 samples of each", rows);
}

static void test_sources(struct check *check)
{
	static const uint32_t counts[] = { 1, 2, 20, 200, 2000, 20000 };
	struct made row = made[15];
	double worst = 0;
	bool at_least;

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		double found, off;

		row.sources = counts[i];
		make(&row, 8000, 16);
		found = incident_sources(&incident, &at_least);
		off = fabs(found / counts[i] - 1);
		worst = off > worst ? off : worst;
		CHECK(check, off < 0.25 && !at_least, "%u sources: %.0f", counts[i], found);
	}
	make(&made[9], 8000, 1024);
	CHECK(check, incident_sources(&incident, NULL) > 1000000 && !incident.top_count[INCIDENT_SOURCES],
	      "random: %llu", (unsigned long long)incident_sources(&incident, NULL));
	check_done(check, "how many sources", "at most %.0f %% off, from 8,000 samples", worst * 100);
}

/* Space-Saving never names more than the truth, however the other sources change. */
static void test_tables(struct check *check)
{
	uint64_t truth = 0, all = 0;
	const struct incident_item *first = incident.top[INCIDENT_SOURCES];

	sample = (struct incident_sample){ 0 };
	incident = (struct incident){ .lasted_ms = 1000 };
	for (int i = 0; i < 20000; i++) {
		bool loud = i > 10000 && check_random(&state) % 5 == 0;	/* it takes over an item */
		uint32_t weight = 1U << check_random(&state) % 6;

		truth += loud ? weight : 0;
		all += weight;
		incident_sample_put(&sample, &(struct weir_event){
			.lo = V4(loud ? 0xc6336407 : (uint32_t)check_random(&state)), .weight = weight,
			.proto = IPPROTO_UDP, .to_lo = V4(1), .dport = 9 });
	}
	incident_sample_tell(&sample, &incident);
	CHECK(check, incident.top_count[INCIDENT_SOURCES] == 1 && first->prefix.lo == V4(0xc6336407),
	      "%u sources", incident.top_count[INCIDENT_SOURCES]);
	CHECK(check, first->sampled <= truth && first->sampled + all / INCIDENT_ITEMS >= truth,
	      "%llu of %llu", (unsigned long long)first->sampled, (unsigned long long)truth);
	check_done(check, "a source with a tenth among random ones", "%llu of its %llu packets",
		   (unsigned long long)first->sampled, (unsigned long long)truth);
}

/* ---- the file ---- */

static void fill_record(bool active)
{
	make(&made[2], 3000, 8);
	incident.number = 12;
	incident.active = active;
	incident.begin_unix_s = 1795820000;
	incident.end_unix_s = 1795820100;
	incident.pulses = 3;
	incident.peak_pps = 45210;
	incident.source_bans = 2;
	incident.banned[0] = (struct prefix){ .lo = V4(0xc6336407), .length = 128 };
	incident.banned[1] = (struct prefix){ .hi = 0x20010db800000000, .length = 64 };
	incident.banned_count = 2;
	snprintf(incident.counted.rule[0].name, WEIR_NAME_LEN, "game");
	incident.counted.rule[0].packets = 77;
	incident.counted.would[made[2].reason] = 5;
	if (!active) {
		incident.began_ns = incident.loud_ns = 0;
		return;
	}
	incident.maps_made_s = 1795810000;
	incident.read_ns = 3;
	incident.judgement = 9;
	incident.raw = incident.pending = incident.counted;
}

static void test_file(struct check *check)
{
	char err[ERR_LEN], *text, *second;
	size_t largest = 0;

	for (int active = 0; active < 2; active++) {
		fill_record(active);
		text = incident_file_text(&incident);
		CHECK(check, !incident_file_parse("f", text, strlen(text), &again, err), "%s", err);
		CHECK(check, !memcmp(&incident, &again, sizeof(again)), "active %d", active);
		second = incident_file_text(&again);
		CHECK(check, !strcmp(text, second), "the same text");
		largest = strlen(text);
		for (size_t cut = 0; cut < strlen(text) - 1; cut += 97)
			CHECK(check, incident_file_parse("f", text, cut, &again, err) == -EINVAL &&
			      !again.number && !strncmp(err, "f", 1), "cut at %zu", cut);
		free(text);
		free(second);
	}
	check_done(check, "a record in its file", "%zu bytes, and refused by name where cut", largest);
}

/* The largest that a record can be fits into what is read. */
static void test_largest(struct check *check)
{
	struct incident_counters *sets[] = { &incident.counted, &incident.raw, &incident.pending };
	char *text;

	fill_record(true);
	for (size_t k = 0; k < 3; k++) {
		for (int i = 0; i < WEIR_REASON_MAX; i++) {
			sets[k]->reason[i].packets = sets[k]->reason[i].bytes = INCIDENT_VALUE_MOST;
			sets[k]->would[i] = INCIDENT_VALUE_MOST;
		}
		for (int i = 0; i < WEIR_RULES; i++) {
			memset(sets[k]->rule[i].name, 'a', WEIR_NAME_LEN - 1);
			sets[k]->rule[i].name[0] = 'A' + i / 26 + 32;
			sets[k]->rule[i].name[1] = 'a' + i % 26;
			sets[k]->rule[i].packets = INCIDENT_VALUE_MOST;
			sets[k]->budget[i] = sets[k]->rule[i];
		}
	}
	text = incident_file_text(&incident);
	CHECK(check, strlen(text) < INCIDENT_FILE_MOST, "%zu", strlen(text));
	check_done(check, "the largest record", "%zu bytes", strlen(text));
	free(text);
}

static void test_summary(struct check *check)
{
	struct incident_summary summary = { .last = 12, .active = 12, .calm_pps = 3,
					    .ended = { [INCIDENT_SYN] = 7 } }, read;
	char *text = incident_summary_text(&summary), err[ERR_LEN];

	CHECK(check, !incident_summary_parse("s", text, strlen(text), &read, err) &&
	      !memcmp(&summary, &read, sizeof(read)), "%s", text);
	CHECK(check, incident_summary_parse("s", "{}", 2, &read, err) == -EINVAL && !read.last, "%s", err);
	free(text);
	check_done(check, "the summary", "read as written");
}

/* ---- counters and retention ---- */

static void test_counters(struct check *check)
{
	static struct incident_counters sum, was, is;

	was.reason[WEIR_DROP_RATE] = (struct weir_count){ 100, 6000 };
	is.reason[WEIR_DROP_RATE] = (struct weir_count){ 150, 9000 };
	was.reason[WEIR_PASS_LIMIT].packets = 900;
	is.reason[WEIR_PASS_LIMIT].packets = 10;	/* its device was attached anew */
	is.reason[WEIR_TX_COOKIE].packets = 5;
	is.would[WEIR_DROP_RATE] = 20;
	strcpy(was.rule[0].name, "a");
	was.rule[0].packets = 40;
	strcpy(is.rule[0].name, "b");
	is.rule[0].packets = 30;
	incident_grow(&sum, &was, &is);
	CHECK(check, incident_turned_away(&sum).packets == 55 && incident_turned_away(&sum).bytes == 3000,
	      "%llu", (unsigned long long)incident_turned_away(&sum).packets);
	CHECK(check, incident_passed(&sum) == 20, "%llu", (unsigned long long)incident_passed(&sum));
	CHECK(check, !strcmp(sum.rule[0].name, "b") && sum.rule[0].packets == 30, "rule %s",
	      sum.rule[0].name);
	incident_sum(&sum, &sum);
	CHECK(check, incident_turned_away(&sum).packets == 110, "twice");
	check_done(check, "counters", "a counter that begins again counts nothing");
}

static void test_kept(struct check *check)
{
	struct incident_brief briefs[64];
	size_t count = 0, large = 0;

	for (uint64_t number = 1; number <= 1000; number++) {
		briefs[count++] = (struct incident_brief){ number, number * 60,
						     number == 5 ? 1000000 : 2000 - number };
		while (count > 20) {
			size_t at = incident_to_remove(briefs, count, 20, UINT64_MAX, 60000);

			memmove(&briefs[at], &briefs[at + 1], (--count - at) * sizeof(*briefs));
		}
	}
	for (size_t i = 0; i < count; i++)
		large += briefs[i].number == 5;
	CHECK(check, count == 20 && large == 1 && briefs[19].number == 1000 && briefs[10].number == 991,
	      "%zu, %llu", count, (unsigned long long)briefs[10].number);
	CHECK(check, incident_to_remove(briefs, count, 20, 3600, 60000 + 3600) != count, "an old one");
	CHECK(check, incident_to_remove(briefs, count, 20, 3600, 360) == count, "none is old");
	CHECK(check, incident_to_remove(briefs, count, 20, 3600, 10) == count, "in 1970");
	CHECK(check, incident_to_remove(briefs, 1, 0, 3600, 0) == 0, "none is to be kept");
	check_done(check, "which records are kept", "a large one, and the newer half, of 1,000 small ones");
}

int main(void)
{
	struct check check = { 0 };

	state = check_seed();
	test_plain(&check);
	test_pulses(&check);
	test_recorded(&check);
	test_week_of_pulses(&check);
	test_below(&check);
	test_slow(&check);
	test_gaps(&check);
	test_kinds(&check);
	test_sources(&check);
	test_tables(&check);
	test_file(&check);
	test_largest(&check);
	test_summary(&check);
	test_counters(&check);
	test_kept(&check);
	return check_exit(&check);
}
