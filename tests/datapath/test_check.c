// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `weir check` says and what the program does, about the same packets: random ones, under
 * random policies, entries, lists, budgets, cookies and debts, in a network namespace where this
 * process listens.
 *
 * Time goes on between the question and the run. So the question is asked twice of the same
 * copies of the maps, once with the time before the run and once with that after it; where the
 * two answers differ, what decides changed in between, and the packet is not counted.
 */
#include <linux/bpf.h>
#include <sched.h>
#include <time.h>

#include "bpf/weir.skel.h"
#include "tests/datapath/core_time.h"
#include "tests/datapath/frame.h"
#include "tests/datapath/namespace.h"
#include "tests/datapath/packets.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/model/syn_rules.h"
#include "user/state/block_set.h"
#include "user/state/cookie_clock.h"
#include "user/state/hints.h"
#include "user/state/known.h"
#include "user/state/verdict.h"

#define COMPARISONS	10000	/* or more, until each reason was met */
#define ROUND		200	/* comparisons under one policy */
#define LEAST		20	/* comparisons with each reason */
#define LEAST_RULES	2	/* drop rules with each condition */
#define MS		1000000ULL
#define PORT		80
#define SOURCES		64

/* What no packet can be made to meet here: a race of CPUs, no memory, no answer from the kernel. */
#define UNREACHED	(1ULL << WEIR_DROP_CONTENDED | 1ULL << WEIR_DROP_TABLE_FULL | \
			 1ULL << WEIR_DROP_NO_ANSWER)

static struct program program;
static int prog_fd, cpu;
static unsigned long long state;
static struct check check;

/* The packet at hand. */
static struct frame_bytes frame;
static char words[128];
static bool is_cookie;		/* it acknowledges one */

/* The last answer to a SYN: what its client sends then is a cookie. */
static struct frame_bytes answered;
static uint32_t cookie;

static uint16_t connected;	/* the port of a client of ours, on 127.0.0.1 */

static int listener;		/* of PORT: its last cookie is fresh; those of 8000 sent none */
static bool has_clock;

static uint32_t below(uint32_t count)
{
	return check_random(&state) % count;
}

static bool one_in(uint32_t count)
{
	return !below(count);
}

#define PICK(table) ((table)[below(sizeof(table) / sizeof(*(table)))])

/* ---- policies ---- */

static const char *const prefixes[] = {
	"10.1.0.0/16", "10.1.1.0/24", "10.1.2.0/23", "10.1.0.4/32", "10.1.1.9/32", "10.1.2.14/32",
	"10.1.3.0/25", "10.1.3.31/32", "2001:db8:7::/48", "2001:db8:7:3::/64", "2001:db8:7:5::/64",
	"2001:db8:7:2::12/128", "2001:db8:7:4::/62", "2001:db8::/32",
	"::/3", "::/80",	/* they enclose the addresses of IPv4, and hold none */
};

static void add_limits(struct settings *settings)
{
	static const struct weir_limit_spec classes[] = {
		{ .any_proto = 1 }, { .proto = IPPROTO_TCP }, { .proto = IPPROTO_UDP },
		{ .proto = IPPROTO_ICMP }, { .any_proto = 1, .what = WEIR_FRAGMENT },
		{ .proto = IPPROTO_TCP, .what = WEIR_SYN },
		{ .proto = IPPROTO_TCP, .dport_first = 443, .dport_last = 443 },
		{ .any_proto = 1, .dport_first = 1000, .dport_last = 2000 },
		{ .proto = IPPROTO_TCP, .dport_first = PORT, .dport_last = PORT },
		{ .any_proto = 1, .sport = { { 53, 123 }, { 300, 399 } } },
		{ .proto = IPPROTO_UDP, .dport = { { 53, 53 }, { 443, 443 }, { 1000, 1500 } } },
		{ .proto = IPPROTO_UDP, .dport_first = 1000, .dport_last = 1000, .sport_first = 123,
		  .sport_last = 123 },
		{ .proto = IPPROTO_ICMP, .icmp4 = 8 + 1, .icmp6 = 128 + 1 },
		{ .proto = IPPROTO_ICMP, .icmp6 = 128 + 1 },
	};
	static const uint8_t v4_bits[] = { 32, 32, 24, 16, 0 }, v6_bits[] = { 64, 64, 48, 128, 56 };

	for (int n = below(8); n > 0; n--) {
		struct weir_limit_spec spec = PICK(classes);

		spec.per_s = 3600;
		if (!one_in(4)) {
			spec.rate_packets = 1 + below(20);
			spec.burst_packets = one_in(3) ? 200 : 1 + below(12);
		}
		if (!spec.rate_packets || one_in(4)) {
			spec.rate_bits_per_s = 100;
			spec.burst_bits = 12144 + below(20000);
		}
		add_limit(settings, one_in(2) ? NULL : PICK(prefixes), spec, PICK(v4_bits),
			  PICK(v6_bits));
	}
}

