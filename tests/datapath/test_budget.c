// SPDX-License-Identifier: GPL-2.0-only
/*
 * Budgets under floods: which sources pass when there is not enough for all. In
 * real time, through the real program: each actor sends at its pace from its
 * sources, and checked is the part of each actor's packets that passed.
 */
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "bpf/weir.skel.h"
#include "tests/datapath/namespace.h"
#include "tests/datapath/program.h"
#include "bpf/pure/known_line.h"
#include "user/host/clock.h"
#include "user/model/tiers.h"
#include "user/state/known.h"
#include "user/state/tables.h"

#define RATE	5000 /* packets per second, of the budget */
#define SETTLE	0.7 /* seconds until what passes is counted */
#define STILL	0.002 /* seconds; a packet takes some 2 us */
#define BUSY	0.02 /* of the time: then a low rate says nothing about weir */
#define FRAME	60
#define SAMPLED	127 /* of so many packets in a row the program looks at one at least */

enum origin { RANDOM_SOURCES, HOSTS, HOSTS_V6, NEIGHBOURS };

/* Sends @pps packets a second, from @count hosts in turn or from anywhere. */
struct actor {
	const char *name;
	enum origin origin;
	uint32_t first, count, stride; /* of HOSTS: IPv4 */
	uint32_t pps;
	enum weir_tier tier; /* that they are put into at first */
	uint8_t port; /* 0: 80 */
	bool syn;
	uint8_t frame[FRAME + 20];
	uint64_t number;
	double due;
	uint64_t sent, passed; /* since it settled */
};

static struct program program;
static int prog_fd;
static unsigned long long random_state;
static double stood_still; /* part of the time of the last play */
static struct check check;

/* ---- frames ---- */

static bool is_v6(const struct actor *actor)
{
	return actor->origin == HOSTS_V6 || actor->origin == NEIGHBOURS;
}

static void build(struct actor *actor)
{
	static const uint8_t v4[] = { 0x45, 0, 0,  46, 0, 1,   0, 0, 64, 6,
				      0,    0, 192, 0, 2, 99, 192, 0, 2,  1 };
	static const uint8_t v6[] = { 0x60, 0, 0, 0, 0, 26, 6, 64 };
	uint8_t *tcp = actor->frame + 14 + (is_v6(actor) ? 40 : 20);

	actor->frame[12] = is_v6(actor) ? 0x86 : 0x08;
	actor->frame[13] = is_v6(actor) ? 0xdd : 0x00;
	if (is_v6(actor))
		memcpy(actor->frame + 14, v6, sizeof(v6));
	else
		memcpy(actor->frame + 14, v4, sizeof(v4));
	tcp[3] = actor->port ? actor->port : 80;
	tcp[12] = 5 << 4;
	tcp[13] = actor->syn ? 0x02 : 0x10;
}

static void put_source(struct actor *actor)
{
	uint32_t source, host = actor->number++ % (actor->count ? actor->count : 1);
	uint8_t *at = actor->frame + 14 + (is_v6(actor) ? 8 : 12);

	if (actor->origin == RANDOM_SOURCES)
		source = check_random(&random_state);
	else
		source = actor->first + host * actor->stride;
	if (actor->origin == NEIGHBOURS) {
		memcpy(at, (uint8_t[]){ 0xfe, 0x80 }, 2);
		at[14] = (actor->first + host) >> 8;
		at[15] = actor->first + host;
		return;
	}
	if (actor->origin == HOSTS_V6) {
		/* a /48 of @first, and in it a /64 for each packet */
		memcpy(at, (uint8_t[]){ 0x20, 1, 0x0d, 0xb8 }, 4);
		at[4] = actor->first >> 8;
		at[5] = actor->first;
		at[6] = actor->number >> 8;
		at[7] = actor->number;
		return;
	}
	source = __builtin_bswap32(source);
	memcpy(at, &source, 4);
}

static void transmit(struct actor *actor, bool counts)
{
	uint32_t action;

	put_source(actor);
	action = run_frame(prog_fd, actor->frame, FRAME + (is_v6(actor) ? 20 : 0), 1);
	actor->sent += counts;
	actor->passed += counts && action == XDP_PASS;
}

/* ---- a play ---- */

static void forget(void)
{
	struct weir_common calm = { 0 };
	struct known known;
	char err[ERR_LEN];
	__u32 zero = 0;

	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_flush(&known);
	known_close(&known);
	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++)
		maps_clear_budget(&program.maps, slot);
	if (bpf_map_update_elem(program.maps.fd[MAP_common], &zero, &calm, BPF_ANY))
		die("common", 0);
}

static void introduce(const struct actor *actor)
{
	uint32_t lost = 0;
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	for (uint32_t i = 0; i < actor->count; i++) {
		struct prefix source = prefix_v4(actor->first + i * actor->stride, 32);

		lost += !known_add(&known, &source, actor->tier);
	}
	if (lost > actor->count / 1000)
		die("known sources found no room", -ENOSPC);
	known_close(&known);
}

/* Runs all actors for @seconds after they have settled. Returns the exact time. */
static double play(struct actor *actors, int count, double seconds)
{
	double start = check_seconds(), now, from = 0, before = start, gaps = 0;

	forget();
	for (int i = 0; i < count; i++) {
		build(&actors[i]);
		actors[i].due = start;
		if (actors[i].tier)
			introduce(&actors[i]);
	}
	/* Counted from the first packet on that comes after SETTLE, however long this thread slept. */
	for (now = start; !from || now < from + seconds; now = check_seconds()) {
		bool counts = now >= start + SETTLE;

		if (counts && !from)
			from = now;
		if (counts && now - before > STILL)
			gaps += now - before;
		before = now;
		for (int i = 0; i < count; i++) {
			if (now < actors[i].due)
				continue;
			actors[i].due += 1.0 / actors[i].pps;
			if (actors[i].due < now - 0.01)	/* this thread has stood still */
				actors[i].due = now;
			transmit(&actors[i], counts);
		}
	}
	stood_still = gaps / (now - from);
	return now - from;
}

