// SPDX-License-Identifier: GPL-2.0-only
/* Values as words: which are accepted, which are refused, and how values are written. */
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/table.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Each answer of a parser that refuses: the word, and what the message must offer instead. */
struct refused {
	const char *word, *offer;
};

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
		{ "1.5kpps", 1500, 1, 0 },	  { "0.001mpps", 1000, 1, 0 },
		{ "2.50kpps", 2500, 1, 0 },	  { "60/m", 60, 60, 0 },
		{ "60/minute", 60, 60, 0 },	  { "5/sec", 5, 1, 0 },
		{ "5/hour", 5, 3600, 0 },	  { "1k/min", 1000, 60, 0 },
		{ "5PPS", 5, 1, 0 },		  { "5Kpps", 5000, 1, 0 },
		{ "5Mpps", 5000000, 1, 0 },	  { "10p/s", 10, 1, 0 },
		{ "1gpps", 1000000000, 1, 0 },	  { "100Mbit", 0, 0, 100000000 },
		{ "100Mbps", 0, 0, 100000000 },	  { "100mbps", 0, 0, 100000000 },
		{ "100Mbit/s", 0, 0, 100000000 }, { "100Mb/s", 0, 0, 100000000 },
		{ "100Mb", 0, 0, 100000000 },	  { "1.5Gbit", 0, 0, 1500000000 },
		{ "10000bps", 0, 0, 10000 },	  { "1000000000000bit", 0, 0, 1000000000000 },
	};
	static const struct refused bad[] = {
		{ "", "such as" }, { "0", "0pps" }, { "0pps", "zero" }, { "0mbit", "at least" },
		{ "pps", "such as" }, { "1000", "1000pps or 1000bit" }, { "10M", "10mpps or 10mbit" },
		{ "1k", "1kpps or 1kbit" }, { "500", "500pps" }, { "1.5k", "1.5kpps or 1.5kbit" },
		{ "10MB", "80mbit, or 10mbit" }, { "10MBps", "80mbit, or 10mbit" },
		{ "10MB/s", "80mbit" }, { "10mb", "10mbit for bits, 80mbit for bytes" },
		{ "10kb/s", "10kbit for bits, 80kbit for bytes" }, { "1000b", "8kbit" },
		{ "10Bps", "bytes" }, { "10kbytes", "80kbit" }, { "10MiB", "such as" },
		{ "10MIb", "such as" }, { "-5pps", "such as" }, { "+5pps", "such as" },
		{ " 5pps", "such as" }, { "5 pps", "such as" }, { "5pps ", "such as" },
		{ "1.5pps", "90/min" }, { "0.25/min", "15/h" }, { "0.001pps", "whole" },
		{ "1.0005kpps", "60030/min" }, { "1.0005kbit", "whole" }, { "0x10pps", "such as" },
		{ "1e3pps", "such as" }, { "1,000pps", "such as" }, { "1.pps", "such as" },
		{ ".5kpps", "such as" }, { "1.2.3kpps", "such as" },
		{ "99999999999999999999pps", "such as" }, { "18446744073709551616pps", "such as" },
		{ "0.1234567890123456789pps", "such as" }, { "1001mpps", "1000mpps" },
		{ "18446744073709551615kpps", "" }, { "18446744073709551615gbit", "" },
		{ "999bit", "1kbit" }, { "0/h", "zero" }, { "1001gbit", "1000gbit" },
		{ "5/day", "1/h" }, { "5/", "such as" }, { "/min", "such as" }, { "mbit", "such as" },
		{ "5pps5pps", "such as" }, { "10packets", "10pps" }, { "5kk", "such as" },
		{ "18446744073709551615MB", "8mbit" },
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
		CHECK(check, parse_rate(bad[i].word, &rate, err), "\"%s\" is accepted", bad[i].word);
		CHECK(check, strstr(err, bad[i].word) && strstr(err, bad[i].offer),
		      "\"%s\" or \"%s\" is not in: %s", bad[i].word, bad[i].offer, err);
	}
	check_done(check, "rates", "%zu accepted, %zu refused with the word in the message",
		   COUNT(good), COUNT(bad));
}

