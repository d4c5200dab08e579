// SPDX-License-Identifier: GPL-2.0-only
/* Drop rules: the classifier against a plain matcher, the rules' words, and what they cover. */
#include "tests/unit/random_rules.h"

#include "bpf/pure/rules.h"
#include "user/model/cut.h"
#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/settings.h"

#define PACKETS	    1000000
#define PACKETS_SET 2000 /* of each set of rules */

static struct check check;

static struct weir_policy *new_policy(void)
{
	struct weir_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		abort();
	return policy;
}

/* ---- the classifier ---- */

/* The rules that the data path's functions find, each once and in order. */
static uint64_t classified(const struct weir_rule_tables *rules, struct made *made)
{
	struct frame frame = { made->frame, made->frame + made->size };
	struct packet pkt = { 0 };
	struct rule_view view;
	uint64_t set = 0;
	int index, last = -1;

	if (parse(&frame, &pkt, 0) != WEIR_CONTINUE)
		return ~0ULL;
	view.left = 0;
	if (view_packet(&frame, &pkt, &view))
		view.left = rules_left(&frame, rules, &pkt, &view,
				       rules_for(&frame, rules, &pkt));
	while ((index = take_rule(&frame, &pkt, &view, rules)) >= 0) {
		CHECK(&check, index > last, "rule %d behind %d", index, last);
		last = index;
		set |= 1ULL << index;
	}
	return set;
}

/* Whether the parser takes it: TCP without SYN, ACK or RST and the like are no packets for rules. */
static bool is_taken(struct made *made)
{
	struct frame frame = { made->frame, made->frame + made->size };
	struct packet pkt = { 0 };

	return parse(&frame, &pkt, 0) == WEIR_CONTINUE;
}

static void test_classifier(void)
{
	struct weir_policy *policy = new_policy();
	uint64_t hits = 0, differences = 0, taken = 0;
	char err[ERR_LEN];
	struct made made;

	for (uint32_t n = 0; taken < PACKETS; n++) {
		uint64_t wanted, is;

		if (n % PACKETS_SET == 0) {
			make_rules(policy);
			CHECK(&check, !rules_compile(policy, err), "compile: %s", err);
		}
		make_packet(&made);
		if (!is_taken(&made))
			continue;
		taken++;
		wanted = matching_rules(policy, &made);
		is = classified(&policy->rules, &made);
		hits += wanted != 0;
		differences += is != wanted;
		CHECK(&check, is == wanted, "packet %u: rules %llx, wanted %llx", n,
		      (unsigned long long)is, (unsigned long long)wanted);
	}
	CHECK(&check, hits > taken / 10 && hits < taken * 9 / 10, "%llu of %llu match",
	      (unsigned long long)hits, (unsigned long long)taken);
	check_done(&check, "rules by bit vectors are those of a plain matcher",
		   "%llu packets, %llu that rules match, %llu differences, seed %llu",
		   (unsigned long long)taken, (unsigned long long)hits,
		   (unsigned long long)differences, (unsigned long long)check_seed());
	free(policy);
}

/* Where tables end: all 64 rules with different ports; and more pieces than a byte can name. */
static void test_pieces(void)
{
	struct weir_policy *policy = new_policy();
	char err[ERR_LEN];
	int rc;

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		struct weir_rule_spec *spec = &policy->rule_spec[i];

		snprintf(spec->name, sizeof(spec->name), "r%u", i);
		spec->match = WEIR_MATCH_SPORT;
		spec->sport[0] = (struct weir_ports){ 1000 + i, 2000 + i };
	}
	rc = rules_compile(policy, err);
	CHECK(&check, !rc, "129 pieces: %s", err);
	for (uint32_t port = 0; port < 65536; port++) {
		uint64_t set = 0;

		for (uint32_t i = 0; i < WEIR_RULES; i++)
			set |= (uint64_t)(port >= 1000 + i && port <= 2000 + i) << i;
		CHECK(&check, rules_of_line(&policy->rules, WEIR_LINE_SPORT, port) == set,
		      "port %u", port);
	}
	for (uint32_t i = 0; i < WEIR_RULES; i++)
		for (uint32_t n = 0; n < WEIR_PORT_RANGES; n++)
			policy->rule_spec[i].sport[n] =
				(struct weir_ports){ 100 + n * 4000 + i * (n + 1),
						     100 + n * 4000 + i * (n + 1) + 60 };
	rc = rules_compile(policy, err);
	CHECK(&check, rc == -ENOSPC, "more than 255 pieces: %d", rc);
	check_done(&check, "ports of rules are cut into pieces",
		   "64 ranges that overlap over 65536 ports; too many are refused");
	free(policy);
}

