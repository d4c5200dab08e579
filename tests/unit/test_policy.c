// SPDX-License-Identifier: GPL-2.0-only
/* Limits, from their specs to the tables of the data path; and entries of lists. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/pure/bucket.h"
#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/icmp_types.h"
#include "user/model/limit_words.h"
#include "user/model/policy.h"
#include "user/model/port_set.h"
#include "user/model/settings.h"

#define NOW	(1000 * WEIR_TICKS_PER_S)

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err))
		abort();
	return prefix;
}

static struct weir_limit_spec spec_of(const char *from, uint64_t pps)
{
	struct weir_limit_spec spec = { .any_proto = 1, .rate_packets = pps, .per_s = 1 };
	struct prefix prefix;

	if (from) {
		prefix = prefix_of(from);
		prefix_to_key(&prefix, &spec.from);
	}
	return spec;
}

static int set(struct weir_policy *policy, struct weir_limit_spec spec)
{
	char err[ERR_LEN];

	return policy_set(policy, &spec, 32, 64, NOW, err);
}

static struct weir_policy *new_policy(void)
{
	struct weir_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		abort();
	return policy;
}

static uint64_t rate_for(const struct weir_policy *policy, const char *source,
			 struct packet_kind kind)
{
	struct prefix address = prefix_of(source);

	return policy->spec[policy_lookup(policy, &address, &kind)].rate_packets;
}

static const struct packet_kind udp53 = { IPPROTO_UDP, WEIR_ANY_PACKET, 53 };
static const struct packet_kind udp99 = { IPPROTO_UDP, WEIR_ANY_PACKET, 99 };
static const struct packet_kind tcp53 = { IPPROTO_TCP, WEIR_ANY_PACKET, 53 };
static const struct packet_kind tcp80 = { IPPROTO_TCP, WEIR_ANY_PACKET, 80 };
static const struct packet_kind syn80 = { IPPROTO_TCP, WEIR_SYN, 80 };
static const struct packet_kind syn22 = { IPPROTO_TCP, WEIR_SYN, 22 };
static const struct packet_kind icmp = { IPPROTO_ICMP, WEIR_ANY_PACKET, 0 };
static const struct packet_kind late = { IPPROTO_UDP, WEIR_FRAGMENT, 0 };
static const struct packet_kind gre = { IPPROTO_GRE, WEIR_ANY_PACKET, 0 };

/* Each limit has another rate, by which the checks recognize it. */
static void test_choice(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit_spec spec;
	char err[ERR_LEN];

	set(policy, spec_of(NULL, 1));
	spec = spec_of(NULL, 2);
	spec.any_proto = 0, spec.proto = IPPROTO_UDP;
	set(policy, spec);
	spec = spec_of(NULL, 3);
	spec.dport_first = 50, spec.dport_last = 60;
	set(policy, spec);
	spec = spec_of(NULL, 4);
	spec.dport_first = spec.dport_last = 53, spec.any_proto = 0, spec.proto = IPPROTO_UDP;
	set(policy, spec);
	spec = spec_of(NULL, 5);
	spec.what = WEIR_SYN, spec.any_proto = 0, spec.proto = IPPROTO_TCP;
	set(policy, spec);
	spec.rate_packets = 6, spec.dport_first = spec.dport_last = 80;
	set(policy, spec);
	spec = spec_of(NULL, 7);
	spec.what = WEIR_FRAGMENT;
	set(policy, spec);
	set(policy, spec_of("10.0.0.0/8", 8));
	spec = spec_of("10.1.0.0/16", 9);
	spec.any_proto = 0, spec.proto = IPPROTO_ICMP;
	set(policy, spec);
	set(policy, spec_of("2001:db8::/32", 10));
	CHECK(check, !policy_compile(policy, err), "%s", err);

	CHECK(check, rate_for(policy, "192.0.2.1", udp53) == 4, "udp 53");
	CHECK(check, rate_for(policy, "192.0.2.1", udp99) == 2, "udp 99");
	CHECK(check, rate_for(policy, "192.0.2.1", tcp53) == 3, "tcp 53");
	CHECK(check, rate_for(policy, "192.0.2.1", tcp80) == 1, "tcp 80");
	CHECK(check, rate_for(policy, "192.0.2.1", syn80) == 6, "syn 80");
	CHECK(check, rate_for(policy, "192.0.2.1", syn22) == 5, "syn 22");
	CHECK(check, rate_for(policy, "192.0.2.1", late) == 7, "fragment");
	CHECK(check, rate_for(policy, "192.0.2.1", gre) == 1, "gre");
	CHECK(check, rate_for(policy, "10.2.0.1", udp53) == 8, "a longer prefix comes before a class");
	CHECK(check, rate_for(policy, "10.1.0.1", icmp) == 9, "icmp of the /16");
	CHECK(check, rate_for(policy, "10.1.0.1", tcp80) == 8, "from the /8, not the default");
	CHECK(check, rate_for(policy, "2001:db8::1", udp53) == 10, "IPv6");
	CHECK(check, rate_for(policy, "2001:db9::1", udp53) == 4, "IPv6 default");
	check_done(check, "the longest source prefix decides, then the most specific class",
		   "%u classes, %u scopes", policy->classes, policy->scopes);
	free(policy);
}

