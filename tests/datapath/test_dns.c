// SPDX-License-Identifier: GPL-2.0-only
/*
 * DNS over UDP, frame by frame: which queries are answered with "truncated", every byte of the
 * answers, which are made here a second time, and how a source proves itself by TCP. In a network
 * namespace of its own, where this process listens.
 */
#include <linux/bpf.h>
#include <netinet/ip.h>

#include "bpf/weir.skel.h"
#include "tests/datapath/core_time.h"
#include "tests/datapath/frame.h"
#include "tests/datapath/namespace.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/host/tcp.h"
#include "user/state/known.h"

#define PORT	53
#define BURST	100	/* answers for one source */
#define MS	1000000ULL

static struct program program;
static int prog_fd, bare_fd;
static struct check check;

/* ---- messages ---- */

struct bytes {
	uint8_t at[1500];
	uint32_t len;
};

static void add(struct bytes *to, const void *bytes, uint32_t len)
{
	memcpy(to->at + to->len, bytes, len);
	to->len += len;
}

#define COOKIE_OF_CLIENT  "\0\12\0\10" "clientof"
#define COOKIE_OF_BOTH	  "\0\12\0\30" "clientof" "serverof16bytes!"
#define COOKIE_LONGEST	  "\0\12\0\50" "clientof" "serverof32bytes!serverof32bytes!"
#define SUBNET		  "\0\10\0\7" "\0\1\30\0\306\63\144"
#define PADDED		  "\0\14\0\3" "\0\0\0"
#define TEXT(string)	  string, sizeof(string) - 1

/* A query, and what of its OPT goes back. */
struct question {
	const char *what;
	const char *words;	/* the headers before UDP */
	const char *name;	/* as on the wire, without the root's byte */
	uint32_t name_len;
	uint16_t flags;
	bool opt;
	const char *options;
	uint32_t options_len;
	const char *returned;
	uint32_t returned_len;
	uint32_t trailing, pad;	/* bytes behind the message, and behind the packet */
};

#define EXAMPLE	 TEXT("\7example\3com")
#define MIXED	 TEXT("\7eXaMpLe\3CoM")
#define LABEL63	 "\77abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define LABEL61	 "\75abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"
#define LONGEST	 TEXT(LABEL63 LABEL63 LABEL63 LABEL61)

static const struct question questions[] = {
	{ "IPv4", "ip4", EXAMPLE, 0x0100 },
	{ "IPv4, the root", "ip4", TEXT(""), 0x0100 },
	{ "IPv4, padded to 60 bytes", "ip4", TEXT(""), 0x0100, .pad = 1 },
	{ "IPv4, EDNS", "ip4", EXAMPLE, 0x0130, true },
	{ "IPv4, 0x20", "ip4", MIXED, 0x0010, true },
	{ "IPv4, a client's cookie", "ip4", EXAMPLE, 0x0120, true, TEXT(COOKIE_OF_CLIENT) },
	{ "IPv4, both cookies", "ip4", EXAMPLE, 0, true, TEXT(COOKIE_OF_BOTH), TEXT(COOKIE_OF_BOTH) },
	{ "IPv4, a cookie behind a subnet", "ip4", EXAMPLE, 0, true, TEXT(SUBNET COOKIE_OF_BOTH PADDED),
	  TEXT(COOKIE_OF_BOTH) },
	{ "IPv4, the longest name and cookie", "ip4", LONGEST, 0, true, TEXT(SUBNET COOKIE_LONGEST),
	  TEXT(COOKIE_LONGEST) },
	{ "IPv4 in a VLAN", "vlan ip4", EXAMPLE, 0x0100, true },
	{ "IPv4 in two VLANs", "qinq vlan ip4", EXAMPLE, 0x0100, true },
	{ "IPv4 with options", "ip4+8", EXAMPLE, 0x0100, true },
	{ "IPv4 with 40 bytes of options", "ip4+40", MIXED, 0, true, TEXT(COOKIE_OF_BOTH),
	  TEXT(COOKIE_OF_BOTH) },
	{ "IPv4, do not fragment", "ip4 part:0,2", EXAMPLE, 0, true },
	{ "IPv4, bytes behind the message", "ip4", EXAMPLE, 0, true, .trailing = 7 },
	{ "IPv4, the largest frame", "ip4", EXAMPLE, 0, true, .trailing = 1300 },
	{ "IPv6", "ip6", EXAMPLE, 0x0100 },
	{ "IPv6, EDNS", "ip6", EXAMPLE, 0x0110, true },
	{ "IPv6, odd length", "ip6", TEXT("\2ab"), 0x0100 },
	{ "IPv6, both cookies", "ip6", EXAMPLE, 0, true, TEXT(SUBNET COOKIE_OF_BOTH),
	  TEXT(COOKIE_OF_BOTH) },
	{ "IPv6, the longest name and cookie", "ip6", LONGEST, 0, true, TEXT(COOKIE_LONGEST),
	  TEXT(COOKIE_LONGEST) },
	{ "IPv6 in a VLAN", "vlan ip6", MIXED, 0x0100, true },
	{ "IPv6 in two VLANs", "vlan vlan ip6", EXAMPLE, 0x0100, true, .pad = 3 },
	{ "IPv6 with extension headers", "ip6 hop dst rt", EXAMPLE, 0x0100, true },
	{ "IPv6, a fragment that is whole", "ip6 part:0,0", EXAMPLE, 0x0100, true },
};

