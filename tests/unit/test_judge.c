// SPDX-License-Identifier: GPL-2.0-only
/* The judge: what is banned and for how long, what is spared and why. */
#include "tests/unit/judge_bench.h"

#define UNIX	1700000000ULL

static void test_windows(struct check *check)
{
	struct bench bench;

	bench_open(&bench);
	CHECK(check, !window(&bench, "192.0.2.1", 1000, 50000), "the first reading completes no window");
	CHECK(check, !window(&bench, "192.0.2.1", 2000, 55000), "window 1");
	CHECK(check, !window(&bench, "192.0.2.1", 3000, 60000), "window 2");
	CHECK(check, window(&bench, "192.0.2.1", 4000, 66000) == 1, "window 3");
	CHECK(check, bench.said.at[0].about.windows == 3 && bench.said.at[0].about.packets == 16000 &&
	      bench.said.at[0].about.seen_pps == 7000 && bench.said.at[0].about.limit_pps == 1000 &&
	      bench.said.at[0].about.share_permille == 60 && bench.said.at[0].ttl_ns == 60 * S,
	      "%u windows, %llu packets, %llu pps, %u permille", bench.said.at[0].about.windows,
	      bench.said.at[0].about.packets, bench.said.at[0].about.seen_pps,
	      bench.said.at[0].about.share_permille);
	CHECK(check, !window(&bench, "192.0.2.1", 5000, 72000), "banned twice");
	bench_close(&bench);

	/* Below the floor; below twice the limit; a pause; counters that were reset. */
	bench_open(&bench);
	for (uint64_t i = 0; i < 20; i++)
		CHECK(check, !window(&bench, "192.0.2.1", 10 * i, 100 + 49 * i), "49 pps dropped");
	bench_close(&bench);
	bench_open(&bench);
	for (uint64_t i = 0; i < 20; i++)
		CHECK(check, !window(&bench, "192.0.2.1", 1000 * i, 100 + 999 * i),
		      "less than twice the limit");
	bench_close(&bench);
	bench_open(&bench);
	for (uint64_t i = 1; i < 20; i++)
		CHECK(check, !window(&bench, "192.0.2.1", 1000, 5000 * (i - i / 3)),
		      "a window without drops in between, %llu", (unsigned long long)i);
	bench_close(&bench);
	bench_open(&bench);
	for (uint64_t i = 1; i < 20; i++)
		CHECK(check, !window(&bench, "192.0.2.1", 1000, i % 2 ? 90000 : 80),
		      "a bucket that was evicted");
	bench_close(&bench);
	check_done(check, "windows in a row", "3 of at least twice the limit and 50 pps");
}

static void test_doubling(struct check *check)
{
	static const uint64_t wanted[] = { 60, 120, 240, 300, 300 };
	struct bench bench;

	bench_open(&bench);
	for (size_t i = 0; i < 5; i++) {
		CHECK(check, flood(&bench, "192.0.2.1") == WEIR_BAN_SOURCE, "ban %zu", i);
		CHECK(check, bench.said.count && bench.said.at[0].about.ttl_s == wanted[i] &&
		      bench.said.at[0].about.strikes == i, "ban %zu: %llu s", i,
		      bench.said.count ? bench.said.at[0].about.ttl_s : 0);
		idle(&bench, wanted[i]);
	}
	idle(&bench, 1001);
	flood(&bench, "192.0.2.1");
	CHECK(check, bench.said.count && bench.said.at[0].about.ttl_s == 60,
	      "not forgotten after `remember`");
	bench_close(&bench);
	check_done(check, "bans double", "60, 120, 240, 300, 300 s, and 60 s again when forgotten");
}

static void test_spared(struct check *check)
{
	struct prefix known = prefix_of("192.0.2.1"), own = prefix_of("192.0.2.2"),
		      allowed = prefix_of("2001:db8::7");
	struct bench bench;

	bench_open(&bench);
	prefixes_add(&bench.seen, &known);
	prefixes_add(&bench.own, &own);
	entries_put(&bench.allow, &allowed, &(struct weir_entry){ 0 });
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_SPARED, "a known source");
	CHECK(check, bench.said.count && !bench.said.at[0].ttl_ns &&
	      strstr(bench.said.at[0].about.text, "known"), "the text does not say why");
	CHECK(check, flood(&bench, "192.0.2.1") == -1, "reported again within the minute");
	idle(&bench, 61);
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_SPARED, "a minute later");
	CHECK(check, flood(&bench, "192.0.2.2") == WEIR_SPARED, "an address of this host");
	CHECK(check, flood(&bench, "2001:db8::/64") == WEIR_SPARED, "a /64 with an allow entry");
	CHECK(check, bench.said.count && strstr(bench.said.at[0].about.text, "2001:db8::7"),
	      "the text does not name the entry");
	CHECK(check, flood(&bench, "192.0.2.3") == WEIR_BAN_SOURCE, "an unknown source");
	bench_close(&bench);
	check_done(check, "spared", "known, own and allowed sources; reported once a minute");
}