static void test_bursts(struct check *check)
{
	static const struct {
		const char *word;
		uint64_t packets, bits;
	} good[] = {
		{ "100", 100, 0 }, { "512kbit", 0, 512000 }, { "1.5Mbit", 0, 1500000 },
		{ "1bit", 0, 1 }, { "100packets", 100, 0 }, { "2kpkts", 2000, 0 }, { "1Mb", 0, 1000000 },
	};
	static const struct refused bad[] = {
		{ "0", "1..1000000000" }, { "-1", "" }, { "1.5", "1..1000000000" }, { "", "512kbit" },
		{ "10pps", "a rate: 10" }, { "10kbps", "a rate: 10kbit" }, { "0kbit", "1bit" },
		{ "1k", "1000 packets or 1kbit" }, { "2M", "2000000 packets or 2mbit" },
		{ "512KB", "4096kbit, or 512kbit" }, { "512kb", "512kbit for bits, 4096kbit for bytes" },
		{ "1000000001", "1..1000000000" }, { "99999999999999999999", "512kbit" },
		{ "5/day", "512kbit" }, { "1001gbit", "1000gbit" },
	};
	struct burst burst;
	char err[ERR_LEN];

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK(check, !parse_burst(good[i].word, &burst, err) &&
		      burst.packets == good[i].packets && burst.bits == good[i].bits, "%s",
		      good[i].word);
	for (size_t i = 0; i < COUNT(bad); i++) {
		err[0] = '\0';
		CHECK(check, parse_burst(bad[i].word, &burst, err), "\"%s\"", bad[i].word);
		CHECK(check, strstr(err, bad[i].word) && strstr(err, bad[i].offer),
		      "\"%s\" or \"%s\" is not in: %s", bad[i].word, bad[i].offer, err);
	}
	check_done(check, "bursts", "%zu accepted, %zu refused", COUNT(good), COUNT(bad));
}

static void test_durations(struct check *check)
{
	static const struct {
		const char *word;
		uint64_t seconds;
	} good[] = {
		{ "30s", 30 }, { "10m", 600 }, { "7d", 604800 }, { "1h30m", 5400 }, { "10min", 600 },
		{ "90s", 90 }, { "2d12h", 216000 }, { "3h59m46s", 14386 }, { "1h 30min", 5400 },
		{ "1w", 604800 }, { "1week 2days", 777600 }, { "1.5h", 5400 },
		{ "3h59m46.264032632s", 14387 }, { "0.5s", 1 }, { "2hours", 7200 }, { "45secs", 45 },
		{ "3650d", 315360000 }, { "1d  2h", 93600 },
	};
	static const struct refused bad[] = {
		{ "0s", "1s to 3650d" }, { "60", "60s or 60m" }, { "s", "1h30m" }, { "-5m", "1h30m" },
		{ "4000d", "3650d" }, { "2 weeks", "1h30m" }, { "1 h", "1h30m" },
		{ "99999999999999999999s", "" }, { "", "1h30m" },
		{ "1h30", "30 what? 1h30s or 1h30m" }, { "1m30", "30 what? 1m30s" },
		{ "30s5", "Nothing follows" }, { "10M", "did you mean 10m" }, { "1H30M", "1h30m" },
		{ "30m1h", "largest unit comes first" }, { "5m5m", "each once" }, { "1h5min10m", "once" },
		{ "500ms", "1h30m" }, { "1.5", "1.5s or 1.5m" }, { "0.0001h", "1h30m" },
		{ "1h ", "1h30m" }, { " 1h", "1h30m" }, { "1h,5m", "1h30m" }, { "1y", "1h30m" },
		{ "18446744073709551615w", "1h30m" }, { "18446744073709551615s", "3650d" },
		{ "30000000000000w18446744073709551615s", "3650d" }, { "PT1H", "1h30m" },
		{ "1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30m1h30mX", "1h30m" },
	};
	char err[ERR_LEN];
	uint64_t ns;

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK(check, !parse_duration(good[i].word, &ns, err) &&
		      ns == good[i].seconds * 1000000000, "%s: %s",
		      good[i].word, err);
	for (size_t i = 0; i < COUNT(bad); i++) {
		err[0] = '\0';
		CHECK(check, parse_duration(bad[i].word, &ns, err), "\"%s\"", bad[i].word);
		CHECK(check, strstr(err, bad[i].word) && strstr(err, bad[i].offer),
		      "\"%s\" or \"%s\" is not in: %s", bad[i].word, bad[i].offer, err);
	}
	check_done(check, "durations", "%zu accepted, %zu refused", COUNT(good), COUNT(bad));
}