static void add_opt(struct bytes *to, uint16_t size, bool dnssec, const char *options, uint32_t len)
{
	add(to, (uint8_t[]){ 0, 0, 41, size >> 8, size, 0, 0, dnssec ? 0x80 : 0, 0, len >> 8, len }, 11);
	add(to, options, len);
}

static void put_message(struct bytes *to, const struct question *question)
{
	*to = (struct bytes){ 0 };
	add(to, (uint8_t[]){ 0xbe, 0xef, question->flags >> 8, question->flags, 0, 1, 0, 0, 0, 0, 0,
			     question->opt }, 12);
	add(to, question->name, question->name_len);
	add(to, "\0\0\34\0\1", 5);
	if (question->opt)
		add_opt(to, 4096, question->flags & 0x10, question->options, question->options_len);
}

static void put_truncated(struct bytes *to, const struct question *question)
{
	*to = (struct bytes){ 0 };
	add(to, (uint8_t[]){ 0xbe, 0xef, 0x82 | (question->flags >> 8 & 1),
			     (question->flags >> 1 & 0x80) | (question->flags & 0x10), 0, 1, 0, 0, 0,
			     0, 0, question->opt }, 12);
	add(to, question->name, question->name_len);
	add(to, "\0\0\34\0\1", 5);
	if (question->opt)
		add_opt(to, 1232, question->flags & 0x10, question->returned, question->returned_len);
}

/* ---- frames ---- */

static void ask(struct frame_bytes *frame, const struct question *question, uint8_t source)
{
	struct bytes message;
	char words[128];

	put_message(&message, question);
	memset(message.at + message.len, 0xee, question->trailing);
	message.len += question->trailing;
	snprintf(words, sizeof(words), "%s udp:%u data:%u%s", question->words, PORT, message.len,
		 question->pad ? " pad:18" : "");
	build_frame(frame, words);
	memcpy(frame->at, (uint8_t[]){ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 }, 12);
	set_source(frame, source);
	put16(frame->at + frame->l4, 4096 + source);
	memcpy(frame->at + frame->l4 + 8, message.at, message.len);
}

static uint32_t run(int fd, const uint8_t *in, uint32_t in_size, uint8_t *out, uint32_t *size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = in_size,
		    .data_out = out, .data_size_out = 4096, .repeat = 1);

	if (bpf_prog_test_run_opts(fd, &opts))
		die("test run", 0);
	*size = opts.data_size_out;
	return opts.retval;
}

/* Empties the counters; no packet is a sample that is learnt from. */
static void clear_counters(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_counters *each = calloc(cpus, sizeof(*each));
	__u32 slot = 0;

	for (int i = 0; each && i < cpus; i++)
		each[i].until_sample = ~0ULL;
	if (!each || bpf_map_update_elem(program.maps.fd[MAP_counters], &slot, each, BPF_ANY))
		die("counters", 0);
	free(each);
}

/* Runs it; the only reason that was counted. A frame that is not answered must be as it was. */
static enum weir_reason reason_of(const struct frame_bytes *frame)
{
	struct weir_counters counters;
	uint8_t out[4096];
	uint32_t size, action;

	clear_counters();
	action = run(prog_fd, frame->at, frame->size, out, &size);
	counters = take_counters(&program);
	CHECK(&check, action == XDP_TX || (size == frame->size && !memcmp(out, frame->at, size)),
	      "a frame that is not answered was changed");
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (counters.reason[i].packets)
			return i;
	return WEIR_REASON_MAX;
}