static void test_undone(struct check *check)
{
	struct weir_judgement undone = { .number = 9, .unix_s = UNIX, .kind = WEIR_UNBAN };
	struct prefix prefix = prefix_of("192.0.2.1");
	struct bench bench;

	bench_open(&bench);
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_BAN_SOURCE, "at first");
	prefix_to_key(&prefix, &undone.prefix);
	judge_remember(bench.judge, &undone, UNIX, SECOND(bench.second - 1));
	CHECK(check, flood(&bench, "192.0.2.1") == -1, "again at once");
	idle(&bench, 80);
	CHECK(check, flood(&bench, "192.0.2.1") == -1, "within `undo`");
	idle(&bench, 100);
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_BAN_SOURCE && !bench.said.at[0].about.strikes,
	      "after it, with the first deadline");
	bench_close(&bench);
	check_done(check, "a ban that the operator removed", "no ban for 100 s, and no strike is left");
}

static void test_restart(struct check *check)
{
	struct weir_judgement before = { .number = 1, .unix_s = UNIX - 130, .kind = WEIR_BAN_SOURCE,
					 .strikes = 1, .ttl_s = 120 };
	struct prefix prefix = prefix_of("192.0.2.1"), other = prefix_of("192.0.2.9");
	struct entry running = { .prefix = other };
	struct bench bench;

	bench_open(&bench);
	bench.second = 500;
	prefix_to_key(&prefix, &before.prefix);
	judge_set_rules(bench.judge, &bench.rules);
	judge_remember(bench.judge, &before, UNIX, SECOND(bench.second));
	running.value = (struct weir_entry){ .until_ns = SECOND(bench.second + 20), .strikes = 2 };
	judge_remember_ban(bench.judge, &running);
	CHECK(check, flood(&bench, "192.0.2.9") == -1, "a ban that runs");
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_BAN_SOURCE &&
	      bench.said.at[0].about.strikes == 2 && bench.said.at[0].about.ttl_s == 240,
	      "strikes from the ring");
	idle(&bench, 20);
	CHECK(check, flood(&bench, "192.0.2.9") == WEIR_BAN_SOURCE &&
	      bench.said.at[0].about.strikes == 3 && bench.said.at[0].about.ttl_s == 300,
	      "strikes from the entry");
	bench_close(&bench);
	check_done(check, "a judge that is restarted", "goes on with 2 and 3 strikes");
}

static void test_judge_only(struct check *check)
{
	struct bench bench;

	bench_open(&bench);
	bench.rules.enforce = false;
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_WOULD_BAN_SOURCE, "judged");
	CHECK(check, flood(&bench, "192.0.2.1") == -1, "judged again while it would be banned");
	idle(&bench, 60);
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_WOULD_BAN_SOURCE &&
	      bench.said.at[0].about.strikes == 1, "the second time");
	bench.rules.enforce = true;
	CHECK(check, flood(&bench, "192.0.2.1") == WEIR_BAN_SOURCE &&
	      !bench.said.at[0].about.strikes, "enforced at once, with the first deadline");
	bench_close(&bench);
	check_done(check, "mode `judge`", "one decision for each ban that would be");
}

/* @count sources from 198.51.100.1 on flood until a ban is due. Returns the number of decisions. */
static size_t flood_network(struct bench *bench, uint32_t count)
{
	static uint64_t counted = 100;
	size_t decided = 0;

	for (uint64_t w = 0; w <= usual.source.windows; w++) {
		counted += 10000;
		begin(bench);
		for (uint32_t i = 0; i < count; i++) {
			struct prefix source = prefix_v4(0xc6336401 + i, 32);

			see(bench, &source, counted / 10, counted);
		}
		judge_end(bench->judge, &bench->world, &bench->said);
		decided += bench->said.count;
		if (bench->said.count)
			break;
	}
	return decided;
}

