// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each reason of WEIR_REASONS is provoked here, by packets in a state of the maps that calls for
 * it; a reason without a row fails the test. Where one reason is returned in several places, each
 * has a row. Races, a full table and a kernel without cookies are made by test_reasons.bpf.c, the
 * program with a switch for each.
 */
#include <linux/bpf.h>

#include "tests/datapath/core_time.h"
#include "tests/datapath/frame.h"
#include "tests/datapath/namespace.h"
#include "tests/datapath/program.h"
#include "tests/datapath/test_reasons.skel.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/model/syn_rules.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/known.h"

#define BUCKETS		8	/* so that the last row can fill the table */
#define MS		1000000ULL

static struct test_reasons_bpf *skel;
static struct program program;
static struct check check;
static uint32_t slot;		/* of the budget */
static struct frame_bytes answered;
static uint32_t cookie;

/* ---- settings: of 192.0.2.0/24, one source or network for each stage ---- */

#define ALLOWED		1
#define BLOCKED		2
#define BANNED		3
#define LISTED		4
#define KNOWN		5
#define SOURCE		10	/* has no entry and no limit */
#define LIMITED		64	/* of 192.0.2.64/26: one packet an hour */
#define ROOMY		128	/* of 192.0.2.128/26: a thousand an hour */

static void add_limits(struct settings *settings)
{
	struct weir_limit_spec spec = { .any_proto = 1, .per_s = 3600 };

	spec.rate_packets = spec.burst_packets = 1;
	add_limit(settings, "192.0.2.64/26", spec, 32, 64);
	spec.rate_packets = spec.burst_packets = 1000;
	add_limit(settings, "192.0.2.128/26", spec, 32, 64);
}

static void add_budget(struct settings *settings)
{
	struct weir_limit_spec spec = { .proto = IPPROTO_UDP, .dport_first = 5000,
					.dport_last = 5000, .rate_packets = 6, .per_s = 60,
					.burst_packets = 96 };
	char err[ERR_LEN];

	if (budget_set(settings->policy, "reasons", &spec, err) < 0)
		die(err, -EINVAL);
}

static void add_rule(struct settings *settings)
{
	struct weir_syn_rule rule = { .first = 80, .last = 80, .always = 1, .timestamps = 1 };
	char err[ERR_LEN];

	if (syn_set(settings->policy, &rule, err) < 0)
		die(err, -EINVAL);
	add_dns_rule(settings, 5000, false, NULL);
}

static void set_list(const char *text)
{
	struct prefixes set = { 0 };
	struct prefix prefix;
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err) || prefixes_add(&set, &prefix))
		die("list", -EINVAL);
	program_put_set(&program, &set, 1);
}

static void set_all(void)
{
	struct prefix known_source = prefix_v4(0xc0000200 | KNOWN, 32);
	struct settings settings;
	struct known known;
	char err[ERR_LEN];

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	add_limits(&settings);
	add_budget(&settings);
	add_rule(&settings);
	add_drop_rule(&settings, "reasons proto gre length 20-2000 from 192.0.2.0/24", 0);
	add_entry(&settings.allow, "192.0.2.1", 0);
	add_entry(&settings.block, "192.0.2.2", 0);
	add_entry(&settings.block, "192.0.2.3", now_ns() + 3600000 * MS);
	program_set(&program, &settings);
	set_list("192.0.2.4/32");
	while (slot < WEIR_BUDGETS && !program.settings.policy->budget_spec[slot].limit.used)
		slot++;
	if (known_open(&program.maps, &known, err) || !known_add(&known, &known_source, WEIR_PROVEN))
		die("known", -EIO);
	known_close(&known);
}

/* ---- states of the maps ---- */

static void put_element(enum map_id map, uint32_t index, const void *value)
{
	if (bpf_map_update_elem(program.maps.fd[map], &index, value, BPF_ANY))
		die(map_names[map], 0);
}

/*
 * The budget is under pressure, and owes this many sixteenths of its burst. One is a minute's
 * packets, and the pressure lasts for ten seconds: this process may have to wait for its CPU.
 */