static void put_entry(struct entries *entries, const struct weir_entry *value)
{
	struct prefix prefix;
	char err[ERR_LEN];

	if (prefix_parse(PICK(prefixes), &prefix, NULL, err) ||
	    entries_put(entries, &prefix, value) < 0)
		die("entry", -EINVAL);
}

/* Blocked for good, banned, banned but for known sources, and bans that end at once. */
static void add_entries(struct settings *settings)
{
	struct weir_entry allowed = { 0 };

	if (one_in(3))
		put_entry(&settings->allow, &allowed);
	for (int n = below(4); n > 0; n--) {
		struct weir_entry value = { .spare_known = one_in(3) };

		if (!one_in(3))
			value.until_ns = now_ns() + (one_in(2) ? 2 * MS : 3600000 * MS);
		put_entry(&settings->block, &value);
	}
}

static void add_budgets(struct settings *settings)
{
	static const struct weir_limit_spec classes[] = {
		{ .any_proto = 1 }, { .proto = IPPROTO_UDP },
		{ .proto = IPPROTO_TCP, .what = WEIR_SYN },
		{ .proto = IPPROTO_TCP, .dport_first = PORT, .dport_last = PORT },
		{ .proto = IPPROTO_TCP, .what = WEIR_SYN, .sport_first = 1, .sport_last = 123 },
		{ .proto = IPPROTO_ICMP, .icmp4 = 8 + 1 },
	};
	static const char *const names[] = { "a", "b", "c" };
	static const char *const to[] = { "198.51.100.0/24", "198.51.100.1/32", "2001:db8::/64" };
	struct prefix prefix;
	char err[ERR_LEN];
	int rc;

	for (int n = one_in(3) ? 0 : 1 + below(3); n > 0; n--) {
		struct weir_limit_spec spec = PICK(classes);

		spec.per_s = 1;
		spec.rate_packets = 1 + below(one_in(2) ? 100 : 100000);
		if (one_in(3))
			spec.rate_bits_per_s = 1000000;
		if (one_in(3) && !prefix_parse(PICK(to), &prefix, NULL, err))
			prefix_to_key(&prefix, &spec.from);
		rc = budget_set(settings->policy, names[n - 1], &spec, err);
		if (rc < 0 && rc != -EEXIST)
			die(err, rc);
	}
}

static void protect(struct settings *settings, uint16_t first, uint16_t last, const char *to)
{
	struct weir_syn_rule rule = { .first = first, .last = last, .always = !one_in(3),
				      .timestamps = one_in(2), .wscale = 7 };

	add_syn_rule(settings, rule, to);
}

/* Drop rules of all kinds of conditions in turn, with rates and ends, for all kinds of sources. */
static void add_drops(struct settings *settings)
{
	static const char *const rules[] = {
		"proto tcp dport 80", "dport 443,1000-2000", "proto udp length 20-100", "ip-ttl 64",
		"proto udp sport 123", "sport 53,300-399", "proto tcp sport 300 dport 80",
		"flags syn/syn,ack", "flags ack/ack,syn", "icmp-type 8", "icmp-type 128", "fragment",
		"from 10.1.1.0/24", "to 198.51.100.2", "payload 0 00", "l4 2 0050", "proto gre",
		"from 2001:db8:7::/48 proto tcp", "payload 4 01/01", "length 1000-1100",
		"proto udp sport 123 length 20-1500 ip-ttl 60-64 to 198.51.100.0/24 payload 0 00/01",
	};
	static const char *const ends[] = { "", "", " spare proven", " spare none", " monitor",
					    " rate 60/h", " rate 100kbit spare none" };
	static uint32_t next;
	char line[160];

	for (int n = below(6); n > 0; n--) {
		snprintf(line, sizeof(line), "r%d %s%s", n,
			 rules[next++ % (sizeof(rules) / sizeof(*rules))], PICK(ends));
		add_drop_rule(settings, line, !one_in(4) ? 0 :
			      now_ns() + (one_in(2) ? 2 * MS : 3600000 * MS));
	}
}