static struct packet_kind from_port(struct packet_kind kind, uint16_t sport)
{
	kind.sport = sport;
	return kind;
}

/* Limits by source port, beside those by destination port and without either. */
static void test_source_ports(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit_spec spec = spec_of(NULL, 2);
	char err[ERR_LEN], text[CLASS_LEN];

	set(policy, spec_of(NULL, 1));
	spec.any_proto = 0, spec.proto = IPPROTO_UDP;
	spec.sport_first = 100, spec.sport_last = 200;
	set(policy, spec);
	spec.rate_packets = 3, spec.sport_first = spec.sport_last = 123;
	set(policy, spec);
	spec.rate_packets = 4, spec.dport_first = spec.dport_last = 53;
	set(policy, spec);
	format_class(&spec, text);
	CHECK(check, !strcmp(text, "proto udp dport 53 sport 123"), "%s", text);
	spec = spec_of(NULL, 5);
	spec.sport_first = 1, spec.sport_last = 65535;
	set(policy, spec);
	CHECK(check, !policy_compile(policy, err), "%s", err);

	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 99)) == 5, "beside the range");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 100)) == 2, "first of the range");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 200)) == 2, "last of the range");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 201)) == 5, "behind the range");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 123)) == 3, "the narrower one");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp53, 123)) == 4, "both ports");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp53, 124)) == 2, "to 53, from the range");
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(tcp80, 123)) == 5, "TCP from there");
	CHECK(check, rate_for(policy, "192.0.2.1", udp53) == 1, "source port 0");
	CHECK(check, rate_for(policy, "192.0.2.1", late) == 1 && rate_for(policy, "192.0.2.1", icmp) == 1 &&
	      rate_for(policy, "192.0.2.1", gre) == 1, "packets without ports");
	check_done(check, "limits by source port", "%u groups, %u classes", policy->sport_groups,
		   policy->classes);

	policy_remove(policy, policy_find(policy, &spec));
	for (int i = 0; i < 200; i++) {
		spec = spec_of(NULL, 10);
		spec.sport_first = spec.sport_last = 1000 + 2 * i;
		set(policy, spec);
	}
	CHECK(check, policy_compile(policy, err) == -ENOSPC && strstr(err, "source ports"), "%s", err);
	check_done(check, "too many source ports are refused", "%s", err);
	free(policy);
}

/* The limit in words, as it is saved. */
static int words_of_limit(const char *text, enum limit_use use, struct limit_words *w, char *err)
{
	static char line[512];
	char *words[32] = { NULL };
	size_t count = 0;

	snprintf(line, sizeof(line), "%s", text);
	for (char *word = strtok(line, " "); word && count < 31; word = strtok(NULL, " "))
		words[count++] = word;
	return parse_limit_words(&(struct words){ words }, use, w, err);
}

static struct weir_limit_spec spec_in_words(struct check *check, const char *text)
{
	struct limit_words w = { 0 };
	char err[ERR_LEN] = "";

	CHECK(check, !words_of_limit(text, LIMIT_TO_SET, &w, err), "%s: %s", text, err);
	return w.spec;
}