static void owe_budget(uint32_t sixteenths)
{
	const struct weir_limit *budget = &program.settings.policy->budget[slot];
	struct weir_budget_state is = { .pressed_ns = now_ns() + 10000 * MS,
					.used_ns = now_ns(),
					.adjust_ns = now_ns() + 3600000 * MS };
	struct weir_spending *each = calloc(libbpf_num_possible_cpus(), sizeof(*each));

	if (!each)
		die("spending", -ENOMEM);
	is.tat = (now_ns() << WEIR_TICK_SHIFT) + budget->burst / 16 * sixteenths;
	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		is.used[tier] = now_ns() << 6;
		is.reserve_tat[tier] = is.tat + 16 * budget->burst;
	}
	put_element(MAP_budgets, slot, &is);
	put_element(MAP_spending, slot, each);
	free(each);
}

static void press(void)
{
	owe_budget(0);
}

static void press_quarter(void)
{
	owe_budget(3);
}

static void press_all(void)
{
	owe_budget(17);
}

static void no_strays(void)
{
	struct weir_common common = { .strays_tat = (now_ns() + 10000 * MS) << WEIR_TICK_SHIFT };

	put_element(MAP_common, 0, &common);
}

static void no_answers(void)
{
	struct weir_common common = { .answers_tat = (now_ns() + 10000 * MS) << WEIR_TICK_SHIFT };

	put_element(MAP_common, 0, &common);
}

static void no_core_time(void)
{
	struct weir_core_time time = { .tat_ns = now_ns() + 10000 * MS, .cost_ns = 1000 };

	if (put_core_time(&program.maps, time))
		die("core_time", 0);
}

static void no_time_for_acks(void)
{
	struct weir_core_time time = { .ack_tat_ns = now_ns() + 10000 * MS, .ack_cost_ns = 300 };

	if (put_core_time(&program.maps, time))
		die("core_time", 0);
}

static void press_without_answers(void)
{
	press_all();
	no_answers();
}

/* Frames of the link have used up what the device allows. */
static void no_link(void)
{
	struct weir_link link = { .tat = (now_ns() + 10000 * MS) << WEIR_TICK_SHIFT };

	put_element(MAP_links, 0, &link);
}

/* What the heartbeats of the service at port 80 owe: the TAT so many ms from now. */
static void owe_beats(int64_t ms)
{
	const struct weir_service service = { .to_lo = 0xffffc6336401ULL, .port = 80 };
	__u64 tat = (now_ns() + ms * MS) << WEIR_TICK_SHIFT;

	if (bpf_map_update_elem(program.maps.fd[MAP_beats], &service, &tat, BPF_ANY))
		die("beats", 0);
}

static void beat_never(void)
{
	const struct weir_service service = { .to_lo = 0xffffc6336401ULL, .port = 80 };

	bpf_map_delete_elem(program.maps.fd[MAP_beats], &service);
}

static void beat_before(void)
{
	owe_beats(-1000);
}

static void beat_long_ago(void)
{
	owe_beats(-60000);
}

static void beats_used_up(void)
{
	owe_beats(60000);
}

static void lose_all_swaps(void)
{
	skel->data->first_lost = 0;
}

/* The device's succeeds. */
static void lose_link(void)
{
	skel->data->first_lost = 1;
}

/* The gate's two succeed. */
static void lose_bucket_swaps(void)
{
	skel->data->first_lost = 2;
}

/* The swap of all services' heartbeats is the first: answers take theirs only after it. */
static void lose_beat(void)
{
	beat_before();
	skel->data->first_lost = 0;
}

static void make_no_cookies(void)
{
	beats_used_up();
	skel->bss->no_cookies = 1;
}

/* What a row has changed. */
static void put_back(void)
{
	struct weir_common idle = { 0 };
	struct weir_gate_line line = { 0 };
	struct weir_link link = { 0 };

	put_element(MAP_common, 0, &idle);
	put_element(MAP_links, 0, &link);
	for (uint32_t i = 0; i < WEIR_GATE_LINES; i++)
		put_element(MAP_gate, i, &line);
	if (put_core_time(&program.maps, (struct weir_core_time){ .cost_ns = 1000 }))
		die("core_time", 0);
	skel->data->first_lost = ~0U;
	skel->bss->no_cookies = 0;
}