/* What the policies held, and the packets that rules with each condition had a say about. */
#define CONDITIONS 12

static struct {
	uint64_t rules[CONDITIONS], met[CONDITIONS];
	uint32_t limits, of_sport, of_sets;	/* limits; with source ports, with sets of ports */
	uint32_t of_icmp;			/* with types of ICMP */
} held;

static void note_limits(const struct weir_policy *policy)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		const struct weir_limit_spec *spec = &policy->spec[i];

		held.limits += spec->used;
		held.of_sport += spec->used && (spec->sport_last || spec->sport[0].last);
		held.of_sets += spec->used && (spec->sport[1].last || spec->dport[1].last);
		held.of_icmp += spec->used && (spec->icmp4 || spec->icmp6);
	}
}

/* Before the rules of the round are replaced. */
static void note_rules(void)
{
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &program.settings.policy->rule_spec[i];
		struct weir_rule_count sum;

		if (!rule_is_used(spec))
			continue;
		if (maps_read_rule(&program.maps, i, &sum))
			die("rule_counts", -EIO);
		for (int bit = 0; bit < CONDITIONS; bit++) {
			held.rules[bit] += spec->match >> bit & 1;
			held.met[bit] += spec->match >> bit & 1 ?
					 sum.packets + sum.passed + sum.spared : 0;
		}
	}
}

/* @cookies: as many rounds with them as without. */
static void set_policy(uint32_t round, bool cookies)
{
	static const char *const to[] = { NULL, NULL, "198.51.100.0/24", "0.0.0.0/0",
					  "2001:db8::/32" };
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = round * 100;	/* a serial is never used twice */
	if (!one_in(cookies ? 3 : 4))
		add_limits(&settings);
	add_entries(&settings);
	add_budgets(&settings);
	if (one_in(2))
		add_drops(&settings);
	if (cookies) {
		protect(&settings, PORT, PORT, PICK(to));
		protect(&settings, 8000, 8010, NULL);
		add_dns_rule(&settings, 53, !one_in(3), PICK(to));
		add_dns_rule(&settings, 53, one_in(2), "198.51.100.1");
		add_dns_rule(&settings, PORT, !one_in(3), NULL);
	}
	note_limits(settings.policy);
	program_set(&program, &settings);
}

static void set_list(uint32_t round)
{
	struct prefixes set = { 0 };
	struct prefix prefix;
	char err[ERR_LEN];

	for (int n = below(3); n > 0; n--)
		if (prefix_parse(PICK(prefixes), &prefix, NULL, err) || prefixes_add(&set, &prefix))
			die("list", -EINVAL);
	program_put_set(&program, &set, round + 1);
}

/* ---- sources ---- */

static struct prefix source_of(uint32_t number)
{
	if (number % 2)
		return (struct prefix){ 0x20010db800070000ULL | (number / 2 % 8), number, 128 };
	return prefix_v4(0x0a010000 | number / 2 % 4 << 8 | number / 2, 32);
}

static void make_known(void)
{
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_flush(&known);
	for (uint32_t i = 0; i < SOURCES; i++) {
		struct prefix source = source_of(i);

		if (one_in(3) && !known_add(&known, &source, WEIR_SEEN + below(WEIR_KNOWN_TIERS)))
			die("a known source found no room", -ENOSPC);
	}
	known_close(&known);
}

/* ---- budgets and cores in any state ---- */

