// SPDX-License-Identifier: GPL-2.0-only
/*
 * SYN cookies, frame by frame: what the answer looks like, checked here byte by
 * byte, and who gets one. In a network namespace of its own, where this process
 * listens.
 */
#include <linux/bpf.h>
#include <pthread.h>

#include "bpf/pure/core_time.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.skel.h"
#include "tests/datapath/core_time.h"
#include "tests/datapath/frame.h"
#include "tests/datapath/namespace.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/state/cookie_clock.h"
#include "user/state/known.h"
#include "user/state/sides.h"
#include "user/model/syn_rules.h"

#define PORT	80	/* of a rule for one port */
#define CLOSED	8001	/* of a rule for 8000-8010, where only 8000 listens */
#define WSCALE	7
#define BURST	100	/* answers for one source */
#define SEQ	0xfffffffeU

static struct program program;
static int prog_fd;
static int listener, listener_8000;
static struct check check;

/* What a SYN offers; sixteen-bit words of the answer are checked against it. */
struct question {
	const char *what, *words;
	uint8_t options[40];
	uint32_t options_len;
	bool wants_ecn;
	/* what the answer has */
	bool mss, timestamps, sack, wscale;
};

#define MSS	  2, 4, 0x05, 0xb4
#define SACK	  4, 2
#define TIME	  8, 10, 1, 2, 3, 4, 0, 0, 0, 0
#define SHIFT(n)  3, 3, n
#define NOP	  1
#define LINUX	  { MSS, SACK, TIME, NOP, SHIFT(10) }, 20

static const struct question questions[] = {
	{ "Linux", "ip4 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "Linux, ECN", "ip4 syn:80 data:20", LINUX, true, true, true, true, true },
	{ "Linux, IPv6", "ip6 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "Linux, IPv6, ECN", "ip6 syn:80 data:20", LINUX, true, true, true, true, true },
	{ "VLAN", "vlan ip4 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "two tags", "qinq vlan ip4 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "VLAN, IPv6", "vlan ip6 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "data behind the SYN", "ip4 syn:80 data:320", LINUX, false, true, true, true, true },
	{ "largest frame", "ip4 syn:80 data:1460", LINUX, false, true, true, true, true },
	{ "largest frame, IPv6", "ip6 syn:80 data:1440", LINUX, true, true, true, true, true },
	{ "padding", "ip4 syn:80 data:4 pad:2", { MSS }, 4, false, true, false, false, false },
	{ "no options", "ip4 syn:80", { 0 }, 0, false, false, false, false, false },
	{ "no options, padding", "ip4 syn:80 pad:6", { 0 }, 0, true, true, false, false, false },
	{ "no options, IPv6", "ip6 syn:80", { 0 }, 0, false, false, false, false, false },
	{ "no options, VLAN", "vlan ip6 syn:80", { 0 }, 0, false, false, false, false, false },
	{ "no timestamps", "ip4 syn:80 data:12", { MSS, NOP, SHIFT(7), NOP, NOP, SACK }, 12, true,
	  true, false, false, false },
	{ "no timestamps, IPv6", "ip6 syn:80 data:12", { MSS, NOP, SHIFT(7), NOP, NOP, SACK }, 12,
	  false, true, false, false, false },
	{ "timestamps alone", "ip4 syn:80 data:12", { NOP, NOP, TIME }, 12, false, true, false,
	  false, false },
	{ "timestamps and MSS", "ip6 syn:80 data:16", { MSS, NOP, NOP, TIME }, 16, true, true, true,
	  false, false },
	{ "window scale of 255", "ip4 syn:80 data:20", { MSS, SACK, TIME, NOP, SHIFT(255) }, 20,
	  false, true, true, true, true },
	{ "40 bytes of options", "ip4 syn:80 data:40",
	  { 30, 20, [20] = MSS, SACK, TIME, NOP, SHIFT(3) }, 40, false, true, true, true, true },
	{ "40 no-operations", "ip4 syn:80 data:40",
	  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, TIME }, 40, false, true,
	  false, false, false },
	{ "an option of no length", "ip4 syn:80 data:8", { MSS, 8, 0, 3, 3 }, 8, false, true, false,
	  false, false },
	{ "an option beyond the end", "ip4 syn:80 data:8", { MSS, NOP, NOP, 8, 10 }, 8, false, true,
	  false, false, false },
	{ "options end early", "ip4 syn:80 data:20", { MSS, 0, 0, TIME }, 20, false, true, false,
	  false, false },
	{ "IPv4 options", "ip4+8 syn:80 data:20", LINUX, false, true, true, true, true },
	{ "40 bytes of IPv4 options", "ip4+40 syn:80 data:20", LINUX, true, true, true, true, true },
	{ "IPv6 extension headers", "ip6 hop dst syn:80 data:20", LINUX, false, true, true, true,
	  true },
	{ "first fragment", "ip4 part:0,1 syn:80 data:20", LINUX, false, true, true, true, true },
};

/* ---- frames ---- */

/* @source: the last byte of IPv4's, or one in the /64 of IPv6's. */
static void ask(struct frame_bytes *frame, const struct question *question, uint8_t source)
{
	uint8_t *tcp;

	build_frame(frame, question->words);
	memcpy(frame->at, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 }, 12);
	set_source(frame, source);
	tcp = frame->at + frame->l4;
	put32(tcp + 4, SEQ);
	put16(tcp + 14, 1024);
	if (question->options_len) {
		memcpy(tcp + 20, question->options, question->options_len);
		tcp[12] = (5 + question->options_len / 4) << 4;
	}
	if (question->wants_ecn)
		tcp[13] |= 0xc0;
}

static uint32_t run(const struct frame_bytes *frame, uint8_t *out, uint32_t *size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at, .data_size_in = frame->size,
		    .data_out = out, .data_size_out = 4096, .repeat = 1);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run", 0);
	*size = opts.data_size_out;
	return opts.retval;
}

/* Runs it; the only reason that was counted. */
static enum weir_reason reason_of(const struct frame_bytes *frame)
{
	struct weir_counters counters;
	uint8_t out[4096];
	uint32_t size;

	take_counters(&program);
	run(frame, out, &size);
	counters = take_counters(&program);
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (counters.reason[i].packets)
			return i;
	return WEIR_REASON_MAX;
}

/* ---- rules ---- */

static void protect(struct settings *settings, uint16_t first, uint16_t last, const char *to)
{
	struct weir_syn_rule rule = { .first = first, .last = last, .always = 1, .timestamps = 1,
				      .ecn = 1, .wscale = WSCALE };

	add_syn_rule(settings, rule, to);
}

static void set_rules(const char *to)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	protect(&settings, PORT, PORT, to);
	protect(&settings, 8000, 8010, NULL);
	program_set(&program, &settings);
}

/* The whole gate, so that no source owes answers, and nobody is known. */
static void forget(void)
{
	struct known known;
	char err[ERR_LEN];

	clear_gate(&program);
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_flush(&known);
	known_close(&known);
}

/* The heart beats at the first SYN to a service, and at one that the stack accepts. */
static void warm_up(const char *words)
{
	struct question first = { .words = words };
	struct frame_bytes frame;

	ask(&frame, &first, 250);
	set_sums(&frame);
	reason_of(&frame);
}

