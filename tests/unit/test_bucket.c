// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf/pure/bucket.h, compared with references that share no code with it: the textbook token bucket
 * in exact fractions and, for what passes the gate, an ideal GCRA.
 */
#include <pthread.h>
#include <string.h>

#include "bpf/pure/bucket.h"
#include "tests/unit/check.h"

#define MS	(1000000ULL << WEIR_TICK_SHIFT)

/* ---- the bucket ---- */

/* A token bucket in units of 1/cost token, of which each tick adds one: nothing is rounded. */
struct reference {
	unsigned __int128 tokens;
	unsigned long long at;
};

static bool reference_take(struct reference *r, unsigned long long now, unsigned long long cost,
			   unsigned long long burst)
{
	if (now > r->at) {
		r->tokens += now - r->at;
		r->at = now;
	}
	if (r->tokens > burst)
		r->tokens = burst;
	if (r->tokens < cost)
		return false;
	r->tokens -= cost;
	return true;
}

static void test_reference(struct check *check, unsigned long long *random)
{
	unsigned long long packets = 0, admitted = 0;

	for (int round = 0; round < 2000; round++) {
		__u64 cost = 1 + check_random(random) % (1ULL << check_random(random) % 40);
		__u64 burst = cost * (1 + check_random(random) % 200), tat = 0;
		__u64 now = burst + check_random(random) % (1ULL << 50);
		struct reference r = { .tokens = burst, .at = now };

		for (int i = 0; i < 1000; i++, packets++) {
			bool ours, theirs;

			if (check_random(random) % 4 == 0)
				now += check_random(random) % (8 * cost);
			ours = bucket_take(&tat, now, cost, burst, 0) == BUCKET_PASS;
			theirs = reference_take(&r, now, cost, burst);
			admitted += ours;
			CHECK(check, ours == theirs, "round %d packet %d: cost %llu burst %llu",
			      round, i, (unsigned long long)cost, (unsigned long long)burst);
		}
	}
	check_done(check, "the bucket equals an exact token bucket over random arrivals",
		   "%llu packets, %llu admitted", packets, admitted);
}

static void test_burst_and_rate(struct check *check)
{
	__u64 tat = 0, now = 1000 * MS;
	int burst = 0, later = 0;

	while (bucket_take(&tat, now, MS, 100 * MS, 0) == BUCKET_PASS)
		burst++;
	CHECK(check, burst == 100, "burst %d", burst);
	for (int i = 0; i < 100000; i++)	/* ten seconds at ten times the rate */
		later += bucket_take(&tat, now += MS / 10, MS, 100 * MS, 0) == BUCKET_PASS;
	CHECK(check, later == 10000, "%d in ten seconds", later);
	check_done(check, "an idle source gets its burst, then its rate",
		   "burst %d, then %d in 10 s", burst, later);
}

static void test_lagging_clock(struct check *check, unsigned long long *random)
{
	__u64 tat = 0, now = 1000 * MS;
	int admitted = 0, rounds = 1000000;

	for (int i = 0; i < rounds; i++) {
		now += MS / 20;
		/* the other CPU's clock is up to 5 ms behind */
		admitted += bucket_take(&tat, now - check_random(random) % (5 * MS), MS, 10 * MS,
					0) == BUCKET_PASS;
	}
	CHECK(check, admitted <= rounds / 20 + 10, "%d admitted of %d", admitted, rounds);
	check_done(check, "a clock that lags behind never refills the bucket",
		   "%d admitted, %d allowed", admitted, rounds / 20 + 10);
}

static void test_rescale(struct check *check)
{
	CHECK(check, debt_rescale(100 * MS, MS, 10 * MS) >= 1000 * MS, "100 packets of 1 ms");
	CHECK(check, debt_rescale(100 * MS, MS, 10 * MS) <= 1001 * MS, "100 packets of 1 ms");
	CHECK(check, debt_rescale(1000 * MS, 10 * MS, MS) >= 100 * MS, "100 packets of 10 ms");
	CHECK(check, debt_rescale(MS / 2, MS, 4 * MS) >= 2 * MS, "half a packet");
	CHECK(check, debt_rescale(5, 0, MS) == 5, "no rate before");
	CHECK(check, debt_rescale(~0ULL >> 8, 1, ~0ULL >> 10) <= 1ULL << 60, "no overflow");
	check_done(check, "a debt stays the same number of packets when the rate changes",
		   "100 packets of 1 ms become %.3f of 10 ms",
		   debt_rescale(100 * MS, MS, 10 * MS) / 10.0 / MS);
}