/* Limits by type of ICMP, of both families and of one, beside those of ICMP and of all. */
static void test_icmp_types(struct check *check)
{
	static const char *const rules[] = {
		"icmp rate 2pps", "icmp-type echo-request rate 3pps", "icmp-type packet-too-big rate 4pps",
		"sport 53 rate 5pps", "from 192.0.2.0/24 icmp-type 3 rate 6pps",
		"from 192.0.2.0/24 icmp-type echo-request rate 7pps",
	};
	/* @type plus 1. */
	static const struct { const char *from; uint16_t icmp4, icmp6; uint64_t rate; } expected[] = {
		{ "198.51.100.1", 9, 0, 3 }, { "2001:db8::1", 0, 129, 3 }, { "198.51.100.1", 129, 0, 2 },
		{ "2001:db8::1", 0, 9, 2 }, { "2001:db8::1", 0, 3, 4 }, { "198.51.100.1", 3, 0, 2 },
		{ "198.51.100.1", 8, 0, 2 }, { "198.51.100.1", 10, 0, 2 }, { "198.51.100.1", 4, 0, 2 },
		{ "192.0.2.1", 4, 0, 6 }, { "192.0.2.1", 9, 0, 7 }, { "192.0.2.1", 1, 0, 2 },
		{ "2001:db8::1", 0, 256, 2 }, { "198.51.100.1", 0, 0, 2 },
	};
	struct weir_policy *policy = new_policy();
	struct packet_kind fragment = { IPPROTO_ICMP, WEIR_FRAGMENT };
	char err[ERR_LEN];

	set(policy, spec_of(NULL, 1));
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		set(policy, spec_in_words(check, rules[i]));
	CHECK(check, !policy_compile(policy, err) && policy->icmp_types, "%s", err);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct packet_kind kind = icmp;
		uint64_t rate;

		kind.icmp4 = expected[i].icmp4;
		kind.icmp6 = expected[i].icmp6;
		rate = rate_for(policy, expected[i].from, kind);
		CHECK(check, rate == expected[i].rate, "%s, type %d: %llu", expected[i].from,
		      kind.icmp4 + kind.icmp6 - 1, (unsigned long long)rate);
	}
	CHECK(check, rate_for(policy, "192.0.2.1", fragment) == 2, "a later fragment");
	CHECK(check, rate_for(policy, "192.0.2.1", gre) == 1, "GRE");
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].icmp4 || policy->spec[i].icmp6)
			policy_remove(policy, i);
	CHECK(check, !policy_compile(policy, err) && !policy->icmp_types &&
	      rate_for(policy, "192.0.2.1", icmp) == 2, "removed");
	check_done(check, "limits by type of ICMP, which cost nothing where none is set",
		   "%zu messages", sizeof(expected) / sizeof(*expected));
	free(policy);
}