static enum weir_reason reason_for(const struct question *question, uint8_t source)
{
	struct frame_bytes frame;

	ask(&frame, question, source);
	return reason_of(&frame);
}

/* Of the pseudo-header, @len of UDP and UDP itself; 0xffff: right. */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, uint32_t len, bool v6)
{
	uint32_t sum = v6 ? sum_of(ip + 8, 32, 0) : sum_of(ip + 12, 8, 0);

	return folded(sum_of(udp, len, sum + IPPROTO_UDP + len));
}

/* The frame that goes back, as it should be. */
static void expect(struct frame_bytes *wanted, const struct frame_bytes *asked,
		   const struct question *question)
{
	uint32_t ip_len = asked->v6 ? 40 : 20, udp_len, sum;
	uint8_t *ip = wanted->at + asked->ip, *udp = ip + ip_len;
	const uint8_t *was = asked->at + asked->ip;
	struct bytes message;

	*wanted = *asked;	/* what is behind the answer is left of the query */
	put_truncated(&message, question);
	udp_len = 8 + message.len;
	memcpy(wanted->at, asked->at + 6, 6);
	memcpy(wanted->at + 6, asked->at, 6);
	memset(ip, 0, ip_len);
	if (asked->v6) {
		*ip = 0x60;
		put16(ip + 4, udp_len);
		ip[6] = IPPROTO_UDP;
		ip[7] = 64;
		memcpy(ip + 8, was + 24, 16);
		memcpy(ip + 24, was + 8, 16);
	} else {
		*ip = 0x45;
		put16(ip + 2, 20 + udp_len);
		put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, was + 16, 4);
		memcpy(ip + 16, was + 12, 4);
		put16(ip + 10, ~folded(sum_of(ip, 20, 0)));
	}
	memcpy(udp, asked->at + asked->l4 + 2, 2);
	memcpy(udp + 2, asked->at + asked->l4, 2);
	put16(udp + 4, udp_len);
	put16(udp + 6, 0);
	memcpy(udp + 8, message.at, message.len);
	sum = (uint16_t)~udp_sum(ip, udp, udp_len, asked->v6);
	put16(udp + 6, sum ? sum : 0xffff);
	wanted->end = asked->ip + ip_len + udp_len;
}

/* ---- rules ---- */

static void set_rules(bool always, const char *to)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	add_dns_rule(&settings, PORT, always, to);
	program_set(&program, &settings);
}

/* No source owes answers, none is known, and all cores have time. */
static void forget(void)
{
	struct weir_core_time time = { .cost_ns = 1000 };
	struct weir_gate_line idle = { 0 };
	struct weir_common common = { 0 };
	struct known known;
	char err[ERR_LEN];
	__u32 zero = 0;

	for (uint32_t i = 0; i < WEIR_GATE_LINES; i++)
		bpf_map_update_elem(program.maps.fd[MAP_gate], &i, &idle, BPF_ANY);
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	known_flush(&known);
	known_close(&known);
	if (bpf_map_update_elem(program.maps.fd[MAP_common], &zero, &common, BPF_ANY) ||
	    put_core_time(&program.maps, time))
		die("core_time", 0);
}

/* ---- the answer ---- */

static void check_answer(const struct question *question, const struct frame_bytes *frame,
			 uint32_t link, int fd)
{
	struct frame_bytes wanted;
	uint8_t out[4096];
	uint32_t size, action = run(fd, frame->at + link, frame->size - link, out, &size);

	expect(&wanted, frame, question);
	if (!CHECK(&check, action == XDP_TX, "%s: action %u", question->what, action))
		return;
	CHECK(&check, size == frame->size - link, "%s: %u bytes for %u", question->what, size,
	      frame->size - link);
	for (uint32_t i = 0; i < size; i++)
		CHECK(&check, out[i] == wanted.at[link + i], "%s: byte %u is %02x, expected %02x",
		      question->what, i, out[i], wanted.at[link + i]);
	CHECK(&check, wanted.end <= frame->end, "%s: longer than the query", question->what);
	/* The answer, sent here: by a spoofer, or by another weir. */
	memcpy(wanted.at, out, size);
	CHECK(&check, run(fd, wanted.at, size, out, &size) == XDP_PASS, "%s: the answer is answered",
	      question->what);
}