/* ---- the answer ---- */

struct found {
	bool mss, timestamps, sack, wscale, unknown;
	uint32_t mss_value, shift, time, echo;
};

static struct found read_options(const uint8_t *tcp)
{
	struct found found = { 0 };
	uint32_t len = (tcp[12] >> 4) * 4;

	for (uint32_t at = 20; at < len;) {
		const uint8_t *option = tcp + at;

		if (*option == 1) {
			at++;
			continue;
		}
		if (*option == 2 && option[1] == 4) {
			found.mss = true;
			found.mss_value = be16_at(option + 2);
		} else if (*option == 3 && option[1] == 3) {
			found.wscale = true;
			found.shift = option[2];
		} else if (*option == 4 && option[1] == 2) {
			found.sack = true;
		} else if (*option == 8 && option[1] == 10) {
			found.timestamps = true;
			found.time = be32_at(option + 2);
			found.echo = be32_at(option + 6);
		} else {
			found.unknown = true;
			return found;
		}
		at += option[1];
	}
	return found;
}

static void check_options(const struct question *question, const uint8_t *tcp)
{
	struct found found = read_options(tcp);
	uint32_t now = check_seconds() * 1000, mss = strstr(question->words, "ip6") ? 1440 : 1460;

	CHECK(&check, !found.unknown, "%s: an option that nobody asked for", question->what);
	CHECK(&check, found.mss == question->mss && (!found.mss || found.mss_value == mss),
	      "%s: MSS %d %u", question->what, found.mss, found.mss_value);
	CHECK(&check, found.timestamps == question->timestamps, "%s: timestamps %d", question->what,
	      found.timestamps);
	CHECK(&check, found.sack == question->sack, "%s: SACK %d", question->what, found.sack);
	CHECK(&check, found.wscale == question->wscale && (!found.wscale || found.shift == WSCALE),
	      "%s: window scale %d %u", question->what, found.wscale, found.shift);
	if (!found.timestamps)
		return;
	CHECK(&check, found.echo == 0x01020304, "%s: echo %x", question->what, found.echo);
	CHECK(&check, now - found.time < 200, "%s: time %u, now %u", question->what, found.time, now);
	CHECK(&check, (found.time >> 4 & 1) == question->sack, "%s: SACK's bit", question->what);
	CHECK(&check, (found.time >> 5 & 1) == question->wants_ecn, "%s: ECN's bit", question->what);
	CHECK(&check, (found.time & 15) == (question->wscale ? strchr(question->what, '5') ? 14 :
		      question->options_len == 40 ? 3 : 10 : 15), "%s: window scale's bits: %u",
	      question->what, found.time & 15);
}

static void check_answer(const struct question *question, const struct frame_bytes *asked,
			 const uint8_t *out, uint32_t size)
{
	const uint8_t *ip = out + asked->ip, *was_ip = asked->at + asked->ip;
	const uint8_t *tcp = ip + (asked->v6 ? 40 : 20), *was = asked->at + asked->l4;
	uint32_t len = (tcp[12] >> 4) * 4, at = asked->v6 ? 8 : 12, half = asked->v6 ? 16 : 4;
	bool ecn = question->wants_ecn && question->timestamps;

	CHECK(&check, size == asked->size, "%s: %u bytes for %u", question->what, size,
	      asked->size);
	CHECK(&check, !memcmp(out, asked->at + 6, 6) && !memcmp(out + 6, asked->at, 6), "%s: MACs",
	      question->what);
	CHECK(&check, !memcmp(out + 12, asked->at + 12, asked->ip - 12), "%s: tags", question->what);
	CHECK(&check, !memcmp(ip + at, was_ip + at + half, half) &&
	      !memcmp(ip + at + half, was_ip + at, half), "%s: addresses", question->what);
	CHECK(&check, !memcmp(tcp, was + 2, 2) && !memcmp(tcp + 2, was, 2), "%s: ports",
	      question->what);
	CHECK(&check, be32_at(tcp + 8) == SEQ + 1, "%s: acknowledges %x", question->what,
	      be32_at(tcp + 8));
	CHECK(&check, tcp[13] == (0x12 | (ecn ? 0x40 : 0)), "%s: flags %x", question->what, tcp[13]);
	if (asked->v6) {
		CHECK(&check, be32_at(ip) == 6U << 28 && be16_at(ip + 4) == len && ip[6] == 6 &&
		      ip[7] == 64, "%s: IPv6 header", question->what);
	} else {
		CHECK(&check, ip[0] == 0x45 && !ip[1] && be16_at(ip + 2) == 20 + len &&
		      be16_at(ip + 6) == 0x4000 && ip[8] == 64 && ip[9] == 6, "%s: IPv4 header",
		      question->what);
		CHECK(&check, folded(sum_of(ip, 20, 0)) == 0xffff, "%s: IPv4 checksum",
		      question->what);
	}
	CHECK(&check, tcp_sum(ip, tcp, len, asked->v6) == 0xffff, "%s: TCP checksum", question->what);
	CHECK(&check, asked->ip + (asked->v6 ? 40 : 20) + len <= size, "%s: header beyond the frame",
	      question->what);
	check_options(question, tcp);
}

/* The ACK that a client sends to this answer, or with another number. */
static void acknowledge(struct frame_bytes *frame, const struct question *question, uint8_t source,
			uint32_t ack)
{
	struct question bare = { .words = strstr(question->words, "ip6") ? "ip6 tcp:80" : "ip4 tcp:80" };

	ask(frame, &bare, source);
	put32(frame->at + frame->l4 + 4, SEQ + 1);
	put32(frame->at + frame->l4 + 8, ack);
}

static void test_answers(void)
{
	uint32_t count = sizeof(questions) / sizeof(*questions), size;
	struct frame_bytes frame;
	uint8_t out[4096];

	forget();
	warm_up("ip4 syn:80");
	warm_up("ip6 syn:80");
	for (uint32_t i = 0; i < count; i++) {
		const struct question *question = &questions[i];
		uint32_t action, cookie;
		enum weir_reason reason;

		ask(&frame, question, i + 1);
		if (strstr(question->words, "data:4 pad"))
			set_sums(&frame);
		/* With right sums it may be a heartbeat, one of which is due each 20 ms. */
		for (int tries = action = 0; tries < 5 && action != XDP_TX; tries++)
			action = run(&frame, out, &size);
		if (!CHECK(&check, action == XDP_TX, "%s: action %u", question->what, action))
			continue;
		check_answer(question, &frame, out, size);
		cookie = be32_at(out + frame.ip + (frame.v6 ? 40 : 20) + 4);
		acknowledge(&frame, question, i + 1, cookie + 1001);
		reason = reason_of(&frame);
		CHECK(&check, reason == WEIR_CONTINUE, "%s: a wrong cookie: %d", question->what, reason);
		acknowledge(&frame, question, i + 1, cookie + 1);
		CHECK(&check, reason_of(&frame) == WEIR_PASS_COOKIE, "%s: its cookie", question->what);
		CHECK(&check, reason_of(&frame) == WEIR_CONTINUE, "%s: is not known", question->what);
	}
	check_done(&check, "answers, byte by byte, and their cookies", "%u kinds of SYN, none "
		   "larger than its question", count);
}

