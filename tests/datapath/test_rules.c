// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drop rules in the program: random packets against random rules and a plain matcher, the sources
 * that rules spare, their ends, their rates, and what they count.
 */
#include <linux/bpf.h>

#include "tests/unit/random_rules.h"

#include "bpf/weir.skel.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/state/known.h"

#define PACKETS	    100000
#define PACKETS_SET 1000 /* of each set of rules */

static struct weir_bpf *skel;
static struct program program;
static struct check check;

static void new_settings(struct settings *settings)
{
	if (settings_init(settings))
		die("settings", -ENOMEM);
}

static uint32_t run_made(const struct made *made)
{
	return run_frame(bpf_program__fd(skel->progs.weir_ingress), made->frame, made->size, 1);
}

static struct weir_rule_count count_of(const char *name)
{
	uint32_t slot = rule_find(program.settings.policy, name);
	struct weir_rule_count sum;

	if (slot == NO_RULE || maps_read_rule(&program.maps, slot, &sum))
		die(name, -EIO);
	return sum;
}

/* ---- against the plain matcher ---- */

struct tally {
	uint64_t packets, dropped, counted, wrong;
};

/* Some rules in monitor mode, so that further ones have their say. They spare no source. */
static void set_random_rules(void)
{
	struct settings settings;

	new_settings(&settings);
	make_rules(settings.policy);
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		if (!rule_is_used(&settings.policy->rule_spec[i]))
			continue;
		/* Of another name each time, so that the slot's counts begin at 0. */
		snprintf(settings.policy->rule_spec[i].name, WEIR_NAME_LEN, "r%u-%u", i,
			 pick(1U << 30));
		settings.policy->rule_spec[i].monitor = pick(2);
		settings.policy->rule_spec[i].spare = WEIR_SPARE_NONE;
	}
	program_set(&program, &settings);
}

/* Adds what the rules should count; returns whether the packet should be dropped. */
static bool expect(const struct made *made, uint64_t counts[WEIR_RULES])
{
	uint64_t set = matching_rules(program.settings.policy, made);

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		if (!(set >> i & 1))
			continue;
		counts[i]++;
		if (!program.settings.policy->rule_spec[i].monitor)
			return true;
	}
	return false;
}

static void compare_counts(const uint64_t counts[WEIR_RULES], struct tally *tally)
{
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		struct weir_rule_count sum = { 0 };

		if (!rule_is_used(&program.settings.policy->rule_spec[i]))
			continue;
		if (maps_read_rule(&program.maps, i, &sum))
			die("rule_counts", 0);
		tally->counted += sum.packets;
		CHECK(&check, sum.packets == counts[i], "rule %u counts %llu of %llu", i,
		      (unsigned long long)sum.packets, (unsigned long long)counts[i]);
	}
}

static void play_set(struct tally *tally)
{
	uint64_t counts[WEIR_RULES] = { 0 };
	struct made made;

	set_random_rules();
	take_counters(&program);
	for (uint32_t n = 0; n < PACKETS_SET; n++) {
		bool wanted, is;

		make_packet(&made);
		is = run_made(&made) == XDP_DROP;
		wanted = expect(&made, counts);
		tally->packets++;
		tally->dropped += is;
		tally->wrong += is != wanted;
		CHECK(&check, is == wanted, "packet %llu: %s", (unsigned long long)tally->packets,
		      is ? "dropped" : "passed");
	}
	compare_counts(counts, tally);
}

static void test_random(void)
{
	struct tally tally = { 0 };
	struct weir_counters counters;
	uint64_t dropped = 0;

	while (tally.packets < PACKETS) {
		play_set(&tally);
		counters = take_counters(&program);
		dropped += counters.reason[WEIR_DROP_RULE].packets;
		CHECK(&check, count_packets(&counters) == PACKETS_SET, "%llu counted",
		      (unsigned long long)count_packets(&counters));
	}
	CHECK(&check, dropped == tally.dropped, "%llu of %llu under the reason",
	      (unsigned long long)dropped, (unsigned long long)tally.dropped);
	CHECK(&check, dropped > PACKETS / 10 && dropped < PACKETS * 9ULL / 10, "%llu dropped",
	      (unsigned long long)dropped);
	check_done(&check, "the program drops what a plain matcher says",
		   "%llu packets, %llu dropped, %llu counted by rules, %llu differences, seed %llu",
		   (unsigned long long)tally.packets, (unsigned long long)tally.dropped,
		   (unsigned long long)tally.counted, (unsigned long long)tally.wrong,
		   (unsigned long long)check_seed());
}

