// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verdict on packets of all kinds. They are built here and run through the
 * real program; checked are the counters, and the bucket that was charged, which
 * names the packet's source and class.
 */
#include <linux/bpf.h>

/* Before the kernel's own <linux/in.h>, which then leaves out what is here. */
#include "tests/datapath/frame.h"

#include "bpf/pure/packet.h"
#include "bpf/weir.skel.h"
#include "tests/datapath/class_limits.h"
#include "tests/datapath/packets.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/model/format.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/known.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

static struct weir_bpf *skel;
static struct program program;

static struct weir_bpf *load(bool monitored)
{
	struct weir_bpf *it = weir_bpf__open();

	if (!it)
		die("cannot open the program", 0);
	program_size(it->obj, PROGRAM_BUCKETS);
	if (program.object)
		program_share(&program, it->obj);
	it->rodata->monitor = monitored;
	if (weir_bpf__load(it))
		die("cannot load the program", 0);
	return it;
}

static int weir_fd(const struct weir_bpf *it)
{
	return bpf_program__fd(it->progs.weir_ingress);
}

static void new_settings(struct settings *settings)
{
	if (settings_init(settings))
		die("settings", -ENOMEM);
	settings->policy->next_serial = program.settings.policy->next_serial;
}

/* Exactly @packets under @reason and nothing under any other. */
static bool counted(struct check *check, const char *what, const struct weir_counters *counters,
		    enum weir_reason reason, uint64_t packets, uint64_t bytes)
{
	bool good = true;

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		const struct weir_count *count = &counters->reason[i];
		uint64_t wanted = i == (int)reason ? packets : 0;

		good &= CHECK(check, count->packets == wanted,
			      "%s: %llu packets %s, wanted %llu %s", what,
			      (unsigned long long)count->packets, reason_name(i),
			      (unsigned long long)packets, reason_name(reason));
		if (i == (int)reason)
			good &= CHECK(check, count->bytes == bytes, "%s: %llu bytes of %llu", what,
				      (unsigned long long)count->bytes, (unsigned long long)bytes);
	}
	return good;
}

/* ---- the parser ---- */

#define V4 "192.0.2."
#define V6 "2001:db8:0:"

#define PARSE_ROWS (sizeof(parse_rows) / sizeof(*parse_rows))

/* The first packet of a source and class passes, and leaves a bucket to be read. */
static void set_parse_limits(void)
{
	static const struct weir_limit_spec ports[] = {
		{ .any_proto = 1, .dport_first = 1000, .dport_last = 2000 },
		{ .proto = IPPROTO_TCP, .dport_first = 443, .dport_last = 443 },
		{ .any_proto = 1, .sport = { { 1900, 1900 } } },
		{ .proto = IPPROTO_UDP, .sport_first = 300, .sport_last = 399 },
		{ .proto = IPPROTO_ICMP, .icmp4 = 8 + 1, .icmp6 = 128 + 1 },
		{ .proto = IPPROTO_ICMP, .icmp6 = 2 + 1 },
	};

	set_class_limits(&program, ports, sizeof(ports) / sizeof(*ports), 64);
}

struct charged {
	unsigned int count;
	char source[PREFIX_STRLEN], class[CLASS_LEN];
};

static int note_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
		       void *arg)
{
	const struct weir_policy *policy = program.settings.policy;
	struct prefix prefix = { key->hi, key->lo, 128 };
	struct charged *charged = arg;

	(void)bucket;
	charged->count++;
	if (!prefix_is_v4(&prefix))
		prefix.length = 64;
	prefix_format(&prefix, charged->source);
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used && policy->limit[i].serial == key->serial)
			format_class(&policy->spec[i], charged->class);
	return 0;
}

static int forget_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
			 void *arg)
{
	(void)bucket;
	(void)arg;
	bpf_map_delete_elem(program.maps.fd[MAP_buckets], key);
	return 0;
}

/* Removes all that sources owe. */
static void start_afresh(void)
{
	static const struct weir_gate_line empty[WEIR_GATE_LINES];
	static __u32 lines[WEIR_GATE_LINES];
	__u32 count = WEIR_GATE_LINES;

	for (__u32 i = 0; i < WEIR_GATE_LINES; i++)
		lines[i] = i;
	maps_each_bucket(&program.maps, forget_bucket, NULL);
	if (bpf_map_update_batch(program.maps.fd[MAP_gate], lines, empty, &count, NULL))
		die("gate", 0);
	take_counters(&program);
}

static bool check_bucket_of(struct check *check, const struct parse_row *row, uint8_t number)
{
	struct charged charged = { 0 };
	char source[PREFIX_STRLEN];

	maps_each_bucket(&program.maps, note_bucket, &charged);
	maps_each_bucket(&program.maps, forget_bucket, NULL);
	if (!row->class)
		return CHECK(check, !charged.count, "%s: charged to %s %s", row->what,
			     charged.source, charged.class);
	if (strstr(row->words, "ip6"))
		snprintf(source, sizeof(source), V6 "%x::/64", number);
	else
		snprintf(source, sizeof(source), V4 "%u/32", number);
	return CHECK(check, charged.count == 1, "%s: %u buckets", row->what, charged.count) &&
	       CHECK(check, !strcmp(charged.source, source), "%s: source %s, not %s", row->what,
		     charged.source, source) &&
	       CHECK(check, !strcmp(charged.class, row->class), "%s: class \"%s\", not \"%s\"",
		     row->what, charged.class, row->class);
}