static void put_element(enum map_id map, uint32_t slot, const void *value)
{
	if (bpf_map_update_elem(program.maps.fd[map], &slot, value, BPF_ANY))
		die(map_names[map], 0);
}

static uint64_t long_ago(void)
{
	static const uint32_t ms[] = { 1, 20, 70, 130, 500, 1500, 2500, 20000 };

	return now_ns() - PICK(ms) * MS;
}

/* A share of the burst that is owed, from none to more than all. */
static uint64_t owed(uint64_t burst)
{
	return (now_ns() << WEIR_TICK_SHIFT) + burst / 16 * below(24);
}

static void stir_budget(uint32_t slot)
{
	const struct weir_limit *budget = &program.settings.policy->budget[slot];
	struct weir_budget_state was = { 0 };
	struct weir_spending each[256] = { 0 };
	int cpus = libbpf_num_possible_cpus();

	was.tat = owed(budget->burst);
	was.byte_tat = owed(budget->byte_burst);
	was.pressed_ns = one_in(4) ? 0 : long_ago();
	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		was.reserve_tat[tier] = owed(budget->burst);
		was.byte_reserve_tat[tier] = owed(budget->byte_burst);
	}
	if (one_in(2)) {
		was.used_ns = long_ago();
		was.adjust_ns = now_ns() + below(2000) * MS;
		for (int tier = 0; tier < WEIR_TIERS; tier++) {
			was.share[tier] = WEIR_TICKS_PER_S / (1 + below(20));
			was.pace[tier] = (1ULL << 56) / was.share[tier];
			was.used[tier] = now_ns() << 6;
		}
	}
	for (int i = 0; i < cpus && i < 256; i++)
		for (int tier = 0; tier < WEIR_TIERS; tier++) {
			each[i].stash[tier] = below(3) * budget->cost;
			each[i].byte_stash[tier] = below(3) * 500 * (budget->byte_cost >> 20);
		}
	if (cpus > 256)
		die("more than 256 CPUs", -E2BIG);
	put_element(MAP_budgets, slot, &was);
	put_element(MAP_spending, slot, each);
}

/* What answers to SYNs, and strays, have used up in all. */
static void stir_answers(void)
{
	struct weir_common common = { .pressed_ns = one_in(2) ? 0 : long_ago() };

	if (one_in(4))
		common.answers_tat = (now_ns() + 2000 * MS) << WEIR_TICK_SHIFT;
	if (one_in(4))
		common.strays_tat = (now_ns() + 2000 * MS) << WEIR_TICK_SHIFT;
	put_element(MAP_common, 0, &common);
}

/* As if SYNs had used up the time of every core until then. */
static void stir_core_time(void)
{
	static const uint32_t ms[] = { 0, 0, 0, 20, 48, 96, 1000 };
	struct weir_core_time time = { .tat_ns = now_ns() + PICK(ms) * MS, .cost_ns = 1000,
				       .ack_tat_ns = now_ns() + PICK(ms) * MS, .ack_cost_ns = 300,
				       .ack_short_ns = one_in(2) ? now_ns() : 0 };

	if (put_core_time(&program.maps, time))
		die("core_time", 0);
}

/* What frames of the link have used up of the device's part, and how long ago that was all. */
static void stir_link(void)
{
	struct weir_link link = { .tat = (now_ns() + below(4) * 400 * MS) << WEIR_TICK_SHIFT,
				  .pressed_ns = one_in(2) ? 0 : long_ago() };

	put_element(MAP_links, 0, &link);
}

static void stir(bool cookies)
{
	const struct weir_policy *policy = program.settings.policy;

	if (one_in(8))
		stir_link();

	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++)
		if (policy->budget_spec[slot].limit.used && one_in(3))
			stir_budget(slot);
	if (cookies && one_in(20))
		stir_answers();
	if (cookies && one_in(2))
		stir_core_time();
}

/* ---- packets ---- */

static const char *const links[] = { "", "", "", "vlan ", "qinq vlan " };
static const char *const nets[] = { "ip4 ", "ip4 ", "ip4+8 ", "ip6 ", "ip6 ", "ip6 hop dst ",
				    "ip4 part:0,1 ", "ip6 part:0,1 " };
