// SPDX-License-Identifier: GPL-2.0-only
/*
 * A prefix of IPv6 holds no address of IPv4, though the bits of the shortest ones enclose
 * ::ffff:0:0/96: the program in allow, block, limits, lists, budgets and SYN rules, and the tool's
 * own look-ups.
 */
#include <linux/bpf.h>

/* Before the kernel's own <linux/in.h>, which then leaves out what is here. */
#include "tests/datapath/frame.h"

#include "bpf/pure/class.h"
#include "bpf/weir.skel.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/model/syn_rules.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"

#define HOURLY(burst) { .any_proto = 1, .rate_packets = 1, .per_s = 3600, .burst_packets = burst }

static struct program program;
static struct weir_bpf *skel;
static struct check check;

static struct prefix parsed(const char *text)
{
	struct prefix prefix;
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err))
		die(err, -EINVAL);
	return prefix;
}

static struct settings new_settings(void)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = program.settings.policy->next_serial;
	return settings;
}

static void build(struct frame_bytes *frame, const char *source, const char *words)
{
	struct prefix prefix = parsed(source);
	struct weir_prefix key;
	char text[80];

	snprintf(text, sizeof(text), "%s %s", prefix_is_v4(&prefix) ? "ip4" : "ip6", words);
	build_frame(frame, text);
	prefix_to_key(&prefix, &key);
	if (frame->v6)
		memcpy(frame->at + frame->ip + 8, key.addr, 16);
	else
		memcpy(frame->at + frame->ip + 12, key.addr + 12, 4);
}

static enum weir_reason reason_of(const char *source, const char *words)
{
	struct weir_counters counters;
	struct frame_bytes frame;
	int reason = 0;

	build(&frame, source, words);
	take_counters(&program);
	run_frame(bpf_program__fd(skel->progs.weir_ingress), frame.at, frame.size, 1);
	counters = take_counters(&program);
	while (reason < WEIR_REASON_MAX && !counters.reason[reason].packets)
		reason++;
	return reason;
}

static void want(const char *what, const char *source, enum weir_reason reason)
{
	enum weir_reason is = reason_of(source, "udp:53");

	CHECK(&check, is == reason, "%s, from %s: %s, not %s", what, source, reason_name(is),
	      reason_name(reason));
}

/* The longest entry that the tool finds for an address, as text; "": none. */
static const char *covering(const struct entries *entries, const char *source)
{
	static char text[PREFIX_STRLEN];
	struct prefix address = parsed(source);
	const struct entry *entry = entries_cover(entries, &address, now_ns());

	*text = '\0';
	if (entry)
		prefix_format(&entry->prefix, text);
	return text;
}

static void want_entry(const struct entries *entries, const char *source, const char *wanted)
{
	const char *is = covering(entries, source);

	CHECK(&check, !strcmp(is, wanted), "the tool finds \"%s\" for %s, not \"%s\"", is, source,
	      wanted);
}

static void test_entries(void)
{
	uint64_t later = now_ns() + 3600 * NS_PER_S;
	struct settings settings = new_settings();

	add_entry(&settings.allow, "::/0", 0);
	add_entry(&settings.allow, "198.51.100.7", 0);	/* so that this /16 is looked up */
	program_set(&program, &settings);
	want("allow ::/0", "198.51.100.8", WEIR_CONTINUE);
	want("allow ::/0", "198.51.100.7", WEIR_PASS_ALLOW);
	want("allow ::/0", "2001:db8::1", WEIR_PASS_ALLOW);
	want_entry(&program.settings.allow, "198.51.100.8", "");
	want_entry(&program.settings.allow, "2001:db8::1", "::/0");

	settings = new_settings();
	add_entry(&settings.block, "::/8", 0);
	add_entry(&settings.block, "203.0.0.0/24", 0);
	add_entry(&settings.block, "203.0.5.0/24", later);
	add_entry(&settings.block, "203.0.6.0/24", 1);
	add_entry(&settings.block, "0:ffff:ffff::/48", later);	/* sorts behind IPv4 */
	program_set(&program, &settings);
	want("block ::/8", "203.0.113.14", WEIR_CONTINUE);
	want("block ::/8", "203.0.0.14", WEIR_DROP_BLOCK);
	want("block ::/8", "12::1", WEIR_DROP_BLOCK);
	want("block ::/8", "1200::1", WEIR_CONTINUE);
	want("a ban of IPv4 is not for good", "203.0.5.1", WEIR_DROP_BAN);
	want("a ban of IPv4 ends", "203.0.6.1", WEIR_CONTINUE);
	want("a ban of IPv6 within is", "0:ffff:ffff::1", WEIR_DROP_BLOCK);
	want_entry(&program.settings.block, "203.0.113.14", "");
	want_entry(&program.settings.block, "12::1", "::/8");
	check_done(&check, "allow ::/0 and block ::/8 mean IPv6 only", "11 sources");
}