static void test_parser(struct check *check)
{
	unsigned int packets = 0;

	set_parse_limits();
	start_afresh();
	for (size_t i = 0; i < PARSE_ROWS; i++) {
		const struct parse_row *row = &parse_rows[i];
		struct weir_counters counters;
		struct frame_bytes bytes;
		uint32_t action;

		build_frame(&bytes, row->words);
		set_source(&bytes, i + 1);
		action = run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
		counters = take_counters(&program);
		counted(check, row->what, &counters, row->reason, 1, bytes.size);
		CHECK(check, action == (!strcmp(reason_action(row->reason), "drop") ? XDP_DROP :
										      XDP_PASS),
		      "%s: action %u", row->what, action);
		packets++;
		if (row->reason == PASSES) {	/* and the second is over its limit */
			run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
			counters = take_counters(&program);
			counted(check, row->what, &counters, WEIR_DROP_RATE, 1, bytes.size);
			packets++;
		}
		check_bucket_of(check, row, i + 1);
	}
	check_done(check, "verdict, counters, source and class of packets of all kinds",
		   "%zu kinds, %u packets", PARSE_ROWS, packets);
}

/* Bytes behind the packet change its size and nothing else. */
static void test_padding(struct check *check)
{
	unsigned int packets = 0;

	start_afresh();
	for (size_t i = 0; i < PARSE_ROWS; i++) {
		const struct parse_row *row = &parse_rows[i];

		if (!strstr(row->words, "ip") || strstr(row->words, "longer"))
			continue;
		for (int fill = 0; fill < 256; fill += 0x33) {
			struct weir_counters counters;
			struct frame_bytes bytes;

			build_frame(&bytes, row->words);
			if (row->reason == WEIR_DROP_IPV4 || row->reason == WEIR_DROP_IPV6)
				break;	/* with more bytes the length of some is right */
			set_source(&bytes, i + 1);
			memset(append(&bytes, 60), fill, 60);
			run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
			counters = take_counters(&program);
			counted(check, row->what, &counters,
				row->reason == PASSES && fill ? WEIR_DROP_RATE : row->reason, 1,
				bytes.size);
			packets++;
		}
	}
	start_afresh();
	check_done(check, "padding counts as bytes and is never read as a header",
		   "%u packets with 60 bytes more, 6 fillings", packets);
}

/* ---- cut off at every byte ---- */

/* The reason while the packet ends before each of these offsets, in their order. */
struct cut_row {
	const char *words;
	struct { uint32_t before; enum weir_reason reason; } part[5];
	enum weir_reason whole;
};

/* Where the frame ends too early, and the packet says that it is longer. */
static const struct cut_row frame_cuts[] = {
	{ "ip4 tcp:80 data:20", { { 54 + 20, WEIR_DROP_IPV4 } }, PASSES },
	{ "vlan ip4+12 udp:53 data:4", { { 18, WEIR_DROP_ETHERNET }, { 62, WEIR_DROP_IPV4 } },
	  PASSES },
	{ "qinq vlan ip6 hop part:0,1 udp:53",
	  { { 22, WEIR_DROP_ETHERNET }, { 22 + 40 + 24, WEIR_DROP_IPV6 } }, PASSES },
};

/* Where the packet says so itself: its length is what there is. */
static const struct cut_row packet_cuts[] = {
	{ "ip4+8 tcp:80 data:20", { { 42, WEIR_DROP_IPV4 }, { 62, WEIR_DROP_TCP } }, PASSES },
	{ "ip4 tcp:80 data:12 doff=8", { { 34, WEIR_DROP_IPV4 }, { 66, WEIR_DROP_TCP } }, PASSES },
	{ "vlan ip4 udp:53 data:9", { { 18, WEIR_DROP_ETHERNET }, { 38, WEIR_DROP_IPV4 },
				      { 38 + 17, WEIR_DROP_UDP } }, PASSES },
	{ "ip4 icmp:8 data:9", { { 34, WEIR_DROP_IPV4 }, { 42, WEIR_DROP_ICMP } }, PASSES },
	{ "ip6 hop dst tcp:80 data:3", { { 54, WEIR_DROP_IPV6 }, { 70, WEIR_DROP_IPV6_CHAIN },
					 { 90, WEIR_DROP_TCP } }, PASSES },
	{ "ip6 ah part:0,1 udp:53", { { 54, WEIR_DROP_IPV6 }, { 74, WEIR_DROP_IPV6_CHAIN },
				      { 82, WEIR_DROP_UDP } }, PASSES },
	{ "ip6 icmp6:135 data:8 hl=255", { { 54, WEIR_DROP_IPV6 }, { 62, WEIR_DROP_ICMP } },
	  WEIR_PASS_NEIGHBOUR },
};

