// SPDX-License-Identifier: GPL-2.0-only
/* Values as words: which are accepted, which are refused, and how values are written. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_rates(struct check *check)
{
	static const struct {
		const char *word;
		uint64_t packets;
		uint32_t per_s;
		uint64_t bits;
	} good[] = {
		{ "1pps", 1, 1, 0 },		  { "1000pps", 1000, 1, 0 },
		{ "10kpps", 10000, 1, 0 },	  { "1mpps", 1000000, 1, 0 },
		{ "100/s", 100, 1, 0 },		  { "100/min", 100, 60, 0 },
		{ "20/h", 20, 3600, 0 },	  { "50mbit", 0, 0, 50000000 },
		{ "1gbit", 0, 0, 1000000000 },	  { "1000bit", 0, 0, 1000 },
		{ "1000mpps", 1000000000, 1, 0 }, { "1000gbit", 0, 0, 1000000000000 },
	};
	static const char *const bad[] = {
		"", "0", "0pps", "0mbit", "pps", "1000", "-5pps", "+5pps", " 5pps", "5 pps", "5pps ",
		"5PPS", "1.5kpps", "0x10pps", "1e3pps", "99999999999999999999pps",
		"18446744073709551616pps", "1001mpps", "18446744073709551615kpps", "999bit", "0/h",
		"1001gbit", "5/day", "5/", "/min", "mbit", "10mb", "10Mbit", "5pps5pps",
	};
	char err[ERR_LEN];
	struct rate rate;

	for (size_t i = 0; i < COUNT(good); i++) {
		CHECK(check, !parse_rate(good[i].word, &rate, err), "%s: %s", good[i].word, err);
		CHECK(check, rate.packets == good[i].packets && rate.bits_per_s == good[i].bits &&
		      (!rate.packets || rate.per_s == good[i].per_s), "%s", good[i].word);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		err[0] = '\0';
		CHECK(check, parse_rate(bad[i], &rate, err), "\"%s\" is accepted", bad[i]);
		CHECK(check, strstr(err, bad[i]), "\"%s\" is not in: %s", bad[i], err);
	}
	check_done(check, "rates", "%zu accepted, %zu refused with the word in the message",
		   COUNT(good), COUNT(bad));
}

static void test_bursts_and_durations(struct check *check)
{
	static const char *const bad_bursts[] = { "0", "-1", "1.5", "", "10pps", "0kbit",
						  "1000000001", "99999999999999999999" };
	static const char *const bad_durations[] = { "0s", "10", "s", "-5m", "1w", "4000d", "1 h",
						     "99999999999999999999s", "" };
	struct burst burst;
	char err[ERR_LEN];
	uint64_t ns;

	CHECK(check, !parse_burst("100", &burst, err) && burst.packets == 100 && !burst.bits, "100");
	CHECK(check, !parse_burst("512kbit", &burst, err) && burst.bits == 512000, "512kbit");
	CHECK(check, !parse_duration("30s", &ns, err) && ns == 30000000000ULL, "30s");
	CHECK(check, !parse_duration("10m", &ns, err) && ns == 600000000000ULL, "10m");
	CHECK(check, !parse_duration("7d", &ns, err) && ns == 604800000000000ULL, "7d");
	for (size_t i = 0; i < COUNT(bad_bursts); i++)
		CHECK(check, parse_burst(bad_bursts[i], &burst, err), "\"%s\"", bad_bursts[i]);
	for (size_t i = 0; i < COUNT(bad_durations); i++)
		CHECK(check, parse_duration(bad_durations[i], &ns, err), "\"%s\"", bad_durations[i]);
	check_done(check, "bursts and durations", "%zu refused",
		   COUNT(bad_bursts) + COUNT(bad_durations));
}

static void test_ports_and_protocols(struct check *check)
{
	static const char *const bad_ports[] = { "0", "65536", "-", "1-", "-1", "5-4", "1-65536",
						 "1-2-3", "http", "", "99999999999999999999",
						 "1-99999999999999999999", "12345678" };
	static const char *const bad_protos[] = { "", "256", "-1", "TCP", "tcpx", "1x" };
	uint16_t first, last;
	char err[ERR_LEN];
	uint8_t proto;
	bool any;

	CHECK(check, !parse_ports("53", &first, &last, err) && first == 53 && last == 53, "53");
	CHECK(check, !parse_ports("1-65535", &first, &last, err) && first == 1 && last == 65535,
	      "1-65535");
	for (size_t i = 0; i < COUNT(bad_ports); i++)
		CHECK(check, parse_ports(bad_ports[i], &first, &last, err), "\"%s\"", bad_ports[i]);
	CHECK(check, !parse_proto("tcp", &proto, &any, err) && proto == 6 && !any, "tcp");
	CHECK(check, !parse_proto("58", &proto, &any, err) && proto == 1, "58 is icmp");
	CHECK(check, !parse_proto("any", &proto, &any, err) && any, "any");
	CHECK(check, !parse_proto("255", &proto, &any, err) && proto == 255, "255");
	for (size_t i = 0; i < COUNT(bad_protos); i++)
		CHECK(check, parse_proto(bad_protos[i], &proto, &any, err), "\"%s\"", bad_protos[i]);
	check_done(check, "ports and protocols", "%zu refused",
		   COUNT(bad_ports) + COUNT(bad_protos));
}

/* Values are written in the largest exact unit, and parse back to the same value. */
static void test_formats(struct check *check)
{
	unsigned long long random = check_seed();
	char text[FORMAT_LEN], err[ERR_LEN];
	struct burst burst;
	unsigned int rounds = 20000;
	uint64_t ns;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t bits = 1 + check_random(&random) % 1000000000000ULL;
		uint64_t seconds = 1 + check_random(&random) % (3650 * 86400ULL);

		if (i % 2)
			bits = bits / 1000000 * 1000000 + 1000000;
		format_bits(bits, text);
		CHECK(check, !parse_burst(text, &burst, err) && burst.bits == bits, "%s", text);
		format_duration(i % 2 ? seconds / 3600 * 3600 + 3600 : seconds, text);
		CHECK(check, !parse_duration(text, &ns, err), "%s: %s", text, err);
	}
	format_bits(50000000, text);
	CHECK(check, !strcmp(text, "50mbit"), "%s", text);
	format_duration(600, text);
	CHECK(check, !strcmp(text, "10m"), "%s", text);
	format_packet_rate(20, 3600, text);
	CHECK(check, !strcmp(text, "20/h"), "%s", text);
	check_done(check, "values as text parse back to the same value", "%u rounds", rounds);
}

static void test_reasons(struct check *check)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		for (int j = 0; j < i; j++)
			CHECK(check, strcmp(reason_name(i), reason_name(j)), "%d and %d", i, j);
		CHECK(check, !strcmp(reason_action(i), "pass") || !strcmp(reason_action(i), "drop") ||
			      !strcmp(reason_action(i), "tx"),
		      "%s: %s", reason_name(i), reason_action(i));
	}
	check_done(check, "each reason has its own name, and an action", "%d reasons",
		   WEIR_REASON_MAX);
}

int main(void)
{
	struct check check = { 0 };

	test_rates(&check);
	test_bursts_and_durations(&check);
	test_ports_and_protocols(&check);
	test_formats(&check);
	test_reasons(&check);
	return check_exit(&check);
}
