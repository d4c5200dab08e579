// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is dropped of a source is added up over the span: senders that pause or stay just below
 * twice their limit are banned, honest ones are not. Each sender's packets meet the bucket of the
 * data path millisecond by millisecond, and the judge sees its counters once a second.
 */
#include "bpf/pure/bucket.h"
#include "tests/unit/judge_bench.h"

#define LIMIT_PPS	1000
#define MS		1000000ULL
#define HOUR		3600

/* ---- senders ---- */

struct connection {
	double window, threshold;	/* segments in a round trip */
	uint32_t sent, lost;		/* in this round trip */
	uint32_t wait_ms, waits;	/* until it sends again, and how often it has waited in a row */
};

struct sender {
	const char *what;
	double pps;			/* while it sends */
	uint32_t on_ms, off_ms;
	uint32_t tcp;			/* connections; 0: it sends at @pps whatever happens */
	uint32_t tcp_on_ms;		/* how long they last; 0: for ever */
	uint32_t limit_pps, seconds;
	uint32_t wanted_s;		/* it is banned by then; 0: never */

	double due;			/* packets not sent yet */
	struct connection connection[64];
};

#define ROUND_TRIP_MS	20
#define TIMEOUT_MS	200

/* Reno: a round trip without a loss adds to the window, one with a loss halves it. */
static void end_round_trip(struct connection *c)
{
	if (c->sent && c->lost == c->sent) {
		c->wait_ms = TIMEOUT_MS << (c->waits < 8 ? c->waits : 8);
		c->waits++;
		c->threshold = c->window / 2 > 2 ? c->window / 2 : 2;
		c->window = 1;
	} else if (c->lost) {
		c->window = c->threshold = c->window / 2 > 2 ? c->window / 2 : 2;
	} else if (c->sent) {
		c->waits = 0;
		c->window += c->window < c->threshold ? c->window : 1;
	}
	c->sent = c->lost = 0;
}

static uint32_t due_of_connection(struct connection *c, uint64_t ms)
{
	uint32_t at = ms % ROUND_TRIP_MS;

	if (!at)
		end_round_trip(c);
	if (c->wait_ms) {
		c->wait_ms--;
		return 0;
	}
	return (uint32_t)(c->window * (at + 1) / ROUND_TRIP_MS) -
	       (uint32_t)(c->window * at / ROUND_TRIP_MS);
}

/* ---- the bucket ---- */

struct counts {
	__u64 tat;
	uint64_t passed, dropped, offered;
};

/* As check_limits(): the gate lets pass what is within half the burst, and counts nothing. */
static bool take(struct counts *counts, uint64_t now, uint64_t cost, uint64_t burst)
{
	uint64_t debt = counts->tat > now ? counts->tat - now : 0;

	counts->offered++;
	if (bucket_take(&counts->tat, now, cost, burst, 0) != BUCKET_PASS) {
		counts->dropped++;
		return false;
	}
	counts->passed += debt + cost > burst / 2;
	return true;
}

static void send_ms(struct sender *s, struct counts *counts, uint64_t ms, uint64_t cost,
		    uint64_t burst)
{
	uint64_t now = (ms + 1000) * MS << WEIR_TICK_SHIFT;
	uint32_t phase = s->off_ms ? ms % (s->on_ms + s->off_ms) : 0;

	for (uint32_t i = 0; i < s->tcp && !(s->tcp_on_ms && phase >= s->tcp_on_ms); i++) {
		if (s->off_ms && !phase)
			s->connection[i] = (struct connection){ .window = 10, .threshold = 1e6 };
		for (uint32_t n = due_of_connection(&s->connection[i], ms); n; n--) {
			s->connection[i].sent++;
			s->connection[i].lost += !take(counts, now, cost, burst);
		}
	}
	if (s->tcp || (s->off_ms && phase >= s->on_ms))
		return;
	for (s->due += s->pps / 1000; s->due >= 1; s->due--)
		take(counts, now, cost, burst);
}

/* ---- the judge ---- */

/* The second in which @s is banned; 0: it never is. */
static uint32_t play(struct bench *bench, struct sender *s, struct counts *counts)
{
	struct prefix source = prefix_of("192.0.2.1");
	uint64_t cost = WEIR_TICKS_PER_S / s->limit_pps, burst = s->limit_pps / 10 * cost;

	*counts = (struct counts){ 0 };
	for (uint32_t i = 0; i < s->tcp; i++)
		s->connection[i] = (struct connection){ .window = 10, .threshold = 1e6 };
	for (uint32_t second = 0; second < s->seconds; second++) {
		for (uint32_t ms = 0; ms < 1000; ms++)
			send_ms(s, counts, second * 1000ULL + ms, cost, burst);
		begin(bench);
		judge_source(bench->judge, &(struct judge_source){
			.key = { .lo = source.lo, .serial = 1 }, .prefix = source,
			.passed = counts->passed, .dropped = counts->dropped,
			.limit_pps = s->limit_pps, .cost = cost });
		judge_end(bench->judge, &bench->world, &bench->said);
		if (bench->said.count)
			return second + 1;
	}
	return 0;
}

