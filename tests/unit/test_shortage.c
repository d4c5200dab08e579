// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf/pure/core_time.h and asked.h: how much of a core's time each tier gets, and how well SYNs
 * that are sent again are distinguished from first ones.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/asked.h"
#include "bpf/pure/core_time.h"
#include "bpf/pure/hash.h"
#include "tests/unit/check.h"

#define SECOND		1000000000ULL
#define ANSWER_NS	800
#define LOOK_UP_NS	300
#define TIME		(1ULL << ASKED_TIME_SHIFT)

/* ---- time ---- */

/* By tier: SYNs that arrive per second, and how many of them are answered. */
struct load {
	__u32 pps[WEIR_TIERS];
	__u32 answered[WEIR_TIERS];
};

/* Five seconds of a core, with a clock that advances every @tick_ns. The first is not counted. */
static void run(struct load *load, __u64 tick_ns)
{
	struct weir_core_time time = { .cost_ns = ANSWER_NS, .weight = time_weight(TIME_SHARE) };
	__u32 pps = 0;
	__u64 now;

	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		pps += load->pps[tier];
		load->answered[tier] = 0;
	}
	for (__u32 i = 0; i < 5 * pps; i++) {
		__u32 at = (__u64)i * 2654435761U % pps, tier = 0;

		while (at >= load->pps[tier])
			at -= load->pps[tier++];
		now = SECOND + (__u64)i * SECOND / pps / tick_ns * tick_ns;
		if (!time_take(&time, WEIR_FIRST_SEEN, now) &&
		    (tier == WEIR_FIRST_SEEN || !time_take(&time, tier, now)))
			time_drop(&time, now);
		else if (i >= pps)
			load->answered[tier]++;
	}
	for (int tier = 0; tier < WEIR_TIERS; tier++)
		load->answered[tier] /= 4;
}

static void test_time(struct check *check)
{
	const __u32 most = (SECOND << TIME_WEIGHT_SHIFT) / (time_weight(TIME_SHARE) * ANSWER_NS);
	struct load few = { .pps = { most * 9 / 10 } }, many = { .pps = { 10 * most } };
	struct load some = { .pps = { 2 * most } }, again = { .pps = { 10 * most, most / 2 } };
	struct load known = { .pps = { 5 * most, 5 * most, [WEIR_PROVEN] = most / 2 } };

	for (__u64 tick = 1000000; tick <= 10000000; tick += tick == 1000000 ? 3000000 : 6000000) {
		run(&few, tick);
		run(&some, tick);
		run(&many, tick);
		run(&again, tick);
		run(&known, tick);
		CHECK(check, few.answered[0] == few.pps[0], "tick %llu: %u of %u", (unsigned long long)tick,
		      few.answered[0], few.pps[0]);
		/* x answers, and 2m - x drops at a quarter of the cost, take the time of m answers. */
		CHECK(check, labs((long)some.answered[0] - (long)(most * 2 / 3)) < most / 20,
		      "tick %llu: %u of %u", (unsigned long long)tick, some.answered[0], some.pps[0]);
		CHECK(check, many.answered[0] < most / 50, "tick %llu: %u of %u", (unsigned long long)tick,
		      many.answered[0], many.pps[0]);
		CHECK(check, again.answered[1] == again.pps[1], "tick %llu: %u of %u",
		      (unsigned long long)tick, again.answered[1], again.pps[1]);
		CHECK(check, known.answered[WEIR_PROVEN] == known.pps[WEIR_PROVEN], "tick %llu: %u of %u",
		      (unsigned long long)tick, known.answered[WEIR_PROVEN], known.pps[WEIR_PROVEN]);
	}
	check_done(check, "which SYNs get the time of a core",
		   "there is time for %u answers a second: %u of %u first SYNs; of twice as many %u; "
		   "%u of %u that are sent again beside ten times as many first ones; %u of %u from "
		   "known sources beside five times as many of both",
		   most, few.answered[0], few.pps[0], some.answered[0], again.answered[1], again.pps[1],
		   known.answered[WEIR_PROVEN], known.pps[WEIR_PROVEN]);
}