static const char *const transports[] = {
	"tcp:80", "tcp:443", "tcp:1500", "syn:80", "syn:22", "udp:53", "udp:1000", "udp:80",
	"icmp:8", "icmp6:128", "proto:47", "part:185,1 proto:17 data:8",
	"part:185,0 proto:6 data:8",
};
static const uint16_t source_ports[] = { 0, 52, 53, 123, 124, 299, 300, 399 };
static const char *const of_link[] = {
	"arp", "vlan arp", "ip6 icmp6:135 data:16 hl=255", "type:88cc data:40", "type:8864 data:40",
};
static const char *const services[] = {
	"syn:80", "syn:80", "syn:80", "tcp:80", "tcp:80", "synack:80", "syn:8000", "syn:8001",
	"tcp:8001", "syn:8010", "udp:53", "udp:53", "udp:80",
};

static void put_address(uint8_t *at, const struct prefix *address, bool v6)
{
	struct weir_prefix key;

	prefix_to_key(address, &key);
	memcpy(at, key.addr + (v6 ? 0 : 12), v6 ? 16 : 4);
}

static void put_addresses(void)
{
	static const uint32_t to[] = { 0xc6336401, 0xc6336402, 0xcb007101 };
	struct prefix source = source_of(below(SOURCES / 2) * 2 + frame.v6);

	if (one_in(4))	/* never seen before */
		source = prefix_v4(0x0b000000 | below(1U << 24), 32);
	if (source.lo >> 24 == 0xffff0b && frame.v6)
		source = (struct prefix){ 0x20010db900000000ULL | below(1U << 31), 1, 128 };
	if (one_in(40) && !frame.v6)
		source = prefix_v4(one_in(2) ? 0xe0000001 : 0, 32);	/* no host's; not yet */
	if (one_in(20) && frame.v6)	/* a neighbour; and one that the shortest prefixes hold */
		source = (struct prefix){ one_in(2) ? 0xfe80ULL << 48 : 0, below(8), 128 };
	put_address(frame.at + frame.ip + (frame.v6 ? 8 : 12), &source, frame.v6);
	if (!frame.v6)
		put32(frame.at + frame.ip + 16, PICK(to));
	else
		frame.at[frame.ip + 39] = 1 + below(2);
}

static bool is_tcp(void)
{
	return strstr(words, "tcp:") || strstr(words, "syn:") || strstr(words, "synack:");
}

static void put_tcp(void)
{
	uint8_t *tcp = frame.at + frame.l4;

	put16(tcp, 1024 + below(60000));
	put32(tcp + 4, check_random(&state));
	put32(tcp + 8, check_random(&state));
	if (one_in(30))
		tcp[13] |= one_in(2) ? 0x01 : 0x04;	/* FIN, RST */
	if (one_in(30))
		tcp[13] = below(64);
	if (one_in(3))
		set_sums(&frame);
}

static void new_packet(bool cookies)
{
	if (one_in(40)) {
		snprintf(words, sizeof(words), "%s", PICK(of_link));
	} else if (one_in(5)) {
		snprintf(words, sizeof(words), "%s", PICK(parse_rows).words);
	} else {
		const char *end = cookies && !one_in(3) ? PICK(services) : PICK(transports);
		/* One of them makes a fragment of the packet: no other may. */
		const char *net = strstr(end, "part") ? (one_in(2) ? "ip4 " : "ip6 ") : PICK(nets);

		snprintf(words, sizeof(words), "%s%s%s data:%u", PICK(links), net, end,
			 one_in(3) ? 1000 : 20);
	}
	build_frame(&frame, words);
	if (one_in(100)) {
		memcpy(frame.at + 12, "\x81\x00", 2);
		frame.size = 16;	/* a tag cut off */
		return;
	}
	memcpy(frame.at, (uint8_t[]){ 2 | one_in(50), 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 }, 12);
	if (frame.ip)
		put_addresses();
	if ((strstr(words, "udp:53") || strstr(words, "udp:80")) && !one_in(8) &&
	    frame.size >= frame.l4 + 8 + QUERY_BYTES)
		put_query(&frame);
	if (frame.ip && is_tcp() && frame.l4 && frame.size >= frame.l4 + 20)
		put_tcp();
	if (frame.ip && frame.l4 && one_in(3) && frame.size >= frame.l4 + 8)
		put16(frame.at + frame.l4, PICK(source_ports));
}

