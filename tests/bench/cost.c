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
#include <jansson.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/cost.skel.h"
#include "tests/datapath/core_time.h"
#include "user/host/clock.h"
#include "user/state/datapath.h"
#include "user/state/lists.h"
#include "user/state/known.h"
#include "user/state/maps.h"
#include "user/model/drop_rules.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/syn_rules.h"
#include "user/state/cookie_clock.h"
#include "user/model/units.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/side_settings.h"

#define ROUNDS_DEFAULT	7
#define ROUNDS_MAX	64
#define PACKETS_DEFAULT	4000000
#define PACKETS_MAX	100000000

enum list { LIST_NONE, LIST_1K, LIST_100K, LIST_1M };

static const size_t list_sizes[] = { 0, 1000, 100000, 1000000 };

struct row {
	const char *name;
	enum { RUN_WEIR, RUN_LRU, RUN_TRIE } program;
	enum list list;
	const char *rate;	/* of the default limit, NULL: none */
	const char *budget;	/* of the device, NULL: none */
	bool limits;		/* the four classes beside it */
	bool ipv6, random, shuffled;
	bool tcp;		/* segments of no connection, as if of an established one */
	bool syn;		/* SYNs to a port that cookies protect: answered */
	bool no_time;		/* but for the core, which has no time for it */
	uint32_t sources, first, stride;
	uint32_t bans;		/* of sources from @first on */
	uint32_t seen;		/* known sources without proof, from @first on */
	uint32_t rules;		/* drop rules, of which none matches */
	enum { BY_SPORT, BY_PROTO, BY_PAYLOAD, BY_TO } by;	/* by which it is seen */
	bool hit;		/* but for the last rule, which does */
	size_t frame_len;	/* 0: the least there is on Ethernet */
};

#define BLOCKED	  0x0a000000U	/* 10.0.0.0/8 and up: in the lists */
#define ALLOWED	  0xc0a80001U	/* in the allow list */
#define OTHERS	  0xd0000000U	/* 208.0.0.0: in neither */
#define BLOCKED_6 0x20010000ULL	/* the same of IPv6: the address's first 32 bits */
#define ALLOWED_6 0x2fff0000ULL
#define OTHERS_6  0x30000000U
#define STEP_4	  256		/* from one entry of a list to the next */
#define STEP_6	  4
#define FRAME_MAX 1514
#define PORT	  80