static void test_answers(void)
{
	uint32_t count = sizeof(questions) / sizeof(*questions), sums = 0;
	struct frame_bytes frame;

	forget();
	for (uint32_t i = 0; i < count; i++) {
		ask(&frame, &questions[i], i + 1);
		check_answer(&questions[i], &frame, 0, prog_fd);
		/* Which checksum the query has makes no difference. */
		put16(frame.at + frame.l4 + 6, 0x1234);
		check_answer(&questions[i], &frame, 0, prog_fd);
	}
	/* A sum of 0 is sent as 0xffff: one of 65536 ids makes it. */
	ask(&frame, &questions[0], 100);
	for (uint32_t id = 0; id < 65536; id++) {
		uint8_t out[4096];
		uint32_t size;

		if (!(id % 64))
			put16(frame.at + frame.ip + 14, id / 64);
		put16(frame.at + frame.l4 + 8, id);
		if (run(prog_fd, frame.at, frame.size, out, &size) != XDP_TX)
			continue;
		sums += be16_at(out + frame.l4 + 6) == 0xffff;
		CHECK(&check, be16_at(out + frame.l4 + 6), "a checksum of 0, which means none");
		CHECK(&check, udp_sum(out + frame.ip, out + frame.l4, be16_at(out + frame.l4 + 4),
				      false) == 0xffff, "the checksum for id %u is wrong", id);
	}
	CHECK(&check, sums > 0, "no checksum was 0xffff");
	check_done(&check, "answers, each byte compared", "%u queries; of 65536 sums %u were 0", count, sums);
}

static void test_bare(void)
{
	uint32_t count = 0;
	struct frame_bytes frame;

	forget();
	for (uint32_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		if (strstr(questions[i].words, "vlan") || questions[i].pad)
			continue;
		ask(&frame, &questions[i], i + 1);
		check_answer(&questions[i], &frame, 14, bare_fd);
		count++;
	}
	check_done(&check, "answers on a device without link header", "%u queries", count);
}

/* ---- what is not answered ---- */

struct change {
	const char *what, *words;
	enum { OF_MESSAGE, OF_FRAME, OF_IP, OF_UDP } of;
	uint32_t at, bytes;	/* how many bytes are changed there */
	uint8_t to[16];
};

static const struct change changes[] = {
	{ "a response", "ip4", OF_MESSAGE, 2, 1, { 0x81 } },
	{ "NOTIFY", "ip4", OF_MESSAGE, 2, 1, { 4 << 3 } },
	{ "UPDATE", "ip6", OF_MESSAGE, 2, 1, { 5 << 3 } },
	{ "no question", "ip4", OF_MESSAGE, 5, 1, { 0 } },
	{ "two questions", "ip4", OF_MESSAGE, 5, 1, { 2 } },
	{ "257 questions", "ip4", OF_MESSAGE, 4, 1, { 1 } },
	{ "an answer", "ip4", OF_MESSAGE, 7, 1, { 1 } },
	{ "IXFR's authority", "ip4", OF_MESSAGE, 9, 1, { 1 } },
	{ "two additional records", "ip4", OF_MESSAGE, 11, 1, { 2 } },
	{ "TSIG", "ip4", OF_MESSAGE, 12 + 13 + 4 + 2, 1, { 250 } },
	{ "EDNS, version 1", "ip4", OF_MESSAGE, 12 + 13 + 4 + 6, 1, { 1 } },
	{ "an OPT longer than the packet", "ip4", OF_MESSAGE, 12 + 13 + 4 + 10, 1, { 1 } },
	{ "a pointer to itself", "ip4", OF_MESSAGE, 12, 2, { 0xc0, 12 } },
	{ "a pointer in the name", "ip6", OF_MESSAGE, 12 + 8, 2, { 0xc0, 12 } },
	{ "a label of 64", "ip4", OF_MESSAGE, 12, 1, { 64 } },
	{ "a name beyond the packet", "ip4", OF_MESSAGE, 12, 1, { 63 } },
	{ "source port 0", "ip4", OF_UDP, 0, 2, { 0, 0 } },
	{ "another port", "ip4", OF_UDP, 2, 2, { 0, 54 } },
	{ "a jumbogram", "ip6", OF_UDP, 4, 2, { 0, 0 } },
	{ "UDP of 8 bytes", "ip4", OF_UDP, 4, 2, { 0, 8 } },
	{ "UDP of a header", "ip4", OF_UDP, 4, 2, { 0, 20 } },
	{ "UDP that ends in the name", "ip6", OF_UDP, 4, 2, { 0, 24 } },
	{ "UDP that ends in the question", "ip4", OF_UDP, 4, 2, { 0, 36 } },
	{ "a first fragment", "ip4 part:0,1", OF_FRAME, 0, 0, { 0 } },
	{ "a first fragment of IPv6", "ip6 part:0,1", OF_FRAME, 0, 0, { 0 } },
	{ "a later fragment", "ip4 part:9,0", OF_FRAME, 0, 0, { 0 } },
	{ "a frame for many", "ip4", OF_FRAME, 0, 1, { 1 } },
	{ "a frame for all", "ip6", OF_FRAME, 0, 6, { 255, 255, 255, 255, 255, 255 } },
	{ "a multicast address", "ip4", OF_IP, 16, 4, { 224, 0, 0, 251 } },
	{ "the broadcast address", "ip4", OF_IP, 16, 4, { 255, 255, 255, 255 } },
	{ "IPv6 multicast", "ip6", OF_IP, 24, 2, { 0xff, 2 } },
	{ "from multicast", "ip4", OF_IP, 12, 4, { 239, 1, 1, 1 } },
	{ "from broadcast", "ip4", OF_IP, 12, 4, { 255, 255, 255, 255 } },
	{ "from IPv6 multicast", "ip6", OF_IP, 8, 2, { 0xff, 2 } },
	{ "from no address", "ip4", OF_IP, 12, 4, { 0, 0, 0, 0 } },
	{ "from no IPv6 address", "ip6", OF_IP, 8, 16, { 0 } },
	{ "from the loopback", "ip4", OF_IP, 12, 4, { 127, 0, 0, 1 } },
	{ "from itself", "ip4", OF_IP, 12, 4, { 198, 51, 100, 1 } },
};