static enum weir_reason reason_at(const struct cut_row *row, uint32_t size)
{
	for (size_t i = 0; i < 5 && row->part[i].before; i++)
		if (size < row->part[i].before)
			return row->part[i].reason;
	return row->whole;
}

/* A test run needs a whole Ethernet header; for less only the parser is called. */
static enum weir_reason run_cut(const struct frame_bytes *bytes, uint32_t size)
{
	struct weir_counters counters;
	struct packet pkt = { 0 };
	uint8_t *exact = malloc(size ? size : 1);
	struct frame frame = { exact, exact + size };
	enum weir_reason native, reason;

	memcpy(exact, bytes->at, size);
	native = parse(&frame, &pkt, 0);
	if (size >= ETH_HLEN) {
		run_frame(weir_fd(skel), exact, size, 1);
		counters = take_counters(&program);
		for (reason = 0; reason < WEIR_REASON_MAX; reason++)
			if (counters.reason[reason].packets)
				break;
		if (reason != native && native != WEIR_CONTINUE)
			reason = WEIR_REASON_MAX;
		/* Within its limit or not, it was parsed to the end. */
		native = reason == WEIR_DROP_RATE ? PASSES : reason;
	}
	free(exact);
	return native;
}

static void test_cuts(struct check *check, const struct cut_row *rows, size_t count, bool honest,
		      const char *what)
{
	unsigned int packets = 0;

	start_afresh();
	for (size_t i = 0; i < count; i++) {
		struct frame_bytes bytes;

		build_frame(&bytes, rows[i].words);
		for (uint32_t size = 0; size <= bytes.size; size++, packets++) {
			enum weir_reason wanted = size < ETH_HLEN ? WEIR_DROP_ETHERNET :
								    reason_at(&rows[i], size), is;
			uint32_t head = bytes.ip + (bytes.v6 ? 40 : 20);

			if (honest && size >= head)
				put16(bytes.at + bytes.ip + (bytes.v6 ? 4 : 2),
				      size - (bytes.v6 ? head : bytes.ip));
			is = run_cut(&bytes, size);
			CHECK(check, is == wanted, "\"%s\" cut to %u bytes: %s, not %s",
			      rows[i].words, size,
			      is < WEIR_REASON_MAX ? reason_name(is) : "parsed otherwise natively",
			      reason_name(wanted));
		}
	}
	check_done(check, what, "%u packets of %zu kinds", packets, count);
}

/* ---- lists and bans ---- */

static const char *const allowed[] = { "192.0.2.16/28", "2001:db8:0:a::/64" };
static const char *const blocked[] = { "192.0.2.0/24", "2001:db8::/48" };
static const char *const in_set[] = { "198.51.100.0/25", "198.51.100.200/32", "2001:db8:1::/48",
				      "2001:db8:2::1/128", "192.0.2.0/25" };

struct list_row {
	const char *what, *source;
	enum weir_reason reason;
};

static const struct list_row list_rows[] = {
	{ "allow stands over block, ban, set and limit", "192.0.2.16", WEIR_PASS_ALLOW },
	{ "last address of an allowed prefix", "192.0.2.31", WEIR_PASS_ALLOW },
	{ "first after it is blocked", "192.0.2.32", WEIR_DROP_BLOCK },
	{ "allowed IPv6 in a blocked one", "2001:db8:0:a::9", WEIR_PASS_ALLOW },
	{ "blocked IPv6", "2001:db8:0:b::9", WEIR_DROP_BLOCK },
	{ "block stands over the block set", "192.0.2.1", WEIR_DROP_BLOCK },
	{ "block stands over a ban inside", "192.0.2.130", WEIR_DROP_BLOCK },
	{ "a ban", "203.0.113.7", WEIR_DROP_BAN },
	{ "a ban of IPv6", "2001:db8:7::1", WEIR_DROP_BAN },
	{ "a ban that has ended", "203.0.113.9", PASSES },
	{ "a shorter ban inside a longer", "203.0.113.66", WEIR_DROP_BAN },
	{ "a ban in a /64 whose ban has ended", "2001:db8:9::1", WEIR_DROP_BAN },
	{ "beside it", "2001:db8:9::2", PASSES },
	{ "IPv6 that would have the key of a banned IPv4", "0:ffff:cb00:7107::9", PASSES },
	{ "a ban of such a /64", "0:ffff:cb00:7109::9", WEIR_DROP_BAN },
	{ "block set, a prefix", "198.51.100.127", WEIR_DROP_LIST },
	{ "block set, beside it", "198.51.100.128", PASSES },
	{ "block set, an address", "198.51.100.200", WEIR_DROP_LIST },
	{ "block set, beside it", "198.51.100.201", PASSES },
	{ "block set, IPv6", "2001:db8:1:ffff::1", WEIR_DROP_LIST },
	{ "block set, IPv6 address", "2001:db8:2::1", WEIR_DROP_LIST },
	{ "block set, beside it", "2001:db8:2::2", PASSES },
};