/* As a host may have them: one of both protocols, one of each, and one that differs. */
static bool look_up(const char *name, struct service *service)
{
	static const struct {
		const char *name;
		struct service service;
	} services[] = {
		{ "https", { 443, 443 } }, { "http-alt", { 8080, 8080 } }, { "tftp", { 0, 69 } },
		{ "9pfs", { 564, 0 } }, { "shell", { 514, 515 } },
	};

	for (size_t i = 0; i < COUNT(services); i++) {
		*service = services[i].service;
		if (!strcmp(services[i].name, name))
			return true;
	}
	return false;
}

static void test_ports(struct check *check)
{
	static const struct {
		const char *word;
		uint8_t proto;
		uint16_t first, last;
	} good[] = {
		{ "53", 0, 53, 53 }, { "1-65535", 0, 1, 65535 }, { "https", 0, 443, 443 },
		{ "https", IPPROTO_UDP, 443, 443 }, { "http-alt", IPPROTO_TCP, 8080, 8080 },
		{ "tftp", 0, 69, 69 }, { "tftp", IPPROTO_ICMP, 69, 69 }, { "9pfs", 0, 564, 564 },
		{ "shell", IPPROTO_TCP, 514, 514 }, { "shell", IPPROTO_UDP, 515, 515 },
	};
	static const struct {
		const char *word;
		uint8_t proto;
		const char *offer;
	} bad[] = {
		{ "0", 0, "1 to 65535" }, { "65536", 0, "1 to 65535" }, { "-", 0, "" }, { "1-", 0, "" },
		{ "-1", 0, "" }, { "5-4", 0, "4-5" }, { "1-65536", 0, "" }, { "1-2-3", 0, "" },
		{ "http", 0, "/etc/services" }, { "", 0, "" }, { "99999999999999999999", 0, "1000-2000" },
		{ "1-99999999999999999999", 0, "1000-2000" }, { "12345678", 0, "65535" },
		{ "1000:2000", 0, "a range is 1000-2000" }, { "1000:", 0, "range" },
		{ "https-imaps", 0, "/etc/services" }, { "tftp", IPPROTO_TCP, "udp only" },
		{ "9pfs", IPPROTO_UDP, "tcp only" }, { "shell", 0, "514 for tcp, 515 for udp" },
		{ "HTTPS", 0, "/etc/services" },
	};
	uint16_t first, last;
	char err[ERR_LEN];

	CHECK(check, parse_ports("dport", "https", 0, &first, &last, err), "a service without services");
	parse_services_with(look_up);
	for (size_t i = 0; i < COUNT(good); i++)
		CHECK(check, !parse_ports("dport", good[i].word, good[i].proto, &first, &last, err) &&
		      first == good[i].first && last == good[i].last, "%s", good[i].word);
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK(check, parse_ports("dport", bad[i].word, bad[i].proto, &first, &last, err), "\"%s\"",
		      bad[i].word);
		CHECK(check, strstr(err, "dport") && strstr(err, bad[i].offer),
		      "\"%s\" is not in: %s", bad[i].offer, err);
	}
	check_done(check, "ports", "%zu accepted, %zu refused", COUNT(good), COUNT(bad));
}

static void test_protocols(struct check *check)
{
	static const char *const bad_protos[] = { "", "256", "-1", "tcpx", "1x" };
	char err[ERR_LEN];
	uint8_t proto;
	bool any;

	CHECK(check, !parse_proto("tcp", &proto, &any, err) && proto == 6 && !any, "tcp");
	CHECK(check, !parse_proto("TCP", &proto, &any, err) && proto == 6 && !any, "TCP");
	CHECK(check, !parse_proto("ICMPv6", &proto, &any, err) && proto == 1, "ICMPv6 is icmp");
	CHECK(check, !parse_proto("58", &proto, &any, err) && proto == 1, "58 is icmp");
	CHECK(check, !parse_proto("any", &proto, &any, err) && any, "any");
	CHECK(check, !parse_proto("255", &proto, &any, err) && proto == 255, "255");
	for (size_t i = 0; i < COUNT(bad_protos); i++)
		CHECK(check, parse_proto(bad_protos[i], &proto, &any, err), "\"%s\"", bad_protos[i]);
	check_done(check, "protocols", "%zu refused", COUNT(bad_protos));
}

