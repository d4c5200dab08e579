// SPDX-License-Identifier: GPL-2.0-only
/* A full table of bans gives way to worse offenders, and a network's ban replaces those in it. */
#include "tests/unit/judge_bench.h"

#define UNIX	1700000000ULL

/* Does with the entries what the daemon does after judge_end(). */
static void carry_out(struct bench *bench)
{
	uint64_t now = SECOND(bench->second - 1);

	for (size_t i = 0; i < bench->said.replaced_count; i++)
		entries_remove(&bench->block, &bench->said.replaced[i]);
	for (size_t i = 0; i < bench->said.count; i++) {
		const struct decision *d = &bench->said.at[i];
		struct weir_entry ban = { .origin = WEIR_BY_DAEMON, .strikes = d->about.strikes,
					  .until_ns = now + d->ttl_ns };

		if (d->about.kind == WEIR_GAVE_WAY)
			entries_remove(&bench->block, &d->prefix);
		else if (d->ttl_ns)
			entries_put(&bench->block, &d->prefix, &ban);
	}
}

static struct prefix nth(uint32_t n)
{
	return prefix_v4(0x0a000001 + n * 256, 32);
}

/* Plays windows in which sources @first to @first + @count lose @pps + n each, until bans are due. */
static void flood_many(struct bench *bench, uint32_t first, uint32_t count, uint32_t pps,
		       uint32_t windows)
{
	static uint64_t w;

	for (uint32_t i = 0; i < windows; i++, w++) {
		begin(bench);
		entries_expire(&bench->block, SECOND(bench->second - 1));
		for (uint32_t n = 0; n < count; n++) {
			struct prefix source = nth(first + n);

			see(bench, &source, 1000 + w, 1 + (pps + n) * w);
		}
		judge_end(bench->judge, &bench->world, &bench->said);
		carry_out(bench);
		if (bench->said.count || bench->said.put_off)
			break;
	}
}

/* Time passes, in which the bans of sources @first to @first + @count meet @pps packets each. */
static void meet(struct bench *bench, uint32_t first, uint32_t count, uint32_t pps, uint64_t seconds)
{
	for (uint32_t n = first; n < first + count; n++) {
		struct prefix source = nth(n);
		struct entry *entry = entries_find(&bench->block, &source);

		if (entry)
			entry->value.hits += pps * seconds / WEIR_BAN_HIT_SAMPLE;
	}
	idle(bench, seconds - 1);
}

static size_t banned(const struct bench *bench, uint32_t first, uint32_t count)
{
	size_t found = 0;

	for (uint32_t n = first; n < first + count; n++) {
		struct prefix source = nth(n);

		found += entries_find(&bench->block, &source) != NULL;
	}
	return found;
}

static size_t of_kind(const struct bench *bench, uint8_t kind)
{
	size_t count = 0;

	for (size_t i = 0; i < bench->said.count; i++)
		count += bench->said.at[i].about.kind == kind;
	return count;
}