/* The words of types: as they are typed, as they are written, and what is refused. */
static void test_icmp_words(struct check *check)
{
	static const char *const same[][2] = {
		{ "icmp-type echo-request", "icmp-type echo-request" },
		{ "icmp icmp-type ping", "icmp-type echo-request" },
		{ "proto icmpv6 icmp-type 128", "icmp-type 128" },
		{ "icmp-type Unreachable", "icmp-type destination-unreachable" },
		{ "icmp-type nd-redirect", "icmp-type redirect" },
		{ "icmp-type 8", "icmp-type 8" }, { "icmp-type 255", "icmp-type 255" },
		{ "icmp-type 0", "icmp-type 0" }, { "icmp-type 2", "icmp-type 2" },
		{ "from 192.0.2.0/24 icmp-type 3", "icmp-type 3" },
		{ "from 2001:db8::/32 icmp-type packet-too-big", "icmp-type packet-too-big" },
		{ "icmp-type timestamp-request", "icmp-type timestamp-request" },
	};
	static const struct { const char *line, *says; } wrong[] = {
		{ "icmp-type 256", "0..255" }, { "icmp-type echo", "echo-request" },
		{ "icmp-type -1", "0..255" }, { "icmp-type 3", "destination-unreachable in IPv4 and "
						"time-exceeded in IPv6" },
		{ "icmp-type 4", "source-quench" }, { "proto udp icmp-type 8", "only icmp" },
		{ "fragment icmp-type 8", "fragment" }, { "syn icmp-type 8", "icmp-type" },
		{ "icmp-type 8 dport 80", "ports" }, { "icmp-type 8 icmp-type 0", "twice" },
		{ "from 192.0.2.0/24 icmp-type packet-too-big", "IPv4 has no such message" },
		{ "from 2001:db8::/32 icmp-type timestamp-reply", "IPv6 has no such message" },
	};
	char err[ERR_LEN], text[CLASS_LEN], line[128];
	struct weir_limit_spec spec;
	struct limit_words w;

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
		snprintf(line, sizeof(line), "%s rate 1pps", same[i][0]);
		spec = spec_in_words(check, line);
		format_class(&spec, text);
		CHECK(check, !strcmp(text, same[i][1]), "%s: %s", line, text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int rc = words_of_limit(wrong[i].line, LIMIT_TO_FIND, &w, err);

		CHECK(check, rc == -EINVAL && strstr(err, wrong[i].says), "%s: %d, %s", wrong[i].line,
		      rc, rc ? err : "");
	}
	for (unsigned int n = 0; icmp_type_name(n); n++) {
		struct icmp_types types, again;

		CHECK(check, !icmp_types_parse(icmp_type_name(n), &types, err), "%s", err);
		icmp_types_format(types, text);
		CHECK(check, !strcmp(text, icmp_type_name(n)) && !icmp_types_parse(text, &again, err) &&
		      !memcmp(&types, &again, sizeof(types)), "%s", text);
	}
	check_done(check, "types of ICMP in words", "%zu good, %zu refused",
		   sizeof(same) / sizeof(*same), sizeof(wrong) / sizeof(*wrong));
}

/* Sets of ports: their canonical form, and which ports they have. */
static void test_port_sets(struct check *check)
{
	static const char *const forms[][2] = {
		{ "443,80", "80,443" }, { "80,81", "80-81" }, { "80,80", "80" },
		{ "8000-8100,80,8050-8200,443", "80,443,8000-8200" }, { "1-65535,7", "1-65535" },
		{ "65535,1", "1,65535" },
		{ "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31-65535",
		  "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31-65535" },
		{ "2,1,4,3,6,5,8,7,10,9,12,11,14,13,16,15,18,17,20,19", "1-20" },
	};
	static const char *const wrong[] = {
		"", ",", "80,", ",80", "80,,81", "80,0", "80,65536", "80,9-8", "80 81", "80;81",
		"1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33", "80,12345678901234567",
	};
	struct weir_ports set[WEIR_PORT_RANGES];
	char err[ERR_LEN], text[PORT_SET_TEXT];

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		CHECK(check, !port_set_parse(forms[i][0], "dport", 0, set, err), "%s", err);
		port_set_format(set, text);
		CHECK(check, !strcmp(text, forms[i][1]), "%s: %s", forms[i][0], text);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		*err = '\0';
		CHECK(check, port_set_parse(wrong[i], "sport", 0, set, err) == -EINVAL &&
		      strstr(err, "sport"), "\"%s\": %s", wrong[i], err);
	}
	check_done(check, "sets of ports in canonical form", "%zu good, %zu wrong",
		   sizeof(forms) / sizeof(*forms), sizeof(wrong) / sizeof(*wrong));
}