/*
 * The whole budget must have passed, unless this thread stood still: a bucket
 * fills no further than its burst, so what a stall wastes does not come back.
 */
static void check_used_up(double rate, double offered)
{
	CHECK(&check, rate < 1.05 * RATE, "%.0f a second passed", rate);
	CHECK(&check, rate > 0.95 * RATE || stood_still > BUSY || offered < 2 * RATE,
	      "%.0f a second passed of %.0f, %.0f %% of the time stood still", rate, offered,
	      100 * stood_still);
}

static double share_of(const struct actor *actor)
{
	return actor->sent ? (double)actor->passed / actor->sent : 0;
}

static void set_budget(const char *first, const struct weir_limit_spec *spec, const char *second,
		       const struct weir_limit_spec *other)
{
	struct settings settings;
	char err[ERR_LEN];

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	if (budget_set(settings.policy, first, spec, err) < 0 ||
	    (second && budget_set(settings.policy, second, other, err) < 0))
		die(err, -EINVAL);
	program_set(&program, &settings);
}

static void check_sums(uint64_t sent)
{
	struct weir_counters counters = take_counters(&program);

	CHECK(&check, count_packets(&counters) == sent, "%llu counted of %llu",
	      (unsigned long long)count_packets(&counters), (unsigned long long)sent);
}

static uint64_t numbers(const struct actor *actors, int count)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += actors[i].number;
	return sum;
}

static uint64_t passed(const struct actor *actors, int count)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += actors[i].passed;
	return sum;
}

#define NET(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define FLOOD_PPS	(20 * RATE)

/* ---- the tests ---- */

static void test_calm(void)
{
	struct actor actors[] = {
		{ "newcomers", HOSTS, NET(198, 51, 100, 0), 200, 1, RATE * 9 / 10 },
	};

	take_counters(&program);
	play(actors, 1, 1);
	CHECK(&check, actors[0].passed == actors[0].sent, "%llu of %llu",
	      (unsigned long long)actors[0].passed, (unsigned long long)actors[0].sent);
	check_sums(numbers(actors, 1));
	check_done(&check, "below its budget no packet drops", "%llu of %llu passed",
		   (unsigned long long)actors[0].passed, (unsigned long long)actors[0].sent);
}

static void test_rate(void)
{
	struct actor actors[] = { { "flood", RANDOM_SOURCES, .pps = FLOOD_PPS } };
	double seconds, rate;

	take_counters(&program);
	seconds = play(actors, 1, 2);
	rate = actors[0].passed / seconds;
	check_used_up(rate, actors[0].sent / seconds);
	check_sums(numbers(actors, 1));
	check_done(&check, "random sources fill the budget and no more",
		   "%.0f of %.0f a second passed, the budget is %d", rate, actors[0].sent / seconds,
		   RATE);
}

static void test_known(void)
{
	struct actor actors[] = {
		{ "known", HOSTS, NET(203, 0, 113, 0), 200, 1, RATE * 6 / 10, .tier = WEIR_PROVEN },
		{ "flood", RANDOM_SOURCES, .pps = FLOOD_PPS },
	};
	double seconds;

	take_counters(&program);
	seconds = play(actors, 2, 2);
	CHECK(&check, share_of(&actors[0]) >= 0.99, "%.1f %% of the known passed",
	      100 * share_of(&actors[0]));
	CHECK(&check, passed(actors, 2) < 1.05 * RATE * seconds, "%.0f a second in all",
	      passed(actors, 2) / seconds);
	check_sums(numbers(actors, 2));
	check_done(&check, "known sources under a flood of random ones",
		   "%.2f %% of the known passed, %.2f %% of the flood, %.0f a second in all",
		   100 * share_of(&actors[0]), 100 * share_of(&actors[1]),
		   passed(actors, 2) / seconds);
}

static void test_too_many_known(void)
{
	struct actor actors[] = {
		{ "known", HOSTS, NET(203, 0, 113, 0), 200, 1, RATE * 4, .tier = WEIR_PROVEN },
	};
	double seconds = play(actors, 1, 1.5), rate = actors[0].passed / seconds;

	check_used_up(rate, actors[0].sent / seconds);
	check_done(&check, "known sources cannot exceed the budget either",
		   "%.0f of %.0f a second passed", rate, actors[0].sent / seconds);
}

static void test_returning(void)
{
	struct actor actors[] = {
		{ "newcomers", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE / 10 },
		{ "flood", RANDOM_SOURCES, .pps = FLOOD_PPS },
	};

	play(actors, 2, 2);
	CHECK(&check, share_of(&actors[0]) >= 0.8, "%.1f %% of the newcomers passed",
	      100 * share_of(&actors[0]));
	check_done(&check, "newcomers that return, under a flood of random sources",
		   "%.1f %% of theirs passed, %.2f %% of the flood", 100 * share_of(&actors[0]),
		   100 * share_of(&actors[1]));
}

