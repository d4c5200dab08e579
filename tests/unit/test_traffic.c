// SPDX-License-Identifier: GPL-2.0-only
/* Needs of sources, their distribution, and the week that the daemon keeps. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/traffic_top.h"
#include "user/model/traffic_week.h"
#include "user/model/units.h"

#define V4(number)	(0xffff00000000ULL | (number))
#define DAY_S		86400ULL
#define NOON		(20000 * DAY_S + DAY_S / 2)

static unsigned long long state;

static void put(struct traffic_samples *samples, uint64_t time_ns, uint32_t source,
		enum traffic_class class, uint16_t dport, uint32_t weight)
{
	traffic_samples_put(samples, &(struct traffic_sample){
		.time_ns = time_ns, .lo = V4(source), .bytes = 1000, .weight = weight,
		.dport = dport, .class = class });
}

/* A source that sends @pps evenly for @seconds. */
static void put_even(struct traffic_samples *samples, uint32_t source, double pps, double seconds)
{
	for (uint64_t i = 0; i < pps * seconds; i++)
		put(samples, i * NS_PER_S / pps, source, TRAFFIC_TCP, 443, 1);
}

/* ---- one source ---- */

static void test_even(struct check *check)
{
	static const double rates[] = { 1, 7, 100, 1000, 20000 };
	double worst = 0;

	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct traffic_samples samples = { 0 };
		double need, bits;

		put_even(&samples, 1, rates[i], 20);
		need = traffic_step(traffic_need(samples.at, samples.count, false));
		bits = traffic_step(traffic_need(samples.at, samples.count, true)) * TRAFFIC_BITS;
		/* In 20 s the burst lets a twentieth more through. */
		CHECK(check, need >= rates[i] * 20 / 21 && need <= rates[i] * 1.19, "%g for %g", need,
		      rates[i]);
		CHECK(check, bits >= rates[i] * 8000 * 20 / 21 && bits <= rates[i] * 8000 * 1.19,
		      "%g bits for %g packets", bits, rates[i]);
		worst = need / rates[i] > worst ? need / rates[i] : worst;
		traffic_samples_free(&samples);
	}
	check_done(check, "a source that sends evenly needs its rate", "at most %.2f of it", worst);
}

static void test_bursts(struct check *check)
{
	struct traffic_samples samples = { 0 };
	double need;

	for (int i = 0; i < 200; i++)
		put(&samples, 0, 1, TRAFFIC_TCP, 443, 1);
	need = traffic_step(traffic_need(samples.at, samples.count, false));
	CHECK(check, need >= 200 && need < 239, "200 at once: %g", need);
	for (int i = 0; i < 200; i++)
		put(&samples, 30 * NS_PER_S, 1, TRAFFIC_TCP, 443, 1);
	CHECK(check, traffic_step(traffic_need(samples.at, samples.count, false)) == need,
	      "the same again after 30 s needs more");
	check_done(check, "a source that sends N at once needs N a second", "200: %.0f", need);
	traffic_samples_free(&samples);
}

/* Against the need of all packets: never below it once the bound is added, in 95 of 100 cases. */
static void test_sampled(struct check *check)
{
	enum { ROUNDS = 400, PPS = 3000, WEIGHT = 64 };
	unsigned int below = 0, doubled = 0;

	state = check_seed();
	for (int round = 0; round < ROUNDS; round++) {
		struct traffic_samples samples = { 0 };
		double need, bound;

		for (uint64_t i = 0; i < PPS * 10; i++)
			if (check_random(&state) % WEIGHT == 0)
				put(&samples, i * NS_PER_S / PPS, 1, TRAFFIC_TCP, 443, WEIGHT);
		need = traffic_step(traffic_need(samples.at, samples.count, false));
		bound = traffic_bound(need, WEIGHT);
		below += bound < PPS;
		doubled += bound > 2 * PPS;
		traffic_samples_free(&samples);
	}
	CHECK(check, below <= ROUNDS / 20, "%u of %d below what was sent", below, ROUNDS);
	CHECK(check, doubled <= ROUNDS / 20, "%u of %d more than twice what was sent", doubled, ROUNDS);
	check_done(check, "one packet in 64: the bound holds what was sent",
		   "%u of %d below, %u above twice, seed %llu", below, ROUNDS, doubled, check_seed());
}