/* The typical policy; what a row says besides overrules it. */
#define TYPICAL	.list = LIST_1M, .rate = "1000pps", .limits = true, .sources = 1, .stride = 1, \
		.budget = "1000mpps"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct row rows[] = {
	{ "nothing set", .sources = 1, .first = OTHERS },
	{ "blocked, 1k prefixes", TYPICAL, .list = LIST_1K, .first = BLOCKED },
	{ "blocked, 100k prefixes", TYPICAL, .list = LIST_100K, .first = BLOCKED },
	{ "blocked, 1M prefixes", TYPICAL, .first = BLOCKED },
	{ "all of 1k blocked", TYPICAL, .list = LIST_1K, .shuffled = true, .sources = 1000,
	  .first = BLOCKED, .stride = STEP_4 },
	{ "all of 100k blocked", TYPICAL, .list = LIST_100K, .shuffled = true, .sources = 100000,
	  .first = BLOCKED, .stride = STEP_4 },
	{ "all of 1M blocked", TYPICAL, .shuffled = true, .sources = 1000000, .first = BLOCKED,
	  .stride = STEP_4 },
	{ "50k banned, in turn", TYPICAL, .sources = 50000, .bans = 50000, .first = OTHERS },
	{ "1M in turn beside 50k banned", TYPICAL, .sources = 1000000, .bans = 50000,
	  .first = OTHERS },
	{ "allowed", TYPICAL, .first = ALLOWED },
	{ "one source under its limit", TYPICAL, .rate = "1000mpps", .first = OTHERS },
	{ "one source over its limit", TYPICAL, .first = OTHERS },
	{ "same, frames of 1514 bytes", TYPICAL, .first = OTHERS, .frame_len = FRAME_MAX },
	{ "no drop rule", TYPICAL, .rate = "1000mpps", .first = OTHERS },
	{ "1 drop rule, other protocol", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 1,
	  .by = BY_PROTO },
	{ "1 drop rule, miss", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 1 },
	{ "16 drop rules, miss", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 16 },
	{ "64 drop rules, miss", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 64 },
	{ "64 drop rules by payload, miss", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 64,
	  .by = BY_PAYLOAD },
	{ "64 drop rules by prefix, miss", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 64,
	  .by = BY_TO },
	{ "1 drop rule, hit", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 1, .hit = true },
	{ "16 drop rules, hit", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 16,
	  .hit = true },
	{ "64 drop rules, hit", TYPICAL, .rate = "1000mpps", .first = OTHERS, .rules = 64,
	  .hit = true },
	{ "64 drop rules, hit, all new", TYPICAL, .rate = "1000mpps", .random = true, .rules = 64,
	  .hit = true },
	{ "1k sources in turn", TYPICAL, .rate = "1mpps", .sources = 1000, .first = OTHERS },
	{ "100k sources in turn", TYPICAL, .sources = 100000, .first = OTHERS },
	{ "1M sources in turn", TYPICAL, .sources = 1000000, .first = OTHERS },
	{ "every packet a new source", TYPICAL, .random = true },
	{ "TCP, one source under its limit", TYPICAL, .rate = "1000mpps", .first = OTHERS, .tcp = true },
	{ "TCP, one source over its limit", TYPICAL, .first = OTHERS, .tcp = true },
	{ "TCP, every packet a new source", TYPICAL, .random = true, .tcp = true },
	{ "1M sources all over limit", TYPICAL, .rate = "2/min", .sources = 1000000,
	  .first = OTHERS },
	{ "no budget, 1M sources in turn", TYPICAL, .budget = NULL, .sources = 1000000,
	  .first = OTHERS },
	{ "no budget, all new", TYPICAL, .budget = NULL, .random = true },
	{ "budget exhausted, one source", TYPICAL, .rate = "1000mpps", .budget = "1000pps",
	  .first = OTHERS },
	{ "budget exhausted, 1M in turn", TYPICAL, .budget = "1000pps", .sources = 1000000,
	  .first = OTHERS },
	{ "budget exhausted, all new", TYPICAL, .budget = "1000pps", .random = true },
	{ "budget exhausted, 20k seen, /24s", TYPICAL, .budget = "10kpps", .sources = 20000,
	  .seen = 20000, .first = OTHERS, .stride = 256 },
	{ "IPv6, blocked, 1k prefixes", TYPICAL, .ipv6 = true, .list = LIST_1K, .first = BLOCKED_6 },
	{ "IPv6, blocked, 100k prefixes", TYPICAL, .ipv6 = true, .list = LIST_100K,
	  .first = BLOCKED_6 },
	{ "IPv6, blocked, 1M prefixes", TYPICAL, .ipv6 = true, .first = BLOCKED_6 },
	{ "IPv6, all of 250k blocked", TYPICAL, .ipv6 = true, .shuffled = true, .sources = 250000,
	  .first = BLOCKED_6, .stride = STEP_6 },
	{ "IPv6, allowed", TYPICAL, .ipv6 = true, .first = ALLOWED_6 },
	{ "IPv6, one source under its limit", TYPICAL, .ipv6 = true, .rate = "1000mpps",
	  .first = OTHERS_6 },
	{ "IPv6, one source over its limit", TYPICAL, .ipv6 = true, .first = OTHERS_6 },
	{ "IPv6, 1k sources in turn", TYPICAL, .ipv6 = true, .rate = "1mpps", .sources = 1000,
	  .first = OTHERS_6 },
	{ "IPv6, 100k sources in turn", TYPICAL, .ipv6 = true, .sources = 100000,
	  .first = OTHERS_6 },
	{ "IPv6, 1M sources in turn", TYPICAL, .ipv6 = true, .sources = 1000000,
	  .first = OTHERS_6 },
	{ "IPv6, every packet a new source", TYPICAL, .ipv6 = true, .random = true },
	{ "IPv6, 1M sources all over limit", TYPICAL, .ipv6 = true, .rate = "2/min",
	  .sources = 1000000, .first = OTHERS_6 },
	{ "IPv6, budget exhausted, all new", TYPICAL, .ipv6 = true, .budget = "1000pps",
	  .random = true },
	{ "SYN answered by a cookie", TYPICAL, .syn = true, .limits = false,
	  .sources = 1000000, .first = OTHERS },
	{ "IPv6, SYN answered by a cookie", TYPICAL, .syn = true, .limits = false, .ipv6 = true,
	  .sources = 1000000, .first = OTHERS_6 },
	{ "SYN, no time to answer", TYPICAL, .syn = true, .no_time = true, .limits = false,
	  .random = true },
	{ "IPv6, SYN, no time to answer", TYPICAL, .syn = true, .no_time = true, .limits = false,
	  .ipv6 = true, .random = true },
	{ "plain LRU hash, one source", RUN_LRU, .sources = 1, .first = OTHERS },
	{ "plain LRU hash, 1k in turn", RUN_LRU, .sources = 1000, .first = OTHERS, .stride = 1 },
	{ "plain LRU hash, 100k in turn", RUN_LRU, .sources = 100000, .first = OTHERS,
	  .stride = 1 },
	{ "plain LRU hash, 1M in turn", RUN_LRU, .sources = 1000000, .first = OTHERS,
	  .stride = 1 },
	{ "plain LRU hash, all new", RUN_LRU, .random = true, .stride = 1 },
	{ "plain LPM trie, all of 1k", RUN_TRIE, .list = LIST_1K, .shuffled = true,
	  .sources = 1000, .first = BLOCKED, .stride = STEP_4 },
	{ "plain LPM trie, all of 100k", RUN_TRIE, .list = LIST_100K, .shuffled = true,
	  .sources = 100000, .first = BLOCKED, .stride = STEP_4 },
	{ "plain LPM trie, all of 1M", RUN_TRIE, .list = LIST_1M, .shuffled = true,
	  .sources = 1000000, .first = BLOCKED, .stride = STEP_4 },
};
#pragma GCC diagnostic pop