static void with_span(struct bench *bench)
{
	bench_open(bench);
	bench->rules.source.span_ns = 600 * S;
	bench->rules.source.excess_percent = 80;
}

static void test_sender(struct check *check, struct sender *s)
{
	struct counts counts;
	struct bench bench;
	uint32_t banned;

	with_span(&bench);
	banned = play(&bench, s, &counts);
	if (s->wanted_s)
		CHECK(check, banned && banned <= s->wanted_s &&
		      bench.said.at[0].about.kind == WEIR_BAN_SOURCE, "banned after %u s", banned);
	else
		CHECK(check, !banned, "banned after %u s: %llu of %llu dropped", banned,
		      (unsigned long long)counts.dropped, (unsigned long long)counts.offered);
	bench_close(&bench);
	if (banned)
		check_done(check, s->what, "banned after %u s", banned);
	else
		check_done(check, s->what, "not banned in %u s: %.1f %% of its packets dropped, worth "
			   "%.0f %% of the limit", s->seconds,
			   100.0 * counts.dropped / (counts.offered ? counts.offered : 1),
			   100.0 * counts.dropped / s->limit_pps / s->seconds);
}

static void test_senders(struct check *check)
{
	static struct sender senders[] = {
		{ "1.9 times the limit for hours", .pps = 1900, .limit_pps = LIMIT_PPS,
		  .seconds = HOUR, .wanted_s = 1200 },
		{ "10 times the limit, 2 s on, 1 s off", .pps = 10000, .on_ms = 2000, .off_ms = 1000,
		  .limit_pps = LIMIT_PPS, .seconds = HOUR, .wanted_s = 100 },
		{ "10 times the limit, 1 s on, 2 s off", .pps = 10000, .on_ms = 1000, .off_ms = 2000,
		  .limit_pps = LIMIT_PPS, .seconds = HOUR, .wanted_s = 200 },
		{ "30 times the limit, 1 s on, 29 s off", .pps = 30000, .on_ms = 1000,
		  .off_ms = 29000, .limit_pps = LIMIT_PPS, .seconds = HOUR, .wanted_s = 1200 },
		{ "1.9 times a limit of 100/s", .pps = 190, .limit_pps = 100, .seconds = HOUR,
		  .wanted_s = 1200 },
		{ "1.4 times the limit for hours: the limit holds it", .pps = 1400,
		  .limit_pps = LIMIT_PPS, .seconds = 2 * HOUR },
		{ "5 times the limit, 1 s in ten: the limit holds it", .pps = 5000, .on_ms = 1000,
		  .off_ms = 9000, .limit_pps = LIMIT_PPS, .seconds = HOUR },
		{ "one burst of 300,000 packets", .pps = 300000, .on_ms = 1000, .off_ms = HOUR * 1000,
		  .limit_pps = LIMIT_PPS, .seconds = 1300 },
		{ "a game at 128/s under a limit of 100/s", .pps = 128, .limit_pps = 100,
		  .seconds = HOUR },
		{ "a page every five seconds, 6 connections", .tcp = 6, .tcp_on_ms = 1500,
		  .on_ms = 1500, .off_ms = 3500, .limit_pps = 100, .seconds = HOUR },
		{ "an upload at its limit", .tcp = 1, .limit_pps = LIMIT_PPS, .seconds = HOUR },
		{ "an upload at a limit of 100/s", .tcp = 1, .limit_pps = 100, .seconds = HOUR },
		{ "8 uploads at the limit", .tcp = 8, .limit_pps = LIMIT_PPS, .seconds = HOUR },
		{ "a NAT with 64 uploads at the limit", .tcp = 64, .limit_pps = LIMIT_PPS,
		  .seconds = HOUR },
		{ "a NAT with 64 uploads at a limit of 100/s", .tcp = 64, .limit_pps = 100,
		  .seconds = HOUR },
	};

	for (size_t i = 0; i < sizeof(senders) / sizeof(*senders); i++)
		test_sender(check, &senders[i]);
}

/* ---- the rule itself ---- */