static void test_networks(void)
{
	struct actor actors[] = {
		{ "newcomers", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE / 10 },
		{ "bots", HOSTS, NET(10, 1, 0, 0), 30 * 256, 1, FLOOD_PPS },
		{ "known", HOSTS, NET(10, 1, 7, 77), 1, 1, 50, .tier = WEIR_PROVEN },
	};
	double seconds = play(actors, 3, 2), rate = passed(actors, 3) / seconds;

	CHECK(&check, share_of(&actors[0]) >= 0.5, "%.1f %% of the newcomers passed",
	      100 * share_of(&actors[0]));
	CHECK(&check, share_of(&actors[2]) >= 0.99, "%.1f %% of the known passed",
	      100 * share_of(&actors[2]));
	CHECK(&check, (rate > 0.75 * RATE || stood_still > BUSY) && rate < 1.05 * RATE,
	      "%.0f a second in all", rate);
	check_done(&check, "a botnet of 30 networks beside newcomers and a known source inside it",
		   "%.1f %% of the newcomers passed, %.1f %% of the known, %.2f %% of the bots, %.0f "
		   "a second in all", 100 * share_of(&actors[0]), 100 * share_of(&actors[2]),
		   100 * share_of(&actors[1]), rate);
}

/* Neighbours on the link are no network: one that floods takes nothing from the others. */
static void test_neighbours(void)
{
	struct actor actors[] = {
		{ "neighbours", NEIGHBOURS, 2, 20, 1, RATE * 4 / 10 },
		{ "one of them", NEIGHBOURS, 1, 1, 1, FLOOD_PPS },
	};

	play(actors, 2, 2);
	CHECK(&check, share_of(&actors[0]) >= 0.7, "%.1f %% of 20 neighbours' passed",
	      100 * share_of(&actors[0]));
	check_done(&check, "20 neighbours by link-local address, under a flood of one of them",
		   "%.1f %% of theirs passed, %.2f %% of the flood", 100 * share_of(&actors[0]),
		   100 * share_of(&actors[1]));
}

/* A source that never sends two packets from the same /64. */
static void test_ipv6(void)
{
	struct actor actors[] = {
		{ "newcomers", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE / 10 },
		{ "rotating", HOSTS_V6, 0x1234, .pps = FLOOD_PPS },
	};
	double seconds = play(actors, 2, 2), rate = passed(actors, 2) / seconds;

	CHECK(&check, share_of(&actors[0]) >= 0.5, "%.1f %% of the newcomers passed",
	      100 * share_of(&actors[0]));
	CHECK(&check, rate < 1.05 * RATE, "%.0f a second in all", rate);
	check_done(&check, "sources that rotate inside a /48", "%.1f %% of the newcomers passed, "
		   "%.2f %% of the flood, %.0f a second in all", 100 * share_of(&actors[0]),
		   100 * share_of(&actors[1]), rate);
}

/* A SYN flood must not make established traffic drop. */
static void test_syn(void)
{
	struct weir_limit_spec all = { .any_proto = 1, .rate_packets = RATE, .per_s = 1 };
	struct weir_limit_spec syn = { .what = WEIR_SYN, .proto = IPPROTO_TCP,
				       .rate_packets = RATE / 10, .per_s = 1 };
	struct actor actors[] = {
		{ "established", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE * 8 / 10 },
		{ "flood", RANDOM_SOURCES, .pps = FLOOD_PPS, .syn = true },
	};
	double seconds;

	set_budget("all", &all, "syn", &syn);
	seconds = play(actors, 2, 1.5);
	CHECK(&check, actors[0].passed == actors[0].sent, "%.1f %%", 100 * share_of(&actors[0]));
	CHECK(&check, actors[1].passed < 1.05 * RATE / 10 * seconds, "%.0f SYNs a second",
	      actors[1].passed / seconds);
	check_done(&check, "a SYN flood with a budget of its own beside established traffic",
		   "%.2f %% of the established passed, %.0f SYNs a second of %d",
		   100 * share_of(&actors[0]), actors[1].passed / seconds, RATE / 10);
}

/* ---- learning ---- */

/* A source seen in three minutes (shortened here) without exceeding a limit is known. */
static void test_learning(int fd)
{
	struct actor good = { "good", HOSTS, NET(198, 51, 100, 7), 1, 1, 1 };
	struct actor late = { "late", HOSTS, NET(198, 51, 100, 8), 1, 1, 1 };
	struct known_count count;
	struct known known;
	char err[ERR_LEN];
	int was = prog_fd;

	forget();
	build(&good);
	build(&late);
	prog_fd = fd;
	for (int minute = 0; minute < 4; minute++) {
		for (int i = 0; i < SAMPLED; i++)
			transmit(&good, false);
		usleep(150000);	/* 2^27 ns are 134 ms */
	}
	for (int i = 0; i < SAMPLED; i++)
		transmit(&late, false);
	prog_fd = was;
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	/* The minutes are shortened, so only the table's contents can be counted. */
	known.minute = known_minute(now_ns(), 27);
	known_count(&known, &count);
	CHECK(&check, count.of_tier[WEIR_SEEN] == 1 && count.learning == 1, "%llu known, %llu learning",
	      (unsigned long long)known_count_all(&count), (unsigned long long)count.learning);
	known_close(&known);
	check_done(&check, "a source seen in three different minutes is known",
		   "%llu known, %llu being learnt", (unsigned long long)known_count_all(&count),
		   (unsigned long long)count.learning);
}