/* What the client sends to the last answer. */
static void acknowledge(void)
{
	uint8_t *tcp = answered.at + answered.l4;
	uint32_t number = be32_at(tcp + 4) + 1;

	frame = answered;
	snprintf(words, sizeof(words), "the ACK of a cookie");
	tcp = frame.at + frame.l4;
	tcp[13] = 0x10;
	put32(tcp + 4, number);
	put32(tcp + 8, cookie + 1);
	is_cookie = true;
}

/* A segment of a connection that is there. */
static void of_connection(void)
{
	static const struct prefix host = { 0, 0xffff7f000001ULL, 128 };

	snprintf(words, sizeof(words), "ip4 tcp:80 data:20");
	build_frame(&frame, words);
	memcpy(frame.at, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 }, 12);
	put_address(frame.at + frame.ip + 12, &host, false);
	put_address(frame.at + frame.ip + 16, &host, false);
	put16(frame.at + frame.l4, connected);
}

static void next_packet(bool cookies)
{
	bool again = frame.size && one_in(3);

	if (answered.size && !one_in(3)) {
		acknowledge();
	} else if (!again) {
		is_cookie = false;
		if (cookies && one_in(20))
			of_connection();
		else
			new_packet(cookies);
	}
	answered.size = 0;
}

/* ---- comparing ---- */

static uint32_t run(void)
{
	static uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.at, .data_size_in = frame.size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run", 0);
	if (opts.retval == XDP_TX && !is_cookie && is_tcp()) {
		answered = frame;
		cookie = be32_at(out + frame.ip + (frame.v6 ? 40 : 20) + 4);
	}
	return opts.retval;
}

static void read_counters(struct weir_counters *counters)
{
	if (maps_read_counters(&program.maps, 0, counters))
		die("counters", 0);
}

static enum weir_reason run_counted(void)
{
	struct weir_counters before, after;

	read_counters(&before);
	run();
	read_counters(&after);
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (after.reason[i].packets != before.reason[i].packets)
			return i;
	return WEIR_REASON_MAX;
}

/* Of the listener that the frame is for. */
static enum weir_clock clock_of_frame(void)
{
	if (!has_clock)
		return WEIR_CLOCK_NONE;
	return frame.l4 && be16_at(frame.at + frame.l4 + 2) == PORT ? WEIR_CLOCK_FRESH :
								      WEIR_CLOCK_STALE;
}

/* The program's clock stands at most a tick behind the coarse one. */
static struct verdict ask(struct copies *copies, bool before)
{
	struct verdict_question question = { .frame = frame.at, .size = frame.size, .cpu = cpu,
					     .cookie = is_cookie, .clock = clock_of_frame() };
	struct verdict verdict;
	struct timespec tick;
	char err[ERR_LEN];

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	question.now_ns = now_ns();
	question.coarse_ns = now_coarse_ns() - (before ? tick.tv_nsec : 0);
	if (verdict_of(copies, &question, &verdict, err))
		die(err, -EIO);
	return verdict;
}

struct tally {
	uint32_t compared, wrong, on_edge;
	uint32_t reason[WEIR_REASON_MAX];
};

static void compare(struct tally *tally)
{
	struct verdict before, after;
	struct copies copies;
	enum weir_reason is;

	copies_open(&copies, &program.maps);
	before = ask(&copies, true);
	is = run_counted();
	after = ask(&copies, false);
	copies_close(&copies);
	if (before.possible != after.possible) {
		tally->on_edge++;
		return;
	}
	tally->compared++;
	tally->reason[is]++;
	if (before.possible != 1ULL << is) {
		tally->wrong++;
		CHECK(&check, false, "%s: %s, check says %s (%llx)", words, reason_name(is),
		      reason_name(before.reason), (unsigned long long)before.possible);
	}
}

/* Debts, as packets leave them. */
static void run_some(uint32_t most)
{
	for (uint32_t n = below(most); n > 0; n--)
		run();
	answered.size = 0;
}