/* ---- one rule ---- */

static void set_rule(const char *line, uint64_t until_ns)
{
	struct settings settings;

	new_settings(&settings);
	add_drop_rule(&settings, line, until_ns);
	program_set(&program, &settings);
	take_counters(&program);
}

/* A UDP packet of 192.0.2.@host from port 123. */
static void udp_from(struct made *made, uint8_t host)
{
	do
		make_packet(made);
	while (made->v6 || made->proto != IPPROTO_UDP || !made->l4_at);
	made->frame[made->ip_at + 14] = 2;
	made->frame[made->ip_at + 15] = host;
	store16(made->frame + made->l4_at, 123);
}

static void make_known(uint8_t host, enum weir_tier tier)
{
	struct prefix source = prefix_v4(0xc0000200 | host, 32);
	struct known known;
	char err[ERR_LEN];

	if (known_open(&program.maps, &known, err) || !known_add(&known, &source, tier))
		die("known", -EIO);
	known_close(&known);
}

#define STRANGER 10
#define SEEN	 11
#define PROVEN	 12

static void test_spared(void)
{
	static const struct {
		const char *line;
		bool stranger, seen, proven; /* pass */
	} rows[] = {
		{ "known sport 123", false, true, true },
		{ "proven sport 123 spare proven", false, false, true },
		{ "none sport 123 spare none", false, false, false },
		{ "monitored sport 123 monitor", true, true, true },
	};

	make_known(SEEN, WEIR_SEEN);
	make_known(PROVEN, WEIR_PROVEN);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const bool pass[] = { rows[i].stranger, rows[i].seen, rows[i].proven };
		struct weir_rule_count count;
		uint64_t dropped = 0, bytes = 0;
		char name[WEIR_NAME_LEN];

		set_rule(rows[i].line, 0);
		for (uint8_t host = STRANGER; host <= PROVEN; host++) {
			struct made made;

			udp_from(&made, host);
			CHECK(&check, (run_made(&made) == XDP_PASS) == pass[host - STRANGER],
			      "%s: host %u", rows[i].line, host);
			if (!pass[host - STRANGER] || (i == 3 && host == STRANGER)) {
				dropped++;
				bytes += made.size;
			}
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(rows[i].line, " "), rows[i].line);
		count = count_of(name);
		CHECK(&check, count.packets == dropped && count.spared == 3 - dropped &&
		      count.bytes == bytes, "%s counts %llu, %llu bytes, spares %llu", name,
		      (unsigned long long)count.packets, (unsigned long long)count.bytes,
		      (unsigned long long)count.spared);
	}
	check_done(&check, "rules spare known sources, proven ones, or none",
		   "%zu rules, a stranger, a seen and a proven source each",
		   sizeof(rows) / sizeof(*rows));
}

/* A source that one rule spares is dropped by the next, if that does not spare it. */
static void test_order(void)
{
	struct settings settings;
	struct made made;

	new_settings(&settings);
	add_drop_rule(&settings, "first sport 123 monitor", 0);
	add_drop_rule(&settings, "second sport 123 rate 1/h", 0);
	add_drop_rule(&settings, "third sport 123 spare proven", 0);
	add_drop_rule(&settings, "fourth sport 123 spare none", 0);
	program_set(&program, &settings);
	udp_from(&made, SEEN);
	CHECK(&check, run_made(&made) == XDP_DROP, "a seen source");
	udp_from(&made, PROVEN);
	CHECK(&check, run_made(&made) == XDP_DROP, "a proven source");
	CHECK(&check, count_of("first").spared == 2 && count_of("second").passed == 2 &&
	      count_of("third").packets == 1 && count_of("third").spared == 1 &&
	      count_of("fourth").packets == 1, "each rule has its say");
	check_done(&check, "all rules that match have their say, in order",
		   "monitored, within a rate, spared, dropped");
}