static void test_others(void)
{
	uint32_t count = sizeof(changes) / sizeof(*changes);

	forget();
	for (uint32_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		struct question question = { change->what, change->words, EXAMPLE, 0, true };
		struct frame_bytes frame;
		enum weir_reason reason;
		uint32_t base[4];

		ask(&frame, &question, 1);
		base[OF_MESSAGE] = frame.l4 + 8;
		base[OF_FRAME] = 0;
		base[OF_IP] = frame.ip;
		base[OF_UDP] = frame.l4;
		memcpy(frame.at + base[change->of] + change->at, change->to, change->bytes);
		reason = reason_of(&frame);
		CHECK(&check, reason == WEIR_CONTINUE, "%s: reason %d", change->what, reason);
	}
	check_done(&check, "what is no plain query between hosts passes as it is", "%u kinds", count);
}

/* The source 192.0.2.@source. */
static void make_known(uint8_t source, enum weir_tier tier)
{
	struct prefix prefix = prefix_v4(0xc0000200 | source, 32);
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err) || !known_add(&known, &prefix, tier))
		die("known", -EIO);
	known_close(&known);
}

/* ---- rates ---- */

static const struct question usual = { "usual", "ip4", EXAMPLE, 0x0100, true };
static const struct question usual6 = { "usual, IPv6", "ip6", EXAMPLE, 0x0100, true };

/* Of @count queries, how many were answered; the others must be dropped as "dns-limit". */
static uint32_t answered(const struct question *question, uint8_t source, uint32_t count, bool spread)
{
	struct frame_bytes frame;
	uint32_t sent = 0;

	ask(&frame, question, source);
	for (uint32_t i = 0; i < count; i++) {
		enum weir_reason reason;

		if (spread)	/* within the /64 */
			put32(frame.at + frame.ip + 20, i);
		reason = reason_of(&frame);
		sent += reason == WEIR_TX_DNS;
		CHECK(&check, reason == WEIR_TX_DNS || reason == WEIR_DROP_DNS, "%s: reason %d",
		      question->what, reason);
	}
	return sent;
}