/* Each port against the limits one after another; of two sets that share a port the smaller. */
static void test_limits_of_sets(struct check *check)
{
	static const char *const rules[] = {
		"proto udp sport 53,123,1900,11211 rate 2pps", "proto udp sport 100-123,1900 rate 3pps",
		"proto udp sport 53,1900 rate 4pps", "dport 80,443,8000-8100 rate 5pps",
		"dport 443,8050 rate 6pps",
	};
	static const struct { uint16_t dport, sport; uint64_t rate; } expected[] = {
		{ 99, 53, 4 }, { 99, 123, 2 }, { 99, 122, 3 }, { 99, 1900, 4 }, { 99, 11211, 2 },
		{ 99, 54, 1 }, { 80, 1, 5 }, { 443, 1, 6 }, { 8000, 1, 5 }, { 8050, 1, 6 },
		{ 8100, 1, 5 }, { 8101, 1, 1 }, { 81, 1, 1 }, { 8050, 53, 6 }, { 80, 53, 5 },
	};
	struct weir_policy *policy = new_policy();
	char err[ERR_LEN];

	set(policy, spec_of(NULL, 1));
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		set(policy, spec_in_words(check, rules[i]));
	CHECK(check, !policy_compile(policy, err), "%s", err);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct packet_kind kind = udp99;
		uint64_t rate;

		kind.dport = expected[i].dport;
		rate = rate_for(policy, "192.0.2.1", from_port(kind, expected[i].sport));
		CHECK(check, rate == expected[i].rate, "%u > %u: %llu", expected[i].sport,
		      expected[i].dport, (unsigned long long)rate);
	}
	check_done(check, "limits of sets of ports", "%zu ports, %u groups",
		   sizeof(expected) / sizeof(*expected), policy->sport_groups);
	free(policy);
}

/* Without a limit by source port no table for them is in use. */
static void test_no_source_ports(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit_spec spec = spec_of(NULL, 2);
	char err[ERR_LEN];

	set(policy, spec_of(NULL, 1));
	spec.sport_first = spec.sport_last = 53;
	set(policy, spec);
	CHECK(check, !policy_compile(policy, err) && policy->sport_groups == 2, "%u groups",
	      policy->sport_groups);
	policy_remove(policy, policy_find(policy, &spec));
	CHECK(check, !policy_compile(policy, err) && !policy->sport_groups, "%u groups",
	      policy->sport_groups);
	CHECK(check, rate_for(policy, "192.0.2.1", from_port(udp99, 53)) == 1, "removed");
	check_done(check, "source ports cost nothing where no limit names one", "%u groups",
		   policy->sport_groups);
	free(policy);
}

static void test_many(struct check *check)
{
	struct weir_policy *policy = new_policy();
	unsigned int wrong = 0;
	char err[ERR_LEN], text[32];
	double start = check_seconds();

	set(policy, spec_of(NULL, 1));
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.0/24", i / 256, i % 256);
		set(policy, spec_of(text, 1000 + i));
	}
	for (int i = 0; i < 250; i++) {
		struct weir_limit_spec spec = spec_of(NULL, 5000 + i);

		spec.dport_first = spec.dport_last = 2000 + 3 * i;
		set(policy, spec);
	}
	CHECK(check, !policy_compile(policy, err), "%s", err);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.9", i / 256, i % 256);
		wrong += rate_for(policy, text, tcp80) != 1000U + i;
	}
	for (int i = 0; i < 250; i++) {
		struct packet_kind kind = { IPPROTO_UDP, WEIR_ANY_PACKET, 2000 + 3 * i };

		wrong += rate_for(policy, "192.0.2.1", kind) != 5000U + i;
		kind.dport++;
		wrong += rate_for(policy, "192.0.2.1", kind) != 1;
	}
	CHECK(check, !wrong && policy->classes >= 251, "%u wrong, %u classes", wrong,
	      policy->classes);
	check_done(check, "a thousand source prefixes and 250 ports", "%u classes, %u scopes, %.3f s",
		   policy->classes, policy->scopes, check_seconds() - start);
	free(policy);
}

static void test_too_many(struct check *check)
{
	struct weir_policy *policy = new_policy();
	char err[ERR_LEN] = "";
	int rc;

	for (int i = 0; i < 600; i++) {
		struct weir_limit_spec spec = spec_of(NULL, 5000 + i);

		spec.dport_first = spec.dport_last = 2000 + 3 * i;
		set(policy, spec);
	}
	rc = policy_compile(policy, err);
	CHECK(check, rc == -ENOSPC && strstr(err, "classes"), "%d %s", rc, err);
	check_done(check, "too many classes are refused", "%s", err);
	free(policy);
}