#define ROWS (sizeof(rows) / sizeof(*rows))

static uint32_t packets = PACKETS_DEFAULT;	/* of a run */

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

static void add_budget(struct settings *settings, const char *rate_word)
{
	struct weir_limit_spec all = { .any_proto = 1 };
	struct rate rate;
	char err[ERR_LEN];

	if (parse_rate(rate_word, &rate, err))
		die(err, -EINVAL);
	all.rate_packets = rate.packets;
	all.per_s = rate.per_s;
	if (budget_set(settings->policy, "all", &all, err) < 0)
		die(err, -EINVAL);
}

/* Under attack already: what its budget of SYNs has is soon used up. */
static void add_service(struct settings *settings)
{
	struct weir_limit_spec syn = { .what = WEIR_SYN, .proto = IPPROTO_TCP, .rate_packets = 10,
				       .per_s = 1, .dport_first = PORT, .dport_last = PORT };
	struct weir_syn_rule rule = { .first = PORT, .last = PORT, .timestamps = 1, .wscale = 7 };
	char err[ERR_LEN];

	if (budget_set(settings->policy, "syn", &syn, err) < 0 ||
	    syn_set(settings->policy, &rule, err) < 0)
		die(err, -EINVAL);
}

/* For packets from port 99 to 192.0.2.1, whose payload is zero. */
static void add_drop_rules(struct settings *settings, const struct row *row)
{
	for (uint32_t i = 0; i < row->rules; i++) {
		struct weir_rule_spec spec = { .match = WEIR_MATCH_PROTO, .proto = IPPROTO_UDP };
		struct prefix to = prefix_v4(0xc0000280 + i, 32);
		char err[ERR_LEN];

		snprintf(spec.name, sizeof(spec.name), "r%u", i);
		spec.sport[0].first = spec.sport[0].last = 1000 + i;
		if (row->hit && i == row->rules - 1)
			spec.sport[0].first = spec.sport[0].last = 99;
		prefix_to_key(&to, &spec.to);
		spec.payload = (struct weir_rule_bytes){ .value = 1 + i, .mask = 255, .count = 1 };
		if (row->by == BY_PROTO)
			spec.proto = IPPROTO_TCP;
		spec.match |= row->by == BY_PAYLOAD ? WEIR_MATCH_PAYLOAD :
			      row->by == BY_TO ? WEIR_MATCH_TO : WEIR_MATCH_SPORT;
		if (rule_set(settings->policy, &spec, err) < 0)
			die(err, -EINVAL);
	}
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
		struct prefix prefix_6 = { .hi = (ALLOWED_6 + i) * (1ULL << 32), .length = 48 };
		struct weir_entry entry = { 0 };

		entries_put(&settings->allow, i % 2 ? &prefix_6 : &prefix, &entry);
		if (!i)
			entries_put(&settings->allow, &prefix_6, &entry);
	}
	for (uint32_t i = 0; i < row->bans; i++) {
		struct prefix prefix = prefix_v4(row->first + i * row->stride, 32);
		struct weir_entry ban = { .until_ns = now_ns() + 3600 * NS_PER_S };

		entries_append(&settings->block, &prefix, &ban);
	}
	if (row->rate)
		add_limit(settings, any, row->rate);
	if (row->limits) {
		add_limit(settings, syn, "100/min");
		add_limit(settings, icmp, "10pps");
		add_limit(settings, dns, "100pps");
	}
	if (row->budget)
		add_budget(settings, row->budget);
	if (row->syn)
		add_service(settings);
	add_drop_rules(settings, row);
	if (policy_compile(settings->policy, err))
		die(err, -EINVAL);
}

