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
#include "tests/datapath/program.h"
#include "bpf/pure/known_line.h"
#include "user/host/clock.h"
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
	bool known, syn;
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
	tcp[3] = 80;
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
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	for (uint32_t i = 0; i < actor->count; i++) {
		struct prefix source = prefix_v4(actor->first + i * actor->stride, 32);

		if (!known_add(&known, &source, WEIR_PROVEN))
			die("a known source found no room", -ENOSPC);
	}
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
		if (actors[i].known)
			introduce(&actors[i]);
	}
	for (now = start; now < start + SETTLE + seconds; now = check_seconds()) {
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
		{ "known", HOSTS, NET(203, 0, 113, 0), 200, 1, RATE * 6 / 10, .known = true },
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
		{ "known", HOSTS, NET(203, 0, 113, 0), 200, 1, RATE * 4, .known = true },
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
		{ "known", HOSTS, NET(10, 1, 7, 77), 1, 1, 50, .known = true },
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

int main(void)
{
	struct weir_limit_spec spec = { .any_proto = 1, .rate_packets = RATE, .per_s = 1 };
	struct weir_bpf *skel = weir_bpf__open(), *quick = weir_bpf__open();
	int rc;

	if (!skel || !quick)
		die("cannot open the program", 0);
	random_state = check_seed();
	program_size(skel->obj, PROGRAM_BUCKETS);
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	program_take(&program, skel->obj);
	program_share(&program, quick->obj);
	quick->rodata->minute_shift = 27;
	rc = weir_bpf__load(quick);
	if (rc)
		die("cannot load the program", rc);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);

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
	test_syn();
	test_learning(bpf_program__fd(quick->progs.weir_ingress));
	test_a_million_known();
	test_one_network_fills_the_table();

	program_close(&program);
	weir_bpf__destroy(quick);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
