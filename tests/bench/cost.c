// SPDX-License-Identifier: GPL-2.0-only
/*
 * What weir's program costs per packet, by BPF_PROG_TEST_RUN on the typical
 * policy: 100 allow entries, a block set of a million prefixes, four classes.
 *
 * Cost is the program's time less that of the same program with its verdict
 * fixed (draw), and the ratio is to the time of an empty XDP_DROP in the same
 * round. Rounds go through all programs in turn, so that what else the machine
 * does hits all alike; the best and the median of the rounds are printed.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/cost.skel.h"
#include "user/datapath.h"
#include "user/lists.h"
#include "user/maps.h"
#include "user/parse.h"
#include "user/policy.h"

#define ROUNDS_DEFAULT	7
#define PACKETS		4000000U

enum list { LIST_NONE, LIST_1K, LIST_1M };

struct row {
	const char *name;
	enum { RUN_WEIR, RUN_PLAIN } program;
	enum list list;
	const char *rate;	/* of the default limit, NULL: none */
	bool limits;		/* the four classes beside it */
	bool ipv6, random;
	uint32_t sources, first, stride;
};

#define BLOCKED	0x0a000000U	/* 10.0.0.0/8 and up: in the lists */
#define ALLOWED	0xc0a80001U	/* in the allow list */
#define OTHERS	0xd0000000U	/* 208.0.0.0: in neither */