/* ---- the gate ---- */

struct gated {
	__u64 *a, *b;		/* the source's cells */
	__u64 tat;		/* its bucket */
	__u64 ideal;		/* TAT of an ideal GCRA that saw what was admitted */
	bool has_bucket;
};

struct gate_rule {
	__u64 cost, burst;
};

/* Charges the gate, then the bucket, as bpf/limits.h does. */
static bool gated_take(struct gated *g, const struct gate_rule *rule, __u64 now, __u64 *violation)
{
	__u64 half = rule->burst / 2;
	__u64 bound = gate_charge(g->a, g->b, now, rule->cost, rule->burst, 0);

	if (bound + rule->cost > half) {
		g->has_bucket = true;
		if (bucket_take(&g->tat, now, rule->cost, rule->burst,
				gate_least(bound, half, 0, now)) != BUCKET_PASS)
			return false;
		if (bound + rule->cost > rule->burst)
			gate_fill(g->a, g->b, now + rule->burst);
	}
	g->ideal = (g->ideal > now ? g->ideal : now) + rule->cost;
	if (g->ideal - now > rule->burst && g->ideal - now - rule->burst > *violation)
		*violation = g->ideal - now - rule->burst;
	return true;
}

/* A source that shares no cell gets what an ideal GCRA gives it, packet by packet. */
static void test_gate_alone(struct check *check, unsigned long long *random)
{
	static const int bursts[] = { 1, 2, 3, 10, 99, 1000 };
	unsigned long long packets = 0;

	for (size_t n = 0; n < sizeof(bursts) / sizeof(*bursts); n++) {
		struct gate_rule rule = { .cost = MS, .burst = bursts[n] * MS };
		__u64 cells[2] = { 0 }, ideal = 0, now = 10000 * MS, violation = 0;
		struct gated g = { .a = &cells[0], .b = &cells[1] };

		for (int i = 0; i < 200000; i++, packets++) {
			bool ours, theirs;

			now += check_random(random) % 16 ? check_random(random) % (MS / 2) :
							  check_random(random) % (4 * rule.burst);
			ours = gated_take(&g, &rule, now, &violation);
			theirs = bucket_take(&ideal, now, rule.cost, rule.burst, 0) == BUCKET_PASS;
			CHECK(check, ours == theirs, "burst %d packet %d: %d, ideal %d", bursts[n], i,
			      ours, theirs);
		}
		CHECK(check, !violation, "burst %d exceeded by %llu ticks", bursts[n],
		      (unsigned long long)violation);
	}
	check_done(check, "behind the gate, a source without neighbours gets exactly its burst and rate",
		   "%llu packets with bursts 1 to 1000", packets);
}

/*
 * Sources that share cells: none gets more than its burst and rate, light ones lose little, and at
 * worst the burst is halved.
 */
static void test_gate_shared(struct check *check, unsigned long long *random)
{
	enum { SOURCES = 2000, CELLS = 64, HEAVY = 50 };
	static struct gated sources[SOURCES];
	static __u64 cells[CELLS];
	struct gate_rule rule = { .cost = MS, .burst = 100 * MS };
	unsigned long long offered[2] = { 0 }, passed[2] = { 0 };
	__u64 violation = 0, start = 10000 * MS, span = 2000 * MS;
	double heavy_ideal = span / (double)MS + 100;
	unsigned int buckets = 0;

	memset(sources, 0, sizeof(sources));
	memset(cells, 0, sizeof(cells));
	for (int i = 0; i < SOURCES; i++) {
		unsigned int a = check_random(random) % CELLS;

		sources[i].a = &cells[a];
		sources[i].b = &cells[a ^ (1 + check_random(random) % (CELLS - 1))];
	}
	/* Light sources send at a tenth of the rate, heavy ones at five times. In order of time. */
	for (__u64 now = start; now < start + span; now += MS / 400) {
		int light = HEAVY + check_random(random) % (SOURCES - HEAVY);
		int heavy = check_random(random) % HEAVY;

		if (check_random(random) % 400 < (SOURCES - HEAVY) / 10) {
			offered[0]++;
			passed[0] += gated_take(&sources[light], &rule, now, &violation);
		}
		if (check_random(random) % 400 < HEAVY * 5) {
			offered[1]++;
			passed[1] += gated_take(&sources[heavy], &rule, now, &violation);
		}
	}
	for (int i = 0; i < SOURCES; i++)
		buckets += sources[i].has_bucket;
	CHECK(check, !violation, "exceeded by %llu ticks", (unsigned long long)violation);
	CHECK(check, passed[0] == offered[0], "light: %llu of %llu", passed[0], offered[0]);
	CHECK(check, passed[1] <= heavy_ideal * HEAVY && passed[1] >= 0.95 * heavy_ideal * HEAVY,
	      "heavy: %llu, ideal %.0f", passed[1], heavy_ideal * HEAVY);
	check_done(check, "2,000 sources that share 64 cells", "light %llu of %llu, heavy %llu of ideal "
		   "%.0f (offered %llu), %u buckets, violation 0", passed[0], offered[0], passed[1],
		   heavy_ideal * HEAVY, offered[1], buckets);
}