/* Values are written in one form, which parses back to the same value. */
static void test_formats(struct check *check)
{
	static const uint32_t pers[] = { 1, 60, 3600 };
	unsigned long long random = check_seed();
	char text[FORMAT_LEN], err[ERR_LEN];
	struct burst burst;
	struct rate rate;
	unsigned int rounds = 20000;
	uint64_t ns;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t bits = 1000 + check_random(&random) % 999999999000ULL;
		uint64_t seconds = 1 + check_random(&random) % (3650 * 86400ULL);
		uint64_t packets = 1 + check_random(&random) % 1000000000;
		uint32_t per_s = pers[i % COUNT(pers)];

		if (i % 2)
			bits = bits / 1000000 * 1000000 + 1000000;
		format_bits(bits, text);
		CHECK(check, !parse_burst(text, &burst, err) && burst.bits == bits, "%s", text);
		CHECK(check, !parse_rate(text, &rate, err) && rate.bits_per_s == bits, "%s", text);
		format_packet_rate(packets, per_s, text);
		CHECK(check, !parse_rate(text, &rate, err) && rate.packets == packets &&
		      rate.per_s == per_s, "%s", text);
		format_duration(i % 2 ? seconds / 3600 * 3600 + 3600 : seconds, text);
		CHECK(check, !parse_duration(text, &ns, err) && ns / 1000000000 ==
		      (i % 2 ? seconds / 3600 * 3600 + 3600 : seconds), "%s: %s", text, err);
		format_left(seconds, text);
		CHECK(check, strlen(text) <= 8 && !parse_duration(text, &ns, err) &&
		      ns / 1000000000 <= seconds, "%s", text);
	}
	check_done(check, "values as text parse back to the same value", "%u rounds", rounds);
}

static void test_forms(struct check *check)
{
	static const struct {
		uint64_t seconds;
		const char *exact, *left;
	} durations[] = {
		{ 0, "0s", "0s" }, { 1, "1s", "1s" }, { 90, "1m30s", "1m30s" }, { 600, "10m", "10m" },
		{ 3600, "1h", "1h" }, { 3605, "1h5s", "1h" }, { 7141, "1h59m1s", "1h59m" },
		{ 216000, "2d12h", "2d12h" }, { 86461, "1d1m1s", "1d" },
		{ 315359999, "3649d23h59m59s", "3649d23h" },
	};
	char text[FORMAT_LEN];

	format_bits(50000000, text);
	CHECK(check, !strcmp(text, "50mbit"), "%s", text);
	format_packet_rate(20, 3600, text);
	CHECK(check, !strcmp(text, "20/h"), "%s", text);
	for (size_t i = 0; i < COUNT(durations); i++) {
		format_duration(durations[i].seconds, text);
		CHECK(check, !strcmp(text, durations[i].exact), "%s", text);
		format_left(durations[i].seconds, text);
		CHECK(check, !strcmp(text, durations[i].left), "%s left", text);
	}
	check_done(check, "values have one form", "%zu durations", COUNT(durations));
}

/*
 * Words made of the pieces of values: what a parser takes is written in its form, and that reads
 * back as the same value, and is written the same again.
 */