static const struct row rows[] = {
	{ "nothing set", .sources = 1, .first = OTHERS },
	{ "blocked, 1k prefixes", .list = LIST_1K, .rate = "1000pps", .limits = true,
	  .sources = 1, .first = BLOCKED },
	{ "blocked, 1M prefixes", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .sources = 1, .first = BLOCKED },
	{ "1k blocked in turn, 1k prefixes", .list = LIST_1K, .rate = "1000pps", .limits = true,
	  .sources = 1000, .first = BLOCKED, .stride = 256 },
	{ "1M blocked in turn, 1M prefixes", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .sources = 1000000, .first = BLOCKED, .stride = 256 },
	{ "allowed", .list = LIST_1M, .rate = "1000pps", .limits = true, .sources = 1,
	  .first = ALLOWED },
	{ "one source under its limit", .list = LIST_1M, .rate = "1000mpps", .limits = true,
	  .sources = 1, .first = OTHERS },
	{ "one source over its limit", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .sources = 1, .first = OTHERS },
	{ "1k sources in turn", .list = LIST_1M, .rate = "1mpps", .limits = true,
	  .sources = 1000, .first = OTHERS, .stride = 1 },
	{ "100k sources in turn", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .sources = 100000, .first = OTHERS, .stride = 1 },
	{ "1M sources in turn", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .sources = 1000000, .first = OTHERS, .stride = 1 },
	{ "every packet a new source", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .random = true, .stride = 1 },
	{ "1M sources all over limit", .list = LIST_1M, .rate = "2/min", .limits = true,
	  .sources = 1000000, .first = OTHERS, .stride = 1 },
	{ "IPv6, blocked, 1M prefixes", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .ipv6 = true, .sources = 1, .first = 0x20010000 },
	{ "IPv6, one source over", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .ipv6 = true, .sources = 1, .first = 0x30000000 },
	{ "IPv6, every packet a new source", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .ipv6 = true, .random = true, .stride = 1 },
	{ "IPv6, 1M in turn", .list = LIST_1M, .rate = "1000pps", .limits = true,
	  .ipv6 = true, .sources = 1000000, .first = 0x30000000, .stride = 1 },
	{ "plain LRU hash, 1 source", RUN_PLAIN, .sources = 1, .first = OTHERS },
	{ "plain LRU hash, 1M in turn", RUN_PLAIN, .sources = 1000000, .first = OTHERS,
	  .stride = 1 },
	{ "plain LRU hash, all new", RUN_PLAIN, .random = true, .stride = 1 },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

static void die(const char *what, int rc)
{
	fprintf(stderr, "cost: %s: %s\n", what, strerror(rc < 0 ? -rc : errno));
	exit(1);
}

/* ---- the policy ---- */

static void add_limit(struct settings *settings, struct weir_limit_spec spec, const char *rate_word)
{
	struct rate rate;
	char err[ERR_LEN];

	if (parse_rate(rate_word, &rate, err))
		die(err, -EINVAL);
	spec.rate_packets = rate.packets;
	spec.per_s = rate.per_s;
	if (policy_set(settings->policy, &spec, 32, 64, 0, err) < 0)
		die(err, -EINVAL);
}

static void fill_settings(struct settings *settings, const struct row *row)
{
	struct weir_limit_spec any = { .any_proto = 1 };
	struct weir_limit_spec syn = { .what = WEIR_SYN, .proto = IPPROTO_TCP };
	struct weir_limit_spec icmp = { .proto = IPPROTO_ICMP };
	struct weir_limit_spec dns = { .any_proto = 1, .dport_first = 53, .dport_last = 53 };
	char err[ERR_LEN];

	for (uint32_t i = 0; i < 100; i++) {
		struct prefix prefix = prefix_v4(ALLOWED + i * 0x10000, 32);
		struct weir_entry entry = { 0 };

		entries_put(&settings->allow, &prefix, &entry);
	}
	if (row->rate)
		add_limit(settings, any, row->rate);
	if (row->limits) {
		add_limit(settings, syn, "100/min");
		add_limit(settings, icmp, "10pps");
		add_limit(settings, dns, "100pps");
	}
	if (policy_compile(settings->policy, err))
		die(err, -EINVAL);
}

static void find_maps(struct maps *maps, struct cost_bpf *skel)
{
	*maps = (struct maps){ .lock = -1, .meta.seed = 0x5eed5eed5eed5eedULL };
	for (int i = 0; i < MAP_COUNT; i++)
		maps->fd[i] = bpf_object__find_map_fd_by_name(skel->obj, map_names[i]);
	maps->hints = mmap(NULL, (sizeof(*maps->hints) + 4095) & ~4095UL, PROT_READ | PROT_WRITE,
			   MAP_SHARED, maps->fd[MAP_hints], 0);
	if (maps->hints == MAP_FAILED)
		die("hints", 0);
}

/* Addresses a /24 apart from BLOCKED on, and a quarter as many IPv6 prefixes. */
static void write_list(struct maps *maps, enum list list)
{
	size_t count = list == LIST_1M ? 1000000 : list == LIST_1K ? 1000 : 0;
	struct prefixes set = { 0 };
	char err[ERR_LEN];
	int fd;

	for (size_t i = 0; i < count; i++) {
		struct prefix v4 = prefix_v4(BLOCKED + i * 256, 32);
		struct prefix v6 = { .hi = (0x20010000ULL + i) << 32 | i % 65536 << 16,
				     .length = i % 3 ? 64 : 48 };

		prefix_mask(&v6);
		if (prefixes_add(&set, &v4) || (i % 4 == 0 && prefixes_add(&set, &v6)))
			die("list", -ENOMEM);
	}
	if (prefixes_merge(&set) || lists_compile(maps, &set, 1, &fd, err))
		die("block set", -ENOMEM);
	maps_hint_set(maps, &set, false);
	if (maps_put_set(maps, fd))
		die("block set", 0);
	close(fd);
	prefixes_free(&set);
}

static void write_policy(struct maps *maps, const struct row *row)
{
	struct settings none, settings;
	char err[ERR_LEN];

	settings_init(&none);
	settings_init(&settings);
	fill_settings(&settings, row);
	if (maps_write_settings(maps, &none, &settings, true, err))
		die(err, -EIO);
	settings_free(&none);
	settings_free(&settings);
	write_list(maps, row->list);
}

/* ---- the runs ---- */

static size_t build_frame(uint8_t *frame, const struct row *row)
{
	static const uint8_t v4[] = { 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0,
				      192, 0, 2, 1, 0, 99, 0, 9, 0, 26, 0, 0 };
	static const uint8_t v6[] = { 0x60, 0, 0, 0, 0, 26, 17, 64 };
	uint32_t first = htonl(row->first);

	memset(frame, 0, 128);
	if (!row->ipv6) {
		frame[12] = 0x08;
		memcpy(frame + 14, v4, sizeof(v4));
		memcpy(frame + 14 + 12, &first, 4);
		return 60;
	}
	frame[12] = 0x86;
	frame[13] = 0xdd;
	memcpy(frame + 14, v6, sizeof(v6));
	memcpy(frame + 14 + 8, &first, 4);
	frame[14 + 40 + 5] = 26;
	return 80;
}

static double run(int prog_fd, uint8_t *frame, size_t size, uint32_t packets)
{
	uint8_t out[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = packets);
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run", 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / packets;
}

static void set_draw(struct cost_bpf *skel, const struct row *row)
{
	skel->bss->draw_sources = row->sources > 1 ? row->sources : 0;
	skel->bss->draw_random = row->random;
	skel->bss->draw_first = row->first;
	skel->bss->draw_ipv6 = row->ipv6;
	skel->bss->draw_stride = row->stride;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct cost_bpf *skel, const struct row *row, int rounds)
{
	double empty[64], cost[64], ratio[64];
	int weir = bpf_program__fd(row->program == RUN_PLAIN ? skel->progs.bench_plain :
							       skel->progs.bench_weir);
	uint8_t frame[128];
	size_t size = build_frame(frame, row);

	set_draw(skel, row);
	run(weir, frame, size, PACKETS);	/* tables and caches as in steady state */
	for (int i = 0; i < rounds; i++) {
		double draw;

		empty[i] = run(bpf_program__fd(skel->progs.bench_empty), frame, size, PACKETS);
		draw = run(bpf_program__fd(skel->progs.bench_draw), frame, size, PACKETS);
		cost[i] = run(weir, frame, size, PACKETS) - draw;
		ratio[i] = cost[i] / empty[i];
	}
	qsort(empty, rounds, sizeof(double), ascending);
	qsort(cost, rounds, sizeof(double), ascending);
	qsort(ratio, rounds, sizeof(double), ascending);
	printf("%-34s %6.1f %8.1f %8.1f %7.2fx %7.2fx\n", row->name, empty[rounds / 2], cost[0],
	       cost[rounds / 2], ratio[0], ratio[rounds / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS_DEFAULT;
	const char *only = argc > 2 ? argv[2] : NULL;
	struct cost_bpf *skel;
	struct maps maps;

	if (rounds < 1 || rounds > 64) {
		fprintf(stderr, "usage: cost [ROUNDS 1..64] [ROW]\n");
		return 2;
	}
	skel = cost_bpf__open_and_load();
	if (!skel)
		die("cannot load the programs (root?)", 0);
	find_maps(&maps, skel);
	printf("%-34s %6s %8s %8s %8s %8s\n", "", "empty", "cost ns", "cost ns", "ratio", "ratio");
	printf("%-34s %6s %8s %8s %8s %8s\n", "per packet", "ns", "best", "median", "best", "median");
	for (size_t i = 0; i < ROWS; i++) {
		if (only && !strstr(rows[i].name, only))
			continue;
		write_policy(&maps, &rows[i]);
		measure(skel, &rows[i], rounds);
	}
	cost_bpf__destroy(skel);
	return 0;
}