/* A million known sources: few find no room, and few strangers get past the filter. */
static void test_a_million_known(void)
{
	uint64_t lost = 0, forgotten = 0, suspected = 0, hash;
	struct known known;
	char err[ERR_LEN];

	forget();
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	for (uint32_t i = 0; i < 1000000; i++) {
		struct prefix source = prefix_v4(i * 4099U, 32);

		lost += !known_add(&known, &source, WEIR_PROVEN);
	}
	for (uint32_t i = 0; i < 1000000; i++) {
		struct prefix source = prefix_v4(i * 4099U, 32);

		forgotten += known_tier_of(&known, &source) != WEIR_PROVEN;
	}
	for (uint32_t i = 0; i < 1000000; i++) {
		hash = known_hash(known_key(0, 0xffff00000000ULL | (i * 4099U + 1)), known.seed);
		suspected += filter_has(&known.filter[filter_index(hash)], hash, known.minute);
	}
	known_close(&known);
	CHECK(&check, suspected < 100000, "the filter let %llu strangers of a million past",
	      (unsigned long long)suspected);
	CHECK(&check, lost < 20000, "%llu found no room", (unsigned long long)lost);
	/* In a line without room, one of two sources of a /16 gives way. */
	CHECK(&check, forgotten - lost < 100, "%llu were accepted and are not known",
	      (unsigned long long)(forgotten - lost));
	check_done(&check, "a million known sources",
		   "%llu found no room; of a million strangers %llu get past the filter",
		   (unsigned long long)lost, (unsigned long long)suspected);
}

/*
 * A host that is given an IPv6 /32 completes a handshake from each of two million /64s, more than
 * the table has room for.
 */
static void test_one_network_fills_the_table(void)
{
	const uint32_t others = 10000;
	uint64_t lost = 0, known_of_network = 0;
	struct known known;
	char err[ERR_LEN];

	forget();
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	for (uint32_t i = 0; i < 2000000; i++)
		known_add(&known, &(struct prefix){ 0x20010db800000000ULL | i, 1, 128 },
			  WEIR_PROVEN);
	for (uint32_t i = 0; i < others; i++) {
		struct prefix source = prefix_v4((i + 1) * 429000U, 32);

		known_add(&known, &source, WEIR_PROVEN);
	}
	for (uint32_t i = 0; i < others; i++) {
		struct prefix source = prefix_v4((i + 1) * 429000U, 32);

		lost += known_tier_of(&known, &source) != WEIR_PROVEN;
	}
	for (uint32_t i = 0; i < 2000000; i++)
		known_of_network += known_tier_of(&known, &(struct prefix){
			0x20010db800000000ULL | i, 1, 128 }) == WEIR_PROVEN;
	known_close(&known);
	CHECK(&check, lost <= 5, "%llu of others found no room", (unsigned long long)lost);
	check_done(&check, "one network cannot fill the table of known sources",
		   "it has %llu places of %u, %llu of %u other sources found none",
		   (unsigned long long)known_of_network, WEIR_KNOWN_LINES * WEIR_KNOWN_SLOTS,
		   (unsigned long long)lost, others);
}

/* ---- tiers ---- */

/*
 * Shares by network hold within each tier of known sources, too: a botnet whose hosts are known is
 * held to what its networks may have, beside customers of the same tier.
 */
static void test_shares_of_known(enum weir_tier tier)
{
	struct actor actors[] = {
		{ "customers", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE / 10, .tier = tier },
		{ "bots", HOSTS, NET(10, 1, 0, 0), 30 * 256, 1, FLOOD_PPS, .tier = tier },
	};
	double seconds = play(actors, 2, 2), rate = passed(actors, 2) / seconds;
	char what[64];

	CHECK(&check, share_of(&actors[0]) >= 0.85, "%.1f %% of the customers passed",
	      100 * share_of(&actors[0]));
	CHECK(&check, (rate > 0.75 * RATE || stood_still > BUSY) && rate < 1.05 * RATE,
	      "%.0f a second in all", rate);
	snprintf(what, sizeof(what), "a botnet of 30 networks in the customers' own tier, %s",
		 tier_name(tier));
	check_done(&check, what, "%.1f %% of the customers passed, %.2f %% of the bots, %.0f a second in "
		   "all", 100 * share_of(&actors[0]), 100 * share_of(&actors[1]), rate);
}

/* Each tier has a sixteenth of the rate for itself, whatever comes in the highest one. */
static void test_reserves(void)
{
	struct actor actors[] = {
		{ "first-seen", RANDOM_SOURCES, .pps = RATE / 20 },
		{ "returning", HOSTS, NET(198, 51, 0, 1), 20, 256, RATE / 20 },
		{ "seen", HOSTS, NET(203, 0, 0, 1), 20, 256, RATE / 20, .tier = WEIR_SEEN },
		{ "proven", HOSTS, NET(192, 88, 0, 1), 20, 256, RATE / 20, .tier = WEIR_PROVEN },
		/* More networks than there are cells for shares: no packet is beyond its share. */
		{ "flood", HOSTS, NET(10, 0, 0, 0), 300000, 256, FLOOD_PPS, .tier = WEIR_LONG },
	};
	double seconds = play(actors, 5, 3), rate = passed(actors, 5) / seconds, least = 1;

	for (int i = 0; i < 4; i++) {
		double share = share_of(&actors[i]);

		least = share < least ? share : least;
		CHECK(&check, share > 0.95, "%s: %.1f %% passed", actors[i].name, 100 * share);
	}
	CHECK(&check, rate < 1.05 * RATE, "%.0f a second in all", rate);
	check_done(&check, "a flood of sources proven for long leaves each other tier its reserve",
		   "%.1f %%, %.1f %%, %.1f %% and %.1f %% passed of first-seen, returning, seen and "
		   "proven sources; at least %.1f %%, %.0f a second in all", 100 * share_of(&actors[0]),
		   100 * share_of(&actors[1]), 100 * share_of(&actors[2]), 100 * share_of(&actors[3]),
		   100 * least, rate);
}