/*
 * The worst neighbours keep both cells of a source full without a pause. An idle source still gets
 * half of its burst and, over time, all of its rate.
 */
static void test_gate_collision(struct check *check)
{
	static const int bursts[] = { 2, 3, 10, 100, 1000 };
	unsigned long long rounds = 0, least = ~0ULL;

	for (size_t n = 0; n < sizeof(bursts) / sizeof(*bursts); n++) {
		struct gate_rule rule = { .cost = MS, .burst = bursts[n] * MS };
		__u64 cells[2] = { 0 }, now = 10000 * MS, violation = 0;
		struct gated victim = { .a = &cells[0], .b = &cells[1] };

		for (int round = 0; round < 100; round++, rounds++) {
			int burst = 0, later = 0;

			now += 10 * rule.burst;		/* a long idle time */
			cells[0] = cells[1] = now + rule.burst;
			while (gated_take(&victim, &rule, now, &violation))
				burst++;
			CHECK(check, burst >= bursts[n] / 2, "burst %d of %d", burst, bursts[n]);
			if (bursts[n] == 100 && (unsigned int)burst < least)
				least = burst;
			for (int i = 0; i < 10000; i++) {	/* packets at ten times its rate */
				now += MS / 10;
				cells[0] = cells[1] = now + rule.burst;
				later += gated_take(&victim, &rule, now, &violation);
			}
			CHECK(check, later >= 999, "%d of 1000 afterwards, burst %d", later,
			      bursts[n]);
		}
		CHECK(check, !violation, "burst %d exceeded by %llu ticks", bursts[n],
		      (unsigned long long)violation);
	}
	check_done(check, "collisions halve a burst at worst, and never reduce the rate",
		   "%llu rounds with bursts 2 to 1000, %llu of 100 from idle, violation 0", rounds,
		   least);
}

/* ---- the first model of the gate: two rows, every charge is added ---- */

enum { MODEL_SOURCES = 2000, MODEL_CELLS = 64 };

struct model {
	__u64 row[2][MODEL_CELLS];
	__u64 tat[MODEL_SOURCES];
	__u64 entries;
};

static bool model_take(struct model *model, int source, const unsigned int place[2],
		       const struct gate_rule *rule, __u64 now)
{
	__u64 least = ~0ULL, debt, tat = model->tat[source];

	for (int i = 0; i < 2; i++) {
		__u64 *cell = &model->row[i][place[i]];
		__u64 raised = (*cell > now ? *cell : now) + rule->cost;

		*cell = raised < now + rule->burst ? raised : now + rule->burst;
		if (raised - now < least)
			least = raised - now;
	}
	if (least <= rule->burst / 2)
		return true;
	model->entries += !tat;
	debt = tat > now ? tat - now : 0;
	if (debt < rule->burst / 2)
		debt = rule->burst / 2;
	model->tat[source] = now + debt;
	if (debt + rule->cost > rule->burst)
		return false;
	model->tat[source] += rule->cost;
	return true;
}