static void test_lowest(void)
{
	for (uint32_t i = 0; i < 64; i++) {
		uint64_t above = check_random(&made_state) << 32 ^ check_random(&made_state);

		CHECK(&check, lowest_rule(1ULL << i) == i, "bit %u", i);
		CHECK(&check, lowest_rule((above << i << (i < 63)) | 1ULL << i) == i,
		      "bit %u of more", i);
	}
	check_done(&check, "the lowest rule of a set", "64 alone, 64 among others");
}

/* ---- words ---- */

/* As a host may have them: two for both protocols, and one that differs. */
static bool look_up(const char *name, struct service *service)
{
	*service = (struct service){ 0 };
	if (!strcmp(name, "ntp"))
		*service = (struct service){ 123, 123 };
	if (!strcmp(name, "domain"))
		*service = (struct service){ 53, 53 };
	if (!strcmp(name, "both"))
		*service = (struct service){ 7000, 7001 };
	return service->tcp;
}

static int parse_line(const char *line, struct drop_words *w, char *err)
{
	static char copy[512];
	char *words[48], *rest = copy;
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((words[count] = strsep(&rest, " ")) && count < 47)
		count++;
	words[count] = NULL;
	return parse_drop_words(&(struct words){ words }, w, err);
}

static void test_words(void)
{
	/* As it is typed, and as it is written. */
	static const char *const same[][2] = {
		{ "a proto udp sport 123 length 468", "proto udp sport 123 length 468" },
		{ "a sport 53,123,1000-2000", "sport 53,123,1000-2000" },
		{ "a sport 123,53,1500-2000,1000-1499", "sport 53,123,1000-2000" },
		{ "a sport 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31",
		  "sport 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31" },
		{ "a proto udp dport ntp,domain", "proto udp dport 53,123" },
		{ "a flags syn/syn,ack dport both", "proto tcp dport 7000 flags syn/syn,ack" },
		{ "a proto udp dport both", "proto udp dport 7001" },
		{ "a flags syn/syn,ack", "proto tcp flags syn/syn,ack" },
		{ "a flags none/fin,syn,rst,psh,ack,urg,ece,cwr",
		  "proto tcp flags none/fin,syn,rst,psh,ack,urg,ece,cwr" },
		{ "a icmp-type 8", "proto icmp icmp-type 8" },
		{ "a icmp-type ping proto icmp", "proto icmp icmp-type echo-request" },
		{ "a icmp-type timestamp-request", "proto icmp icmp-type timestamp-request" },
		{ "a to 2001:db8::/32 icmp-type mld-listener-query",
		  "to 2001:db8::/32 proto icmp icmp-type mld-listener-query" },
		{ "a proto any ip-ttl 0-63", "ip-ttl 0-63" },
		{ "a fragment proto udp", "proto udp fragment" },
		{ "a payload 0 FFffFFff", "payload 0 ffffffff" },
		{ "a payload 12 0a/0f l4 14 0000", "payload 12 0a/0f l4 14 0000" },
		{ "a from 192.0.2.0/24 to 198.51.100.7",
		  "from 192.0.2.0/24 to 198.51.100.7/32" },
		{ "a proto 47 length 100-65535", "proto gre length 100-65535" },
		{ "a proto 200 to 2001:db8::/32", "to 2001:db8::/32 proto 200" },
	};
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{ "", "name" }, { "a", "condition" }, { "A proto udp", "rule name" },
		{ "a ttl 64", "ip-ttl 64" }, { "a sport 0", "sport" }, { "a sport 7-6", "empty" },
		{ "a sport 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33", "17 ranges" },
		{ "a sport 53,", "sport" }, { "a dport nosuch", "/etc/services" },
		{ "a dport both", "7000 for tcp, 7001 for udp" },
		{ "a length 19", "length" }, { "a ip-ttl 256", "ip-ttl" },
		{ "a flags syn", "mask" }, { "a flags syn/ack", "mask" },
		{ "a flags sin/syn", "sin" }, { "a flags none/none", "mask" },
		{ "a icmp-type 256", "0..255" }, { "a icmp-type unreachable", "errors" },
		{ "a icmp-type packet-too-big", "errors" },
		{ "a icmp-type timestamp-request to 2001:db8::1", "IPv6 has no such message" },
		{ "a from 192.0.2.1 icmp-type mld-listener-done", "IPv4 has no such message" },
		{ "a icmp-type 3", "errors" }, { "a icmp-type 11", "errors" },
		{ "a payload 0", "hexadecimal" }, { "a payload 0 fff", "hexadecimal" },
		{ "a payload 0 0011223344", "hexadecimal" }, { "a payload 1401 00", "payload" },
		{ "a payload 0 ff/0f", "mask" }, { "a payload 0 00/00", "mask" },
		{ "a payload 0 0000/ff", "mask" }, { "a l4 x 00", "l4" },
		{ "a fragment sport 53", "fragment" }, { "a fragment payload 0 00", "fragment" },
		{ "a proto icmp dport 53", "dport" }, { "a proto udp flags syn/syn", "flags" },
		{ "a proto tcp icmp-type 8", "icmp-type" }, { "a icmp-type 8 sport 53", "ICMP" },
		{ "a from 192.0.2.1 to 2001:db8::1", "both" }, { "a from ::/0", "leave it out" },
		{ "a spare all sport 53", "spare" }, { "a sport 53 sport 54", "twice" },
		{ "a proto udp rate 0pps", "rate" }, { "a proto udp burst 10", "burst" },
	};
	char err[ERR_LEN], match[RULE_TEXT], again[RULE_TEXT + 8];
	struct drop_words w, x;

	parse_services_with(look_up);
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
		CHECK(&check, !parse_line(same[i][0], &w, err), "%s: %s", same[i][0], err);
		format_rule_match(&w.spec, match);
		CHECK(&check, !strcmp(match, same[i][1]), "%s: %s", same[i][0], match);
		snprintf(again, sizeof(again), "a %s", match);
		CHECK(&check, !parse_line(again, &x, err) && !memcmp(&w.spec, &x.spec,
								     sizeof(w.spec)),
		      "%s: %s", again, err);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int rc = parse_line(wrong[i].line, &w, err);

		CHECK(&check, rc == -EINVAL && strstr(err, wrong[i].says), "%s: %d, %s",
		      wrong[i].line, rc, rc ? err : "");
	}
	CHECK(&check, !parse_line("a sport 53 rate 20/h spare none monitor ttl 90s", &w, err) &&
		      w.ttl_ns == 90000000000ULL, "ttl: %s", err);
	format_rule_action(&w.spec, match);
	CHECK(&check, !strcmp(match, "rate 20/h spare none monitor"), "%s", match);
	check_done(&check, "the words of rules", "%zu written as they are read, %zu refused",
		   sizeof(same) / sizeof(*same), sizeof(wrong) / sizeof(*wrong));
}