/* ---- two budgets at once ---- */

/* The sum of all lines of the map networks that are on the clock of the budget. */
static uint64_t sum_of_lines(struct weir_network *lines, uint32_t slot, uint32_t *count)
{
	uint64_t sum = 0;
	struct weir_network line;

	*count = 0;
	for (uint32_t i = 0; i < WEIR_NETWORKS; i++) {
		if (bpf_map_lookup_elem(program.maps.fd[MAP_networks], &i, &line))
			die("networks", 0);
		lines[i] = line;
		if (line.budget != slot)
			continue;
		++*count;
		for (int cell = 0; cell < 4; cell++)
			sum += line.used[cell];
	}
	return sum;
}

static void test_two_budgets(void)
{
	struct weir_limit_spec one = { .proto = IPPROTO_TCP, .dport_first = 80, .dport_last = 80,
				       .rate_packets = RATE, .per_s = 1 };
	struct weir_limit_spec other = one;
	struct actor first[] = { { "first", RANDOM_SOURCES, .pps = FLOOD_PPS } };
	struct actor second = { "second", RANDOM_SOURCES, .port = 81 };
	struct weir_network *lines = calloc(WEIR_NETWORKS, sizeof(*lines));
	uint32_t slot, before, after;
	uint64_t was, is;

	if (!lines)
		die("networks", -ENOMEM);
	other.dport_first = other.dport_last = 81;
	for (uint32_t i = 0; i < WEIR_NETWORKS; i++)	/* from tests before */
		if (bpf_map_update_elem(program.maps.fd[MAP_networks], &i, &lines[i], BPF_ANY))
			die("networks", 0);
	set_budget("one", &one, "other", &other);
	slot = budget_find(program.settings.policy, "one");
	play(first, 1, 0.5);
	was = sum_of_lines(lines, slot, &before);
	build(&second);
	for (int i = 0; i < 100000; i++)
		transmit(&second, false);
	is = sum_of_lines(lines, slot, &after);
	CHECK(&check, before > 1000 && was, "%u lines: no flood", before);
	CHECK(&check, after == before && is == was, "%u of %u lines are left, %llu of %llu", after, before,
	      (unsigned long long)is, (unsigned long long)was);
	free(lines);
	check_done(&check, "a flood on one budget leaves the shares of another as they are",
		   "%u lines of networks, the same after 100000 packets to the other", before);
}

/* ---- learning: what can be forged ---- */

static enum weir_tier tier_now(unsigned int shift, uint64_t hi, uint64_t lo)
{
	struct prefix source = { hi, lo, 128 };
	enum weir_tier tier;
	struct known known;
	char err[ERR_LEN];

	program.maps.meta.minute_shift = shift;
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	tier = known_tier_of(&known, &source);
	known_close(&known);
	program.maps.meta.minute_shift = WEIR_MINUTE_SHIFT;
	return tier;
}

#define QUICK_SHIFT	27	/* a minute lasts 134 ms */
#define QUICK_US	150000
#define MAPPED(address)	(0xffffULL << 32 | (address))

/* However many packets in however many minutes: what a spoofer can send is no proof. */
static void test_spoofed(int fd)
{
	struct actor spoofed = { "spoofed", HOSTS, NET(198, 51, 100, 7), 1, 1, 1 };
	struct weir_counters counters;
	enum weir_tier tier;
	int was = prog_fd;

	forget();
	take_counters(&program);
	build(&spoofed);
	prog_fd = fd;
	for (int minute = 0; minute < 12; minute++) {
		for (int i = 0; i < 4 * SAMPLED; i++)
			transmit(&spoofed, false);
		usleep(QUICK_US);
	}
	prog_fd = was;
	counters = take_counters(&program);
	tier = tier_now(QUICK_SHIFT, 0, MAPPED(NET(198, 51, 100, 7)));
	CHECK(&check, tier == WEIR_SEEN, "tier %s", tier_name(tier));
	CHECK(&check, counters.looked_up >= 12 && !counters.own, "%llu looked up, %llu own",
	      (unsigned long long)counters.looked_up, (unsigned long long)counters.own);
	check_done(&check, "spoofed ACKs in twelve minutes make a source seen, and no more",
		   "tier %s, %llu sockets looked up", tier_name(tier),
		   (unsigned long long)counters.looked_up);
}

/* Looking up sockets takes a CPU a bounded part of its time, however many segments come. */
static void test_look_ups_are_bounded(int fd)
{
	struct actor spoofed = { "spoofed", HOSTS, NET(198, 51, 100, 8), 1, 1, 1 };
	const double a_second = 25000, burst = 500 * sysconf(_SC_NPROCESSORS_ONLN);
	const uint32_t segments = 4000000;
	struct weir_counters counters;
	double start, took, most;

	forget();
	take_counters(&program);
	build(&spoofed);
	put_source(&spoofed);
	start = check_seconds();
	run_frame(fd, spoofed.frame, FRAME, segments);
	took = check_seconds() - start;
	counters = take_counters(&program);
	most = a_second * took + burst;
	CHECK(&check, counters.sampled > segments / 80 && counters.looked_up >= 100 &&
	      counters.looked_up <= most, "%llu of %llu samples in %.2f s, %.0f at most",
	      (unsigned long long)counters.looked_up, (unsigned long long)counters.sampled, took, most);
	check_done(&check, "25,000 look-ups of sockets a second at most",
		   "%llu of %llu samples in %.2f s", (unsigned long long)counters.looked_up,
		   (unsigned long long)counters.sampled, took);
}