static void test_networks(struct check *check)
{
	struct prefix network = prefix_of("198.51.100.0/24"), half = prefix_of("198.51.100.128/28"),
		      allowed = prefix_of("198.51.100.200");
	struct bench bench;

	bench_open(&bench);
	flood_network(&bench, 7);
	CHECK(check, bench.said.count == 7, "7 sources: %zu", bench.said.count);
	bench_close(&bench);

	bench_open(&bench);
	flood_network(&bench, 8);
	CHECK(check, bench.said.count == 1 && bench.said.at[0].about.kind == WEIR_BAN_NETWORK &&
	      !prefix_cmp(&bench.said.at[0].prefix, &network) && bench.said.at[0].about.sources == 8,
	      "8 sources: %zu decisions", bench.said.count);
	bench_close(&bench);

	/* 7 bans that run already, and a new source */
	bench_open(&bench);
	flood_network(&bench, 7);
	CHECK(check, flood(&bench, "198.51.100.77") == WEIR_BAN_NETWORK &&
	      bench.said.at[0].about.sources == 8, "the eighth, later");
	bench_close(&bench);

	bench_open(&bench);
	prefixes_add(&bench.seen, &half);
	flood_network(&bench, 8);
	CHECK(check, bench.said.count == 1 && bench.said.at[0].about.kind == WEIR_BAN_NETWORK,
	      "16 sources that only seem known: %zu", bench.said.count);
	bench_close(&bench);

	bench_open(&bench);
	prefixes_add(&bench.proven, &half);
	flood_network(&bench, 8);
	CHECK(check, bench.said.count == 9, "16 proven sources in it: 8 bans and a report: %zu",
	      bench.said.count);
	flood_network(&bench, 20);
	CHECK(check, bench.said.count == 12, "spared within the minute: %zu", bench.said.count);
	bench_close(&bench);

	bench_open(&bench);
	entries_put(&bench.allow, &allowed, &(struct weir_entry){ 0 });
	flood_network(&bench, 8);
	CHECK(check, bench.said.count == 9, "an allow entry in it: %zu", bench.said.count);
	bench_close(&bench);

	bench_open(&bench);
	prefixes_add(&bench.own_networks, &network);
	flood_network(&bench, 8);
	CHECK(check, bench.said.count == 9, "the host is in it: %zu", bench.said.count);
	bench_close(&bench);
	check_done(check, "networks by their sources",
		   "8 sources; spared for an allow entry, 16 proven ones, the host itself");
}

/* Neighbours share fe80::/64, and each of them is a source of its own: there is no network. */
static void test_neighbours(struct check *check)
{
	struct bench bench;
	uint64_t counted = 100;
	size_t sources = 0, networks = 0;

	bench_open(&bench);
	for (uint64_t w = 0; w < 12; w++) {
		struct prefix nameless = { HARDWARE_HI, 0x020000000001, 128 };

		counted += 10000;
		begin(&bench);
		for (uint32_t i = 1; i <= 20; i++) {
			struct prefix source = { 0xfe80ULL << 48, i, 128 };

			see(&bench, &source, counted / 10, counted);
		}
		see(&bench, &nameless, counted / 10, counted);
		judge_network(bench.judge, &(struct judge_network){
			.line = 7, .prefix = { 0xfe80ULL << 48, 0, 48 }, .dropped = w * 6000,
			.share_pps = 500 });
		judge_end(bench.judge, &bench.world, &bench.said);
		for (size_t i = 0; i < bench.said.count; i++) {
			const struct prefix *prefix = &bench.said.at[i].prefix;

			sources += prefix->length == 128;
			networks += prefix->length < 128;
			CHECK(check, prefix->hi != HARDWARE_HI, "a host without an address is banned");
		}
	}
	CHECK(check, sources && !networks, "%zu decisions about neighbours, %zu about their network",
	      sources, networks);
	bench_close(&bench);
	check_done(check, "neighbours are judged one by one", "%zu decisions", sources);
}

static size_t turn_away(struct bench *bench, const char *prefix, uint64_t dropped, uint64_t share)
{
	begin(bench);
	judge_network(bench->judge, &(struct judge_network){
		.line = 7, .prefix = prefix_of(prefix), .dropped = dropped, .share_pps = share });
	judge_end(bench->judge, &bench->world, &bench->said);
	return bench->said.count;
}

static void test_turned_away(struct check *check)
{
	struct bench bench;
	size_t count = 0;

	bench_open(&bench);
	for (uint64_t i = 0; i < 4; i++)
		count = turn_away(&bench, "203.0.113.0/24", 1000000 + i * 6000, 500);
	CHECK(check, count == 1 && bench.said.at[0].about.kind == WEIR_BAN_NETWORK &&
	      bench.said.at[0].about.seen_pps == 6000 && bench.said.at[0].about.limit_pps == 500,
	      "12 times its share");
	bench_close(&bench);
	for (int i = 0; i < 3; i++) {
		static const struct {
			uint64_t each, share, all;
			const char *what;
		} calm[] = {
			{ 4900, 500, 50000, "less than ten times its share" },
			{ 990, 10, 10000, "less than 1000 pps" },
			{ 6000, 500, 1000000, "less than 5 % of all" },
		};

		bench_open(&bench);
		bench.world.turned_away = calm[i].all;
		for (uint64_t w = 0; w < 9; w++)
			CHECK(check, !turn_away(&bench, "203.0.113.0/24", w * calm[i].each,
						calm[i].share), "%s", calm[i].what);
		bench_close(&bench);
	}
	/* Two networks that alternate in one line of the table are not one that continues. */
	bench_open(&bench);
	for (uint64_t w = 1; w < 12; w++)
		CHECK(check, !turn_away(&bench, w % 2 ? "203.0.113.0/24" : "192.0.2.0/24",
					6000, 500), "two networks that alternate");
	bench_close(&bench);
	check_done(check, "networks that budgets shed", "ten times their share for 3 windows");
}