/* A row stays with its prefix for as long as that has a limit, because tries refer to it. */
static void test_rows_stay(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit_spec spec = spec_of("10.0.0.0/8", 1);
	struct weir_prefix second;
	char err[ERR_LEN];

	set(policy, spec);
	set(policy, spec_of("11.0.0.0/8", 2));
	policy_compile(policy, err);
	second = policy->scope[2];
	policy_remove(policy, policy_find(policy, &spec));
	policy_compile(policy, err);
	CHECK(check, !memcmp(&policy->scope[2], &second, sizeof(second)), "row 2 moved");
	CHECK(check, rate_for(policy, "10.0.0.1", tcp80) == 0, "removed");
	set(policy, spec_of("12.0.0.0/8", 3));
	policy_compile(policy, err);
	CHECK(check, !memcmp(&policy->scope[2], &second, sizeof(second)), "row 2 moved");
	CHECK(check, rate_for(policy, "12.0.0.1", tcp80) == 3 && policy->scopes == 3,
	      "row 1 is used again");
	check_done(check, "a source prefix keeps its row", "%u rows", policy->scopes);
	free(policy);
}

static void test_ticks(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit_spec spec = spec_of(NULL, 3000000);
	uint32_t index, serial;
	struct weir_limit limit;
	char err[ERR_LEN];
	double error;

	CHECK(check, set(policy, spec) == 1 && set(policy, spec) == 0, "set twice");
	index = policy_find(policy, &spec);
	limit = policy->limit[index];
	error = limit.cost * 3000000.0 / WEIR_TICKS_PER_S - 1;
	CHECK(check, error < 1e-3 && error > -1e-3, "error %g", error);
	CHECK(check, policy->spec[index].burst_packets == 3000000 && limit.coarse,
	      "default burst: a second");
	serial = limit.serial;

	spec.rate_packets = 100;
	spec.burst_packets = 10;
	CHECK(check, set(policy, spec) == 1, "slower");
	limit = policy->limit[index];
	CHECK(check, limit.serial == serial, "the serial changed");
	CHECK(check, limit.floor > NOW && limit.floor <= NOW + limit.cap,
	      "a debt is forgotten when the limit changes");
	spec.rate_packets = 20;
	spec.per_s = 3600;
	spec.burst_packets = 0;
	set(policy, spec);
	CHECK(check, policy->spec[index].burst_packets == 2, "20/h: burst of 2, not 0");
	spec.rate_packets = 100;
	spec.per_s = 60;
	set(policy, spec);
	CHECK(check, policy->spec[index].burst_packets == 10, "100/min: a tenth");
	spec.rate_bits_per_s = 50000000;
	set(policy, spec);
	CHECK(check, policy->spec[index].burst_bits == 50000000, "50mbit: a second");
	spec.per_s = 1;
	spec.burst_packets = spec.burst_bits = 0;
	CHECK(check, budget_set(policy, "web", &spec, err) == 1 &&
	      policy->budget_spec[1].limit.burst_packets == 10 &&
	      policy->budget_spec[1].limit.burst_bits == 5000000, "a budget: a tenth of a second");
	spec.per_s = 3600;
	spec.rate_bits_per_s = 0;
	spec.burst_packets = 1000000;
	CHECK(check, set(policy, spec) == -ERANGE, "a burst of years is accepted");
	check_done(check, "rates in ticks", "3 Mpps is %.4f %% off", error * 100);
	free(policy);
}

static void test_by_serial(struct check *check)
{
	struct weir_policy *policy = new_policy(), *other = new_policy();
	uint32_t serial;

	set(policy, spec_of("10.0.0.0/8", 1));
	set(policy, spec_of("11.0.0.0/8", 2));
	serial = policy->limit[2].serial;
	CHECK(check, serial && policy_by_serial(policy, serial) == 2, "the second limit");
	CHECK(check, !policy_by_serial(policy, serial + 1), "a serial that no limit has");
	CHECK(check, !policy_by_serial(policy, 0), "0 names no limit");
	*other = *policy;
	CHECK(check, policy_same(policy, other), "a copy is the same");
	policy_remove(policy, 2);
	CHECK(check, !policy_by_serial(policy, serial), "removed");
	CHECK(check, !policy_same(policy, other), "one limit less is not the same");
	check_done(check, "limits by their serials", "%u limits", policy->next_serial);
	free(policy);
	free(other);
}