static void find_maps(struct maps *maps, struct cost_bpf *skel)
{
	*maps = (struct maps){ .lock = -1, .meta.seed = 0x5eed5eed5eed5eedULL,
				     .meta.minute_shift = WEIR_MINUTE_SHIFT };
	for (int i = 0; i < MAP_COUNT; i++)
		maps->fd[i] = bpf_object__find_map_fd_by_name(skel->obj, map_names[i]);
	maps->hints = mmap(NULL, round_to_pages(sizeof(*maps->hints)), PROT_READ | PROT_WRITE,
			   MAP_SHARED, maps->fd[MAP_hints], 0);
	if (maps->hints == MAP_FAILED)
		die("hints", 0);
}

/* A trie of the same IPv4 addresses as in write_list(). */
static void write_trie(struct cost_bpf *skel, enum list list)
{
	int fd = bpf_map__fd(skel->maps.plain_trie);
	uint32_t value = 1;

	for (size_t i = 0; i < list_sizes[list]; i++) {
		uint32_t key[2] = { 32, htonl(BLOCKED + i * STEP_4) };

		if (bpf_map_update_elem(fd, key, &value, BPF_ANY))
			die("trie", 0);
	}
}

/* Addresses a /24 apart from BLOCKED on, and a quarter as many IPv6 prefixes. */
static void write_list(struct maps *maps, enum list list)
{
	size_t count = list_sizes[list];
	struct prefixes set = { 0 };
	char err[ERR_LEN];
	int fd;

	for (size_t i = 0; i < count; i++) {
		struct prefix v4 = prefix_v4(BLOCKED + i * STEP_4, 32);
		struct prefix v6 = { .hi = (BLOCKED_6 + i) << 32, .length = i % 3 ? 64 : 48 };

		if (prefixes_add(&set, &v4) || (i % STEP_6 == 0 && prefixes_add(&set, &v6)))
			die("list", -ENOMEM);
	}
	if (prefixes_merge(&set) || block_set_compile(maps, &set, 1, &fd, err))
		die("block set", -ENOMEM);
	hints_for_set(maps->hints, &set, false);
	if (block_set_put(maps, fd))
		die("block set", 0);
	close(fd);
	prefixes_free(&set);
}