#define BAN_NS (400 * 1000000ULL)

static void put_set(const char *const *texts, size_t count)
{
	struct prefixes set = { 0 };
	char err[ERR_LEN];

	for (size_t i = 0; i < count; i++) {
		struct prefix prefix;

		if (prefix_parse(texts[i], &prefix, NULL, err) || prefixes_add(&set, &prefix))
			die(texts[i], -EINVAL);
	}
	program_put_set(&program, &set, 1);
}

static void set_lists(uint64_t short_end)
{
	static uint64_t later;
	struct settings settings;

	if (!later)
		later = now_ns() + 3600 * NS_PER_S;
	new_settings(&settings);
	for (size_t i = 0; i < 2; i++) {
		add_entry(&settings.allow, allowed[i], 0);
		add_entry(&settings.block, blocked[i], 0);
	}
	add_entry(&settings.block, "192.0.2.128/25", later);
	add_entry(&settings.block, "203.0.113.7/32", later);
	add_entry(&settings.block, "2001:db8:7::/64", later);
	add_entry(&settings.block, "2001:db8:9::/64", 1);
	add_entry(&settings.block, "2001:db8:9::1/128", later);
	add_entry(&settings.block, "0:ffff:cb00:7109::/64", later);
	add_entry(&settings.block, "203.0.113.9/32", 1);
	add_entry(&settings.block, "203.0.113.64/26", later);
	add_entry(&settings.block, "203.0.113.66/32", 1);
	add_entry(&settings.block, "203.0.113.8/32", short_end);
	add_limit(&settings, NULL,
		  (struct weir_limit_spec){ .any_proto = 1, .rate_packets = 1, .per_s = 3600,
					    .burst_packets = 1 }, 32, 64);
	program_set(&program, &settings);
}

static void from(struct frame_bytes *bytes, const char *source, const char *words_v4,
		 const char *words_v6)
{
	struct weir_prefix key;
	struct prefix prefix;
	char err[ERR_LEN];

	if (prefix_parse(source, &prefix, NULL, err))
		die(source, -EINVAL);
	build_frame(bytes, prefix_is_v4(&prefix) ? words_v4 : words_v6);
	prefix_to_key(&prefix, &key);
	if (bytes->v6)
		memcpy(bytes->at + bytes->ip + 8, key.addr, 16);
	else
		memcpy(bytes->at + bytes->ip + 12, key.addr + 12, 4);
}

static void test_lists(struct check *check, const struct weir_bpf *it, bool monitored)
{
	struct weir_counters counters;

	start_afresh();
	for (size_t i = 0; i < sizeof(list_rows) / sizeof(*list_rows); i++) {
		const struct list_row *row = &list_rows[i];
		bool drops = !strcmp(reason_action(row->reason), "drop");
		struct frame_bytes bytes;
		uint32_t action;

		from(&bytes, row->source, "ip4 udp:53", "ip6 udp:53");
		action = run_frame(weir_fd(it), bytes.at, bytes.size, 1);
		counters = take_counters(&program);
		counted(check, row->what, &counters, row->reason, 1, bytes.size);
		CHECK(check, action == (drops && !monitored ? XDP_DROP : XDP_PASS),
		      "%s: action %u", row->what, action);
		CHECK(check, counters.monitored[row->reason].packets == (drops && monitored),
		      "%s: %llu monitored", row->what,
		      (unsigned long long)counters.monitored[row->reason].packets);
	}
	check_done(check, monitored ? "monitor mode passes all of it and counts what would drop" :
				      "allow over block over block set over limits",
		   "%zu sources", sizeof(list_rows) / sizeof(*list_rows));
}

static void test_ban_ends(struct check *check)
{
	struct weir_counters counters;
	struct frame_bytes bytes;
	unsigned int before = 0;
	uint64_t begun, ban_ns, end;

	start_afresh();
	begun = now_ns();
	set_lists(0);
	/* On a slow machine the write takes longer than BAN_NS. */
	ban_ns = BAN_NS + 8 * (now_ns() - begun);
	end = now_ns() + ban_ns;
	set_lists(end);		/* changes this one entry */
	from(&bytes, "203.0.113.8", "ip4 udp:53", "ip6 udp:53");
	while (now_ns() < end - ban_ns / 8) {
		run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
		before++;
	}
	counters = take_counters(&program);
	counted(check, "before its end", &counters, WEIR_DROP_BAN, before, before * bytes.size);
	CHECK(check, before, "no packet came before the end of the ban");
	while (now_ns() < end + 20 * 1000000ULL)	/* the coarse clock lags by up to 10 ms */
		usleep(1000);
	run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
	counters = take_counters(&program);
	counted(check, "after its end", &counters, PASSES, 1, bytes.size);
	check_done(check, "a ban bites on the next packet and ends by itself",
		   "%u packets dropped, the first after the end passes", before);
}