/* ---- changes of the frame ---- */

static void cut_tag(struct frame_bytes *frame)
{
	memcpy(frame->at + 12, "\x81\x00", 2);
	frame->size = 16;
}

static void from_mapped(struct frame_bytes *frame)
{
	memset(frame->at + frame->ip + 8, 0, 10);
	memset(frame->at + frame->ip + 18, 0xff, 2);
}

static void to_broadcast(struct frame_bytes *frame)
{
	memset(frame->at, 0xff, 6);
}

static void fin(struct frame_bytes *frame)
{
	frame->at[frame->l4 + 13] |= 1;
}

static void rst(struct frame_bytes *frame)
{
	frame->at[frame->l4 + 13] = 4;
}

/* The ACK of the last answer. */
static void acknowledge(struct frame_bytes *frame)
{
	uint32_t number = be32_at(answered.at + answered.l4 + 4) + 1;

	*frame = answered;
	frame->at[frame->l4 + 13] = 0x10;
	put32(frame->at + frame->l4 + 4, number);
	put32(frame->at + frame->l4 + 8, cookie + 1);
}

/* ---- rows ---- */

struct row {
	enum weir_reason reason;
	const char *what, *words;
	uint8_t source;			/* the last byte of its address */
	void (*prepare)(void);
	void (*change)(struct frame_bytes *frame);
	uint32_t most;			/* packets until it comes; 0: the first */
	bool each;			/* each of another source, from @source on */
};