static void test_hosts(void)
{
	struct settings settings = new_settings();

	add_entry(&settings.block, "::/64", 0);
	add_entry(&settings.block, "2001:db8:0:7::/64", 0);
	program_set(&program, &settings);
	want("block ::/64", "::9", WEIR_DROP_BLOCK);
	want("block ::/64", "::1:0:0:9", WEIR_DROP_BLOCK);
	settings = new_settings();
	add_entry(&settings.block, "2001:db8:0:7::/64", 0);
	program_set(&program, &settings);
	want("block 2001:db8:0:7::/64", "2001:db8:0:7::1", WEIR_DROP_BLOCK);
	want("an address with its bits in the lower half", "::2001:db8:0:7", WEIR_CONTINUE);
	check_done(&check, "::/64 has no key of another /64", "4 sources");
}

static unsigned int admitted(const char *source)
{
	unsigned int count = 0;

	for (int i = 0; i < 20; i++)
		count += reason_of(source, "udp:53") == WEIR_PASS_LIMIT;
	return count;
}

static void test_limits(void)
{
	static const struct { const char *source; unsigned int wanted; } rows[] = {
		{ "192.0.2.1", 5 }, { "192.0.2.129", 7 }, { "12::1", 3 }, { "2001:db8::1", 5 },
		{ "1234::1", 3 },
	};
	struct settings settings = new_settings();

	add_limit(&settings, NULL, (struct weir_limit_spec)HOURLY(5), 32, 64);
	add_limit(&settings, "::/3", (struct weir_limit_spec)HOURLY(3), 32, 64);
	add_limit(&settings, "2001:db8::/32", (struct weir_limit_spec)HOURLY(5), 32, 64);
	add_limit(&settings, "192.0.2.128/25", (struct weir_limit_spec)HOURLY(7), 32, 64);
	program_set(&program, &settings);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct weir_policy *policy = program.settings.policy;
		struct packet_kind kind = { .proto = IPPROTO_UDP, .dport = 53 };
		struct prefix source = parsed(rows[i].source);
		unsigned int is = admitted(rows[i].source);
		uint32_t found = policy_lookup(policy, &source, &kind);

		CHECK(&check, is == rows[i].wanted, "%s: %u admitted, not %u", rows[i].source, is,
		      rows[i].wanted);
		CHECK(&check, policy->spec[found].burst_packets == rows[i].wanted,
		      "%s: the tool finds a burst of %llu, not %u", rows[i].source,
		      (unsigned long long)policy->spec[found].burst_packets, rows[i].wanted);
	}
	check_done(&check, "limit from ::/3 means IPv6 only", "%zu sources",
		   sizeof(rows) / sizeof(*rows));
}