/* How many hits the entry of @prefix counts. */
static uint32_t hits_of(const char *text)
{
	struct settings settings;
	struct entry *entry;
	struct prefix prefix;
	uint32_t hits = 0;
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err) ||
	    maps_read_settings(&program.maps, &settings, err))
		die(err, -EINVAL);
	entry = entries_find(&settings.block, &prefix);
	if (entry)
		hits = entry->value.hits;
	settings_free(&settings);
	return hits;
}

/*
 * A ban counts one in 64 of the packets that it drops, in the hash and in the trie. One that spares
 * known sources lets those pass that are proven.
 */
static void test_ban_hits(struct check *check)
{
	enum { SENT = 64 * 1024, LEAST = 1024 - 6 * 32, MOST = 1024 + 6 * 32 };
	static const char *const sources[] = { "203.0.113.8", "198.51.100.1", "198.51.100.2",
					       "198.51.100.3" };
	static const char *const bans[] = { "203.0.113.8/32", "198.51.100.0/24" };
	static const enum weir_tier tiers[] = { 0, 0, WEIR_SEEN, WEIR_PROVEN };
	struct settings settings;
	uint32_t hits[2];
	struct known known;
	char err[ERR_LEN];

	start_afresh();
	new_settings(&settings);
	for (int i = 0; i < 2; i++) {
		struct weir_entry ban = { .until_ns = now_ns() + 3600 * NS_PER_S, .spare_known = i };
		struct prefix prefix;

		if (prefix_parse(bans[i], &prefix, NULL, err) ||
		    entries_put(&settings.block, &prefix, &ban) < 0)
			die(bans[i], -EINVAL);
	}
	program_set(&program, &settings);
	if (known_open(&program.maps, &known, err))
		die(err, -EINVAL);
	for (int i = 0; i < 4; i++) {
		struct weir_counters counters;
		struct frame_bytes bytes;
		struct prefix prefix;

		if (tiers[i] && (prefix_parse(sources[i], &prefix, NULL, err) ||
				 !known_add(&known, &prefix, tiers[i])))
			die(sources[i], -EINVAL);
		from(&bytes, sources[i], "ip4 udp:53", "ip6 udp:53");
		run_frame(weir_fd(skel), bytes.at, bytes.size, i < 2 ? SENT : 1);
		counters = take_counters(&program);
		CHECK(check, counters.reason[WEIR_DROP_BAN].packets ==
		      (i < 2 ? SENT : tiers[i] == WEIR_SEEN), "%s: %llu dropped", sources[i],
		      (unsigned long long)counters.reason[WEIR_DROP_BAN].packets);
	}
	known_flush(&known);
	known_close(&known);
	for (int i = 0; i < 2; i++) {
		hits[i] = hits_of(bans[i]);
		CHECK(check, hits[i] > LEAST && hits[i] < MOST, "%s: %u hits", bans[i], hits[i]);
	}
	check_done(check, "a ban counts what it drops, and spares proven sources only",
		   "%u and %u of %d packets counted", hits[0], hits[1], SENT);
}

/* More bans than the first hash of hosts has room for, and then none. */
static void test_many_bans(struct check *check)
{
	enum { MANY = 10000 };
	uint64_t until = now_ns() + 3600 * NS_PER_S;
	struct weir_counters counters;
	struct settings settings, read;
	struct frame_bytes bytes;
	char err[ERR_LEN];
	unsigned int sent = 0;

	start_afresh();
	new_settings(&settings);
	for (uint32_t i = 0; i < MANY; i++) {
		struct prefix prefix = i % 2 ? prefix_v4(0xc0000200 + i, 32) :
					       (struct prefix){ 0x20010db800000000ULL + i, 0, 64 };
		struct weir_entry ban = { .until_ns = until };

		entries_append(&settings.block, &prefix, &ban);
	}
	entries_sort(&settings.block);
	program_set(&program, &settings);
	for (uint32_t i = 1; i < MANY; i += 500, sent++) {
		uint32_t source = htonl(0xc0000200 + i);

		build_frame(&bytes, "ip4 udp:53");
		memcpy(bytes.at + bytes.ip + 12, &source, 4);
		run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
	}
	counters = take_counters(&program);
	CHECK(check, maps_read_settings(&program.maps, &read, err) == 0 &&
	      read.block.count == MANY, "%zu bans read back", read.block.count);
	settings_free(&read);
	CHECK(check, counters.reason[WEIR_DROP_BAN].packets == sent, "%llu of %u dropped",
	      (unsigned long long)counters.reason[WEIR_DROP_BAN].packets, sent);
	new_settings(&settings);
	program_set(&program, &settings);
	run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
	counters = take_counters(&program);
	CHECK(check, !counters.reason[WEIR_DROP_BAN].packets, "still banned");
	check_done(check, "bans beyond what there was room for", "%d, %u of them tried", MANY, sent);
}

/* ---- limits ---- */

struct limit_row {
	const char *what, *limit_from;
	struct weir_limit_spec spec;
	uint8_t v4_bits, v6_bits;
	const char *sources[3];		/* in turn */
	const char *words_v4, *words_v6;
	unsigned int offered, admitted;
};