static void test_rates(void)
{
	struct weir_core_time busy = { .cost_ns = 1000, .tat_ns = now_ns() + 100000 * MS };
	struct weir_common common = { .answers_tat = (now_ns() + 100000 * MS) << WEIR_TICK_SHIFT };
	double began = check_seconds(), seconds;
	uint32_t one, many, short_of_time, in_all, after;
	__u32 zero = 0;

	forget();
	one = answered(&usual, 7, 1000, false);
	many = answered(&usual6, 7, 1000, true);
	seconds = check_seconds() - began;
	CHECK(&check, one >= BURST && one <= BURST + 1 + seconds * 50, "%u in %.2f s", one, seconds);
	CHECK(&check, many >= BURST && many <= BURST + 1 + seconds * 50, "%u in %.2f s", many, seconds);
	CHECK(&check, reason_for(&usual, 8) == WEIR_TX_DNS, "the next source has no answer");
	if (put_core_time(&program.maps, busy))
		die("core_time", 0);
	short_of_time = answered(&usual, 9, 50, false);
	CHECK(&check, !short_of_time, "%u answers without time", short_of_time);
	forget();
	if (bpf_map_update_elem(program.maps.fd[MAP_common], &zero, &common, BPF_ANY))
		die("common", 0);
	in_all = answered(&usual, 10, 50, false);
	CHECK(&check, !in_all, "%u answers beyond those of all sources", in_all);
	forget();
	after = answered(&usual, 10, 50, false);
	CHECK(&check, after == 50, "%u of 50 answers", after);
	check_done(&check, "answers for each source are bounded",
		   "%u for one, %u for a /64, of 1000 in %.2f s", one, many, seconds);
}

/*
 * In a short time, a source that was seen to behave goes further than one that was not. The debt
 * must stay between a quarter and a half of the burst meanwhile.
 */
static void test_short_of_time(void)
{
	struct weir_core_time time = { .cost_ns = 1000 };
	bool good = false;
	int tries = 0;

	forget();
	make_known(20, WEIR_SEEN);
	for (; tries < 50 && !good; tries++) {
		time.tat_ns = now_ns() + 45 * MS;
		if (put_core_time(&program.maps, time))
			die("core_time", 0);
		good = reason_for(&usual, 20) == WEIR_TX_DNS &&
		       reason_for(&usual, 21) == WEIR_DROP_DNS;
	}
	CHECK(&check, good, "not in %d tries", tries);
	check_done(&check, "a core that is short of time leaves it to sources that behaved",
		   "in %d of 50 tries", tries);
}

/* ---- proof ---- */

static void command(const char *words)
{
	if (system(words))
		die(words, -EIO);
}

static void set_local(struct sockaddr_in6 *address, const char *text, uint16_t port)
{
	*address = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	if (inet_pton(AF_INET6, text, &address->sin6_addr) != 1)
		die(text, -EINVAL);
}

/* A connection to the listener; returns this end. */
static int connect_from(const char *from, const char *to, int listener, int *other)
{
	struct sockaddr_in6 address;
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1;

	set_local(&address, from, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die(from, 0);
	set_local(&address, to, PORT);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die(to, 0);
	*other = accept(listener, NULL, NULL);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len))
		die("port", 0);
	return ntohs(address.sin6_port);
}

/* A segment of that connection, as far as its addresses and ports say. */
static void make_segment(struct frame_bytes *frame, const char *words, uint8_t source, uint16_t port)
{
	build_frame(frame, words);
	set_source(frame, source);
	put16(frame->at + frame->l4, port);
}

/* A SYN from an address without a host: the socket of the listener waits for its ACK. */
static void half_open(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401) };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), state = 0;
	uint32_t from = htonl(0xc000024f);
	struct frame_bytes frame;

	make_segment(&frame, "ip4 syn:53", 79, port);
	set_sums(&frame);
	if (fd < 0 || sendto(fd, frame.at + frame.ip, frame.size - frame.ip, 0, (void *)&to,
			     sizeof(to)) < 0)
		die("raw SYN", 0);
	close(fd);
	for (int i = 0; i < 100 && state <= 0; i++) {
		state = tcp_state(false, &from, htons(port), &to.sin_addr, htons(PORT));
		usleep(10000);
	}
	CHECK(&check, state == BPF_TCP_SYN_RECV || state == BPF_TCP_NEW_SYN_RECV,
	      "the half-open connection is in state %d", state);
}

