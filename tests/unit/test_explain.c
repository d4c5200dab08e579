// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules of `weir explain`: for floods of known shape the rules that a reference of the algorithm
 * finds in the same samples, for hopeless ones none.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/check.h"
#include "tests/unit/explain_traffic.h"
#include "user/model/explain_fields.h"
#include "user/model/explain_packet.h"
#include "user/model/explain_text.h"

#define MANY	8000
#define FEW	1000
#define HOPELESS_RUNS	5	/* of each kind */

static struct check check;
static struct explain *explain;
static struct traffic traffic;
static struct explain_packet calm[EXPLAIN_PACKETS], flood[EXPLAIN_PACKETS], fresh[EXPLAIN_PACKETS];

typedef struct explain_packet maker(struct traffic *t);

static void make(struct explain_packet *packets, uint32_t count, maker *of)
{
	for (uint32_t i = 0; i < count; i++)
		packets[i] = of(&traffic);
}

static double cpu_ms(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * 1e3 + used.tv_nsec / 1e6;
}

/* ---- known floods ---- */

struct scenario {
	const char *name;
	maker *calm, *flood;
	uint32_t floods;
	const char *rules[3];	/* as the reference finds them; "?" in front: not sure */
};

static const struct scenario scenarios[] = {
#include "tests/unit/explain_rules.h"
};
#define SCENARIOS	(sizeof(scenarios) / sizeof(*scenarios))

static void begin_scenario(size_t i)
{
	traffic_begin(&traffic, 1000 + i, PEOPLE);
	make(calm, MANY, scenarios[i].calm);
	make(flood, scenarios[i].floods, scenarios[i].flood);
}

/* The share of calm packets that were never seen before which the rules match. */
static double fresh_harm(const struct scenario *scenario, const struct explain_result *result)
{
	uint32_t hits = 0;

	make(fresh, EXPLAIN_PACKETS, scenario->calm);
	for (uint32_t i = 0; i < EXPLAIN_PACKETS; i++) {
		bool hit = false;

		for (uint32_t r = 0; r < result->count; r++)
			hit |= explain_matches(&result->verdict[r].rule, &fresh[i]);
		hits += hit;
	}
	return (double)hits / EXPLAIN_PACKETS;
}

static void check_rules(const struct scenario *scenario, const struct explain_result *result)
{
	uint32_t wanted = 0;

	while (wanted < 3 && scenario->rules[wanted])
		wanted++;
	CHECK(&check, result->count == wanted, "%s: %u rules, not %u", scenario->name,
	      result->count, wanted);
	for (uint32_t i = 0; i < result->count && i < wanted; i++) {
		const struct explain_verdict *verdict = &result->verdict[i];
		char text[EXPLAIN_TEXT] = "?";

		explain_rule_text(&verdict->rule, text + (verdict->doubt != EXPLAIN_SURE));
		CHECK(&check, !strcmp(text, scenario->rules[i]), "%s: rule \"%s\", not \"%s\"",
		      scenario->name, text, scenario->rules[i]);
		CHECK(&check, verdict->doubt || verdict->bound <= EXPLAIN_CALM_MOST,
		      "%s: sure with a bound of %f", text, verdict->bound);
	}
}

static void test_floods(void)
{
	struct explain_options options = { 0 }, look = { .rules = 2, .rounds = 2 };
	struct explain_result result;
	double worst = 0, harm = 0, ms;

	for (size_t i = 0; i < SCENARIOS; i++) {
		begin_scenario(i);
		explain_find(explain, calm, MANY, flood, scenarios[i].floods, &options, &result);
		check_rules(&scenarios[i], &result);
		ms = fresh_harm(&scenarios[i], &result);
		harm = ms > harm ? ms : harm;
		ms = cpu_ms();
		explain_find(explain, calm, MANY, flood, scenarios[i].floods, &look, &result);
		ms = cpu_ms() - ms;
		worst = ms > worst ? ms : worst;
	}
	CHECK(&check, harm <= EXPLAIN_CALM_MOST, "%.3f %% of fresh calm traffic", 100 * harm);
	check_done(&check, "floods have the rules of the reference", "%zu floods, at most %.3f %% of "
		   "fresh calm traffic; a look of two rules takes %.0f ms at most", SCENARIOS,
		   100 * harm, worst);
}

/* ---- hopeless floods ---- */