static const struct row rows[] = {
	{ WEIR_PASS_NO_LIMIT, "no limit", "ip4 udp:53", SOURCE },
	{ WEIR_PASS_LIMIT, "from its bucket", "ip4 udp:53", LIMITED },
	{ WEIR_DROP_RATE, "the second of one", "ip4 udp:53", LIMITED, .most = 2 },
	{ WEIR_PASS_LIMIT, "through the gate", "ip4 udp:53", ROOMY },
	{ WEIR_PASS_ALLOW, "allow entry", "ip4 udp:53", ALLOWED },
	{ WEIR_PASS_ARP, "ARP", "arp", 0 },
	{ WEIR_PASS_NEIGHBOUR, "neighbour discovery", "ip6 icmp6:135 data:16 hl=255", 0 },
	{ WEIR_PASS_NOT_IP, "LLDP", "type:88cc data:40", 0 },
	{ WEIR_DROP_VLAN, "three tags", "vlan vlan qinq ip4 udp:53", 0 },
	{ WEIR_DROP_ARP, "no room of the device", "arp", 0, no_link },
	{ WEIR_DROP_ARP, "no room of the neighbour", "arp", 0, .most = 20000 },
	{ WEIR_DROP_ARP, "the neighbour's cells are another CPU's", "arp", 0, lose_link },
	{ WEIR_DROP_NEIGHBOUR, "no room of the device", "ip6 icmp6:135 data:16 hl=255", 0, no_link },
	{ WEIR_DROP_NOT_IP, "no room of the device", "type:88cc data:40", 0, no_link },
	{ WEIR_PASS_NOT_IP, "a network of its own", "type:8864 data:40", 0, no_link },
	{ WEIR_DROP_IPV6, "a mapped address", "ip6 udp:53", SOURCE, .change = from_mapped },
	{ WEIR_DROP_ETHERNET, "a tag cut off", "data:4", 0, .change = cut_tag },
	{ WEIR_DROP_IPV4, "version", "ip4 udp:53 ver=5", SOURCE },
	{ WEIR_DROP_IPV4, "length", "ip4 udp:53 len=29", SOURCE },
	{ WEIR_DROP_IPV6, "version", "ip6 udp:53 ver=4", SOURCE },
	{ WEIR_DROP_IPV6, "length", "ip6 udp:53 len=9", SOURCE },
	{ WEIR_DROP_IPV6_CHAIN, "a header cut off", "ip6 proto:0 data:7 pad:30", SOURCE },
	{ WEIR_DROP_IPV6_CHAIN, "a header beyond the end", "ip6 proto:60 data:8 pad:40", SOURCE },
	{ WEIR_DROP_IPV6_CHAIN, "too many headers",
	  "ip6 hop dst rt ah dst dst dst dst dst tcp:443", SOURCE },
	{ WEIR_DROP_TCP, "no room", "ip4 proto:6 data:19 pad:30", SOURCE },
	{ WEIR_DROP_TCP, "data offset", "ip4 tcp:80 doff=4", SOURCE },
	{ WEIR_DROP_TCP, "SYN with FIN", "ip4 syn:80", SOURCE, .change = fin },
	{ WEIR_DROP_UDP, "no room", "ip4 proto:17 pad:40", SOURCE },
	{ WEIR_DROP_UDP, "length", "ip4 udp:53 udplen=7", SOURCE },
	{ WEIR_DROP_ICMP, "length", "ip4 proto:1 data:7 pad:20", SOURCE },
	{ WEIR_DROP_BLOCK, "block entry", "ip4 udp:53", BLOCKED },
	{ WEIR_DROP_BAN, "ban", "ip4 udp:53", BANNED },
	{ WEIR_DROP_RULE, "drop rule", "ip4 proto:47 data:8", SOURCE },
	{ WEIR_PASS_NO_LIMIT, "a known source that a drop rule spares", "ip4 proto:47 data:8", KNOWN },
	{ WEIR_DROP_LIST, "list", "ip4 udp:53", LISTED },
	{ WEIR_DROP_CONTENDED, "in the gate", "ip4 udp:53", ROOMY + 1, lose_all_swaps },
	{ WEIR_DROP_CONTENDED, "in its bucket", "ip4 udp:53", LIMITED + 1, lose_bucket_swaps },
	{ WEIR_PASS_KNOWN, "a known source under pressure", "ip4 udp:5000", KNOWN, press },
	{ WEIR_PASS_NEWCOMER, "a newcomer under pressure", "ip4 udp:5000", SOURCE, press },
	{ WEIR_DROP_SHED, "no room for its tier", "ip4 udp:5000", SOURCE + 1, press_all },
	{ WEIR_DROP_SHARE, "beyond its share", "ip4 udp:5000", SOURCE, press_quarter, .most = 50,
	  .each = true },
	{ WEIR_DROP_BUDGET, "a known source, and all is used up", "ip4 udp:5000", KNOWN,
	  press_all },
	{ WEIR_PASS_NEWCOMER, "the first heartbeat", "ip4 syn:80", SOURCE, beat_never },
	{ WEIR_PASS_NEWCOMER, "a heartbeat of any kind, long after the last", "ip4 syn:80", SOURCE,
	  beat_long_ago },
	{ WEIR_PASS_NEWCOMER, "a heartbeat with right sums", "ip4 syn:80", SOURCE, beat_before,
	  set_sums },
	{ WEIR_TX_COOKIE, "no heartbeat with wrong sums", "ip4 syn:80", SOURCE, beat_before },
	{ WEIR_DROP_COOKIES, "the heartbeat is another CPU's, and so are answers", "ip4 syn:80",
	  SOURCE, lose_beat, set_sums },
	{ WEIR_TX_COOKIE, "the heartbeats are used up", "ip4 syn:80 pad:20", SOURCE, beats_used_up },
	{ WEIR_PASS_COOKIE, "the ACK of that", "ip4 tcp:80", SOURCE, NULL, acknowledge },
	{ WEIR_DROP_NO_ANSWER, "the kernel makes no cookie", "ip4 syn:80", SOURCE + 2,
	  make_no_cookies },
	{ WEIR_DROP_COOKIES, "to all hosts", "ip4 syn:80", SOURCE + 3, beats_used_up, to_broadcast },
	{ WEIR_DROP_COOKIES, "no answers left", "ip4 syn:80", SOURCE + 3, no_answers, .most = 300 },
	{ WEIR_DROP_STRAY_ACK, "no strays left", "ip4 tcp:80", SOURCE + 3, no_strays, .most = 300 },
	{ WEIR_DROP_STRAY_ACK, "no strays left, RST", "ip4 tcp:80", SOURCE + 3, no_strays, rst,
	  .most = 300 },
	{ WEIR_DROP_FIRST_SYN, "no core time left", "ip4 syn:80", SOURCE + 3, no_core_time },
	{ WEIR_DROP_FIRST_ACK, "no core time left", "ip4 tcp:80", SOURCE + 3, no_time_for_acks },
	{ WEIR_DROP_FIRST_ACK, "no core time left, RST", "ip4 tcp:80", SOURCE + 3, no_time_for_acks,
	  rst },
	{ WEIR_TX_DNS, "a query beyond the budget", "ip4 udp:5000 data:17", SOURCE + 4, press_all,
	  put_query },
	{ WEIR_PASS_NEWCOMER, "a query for which the budget has scraps", "ip6 udp:5000 data:17", SOURCE + 4,
	  press, put_query },
	{ WEIR_DROP_DNS, "no answers left", "ip4 udp:5000 data:17", SOURCE + 5,
	  press_without_answers, put_query, .most = 300 },
	{ WEIR_DROP_TABLE_FULL, "no room for a bucket", "ip4 udp:53", LIMITED + 2,
	  .most = BUCKETS + 1, .each = true },
};