static void test_full(struct check *check)
{
	struct prefix by_hand = prefix_of("203.0.113.9");
	struct bench bench;

	bench_open(&bench);
	bench.rules.most_bans = 100;
	bench.rules.source.first_ban_ns = bench.rules.source.longest_ban_ns = 300 * S;
	entries_put(&bench.block, &by_hand, &(struct weir_entry){ .until_ns = SECOND(9999) });
	flood_many(&bench, 0, 100, 1200, 5);
	CHECK(check, banned(&bench, 0, 100) == 100, "%zu banned", banned(&bench, 0, 100));

	/* Fresh bans keep their places. */
	flood_many(&bench, 200, 10, 5000, 4);
	CHECK(check, bench.said.put_off == 10 && !bench.said.gave_way, "%llu put off, %llu gave way",
	      (unsigned long long)bench.said.put_off, (unsigned long long)bench.said.gave_way);

	/* 40 are idle, 30 meet a trickle, 30 a flood. */
	meet(&bench, 40, 30, 640, 6);
	meet(&bench, 70, 30, 64000, 6);
	flood_many(&bench, 300, 50, 5000, 4);
	CHECK(check, banned(&bench, 300, 50) == 50 && bench.said.gave_way == 50 &&
	      of_kind(&bench, WEIR_GAVE_WAY) == 50 && !bench.said.put_off, "%zu of 50 banned",
	      banned(&bench, 300, 50));
	CHECK(check, !banned(&bench, 0, 40) && banned(&bench, 40, 60) == 50, "%zu idle ones and %zu "
	      "others are left", banned(&bench, 0, 40), banned(&bench, 40, 60));
	CHECK(check, entries_find(&bench.block, &by_hand) && bench.block.count == 101,
	      "the operator's ban, and %zu in all", bench.block.count);

	/* Of more than there is room for the worst get in; 30 drop too much to give way. */
	meet(&bench, 70, 30, 64000, 6);
	flood_many(&bench, 400, 100, 5000, 4);
	CHECK(check, banned(&bench, 430, 70) == 70 && banned(&bench, 70, 30) == 30 &&
	      bench.said.put_off == 30, "%zu of the worst 70, %zu of the floods, %llu put off",
	      banned(&bench, 430, 70), banned(&bench, 70, 30),
	      (unsigned long long)bench.said.put_off);
	bench_close(&bench);
	check_done(check, "a full table of bans",
		   "idle bans give way first; those that drop as much, fresh ones and the "
		   "operator's do not");
}

/* What gave way is banned again at once when it comes back, and that is its second strike. */
static void test_comes_back(struct check *check)
{
	struct bench bench;

	bench_open(&bench);
	bench.rules.most_bans = 2;
	flood_many(&bench, 0, 2, 1200, 5);
	meet(&bench, 1, 1, 64000, 6);
	flood_many(&bench, 10, 1, 5000, 5);
	CHECK(check, !banned(&bench, 0, 1) && banned(&bench, 10, 1), "the idle one is still there");
	bench.rules.most_bans = 3;
	flood_many(&bench, 0, 1, 5000, 5);
	CHECK(check, banned(&bench, 0, 1) && bench.said.count == 1 &&
	      bench.said.at[0].about.strikes == 1 && bench.said.at[0].about.ttl_s == 120,
	      "%zu decisions", bench.said.count);
	bench_close(&bench);
	check_done(check, "a ban that gave way counts as a strike", "120 s the next time");
}

static void flood_sources(struct bench *bench, uint32_t count, uint32_t windows)
{
	static uint64_t counted = 100;

	for (uint32_t w = 0; w < windows; w++) {
		counted += 10000;
		begin(bench);
		entries_expire(&bench->block, SECOND(bench->second - 1));
		for (uint32_t i = 0; i < count; i++) {
			struct prefix source = prefix_v4(0xc6336401 + i, 32);

			see(bench, &source, counted / 10, counted);
		}
		judge_end(bench->judge, &bench->world, &bench->said);
		carry_out(bench);
		if (bench->said.count)
			break;
	}
}