/* The exact limits of Poisson means, one-sided 95 %: tables, and the chi-square distribution. */
static void test_bound(struct check *check)
{
	static const struct { double seen, most; } known[] = {
		{ 1, 4.744 }, { 2, 6.296 }, { 5, 10.513 }, { 10, 16.962 }, { 100, 118.08 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		double bound = traffic_bound(known[i].seen * 8, 8) / 8;

		CHECK(check, bound > known[i].most * 0.97 && bound < known[i].most * 1.03,
		      "%g seen: %g and not %g", known[i].seen, bound, known[i].most);
	}
	CHECK(check, traffic_bound(50, 1) == 50, "of all packets the need is exact");
	check_done(check, "the bound is that of a Poisson distribution", "within 3 %%");
}

/* ---- many sources ---- */

static void test_quantiles(struct check *check)
{
	struct traffic_samples samples = { 0 };
	struct traffic traffic = { 0 };
	const struct traffic_needs *needs = &traffic.of[TRAFFIC_TCP];
	uint64_t rate, tighter;

	for (uint32_t i = 1; i <= 2000; i++)	/* 1..2000 packets at once, and one that sends more */
		for (uint32_t n = 0; n < (i == 2000 ? 40000 : i % 100 + 1); n++)
			put(&samples, n, i, TRAFFIC_TCP, 443, 1);
	traffic_add(&traffic, samples.at, samples.count);
	CHECK(check, traffic_sources(needs->packets) == 2000, "sources");
	CHECK(check, traffic_quantile(needs->packets, 0.5) >= 50 &&
	      traffic_quantile(needs->packets, 0.5) < 60, "p50");
	CHECK(check, traffic_quantile(needs->packets, 0.99) >= 99 &&
	      traffic_quantile(needs->packets, 0.999) < 119, "p99, p99.9");
	CHECK(check, traffic_above(needs->packets, 119) == 1 && traffic_above(needs->packets, 50000) == 0,
	      "above");
	rate = traffic_rate(&traffic, TRAFFIC_TCP);
	tighter = traffic_tighter(&traffic, TRAFFIC_TCP);
	CHECK(check, rate >= 80000 && rate <= 100000, "rate %llu", (unsigned long long)rate);
	CHECK(check, tighter == 1000, "tighter %llu: never below 1000", (unsigned long long)tighter);
	CHECK(check, !traffic_rate(&traffic, TRAFFIC_SYN), "a rate for what was not seen");
	CHECK(check, !traffic_is_coarse(&traffic, TRAFFIC_TCP), "all packets were seen: not coarse");
	check_done(check, "quantiles and rates", "%llu, tighter %llu", (unsigned long long)rate,
		   (unsigned long long)tighter);
	traffic_samples_free(&samples);
}

static void test_ports(struct check *check)
{
	struct traffic_samples samples = { 0 };
	struct traffic traffic = { 0 };
	char words[32];

	for (uint32_t i = 0; i < 1000; i++) {
		put(&samples, i, 1, TRAFFIC_UDP, 53, 1);
		put(&samples, i, 2, TRAFFIC_UDP, 40000 + i % 20, 1);	/* answers, to a client's ports */
		put(&samples, i, 3, TRAFFIC_UDP, 1000 + i, 1);		/* a scan of ports */
	}
	traffic_add(&traffic, samples.at, samples.count);
	CHECK(check, traffic.port[0] == 53 && !traffic.port[1], "ports %u %u", traffic.port[0],
	      traffic.port[1]);
	traffic_words(&traffic, TRAFFIC_UDP_PORT, words);
	CHECK(check, !strcmp(words, "proto udp dport 53"), "%s", words);
	CHECK(check, traffic_sources(traffic.of[TRAFFIC_UDP].packets) == 2 &&
	      traffic_sources(traffic.of[TRAFFIC_UDP_PORT].packets) == 1, "sources by class");
	check_done(check, "a busy UDP service has a class of its own", "port %u", traffic.port[0]);
	traffic_samples_free(&samples);
}

/* A sample that stands for many packets makes the limit of its source's class alone looser. */
static void test_coarse(struct check *check)
{
	struct traffic_samples samples = { 0 };
	struct traffic traffic = { 0 };

	for (uint32_t i = 0; i < 500; i++)
		put(&samples, i * NS_PER_S / 50, 1, TRAFFIC_TCP, 443, 64);
	put(&samples, 0, 2, TRAFFIC_SYN, 443, 64);
	traffic_add(&traffic, samples.at, samples.count);
	CHECK(check, traffic_rate(&traffic, TRAFFIC_SYN) >= 2 * 64 * 4.7 &&
	      traffic_is_coarse(&traffic, TRAFFIC_SYN), "one sample of 64 SYNs");
	CHECK(check, !traffic_is_coarse(&traffic, TRAFFIC_TCP), "fifty samples a second");
	samples.count = 0;
	for (uint32_t i = 0; i < 20; i++)	/* many more, of which each was seen */
		put(&samples, 0, 3 + i, TRAFFIC_ICMP, 0, 1);
	traffic_add(&traffic, samples.at, samples.count);
	CHECK(check, traffic_rate(&traffic, TRAFFIC_ICMP) == 20, "the rate of another class");
	traffic_add(&traffic, NULL, 0);
	CHECK(check, traffic.minutes == 3 && traffic_rate(&traffic, TRAFFIC_ICMP) == 20,
	      "a minute without samples: %llu minutes", (unsigned long long)traffic.minutes);
	check_done(check, "few samples of many packets", "syn %llu",
		   (unsigned long long)traffic_rate(&traffic, TRAFFIC_SYN));
	traffic_samples_free(&samples);
}

/* ---- events ---- */

static void test_events(struct check *check)
{
	struct weir_event event = { .lo = V4(1), .to_lo = V4(2), .proto = IPPROTO_TCP, .weight = 8,
				    .passed = 1, .what = WEIR_SYN };
	struct traffic_sample sample;

	CHECK(check, traffic_sample(&event, &sample) && sample.class == TRAFFIC_SYN &&
	      sample.lo == V4(1) && sample.weight == 8 && !sample.dropped, "a SYN");
	event.hi = 0x20010db800000001;
	CHECK(check, traffic_sample(&event, &sample) && !sample.lo, "an IPv6 source is a /64");
	event.hi = 0xfe80000000000000;
	CHECK(check, traffic_sample(&event, &sample) && sample.lo, "a neighbour is a source of its own");
	event.reason = WEIR_DROP_RATE;
	CHECK(check, traffic_sample(&event, &sample) && !sample.dropped, "passed in monitor mode");
	event.passed = 0;
	CHECK(check, traffic_sample(&event, &sample) && sample.dropped, "dropped");
	event = (struct weir_event){ .passed = 1 };
	CHECK(check, !traffic_sample(&event, &sample), "no IP packet");
	CHECK(check, !(traffic_reasons() >> WEIR_PASS_ALLOW & 1) &&
	      traffic_reasons() >> WEIR_DROP_RATE & 1, "the reasons that count");
	check_done(check, "events as samples", "6 of them");
}

/* ---- the largest sources ---- */

static void test_top(struct check *check)
{
	struct traffic_samples samples = { 0 };
	struct traffic_source sources[64];
	size_t found;

	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t n = 0; n < 10 * (i + 1); n++)
			put(&samples, n, i, n % 3 ? TRAFFIC_TCP : TRAFFIC_SYN, 80, 4);
	found = traffic_top(samples.at, samples.count, sources);
	CHECK(check, found == 20, "%zu sources", found);
	for (size_t i = 0; i < found; i++)
		CHECK(check, sources[i].lo == V4(19 - i) && sources[i].packets == 40 * (20 - i) &&
		      sources[i].class == TRAFFIC_TCP && sources[i].dport == 80, "source %zu", i);
	CHECK(check, traffic_error_percent(&sources[0]) == 13, "200 samples of 1 in 4: %u %%",
	      traffic_error_percent(&sources[0]));
	sources[0].weight = 1;
	CHECK(check, !traffic_error_percent(&sources[0]), "all packets: no error");
	CHECK(check, !traffic_top(NULL, 0, sources), "none");
	check_done(check, "the largest sources", "%zu, by packets", found);
	traffic_samples_free(&samples);
}