static void test_hopeless(void)
{
	static const struct {
		maker *calm, *flood;
	} kinds[] = { { game, as_game }, { web, as_web }, { tunnel, as_tunnel }, { web, as_clients } };
	static const uint32_t sizes[] = { MANY, FEW, 300 };
	struct explain_options options = { 0 };
	struct explain_result result;
	uint32_t runs = 0;

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++)
		for (uint32_t seed = 0; seed < HOPELESS_RUNS; seed++, runs++) {
			uint32_t count = sizes[seed % 3];
			char text[EXPLAIN_TEXT] = "";

			traffic_begin(&traffic, 77000 + seed, seed % 2 ? 40 : PEOPLE);
			make(calm, 6000, kinds[kind].calm);
			make(flood, count, kinds[kind].flood);
			explain_find(explain, calm, 6000, flood, count, &options, &result);
			if (result.count)
				explain_rule_text(&result.verdict[0].rule, text);
			CHECK(&check, !result.count && result.end == EXPLAIN_NOTHING,
			      "kind %zu, seed %u: %s", kind, seed, text);
		}
	check_done(&check, "hopeless floods have no rule", "%u runs", runs);
}

/* Packets that no traffic has: each bound of the work is reached, and no time is lost. */
static void test_bounded(void)
{
	struct explain_options options = { .rules = 2, .rounds = 2 };
	struct explain_result result;
	double ms, worst = 0;

	for (int kind = 0; kind < 4; kind++) {
		traffic_begin(&traffic, 5000 + kind, PEOPLE);
		make(calm, EXPLAIN_PACKETS, kind % 2 ? game : as_web);
		make(flood, EXPLAIN_PACKETS, as_game);
		for (uint32_t i = 0; i < EXPLAIN_PACKETS; i++) {
			flood[i].shift = kind & 1 ? below(&traffic, 25) : 0;
			calm[i].shift = kind & 1 ? below(&traffic, 25) : 0;
			memset(flood[i].payload, kind & 2 ? 0 : below(&traffic, 20), EXPLAIN_BYTES);
			flood[i].payload_bytes = EXPLAIN_BYTES;
		}
		ms = cpu_ms();
		explain_find(explain, calm, EXPLAIN_PACKETS, flood, EXPLAIN_PACKETS, &options, &result);
		ms = cpu_ms() - ms;
		worst = ms > worst ? ms : worst;
	}
#ifndef __SANITIZE_ADDRESS__
	CHECK(&check, worst < 400, "%.0f ms", worst);
#endif
	check_done(&check, "the work is bounded", "%.0f ms at most, 25 weights, all bytes frequent",
		   worst);
}

static void test_too_few(void)
{
	struct explain_options options = { 0 };
	struct explain_result result;

	begin_scenario(0);
	explain_find(explain, calm, EXPLAIN_CALM_LEAST - 1, flood, FEW, &options, &result);
	CHECK(&check, !result.count && result.end == EXPLAIN_TOO_FEW_CALM, "end %d", result.end);
	explain_find(explain, calm, MANY, flood, EXPLAIN_FLOOD_LEAST - 1, &options, &result);
	CHECK(&check, !result.count && result.end == EXPLAIN_TOO_FEW_FLOOD, "end %d", result.end);
	explain_find(explain, NULL, 0, NULL, 0, &options, &result);
	CHECK(&check, !result.count && result.end == EXPLAIN_TOO_FEW_FLOOD, "end %d", result.end);
	check_done(&check, "too few packets make no rule", "%u of the flood, %u of calm traffic",
		   EXPLAIN_FLOOD_LEAST - 1, EXPLAIN_CALM_LEAST - 1);
}

/* ---- samples of a reference, where there are some ---- */

/* A line: proto frag sport dport icmp length ttl flags payload source destination weight. */
static bool read_line(const char *line, struct explain_packet *packet)
{
	static const uint8_t order[] = { EXPLAIN_PROTO, EXPLAIN_FRAGMENT, EXPLAIN_SPORT,
					 EXPLAIN_DPORT, EXPLAIN_ICMP, EXPLAIN_LENGTH, EXPLAIN_TTL,
					 EXPLAIN_FLAGS };
	char payload[2 * EXPLAIN_BYTES + 2], source[33], word[17] = "";
	unsigned int byte, weight;
	int n[8];

	memset(packet, 0, sizeof(*packet));
	if (sscanf(line, "%d %d %d %d %d %d %d %d %129s %32s %*s %u", n, n + 1, n + 2, n + 3, n + 4,
		   n + 5, n + 6, n + 7, payload, source, &weight) != 11)
		return false;
	for (int i = 0; i < 8; i++)
		packet->number[order[i]] = n[i];
	for (size_t i = 0; payload[0] != '-' && i + 1 < strlen(payload); i += 2) {
		sscanf(payload + i, "%2x", &byte);
		packet->payload[packet->payload_bytes++] = byte;
	}
	memcpy(word, source, 16);
	packet->hi = strtoull(word, NULL, 16);
	packet->lo = strtoull(source + 16, NULL, 16);
	packet->shift = __builtin_ctz(weight);
	return true;
}