/* ---- segments without SYN beside SYNs ---- */

/* What arrives in a second, and what of it was answered or looked up. */
struct mixed {
	__u32 share;	/* percent */
	__u32 syns, acks, again;	/* first SYNs, first segments, segments that come again */
	__u32 answered, looked_up, again_looked_up;
	double used;	/* of the core, without drops */
};

static bool look_up(struct weir_core_time *time, int tier, __u64 now)
{
	if (time_take_ack(time, WEIR_FIRST_SEEN, now) ||
	    (tier != WEIR_FIRST_SEEN && time_take_ack(time, tier, now)))
		return true;
	time_drop_ack(time, now);
	return false;
}

/* Five seconds; the first is not counted. */
static void mix(struct mixed *mixed)
{
	struct weir_core_time time = { .cost_ns = ANSWER_NS, .ack_cost_ns = LOOK_UP_NS,
				       .weight = time_weight(mixed->share) };
	__u32 pps = mixed->syns + mixed->acks + mixed->again;

	mixed->answered = mixed->looked_up = mixed->again_looked_up = 0;
	for (__u32 i = 0; i < 5 * pps; i++) {
		__u32 at = (__u64)i * 2654435761U % pps, counts = i >= pps;
		__u64 now = SECOND + (__u64)i * SECOND / pps / 4000000 * 4000000;

		if (at < mixed->syns) {
			bool answered = time_take(&time, WEIR_FIRST_SEEN, now);

			mixed->answered += answered && counts;
			if (!answered)
				time_drop(&time, now);
		} else if (at < mixed->syns + mixed->acks) {
			mixed->looked_up += look_up(&time, WEIR_FIRST_SEEN, now) && counts;
		} else {
			mixed->again_looked_up += look_up(&time, WEIR_RETURNING, now) && counts;
		}
	}
	mixed->answered /= 4;
	mixed->looked_up /= 4;
	mixed->again_looked_up /= 4;
	mixed->used = ((double)mixed->answered * ANSWER_NS +
		       (double)(mixed->looked_up + mixed->again_looked_up) * LOOK_UP_NS) / SECOND;
}

static void test_mixed(struct check *check)
{
	for (__u32 share = 20; share <= TIME_SHARE_MOST; share += 30) {
		const __u32 syns = SECOND / 100 * share / ANSWER_NS;
		const __u32 acks = SECOND / 200 * share / LOOK_UP_NS;
		struct mixed few = { share, .syns = syns / 2, .acks = acks * 9 / 10 };
		struct mixed acks_only = { share, .acks = 20 * acks, .again = acks / 2 };
		struct mixed both = { share, .syns = 20 * syns, .acks = 20 * acks, .again = acks / 2 };
		struct mixed flooded = { share, .syns = syns * 4 / 10, .acks = 20 * acks };

		mix(&few);
		mix(&acks_only);
		mix(&both);
		mix(&flooded);
		CHECK(check, few.looked_up == few.acks && few.answered == few.syns,
		      "%u%%: %u of %u, %u of %u", share, few.looked_up, few.acks, few.answered, few.syns);
		CHECK(check, acks_only.used <= share / 200.0 * 1.02 && acks_only.again_looked_up ==
		      acks_only.again, "%u%%: used %.3f, %u of %u again", share, acks_only.used,
		      acks_only.again_looked_up, acks_only.again);
		CHECK(check, both.used <= share / 100.0 * 1.02 && both.again_looked_up == both.again,
		      "%u%%: used %.3f, %u of %u again", share, both.used, both.again_looked_up,
		      both.again);
		CHECK(check, flooded.answered == flooded.syns, "%u%%: %u of %u SYNs", share,
		      flooded.answered, flooded.syns);
		check_done(check, "segments without SYN have half of the share, and SYNs the other half",
			   "share %u%%: of a core %.0f%% under a flood of them, %.0f%% with one of SYNs "
			   "beside it; %u of %u that come again; %u of %u SYNs", share,
			   100 * acks_only.used, 100 * both.used, both.again_looked_up, both.again,
			   flooded.answered, flooded.syns);
	}
}