/* ---- who gets one ---- */

static void test_who(void)
{
	static const struct {
		const char *what, *words, *to;
		enum weir_reason reason;
		uint8_t mac, v4_source;
		bool land;
	} rows[] = {
		{ "any destination", "ip4 syn:80", NULL, WEIR_TX_COOKIE },
		{ "another port", "ip4 syn:81", NULL, WEIR_CONTINUE },
		{ "first port of a range", "ip4 syn:8000", NULL, WEIR_TX_COOKIE },
		{ "a closed port of the range", "ip4 syn:8001", NULL, WEIR_CONTINUE },
		{ "to its address", "ip4 syn:80", "198.51.100.1/32", WEIR_TX_COOKIE },
		{ "to its network", "ip4 syn:80", "198.51.100.0/24", WEIR_TX_COOKIE },
		{ "to another address", "ip4 syn:80", "198.51.100.2/32", WEIR_CONTINUE },
		{ "to another family", "ip6 syn:80", "198.51.100.0/24", WEIR_CONTINUE },
		{ "to all of IPv4", "ip4 syn:80", "0.0.0.0/0", WEIR_TX_COOKIE },
		{ "to its network, IPv6", "ip6 syn:80", "2001:db8::/32", WEIR_TX_COOKIE },
		{ "to another network, IPv6", "ip6 syn:80", "2001:db9::/32", WEIR_CONTINUE },
		{ "SYN with ACK", "ip4 synack:80", NULL, WEIR_CONTINUE },
		{ "a broadcast frame", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .mac = 0xff },
		{ "from multicast", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .v4_source = 224 },
		{ "from broadcast", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .v4_source = 255 },
		{ "from loopback", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .v4_source = 127 },
		{ "from class E", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .v4_source = 0xf0 },
		{ "from itself", "ip4 syn:80", NULL, WEIR_DROP_COOKIES, .land = true },
	};
	uint32_t count = sizeof(rows) / sizeof(*rows);
	struct frame_bytes frame;

	forget();
	warm_up("ip4 syn:8000");
	for (uint32_t i = 0; i < count; i++) {
		struct question question = { .words = rows[i].words };
		enum weir_reason reason;

		set_rules(rows[i].to);
		ask(&frame, &question, 100 + i);
		if (rows[i].mac)
			frame.at[0] = rows[i].mac;
		if (rows[i].v4_source)
			frame.at[frame.ip + 12] = rows[i].v4_source;
		if (rows[i].land)
			memcpy(frame.at + frame.ip + 12, frame.at + frame.ip + 16, 4);
		reason = reason_of(&frame);
		CHECK(&check, reason == rows[i].reason, "%s: reason %d", rows[i].what, reason);
	}
	check_done(&check, "who is answered", "%u cases", count);
	set_rules(NULL);
}

/* ---- how many ---- */

static uint32_t count_reason(struct frame_bytes *frame, uint32_t times, enum weir_reason reason)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < times; i++)
		count += reason_of(frame) == reason;
	return count;
}

static void test_rates(void)
{
	struct question syn = { .words = "ip4 syn:80" }, ack = { .words = "ip4 tcp:80" };
	struct frame_bytes frame;
	uint32_t answers, strays, random_acks = 0;
	unsigned long long state = check_seed();
	struct weir_counters counters;
	struct known_count known_now;
	struct known known;
	uint8_t out[4096];
	uint32_t size;
	double start;
	char err[ERR_LEN];

	forget();
	start = check_seconds();
	ask(&frame, &syn, 200);
	answers = count_reason(&frame, 1000, WEIR_TX_COOKIE);
	CHECK(&check, answers >= BURST - 2 && answers <= BURST + 1 + 50 * (check_seconds() - start),
	      "%u answers", answers);
	start = check_seconds();
	ask(&frame, &ack, 201);
	put32(frame.at + frame.l4 + 8, 12345);
	strays = 1000 - count_reason(&frame, 1000, WEIR_DROP_STRAY_ACK);
	CHECK(&check, strays >= BURST - 1 && strays <= BURST + 1 + 50 * (check_seconds() - start),
	      "%u strays", strays);
	check_done(&check, "one source", "%u of 1,000 SYNs answered, %u of 1,000 stray ACKs passed",
		   answers, strays);

	/* From everywhere, with any number: two bits in 2^32 of cookies are right. */
	forget();
	take_counters(&program);
	start = check_seconds();
	for (uint32_t i = 0; i < 200000; i++) {
		put32(frame.at + frame.ip + 12, 0x0b000000 | (check_random(&state) & 0xffffff));
		put32(frame.at + frame.l4 + 8, check_random(&state));
		run(&frame, out, &size);
		random_acks++;
	}
	counters = take_counters(&program);
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_count(&known, &known_now);
	known_close(&known);
	strays = counters.reason[WEIR_DROP_STRAY_ACK].packets;
	CHECK(&check, !counters.reason[WEIR_PASS_COOKIE].packets && !known_count_all(&known_now),
	      "%llu took for cookies, %llu known",
	      (unsigned long long)counters.reason[WEIR_PASS_COOKIE].packets,
	      (unsigned long long)known_count_all(&known_now));
	CHECK(&check, random_acks - strays <= 1100 + 10000 * (check_seconds() - start) * 1.02,
	      "%u of %u passed in %.2f s", random_acks - strays, random_acks, check_seconds() - start);
	check_done(&check, "a flood of random ACKs makes nobody known",
		   "%u dropped as stray of %u in %.2f s, %llu known", strays, random_acks,
		   check_seconds() - start, (unsigned long long)known_count_all(&known_now));
}

/* Until the data path's clock has just moved: what passes by our clock from here on, passes by its. */
static void wait_for_tick(void)
{
	struct timespec first, now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &first);
	do
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	while (now.tv_nsec == first.tv_nsec);
}

/* A source that has proved to be there may be many, behind one address. */
static void test_known_rate(void)
{
	struct question syn = { .words = "ip4 syn:80" };
	struct prefix source = prefix_v4(0xc00002ca, 32); /* 192.0.2.202 */
	struct frame_bytes frame;
	struct known known;
	char err[ERR_LEN];
	uint32_t answers;
	double start;

	forget();
	if (known_open(&program.maps, &known, err) || !known_add(&known, &source, WEIR_PROVEN))
		die("known", -EIO);
	known_close(&known);
	ask(&frame, &syn, 202);
	wait_for_tick();
	start = check_seconds();
	answers = count_reason(&frame, 6000, WEIR_TX_COOKIE);
	CHECK(&check, answers >= 4000 && answers <= 4000 + BURST + 5 + 2050 * (check_seconds() - start),
	      "%u in %.2f s", answers, check_seconds() - start);
	check_done(&check, "one known source", "%u of 6,000 SYNs answered in %.2f s", answers,
		   check_seconds() - start);
}

/* ---- the heart ---- */

#define MD5	19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define AO	29, 16, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

/* With right sums, or with wrong ones, as ask() leaves them. */
static uint32_t beats_in(double seconds, const struct question *syn, bool right, uint32_t *asked)
{
	struct frame_bytes frame;
	uint32_t beats = 0;

	ask(&frame, syn, 203);
	if (right)
		set_sums(&frame);
	*asked = 0;
	for (double end = check_seconds() + seconds; !*asked || check_seconds() < end; ++*asked)
		beats += reason_of(&frame) == WEIR_PASS_NEWCOMER;
	return beats;
}

