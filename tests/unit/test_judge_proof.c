// SPDX-License-Identifier: GPL-2.0-only
/*
 * Known sources are spared until it is proven that they sent the packets themselves. The data path
 * is played packet by packet: one dropped packet in 64 is looked at, and counts 64 times.
 */
#include <stdlib.h>

#include "tests/unit/judge_bench.h"

#define SAMPLE		64
#define CUSTOMER	"192.0.2.1"
#define LIMITS		2

/* What is sent in the customer's name, each second, beyond and within a limit. */
struct traffic {
	const char *what;
	bool proven;			/* the customer is WEIR_PROVEN, not only seen */
	uint32_t seconds;
	struct {
		uint32_t limit_pps, passed;
		uint32_t own;		/* dropped packets of its connections */
		uint32_t forged;	/* dropped packets with random ports */
	} limit[LIMITS];
	uint32_t every;			/* it exceeds its limits once in so many seconds */
	uint32_t connections;		/* of the customer: of 28,000 forged packets, so many hit one */
	uint32_t wanted_s;		/* it is banned by then; 0: never */
};

/* A number that is always the same in each run of the test. */
static uint64_t random_number(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ULL;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* How many of @count packets are sampled, if one in @rare is looked for and of these one in 64. */
static uint32_t sampled(uint32_t count, uint32_t rare)
{
	uint32_t hits = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t number = random_number() >> 11;

		hits += !(number % SAMPLE) && !(number / SAMPLE % rare);
	}
	return hits;
}

static void offend(struct bench *bench, uint64_t packets)
{
	struct prefix source = prefix_of(CUSTOMER);

	judge_offence(bench->judge, &source, packets);
}

static void see_limit(struct bench *bench, uint32_t serial, uint32_t limit_pps, uint64_t passed,
		      uint64_t dropped)
{
	struct prefix source = prefix_of(CUSTOMER);

	judge_source(bench->judge, &(struct judge_source){
		.key = { .lo = source.lo, .serial = serial }, .prefix = source, .passed = passed,
		.dropped = dropped, .limit_pps = limit_pps,
		.cost = limit_pps ? WEIR_TICKS_PER_S / limit_pps : 0 });
}

static void open_for(struct bench *bench, bool proven)
{
	struct prefix source = prefix_of(CUSTOMER);

	bench_open(bench);
	bench->rules.source.span_ns = 600 * S;
	bench->rules.source.excess_percent = 80;
	prefixes_add(&bench->seen, &source);
	if (proven)
		prefixes_add(&bench->proven, &source);
}

struct outcome {
	uint32_t banned;		/* the second; 0: never */
	uint32_t spared;		/* how often it was said */
	char text[136];			/* of the last judgement */
};

static struct outcome play(struct bench *bench, const struct traffic *t)
{
	uint64_t passed[LIMITS] = { 0 }, dropped[LIMITS] = { 0 }, offences = 0;
	struct outcome outcome = { 0 };

	for (uint32_t second = 1; second <= t->seconds && !outcome.banned; second++) {
		for (int i = 0; i < LIMITS; i++) {
			uint32_t rare = t->connections ? 28000 / t->connections : 28000;

			passed[i] += t->limit[i].passed;
			if (t->every && second % t->every)
				continue;
			dropped[i] += t->limit[i].own + t->limit[i].forged;
			offences += SAMPLE * (sampled(t->limit[i].own, 1) +
					      sampled(t->limit[i].forged, rare));
		}
		begin(bench);
		if (offences)
			offend(bench, offences);
		for (int i = 0; i < LIMITS; i++)
			see_limit(bench, i + 1, t->limit[i].limit_pps, passed[i], dropped[i]);
		judge_end(bench->judge, &bench->world, &bench->said);
		for (size_t i = 0; i < bench->said.count; i++) {
			const struct weir_judgement *about = &bench->said.at[i].about;

			outcome.spared += about->kind == WEIR_SPARED;
			if (about->kind == WEIR_BAN_SOURCE)
				outcome.banned = second;
			snprintf(outcome.text, sizeof(outcome.text), "%s", about->text);
		}
	}
	return outcome;
}