/*
 * A sender that exceeds its limit with all packets but one in 64, where the one comes in step with
 * the samples of a program that takes every 64th: one of these senders is in step.
 */
static void test_in_step(int fd)
{
	struct weir_limit_spec tight = { .proto = IPPROTO_TCP, .dport_first = 80, .dport_last = 80,
					 .rate_packets = 1, .per_s = 3600, .burst_packets = 1 };
	struct actor bad = { "bad", HOSTS, 0, 1, 1, 1 }, good = { "good", HOSTS, 0, 1, 1, 1, .port = 81 };
	struct settings settings;
	unsigned int known = 0;
	int was = prog_fd;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	add_limit(&settings, NULL, tight, 32, 64);
	program_set(&program, &settings);
	forget();
	build(&bad);
	build(&good);
	prog_fd = fd;
	for (int minute = 0; minute < 5; minute++) {
		for (int phase = 0; phase < 64; phase++) {
			bad.first = good.first = NET(198, 51, 100, phase);
			for (int i = 0; i < 5 * 64; i++)
				transmit(i % 64 == phase ? &good : &bad, false);
		}
		usleep(QUICK_US);
	}
	prog_fd = was;
	for (int phase = 0; phase < 64; phase++)
		known += tier_now(QUICK_SHIFT, 0, MAPPED(NET(198, 51, 100, phase))) >= WEIR_SEEN;
	CHECK(&check, !known, "%u of 64 senders are known", known);
	check_done(&check, "no sender becomes known that behaves in step with one packet in 64",
		   "%u of 64", known);
}

static void put_v6(uint8_t *at, uint64_t hi, uint64_t lo)
{
	hi = __builtin_bswap64(hi);
	lo = __builtin_bswap64(lo);
	memcpy(at, &hi, 8);
	memcpy(at + 8, &lo, 8);
}

/* IPv6 sources whose key could be taken for that of an IPv4 address, or of other hosts. */
static void test_aliases(int fd)
{
	static const uint64_t aliases[][2] = {
		{ 0, NET(198, 51, 100, 7) },			/* ::198.51.100.7 */
		{ 0, 0x1ULL << 48 | MAPPED(NET(198, 51, 100, 7)) },
		{ MAPPED(NET(198, 51, 100, 7)), 1 },		/* 0:ffff:c633:6407::1 */
		{ 0xfe80ULL << 48, 7 },
	};
	struct actor v6 = { "alias", HOSTS_V6 };
	struct known_count count;
	struct known known;
	char err[ERR_LEN];

	forget();
	build(&v6);
	for (int minute = 0; minute < 5; minute++) {
		for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
			put_v6(v6.frame + 22, aliases[i][0], aliases[i][1]);
			run_frame(fd, v6.frame, FRAME + 20, 2 * SAMPLED);
		}
		usleep(QUICK_US);
	}
	program.maps.meta.minute_shift = QUICK_SHIFT;
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_count(&known, &count);
	known_close(&known);
	program.maps.meta.minute_shift = WEIR_MINUTE_SHIFT;
	CHECK(&check, !known_count_all(&count) && !count.learning, "%llu known, %llu being learnt",
	      (unsigned long long)known_count_all(&count), (unsigned long long)count.learning);
	CHECK(&check, tier_now(QUICK_SHIFT, 0, MAPPED(NET(198, 51, 100, 7))) == WEIR_FIRST_SEEN,
	      "198.51.100.7 is known");
	check_done(&check, "no IPv6 source counts as an IPv4 one, or for its whole link",
		   "%zu kinds of address, none is learnt", sizeof(aliases) / sizeof(*aliases));
}

/* ---- how many become known without proof ---- */

#define SEEN_PER_S	8
#define SEEN_AT_ONCE	65536
#define CANDIDATES	300

/* Sources that were seen in two minutes. */
static void almost_known(uint32_t first, uint32_t count)
{
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t key = MAPPED(first + i);
		struct weir_known_line *line = &known.lines[known_index(known_hash(key, known.seed),
									known.minute)];

		for (int minute = 6; minute < 8; minute++)	/* of other numbers than this one's */
			if (known_note(line, key, (known.minute & ~15ULL) + ((known.minute + minute) & 15),
				       -1, KNOWN_GOOD) < 0)
				die("no room", -ENOSPC);
	}
	known_close(&known);
}

static uint32_t known_of(uint32_t first, uint32_t count)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += tier_now(WEIR_MINUTE_SHIFT, 0, MAPPED(first + i)) == WEIR_SEEN;
	return sum;
}

static void show_all(struct actor *actor, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		put_source(actor);
		for (int sent = 0; sent < SAMPLED; sent++)	/* each alone: repeats are slow to begin */
			run_frame(prog_fd, actor->frame, FRAME, 1);
	}
}