#define HOURLY(burst) .rate_packets = 1, .per_s = 3600, .burst_packets = burst
#define SLOWLY(frames, bytes) .rate_bits_per_s = 1000, .burst_bits = (frames) * (bytes) * 8

/* Rates so low that only the burst passes while the test runs. */
static const struct limit_row limit_rows[] = {
	{ "packets", NULL, { .any_proto = 1, HOURLY(10) }, 32, 64, { "192.0.2.1" }, "ip4 udp:53",
	  NULL, 50, 10 },
	{ "a burst of one", NULL, { .any_proto = 1, HOURLY(1) }, 32, 64, { "192.0.2.1" },
	  "ip4 udp:53", NULL, 50, 1 },
	{ "bits", NULL, { .any_proto = 1, SLOWLY(20, 1514) }, 32, 64, { "192.0.2.1" },
	  "ip4 udp:53 data:1472", NULL, 50, 20 },
	{ "bits, padding counts", NULL, { .any_proto = 1, SLOWLY(200, 842) }, 32, 64,
	  { "192.0.2.1" }, "ip4 udp:53 pad:800", NULL, 500, 200 },
	{ "packets and bits, packets end first", NULL,
	  { .any_proto = 1, HOURLY(7), SLOWLY(20, 1514) }, 32, 64, { "192.0.2.1" },
	  "ip4 udp:53 data:1472", NULL, 50, 7 },
	{ "packets and bits, bits end first", NULL,
	  { .any_proto = 1, .rate_packets = 5, .per_s = 60, .burst_packets = 30,
	    SLOWLY(20, 1514) }, 32, 64, { "192.0.2.1" },
	  "ip4 udp:53 data:1472", NULL, 50, 20 },
	{ "each source of its own", NULL, { .any_proto = 1, HOURLY(5) }, 32, 64,
	  { "192.0.2.1", "192.0.2.2", "192.0.2.3" }, "ip4 udp:53", NULL, 60, 15 },
	{ "a /24 together", NULL, { .any_proto = 1, HOURLY(5) }, 24, 64,
	  { "192.0.2.1", "192.0.2.2", "198.51.100.3" }, "ip4 udp:53", NULL, 60, 10 },
	{ "all of IPv4 together", NULL, { .any_proto = 1, HOURLY(5) }, 0, 0,
	  { "192.0.2.1", "203.0.113.2", "198.51.100.3" }, "ip4 udp:53", NULL, 60, 5 },
	{ "a /64 together", NULL, { .any_proto = 1, HOURLY(5) }, 32, 64,
	  { "2001:db8::1", "2001:db8::2:0:0:9", "2001:db8:0:1::1" }, NULL, "ip6 udp:53", 60, 10 },
	{ "each IPv6 address", NULL, { .any_proto = 1, HOURLY(5) }, 32, 128,
	  { "2001:db8::1", "2001:db8::2", "2001:db8::3" }, NULL, "ip6 udp:53", 60, 15 },
	{ "only a prefix", "192.0.2.0/24", { .any_proto = 1, HOURLY(5) }, 32, 64,
	  { "192.0.2.1", "192.0.3.1" }, "ip4 udp:53", NULL, 40, 25 },
	{ "only an IPv6 prefix", "2001:db8:1::/48", { .any_proto = 1, HOURLY(5) }, 32, 64,
	  { "2001:db8:1::1", "2001:db8:2::1" }, NULL, "ip6 udp:53", 40, 25 },
	{ "only SYN", NULL, { .proto = IPPROTO_TCP, .what = WEIR_SYN, HOURLY(5) }, 32, 64,
	  { "192.0.2.1" }, "ip4 syn:80", NULL, 20, 5 },
	{ "only SYN: established traffic passes", NULL,
	  { .proto = IPPROTO_TCP, .what = WEIR_SYN, HOURLY(5) }, 32, 64, { "192.0.2.1" },
	  "ip4 tcp:80", NULL, 20, 20 },
	{ "only later fragments", NULL, { .any_proto = 1, .what = WEIR_FRAGMENT, HOURLY(5) }, 32,
	  64, { "192.0.2.1" }, "ip4 part:9,1 proto:17 data:8", NULL, 20, 5 },
	{ "a source port of a set", NULL,
	  { .proto = IPPROTO_UDP, .sport = { { 53, 53 }, { 123, 130 } }, HOURLY(5) }, 32, 64,
	  { "192.0.2.1" }, "ip4 udp:80 sport=130", NULL, 20, 5 },
	{ "a source port between those of a set", NULL,
	  { .proto = IPPROTO_UDP, .sport = { { 53, 53 }, { 123, 130 } }, HOURLY(5) }, 32, 64,
	  { "2001:db8::1" }, NULL, "ip6 udp:80 sport=122", 20, 20 },
	{ "a port of a set", NULL,
	  { .proto = IPPROTO_TCP, .dport = { { 80, 80 }, { 8000, 8100 } }, HOURLY(5) }, 32, 64,
	  { "2001:db8::1" }, NULL, "ip6 tcp:8000", 20, 5 },
	{ "a port beside a set", NULL,
	  { .proto = IPPROTO_TCP, .dport = { { 80, 80 }, { 8000, 8100 } }, HOURLY(5) }, 32, 64,
	  { "192.0.2.1" }, "ip4 tcp:8101", NULL, 20, 20 },
	{ "only a port", NULL, { .any_proto = 1, .dport_first = 53, .dport_last = 53, HOURLY(5) },
	  32, 64, { "2001:db8::1" }, NULL, "ip6 udp:54", 20, 20 },
};