static struct weir_budget_state budget_state(uint64_t pressed_ns, uint64_t first_seen_pps,
					     uint64_t returning_pps)
{
	return (struct weir_budget_state){
		.pressed_ns = pressed_ns,
		.share = { first_seen_pps ? WEIR_TICKS_PER_S / first_seen_pps : 0,
			   returning_pps ? WEIR_TICKS_PER_S / returning_pps : 0 } };
}

/* In the look at second @at, of the window that began a second before: the share in pps. */
static uint64_t share_at(const struct weir_budget_state *states, size_t count, uint64_t at)
{
	return judge_network_share(states, count, SECOND(at - 1));
}

static void test_network_share(struct check *check)
{
	const uint64_t now = SECOND(500);
	struct weir_budget_state states[3];
	struct bench bench;
	size_t banned = 0;

	/* A web server's budget is short; that of a DNS server was, five minutes ago. */
	states[0] = budget_state(now - S / 10, 100, 500);
	states[1] = budget_state(now - 300 * S, 8, 100000);
	states[2] = budget_state(0, 0, 0);
	CHECK(check, share_at(states, 3, 500) == 500, "a budget that is calm: %llu",
	      (unsigned long long)share_at(states, 3, 500));
	bench_open(&bench);
	for (uint64_t i = 0; i < 4; i++)
		banned = turn_away(&bench, "203.0.113.0/24", 1000000 + i * 6000,
				   share_at(states, 3, 500));
	CHECK(check, banned == 1, "12 times its share, and spared by the share of a calm budget");
	bench_close(&bench);

	/* Both are short: drops by the generous one are not judged by the share of the other. */
	states[1].pressed_ns = now - S / 2;
	CHECK(check, share_at(states, 3, 500) == 100000, "two budgets under pressure: %llu",
	      (unsigned long long)share_at(states, 3, 500));

	/* Pressure at the very beginning of the window, noted up to 50 ms before the drop. */
	states[0] = budget_state(now - S - S / 20, 100, 500);
	CHECK(check, share_at(states, 1, 500) == 500, "pressure as the window began");

	/* Less than a packet a second is a share; no budget under pressure is none, and no ban. */
	states[0].share[0] = states[0].share[1] = 3 * WEIR_TICKS_PER_S;
	CHECK(check, share_at(states, 1, 500) == 1, "a packet in three seconds");
	CHECK(check, !share_at(states, 1, 502) && !share_at(states, 0, 502), "no budget is short");
	bench_open(&bench);
	for (uint64_t i = 0; i < 9; i++)
		CHECK(check, !turn_away(&bench, "203.0.113.0/24", 1000000 + i * 6000, 0),
		      "banned without a share to compare with");
	bench_close(&bench);
	check_done(check, "the share of networks",
		   "the largest of budgets under pressure in the window; without one no ban");
}

static void test_many(struct check *check)
{
	enum { MANY = 50000 };
	double started;
	struct bench bench;
	size_t count;

	bench_open(&bench);
	bench.rules.most_bans = 40000;
	started = clock();
	for (uint64_t w = 0; w < 4; w++) {
		begin(&bench);
		for (uint32_t i = 0; i < MANY; i++) {
			struct prefix source = prefix_v4(0x0a000001 + i * 256, 32);

			see(&bench, &source, 1000 * w, 1 + (2000 + i) * w);
		}
		judge_end(bench.judge, &bench.world, &bench.said);
	}
	started = (clock() - started) / CLOCKS_PER_SEC;
	count = bench.said.count;
	CHECK(check, count == 40000 && bench.said.put_off == 10000, "%zu bans, %llu put off", count,
	      (unsigned long long)bench.said.put_off);
	CHECK(check, bench.said.at[0].weight > bench.said.at[count - 1].weight &&
	      bench.said.at[count - 1].weight >= 2000 + MANY - 40000, "the worst offenders come first");
	bench_close(&bench);
	check_done(check, "many offenders at once", "%d offenders, 4 windows in %.0f ms of CPU time", MANY,
		   started * 1000);
}

int main(void)
{
	struct check check = { 0 };

	test_windows(&check);
	test_doubling(&check);
	test_spared(&check);
	test_undone(&check);
	test_restart(&check);
	test_judge_only(&check);
	test_networks(&check);
	test_neighbours(&check);
	test_turned_away(&check);
	test_network_share(&check);
	test_many(&check);
	return check_exit(&check);
}