static void test_network(struct check *check)
{
	struct prefix network = prefix_of("198.51.100.0/24"), proven = prefix_of("198.51.100.3"),
		      by_hand = prefix_of("198.51.100.99"), for_long = prefix_of("198.51.100.98");
	struct weir_judgement undone = { .number = 9, .unix_s = UNIX, .kind = WEIR_UNBAN };
	struct bench bench;

	bench_open(&bench);
	flood_sources(&bench, 7, 5);
	CHECK(check, bench.block.count == 7, "%zu banned", bench.block.count);
	prefixes_add(&bench.proven, &proven);
	entries_put(&bench.block, &by_hand, &(struct weir_entry){ .until_ns = SECOND(bench.second + 5) });
	entries_put(&bench.block, &for_long, &(struct weir_entry){
		.origin = WEIR_BY_DAEMON, .until_ns = SECOND(bench.second + 500) });
	bench.rules.most_bans = 8;
	flood_sources(&bench, 8, 5);
	CHECK(check, bench.said.count == 1 && bench.said.at[0].about.kind == WEIR_BAN_NETWORK &&
	      bench.said.replaced_count == 6, "%zu decisions, %zu replaced", bench.said.count,
	      bench.said.replaced_count);
	CHECK(check, bench.block.count == 4 && entries_find(&bench.block, &network) &&
	      entries_find(&bench.block, &proven) && entries_find(&bench.block, &by_hand) &&
	      entries_find(&bench.block, &for_long), "%zu are left", bench.block.count);

	/* The network's ban ends, and its sources go on: their strikes are remembered. */
	bench.second += 60;
	flood_sources(&bench, 2, 5);
	CHECK(check, bench.said.count == 2 && bench.said.at[0].about.kind == WEIR_BAN_SOURCE &&
	      bench.said.at[0].about.strikes == 1 && bench.said.at[0].about.ttl_s == 120,
	      "%zu decisions", bench.said.count);

	/* The operator undoes the network's ban: nothing in it is banned. */
	bench.second += 300;
	flood_sources(&bench, 12, 5);
	CHECK(check, entries_find(&bench.block, &network), "the network is not banned again");
	entries_remove(&bench.block, &network);
	prefix_to_key(&network, &undone.prefix);
	judge_remember(bench.judge, &undone, UNIX, SECOND(bench.second - 1));
	flood_sources(&bench, 40, 20);
	CHECK(check, !bench.said.count, "%zu decisions after the undo", bench.said.count);
	bench_close(&bench);
	check_done(check, "the ban of a network replaces those of its sources",
		   "6 of 9; not that of a proven source, a longer one, or the operator's");
}

/* A network's ban that gives way frees the sources in it. */
static void test_network_gives_way(struct check *check)
{
	struct prefix network = prefix_of("198.51.100.0/24");
	struct bench bench;

	bench_open(&bench);
	bench.rules.most_bans = 1;
	bench.rules.source.first_ban_ns = bench.rules.source.longest_ban_ns = 60 * S;
	flood_sources(&bench, 8, 5);
	CHECK(check, entries_find(&bench.block, &network) && bench.block.count == 1, "not banned");
	idle(&bench, 6);
	flood_many(&bench, 0, 1, 5000, 5);
	CHECK(check, banned(&bench, 0, 1) && bench.block.count == 1, "it did not give way");
	bench.rules.most_bans = 10;
	flood_sources(&bench, 3, 5);
	CHECK(check, bench.said.count == 3, "%zu of its sources are judged again", bench.said.count);
	bench_close(&bench);
	check_done(check, "a network's ban gives way", "its sources are judged again at once");
}

static void test_cost(struct check *check)
{
	enum { MANY = 100000 };
	struct bench bench;
	double began = 0;

	bench_open(&bench);
	bench.rules.most_bans = MANY;
	bench.rules.source.first_ban_ns = bench.rules.source.longest_ban_ns = 3600 * S;
	for (uint32_t n = 0; n < MANY; n++) {
		struct prefix source = nth(n);

		entries_append(&bench.block, &source, &(struct weir_entry){
			.origin = WEIR_BY_DAEMON, .until_ns = SECOND(5000) });
	}
	entries_sort(&bench.block);
	idle(&bench, 1);
	idle(&bench, 6);
	for (uint64_t w = 0; w < 4; w++) {
		began = clock();
		begin(&bench);
		for (uint32_t n = 0; n < MANY; n++) {
			struct prefix source = nth(MANY + n);

			see(&bench, &source, 1000 * w, 1 + 5000 * w);
		}
		judge_end(bench.judge, &bench.world, &bench.said);
	}
	began = (clock() - began) / CLOCKS_PER_SEC;
	CHECK(check, bench.said.gave_way == MANY && bench.said.count == 2 * MANY, "%llu gave way",
	      (unsigned long long)bench.said.gave_way);
	bench_close(&bench);
	check_done(check, "all bans give way in one look", "%d, in %.0f ms of CPU time", MANY,
		   began * 1000);
}

int main(void)
{
	struct check check = { 0 };

	test_full(&check);
	test_comes_back(&check);
	test_network(&check);
	test_network_gives_way(&check);
	test_cost(&check);
	return check_exit(&check);
}