static void test_limits(struct check *check)
{
	unsigned int packets = 0;

	for (size_t i = 0; i < sizeof(limit_rows) / sizeof(*limit_rows); i++) {
		const struct limit_row *row = &limit_rows[i];
		struct weir_counters counters;
		struct settings settings;
		struct frame_bytes bytes;
		uint64_t passed, dropped;
		int sources = 0, out = 0;

		new_settings(&settings);
		add_limit(&settings, row->limit_from, row->spec, row->v4_bits, row->v6_bits);
		program_set(&program, &settings);
		start_afresh();
		while (sources < 3 && row->sources[sources])
			sources++;
		for (unsigned int n = 0; n < row->offered; n++) {
			from(&bytes, row->sources[n % sources], row->words_v4, row->words_v6);
			out += run_frame(weir_fd(skel), bytes.at, bytes.size, 1) == XDP_PASS;
		}
		counters = take_counters(&program);
		passed = counters.reason[PASSES].packets + counters.reason[WEIR_CONTINUE].packets;
		dropped = counters.reason[WEIR_DROP_RATE].packets;
		CHECK(check, passed == row->admitted && out == (int)row->admitted,
		      "%s: %llu admitted, %u wanted", row->what, (unsigned long long)passed,
		      row->admitted);
		CHECK(check, passed + dropped == row->offered &&
			     count_packets(&counters) == row->offered,
		      "%s: %llu passed, %llu dropped of %u", row->what,
		      (unsigned long long)passed, (unsigned long long)dropped, row->offered);
		packets += row->offered;
	}
	check_done(check, "limits by rate, burst, class, source and prefix length",
		   "%zu limits, %u packets", sizeof(limit_rows) / sizeof(*limit_rows), packets);
}

/* The longest prefix decides, class by class; what it lacks comes from the shorter. */
static void test_overrides(struct check *check)
{
	static const struct { const char *from; struct weir_limit_spec spec; } limits[] = {
		{ NULL, { .any_proto = 1, HOURLY(3) } },
		{ "192.0.2.0/24", { .any_proto = 1, HOURLY(6) } },
		{ "192.0.2.64/26", { .proto = IPPROTO_UDP, HOURLY(9) } },
		{ "2001:db8::/32", { .proto = IPPROTO_UDP, HOURLY(4) } },
	};
	static const struct { const char *source, *v4, *v6; uint64_t admitted; } rows[] = {
		{ "198.51.100.1", "ip4 udp:53", NULL, 3 },
		{ "192.0.2.1", "ip4 udp:53", NULL, 6 },
		{ "192.0.2.65", "ip4 udp:53", NULL, 9 },
		{ "192.0.2.65", "ip4 tcp:53", NULL, 6 },
		{ "2001:db8::1", NULL, "ip6 udp:53", 4 },
		{ "2001:db8::1", NULL, "ip6 tcp:53", 3 },
	};
	struct settings settings;

	new_settings(&settings);
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		add_limit(&settings, limits[i].from, limits[i].spec, 32, 64);
	program_set(&program, &settings);
	start_afresh();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct weir_counters counters;
		struct frame_bytes bytes;

		from(&bytes, rows[i].source, rows[i].v4, rows[i].v6);
		for (int n = 0; n < 20; n++)
			run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
		counters = take_counters(&program);
		CHECK(check, counters.reason[PASSES].packets == rows[i].admitted &&
			     count_packets(&counters) == 20,
		      "%s %s: %llu admitted, %llu wanted", rows[i].source,
		      rows[i].v4 ? rows[i].v4 : rows[i].v6,
		      (unsigned long long)counters.reason[PASSES].packets,
		      (unsigned long long)rows[i].admitted);
	}
	check_done(check, "the longest source prefix decides, class by class", "%zu kinds",
		   sizeof(rows) / sizeof(*rows));
}

/* ---- drop rules ---- */