/* As if all heartbeats had come so much earlier. Returns the time of the last one, in ticks. */
static uint64_t age_beats(uint64_t seconds)
{
	struct weir_service service, *before = NULL;
	int fd = program.maps.fd[MAP_beats];
	uint64_t tat, last = 0;

	while (!bpf_map_get_next_key(fd, before, &service)) {
		if (bpf_map_lookup_elem(fd, &service, &tat))
			die("beats", 0);
		tat -= tat < seconds * WEIR_TICKS_PER_S ? tat : seconds * WEIR_TICKS_PER_S;
		if (bpf_map_update_elem(fd, &service, &tat, BPF_EXIST))
			die("beats", 0);
		last = tat > last ? tat : last;
		before = &service;
	}
	return last;
}

/* SYNs with wrong sums, from the last beat on until one goes through: seconds after it, or -1. */
static double wait_for_beat(const struct question *syn, uint64_t last, uint32_t *asked)
{
	double since = 0;

	while (since < 10) {
		uint32_t beats, more;

		beats = beats_in(0, syn, false, &more);
		*asked += more;
		since = (double)((int64_t)((now_ns() << WEIR_TICK_SHIFT) - last)) / WEIR_TICKS_PER_S;
		if (beats)
			return since;
	}
	return -1;
}

static void test_heart(void)
{
	static const struct question usual = { .words = "ip4 syn:80 data:20", .options = LINUX };
	uint32_t right, wrong, more, asked, asked_wrong, asked_longer = 0, asked_more;
	double since;

	forget();
	warm_up("ip4 syn:80");
	right = beats_in(1.1, &usual, true, &asked);
	CHECK(&check, right >= 10 && right <= 60, "%u of %u right ones", right, asked);
	wrong = beats_in(1.1, &usual, false, &asked_wrong);
	CHECK(&check, !wrong, "%u of %u wrong ones", wrong, asked_wrong);
	since = wait_for_beat(&usual, age_beats(6), &asked_longer);
	CHECK(&check, since >= 8, "the first of %u more wrong ones %.2f s after the last beat",
	      asked_longer, since);
	more = beats_in(0.5, &usual, false, &asked_more);
	CHECK(&check, !more, "%u of %u wrong ones after it", more, asked_more);
	check_done(&check, "SYNs that reach the listener", "with right sums %u in 1.1 s; of %u with wrong "
		   "ones one, %.2f s after those", right, asked_wrong + asked_longer + asked_more, since);
}

/* Right sums, but the stack discards them: none goes to the listener instead of one that it takes. */
static void test_discarded(void)
{
	static const struct question rows[] = {
		{ "first fragment", "ip4 part:0,1 syn:80 data:20", LINUX },
		{ "TCP-MD5", "ip4 syn:80 data:20", { MD5, NOP, NOP }, 20 },
		{ "TCP-MD5 behind others", "ip4 syn:80 data:40", { MSS, SACK, TIME, NOP, SHIFT(10), MD5, NOP,
		  NOP }, 40 },
		{ "TCP-MD5, IPv6", "ip6 syn:80 data:20", { NOP, NOP, MD5 }, 20 },
		{ "TCP-MD5 behind 20 others", "ip4 syn:80 data:40",
		  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, MD5 }, 40 },
		{ "TCP-AO", "ip4 syn:80 data:16", { AO }, 16 },
		{ "TCP-AO, IPv6", "ip6 syn:80 data:16", { AO }, 16 },
		{ "an option of no length", "ip4 syn:80 data:8", { MSS, 8, 0, 3, 3 }, 8 },
		{ "an option beyond the end", "ip4 syn:80 data:8", { MSS, NOP, NOP, 8, 10 }, 8 },
		{ "an option without a length", "ip4 syn:80 data:8", { MSS, NOP, NOP, NOP, 8 }, 8 },
	};
	static const struct question right[] = { { .words = "ip4 syn:80 data:20", .options = LINUX },
						 { .words = "ip6 syn:80 data:20", .options = LINUX } };
	uint32_t count = sizeof(rows) / sizeof(*rows), asked = 0, beats[sizeof(rows) / sizeof(*rows)] = { 0 };
	struct frame_bytes frames[sizeof(rows) / sizeof(*rows)];

	forget();
	warm_up("ip4 syn:80");
	warm_up("ip6 syn:80");
	for (uint32_t i = 0; i < count; i++) {
		ask(&frames[i], &rows[i], 203);
		set_sums(&frames[i]);
	}
	/* In turn: a beat is due all the time, and each kind is there to take it. */
	for (double end = check_seconds() + 1.2; asked < 100 || check_seconds() < end; asked++)
		for (uint32_t i = 0; i < count; i++)
			beats[i] += reason_of(&frames[i]) == WEIR_PASS_NEWCOMER;
	for (uint32_t i = 0; i < count; i++)
		CHECK(&check, !beats[i], "%s: %u of %u", rows[i].what, beats[i], asked);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t tries;

		CHECK(&check, beats_in(0, &right[i], true, &tries), "%s: none was due", right[i].words);
	}
	check_done(&check, "SYNs that the stack discards do not go to the listener",
		   "%u of each of %u kinds", asked, count);
}

/*
 * The stack discards SYNs from its own addresses and from sources without a route, which their
 * bytes do not show. One SYN in 16 here is another client's: it is not kept out.
 */
static void test_mixed(void)
{
	static const struct question usual = { .words = "ip4 syn:80 data:20", .options = LINUX };
	unsigned long long state = check_seed();
	struct frame_bytes thin, client;
	uint32_t served = 0, asked = 0;

	forget();
	ask(&thin, &usual, 204);
	set_sums(&thin);
	ask(&client, &usual, 205);
	set_sums(&client);
	for (double end = check_seconds() + 5; check_seconds() < end; asked++) {
		bool is_client = !(check_random(&state) % 16);

		served += reason_of(is_client ? &client : &thin) == WEIR_PASS_NEWCOMER && is_client;
	}
	CHECK(&check, served >= 4, "%u of %u", served, asked);
	check_done(&check, "SYNs from anywhere do not keep a client's from the listener",
		   "%u of a client's among %u in 5 s", served, asked);
}

/* The cell of a service in a table that is indexed by an unkeyed hash. */
static uint32_t unkeyed_cell(uint32_t to, uint16_t port)
{
	return weir_mix((0xffff00000000ULL | to) * 3 ^ port) & 4095;
}

/* A flood of right SYNs to one service takes nothing from the other one. */
static void test_two_services(void)
{
	static const struct question first = { .words = "ip4 syn:80 data:20", .options = LINUX },
				     second = { .words = "ip4 syn:8000 data:20", .options = LINUX };
	struct frame_bytes flood, client;
	uint32_t to = 0xc6330000, served = 0, turns = 3;

	while (unkeyed_cell(to, 80) != unkeyed_cell(0xc6336401, 8000))
		to++;
	forget();
	ask(&flood, &first, 206);
	put32(flood.at + flood.ip + 16, to);
	set_sums(&flood);
	ask(&client, &second, 207);
	set_sums(&client);
	for (uint32_t i = 0; i < turns; i++) {
		for (double end = check_seconds() + 1.1; check_seconds() < end;)
			reason_of(&flood);
		served += reason_of(&client) == WEIR_PASS_NEWCOMER;
	}
	CHECK(&check, served == turns, "%u of %u", served, turns);
	check_done(&check, "a flood of SYNs to another service takes no heartbeat",
		   "%u of %u reached the listener", served, turns);
}

