// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of buckets under more sources over their limit than it can hold: it
 * stays within its size, all packets are counted, and the limit holds. The burst
 * is 1: with a larger one, a source whose bucket was displaced starts with half
 * of it again. And below the gate's capacity spoofed sources leave no entries.
 */
#include <linux/bpf.h>

#include "tests/datapath/frame.h"
#include "tests/datapath/program.h"
#include "tests/datapath/test_table.skel.h"

#define MANY	5000000U
#define ROUNDS	2

static struct test_table_bpf *skel;
static struct program program;

static int count_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
			void *arg)
{
	(void)key;
	(void)bucket;
	++*(uint32_t *)arg;
	return 0;
}

static uint32_t table_size(void)
{
	uint32_t entries = 0;

	if (maps_each_bucket(&program.maps, count_bucket, &entries))
		die("reading the table", 0);
	return entries;
}

static void limit_to(uint64_t packets, uint32_t per_s, uint64_t burst)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = program.settings.policy->next_serial;
	add_limit(&settings, NULL,
		  (struct weir_limit_spec){ .any_proto = 1, .rate_packets = packets,
					    .per_s = per_s, .burst_packets = burst }, 32, 64);
	program_set(&program, &settings);
	take_counters(&program);
}

static struct weir_counters flood(uint32_t sources, uint32_t packets)
{
	struct frame_bytes bytes;

	build_frame(&bytes, "ip4 udp:53 pad:18");
	skel->bss->next_source = 0;
	skel->data->sources = sources;
	run_frame(bpf_program__fd(skel->progs.from_many), bytes.at, bytes.size, packets);
	return take_counters(&program);
}

static void test_spoofed(struct check *check)
{
	struct weir_counters counters;
	uint32_t entries;

	limit_to(1000, 1, 100);
	counters = flood(2000000, 2000000);
	entries = table_size();
	CHECK(check, count_packets(&counters) == 2000000 &&
		     counters.reason[WEIR_PASS_LIMIT].packets == 2000000,
	      "%llu of 2000000 passed",
	      (unsigned long long)counters.reason[WEIR_PASS_LIMIT].packets);
	CHECK(check, entries < 1000, "%u entries", entries);
	check_done(check, "every packet another source, below the limit", "2000000 packets, %u "
		   "entries, %llu sent on by the gate", entries,
		   (unsigned long long)counters.exact);
}

/* Each source offers ROUNDS packets at once and may have one. */
static void test_all_over(struct check *check)
{
	struct weir_counters counters;
	uint64_t passed, packets = (uint64_t)MANY * ROUNDS;
	double started = check_seconds();
	uint32_t entries;

	limit_to(1, 3600, 1);
	counters = flood(MANY, packets);
	passed = counters.reason[WEIR_PASS_LIMIT].packets;
	entries = table_size();
	CHECK(check, count_packets(&counters) == packets, "%llu of %llu counted",
	      (unsigned long long)count_packets(&counters), (unsigned long long)packets);
	CHECK(check, entries && entries <= PROGRAM_BUCKETS, "%u entries in %u", entries,
	      PROGRAM_BUCKETS);
	CHECK(check, counters.created && counters.created <= counters.exact,
	      "%llu buckets made, %llu packets judged by one",
	      (unsigned long long)counters.created, (unsigned long long)counters.exact);
	CHECK(check, passed <= MANY, "%llu admitted, %u allowed", (unsigned long long)passed, MANY);
	check_done(check, "5M sources all over a limit of 1/h, burst 1",
		   "%llu packets, %llu admitted, %u entries of %u, %llu made, %.1f s",
		   (unsigned long long)packets, (unsigned long long)passed, entries,
		   PROGRAM_BUCKETS, (unsigned long long)counters.created,
		   check_seconds() - started);
}

int main(void)
{
	struct check check = { 0 };

	datapath_verbose(false);
	skel = test_table_bpf__open();
	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	if (test_table_bpf__load(skel))
		die("cannot load the program", 0);
	program_take(&program, skel->obj);
	test_spoofed(&check);
	test_all_over(&check);
	program_close(&program);
	test_table_bpf__destroy(skel);
	return check_exit(&check);
}
