// SPDX-License-Identifier: GPL-2.0-only
/*
 * One source, two CPUs at once, one limit: how many packets are admitted, in
 * real time.
 *
 * The schedule of both threads is made beforehand and kept by the program in
 * front of weir's. Two bounds: never more than rate * t + burst, and no fewer
 * than an exact token bucket admits at the very times at which the packets
 * came. With an even load that is rate * t + burst as well. It is less with a
 * burst of 1, as a token cannot wait for a late packet, and where the machine
 * stood still for a while.
 */
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include "bpf/pure/hash.h"
#include "tests/datapath/frame.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "tests/datapath/test_exact.skel.h"

#define ARRIVALS (1U << 21)
#define THREADS	 2
#define FLOWS	 12
#define FIRST	 0xc6336401U	/* 198.51.100.1 */
#define LEAD_NS	 20000000ULL	/* until both threads are at it */

struct arrival {
	uint64_t at_ns;
	uint32_t source, passed;
};

struct flow {
	uint64_t rate, burst;
	double load;
};

/* The flows run side by side, each from a source of its own. */
struct round {
	const char *what;
	double seconds;
	struct flow flow[FLOWS];
};

static const struct round rounds[] = {
	{ "10 and 1,000 pps", 3.0,
	  { { 10, 1, 1.5 }, { 10, 1, 20 }, { 10, 10, 1.5 }, { 10, 10, 20 }, { 10, 1000, 1.5 },
	    { 10, 1000, 20 }, { 1000, 1, 1.5 }, { 1000, 1, 20 }, { 1000, 10, 1.5 },
	    { 1000, 10, 20 }, { 1000, 1000, 1.5 }, { 1000, 1000, 20 } } },
	{ "100,000 pps at 1.5x", 0.8,
	  { { 100000, 1, 1.5 }, { 100000, 10, 1.5 }, { 100000, 1000, 1.5 } } },
	{ "100,000 pps, burst 1, at 20x", 0.5, { { 100000, 1, 20 } } },
	{ "100,000 pps, burst 10, at 20x", 0.5, { { 100000, 10, 20 } } },
	{ "100,000 pps, burst 1,000, at 20x", 0.5, { { 100000, 1000, 20 } } },
};

struct lane {
	pthread_t thread;
	unsigned int number;
	int prog_fd;
	uint32_t count;
	int error;
};

static struct test_exact_bpf *skels[THREADS];
static struct program program;
static struct arrival *arrivals;
static struct lane lanes[THREADS];
static struct arrival sorted[THREADS * ARRIVALS];

static void set_up(void)
{
	for (int i = 0; i < THREADS; i++) {
		struct test_exact_bpf *skel = test_exact_bpf__open();

		if (!skel)
			die("cannot open the program", 0);
		program_size(skel->obj, PROGRAM_BUCKETS);
		if (i) {
			program_share(&program, skel->obj);
			bpf_map__reuse_fd(skel->maps.arrivals,
					  bpf_map__fd(skels[0]->maps.arrivals));
		}
		skel->rodata->thread = i;
		if (test_exact_bpf__load(skel))
			die("cannot load the program", 0);
		if (!i)
			program_take(&program, skel->obj);
		skels[i] = skel;
		lanes[i] = (struct lane){ .number = i,
					  .prog_fd = bpf_program__fd(skel->progs.arrive) };
	}
	arrivals = mmap(NULL, THREADS * ARRIVALS * sizeof(*arrivals), PROT_READ | PROT_WRITE,
			MAP_SHARED, bpf_map__fd(skels[0]->maps.arrivals), 0);
	if (arrivals == MAP_FAILED)
		die("arrivals", 0);
}

static int by_time(const void *a, const void *b)
{
	const struct arrival *x = a, *y = b;

	return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

/* Even arrivals of each flow, alternately on one and the other CPU. */
static void make_schedule(const struct round *round, uint64_t start)
{
	for (int i = 0; i < THREADS; i++)
		lanes[i].count = 0;
	for (int f = 0; f < FLOWS && round->flow[f].rate; f++) {
		const struct flow *flow = &round->flow[f];
		double offered = flow->rate * flow->load;
		uint64_t packets = offered * round->seconds;

		for (uint64_t n = 0; n < packets; n++) {
			struct lane *lane = &lanes[n % THREADS];

			if (lane->count == ARRIVALS)
				die("the schedule", -ENOSPC);
			arrivals[lane->number * ARRIVALS + lane->count++] = (struct arrival){
				.at_ns = start + n * 1e9 / offered, .source = FIRST + f };
		}
	}
	for (int i = 0; i < THREADS; i++)
		qsort(&arrivals[i * ARRIVALS], lanes[i].count, sizeof(*arrivals), by_time);
}

static void set_limits(const struct round *round)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = program.settings.policy->next_serial;
	for (int f = 0; f < FLOWS && round->flow[f].rate; f++) {
		struct weir_limit_spec spec = { .any_proto = 1, .per_s = 1,
						.rate_packets = round->flow[f].rate,
						.burst_packets = round->flow[f].burst };
		char source[32];

		snprintf(source, sizeof(source), "198.51.100.%d/32", f + 1);
		add_limit(&settings, source, spec, 32, 64);
	}
	program_set(&program, &settings);
}