/* Plays seconds in which @dropped[i] packets are dropped, in turn. Returns the second of a ban. */
static uint32_t drops(struct bench *bench, const uint32_t *dropped, size_t count, uint32_t seconds)
{
	struct prefix source = prefix_of("192.0.2.1");
	uint64_t all = 1;

	for (uint32_t second = 0; second < seconds; second++) {
		begin(bench);
		judge_source(bench->judge, &(struct judge_source){
			.key = { .lo = source.lo, .serial = 1 }, .prefix = source, .passed = second * 100,
			.dropped = all, .dropped_bytes = 1000 * all, .limit_pps = 1000,
			.cost = WEIR_TICKS_PER_S / 1000 });
		judge_end(bench->judge, &bench->world, &bench->said);
		if (bench->said.count)
			return second;
		all += dropped[second % count];
	}
	return 0;
}

static void test_rule(struct check *check)
{
	static const uint32_t spread[] = { 0, 3000 }, burst[] = { 300000, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct prefix source = prefix_of("192.0.2.1");
	struct bench bench;
	uint32_t at;

	with_span(&bench);
	bench.second = 200;	/* as a part of the span begins */
	at = drops(&bench, spread, 2, 900);
	CHECK(check, at == 320, "480 s worth of drops, 1500/s: banned at %u", at);
	CHECK(check, at && strstr(bench.said.at[0].about.text, "within 10m") &&
	      bench.said.at[0].about.packets == 480000 && bench.said.at[0].about.windows == 160,
	      "%s: %llu packets, %u windows", at ? bench.said.at[0].about.text : "",
	      at ? bench.said.at[0].about.packets : 0, at ? bench.said.at[0].about.windows : 0);
	/* What led to this ban does not lead to the next. */
	idle(&bench, 61);
	bench.second -= 61;
	at = drops(&bench, (const uint32_t[]){ 0 }, 1, 200);
	CHECK(check, !at, "banned again for the same drops, after %u s", at);
	bench_close(&bench);

	with_span(&bench);
	bench.second = 200;
	at = drops(&bench, burst, 10, 900);
	CHECK(check, at == 21, "the third of three bursts: banned at %u", at);
	bench_close(&bench);

	/* Rates of bits: 1 Mbit/s, and 125 kB dropped a second are worth a second. */
	with_span(&bench);
	bench.second = 200;
	for (uint32_t second = 0; second < 900 && !bench.said.count; second++) {
		at = second;
		begin(&bench);
		judge_source(bench.judge, &(struct judge_source){
			.key = { .lo = source.lo, .serial = 1 }, .prefix = source,
			.passed = 100000 + second * 1000, .dropped = 1 + second * 125,
			.dropped_bytes = second * 125000,
			.byte_cost = (WEIR_TICKS_PER_S << 10) / 125000 << 10 });
		judge_end(bench.judge, &bench.world, &bench.said);
	}
	CHECK(check, at == 480 || at == 481, "twice a limit of bits: banned at %u", at);
	bench_close(&bench);

	bench_open(&bench);
	bench.rules.source.excess_percent = 80;
	at = drops(&bench, spread, 2, 900);
	CHECK(check, !at, "banned although there is no span, at %u", at);
	bench_close(&bench);
	check_done(check, "drops add up",
		   "packets or bits, worth 80 %% of ten minutes, in 3 windows at least");
}

/* A look at many sources, and the memory that it takes, with the span and without. */
static void test_cost(struct check *check)
{
	enum { MANY = 200000 };
	double took[2];

	for (int i = 0; i < 2; i++) {
		struct bench bench;
		double began = 0;

		with_span(&bench);
		bench.rules.source.span_ns *= i;
		for (uint64_t w = 0; w < 5; w++) {
			if (w == 1)
				began = clock();
			begin(&bench);
			for (uint32_t n = 0; n < MANY; n++) {
				struct prefix source = prefix_v4(0x0a000001 + n * 256, 32);

				judge_source(bench.judge, &(struct judge_source){
					.key = { .lo = source.lo, .serial = 1 }, .prefix = source,
					.passed = 2000 * w, .dropped = 1 + 40 * w,
					.dropped_bytes = 4000 * w, .limit_pps = 1000,
					.cost = WEIR_TICKS_PER_S / 1000 });
			}
			judge_end(bench.judge, &bench.world, &bench.said);
		}
		took[i] = (clock() - began) / CLOCKS_PER_SEC * 1000 / 4;
		CHECK(check, !bench.said.count, "%zu decisions", bench.said.count);
		bench_close(&bench);
	}
	check_done(check, "200,000 sources in a look", "%.0f ms of CPU time, %.0f ms without a span",
		   took[1], took[0]);
}

int main(void)
{
	struct check check = { 0 };

	test_senders(&check);
	test_rule(&check);
	test_cost(&check);
	return check_exit(&check);
}