static void test_seen_cap(void)
{
	struct actor many = { "many", HOSTS, NET(198, 18, 0, 0), CANDIDATES, 1, 1 };
	const uint64_t cost = WEIR_TICKS_PER_S / SEEN_PER_S, left = 100;
	struct weir_common common;
	double start, seconds;
	uint32_t became, most;
	__u32 zero = 0;

	forget();
	build(&many);
	almost_known(many.first, CANDIDATES);
	/* As if all of the burst but @left had been used just now. */
	start = check_seconds();
	common = (struct weir_common){ .seen_tat = (now_ns() << WEIR_TICK_SHIFT) +
						   (SEEN_AT_ONCE - left) * cost };
	if (bpf_map_update_elem(program.maps.fd[MAP_common], &zero, &common, BPF_ANY))
		die("common", 0);
	show_all(&many, CANDIDATES);
	seconds = check_seconds() - start;
	became = known_of(many.first, CANDIDATES);
	most = left + SEEN_PER_S * seconds + 1;
	if (maps_read_common(&program.maps, &common))
		die("common", 0);
	CHECK(&check, became >= left && became <= most, "%u became known, of at most %u", became, most);
	/* A source that was put off is so by each of its samples. */
	CHECK(&check, common.seen_put_off >= CANDIDATES - became, "%llu put off",
	      (unsigned long long)common.seen_put_off);
	CHECK(&check, !common.known_full, "%llu full", (unsigned long long)common.known_full);
	check_done(&check, "65,536 sources at once become known without proof, and then eight a second",
		   "with room for %llu, %u of %u did in %.2f s, %llu times put off",
		   (unsigned long long)left, became, CANDIDATES, seconds,
		   (unsigned long long)common.seen_put_off);
}

/* ---- proof by a real connection, over generations ---- */

#define BRIEF_SHIFT	21	/* a generation lasts 2.1 s */

static uint64_t generation_now(void)
{
	return known_minute(now_ns(), BRIEF_SHIFT) >> WEIR_EPOCH_SHIFT;
}

/* Waits until a little after the beginning of @generation. */
static void wait_for_generation(uint64_t generation)
{
	while (generation_now() < generation)
		usleep(1000);
	usleep(50000);	/* the program's clock may be a tick behind */
}

/* A connection over lo, a segment of it, and one of another host with the same ports. */
struct connection {
	int listener, client;
	struct actor real, forged;
};

static void connect_over_lo(struct connection *connection)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct actor *real = &connection->real;
	socklen_t len = sizeof(address);

	*connection = (struct connection){ listen_at(80), socket(AF_INET, SOCK_STREAM, 0),
					   .real = { "real", HOSTS, INADDR_LOOPBACK, 1, 1, 1 } };
	if (connect(connection->client, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(connection->client, (struct sockaddr *)&address, &len))
		die("a connection over lo", 0);
	build(real);
	put_source(real);
	memcpy(real->frame + 30, &address.sin_addr, 4);
	memcpy(real->frame + 34, &address.sin_port, 2);
	connection->forged = *real;
	connection->forged.first = NET(198, 51, 100, 9);
	put_source(&connection->forged);
}

static void disconnect(const struct connection *connection)
{
	close(connection->client);
	close(connection->listener);
}

/* How many frames of the actor it takes under the flood until one passes; 0: none does. */
static unsigned int frames_until_one_passes(const struct actor *actor, struct actor *flood)
{
	for (unsigned int frames = 1; frames <= 2000; frames++) {
		for (int i = 0; i < 200; i++)
			transmit(flood, false);
		if (run_frame(prog_fd, actor->frame, FRAME, 1) == XDP_PASS)
			return frames;
	}
	return 0;
}

/* A newcomer that gets through a pressed budget need not wait until one of its packets is sampled. */
static void test_first_segment(void)
{
	struct actor flood[] = { { "flood", RANDOM_SOURCES, .pps = FLOOD_PPS } };
	enum weir_tier real, forged;
	struct connection connection;
	unsigned int frames;

	play(flood, 1, 0.5);
	connect_over_lo(&connection);
	frames = frames_until_one_passes(&connection.real, &flood[0]);
	frames_until_one_passes(&connection.forged, &flood[0]);
	real = tier_now(WEIR_MINUTE_SHIFT, 0, MAPPED(INADDR_LOOPBACK));
	forged = tier_now(WEIR_MINUTE_SHIFT, 0, MAPPED(connection.forged.first));
	disconnect(&connection);
	CHECK(&check, frames && real == WEIR_SEEN && forged < WEIR_SEEN, "%u frames, %s; forged: %s",
	      frames, tier_name(real), tier_name(forged));
	check_done(&check, "the first segment of a connection through a flood makes its source known",
		   "%u of its segments were sent, %s; forged: %s", frames, tier_name(real),
		   tier_name(forged));
}

#define GENERATIONS	5

/*
 * Proof in the first two generations, silence in three; the tier of the source in each. Returns
 * false where this process stood still beyond the end of one, so that nothing can be said.
 */
static bool live_through(int fd, const struct connection *connection, enum weir_tier *tier)
{
	uint64_t first = generation_now() + 1;

	for (int i = 0; i < GENERATIONS; i++) {
		enum weir_tier other;

		wait_for_generation(first + i);
		if (i < 2)
			run_frame(fd, connection->real.frame, FRAME, SAMPLED);
		if (i < 2)
			run_frame(fd, connection->forged.frame, FRAME, SAMPLED);
		tier[i] = tier_now(BRIEF_SHIFT, 0, MAPPED(INADDR_LOOPBACK));
		other = tier_now(BRIEF_SHIFT, 0, MAPPED(NET(198, 51, 100, 9)));
		CHECK(&check, other < WEIR_PROVEN, "the forged one has tier %s", tier_name(other));
		if (generation_now() != first + i)
			return false;
	}
	return true;
}