/* The same packets through both: ours refuses no more light packets, and makes no more buckets. */
static void test_gate_model(struct check *check, unsigned long long *random)
{
	static const int heavies[] = { 0, 50, 500 };
	struct gate_rule rule = { .cost = MS, .burst = 100 * MS };

	for (size_t n = 0; n < sizeof(heavies) / sizeof(*heavies); n++) {
		static struct gated sources[MODEL_SOURCES];
		static __u64 cells[MODEL_CELLS];
		static unsigned int place[MODEL_SOURCES][2];
		static struct model model;
		unsigned long long lost[2] = { 0 }, light = 0;
		__u64 start = 10000 * MS, violation = 0;
		unsigned int entries = 0;
		char what[128];

		memset(&model, 0, sizeof(model));
		memset(cells, 0, sizeof(cells));
		for (int i = 0; i < MODEL_SOURCES; i++) {
			unsigned int a = check_random(random) % MODEL_CELLS;

			sources[i] = (struct gated){ .a = &cells[a] };
			sources[i].b = &cells[a ^ (1 + check_random(random) % (MODEL_CELLS - 1))];
			place[i][0] = check_random(random) % MODEL_CELLS;
			place[i][1] = check_random(random) % MODEL_CELLS;
		}
		/* Light sources send at a tenth of the rate, heavy ones at twice the rate. */
		for (__u64 now = start; now < start + 2000 * MS; now += MS / 4000) {
			int source = check_random(random) % MODEL_SOURCES;
			bool heavy = source < heavies[n], ours, theirs;

			if (!heavy && check_random(random) % 20)
				continue;
			ours = gated_take(&sources[source], &rule, now, &violation);
			theirs = model_take(&model, source, place[source], &rule, now);
			light += !heavy;
			lost[0] += !heavy && !ours;
			lost[1] += !heavy && !theirs;
		}
		for (int i = 0; i < MODEL_SOURCES; i++)
			entries += sources[i].has_bucket;
		CHECK(check, !violation, "exceeded by %llu ticks", (unsigned long long)violation);
		CHECK(check, lost[0] <= lost[1], "%llu light packets refused, the model %llu",
		      lost[0], lost[1]);
		CHECK(check, entries <= model.entries, "%u entries, the model %llu", entries,
		      (unsigned long long)model.entries);
		snprintf(what, sizeof(what),
			 "compared with the first model of the gate, %d heavy sources of 2,000",
			 heavies[n]);
		check_done(check, what, "light refused %llu of %llu (model %llu), entries %u "
			   "(model %llu), violation 0", lost[0], light, lost[1], entries,
			   (unsigned long long)model.entries);
	}
}

/* A spoofed flood below the cells' capacity never leads to a bucket. */
static void test_gate_spoofed(struct check *check, unsigned long long *random)
{
	enum { CELLS = 1 << 18 };
	__u64 *cells = calloc(CELLS, sizeof(*cells)), now = 10000 * MS, violation = 0;
	struct gate_rule rule = { .cost = MS, .burst = 100 * MS };
	unsigned int buckets = 0, packets = 2000000;

	if (!CHECK(check, cells, "out of memory"))
		return;
	for (unsigned int i = 0; i < packets; i++) {
		unsigned int a = check_random(random) % CELLS;
		struct gated g = { .a = &cells[a], .b = &cells[a ^ (1 + check_random(random) % 7)] };

		now += MS / 5000;	/* five million packets a second */
		gated_take(&g, &rule, now, &violation);
		buckets += g.has_bucket;
	}
	free(cells);
	CHECK(check, buckets == 0, "%u buckets", buckets);
	check_done(check, "each packet from another source, with a limit of 1000 pps",
		   "%u packets, %u buckets", packets, buckets);
}

/* ---- many CPUs ---- */

struct racer {
	__u64 *cells, *tat;
	unsigned long long admitted, offered;
	int flip;
};

#define RACE_PACKETS	2000000
#define RACE_COST	(MS / 100)
#define RACE_BURST	(1000 * RACE_COST)

static __u64 ticks_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec * 1000000000ULL + now.tv_nsec) << WEIR_TICK_SHIFT;
}

