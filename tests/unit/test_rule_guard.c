// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon never puts in force by itself; rules as words and as explain has them. */
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/explain_traffic.h"
#include "user/model/explain_text.h"
#include "user/model/rule_guard.h"
#include "user/model/rule_spec.h"

static struct check check;
static struct traffic traffic;

static const struct {
	const char *match;
	const char *why;	/* a part of the reason; NULL: it is permitted */
} rows[] = {
	{ "proto udp dport 27015 payload 0 fefd0900", NULL },
	{ "proto udp sport 1900 length 270-390", NULL },
	{ "proto tcp dport 443 flags syn/syn,ack length 40", NULL },
	{ "proto gre length 564", NULL },
	{ "proto udp fragment length 1500", "198.51.100.53" },	/* of a large answer */
	{ "proto tcp fragment length 1500", "198.51.100.53" },
	{ "proto udp dport 27015 from 203.0.113.0/24", "source" },
	{ "proto icmp length 1028", "ICMP errors" },
	{ "proto icmp icmp-type 8 length 1028", NULL },
	{ "proto icmp icmp-type 128 length 1028", NULL },
	{ "length 900-1428", "ICMP errors" },
	{ "payload 0 fefd0900", "ICMP errors" },
	{ "proto udp length 28-1500", "hardly more" },
	{ "proto udp sport 53 length 1100-1500", "allow add 198.51.100.53" },
	{ "proto udp length 540", "198.51.100.53" },
	{ "proto tcp sport 53 flags syn,ack/syn,ack length 44", "198.51.100.53" },
	{ "proto udp sport 53 dport 27015 length 1100-1500", NULL },
	{ "proto udp sport 53 dport 53 length 1100-1500", "198.51.100.53" },
	{ "proto udp sport 123 length 468", NULL },
	{ "proto udp sport 123 length 76", "198.51.100.123" },
	{ "proto udp sport 123 dport 123 length 76-96", "198.51.100.123" },
};
#define ROWS	(sizeof(rows) / sizeof(*rows))

static void read_spec(const char *match, struct weir_rule_spec *spec)
{
	char text[256], err[ERR_LEN];

	snprintf(text, sizeof(text), "x %s", match);
	CHECK(&check, !rule_spec_read(text, spec, err), "%s: %s", match, err);
}

static void test_permitted(void)
{
	struct rule_guarded guarded = { .count = 2 }, unknown = { .dns_unknown = true,
								  .time_unknown = true };
	struct weir_rule_spec spec;
	char why[ERR_LEN];
	uint32_t refused = 0, types = 0;

	guarded.server[0].address = prefix_v4(0xc6336435, 32);
	guarded.server[0].port = 53;
	guarded.server[1].address = prefix_v4(0xc633647b, 32);
	guarded.server[1].port = 123;
	for (size_t i = 0; i < ROWS; i++) {
		bool good;

		read_spec(rows[i].match, &spec);
		good = rule_is_permitted(&spec, &guarded, why);
		refused += !good;
		CHECK(&check, good == !rows[i].why, "%s: %s", rows[i].match, why);
		CHECK(&check, good || (rows[i].why && strstr(why, rows[i].why)), "%s: %s",
		      rows[i].match, why);
	}
	read_spec("proto icmp icmp-type 8 length 1028", &spec);
	for (uint32_t type = 0; type < 256; type++) {
		bool needed = (type >= 1 && type <= 5) || type == 11 || type == 12 ||
			      (type >= 130 && type <= 137) || type == 143;

		spec.icmp4 = spec.icmp6 = type + 1;
		CHECK(&check, rule_is_permitted(&spec, &guarded, why) == !needed, "type %u", type);
		types += needed;
	}
	read_spec("proto udp sport 53 length 1100-1500", &spec);
	CHECK(&check, !rule_is_permitted(&spec, &unknown, why) && strstr(why, "DNS"), "%s", why);
	read_spec("proto udp sport 123 length 90", &spec);
	CHECK(&check, !rule_is_permitted(&spec, &unknown, why) && strstr(why, "time"), "%s", why);
	check_done(&check, "what the daemon never puts in force", "%u of %zu rules refused, %u "
		   "of 256 types of ICMP", refused, ROWS, types);
}

/* ---- narrowing ---- */

static void test_narrow(void)
{
	static struct explain_packet flood[1000];
	struct weir_rule_spec spec;
	struct explain_rule rule;
	char text[EXPLAIN_TEXT];

	for (uint32_t i = 0; i < 1000; i++) {
		flood[i] = packet_of(spoofed(&traffic), 1, EXPLAIN_NONE, EXPLAIN_NONE, 1028, 60);
		flood[i].number[EXPLAIN_ICMP] = i % 50 ? 8 : 0;
	}
	read_spec("proto icmp length 1028", &spec);
	CHECK(&check, rule_spec_explain(&spec, &rule), "no rule");
	rule_narrow_icmp(&rule, flood, 1000);
	explain_rule_text(&rule, text);
	CHECK(&check, !strcmp(text, "proto icmp icmp-type 8 length 1028"), "%s", text);
	for (uint32_t i = 0; i < 1000; i++)
		flood[i].number[EXPLAIN_ICMP] = i % 2 ? 8 : 3;
	rule_spec_explain(&spec, &rule);
	rule_narrow_icmp(&rule, flood, 1000);
	explain_rule_text(&rule, text);
	CHECK(&check, !strcmp(text, "proto icmp length 1028"), "%s", text);
	check_done(&check, "a rule for pings says their type", "98 %% of 1000 packets have it");
}

/* ---- both forms of a rule ---- */

static void test_forms(void)
{
	static const char *const none[] = { "proto udp sport 1,3 length 99", "proto udp l4 0 00",
					    "proto udp to 192.0.2.1 length 99" };
	struct weir_rule_spec spec;
	struct explain_rule rule;
	char text[EXPLAIN_TEXT], words[512], cut[40], err[ERR_LEN];

	for (size_t i = 0; i < ROWS; i++) {
		struct weir_rule_spec again;

		read_spec(rows[i].match, &spec);
		CHECK(&check, rule_spec_explain(&spec, &rule), "%s", rows[i].match);
		explain_rule_text(&rule, text);
		read_spec(text, &again);
		CHECK(&check, rule_same(&spec, &again), "%s: %s", rows[i].match, text);
		rule_spec_write(&spec, words, sizeof(words));
		CHECK(&check, !rule_spec_read(words, &again, err) && rule_same(&spec, &again),
		      "%s: %s", rows[i].match, words);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		read_spec(none[i], &spec);
		CHECK(&check, !rule_spec_explain(&spec, &rule), "%s", none[i]);
	}
	read_spec("proto udp sport 1024-65000 dport 27015 length 100-200", &spec);
	rule_spec_write(&spec, cut, sizeof(cut));
	CHECK(&check, strlen(cut) == sizeof(cut) - 1 && rule_spec_read(cut, &spec, err), "%s", cut);
	for (uint32_t i = 0; i < 2000; i++) {
		struct explain_packet packet = fixed_bytes(&traffic), other = game(&traffic);

		read_spec("proto udp dport 27015 payload 1 fd09", &spec);
		rule_spec_explain(&spec, &rule);
		CHECK(&check, explain_matches(&rule, &packet) && !explain_matches(&rule, &other),
		      "payload");
	}
	check_done(&check, "a rule reads the same as words, in the data path, and in explain",
		   "%zu rules, 4000 packets", ROWS);
}

int main(void)
{
	traffic_begin(&traffic, check_seed(), PEOPLE);
	test_permitted();
	test_narrow();
	test_forms();
	return check_exit(&check);
}