static void test_generations(int fd)
{
	enum weir_tier tier[GENERATIONS];
	struct connection connection;
	struct weir_counters counters;
	bool whole = false;

	connect_over_lo(&connection);
	for (int tries = 0; tries < 5 && !whole; tries++) {
		forget();
		take_counters(&program);
		whole = live_through(fd, &connection, tier);
	}
	counters = take_counters(&program);
	disconnect(&connection);
	if (!CHECK(&check, whole, "this process stood still for a generation, five times"))
		tier[0] = tier[1] = tier[2] = tier[3] = tier[4] = WEIR_FIRST_SEEN;
	CHECK(&check, tier[0] == WEIR_PROVEN && tier[1] == WEIR_LONG && tier[2] == WEIR_LONG &&
	      tier[3] < WEIR_PROVEN && tier[4] < WEIR_SEEN, "%s, %s, %s, %s, %s", tier_name(tier[0]),
	      tier_name(tier[1]), tier_name(tier[2]), tier_name(tier[3]), tier_name(tier[4]));
	CHECK(&check, counters.own >= 2 && counters.looked_up > counters.own, "%llu own of %llu",
	      (unsigned long long)counters.own, (unsigned long long)counters.looked_up);
	check_done(&check, "a connection is proof, again in the next generation for long, and it lapses",
		   "%s, %s, %s, %s, %s; %llu of %llu sockets were connected", tier_name(tier[0]),
		   tier_name(tier[1]), tier_name(tier[2]), tier_name(tier[3]), tier_name(tier[4]),
		   (unsigned long long)counters.own, (unsigned long long)counters.looked_up);
}

/* ---- two CPUs on one budget ---- */

struct shooter {
	pthread_t thread;
	unsigned int cpu;
	unsigned long long state;
	uint64_t sent, passed;
	double until, still;
};

static void *shoot(void *arg)
{
	struct shooter *shooter = arg;
	struct actor flood = { "flood", RANDOM_SOURCES };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(shooter->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	build(&flood);
	for (double now = check_seconds(), before; now < shooter->until;) {
		uint32_t source = check_random(&shooter->state);
		uint8_t out[128];
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = flood.frame, .data_size_in = FRAME,
			    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

		memcpy(flood.frame + 26, &source, 4);
		if (bpf_prog_test_run_opts(prog_fd, &opts))
			die("test run", 0);
		shooter->sent++;
		shooter->passed += opts.retval == XDP_PASS;
		before = now;
		now = check_seconds();
		shooter->still += now - before > STILL ? now - before : 0;
	}
	return NULL;
}

static void test_two_cpus(void)
{
	struct shooter shooters[2] = { { .cpu = 0, .state = 1 }, { .cpu = 1, .state = 2 } };
	double start, seconds, expected, still;
	uint64_t sum;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		check_skip("two CPUs and one budget", "this machine has one");
		return;
	}
	forget();
	start = check_seconds();
	for (int i = 0; i < 2; i++) {
		shooters[i].until = start + 2;
		pthread_create(&shooters[i].thread, NULL, shoot, &shooters[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(shooters[i].thread, NULL);
	seconds = check_seconds() - start;
	sum = shooters[0].passed + shooters[1].passed;
	/* All sources are first-seen: these have a quarter of the burst. */
	expected = RATE * seconds + RATE / 10 / 4;
	still = shooters[0].still < shooters[1].still ? shooters[0].still : shooters[1].still;
	CHECK(&check, (sum > 0.95 * expected || still > BUSY * seconds) && sum < 1.05 * expected,
	      "%llu of %.0f, %.2f s stood still", (unsigned long long)sum, expected, still);
	check_done(&check, "two CPUs and one budget", "%llu passed of %llu, %.0f expected",
		   (unsigned long long)sum,
		   (unsigned long long)(shooters[0].sent + shooters[1].sent), expected);
}

/* The same maps, and minutes of 2^@shift ns. */
static struct weir_bpf *load_with_minutes(unsigned int shift)
{
	struct weir_bpf *skel = weir_bpf__open();
	int rc;

	if (!skel)
		die("cannot open the program", 0);
	program_share(&program, skel->obj);
	skel->rodata->minute_shift = shift;
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	return skel;
}

static void test_sharing(void)
{
	struct weir_limit_spec spec = { .any_proto = 1, .rate_packets = RATE, .per_s = 1 };

	set_budget("all", &spec, NULL, NULL);
	test_calm();
	test_rate();
	test_two_cpus();
	test_known();
	test_too_many_known();
	test_returning();
	test_networks();
	test_neighbours();
	test_ipv6();
	for (enum weir_tier tier = WEIR_SEEN; tier < WEIR_TIERS; tier++)
		test_shares_of_known(tier);
	test_reserves();
	test_syn();
	test_first_segment();
	test_two_budgets();
}

int main(void)
{
	struct weir_bpf *skel = weir_bpf__open(), *quick, *brief;
	struct settings none;
	int rc;

	if (!skel)
		die("cannot open the program", 0);
	enter_namespace();
	random_state = check_seed();
	program_size(skel->obj, PROGRAM_BUCKETS);
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	program_take(&program, skel->obj);
	quick = load_with_minutes(QUICK_SHIFT);
	brief = load_with_minutes(BRIEF_SHIFT);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);

	test_sharing();
	if (settings_init(&none))	/* without a budget it is always calm */
		die("settings", -ENOMEM);
	program_set(&program, &none);
	test_learning(bpf_program__fd(quick->progs.weir_ingress));
	test_spoofed(bpf_program__fd(quick->progs.weir_ingress));
	test_look_ups_are_bounded(prog_fd);
	test_aliases(bpf_program__fd(quick->progs.weir_ingress));
	test_seen_cap();
	test_generations(bpf_program__fd(brief->progs.weir_ingress));
	test_in_step(bpf_program__fd(quick->progs.weir_ingress));
	test_a_million_known();
	test_one_network_fills_the_table();

	program_close(&program);
	weir_bpf__destroy(brief);
	weir_bpf__destroy(quick);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