/* ---- running them ---- */

static enum weir_reason run(const struct frame_bytes *frame)
{
	static uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at, .data_size_in = frame->size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);
	struct weir_counters counters;

	take_counters(&program);
	skel->bss->swaps = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.weir_ingress), &opts))
		die("test run", 0);
	counters = take_counters(&program);
	if (opts.retval == XDP_TX) {
		answered = *frame;
		cookie = be32_at(out + frame->ip + (frame->v6 ? 40 : 20) + 4);
	}
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (counters.reason[i].packets)
			return i;
	return WEIR_REASON_MAX;
}

static bool provoke(const struct row *row)
{
	enum weir_reason reason = WEIR_REASON_MAX;
	struct frame_bytes frame;

	put_back();
	if (row->prepare)
		row->prepare();
	for (uint32_t i = 0; reason != row->reason && i < (row->most ? row->most : 1); i++) {
		build_frame(&frame, row->words);
		memcpy(frame.at, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 }, 12);
		if (row->source)
			set_source(&frame, row->source + (row->each ? i : 0));
		if (row->change)
			row->change(&frame);
		reason = run(&frame);
	}
	return CHECK(&check, reason == row->reason, "%s, %s (%s): %s", reason_name(row->reason),
		     row->what, row->words,
		     reason < WEIR_REASON_MAX ? reason_name(reason) : "no reason");
}

static void load(void)
{
	struct bpf_map *buckets;

	skel = test_reasons_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	/* Of an LRU table the kernel evicts; what happens without room is the same in a plain one. */
	buckets = bpf_object__find_map_by_name(skel->obj, map_names[MAP_buckets]);
	if (!buckets || bpf_map__set_type(buckets, BPF_MAP_TYPE_HASH))
		die("the table of buckets", 0);
	program_size(skel->obj, BUCKETS);
	skel->rodata->link_cost = WEIR_TICKS_PER_S / 10000;
	if (test_reasons_bpf__load(skel))
		die("cannot load the program", 0);
	program_take(&program, skel->obj);
}

int main(void)
{
	uint32_t met[WEIR_REASON_MAX] = { 0 };
	uint32_t count = sizeof(rows) / sizeof(*rows);

	enter_namespace();
	listen_at(80);
	load();
	set_all();
	for (uint32_t i = 0; i < count; i++)
		met[rows[i].reason] += provoke(&rows[i]);
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		CHECK(&check, met[i], "no packet of this test meets the reason %s: give it a row",
		      reason_name(i));
	check_done(&check, "each reason is met by a packet that is made for it",
		   "%d reasons, %u packets", WEIR_REASON_MAX, count);
	program_close(&program);
	test_reasons_bpf__destroy(skel);
	return check_exit(&check);
}