static void write_policy(struct maps *maps, const struct row *row)
{
	static enum list in_force = LIST_NONE;
	struct settings none, settings;
	char err[ERR_LEN];

	settings_init(&none);
	settings_init(&settings);
	fill_settings(&settings, row);
	if (maps_write_settings(maps, &none, &settings, true, err))
		die(err, -EIO);
	settings_free(&none);
	settings_free(&settings);
	if (row->list != in_force) {
		write_list(maps, row->list);
		in_force = row->list;
	}
}

/* ---- the runs ---- */

#define FRAME_ROOM	2048

/* A SYN as Linux sends it: MSS, SACK, timestamps, window scale. Returns its length. */
static uint32_t build_syn(uint8_t *tcp)
{
	static const uint8_t options[] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7 };

	tcp[1] = 99;	/* source port */
	tcp[3] = PORT;
	tcp[12] = (20 + sizeof(options)) << 2;
	tcp[13] = 2;
	memcpy(tcp + 20, options, sizeof(options));
	return 20 + sizeof(options);
}

static uint32_t build_ack(uint8_t *tcp, uint32_t len)
{
	tcp[1] = 99;	/* source port */
	tcp[3] = PORT;
	tcp[12] = 20 << 2;
	tcp[13] = 16;
	return len;
}

static uint32_t build_udp(uint8_t *udp, uint32_t len)
{
	uint16_t said = htons(len);

	udp[1] = 99;	/* source port */
	udp[3] = 9;
	memcpy(udp + 4, &said, 2);
	return len;
}

/*
 * UDP of the least length, or with the payload that makes @row->frame_len; or a SYN,
 * padded to what the program puts in its place each time.
 */
static size_t build_frame(uint8_t *frame, const struct row *row)
{
	uint32_t ip_len = row->ipv6 ? 40 : 20, least = row->ipv6 ? 62 : 60;
	uint32_t len = row->frame_len ? row->frame_len : least, first = htonl(row->first);
	uint8_t *ip = frame + 14, proto = row->syn || row->tcp ? IPPROTO_TCP : IPPROTO_UDP;
	uint16_t payload, total;

	memset(frame, 0, FRAME_ROOM);
	len -= 14 + ip_len;
	len = row->syn ? build_syn(ip + ip_len) : row->tcp ? build_ack(ip + ip_len, len) :
							       build_udp(ip + ip_len, len);
	payload = htons(len);
	total = htons(len + ip_len);
	if (row->ipv6) {
		frame[12] = 0x86;
		frame[13] = 0xdd;
		ip[0] = 0x60;
		memcpy(ip + 4, &payload, 2);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, &first, 4);
		ip[24] = 0x20;
		ip[25] = 0x01;
	} else {
		frame[12] = 0x08;
		ip[0] = 0x45;
		memcpy(ip + 2, &total, 2);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, &first, 4);
		ip[16] = 192;
		ip[18] = 2;
		ip[19] = 1;
	}
	return row->syn ? sizeof(((struct cost_bpf__bss *)0)->draw_frame) : 14 + ip_len + len;
}

/*
 * Returns nanoseconds a packet, in CPU time of this thread: the call also waits for
 * RCU and for other processes on the core. The kernel's own figure is in whole
 * nanoseconds.
 */
static double run(int prog_fd, uint8_t *frame, size_t size)
{
	uint8_t out[FRAME_ROOM];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = packets);
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run", 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / packets;
}