static void test_traffic(struct check *check)
{
	static const struct traffic rows[] = {
		{ "a flood on its own connection", .seconds = 60,
		  .limit = { { 1000, 1000, 5000, 0 } }, .wanted_s = 8 },
		{ "the same of a proven source", .proven = true, .seconds = 60,
		  .limit = { { 1000, 1000, 5000, 0 } }, .wanted_s = 8 },
		{ "five times a limit of 100/s on its own connection", .proven = true, .seconds = 300,
		  .limit = { { 100, 100, 400, 0 } }, .wanted_s = 60 },
		{ "a flood on its own connection in every third second", .proven = true,
		  .seconds = 1500, .limit = { { 1000, 1000, 6000, 0 } }, .every = 3,
		  .wanted_s = 1200 },
		{ "uploads through 32 connections for an hour", .proven = true, .seconds = 3600,
		  .limit = { { 1000, 700, 840, 0 } } },
		{ "uploads through 64 connections", .proven = true, .seconds = 600,
		  .limit = { { 1000, 500, 1458, 0 } } },
		{ "a spoofer, 300,000 packets/s in its name", .proven = true, .seconds = 100,
		  .limit = { { 1000, 1000, 0, 300000 } }, .connections = 1 },
		{ "a spoofer beyond a limit of 10/s", .proven = true, .seconds = 100,
		  .limit = { { 10, 10, 0, 300000 } }, .connections = 6 },
		{ "a spoofer, and a NAT with 1,000 connections", .proven = true, .seconds = 100,
		  .limit = { { 1000, 1000, 0, 100000 } }, .connections = 1000 },
		{ "forged packets beside a policed upload", .proven = true, .seconds = 1000,
		  .limit = { { 1000, 1000, 250, 1000 } }, .connections = 1 },
		{ "forged SYNs beyond a limit of theirs, beside a policed upload", .proven = true,
		  .seconds = 1000, .limit = { { 1000, 1000, 250, 0 }, { 2, 2, 0, 100 } } },
		{ "an upload that loses a fifth, for an hour", .proven = true, .seconds = 3600,
		  .limit = { { 1000, 1000, 250, 0 } } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct outcome outcome;
		struct bench bench;

		open_for(&bench, rows[i].proven);
		outcome = play(&bench, &rows[i]);
		if (rows[i].wanted_s)
			CHECK(check, outcome.banned && outcome.banned <= rows[i].wanted_s &&
			      !strncmp(outcome.text, "known; ", 7), "banned after %u s: %s",
			      outcome.banned, outcome.text);
		else
			CHECK(check, !outcome.banned, "banned after %u s: %s", outcome.banned,
			      outcome.text);
		bench_close(&bench);
		check_done(check, rows[i].what, "%s after %u s, %u times spared; %s",
			   outcome.banned ? "banned" : "not banned",
			   outcome.banned ? outcome.banned : rows[i].seconds, outcome.spared,
			   *outcome.text ? outcome.text : "no judgement");
	}
}

/* One window in which the customer's @dropped packets in all are over a limit of 1000/s. */
static size_t look(struct bench *bench, uint64_t offences, uint64_t dropped)
{
	begin(bench);
	if (offences)
		offend(bench, offences);
	see_limit(bench, 1, 1000, dropped / 5, dropped);
	judge_end(bench->judge, &bench->world, &bench->said);
	return bench->said.count;
}

static void test_counters(struct check *check)
{
	struct bench bench;
	size_t banned = 0;

	/* A daemon that starts finds a count, and does not know when its packets came. */
	open_for(&bench, true);
	for (uint64_t i = 0; i < 30; i++)
		if (look(&bench, 64000000, 1000000 + i * 5000))
			banned += bench.said.at[0].about.kind == WEIR_BAN_SOURCE;
	CHECK(check, !banned, "banned for offences of before");
	bench_close(&bench);

	/* An element that was evicted begins anew, and goes on proving. */
	open_for(&bench, true);
	for (uint64_t i = 0; i < 30; i++)
		if (look(&bench, i % 2 ? 10000 : 5000, 1000000 + i * 5000))
			banned += bench.said.at[0].about.kind == WEIR_BAN_SOURCE;
	CHECK(check, banned == 1, "not banned after evictions");
	bench_close(&bench);

	/* An allow entry spares it in spite of proof, and that is said once a minute. */
	open_for(&bench, true);
	entries_put(&bench.allow, &(struct prefix){ .lo = prefix_of(CUSTOMER).lo, .length = 128 },
		    &(struct weir_entry){ 0 });
	banned = 0;
	for (uint64_t i = 1; i < 60; i++)
		banned += look(&bench, i * 5000, 1000000 + i * 5000);
	CHECK(check, banned == 1, "%zu judgements", banned);
	bench_close(&bench);
	check_done(check, "counters of offences", "a start, an eviction, an allow entry");
}

/* Of sources whose own packets are just at the bar, hardly any looks worse. */
static void test_bound(struct check *check)
{
	enum { TRIALS = 3000 };
	struct traffic edge = { .seconds = 12, .limit = { { 1000, 1000, 2000, 0 } } };
	struct traffic twice = { .seconds = 30, .limit = { { 1000, 1000, 4000, 0 } } };
	uint32_t falsely = 0, rightly = 0;

	for (int i = 0; i < TRIALS; i++) {
		struct bench bench;

		open_for(&bench, false);
		bench.rules.source.span_ns = 0;
		falsely += play(&bench, &edge).banned > 0;
		bench_close(&bench);
		if (i % 30)
			continue;
		open_for(&bench, false);
		bench.rules.source.span_ns = 0;
		rightly += play(&bench, &twice).banned > 0;
		bench_close(&bench);
	}
	CHECK(check, !falsely, "%u of %d at the bar itself are banned", falsely, TRIALS);
	CHECK(check, rightly == TRIALS / 30, "%u of %d at twice the bar are banned", rightly,
	      TRIALS / 30);
	check_done(check, "the bound of a sample", "of %d sources at the bar none is banned in 12 s, of "
		   "%d at twice the bar all in 30 s", TRIALS, TRIALS / 30);
}

int main(void)
{
	struct check check = { 0 };

	test_traffic(&check);
	test_counters(&check);
	test_bound(&check);
	return check_exit(&check);
}