static void play_round(uint32_t round, struct tally *tally)
{
	bool cookies = round % 2;
	uint32_t until = tally->compared + ROUND;

	freshen(listener);
	set_policy(round, cookies);
	set_list(round);
	make_known();
	stir_answers();
	stir_core_time();
	frame.size = answered.size = 0;
	while (tally->compared < until) {
		stir(cookies);
		next_packet(cookies);
		if (one_in(12))
			run_some(one_in(4) ? 130 : 12);
		compare(tally);
	}
	note_rules();
}

/* ---- what may be, where something is not known ---- */

static uint64_t possible(struct verdict_question question)
{
	struct verdict verdict;
	struct copies copies;
	char err[ERR_LEN];

	question.frame = frame.at;
	question.size = frame.size;
	copies_open(&copies, &program.maps);
	if (verdict_of(&copies, &question, &verdict, err))
		die(err, -EIO);
	copies_close(&copies);
	return verdict.possible;
}

#define BIT(reason) (1ULL << WEIR_##reason)

/* A service that is protected, with no answers left for strays. */
static void set_protected(void)
{
	struct weir_common common = { .strays_tat = (now_ns() + 10000 * MS) << WEIR_TICK_SHIFT };
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = 1000000;
	protect(&settings, PORT, PORT, NULL);
	settings.policy->syn_rule[1].always = 1;
	program_set(&program, &settings);
	make_known();
	put_element(MAP_common, 0, &common);
	if (put_core_time(&program.maps, (struct weir_core_time){ .cost_ns = 1000 }))
		die("core_time", 0);
}

/* Time is short on all CPUs but this one. */
static void shorten_time_elsewhere(void)
{
	struct weir_core_time *time = calloc(libbpf_num_possible_cpus(), sizeof(*time));

	for (int i = 0; time && i < libbpf_num_possible_cpus(); i++)
		time[i] = (struct weir_core_time){ .tat_ns = i == cpu ? 0 : now_ns() + 10000 * MS,
						   .cost_ns = 1000 };
	if (!time)
		die("core_time", -ENOMEM);
	put_element(MAP_core_time, 0, time);
	free(time);
}

/* Everything that the comparisons pin down is left open, one thing after the other. */
static void test_open_questions(void)
{
	uint64_t is, answers = BIT(TX_COOKIE) | BIT(PASS_NEWCOMER);

	set_protected();
	build_frame(&frame, "ip4 tcp:80 data:20");
	is = possible((struct verdict_question){ .cpu = cpu });
	CHECK(&check, is == BIT(DROP_STRAY_ACK), "no connection: %llx", (unsigned long long)is);
	is = possible((struct verdict_question){ .cpu = cpu, .any_connection = true });
	CHECK(&check, is == (BIT(DROP_STRAY_ACK) | BIT(CONTINUE)), "any connection: %llx",
	      (unsigned long long)is);
	is = possible((struct verdict_question){ .cpu = cpu, .any_cookie = true });
	CHECK(&check, is == (BIT(DROP_STRAY_ACK) | BIT(PASS_COOKIE)), "any number: %llx",
	      (unsigned long long)is);

	build_frame(&frame, "ip4 syn:80 data:20");
	is = possible((struct verdict_question){ .cpu = cpu });
	CHECK(&check, is & answers && !(is & ~answers), "a listener: %llx", (unsigned long long)is);
	is = possible((struct verdict_question){ .cpu = cpu, .any_socket = true });
	CHECK(&check, is & answers && (is & ~answers) == BIT(CONTINUE), "any socket: %llx",
	      (unsigned long long)is);
	set_sums(&frame);
	is = possible((struct verdict_question){ .cpu = cpu, .any_clock = true });
	CHECK(&check, is == answers, "any clock: %llx", (unsigned long long)is);
	shorten_time_elsewhere();
	is = possible((struct verdict_question){ .cpu = -1 });
	CHECK(&check, is & answers && ((is & ~answers) == BIT(DROP_FIRST_SYN) ||
	      libbpf_num_possible_cpus() == 1), "any CPU: %llx", (unsigned long long)is);
	check_done(&check, "what is not known leaves more than one reason",
		   "a connection, a cookie, a listener, its clock, the CPU");
}