static void set_draw(struct cost_bpf *skel, const struct row *row, const uint8_t *frame)
{
	skel->bss->draw_anew = row->syn;
	memcpy(skel->bss->draw_frame, frame, sizeof(skel->bss->draw_frame));
	skel->bss->draw_sources = row->sources > 1 ? row->sources : 0;
	skel->bss->draw_shuffled = row->shuffled;
	skel->bss->draw_random = row->random;
	skel->bss->draw_first = row->first;
	skel->bss->draw_ipv6 = row->ipv6;
	skel->bss->draw_stride = row->stride;
}

/* In a network namespace of its own, so that no port of the host is used. */
static void listen_alone(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	int fd;

	if (unshare(CLONE_NEWNET))
		die("network namespace", 0);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16))
		die("listener", 0);
}

/* No answer is charged to the core's time here: it has time for all SYNs, or for none. */
static void set_time(const struct maps *maps, bool none)
{
	if (put_core_time(maps, (struct weir_core_time){ .tat_ns = none ? ~0ULL >> 1 : 0 }))
		die("core_time", 0);
}

/* Makes the table of known sources hold those of the row alone. */
static void write_known(const struct maps *maps, const struct row *row)
{
	struct known known;
	char err[ERR_LEN];

	if (known_open(maps, &known, err))
		die(err, -EIO);
	known_flush(&known);
	for (uint32_t i = 0; i < row->seen; i++) {
		struct prefix source = prefix_v4(row->first + i * row->stride, 32);

		if (!known_add(&known, &source, WEIR_SEEN))
			die("known", -ENOSPC);
	}
	known_close(&known);
}

/* Removes the debts that the row before has left. */
static void forget_sources(const struct maps *maps)
{
	struct weir_gate_line idle = { 0 };
	int fd = maps->fd[MAP_buckets];
	struct weir_bucket_key key, next;
	bool more;

	for (uint32_t i = 0; i < WEIR_GATE_LINES; i++)
		if (bpf_map_update_elem(maps->fd[MAP_gate], &i, &idle, BPF_ANY))
			die("gate", 0);
	/* The next is asked for while the one before is still there: else it starts anew. */
	more = !bpf_map_get_next_key(fd, NULL, &key);
	while (more) {
		more = !bpf_map_get_next_key(fd, &key, &next);
		bpf_map_delete_elem(fd, &key);
		key = next;
	}
}

/* ---- the figures ---- */

/* Of all rounds: nanoseconds, and the ratio of cost to the empty program. */
struct figures {
	double best, median;
};

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct figures sum_up(double *values, int rounds)
{
	qsort(values, rounds, sizeof(*values), ascending);
	return (struct figures){ values[0], values[rounds / 2] };
}

static void report(json_t *rows_json, const struct row *row, struct figures empty,
		   struct figures cost, struct figures ratio)
{
	printf("%-32s %6.1f %8.1f %8.1f %8.2fx %8.2fx\n", row->name, empty.median, cost.best,
	       cost.median, ratio.best, ratio.median);
	fflush(stdout);
	if (json_array_append_new(rows_json,
				  json_pack("{s:s, s:{s:f,s:f}, s:{s:f,s:f}, s:{s:f,s:f}}", "name",
					    row->name, "empty_ns", "best", empty.best, "median",
					    empty.median, "cost_ns", "best", cost.best, "median",
					    cost.median, "ratio", "best", ratio.best, "median",
					    ratio.median)))
		die("json", -ENOMEM);
}