/* ---- the listener's clock ---- */

/* The same maps, and a program that reads a listener's clock: fresh for a second. */
static struct weir_bpf *load_clocked(uint32_t *jiffies_per_s)
{
	struct weir_bpf *skel = weir_bpf__open();
	struct cookie_clock clock;

	if (!skel)
		die("cannot open the program", 0);
	if (!cookie_clock_read(&clock)) {
		weir_bpf__destroy(skel);
		return NULL;
	}
	program_share(&program, skel->obj);
	*jiffies_per_s = clock.fresh / 60;
	skel->rodata->answer_weight = 0;
	skel->rodata->clock_fresh = *jiffies_per_s;
	skel->rodata->clock_stamp_at = clock.stamp_at;
	skel->rodata->clock_group_at = clock.group_at;
	skel->rodata->clock_group_stamp_at = clock.group_stamp_at;
	if (weir_bpf__load(skel))
		die("cannot load the program with the clock", 0);
	return skel;
}

/*
 * From an address of its own each: none is short of answers. Those whose verdict was not there by
 * @until do not count.
 */
static uint32_t beats_of_many(double until, const char *words, uint32_t *asked)
{
	struct question syn = { .words = words, .options = LINUX };
	struct frame_bytes frame;
	uint32_t beats = 0;

	ask(&frame, &syn, 203);
	*asked = 0;
	for (;;) {
		bool beat;

		if (frame.v6)
			put32(frame.at + frame.ip + 12, *asked);
		else
			put32(frame.at + frame.ip + 12, 0xc6120000 | (*asked & 0x1ffff));
		set_sums(&frame);
		beat = reason_of(&frame) == WEIR_PASS_NEWCOMER;
		if (check_seconds() >= until)
			return beats;
		beats += beat;
		++*asked;
	}
}

/*
 * The same while the listener's cookie is fresh for certain: for less than a second. The kernel
 * renews the time of a cookie when that is a second old, so it has to be.
 */
static uint32_t beats_while_fresh(int listens, const char *words, uint32_t *asked)
{
	uint32_t beats;

	*asked = 0;
	for (int tries = 0; tries < 20 && !*asked; tries++) {
		double start;

		usleep(1100000);
		start = check_seconds();
		freshen(listens);
		beats = beats_of_many(start + 0.5, words, asked);
	}
	return beats;
}

static int listen_in_group(uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16))
		die("listen in a group", 0);
	return fd;
}

/* As many as the stack bears while the listener's cookie is old, and none once it is fresh. */
static void test_clock(void)
{
	const struct { const char *what, *words; int listener; } rows[] = {
		{ "IPv4", "ip4 syn:80 data:20", listener },
		{ "IPv6", "ip6 syn:80 data:20", listener },
		{ "another port", "ip4 syn:8000 data:20", listener_8000 },
		{ "a group", "ip4 syn:8002 data:20", listen_in_group(8002) },
	};
	uint32_t jiffies_per_s, count = sizeof(rows) / sizeof(*rows), stale_sum = 0, all = 0, asked;
	struct weir_bpf *skel = load_clocked(&jiffies_per_s);
	int blind = prog_fd;

	if (!skel) {
		printf("skip - the listener's clock: this kernel has no BTF\n");
		return;
	}
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	forget();
	use_cookies();
	usleep(1300000);	/* for all rows: two of them have the same listener */
	for (uint32_t i = 0; i < count; i++) {
		uint32_t stale = beats_of_many(check_seconds() + 0.5, rows[i].words, &asked);

		CHECK(&check, stale >= 20 && stale <= 2200, "%s, stale: %u of %u", rows[i].what, stale,
		      asked);
		stale_sum += stale;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t fresh = beats_while_fresh(rows[i].listener, rows[i].words, &asked);

		CHECK(&check, asked && !fresh, "%s, fresh: %u of %u", rows[i].what, fresh, asked);
		all += fresh;
	}
	usleep(1300000);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t again = beats_of_many(check_seconds() + 0.2, rows[i].words, &asked);

		CHECK(&check, again >= 10, "%s, stale again: %u of %u", rows[i].what, again, asked);
	}
	check_done(&check, "SYNs go to a listener while its own cookie is old, and no others",
		   "%u kinds, %u in half a second each while old, %u while fresh", count,
		   stale_sum / count, all);
	prog_fd = blind;
	weir_bpf__destroy(skel);
}

/* ---- when a core is short of time ---- */

/* As if SYNs had used up the time of every core until @ms from now. */
static void owe(uint64_t ms)
{
	uint64_t until = now_ns() + ms * 1000000;

	if (put_core_time(&program.maps,
			  (struct weir_core_time){ .tat_ns = until, .cost_ns = 1000 }))
		die("core_time", 0);
}

/* A SYN for which there is time may be the heart's beat: it is due once a second. */
static enum weir_reason in_short_time(const struct frame_bytes *frame, uint64_t ms)
{
	enum weir_reason reason;

	owe(ms);
	reason = reason_of(frame);
	return reason == WEIR_PASS_NEWCOMER ? WEIR_TX_COOKIE : reason;
}

static void test_shortage(void)
{
	static const struct {
		const char *what;
		uint64_t ms;	/* owed; a quarter, a half, all of 128 are where tiers end */
		enum weir_reason first, again, known;
	} rows[] = {
		{ "time for all", 0, WEIR_TX_COOKIE, WEIR_TX_COOKIE, WEIR_TX_COOKIE },
		{ "none for first SYNs", 48, WEIR_DROP_FIRST_SYN, WEIR_TX_COOKIE, WEIR_TX_COOKIE },
		{ "known sources only", 96, WEIR_DROP_FIRST_SYN, WEIR_DROP_FIRST_SYN, WEIR_TX_COOKIE },
		{ "for nobody", 1000, WEIR_DROP_FIRST_SYN, WEIR_DROP_FIRST_SYN, WEIR_DROP_FIRST_SYN },
	};
	static const char *const families[] = { "ip4 syn:80", "ip6 syn:80", "vlan ip4+8 syn:80",
						"ip6 hop dst syn:80" };
	struct prefix source = prefix_v4(0xc00002c8, 32); /* 192.0.2.200 */
	enum weir_reason first, again, known_one, other;
	struct known known;
	char err[ERR_LEN];
	uint32_t count = sizeof(rows) / sizeof(*rows);

	for (uint32_t i = 0; i < count * 4; i++) {
		struct question question = { .words = families[i / count] };
		struct frame_bytes frame;
		uint32_t row = i % count;

		forget();
		owe(0);
		warm_up(question.words);
		ask(&frame, &question, 60 + i);
		first = in_short_time(&frame, rows[row].ms);
		again = in_short_time(&frame, rows[row].ms);
		/* The same source and port, but a SYN of its own: no retransmission. */
		put32(frame.at + frame.l4 + 4, 77777);
		other = in_short_time(&frame, rows[row].ms);
		CHECK(&check, first == rows[row].first && again == rows[row].again && other == first,
		      "%s, %s: %d, %d, %d", families[i / count], rows[row].what, first, again, other);
		if (i >= count)
			continue;
		if (known_open(&program.maps, &known, err) || !known_add(&known, &source, WEIR_PROVEN))
			die("known", -EIO);
		known_close(&known);
		ask(&frame, &question, 200);
		known_one = in_short_time(&frame, rows[row].ms);
		CHECK(&check, known_one == rows[row].known, "known, %s: %d", rows[row].what, known_one);
	}
	owe(0);
	check_done(&check, "short of time, first SYNs wait, then those that come again, then known sources",
		   "%u cases", count * 4);
}