static void test_measure(struct check *check)
{
	struct weir_core_time time = { 0 };
	__u64 first, mean;

	time_measured(&time.cost_ns, 1000, TIME_LEAST_NS);
	first = time.cost_ns;
	for (int i = 0; i < 100; i++)
		time_measured(&time.cost_ns, 2000, TIME_LEAST_NS);
	mean = time.cost_ns;
	time_measured(&time.cost_ns, 50 * SECOND, TIME_LEAST_NS);
	CHECK(check, first == 1000 && mean > 1950 && mean <= 2000, "%llu, %llu", (unsigned long long)first,
	      (unsigned long long)mean);
	CHECK(check, time.cost_ns < mean + TIME_MOST_NS / 8 + 1, "%llu", (unsigned long long)time.cost_ns);
	for (int i = 0; i < 200; i++)
		time_measured(&time.cost_ns, 0, TIME_LEAST_NS);
	CHECK(check, time.cost_ns >= TIME_LEAST_NS - 8, "%llu", (unsigned long long)time.cost_ns);
	check_done(check, "the cost of an answer is a mean that one interruption hardly changes",
		   "1000 ns, then %llu of 2000, 50 s count as %d ns", (unsigned long long)mean, TIME_MOST_NS);
}

/* ---- SYNs that are sent again ---- */

static int ask(struct weir_asked_line *lines, __u64 hash, __u64 now_ns)
{
	return asked_before(&lines[asked_index(hash)], hash, now_ns);
}

/* How many per mille of other SYNs are mistaken for a repetition of one of the last seconds. */
static __u32 mistaken(struct weir_asked_line *lines, __u32 pps, unsigned long long *random)
{
	__u64 now = 100 * SECOND;
	__u32 wrong = 0, asked = 4 * pps, last = pps / 10;

	memset(lines, 0, WEIR_ASKED_LINES * sizeof(*lines));
	for (__u32 i = 0; i < asked; i++) {
		int found = ask(lines, weir_mix(check_random(random)), now + (__u64)i * SECOND / pps);

		wrong += found && i >= asked - last;
	}
	return (__u64)wrong * 1000 / last;
}

static void test_asked(struct check *check, unsigned long long *random)
{
	struct weir_asked_line *lines = calloc(WEIR_ASKED_LINES, sizeof(*lines));
	__u32 missed = 0, late = 0, one, four, tries = 0;

	for (__u64 wait = 0; wait < 8 * TIME; wait += TIME / 16) {
		for (int i = 0; i < 200; i++, tries++) {
			__u64 hash = weir_mix(check_random(random));
			__u64 now = 1000 * SECOND + check_random(random) % (1000 * TIME);

			memset(&lines[asked_index(hash)], 0, sizeof(*lines));
			ask(lines, hash, now);
			if (wait <= 3 * TIME)
				missed += !ask(lines, hash, now + wait);
			else if (wait >= 4 * TIME)
				late += ask(lines, hash, now + wait);
		}
	}
	CHECK(check, !missed, "%u of those that came again within 3.2 s were not found", missed);
	CHECK(check, !late, "%u were found after 4.3 s", late);
	one = mistaken(lines, 1000000, random);
	four = mistaken(lines, 4000000, random);
	CHECK(check, one < 30 && four < 350, "%u, %u per mille", one, four);
	check_done(check, "SYNs that are sent again are recognized",
		   "%u tries; of other SYNs %u per mille are mistaken for one at 1M a second, %u at 4M",
		   tries, one, four);
	free(lines);
}

int main(void)
{
	unsigned long long random = check_seed();
	struct check check = { 0 };

	printf("seed %llu\n", random);
	test_time(&check);
	test_mixed(&check);
	test_measure(&check);
	test_asked(&check, &random);
	return check_exit(&check);
}