/* Each random rule, as text and back. */
static void test_round_trip(void)
{
	char err[ERR_LEN], match[RULE_TEXT], line[RULE_TEXT + 8];
	uint32_t tried = 0, taken = 0;
	struct drop_words w;

	for (; tried < 20000; tried++) {
		struct weir_rule_spec spec = make_rule(1);

		format_rule_match(&spec, match);
		snprintf(line, sizeof(line), "r1 %s", match);
		if (parse_line(line, &w, err))
			continue;
		taken++;
		w.spec.match &= spec.match | ~WEIR_MATCH_PROTO; /* flags and icmp-type add it */
		w.spec.proto = spec.match & WEIR_MATCH_PROTO ? w.spec.proto : 0;
		CHECK(&check, rule_same(&w.spec, &spec), "%s", line);
	}
	CHECK(&check, taken > tried / 3, "only %u of %u", taken, tried);
	check_done(&check, "a rule that is written is read again", "%u of %u random ones can be set",
		   taken, tried);
}

/* ---- rules of a policy ---- */

static struct weir_rule_spec spec_of(const char *line)
{
	struct drop_words w;
	char err[ERR_LEN];

	if (parse_line(line, &w, err))
		CHECK(&check, false, "%s: %s", line, err);
	return w.spec;
}