/* ---- the week ---- */

static void add_day(struct traffic_week *week, uint64_t unix_s, uint32_t packets)
{
	struct traffic_samples samples = { 0 };

	for (uint32_t i = 0; i < packets; i++) {
		put(&samples, 0, 1, TRAFFIC_TCP, 443, 1);
		put(&samples, 0, 2, TRAFFIC_UDP, 53, 1);
	}
	traffic_week_add(week, unix_s, &samples);
	traffic_samples_free(&samples);
}

static void test_week(struct check *check)
{
	static struct traffic_week week, again;
	struct traffic sum = { 0 }, sum_again = { 0 };
	char err[ERR_LEN] = "", *text;

	for (uint64_t day = 0; day < 20; day++)
		add_day(&week, NOON + day * DAY_S, 100 + day);
	traffic_week_sum(&week, NOON + 19 * DAY_S, &sum);
	CHECK(check, sum.minutes == 8 && sum.from_unix_s == NOON + 12 * DAY_S &&
	      sum.to_unix_s == NOON + 19 * DAY_S, "%llu days", (unsigned long long)sum.minutes);
	CHECK(check, traffic_sources(sum.of[TRAFFIC_UDP_PORT].packets) == 8 && sum.port[0] == 53,
	      "the port is the same class on each day");
	text = traffic_week_text(&week);
	CHECK(check, text && !traffic_week_parse("file", text, strlen(text), &again, err), "%s", err);
	traffic_week_sum(&again, NOON + 19 * DAY_S, &sum_again);
	CHECK(check, !memcmp(&sum, &sum_again, sizeof(sum)), "not the same after a round trip");
	sum = (struct traffic){ 0 };
	traffic_week_sum(&week, NOON + 40 * DAY_S, &sum);
	CHECK(check, !sum.minutes, "days of a month ago are used");
	check_done(check, "a week is kept, and is the same behind a file", "%zu bytes of text",
		   text ? strlen(text) : 0);
	free(text);
}