static void measure(struct cost_bpf *skel, const struct row *row, int rounds, json_t *rows_json)
{
	const struct bpf_program *programs[] = {
		[RUN_WEIR] = skel->progs.bench_weir,
		[RUN_LRU] = skel->progs.bench_plain,
		[RUN_TRIE] = skel->progs.bench_trie,
	};
	double empty[ROUNDS_MAX], cost[ROUNDS_MAX], ratio[ROUNDS_MAX];
	int program = bpf_program__fd(programs[row->program]);
	uint8_t frame[FRAME_ROOM];
	size_t size = build_frame(frame, row);

	set_draw(skel, row, frame);
	run(program, frame, size);	/* tables and caches as in steady state */
	for (int i = 0; i < rounds; i++) {
		double draw;

		empty[i] = run(bpf_program__fd(skel->progs.bench_empty), frame, size);
		draw = run(bpf_program__fd(skel->progs.bench_draw), frame, size);
		cost[i] = run(program, frame, size) - draw;
		ratio[i] = cost[i] / empty[i];
	}
	report(rows_json, row, sum_up(empty, rounds), sum_up(cost, rounds), sum_up(ratio, rounds));
}

static json_t *measure_all(struct cost_bpf *skel, struct maps *maps, int rounds, const char *only)
{
	json_t *rows_json = json_array();

	printf("%-32s %6s %8s %8s %9s %9s\n", "", "empty", "cost ns", "cost ns", "ratio", "ratio");
	printf("%-32s %6s %8s %8s %9s %9s\n", "per packet", "ns", "best", "median", "best",
	       "median");
	for (size_t i = 0; i < ROWS; i++) {
		if (only && !strstr(rows[i].name, only))
			continue;
		forget_sources(maps);
		set_time(maps, rows[i].no_time);
		if (rows[i].program == RUN_TRIE)
			write_trie(skel, rows[i].list);
		else
			write_policy(maps, &rows[i]);
		write_known(maps, &rows[i]);
		measure(skel, &rows[i], rounds, rows_json);
	}
	return rows_json;
}

/* @about: a file with what scripts/bench found out of the machine. */
static void write_json(const char *path, const char *about, int rounds, json_t *rows_json)
{
	json_error_t error;
	json_t *root = about ? json_load_file(about, 0, &error) : json_object();

	if (!root)
		die(error.text, -EINVAL);
	if (json_object_set_new(root, "rounds", json_integer(rounds)) ||
	    json_object_set_new(root, "packets", json_integer(packets)) ||
	    json_object_set(root, "cost", rows_json) ||
	    json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(5)))
		die(path, 0);
	json_decref(root);
}

/* As attach sets them, but no core is short of time, and no listener's cookie is ever old. */
static void set_constants(struct cost_bpf *skel)
{
	struct cookie_clock clock;

	skel->rodata->answer_weight = 0;
	if (!cookie_clock_read(&clock))
		return;
	skel->rodata->clock_fresh = UINT32_MAX;
	skel->rodata->clock_stamp_at = clock.stamp_at;
	skel->rodata->clock_group_at = clock.group_at;
	skel->rodata->clock_group_stamp_at = clock.group_stamp_at;
}

int main(int argc, char **argv)
{
	const char *only = NULL, *path = NULL, *about = NULL;
	int rounds = ROUNDS_DEFAULT;
	struct cost_bpf *skel;
	json_t *rows_json;
	struct maps maps;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "rounds"))
			rounds = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "packets"))
			packets = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "row"))
			only = argv[i + 1];
		else if (!strcmp(argv[i], "json"))
			path = argv[i + 1];
		else if (!strcmp(argv[i], "about"))
			about = argv[i + 1];
		else
			rounds = 0;
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || !packets || packets > PACKETS_MAX ||
	    argc % 2 == 0) {
		fprintf(stderr, "usage: cost [rounds 1..%d] [packets 1..%d] [row PART-OF-NAME] "
				"[json FILE] [about FILE]\n", ROUNDS_MAX, PACKETS_MAX);
		return 2;
	}
	skel = cost_bpf__open();
	if (skel)
		set_constants(skel);
	if (!skel || cost_bpf__load(skel))
		die("cannot load the programs (root?)", 0);
	find_maps(&maps, skel);
	listen_alone();
	rows_json = measure_all(skel, &maps, rounds, only);
	if (path)
		write_json(path, about, rounds, rows_json);
	json_decref(rows_json);
	cost_bpf__destroy(skel);
	return 0;
}