static void test_proof(int listener)
{
	struct weir_core_time used_up = { .proofs_tat_ns = now_ns() + 100000 * MS };
	int fd, other, fd6, other6;
	struct frame_bytes segment;

	forget();
	fd = connect_from("::ffff:192.0.2.77", "::ffff:198.51.100.1", listener, &other);
	fd6 = connect_from("2001:db8:0:4d::1", "2001:db8::1", listener, &other6);

	make_known(77, WEIR_SEEN);
	CHECK(&check, reason_for(&usual, 77) == WEIR_TX_DNS, "behaviour is proof");
	make_segment(&segment, "ip4 tcp:53", 77, port_of(fd) ^ 1);
	CHECK(&check, reason_of(&segment) == WEIR_CONTINUE, "a segment does not pass");
	CHECK(&check, reason_for(&usual, 77) == WEIR_TX_DNS, "a segment of no connection is proof");

	half_open(4444);
	make_segment(&segment, "ip4 tcp:53", 79, 4444);
	CHECK(&check, reason_of(&segment) == WEIR_CONTINUE, "a segment does not pass");
	CHECK(&check, reason_for(&usual, 79) == WEIR_TX_DNS, "half a handshake is proof");

	make_segment(&segment, "ip4 syn:53", 77, port_of(fd));
	reason_of(&segment);
	CHECK(&check, reason_for(&usual, 77) == WEIR_TX_DNS, "a SYN is proof");

	make_segment(&segment, "ip4 tcp:53", 77, port_of(fd));
	if (put_core_time(&program.maps, used_up))
		die("core_time", 0);
	reason_of(&segment);
	CHECK(&check, reason_for(&usual, 77) == WEIR_TX_DNS, "look-ups are not bounded");
	used_up.proofs_tat_ns = 0;
	if (put_core_time(&program.maps, used_up))
		die("core_time", 0);
	CHECK(&check, reason_of(&segment) == WEIR_CONTINUE, "a segment does not pass");
	CHECK(&check, reason_for(&usual, 77) == WEIR_CONTINUE, "a connection is no proof");
	CHECK(&check, reason_for(&usual, 78) == WEIR_TX_DNS, "another source is proven as well");

	CHECK(&check, reason_for(&usual6, 0x4d) == WEIR_TX_DNS, "IPv6: proven before");
	make_segment(&segment, "ip6 hop tcp:53", 0x4d, port_of(fd6));
	reason_of(&segment);
	CHECK(&check, reason_for(&usual6, 0x4d) == WEIR_CONTINUE, "IPv6: a connection is no proof");
	close(fd);
	close(fd6);
	close(other);
	close(other6);
	check_done(&check, "one segment of a connection proves its source, and nothing less",
		   "IPv4 and IPv6");
}

/* ---- which rule, and when ---- */

static void test_rules(void)
{
	static const struct { const char *what, *to; bool v4, v6; } rows[] = {
		{ "any", NULL, true, true }, { "its address", "198.51.100.1", true, false },
		{ "all of IPv4", "0.0.0.0/0", true, false }, { "another", "198.51.100.2", false, false },
		{ "IPv6", "2001:db8::/64", false, true }, { "all of IPv6 that holds IPv4", "::/2", false,
		  true },
	};
	uint32_t count = sizeof(rows) / sizeof(*rows);
	struct settings settings;

	for (uint32_t i = 0; i < count; i++) {
		forget();
		set_rules(true, rows[i].to);
		CHECK(&check, (reason_for(&usual, 1) == WEIR_TX_DNS) == rows[i].v4, "%s: IPv4",
		      rows[i].what);
		CHECK(&check, (reason_for(&usual6, 1) == WEIR_TX_DNS) == rows[i].v6, "%s: IPv6",
		      rows[i].what);
	}
	/* The longest prefix counts, in whichever order they were set. */
	for (int order = 0; order < 2; order++) {
		if (settings_init(&settings))
			die("settings", -ENOMEM);
		add_dns_rule(&settings, PORT, order, order ? NULL : "198.51.100.1");
		add_dns_rule(&settings, PORT, true, "203.0.113.0/24");
		add_dns_rule(&settings, PORT, !order, order ? "198.51.100.1" : NULL);
		program_set(&program, &settings);
		forget();
		CHECK(&check, reason_for(&usual, 1) == WEIR_CONTINUE, "the shorter prefix counts");
		CHECK(&check, reason_for(&usual6, 1) == WEIR_TX_DNS, "the rule for all does not count");
	}
	/* As many rules of a port as there may be: the last of the chain counts. */
	if (settings_init(&settings))
		die("settings", -ENOMEM);
	for (int i = 0; i < WEIR_DNS_RULES - 2; i++) {
		char to[32];

		snprintf(to, sizeof(to), "203.0.113.%d", i);
		add_dns_rule(&settings, PORT, false, to);
	}
	add_dns_rule(&settings, PORT, true, NULL);
	program_set(&program, &settings);
	forget();
	CHECK(&check, reason_for(&usual, 1) == WEIR_TX_DNS, "the last rule of 15 does not count");
	check_done(&check, "the rule of the longest prefix counts", "%u destinations, 15 rules", count);
}