static void add_rule(struct weir_policy *policy, const char *line, uint64_t until_ns)
{
	struct weir_rule_spec spec = spec_of(line);
	char err[ERR_LEN];

	spec.until_ns = until_ns;
	CHECK(&check, rule_set(policy, &spec, err) >= 0, "%s: %s", line, err);
}

static void test_set(void)
{
	struct weir_policy *policy = new_policy(), *wanted = new_policy();
	struct weir_rule_spec spec = spec_of("r0 sport 53");
	char err[ERR_LEN];

	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		snprintf(spec.name, sizeof(spec.name), "r%u", i);
		CHECK(&check, rule_set(policy, &spec, err) == 1, "rule %u: %s", i, err);
		CHECK(&check, rule_set(policy, &spec, err) == 0, "rule %u again", i);
	}
	strcpy(spec.name, "more");
	CHECK(&check, rule_set(policy, &spec, err) == -ENOSPC, "the 65th");
	rule_remove(policy, rule_find(policy, "r7"));
	CHECK(&check, rule_set(policy, &spec, err) == 1 && rule_find(policy, "more") == 7,
	      "the free slot");
	CHECK(&check, rule_find(policy, "r7") == NO_RULE, "removed");

	add_rule(wanted, "r9 sport 53", 0);
	add_rule(wanted, "new sport 54 rate 10pps", 0);
	rules_replace(policy, wanted);
	CHECK(&check, rule_find(policy, "r9") == 9, "keeps its slot");
	CHECK(&check, rule_find(policy, "new") == 0 && rule_find(policy, "r0") == NO_RULE,
	      "others go");
	add_rule(policy, "short sport 55", 1000);
	CHECK(&check, !rules_expire(policy, 999) && rules_expire(policy, 1000) == 1 &&
	      rule_find(policy, "short") == NO_RULE, "expired");
	check_done(&check, "rules have slots by name", "64 of them, one more refused, replaced by 2");
	free(policy);
	free(wanted);
}

/* ---- what they cover ---- */