/* For changes from another CPU where there are two, and for what each CPU counts. */
static void take_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* ---- segments without SYN ---- */

#define FIN	0x01
#define SYN	0x02
#define RST	0x04
#define PSH	0x08
#define ACK	0x10
#define URG	0x20

/* A socket of this host: a connection to itself. Returns the port of the client's end. */
static uint16_t connect_to_self(int *client)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	*client = socket(AF_INET, SOCK_STREAM, 0);
	if (*client < 0 || connect(*client, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(*client, (struct sockaddr *)&address, &len))
		die("connect", 0);
	return ntohs(address.sin_port);
}

static void segment(struct frame_bytes *frame, const char *words, uint8_t source, uint8_t flags)
{
	struct question bare = { .words = words };

	ask(frame, &bare, source);
	put32(frame->at + frame->l4 + 8, 12345);
	frame->at[frame->l4 + 13] = flags;
}

/* All 64 combinations, also from a known source: what no stack sends, and what is left. */
static void test_flags(void)
{
	struct prefix source = prefix_v4(0xc00002cb, 32); /* 192.0.2.203 */
	uint32_t dropped = 0, combinations = 0;
	struct frame_bytes frame;
	struct known known;
	char err[ERR_LEN];

	for (int is_known = 0; is_known < 2; is_known++) {
		forget();
		if (is_known && (known_open(&program.maps, &known, err) ||
				 !known_add(&known, &source, WEIR_PROVEN)))
			die("known", -EIO);
		if (is_known)
			known_close(&known);
		for (uint8_t flags = 0; flags < 64; flags++, combinations++) {
			bool sent = flags & SYN ? !(flags & (FIN | RST)) : flags & (ACK | RST);
			enum weir_reason reason;

			segment(&frame, "ip4 tcp:80", 203, flags);
			reason = reason_of(&frame);
			CHECK(&check, (reason == WEIR_DROP_TCP) == !sent, "flags %02x: reason %d", flags,
			      reason);
			dropped += reason == WEIR_DROP_TCP;
			segment(&frame, "ip4 tcp:81", 203, flags);
			reason = reason_of(&frame);
			CHECK(&check, reason == WEIR_CONTINUE, "flags %02x, another port: %d", flags,
			      reason);
		}
	}
	check_done(&check, "combinations of flags that no stack sends drop at a protected port",
		   "%u of %u, and none at another port", dropped, combinations);
}

/* A flood of them passes as stray ACKs do; those of a connection all pass. */
static void test_resets(void)
{
	static const struct { const char *what, *words; uint8_t flags; } rows[] = {
		{ "RST", "ip4 tcp:80", RST }, { "RST, ACK", "ip4 tcp:80", RST | ACK },
		{ "RST, IPv6", "ip6 tcp:80", RST }, { "FIN, ACK", "ip4 tcp:80", FIN | ACK },
		{ "SYN, ACK", "ip4 synack:80", SYN | ACK }, { "RST, FIN", "ip4 tcp:80", RST | FIN },
	};
	uint32_t count = sizeof(rows) / sizeof(*rows), passed = 0, of_connection = 0;
	uint16_t port;
	int client;

	port = connect_to_self(&client);
	for (uint32_t i = 0; i < count; i++) {
		struct frame_bytes frame;
		double start;
		uint32_t few;

		forget();
		start = check_seconds();
		segment(&frame, rows[i].words, 210 + i, rows[i].flags);
		few = 1000 - count_reason(&frame, 1000, WEIR_DROP_STRAY_ACK);
		CHECK(&check, few >= BURST - 1 && few <= BURST + 1 + 50 * (check_seconds() - start),
		      "%s: %u of 1,000 passed", rows[i].what, few);
		passed += few;
		if (frame.v6)
			continue;
		put32(frame.at + frame.ip + 12, INADDR_LOOPBACK);
		put32(frame.at + frame.ip + 16, INADDR_LOOPBACK);
		put16(frame.at + frame.l4, port);
		of_connection += count_reason(&frame, 1000, WEIR_CONTINUE);
	}
	close(client);
	CHECK(&check, of_connection == 1000 * (count - 1), "%u of %u of a connection", of_connection,
	      1000 * (count - 1));
	check_done(&check, "RSTs of no connection pass as stray ACKs do",
		   "%u of %u,000 from one source; of a connection's own %u of %u,000", passed, count,
		   of_connection, count - 1);
}

/* As if segments without SYN had used up their time until @ms from now, and lately been dropped. */
static void owe_acks(uint64_t ms, bool short_of_time)
{
	uint64_t now = now_ns();

	if (put_core_time(&program.maps,
			  (struct weir_core_time){ .cost_ns = 1000, .ack_cost_ns = 300,
						   .ack_tat_ns = now + ms * 1000000,
						   .ack_short_ns = short_of_time ? now : 0 }))
		die("core_time", 0);
}

static enum weir_reason ack_in_short_time(const struct frame_bytes *frame, uint64_t ms)
{
	owe_acks(ms, false);
	return reason_of(frame);
}

static void test_ack_shortage(void)
{
	static const struct {
		const char *what;
		uint64_t ms;	/* owed; a quarter and a half of 128 are where tiers end */
		enum weir_reason first, again;
	} rows[] = {
		{ "time for all", 0, WEIR_CONTINUE, WEIR_CONTINUE },
		{ "none for first ones", 48, WEIR_DROP_FIRST_ACK, WEIR_CONTINUE },
		{ "none", 96, WEIR_DROP_FIRST_ACK, WEIR_DROP_FIRST_ACK },
	};
	static const struct { const char *words; uint8_t flags; } kinds[] = {
		{ "ip4 tcp:80", ACK }, { "ip6 tcp:80", ACK }, { "ip4 tcp:80", RST },
		{ "vlan ip4+8 tcp:80", ACK }, { "ip6 hop dst tcp:80", FIN | ACK },
	};
	uint32_t count = sizeof(rows) / sizeof(*rows), of = sizeof(kinds) / sizeof(*kinds);
	struct prefix source = prefix_v4(0xc00002c8, 32); /* 192.0.2.200 */
	struct frame_bytes frame;
	struct known known;
	char err[ERR_LEN];

	forget();
	if (known_open(&program.maps, &known, err) || !known_add(&known, &source, WEIR_PROVEN))
		die("known", -EIO);
	known_close(&known);
	for (uint32_t i = 0; i < count * of; i++) {
		enum weir_reason first, again, other, of_known;
		uint32_t row = i % count, kind = i / count;

		segment(&frame, kinds[kind].words, 20 + i, kinds[kind].flags);
		first = ack_in_short_time(&frame, rows[row].ms);
		again = ack_in_short_time(&frame, rows[row].ms);
		put32(frame.at + frame.l4 + 4, 77777);
		other = ack_in_short_time(&frame, rows[row].ms);
		segment(&frame, "ip4 tcp:80", 200, kinds[kind].flags);
		of_known = ack_in_short_time(&frame, rows[row].ms);
		CHECK(&check, first == rows[row].first && again == rows[row].again && other == first &&
		      of_known == WEIR_CONTINUE, "%s, %s: %d, %d, %d, known %d", kinds[kind].words,
		      rows[row].what, first, again, other, of_known);
	}
	owe_acks(0, false);
	check_done(&check, "short of time, segments without SYN wait, then those that come again",
		   "%u cases; known sources never", count * of);
}