static void test_source(struct check *check)
{
	static const struct { const char *address, *source; uint8_t v4_bits, v6_bits; } table[] = {
		{ "192.0.2.77", "192.0.2.77", 32, 64 },
		{ "192.0.2.77", "192.0.2.64/26", 26, 64 },
		{ "192.0.2.77", "0.0.0.0/0", 0, 64 },
		{ "2001:db8:1:2:3::4", "2001:db8:1:2::/64", 32, 64 },
		{ "2001:db8:1:2:3::4", "2001:db8::/32", 24, 32 },
		{ "2001:db8:1:2:3::4", "2001:db8:1:2:3::4", 24, 128 },
		{ "2001:db8:1:2:3::4", "::/0", 24, 0 },
	};
	size_t count = sizeof(table) / sizeof(*table);
	struct weir_limit limit = { .serial = 1 }, none = { 0 };
	struct prefix address, source, wanted;

	for (size_t i = 0; i < count; i++) {
		limit.v4_bits = table[i].v4_bits;
		limit.v6_bits = table[i].v6_bits;
		address = prefix_of(table[i].address);
		wanted = prefix_of(table[i].source);
		source = limit_source(&limit, &address);
		CHECK(check, !prefix_cmp(&source, &wanted), "%s per %u %u", table[i].address,
		      limit.v4_bits, limit.v6_bits);
		source = limit_source(&none, &address);
		CHECK(check, !prefix_cmp(&source, &address), "%s, no limit", table[i].address);
	}
	check_done(check, "the source that an address is to a limit", "%zu cases", count);
}

static void test_entries(struct check *check)
{
	static const struct {
		const char *prefix;
		uint64_t until, effective;
	} table[] = {
		{ "10.0.0.0/8", 500, 500 },	{ "10.1.0.0/16", 900, 900 },
		{ "10.1.1.1/32", 100, 900 },	{ "10.2.0.0/16", 0, 0 },
		{ "10.2.3.0/24", 700, 0 },	{ "10.3.0.0/16", 100, 500 },
		{ "11.0.0.0/8", 100, 100 },	{ "2001:db8::/32", 300, 300 },
		{ "2001:db8::1/128", 200, 300 },
	};
	size_t count = sizeof(table) / sizeof(*table);
	struct entries entries = { 0 };
	struct prefix probe;

	for (size_t i = 0; i < count; i++) {
		struct prefix prefix = prefix_of(table[i * 7 % count].prefix);
		struct weir_entry value = { .until_ns = table[i * 7 % count].until };

		CHECK(check, entries_put(&entries, &prefix, &value) == 1, "added twice");
	}
	entries_resolve(&entries);
	for (size_t i = 0; i < count; i++) {
		struct prefix prefix = prefix_of(table[i].prefix);
		struct entry *entry = entries_find(&entries, &prefix);

		CHECK(check, entry && entry->value.effective_ns == table[i].effective, "%s",
		      table[i].prefix);
	}
	probe = prefix_of("10.1.1.1");
	CHECK(check, entries_cover(&entries, &probe, 50)->prefix.length == 128, "before its end");
	CHECK(check, entries_cover(&entries, &probe, 400)->prefix.length == 96 + 16, "after it");
	CHECK(check, !entries_cover(&entries, &probe, 1000), "after all");
	entries_expire(&entries, 400);
	CHECK(check, entries.count == 4, "%zu left", entries.count);
	check_done(check, "a ban inside one that lasts longer ends with that one", "%zu entries", count);
	free(entries.at);
}

/* ---- the part of the gate ---- */

#define LINK_PPS	(10e9 / (84 * 8))	/* the shortest packets, on 10 Gbit/s */

/* Of random sources at the full rate of a link, how many need a bucket under @limit; a share. */
static double need_buckets(const struct weir_limit *limit, double pps)
{
	static struct weir_gate_line gate[WEIR_GATE_LINES];
	double now = WEIR_TICKS_PER_S, seconds = 4.0 * limit->half / WEIR_TICKS_PER_S;
	uint64_t packets = pps * seconds, exact = 0;
	unsigned long long random = 1;

	packets = packets < 500000 ? 500000 : packets > 3000000 ? 3000000 : packets;
	memset(gate, 0, sizeof(gate));
	for (uint64_t i = 0; i < packets; i++, now += WEIR_TICKS_PER_S / pps) {
		struct weir_bucket_key key = { .lo = check_random(&random), .serial = limit->serial };
		struct gate_place place = gate_place(&key, 42, limit->gate_bits);
		__u64 *tat = gate[place.line].tat;

		exact += gate_charge(&tat[place.a], &tat[place.b], now, limit->cost, limit->cap,
				     0) + limit->cost > limit->half;
	}
	return (double)exact / packets;
}