static size_t read_sample(const char *folder, int number, const char *kind,
			  struct explain_packet *packets)
{
	char path[512], line[512];
	size_t count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%02d.%s", folder, number, kind);
	file = fopen(path, "r");
	while (file && count < EXPLAIN_PACKETS && fgets(line, sizeof(line), file))
		count += read_line(line, &packets[count]);
	if (file)
		fclose(file);
	return count;
}

/* Of the reference's line only the figures are compared: level flood gain bound calm_hits. */
static bool same_figures(const char *line, const struct explain_verdict *verdict)
{
	char mine[128];

	snprintf(mine, sizeof(mine), "%s %.4f %.4f %.5f %u ", verdict->doubt ? "ask" : "auto",
		 verdict->flood, verdict->gain, verdict->bound, verdict->calm_hits);
	return !strncmp(line, mine, strlen(mine));
}

static void compare_rules(const char *folder, int number, const struct explain_result *result)
{
	char path[512], line[512];
	uint32_t count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%02d.rules", folder, number);
	file = fopen(path, "r");
	for (; file && fgets(line, sizeof(line), file); count++)
		CHECK(&check, count < result->count && same_figures(line, &result->verdict[count]),
		      "sample %d, rule %u: %s", number, count, line);
	CHECK(&check, file && count == result->count, "sample %d: %u rules, not %u", number,
	      result->count, count);
	if (file)
		fclose(file);
}

static void test_reference(void)
{
	const char *data = getenv("WEIR_DATA");
	struct explain_options options = { 0 };
	struct explain_result result;
	char folder[256] = "";
	int number = 0;

	if (data)
		snprintf(folder, sizeof(folder), "%s/explain", data);
	for (;; number++) {
		size_t calms = data ? read_sample(folder, number, "calm", calm) : 0;
		size_t floods = data ? read_sample(folder, number, "flood", flood) : 0;

		if (!calms || !floods)
			break;
		explain_find(explain, calm, calms, flood, floods, &options, &result);
		compare_rules(folder, number, &result);
	}
	if (number)
		check_done(&check, "rules and figures of the reference", "%d samples", number);
	else
		check_skip("rules and figures of the reference", "no samples in WEIR_DATA/explain");
}

/* Writes the samples of the scenarios in that form, for the reference: WEIR_EXPLAIN_DUMP=FOLDER. */
static void dump(const char *folder, int number, const char *kind,
		 const struct explain_packet *packets, uint32_t count)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%02d.%s", folder, number, kind);
	file = fopen(path, "w");
	for (uint32_t i = 0; file && i < count; i++) {
		const struct explain_packet *p = &packets[i];

		fprintf(file, "%d %d %d %d %d %d %d %d ", p->number[EXPLAIN_PROTO],
			p->number[EXPLAIN_FRAGMENT], p->number[EXPLAIN_SPORT],
			p->number[EXPLAIN_DPORT], p->number[EXPLAIN_ICMP], p->number[EXPLAIN_LENGTH],
			p->number[EXPLAIN_TTL], p->number[EXPLAIN_FLAGS]);
		for (uint32_t at = 0; at < p->payload_bytes; at++)
			fprintf(file, "%02x", p->payload[at]);
		fprintf(file, "%s %016" PRIx64 "%016" PRIx64 " %032d %u\n",
			p->payload_bytes ? "" : "-", p->hi, p->lo, 0, 1U << p->shift);
	}
	if (file)
		fclose(file);
}

static void dump_all(const char *folder)
{
	for (size_t i = 0; i < SCENARIOS; i++) {
		begin_scenario(i);
		dump(folder, i, "calm", calm, MANY);
		dump(folder, i, "flood", flood, scenarios[i].floods);
	}
}

int main(void)
{
	const char *folder = getenv("WEIR_EXPLAIN_DUMP");

	explain = explain_new();
	if (!explain)
		return EXIT_FAILURE;
	if (folder)
		dump_all(folder);
	test_floods();
	test_hopeless();
	test_bounded();
	test_too_few();
	test_reference();
	explain_free(explain);
	return check_exit(&check);
}