/* The ACK of a cookie is looked up at once if it is expected, and else when its data comes. */
static void test_expected_acks(void)
{
	static const char *const families[] = { "ip4 syn:80", "ip6 syn:80" };
	uint32_t at_once = 0, with_data = 0, tries = 0, size;
	struct frame_bytes frame;
	uint8_t out[4096];

	for (int expected = 0; expected < 2; expected++) {
		for (uint8_t source = 1; source <= 100; source++, tries++) {
			struct question question = { .words = families[source % 2] };
			uint32_t action = 0, cookie;
			enum weir_reason reason;

			if (source == 1)
				forget();
			ask(&frame, &question, source);
			put32(frame.at + frame.l4 + 4, source * 1000U);
			for (int i = 0; i < 5 && action != XDP_TX; i++) {
				owe_acks(48, expected);
				action = run(&frame, out, &size);
			}
			if (!CHECK(&check, action == XDP_TX, "action %u", action))
				continue;
			cookie = be32_at(out + frame.ip + (frame.v6 ? 40 : 20) + 4);
			acknowledge(&frame, &question, source, cookie + 1);
			put32(frame.at + frame.l4 + 4, source * 1000U + 1);
			reason = reason_of(&frame);
			at_once += reason == WEIR_PASS_COOKIE;
			if (expected) {
				CHECK(&check, reason == WEIR_PASS_COOKIE, "expected: reason %d", reason);
				continue;
			}
			CHECK(&check, reason == WEIR_DROP_FIRST_ACK, "not expected: reason %d", reason);
			frame.at[frame.l4 + 13] |= PSH;
			reason = reason_of(&frame);
			with_data += reason == WEIR_PASS_COOKIE;
			CHECK(&check, reason == WEIR_PASS_COOKIE, "its data: reason %d", reason);
		}
	}
	owe_acks(0, false);
	check_done(&check, "ACKs of cookies are looked up though a core is short of time for ACKs",
		   "%u at once, %u with the data behind them, of %u", at_once, with_data, tries);
}

/* The cost of one look-up as this CPU measured it last. */
static uint64_t ack_cost(void)
{
	struct weir_core_time *all = calloc(libbpf_num_possible_cpus(), sizeof(*all));
	uint32_t zero = 0;
	uint64_t cost = 0;

	if (!all || bpf_map_lookup_elem(program.maps.fd[MAP_core_time], &zero, all))
		die("core_time", 0);
	cost = all[sched_getcpu()].ack_cost_ns;
	free(all);
	return cost;
}

static void set_share(uint32_t percent)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	protect(&settings, PORT, PORT, NULL);
	settings.policy->syn_share = percent;
	program_set(&program, &settings);
}

/*
 * A flood of ACKs from ever new sources, with a share of 1 % of a core, half of which is for them;
 * beside it clients that each answer a cookie. What is looked up is counted, and what it took is the
 * sum of the costs as they were measured.
 */
static void test_ack_flood(void)
{
	struct weir_bpf *skel = weir_bpf__open();
	uint32_t looked_up = 0, sent = 0, clients = 0, served = 0, size;
	unsigned long long state = check_seed();
	struct weir_counters counters;
	double start, elapsed, used = 0;
	int unbounded = prog_fd;
	uint8_t out[4096];

	if (!skel)
		die("cannot open the program", 0);
	program_share(&program, skel->obj);
	if (weir_bpf__load(skel))
		die("cannot load the program with its core time", 0);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	set_share(1);
	forget();
	take_cpu(0);
	owe_acks(0, false);
	take_counters(&program);
	start = check_seconds();
	while (sent < 400000) {
		struct question question = { .words = "ip4 syn:80" };
		struct frame_bytes frame;
		uint32_t now_up;

		segment(&frame, "ip4 tcp:80", 1, ACK);
		for (int i = 0; i < 64; i++, sent++) {
			put32(frame.at + frame.ip + 12, 0x0b000000 | (check_random(&state) & 0xffffff));
			put32(frame.at + frame.l4 + 4, check_random(&state));
			run(&frame, out, &size);
		}
		counters = take_counters(&program);
		now_up = counters.reason[WEIR_DROP_STRAY_ACK].packets +
			 counters.reason[WEIR_CONTINUE].packets;
		looked_up += now_up;
		used += now_up * ack_cost() / 1e9;
		if (sent % 6400 || check_seconds() - start < 0.3)
			continue;
		/* Its SYN may wait for time, too: what is asked here is what becomes of its ACK. */
		ask(&frame, &question, 1);
		put32(frame.at + frame.ip + 12, 0xc6120000U + sent / 64); /* 198.18.0.0/15 */
		for (int i = 0; i < 3; i++) {
			if (run(&frame, out, &size) != XDP_TX)
				continue;
			clients++;
			put32(frame.at + frame.l4 + 8, be32_at(out + frame.ip + 24) + 1);
			put32(frame.at + frame.l4 + 4, SEQ + 1);
			frame.at[frame.l4 + 13] = ACK;
			served += reason_of(&frame) == WEIR_PASS_COOKIE;
			break;
		}
		take_counters(&program);
	}
	elapsed = check_seconds() - start;
	/* The debt for first ones is a quarter of the burst, 32 ms of the clock. */
	CHECK(&check, looked_up && used <= (elapsed + 0.032) * 0.005 * 1.25, "%.5f s of %.2f", used,
	      elapsed);
	CHECK(&check, looked_up < sent / 2, "%u of %u looked up", looked_up, sent);
	CHECK(&check, clients && served == clients, "%u of %u clients", served, clients);
	prog_fd = unbounded;
	set_rules(NULL);
	owe_acks(0, false);
	weir_bpf__destroy(skel);
	check_done(&check, "a flood of ACKs has half of the share of a core",
		   "%u ACKs in %.2f s: %u looked up, %.2f ms of %.2f; the ACKs of %u of %u clients "
		   "served at once", sent, elapsed, looked_up, used * 1000, elapsed * 5, served, clients);
}