static void test_list(void)
{
	struct prefixes set = { 0 };
	struct settings settings = new_settings();
	struct prefix v6 = parsed("::/3"), v4 = parsed("203.0.113.0/24");

	program_set(&program, &settings);
	if (prefixes_add(&set, &v6) || prefixes_add(&set, &v4))
		die("block set", -ENOMEM);
	program_put_set(&program, &set, 1);
	want("list of ::/3", "203.0.112.1", WEIR_CONTINUE);
	want("list of ::/3", "203.0.113.1", WEIR_DROP_LIST);
	want("list of ::/3", "12::1", WEIR_DROP_LIST);
	program_put_set(&program, &set, 2);
	check_done(&check, "a list with ::/3 means IPv6 only", "3 sources");
}

static uint64_t spent_on(uint32_t budget)
{
	struct weir_budget_state state;
	struct weir_spending sum;

	if (maps_read_budget(&program.maps, budget, &state, &sum))
		die("budget", -EIO);
	return sum.passed;
}

/* Destinations of frame.h are 198.51.100.1 and 2001:db8::1; the latter is in 2000::/3. */
static void test_destinations(void)
{
	struct weir_limit_spec spec = { .any_proto = 1, .rate_packets = 1000, .per_s = 1 };
	struct packet_kind kind = { .proto = IPPROTO_UDP, .dport = 53 };
	struct prefix short_v6 = parsed("::/2"), v4 = parsed("198.51.100.1"),
		      v6 = parsed("2001:db8::1");
	struct weir_syn_rule rule = { .first = 80, .last = 80, .always = 1 };
	struct settings settings = new_settings();
	const struct weir_policy *policy;
	char err[ERR_LEN];

	prefix_to_key(&short_v6, &spec.from);
	prefix_to_key(&short_v6, &rule.to);
	if (budget_set(settings.policy, "six", &spec, err) < 0 ||
	    syn_set(settings.policy, &rule, err) < 0)
		die(err, -EINVAL);
	program_set(&program, &settings);
	policy = program.settings.policy;
	reason_of("192.0.2.1", "udp:53");
	CHECK(&check, spent_on(1) == 0, "a packet to 198.51.100.1 took from the budget of ::/2");
	reason_of("2001:db8::2", "udp:53");
	CHECK(&check, spent_on(1) == 1, "%llu packets to 2001:db8::1 took from the budget of ::/2",
	      (unsigned long long)spent_on(1));
	CHECK(&check, budget_lookup(policy, &v4, &kind) == 0, "the tool finds a budget for IPv4");
	CHECK(&check, budget_lookup(policy, &v6, &kind) == 1, "the tool finds none for IPv6");
	CHECK(&check, !syn_rule(policy, v4.hi, v4.lo, 80), "a SYN rule for ::/2 holds for IPv4");
	CHECK(&check, syn_rule(policy, v6.hi, v6.lo, 80) != NULL, "it does not hold for IPv6");
	check_done(&check, "a budget and a SYN rule to ::/2 mean IPv6 only", "2 destinations each");
}

/* An IPv6 packet with a mapped address would be taken for one of IPv4. */
static void test_mapped(void)
{
	struct settings settings = new_settings();
	struct frame_bytes frame;
	struct weir_counters counters;

	add_entry(&settings.allow, "192.0.2.1", 0);
	program_set(&program, &settings);
	for (int end = 0; end < 2; end++) {
		build_frame(&frame, "ip6 udp:53");
		memcpy(frame.at + frame.ip + (end ? 24 : 8),
		       (uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1 }, 16);
		take_counters(&program);
		run_frame(bpf_program__fd(skel->progs.weir_ingress), frame.at, frame.size, 1);
		counters = take_counters(&program);
		CHECK(&check, counters.reason[WEIR_DROP_IPV6].packets == 1,
		      "an IPv6 packet %s ::ffff:192.0.2.1 passed", end ? "to" : "from");
	}
	check_done(&check, "IPv6 packets with mapped addresses drop", "source and destination");
}

int main(void)
{
	datapath_verbose(false);
	skel = weir_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	if (weir_bpf__load(skel))
		die("cannot load the program", 0);
	program_take(&program, skel->obj);
	test_entries();
	test_hosts();
	test_limits();
	test_list();
	test_destinations();
	test_mapped();
	program_close(&program);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