static void test_gate_part(struct check *check)
{
	static const struct {
		uint64_t rate, burst;
		double link, most;	/* the share that may need buckets; 1: more than the gate holds */
		uint8_t bits;
	} rows[] = {
		{ 1000, 1000, 1, 0.001, 12 }, { 1000, 8, 1, 0.001, 12 }, { 1000, 2, 1, 0.03, 15 },
		{ 5000, 5000, 1, 0.001, 11 }, { 1000000, 1000000, 1, 0.001, 11 },
		{ 1000, 1000, 4, 0.001, 14 }, { 500, 500, 1, 0.001, 13 }, { 200, 200, 1, 0.001, 15 },
		{ 10, 10, 1, 1, 15 }, { 10000, 4, 1, 0.003, 12 },
	};
	double worst = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct weir_policy *policy = new_policy();
		struct weir_limit_spec spec = spec_of(NULL, rows[i].rate);
		double share;

		spec.burst_packets = rows[i].burst;
		policy_fit_gate(policy, rows[i].link * 10e9, NOW);
		CHECK(check, set(policy, spec) == 1, "%zu: set", i);
		CHECK(check, policy->limit[1].gate_bits == rows[i].bits, "%zu: 2^%u lines", i,
		      policy->limit[1].gate_bits);
		share = need_buckets(&policy->limit[1], rows[i].link * LINK_PPS);
		CHECK(check, share <= rows[i].most, "%zu: %.4f of the sources need a bucket", i, share);
		if (rows[i].most < 0.002 && share > worst)
			worst = share;
		free(policy);
	}
	check_done(check, "each limit has as much of the gate as a full link of new sources needs",
		   "%zu limits; with bursts of 8 packets or more at most %.4f%% need a bucket",
		   sizeof(rows) / sizeof(*rows), 100 * worst);
}

static void test_gate_refit(struct check *check)
{
	struct weir_policy *policy = new_policy();
	struct weir_limit *limit = &policy->limit[1], was;

	set(policy, spec_of(NULL, 1000));
	was = *limit;
	policy_fit_gate(policy, 1000000000, NOW);
	CHECK(check, !memcmp(limit, &was, sizeof(was)), "a slower link changed the limit");
	policy_fit_gate(policy, 40000000000, NOW);
	CHECK(check, limit->gate_bits == was.gate_bits + 2 && limit->floor == NOW + limit->half,
	      "2^%u lines, floor %lld", limit->gate_bits, (long long)(limit->floor - NOW));
	limit->floor = 0;
	set(policy, spec_of(NULL, 2000));
	CHECK(check, limit->gate_bits == was.gate_bits + 1, "2^%u lines of twice the rate",
	      limit->gate_bits);
	CHECK(check, limit->floor >= NOW + was.half / 2 &&
		     limit->floor <= NOW + was.half / 2 + was.half / 1000,
	      "500 packets of 1000pps: floor %lld", (long long)(limit->floor - NOW));
	check_done(check, "other cells begin with what a source may owe", "1000pps at 40 Gbit/s, then "
		   "2000pps");
	free(policy);
}

int main(void)
{
	struct check check = { 0 };

	test_choice(&check);
	test_source_ports(&check);
	test_icmp_types(&check);
	test_icmp_words(&check);
	test_port_sets(&check);
	test_limits_of_sets(&check);
	test_no_source_ports(&check);
	test_many(&check);
	test_too_many(&check);
	test_rows_stay(&check);
	test_ticks(&check);
	test_by_serial(&check);
	test_source(&check);
	test_entries(&check);
	test_gate_part(&check);
	test_gate_refit(&check);
	return check_exit(&check);
}