static void test_canonical(struct check *check)
{
	static const char *const pieces[] = {
		"1", "60", "1000", "0", "1.5", "30", ".", "k", "K", "m", "M", "g", "G", "pps", "bit",
		"bps", "b", "B", "/s", "/min", "/h", "s", "min", "h", "d", " ", "w", "packets", "-",
	};
	unsigned long long random = check_seed();
	unsigned int rounds = 300000, taken = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		char word[64] = "", text[FORMAT_LEN], err[ERR_LEN];
		unsigned int count = 1 + check_random(&random) % 5;
		struct rate rate, rate2;
		struct burst burst, burst2;
		uint64_t ns, ns2;

		while (count--)
			strcat(word, pieces[check_random(&random) % COUNT(pieces)]);
		if (!parse_rate(word, &rate, err)) {
			if (rate.packets)
				format_packet_rate(rate.packets, rate.per_s, text);
			else
				format_bits(rate.bits_per_s, text);
			CHECK(check, !parse_rate(text, &rate2, err) && rate2.packets == rate.packets &&
			      rate2.per_s == rate.per_s && rate2.bits_per_s == rate.bits_per_s,
			      "rate %s: %s", word, text);
			taken++;
		}
		if (!parse_burst(word, &burst, err)) {
			if (burst.packets)
				snprintf(text, sizeof(text), "%llu",
					 (unsigned long long)burst.packets);
			else
				format_bits(burst.bits, text);
			CHECK(check, !parse_burst(text, &burst2, err) &&
			      burst2.packets == burst.packets && burst2.bits == burst.bits,
			      "burst %s: %s", word, text);
			taken++;
		}
		if (!parse_duration(word, &ns, err)) {
			format_duration(ns / 1000000000, text);
			CHECK(check, ns % 1000000000 == 0 && !parse_duration(text, &ns2, err) &&
			      ns == ns2, "duration %s: %s", word, text);
			taken++;
		}
	}
	CHECK(check, taken > rounds / 50, "only %u of %u words are values", taken, rounds);
	check_done(check, "what is taken is read back from its form as the same value",
		   "%u of %u words taken", taken, rounds);
}

/* Whether it is one or more sentences on one line. */
static bool is_sentence(const char *text)
{
	size_t length = text ? strlen(text) : 0;

	return length > 4 && text[length - 1] == '.' && !strpbrk(text, "\n\t") &&
	       !strstr(text, "  ");
}

static void test_reasons(struct check *check)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		const struct reason_text *text = reason_text(i);

		for (int j = 0; j < i; j++) {
			CHECK(check, strcmp(reason_name(i), reason_name(j)), "%d and %d", i, j);
			CHECK(check, strcmp(text->meaning, reason_text(j)->meaning), "%s and %s",
			      reason_name(i), reason_name(j));
		}
		CHECK(check, !strcmp(reason_action(i), "pass") || !strcmp(reason_action(i), "drop") ||
			      !strcmp(reason_action(i), "tx"),
		      "%s: %s", reason_name(i), reason_action(i));
		CHECK(check, (int)reason_find(reason_name(i)) == i, "%s", reason_name(i));
		CHECK(check, is_sentence(text->meaning) && is_sentence(text->remedy) &&
		      (!text->more || is_sentence(text->more)), "%s has no text", reason_name(i));
	}
	CHECK(check, reason_find("nosuch") == WEIR_REASON_MAX && reason_find("") == WEIR_REASON_MAX,
	      "a reason that is none");
	check_done(check, "each reason has its own name, an action, a meaning and a remedy",
		   "%d reasons", WEIR_REASON_MAX);
}

static void test_counts(struct check *check)
{
	static const struct {
		uint64_t count;
		const char *grouped, *bytes;
	} rows[] = {
		{ 0, "0", "0 B" }, { 999, "999", "999 B" }, { 1000, "1,000", "1.0 kB" },
		{ 1999999, "1,999,999", "1.9 MB" }, { 123456789, "123,456,789", "123.4 MB" },
		{ 1000000000000, "1,000,000,000,000", "1.0 TB" },
		{ UINT64_MAX, "18,446,744,073,709,551,615", "18.4 EB" },
	};
	char text[FORMAT_LEN];

	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK(check, !strcmp(table_grouped(rows[i].count, text), rows[i].grouped), "%s", text);
		CHECK(check, !strcmp(table_bytes(rows[i].count, text), rows[i].bytes), "%s", text);
	}
	check_done(check, "counts in groups of three digits, bytes in units", "%zu rows", COUNT(rows));
}

int main(void)
{
	struct check check = { 0 };

	test_rates(&check);
	test_bursts(&check);
	test_durations(&check);
	test_ports(&check);
	test_protocols(&check);
	test_formats(&check);
	test_forms(&check);
	test_canonical(&check);
	test_reasons(&check);
	test_counts(&check);
	return check_exit(&check);
}