/* Runs on a CPU of its own, with priority over what else runs there. */
static void *run_lane(void *arg)
{
	struct lane *lane = arg;
	struct sched_param first = { .sched_priority = 1 };
	struct frame_bytes bytes;
	uint8_t out[128];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(lane->number, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	build_frame(&bytes, "ip4 udp:53 pad:18");
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes.at, .data_size_in = bytes.size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = lane->count);
	lane->error = bpf_prog_test_run_opts(lane->prog_fd, &opts) ? -errno : 0;
	return NULL;
}

/* All arrivals of a flow in the order in which they came; returns how many. */
static size_t collect(uint32_t source)
{
	size_t count = 0;

	for (int i = 0; i < THREADS; i++)
		for (uint32_t n = 0; n < lanes[i].count; n++)
			if (arrivals[i * ARRIVALS + n].source == source)
				sorted[count++] = arrivals[i * ARRIVALS + n];
	qsort(sorted, count, sizeof(*sorted), by_time);
	return count;
}

/* How many a token bucket admits that counts fractions of a packet, and starts full. */
static uint64_t exact_bucket(const struct flow *flow, size_t count)
{
	double tokens = flow->burst;
	uint64_t admitted = 0, last = sorted[0].at_ns;

	for (size_t i = 0; i < count; i++) {
		tokens += (sorted[i].at_ns - last) * 1e-9 * flow->rate;
		last = sorted[i].at_ns;
		if (tokens > flow->burst)
			tokens = flow->burst;
		if (tokens >= 1 - 1e-9) {
			tokens -= 1;
			admitted++;
		}
	}
	return admitted;
}

static void judge_flow(struct check *check, const struct flow *flow, uint32_t source)
{
	size_t count = collect(source);
	double seconds = (sorted[count - 1].at_ns - sorted[0].at_ns) * 1e-9;
	double bound = flow->rate * seconds + flow->burst, offered = count / seconds;
	uint64_t passed = 0, exact = exact_bucket(flow, count);
	double slack = bound * 0.01 > 1 ? bound * 0.01 : 1;
	char what[128];

	for (size_t i = 0; i < count; i++)
		passed += sorted[i].passed;
	CHECK(check, passed <= bound + 1, "%llu admitted, rate x t + burst is %.1f",
	      (unsigned long long)passed, bound);
	CHECK(check, passed + slack >= (count < bound ? count : exact),
	      "%llu admitted, %llu by an exact bucket", (unsigned long long)passed,
	      (unsigned long long)exact);
	snprintf(what, sizeof(what), "%llu pps, burst %llu, at %.1fx on two CPUs",
		 (unsigned long long)flow->rate, (unsigned long long)flow->burst, flow->load);
	check_done(check, what,
		   "%llu of %zu admitted in %.2f s at %.0f pps, rate x t + burst %.1f, exact "
		   "bucket %llu", (unsigned long long)passed, count, seconds, offered, bound,
		   (unsigned long long)exact);
}

static void run_round(struct check *check, const struct round *round)
{
	struct weir_counters counters;
	uint64_t offered = 0;

	set_limits(round);
	take_counters(&program);
	for (int i = 0; i < THREADS; i++)
		skels[i]->bss->done[i] = 0;
	make_schedule(round, 0);
	for (int i = 0; i < THREADS; i++) {	/* sorting took time */
		uint64_t start = now_ns() + LEAD_NS;

		if (i)
			start = arrivals[0].at_ns;
		for (uint32_t n = 0; n < lanes[i].count; n++)
			arrivals[i * ARRIVALS + n].at_ns += start;
		offered += lanes[i].count;
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]))
			die("cannot start a thread", 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(lanes[i].thread, NULL);
		if (lanes[i].error)
			die("test run", lanes[i].error);
	}
	counters = take_counters(&program);
	CHECK(check, count_packets(&counters) == offered, "%llu counted of %llu",
	      (unsigned long long)count_packets(&counters), (unsigned long long)offered);
	check_done(check, round->what, "%llu packets, all counted, %llu contended",
		   (unsigned long long)offered,
		   (unsigned long long)counters.reason[WEIR_DROP_CONTENDED].packets);
	for (int f = 0; f < FLOWS && round->flow[f].rate; f++)
		judge_flow(check, &round->flow[f], FIRST + f);
}

int main(void)
{
	struct check check = { 0 };

	datapath_verbose(false);
	if (sysconf(_SC_NPROCESSORS_ONLN) < THREADS) {
		check_skip("one source on two CPUs", "this machine has one CPU");
		return 0;
	}
	set_up();
	for (size_t i = 0; i < sizeof(rounds) / sizeof(*rounds); i++)
		run_round(&check, &rounds[i]);
	program_close(&program);
	for (int i = 0; i < THREADS; i++)
		test_exact_bpf__destroy(skels[i]);
	return check_exit(&check);
}