/* ---- all of it ---- */

static void connect_to_self(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(fd, (struct sockaddr *)&address, &len) || accept(listener, NULL, NULL) < 0)
		die("connect", 0);
	connected = ntohs(address.sin_port);
}

/* Before loading: what the program needs to read a listener's clock. */
static void set_clock(struct weir_bpf *skel)
{
	struct cookie_clock clock;

	has_clock = cookie_clock_read(&clock);
	skel->rodata->clock_fresh = clock.fresh;
	skel->rodata->clock_stamp_at = clock.stamp_at;
	skel->rodata->clock_group_at = clock.group_at;
	skel->rodata->clock_group_stamp_at = clock.group_stamp_at;
}

static void stay_here(void)
{
	cpu_set_t cpus;

	cpu = sched_getcpu();
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (cpu < 0 || sched_setaffinity(0, sizeof(cpus), &cpus))
		die("one CPU", 0);
}

/* Which packets meet which reason depends on the time between them, too. */
static bool is_complete(const struct tally *tally)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (tally->reason[i] < LEAST && !(UNREACHED >> i & 1))
			return false;
	for (int i = 0; i < CONDITIONS; i++)
		if (held.rules[i] < LEAST_RULES || !held.met[i])
			return false;
	return held.of_sport && held.of_sets && held.of_icmp;
}

/* The policies must have had rules of each kind, and packets for them. */
static void check_held(void)
{
	static const char *const names[CONDITIONS] = {
		"proto", "fragment", "sport", "dport", "length", "ip-ttl", "flags", "icmp-type",
		"payload", "l4", "from", "to",
	};
	char counts[512];
	size_t len = 0;

	for (int i = 0; i < CONDITIONS; i++) {
		CHECK(&check, held.rules[i] >= LEAST_RULES && held.met[i], "%s: %llu rules, %llu packets",
		      names[i], (unsigned long long)held.rules[i],
		      (unsigned long long)held.met[i]);
		len += snprintf(counts + len, sizeof(counts) - len, "%s%s %llu and %llu",
				i ? ", " : "", names[i], (unsigned long long)held.rules[i],
				(unsigned long long)held.met[i]);
	}
	CHECK(&check, held.of_sport && held.of_sets && held.of_icmp,
	      "%u limits with source ports, %u with sets, %u with types of ICMP", held.of_sport,
	      held.of_sets, held.of_icmp);
	check_done(&check, "the policies had limits and drop rules of all kinds",
		   "%u limits, %u with source ports, %u with sets, %u with types of ICMP; rules and "
		   "packets that met them: %s", held.limits, held.of_sport, held.of_sets,
		   held.of_icmp, counts);
}

static void test_agreement(void)
{
	struct tally tally = { 0 };
	char counts[1024] = "";
	size_t len = 0;
	double start = check_seconds();

	for (uint32_t round = 0; tally.compared < COMPARISONS ||
	     (!is_complete(&tally) && tally.compared < 3 * COMPARISONS); round++)
		play_round(round, &tally);
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		CHECK(&check, tally.reason[i] >= LEAST || UNREACHED >> i & 1, "%s: only %u times",
		      reason_name(i), tally.reason[i]);
		len += snprintf(counts + len, sizeof(counts) - len, "%s%s %u", i ? ", " : "",
				reason_name(i), tally.reason[i]);
	}
	CHECK(&check, !tally.wrong, "%u of %u disagree", tally.wrong, tally.compared);
	check_done(&check, "check says what the program does",
		   "%u packets, %u more in which something changed meanwhile, %.1f s, "
		   "seed %llu: %s", tally.compared, tally.on_edge,
		   check_seconds() - start, check_seed(), counts);
}

int main(void)
{
	struct weir_bpf *skel;
	int rc;

	state = check_seed();
	enter_namespace();
	use_cookies();
	listener = listen_at(PORT);
	listen_at(8000);
	connect_to_self();
	stay_here();
	skel = weir_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	set_clock(skel);
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	program_take(&program, skel->obj);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	test_agreement();
	check_held();
	test_open_questions();
	program_close(&program);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