static void test_cover(void)
{
	static const struct {
		const char *line;
		enum rule_cover ssh, answers;
	} rows[] = {
		{ "a proto tcp dport 22", COVERS_ALL, COVERS_NONE },
		{ "a dport 20-25", COVERS_ALL, COVERS_SOME },
		{ "a proto tcp dport 22 length 60", COVERS_SOME, COVERS_NONE },
		{ "a dport 80", COVERS_NONE, COVERS_SOME },
		{ "a proto udp sport 53", COVERS_NONE, COVERS_ALL },
		{ "a proto udp sport 53 length 1000-1500", COVERS_NONE, COVERS_SOME },
		{ "a sport 53", COVERS_SOME, COVERS_ALL },
		{ "a flags ack/ack", COVERS_ALL, COVERS_NONE },
		{ "a flags syn/syn", COVERS_NONE, COVERS_NONE },
		{ "a flags psh/psh", COVERS_SOME, COVERS_NONE },
		{ "a from 192.0.2.0/24 length 20-2000", COVERS_SOME, COVERS_SOME },
		{ "a from 192.0.2.0/24", COVERS_ALL, COVERS_ALL },
		{ "a from 192.0.3.0/24", COVERS_NONE, COVERS_NONE },
		{ "a to 198.51.100.0/24", COVERS_ALL, COVERS_SOME },
		{ "a to 198.51.101.0/24", COVERS_NONE, COVERS_SOME },
		{ "a icmp-type 8", COVERS_NONE, COVERS_NONE },
	};
	static const char *const broad[] = {
		"a proto udp", "a to 192.0.2.0/24 proto tcp", "a length 20-1500", "a ip-ttl 0-200",
		"a sport 1-65535", "a from 0.0.0.0/1", "a proto tcp dport 1-20000,30000-50000",
	};
	const struct rule_flow ssh = { { 0, 0xffffc0000207ULL, 128 }, { 0, 0xffffc6336401ULL, 128 },
				  IPPROTO_TCP, 0, 22 };
	const struct rule_flow answers = { .from = { 0, 0xffffc0000235ULL, 128 }, .proto = IPPROTO_UDP,
				      .sport = 53 };
	struct weir_rule_spec spec;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		spec = spec_of(rows[i].line);
		CHECK(&check, rule_covers(&spec, &ssh) == rows[i].ssh, "%s: %d of ssh",
		      rows[i].line, rule_covers(&spec, &ssh));
		CHECK(&check, rule_covers(&spec, &answers) == rows[i].answers, "%s: %d of answers",
		      rows[i].line, rule_covers(&spec, &answers));
		CHECK(&check, rule_cuts(&spec, &ssh, 1) == (rows[i].ssh == COVERS_ALL), "%s cuts",
		      rows[i].line);
		spec.spare = WEIR_SPARE_NONE;
		CHECK(&check, rule_cuts(&spec, &ssh, 1) == (rows[i].ssh != COVERS_NONE),
		      "%s cuts, sparing none", rows[i].line);
		spec.monitor = 1;
		CHECK(&check, !rule_cuts(&spec, &ssh, 1), "%s in monitor mode", rows[i].line);
	}
	for (size_t i = 0; i < sizeof(broad) / sizeof(*broad); i++) {
		spec = spec_of(broad[i]);
		CHECK(&check, rule_is_broad(&spec), "%s is broad", broad[i]);
	}
	spec = spec_of("a proto udp sport 53");
	CHECK(&check, !rule_is_broad(&spec), "a port is not");
	check_done(&check, "what a rule covers of a session and of a resolver's answers",
		   "%zu rules, %zu broad ones", sizeof(rows) / sizeof(*rows),
		   sizeof(broad) / sizeof(*broad));
}

/* The guard of sessions names the rule. */
static void test_cut(void)
{
	const struct connection connection = { { 0, 0xffffc0000207ULL, 128 },
					       { 0, 0xffffc6336401ULL, 128 }, 22 };
	char rule[CUT_RULE], err[ERR_LEN];
	struct settings settings;

	if (settings_init(&settings))
		abort();
	add_rule(settings.policy, "other sport 53", 0);
	add_rule(settings.policy, "mine proto tcp dport 22", 2000);
	CHECK(&check, !policy_compile(settings.policy, err), "compile: %s", err);
	CHECK(&check, settings_cut(&settings, &connection, 1999, rule) &&
	      !strcmp(rule, "drop rule mine"), "cut");
	CHECK(&check, !settings_cut(&settings, &connection, 2000, rule), "ended");
	settings_free(&settings);
	check_done(&check, "a rule that cuts off a session is named", "and one that has ended is not");
}

int main(void)
{
	made_state = check_seed();
	test_lowest();
	test_classifier();
	test_pieces();
	test_words();
	test_round_trip();
	test_set();
	test_cover();
	test_cut();
	return check_exit(&check);
}