/* A packet that meets the rule, and up to three that miss it by one thing. */
static const struct drop_row {
	const char *rule, *hit, *miss[3];
} drop_rows[] = {
	{ "proto udp sport 123", "ip4 udp:80 sport=123",
	  { "ip4 udp:80 sport=124", "ip4 tcp:80 sport=123", "ip4 part:9,0 proto:17 data:8" } },
	{ "sport 53,123,1000-2000", "ip6 hop udp:80 sport=2000",
	  { "ip6 udp:80 sport=2001", "ip6 tcp:80 sport=999", "ip6 icmp6:128 data:8 sport=53" } },
	{ "dport 80,8000-8100", "vlan ip4+8 tcp:8100",
	  { "ip4 tcp:8101", "ip6 udp:79", "ip4 proto:47 data:8" } },
	{ "length 48", "ip4 udp:80 data:20", { "ip4 udp:80 data:21", "ip4 udp:80 data:19" } },
	{ "length 60-80", "ip6 udp:80 data:12", { "ip6 udp:80 data:33", "ip4 udp:80 data:12" } },
	{ "ip-ttl 60-64", "ip6 udp:80 hl=60", { "ip6 udp:80 hl=59", "ip6 udp:80 hl=65" } },
	{ "flags syn/syn,ack", "ip4 syn:80", { "ip4 synack:80", "ip4 tcp:80", "ip4 udp:80" } },
	{ "icmp-type echo-request", "ip6 icmp6:128 data:8", { "ip4 icmp:128", "ip6 icmp6:8 data:8" } },
	{ "icmp-type echo-request", "ip4 icmp:8", { "ip4 icmp:0", "ip4 icmp6:128" } },
	{ "icmp-type 8", "ip4 icmp:8", { "ip4 icmp:13", "ip4 udp:80" } },
	{ "icmp-type 128", "ip6 icmp6:128 data:8", { "ip6 icmp6:129 data:8" } },
	{ "fragment", "ip6 part:9,1 proto:17 data:8", { "ip6 part:0,1 udp:80", "ip4 udp:80" } },
	{ "payload 3 00000000", "ip4 tcp:80 data:7", { "ip4 tcp:80 data:6", "ip4 tcp:80" } },
	{ "payload 0 00", "ip4 udp:80 data:1", { "ip4 udp:80 pad:4" } },
	{ "l4 2 0050", "ip4 tcp:80", { "ip4 tcp:81" } },
	{ "proto 47", "ip4 proto:47 data:8", { "ip4 proto:46 data:8" } },
	{ "proto icmp", "ip6 icmp6:128 data:8", { "ip6 icmp6:1 data:8", "ip4 icmp:3" } },
	{ "from 192.0.2.0/25", "ip4 udp:80", { "ip6 udp:80" } },
	{ "to 2001:db8::/64", "ip6 udp:80", { "ip4 udp:80" } },
	{ "proto tcp dport 80 length 40-60 ip-ttl 64 from 192.0.2.1", "ip4 tcp:80 data:20",
	  { "ip4 tcp:80 data:21", "ip4 tcp:81 data:20", "ip4 udp:80 data:20" } },
};

static void run_drop(struct check *check, const struct drop_row *row, const char *words,
		     enum weir_reason reason)
{
	struct weir_counters counters;
	struct frame_bytes bytes;
	uint32_t action;

	build_frame(&bytes, words);
	action = run_frame(weir_fd(skel), bytes.at, bytes.size, 1);
	counters = take_counters(&program);
	counted(check, row->rule, &counters, reason, 1, bytes.size);
	CHECK(check, action == (reason == WEIR_DROP_RULE ? XDP_DROP : XDP_PASS),
	      "%s: \"%s\": action %u", row->rule, words, action);
}

static void test_drop_rules(struct check *check)
{
	unsigned int packets = 0;

	for (size_t i = 0; i < sizeof(drop_rows) / sizeof(*drop_rows); i++) {
		const struct drop_row *row = &drop_rows[i];
		struct settings settings;
		char line[128];

		snprintf(line, sizeof(line), "row %s force", row->rule);
		new_settings(&settings);
		add_drop_rule(&settings, line, 0);
		program_set(&program, &settings);
		take_counters(&program);
		run_drop(check, row, row->hit, WEIR_DROP_RULE);
		packets++;
		for (int n = 0; n < 3 && row->miss[n]; n++, packets++)
			run_drop(check, row, row->miss[n], WEIR_PASS_NO_LIMIT);
	}
	check_done(check, "drop rules: what meets a condition, and what misses it by one thing",
		   "%zu rules, %u packets", sizeof(drop_rows) / sizeof(*drop_rows), packets);
}

int main(void)
{
	struct check check = { 0 };
	struct weir_bpf *monitoring;

	datapath_verbose(false);
	skel = load(false);
	program_take(&program, skel->obj);
	monitoring = load(true);
	test_parser(&check);
	test_padding(&check);
	test_cuts(&check, frame_cuts, sizeof(frame_cuts) / sizeof(*frame_cuts), false,
		  "frames cut off at every byte");
	test_cuts(&check, packet_cuts, sizeof(packet_cuts) / sizeof(*packet_cuts), true,
		  "packets that end at every byte");
	put_set(in_set, sizeof(in_set) / sizeof(*in_set));
	test_ban_ends(&check);
	test_ban_hits(&check);
	test_many_bans(&check);
	set_lists(0);
	test_lists(&check, skel, false);
	test_lists(&check, monitoring, true);
	put_set(NULL, 0);
	test_limits(&check);
	test_overrides(&check);
	test_drop_rules(&check);
	program_close(&program);
	weir_bpf__destroy(monitoring);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