static void test_bad_files(struct check *check)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"version\":2,\"days\":[]}", "{\"version\":1,\"days\":{}}",
		"{\"version\":1,\"days\":[{\"from\":-1,\"to\":1,\"minutes\":1,\"classes\":[]}]}",
#define CLASS(text) \
	"{\"version\":1,\"days\":[{\"from\":1,\"to\":1,\"minutes\":1,\"classes\":[" text "]}]}"
#define NEEDS(name, dport, packets) \
	CLASS("{\"class\":\"" name "\",\"dport\":" dport ",\"samples\":1,\"weight\":1,\"bound\":1," \
	      "\"packets\":" packets ",\"bits\":[]}")
		NEEDS("syn", "0", "[[128,1]]"), NEEDS("syn", "0", "[[-1,1]]"),
		NEEDS("syn", "0", "[[1,4294967296]]"), NEEDS("syn", "0", "7"),
		NEEDS("arp", "0", "[]"), NEEDS("udp", "65536", "[]"),
		CLASS("7"),
	};
	static struct traffic_week week;
	char err[ERR_LEN];
	size_t count = sizeof(bad) / sizeof(*bad);

	for (size_t i = 0; i < count; i++) {
		CHECK(check, traffic_week_parse("file", bad[i], strlen(bad[i]), &week, err) == -EINVAL,
		      "%zu: %s", i, bad[i]);
		CHECK(check, !week.day[0].minutes && strstr(err, "file"), "%zu: %s", i, err);
	}
	CHECK(check, !traffic_week_parse("file", NEEDS("syn", "0", "[[127,1]]"),
					 strlen(NEEDS("syn", "0", "[[127,1]]")), &week, err),
	      "a right one: %s", err);
	check_done(check, "files that are not right are refused", "%zu of them", count);
}

int main(void)
{
	struct check check = { 0 };

	test_even(&check);
	test_bursts(&check);
	test_sampled(&check);
	test_bound(&check);
	test_quantiles(&check);
	test_ports(&check);
	test_coarse(&check);
	test_events(&check);
	test_top(&check);
	test_week(&check);
	test_bad_files(&check);
	return check_exit(&check);
}