static void test_end(void)
{
	struct weir_rule_count before, after;
	struct made made;

	set_rule("ends sport 123 spare none", now_ns() + 300 * NS_PER_MS);
	udp_from(&made, STRANGER);
	CHECK(&check, run_made(&made) == XDP_DROP, "in its time");
	before = count_of("ends");
	while (now_coarse_ns() < program.settings.policy->rule_spec[0].until_ns)
		usleep(1000);
	CHECK(&check, run_made(&made) == XDP_PASS, "behind its end");
	after = count_of("ends");
	CHECK(&check, before.packets == 1 && after.packets == 1, "counts");
	check_done(&check, "a rule ends by itself", "after 300 ms, without any tool");
}

/* As many packets as the burst pass at once, of all sources together; the rest drops. */
static void test_rate(void)
{
	struct weir_rule_count count;
	struct made made;
	uint32_t passed = 0;

	set_rule("slow sport 123 rate 60/h spare none", 0); /* a burst of 8 */
	for (uint32_t i = 0; i < 200; i++) {
		udp_from(&made, i);
		passed += run_made(&made) == XDP_PASS;
	}
	count = count_of("slow");
	CHECK(&check, passed >= 8 && passed <= 9, "%u passed", passed); /* one a minute */
	CHECK(&check, count.passed == passed && count.packets == 200 - passed, "counts");
	set_rule("bits sport 123 rate 8mbit spare none", 0); /* a burst of 100,000 bytes */
	udp_from(&made, STRANGER);
	passed = 0;
	for (uint32_t i = 0; i < 20000; i++)
		passed += run_made(&made) == XDP_PASS;
	CHECK(&check, (uint64_t)passed * made.size >= 99000, "%u of %u bytes passed", passed,
	      made.size);
	CHECK(&check, passed < 20000, "all passed");
	check_done(&check, "a rule with a rate lets that pass, of all sources together",
		   "packets: 8 of 200 at once; bits: %u of 20000", passed);
}

/* Neither the counts nor the bucket of a rule survive it. */
static void test_reuse(void)
{
	struct made made;

	set_rule("one sport 123 spare none", 0);
	udp_from(&made, STRANGER);
	run_made(&made);
	CHECK(&check, count_of("one").packets == 1, "counted");
	set_rule("one sport 123 spare none", now_ns() + 1000 * NS_PER_S);
	CHECK(&check, count_of("one").packets == 1, "the same with another end counts on");
	set_rule("two sport 123 spare none", 0);
	CHECK(&check, count_of("two").packets == 0, "the slot of another rule");
	check_done(&check, "a rule counts its own packets", "in a slot that another one had");
}

/* In front of a rule stands the allow entry; behind it the limit. */
static void test_place(void)
{
	struct weir_counters counters;
	struct settings settings;
	struct made made;

	new_settings(&settings);
	add_drop_rule(&settings, "all sport 123 spare none", 0);
	add_entry(&settings.allow, "192.0.2.10", 0);
	add_limit(&settings, NULL, (struct weir_limit_spec){ .any_proto = 1, .per_s = 3600,
			  .rate_packets = 1, .burst_packets = 1 }, 32, 64);
	program_set(&program, &settings);
	take_counters(&program);
	for (int i = 0; i < 4; i++) {
		udp_from(&made, i < 2 ? 10 : 13);
		run_made(&made);
	}
	counters = take_counters(&program);
	CHECK(&check, counters.reason[WEIR_PASS_ALLOW].packets == 2 &&
	      counters.reason[WEIR_DROP_RULE].packets == 2, "allowed, dropped");
	set_rule("other sport 124 spare none", 0);
	check_done(&check, "a rule stands behind allow entries and in front of limits",
		   "2 packets each");
}

int main(void)
{
	made_state = check_seed();
	skel = weir_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	if (weir_bpf__load(skel))
		die("cannot load the program", 0);
	program_take(&program, skel->obj);
	test_random();
	test_spared();
	test_order();
	test_end();
	test_rate();
	test_reuse();
	test_place();
	program_close(&program);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