static void press_budget(uint32_t slot, bool pressed, uint32_t sixteenths)
{
	const struct weir_limit *budget = &program.settings.policy->budget[slot];
	struct weir_budget_state is = { .pressed_ns = pressed ? now_ns() + 10000 * MS : 0,
					.adjust_ns = now_ns() + 3600000 * MS, .used_ns = now_ns() };
	struct weir_spending *each = calloc(libbpf_num_possible_cpus(), sizeof(*each));

	is.tat = (now_ns() << WEIR_TICK_SHIFT) + budget->burst / 16 * sixteenths;
	if (!each || bpf_map_update_elem(program.maps.fd[MAP_budgets], &slot, &is, BPF_ANY) ||
	    bpf_map_update_elem(program.maps.fd[MAP_spending], &slot, each, BPF_ANY))
		die("budget", 0);
	free(each);
}

/* A rule that waits for its budget: the one of UDP to this port. */
static void test_when_over_budget(void)
{
	struct weir_limit_spec udp = { .proto = IPPROTO_UDP, .dport_first = PORT, .dport_last = PORT,
				       .rate_packets = 60, .per_s = 60, .burst_packets = 960 };
	struct weir_limit_spec tcp = { .proto = IPPROTO_TCP, .rate_packets = 60, .per_s = 60,
				       .burst_packets = 960 };
	struct settings settings;
	enum weir_reason reason;
	char err[ERR_LEN];
	uint32_t slot = 1, other = 1;

	set_rules(false, NULL);
	forget();
	CHECK(&check, reason_for(&usual, 1) == WEIR_CONTINUE, "answered without a budget");
	if (settings_init(&settings))
		die("settings", -ENOMEM);
	add_dns_rule(&settings, PORT, false, NULL);
	if (budget_set(settings.policy, "udp", &udp, err) < 0 ||
	    budget_set(settings.policy, "tcp", &tcp, err) < 0)
		die(err, -EINVAL);
	program_set(&program, &settings);
	while (strcmp(program.settings.policy->budget_spec[slot].name, "udp"))
		slot++;
	while (strcmp(program.settings.policy->budget_spec[other].name, "tcp"))
		other++;
	forget();
	press_budget(slot, false, 0);
	press_budget(other, true, 16);
	reason = reason_for(&usual, 1);
	CHECK(&check, reason == WEIR_CONTINUE, "under the pressure of another budget: %d", reason);
	press_budget(slot, true, 8);
	reason = reason_for(&usual, 1);
	CHECK(&check, reason == WEIR_TX_DNS, "under pressure: %d", reason);
	press_budget(slot, true, 0);
	reason = reason_for(&usual, 2);
	CHECK(&check, reason == WEIR_PASS_NEWCOMER, "under pressure, with room: %d", reason);
	make_known(5, WEIR_PROVEN);
	press_budget(slot, true, 8);
	reason = reason_for(&usual, 5);
	CHECK(&check, reason == WEIR_PASS_KNOWN, "a proven source under pressure: %d", reason);
	press_budget(slot, true, 16);
	reason = reason_for(&usual, 1);
	CHECK(&check, reason == WEIR_TX_DNS, "with nothing left: %d", reason);
	check_done(&check, "a rule that waits for its budget", "6 states");
}

int main(void)
{
	struct weir_bpf *skel, *bare;
	int listener, rc;

	enter_namespace();
	command("ip address add 192.0.2.77/32 dev lo");
	command("ip address add 198.51.100.1/32 dev lo");
	command("ip address add 2001:db8::1/128 dev lo nodad");
	command("ip address add 2001:db8:0:4d::1/128 dev lo nodad");
	command("ip route add 192.0.2.79/32 dev lo");
	listener = listen_at(PORT);
	skel = weir_bpf__open();
	bare = weir_bpf__open();
	if (!skel || !bare)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	skel->rodata->answer_weight = 0; /* no shortage but what a test makes */
	bare->rodata->answer_weight = 0;
	bare->rodata->bare = 1;
	rc = weir_bpf__load(skel);
	if (rc)
		die("cannot load the program", rc);
	program_take(&program, skel->obj);
	program_share(&program, bare->obj);
	rc = weir_bpf__load(bare);
	if (rc)
		die("cannot load the program", rc);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	bare_fd = bpf_program__fd(bare->progs.weir_ingress);
	set_rules(true, NULL);
	test_answers();
	test_bare();
	test_others();
	test_rates();
	test_short_of_time();
	test_proof(listener);
	test_rules();
	test_when_over_budget();
	program_close(&program);
	weir_bpf__destroy(bare);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