static void *race(void *arg)
{
	struct racer *r = arg;

	for (r->offered = 0; r->offered < RACE_PACKETS; r->offered++) {
		__u64 now = ticks_now(), half = RACE_BURST / 2;
		__u64 bound = gate_charge(&r->cells[r->flip], &r->cells[!r->flip], now, RACE_COST,
					  RACE_BURST, 0);

		if (bound == GATE_CONTENDED)
			continue;
		if (bound + RACE_COST <= half) {
			r->admitted++;
		} else if (bucket_take(r->tat, now, RACE_COST, RACE_BURST,
				       gate_least(bound, half, 0, now)) == BUCKET_PASS) {
			r->admitted++;
			if (bound + RACE_COST > RACE_BURST)
				gate_fill(&r->cells[0], &r->cells[1], now + RACE_BURST);
		}
	}
	return NULL;
}

static void test_race(struct check *check)
{
	__u64 cells[2] = { 0 }, tat = 0, start = ticks_now(), most, least;
	struct racer racers[4] = { 0 };
	unsigned long long admitted = 0;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		racers[i] = (struct racer){ .cells = cells, .tat = &tat };
		pthread_create(&threads[i], NULL, race, &racers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		admitted += racers[i].admitted;
	}
	most = (ticks_now() - start) / RACE_COST + RACE_BURST / RACE_COST + 1;
	/* What arrives while all four threads are stopped for longer than the burst is lost. */
	least = most / 2;
	CHECK(check, admitted <= most && admitted >= least, "%llu, at most %llu", admitted,
	      (unsigned long long)most);
	check_done(check, "four threads charge one source", "%llu admitted, %llu allowed, offered %d",
		   admitted, (unsigned long long)most, 4 * RACE_PACKETS);
}

/*
 * Charges are never lost: however the threads interleave, both cells end at or above the sum of the
 * charges. The clock does not advance, so nothing drains.
 */
static void *charge(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < 200000; i++)
		r->admitted += gate_charge(&r->cells[0], &r->cells[1], MS, 16, ~0ULL >> 2, 0) !=
			       GATE_CONTENDED;
	return NULL;
}

static void test_no_lost_charge(struct check *check)
{
	__u64 cells[2] = { 0 }, sum = 0, low;
	struct racer racers[4];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		racers[i] = (struct racer){ .cells = cells };
		pthread_create(&threads[i], NULL, charge, &racers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		sum += racers[i].admitted * 16;
	}
	low = (cells[0] < cells[1] ? cells[0] : cells[1]) - MS;
	CHECK(check, low >= sum, "%llu of %llu ticks", (unsigned long long)low,
	      (unsigned long long)sum);
	check_done(check, "no charge of the gate is lost between four threads",
		   "%llu ticks charged, the smaller cell holds %.4f of that",
		   (unsigned long long)sum, low / (double)sum);
}

/* A frame costs in proportion to its length, far beyond 64 KiB, and never less than a shorter one. */
static void test_byte_ticks(struct check *check)
{
	static const __u64 rates[] = { 1000, 1000000, 1000000000, 1000000000000 };
	__u64 last = 0;

	for (int i = 0; i < 4; i++) {
		__u64 cost = (8 * WEIR_TICKS_PER_S << WEIR_BYTE_COST_SHIFT) / rates[i];

		last = 0;
		for (__u32 bytes = 0; bytes < 400000; bytes += 77) {
			__u32 counted = bytes < BYTES_COUNTED ? bytes : BYTES_COUNTED;
			__u64 ticks = byte_ticks(cost, bytes);
			__u64 exact = (unsigned __int128)cost * counted >> WEIR_BYTE_COST_SHIFT;

			CHECK(check, ticks == exact && ticks >= last, "%u bytes at %llu bit/s: %llu ticks",
			      bytes, (unsigned long long)rates[i], (unsigned long long)ticks);
			last = ticks;
		}
	}
	check_done(check, "the cost of long frames", "up to 400,000 bytes, 4 rates");
}

int main(void)
{
	unsigned long long random = check_seed();
	struct check check = { 0 };

	printf("seed %llu\n", random);
	test_reference(&check, &random);
	test_burst_and_rate(&check);
	test_lagging_clock(&check, &random);
	test_rescale(&check);
	test_gate_alone(&check, &random);
	test_gate_shared(&check, &random);
	test_gate_collision(&check);
	test_gate_model(&check, &random);
	test_gate_spoofed(&check, &random);
	test_race(&check);
	test_no_lost_charge(&check);
	test_byte_ticks(&check);
	return check_exit(&check);
}