/* What SYNs of ever new sources get answered of a core's time, by the share; the program stays. */
static void test_share(void)
{
	static const uint32_t shares[] = { 1, 2, 80, 0 };
	struct question question = { .words = "ip4 syn:80" };
	struct weir_bpf *skel = weir_bpf__open();
	uint32_t answered[4], asked[4], source = 0;
	int unbounded = prog_fd;
	struct frame_bytes frame;

	if (!skel)
		die("cannot open the program", 0);
	program_share(&program, skel->obj);
	if (weir_bpf__load(skel))
		die("cannot load the program with its core time", 0);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	take_cpu(0);
	for (int i = 0; i < 4; i++) {
		struct weir_core_time *all = calloc(libbpf_num_possible_cpus(), sizeof(*all));
		double start, elapsed, used = 0, part;
		uint8_t out[4096];
		uint32_t size, zero = 0;

		set_share(shares[i]);
		forget();
		owe(0);
		ask(&frame, &question, 1);
		start = check_seconds();
		answered[i] = 0;
		for (asked[i] = 0; asked[i] < 60000; asked[i]++) {
			uint32_t before = answered[i];

			put32(frame.at + frame.ip + 12, 0xc6120000U + (source++ & 0x1ffff));
			answered[i] += run(&frame, out, &size) == XDP_TX;
			if (answered[i] == before)
				continue;
			if (bpf_map_lookup_elem(program.maps.fd[MAP_core_time], &zero, all))
				die("core_time", 0);
			used += all[sched_getcpu()].cost_ns / 1e9;
		}
		elapsed = check_seconds() - start;
		part = (shares[i] ? shares[i] : TIME_SHARE) / 100.0;
		CHECK(&check, used <= (elapsed + 0.032) * part * 1.25, "%u%%: %.4f s of %.3f", shares[i],
		      used, elapsed);
		free(all);
	}
	/* What an answer takes is measured, and more where the CPU is shared: no more can be said. */
	CHECK(&check, answered[0] < asked[0] / 2 && answered[1] < asked[1] / 2 &&
	      answered[2] > asked[2] * 9 / 10 && answered[3] > asked[3] * 9 / 10, "%u, %u, %u, %u",
	      answered[0], answered[1], answered[2], answered[3]);
	prog_fd = unbounded;
	set_rules(NULL);
	owe(0);
	weir_bpf__destroy(skel);
	check_done(&check, "the share of a core that is set holds at once",
		   "of %u SYNs answered: with 1%% %u, 2%% %u, 80%% %u, by default %u", asked[0],
		   answered[0], answered[1], answered[2], answered[3]);
}

/* ---- settings that change while a SYN is on its way ---- */

#define RUNS_LEAST	100000

struct flicker {
	volatile uint8_t *byte;
	uint8_t values[2];
	volatile bool stop;
};

static void *flicker(void *arg)
{
	struct flicker *f = arg;

	take_cpu(1);
	for (uint32_t i = 0, wait = 1; !f->stop; i++, wait = (wait * 5 + 3) % 1024) {
		*f->byte = f->values[i & 1];
		for (volatile uint32_t spin = 0; spin < wait; spin++)
			;
	}
	*f->byte = f->values[0];
	return NULL;
}

/*
 * Runs SYNs of ever new sources while @f changes the settings, and compares the actions that the
 * program returned with the reasons that it counted. Returns the count of @wanted; ends when
 * it is large enough.
 */
static uint64_t run_beside(struct flicker *f, enum weir_reason wanted)
{
	static const uint8_t actions[] = {
#define R(id, name, action) XDP_##action,
		WEIR_REASONS(R)
#undef R
	};
	uint64_t returned[XDP_REDIRECT + 1] = { 0 }, counted[XDP_REDIRECT + 1] = { 0 };
	struct question question = { .words = "ip4 syn:80" };
	struct weir_counters sum;
	uint64_t end = now_ns() + 20000000000ULL;
	struct frame_bytes frame;
	uint8_t out[4096];
	pthread_t thread;
	uint32_t size, i;

	take_cpu(0);
	ask(&frame, &question, 1);
	take_counters(&program);
	if (pthread_create(&thread, NULL, flicker, f))
		die("thread", 0);
	for (i = 0; now_ns() < end; i++) {
		if (i % 1024 == 1023) {
			maps_read_counters(&program.maps, 0, &sum);
			if (i > RUNS_LEAST && sum.reason[wanted].packets >= 100)
				break;
		}
		put32(frame.at + frame.ip + 12, 0xc6120000U + (i & 0x1ffff)); /* 198.18.0.0/15 */
		returned[run(&frame, out, &size)]++;
	}
	f->stop = true;
	pthread_join(thread, NULL);
	sum = take_counters(&program);
	for (int reason = 0; reason < WEIR_REASON_MAX; reason++)
		counted[actions[reason]] += sum.reason[reason].packets;
	for (int action = 0; action <= XDP_REDIRECT; action++)
		CHECK(&check, returned[action] == counted[action],
		      "action %d: %llu times, but %llu counted", action,
		      (unsigned long long)returned[action], (unsigned long long)counted[action]);
	return sum.reason[wanted].packets;
}

/* The rule goes away after a SYN was found to deserve an answer, and before it is made. */
static void test_failed_answers(void)
{
	uint32_t side = program.maps.hints->side;
	int fd = side_open(&program.maps, SIDE_policy, side);
	struct weir_policy *policy = mmap(NULL, round_to_pages(sizeof(*policy)),
					  PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct flicker f = { 0 };
	uint64_t failed;

	if (policy == MAP_FAILED)
		die("policy", 0);
	forget();
	warm_up("ip4 syn:80");
	f.byte = &policy->syn_rule_of[PORT];
	f.values[0] = *f.byte;
	failed = run_beside(&f, WEIR_DROP_NO_ANSWER);
	/* One CPU, or two of an emulator that runs them in turn, change nothing at the right moment. */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && !getenv("WEIR_GUEST"))
		CHECK(&check, failed, "no answer failed");
	munmap(policy, round_to_pages(sizeof(*policy)));
	close(fd);
	check_done(&check, "an answer that cannot be made is counted as that, and not as sent",
		   "%llu failed", (unsigned long long)failed);
}

/* A SYN is judged and answered by the settings of one side. */
static void test_sides(void)
{
	uint32_t side = program.maps.hints->side;
	struct flicker f = { .byte = (uint8_t *)&program.maps.hints->side,
			     .values = { side, !side } };
	uint64_t sent;

	forget();
	warm_up("ip4 syn:80");
	sent = run_beside(&f, WEIR_TX_COOKIE);
	CHECK(&check, sent, "no answer");
	check_done(&check, "sides are swapped while SYNs come: each that is counted as answered is",
		   "%llu answered", (unsigned long long)sent);
}

int main(void)
{
	struct weir_bpf *skel;
	int rc;

	enter_namespace();
	listener = listen_at(PORT);
	listener_8000 = listen_at(8000);
	skel = weir_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	skel->rodata->answer_weight = 0; /* no shortage but what owe() makes */
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	program_take(&program, skel->obj);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	set_rules(NULL);
	test_answers();
	test_who();
	test_rates();
	test_known_rate();
	test_heart();
	test_discarded();
	test_mixed();
	test_two_services();
	test_clock();
	test_shortage();
	test_flags();
	test_resets();
	test_ack_shortage();
	test_expected_acks();
	test_ack_flood();
	test_share();
	test_failed_answers();
	test_sides();
	program_close(&program);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
