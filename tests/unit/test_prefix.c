// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/prefix.h"
#include "user/model/prefixes.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void test_accepted(struct check *check)
{
	static const struct {
		const char *text, *formatted, *brief;
		bool host_bits;
	} cases[] = {
		{ "0.0.0.0", "0.0.0.0/32", "0.0.0.0", false },
		{ "255.255.255.255", "255.255.255.255/32", "255.255.255.255", false },
		{ "0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0", false },
		{ "255.255.255.255/0", "0.0.0.0/0", "0.0.0.0/0", true },
		{ "192.0.2.1/24", "192.0.2.0/24", "192.0.2.0/24", true },
		{ "192.0.2.1/32", "192.0.2.1/32", "192.0.2.1", false },
		{ "128.0.0.0/1", "128.0.0.0/1", "128.0.0.0/1", false },
		{ "::", "::/128", "::", false },
		{ "::/0", "::/0", "::/0", false },
		{ "ffff::/0", "::/0", "::/0", true },
		{ "2001:DB8::1", "2001:db8::1/128", "2001:db8::1", false },
		{ "2001:db8::1/64", "2001:db8::/64", "2001:db8::/64", true },
		{ "2001:0db8:0000::/32", "2001:db8::/32", "2001:db8::/32", false },
		{ "8000::/1", "8000::/1", "8000::/1", false },
		{ "::1.2.3.4", "::1.2.3.4/128", "::1.2.3.4", false },
		/* IPv4-mapped IPv6 */
		{ "::ffff:1.2.3.4", "1.2.3.4/32", "1.2.3.4", false },
		{ "::ffff:102:304", "1.2.3.4/32", "1.2.3.4", false },
		{ "::ffff:1.2.3.4/120", "1.2.3.0/24", "1.2.3.0/24", true },
		{ "::ffff:0:0/96", "0.0.0.0/0", "0.0.0.0/0", false },
		{ "::ffff:0:0/95", "::fffe:0:0/95", "::fffe:0:0/95", true },
		{ "1:2:3:4:5:6:123.123.123.123/128", "1:2:3:4:5:6:7b7b:7b7b/128",
		  "1:2:3:4:5:6:7b7b:7b7b", false },
		{ "aaaa:bbbb:cccc:dddd:eeee:ffff:1111:2222/128",
		  "aaaa:bbbb:cccc:dddd:eeee:ffff:1111:2222/128",
		  "aaaa:bbbb:cccc:dddd:eeee:ffff:1111:2222", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char err[ERR_LEN] = "", text[PREFIX_STRLEN];
		struct prefix prefix;
		bool host_bits;

		if (!CHECK(check, !prefix_parse(cases[i].text, &prefix, &host_bits, err), "%s",
			   err))
			continue;
		CHECK(check, host_bits == cases[i].host_bits, "%s", cases[i].text);
		prefix_format(&prefix, text);
		CHECK(check, !strcmp(text, cases[i].formatted), "%s: %s", cases[i].text, text);
		prefix_format_short(&prefix, text);
		CHECK(check, !strcmp(text, cases[i].brief), "%s: %s", cases[i].text, text);
	}
	check_done(check, "addresses and prefixes are read", "%zu texts", COUNT(cases));
}

static void test_refused(struct check *check)
{
	static const struct {
		const char *text, *err;
	} cases[] = {
		{ "10.0.0.0/33", "\"10.0.0.0/33\": IPv4 prefix length is 0..32" },
		{ "10.0.0.0/1000", "\"10.0.0.0/1000\": IPv4 prefix length is 0..32" },
		{ "10.0.0.0/4294967320", "\"10.0.0.0/4294967320\": IPv4 prefix length is 0..32" },
		{ "::/129", "\"::/129\": IPv6 prefix length is 0..128" },
		{ "10.0.0.0/", "\"10.0.0.0/\": a prefix length is a decimal number" },
		{ "10.0.0.0/+8", "\"10.0.0.0/+8\": a prefix length is a decimal number" },
		{ "10.0.0.0/-8", "\"10.0.0.0/-8\": a prefix length is a decimal number" },
		{ "10.0.0.0/08", "\"10.0.0.0/08\": a prefix length has no leading zero" },
		{ "10.0.0.0/8 ", "\"10.0.0.0/8 \": something follows the prefix length" },
		{ "10.0.0.0/255.0.0.0",
		  "\"10.0.0.0/255.0.0.0\": a prefix length is a number, not a netmask" },
		{ "10.0.0.0/8.0", "\"10.0.0.0/8.0\": a prefix length is a number, not a netmask" },
		{ "10.0.0.0 ", "\"10.0.0.0 \": something follows the address" },
		{ "10.0.0.0-10.0.0.9", "\"10.0.0.0-10.0.0.9\": a range, not a prefix" },
		{ " 10.0.0.0", "\" 10.0.0.0\": neither IPv4 nor IPv6" },
		{ "1.2.3", "\"1.2.3\": an IPv4 address has four octets" },
		{ "1.2.3.4.5", "\"1.2.3.4.5\": something follows the address" },
		{ "1.2..4", "\"1.2..4\": an IPv4 address has four octets" },
		{ "1.2.3.256", "\"1.2.3.256\": an IPv4 octet is 0..255" },
		{ "1.2.3.1000", "\"1.2.3.1000\": an IPv4 octet is 0..255" },
		{ "01.2.3.4", "\"01.2.3.4\": an IPv4 octet has no leading zero" },
		{ "1.2.3.00", "\"1.2.3.00\": an IPv4 octet has no leading zero" },
		{ "16909060", "\"16909060\": an IPv4 octet is 0..255" },
		{ "example.org", "\"example.org\": neither IPv4 nor IPv6" },
		{ "", "\"\": empty" },
		{ "/24", "\"/24\": neither IPv4 nor IPv6" },
		{ ":", "\":\": not an IPv6 address" },
		{ ":::", "\":::\": not an IPv6 address" },
		{ "1::2::3", "\"1::2::3\": not an IPv6 address" },
		{ "12345::", "\"12345::\": not an IPv6 address" },
		{ "::ffff:1.2.3.04", "\"::ffff:1.2.3.04\": not an IPv6 address" },
		{ "1:2:3:4:5:6:7:8:9", "\"1:2:3:4:5:6:7:8:9\": not an IPv6 address" },
		{ "fe80::1%eth0", "\"fe80::1%eth0\": an address with a zone (%...) is not supported here" },
		{ "1.2.3.4\x1b[2J", "\"1.2.3.4\\x1b[2J\": something follows the address" },
		{ "0000000000000000000000000000000000000000000000000000000000000000::",
		  "\"0000000000000000000000000000000000000000000...\": not an IPv6 address" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefix prefix;
		char err[ERR_LEN] = "";

		CHECK(check, prefix_parse(cases[i].text, &prefix, NULL, err) == -EINVAL, "%s",
		      cases[i].text);
		CHECK(check, !strcmp(err, cases[i].err), "%s, not %s", err, cases[i].err);
	}
	check_done(check, "text that is not a prefix is refused, with the reason", "%zu texts",
		   COUNT(cases));
}

/* Bytes behind the given length must not be read; a NUL within it is not the end. */
static void test_pieces(struct check *check)
{
	struct prefix prefix;
	const char *why;

	CHECK(check,
	      !prefix_scan("1.2.3.45", 7, &prefix, NULL, &why) && (uint32_t)prefix.lo == 0x01020304,
	      "read beyond the end");
	CHECK(check, !prefix_scan("::1/128", 6, &prefix, NULL, &why) && prefix.length == 12,
	      "length %d", prefix.length);
	CHECK(check, prefix_scan("::1\0z", 5, &prefix, NULL, &why), "NUL ended an address");
	CHECK(check, prefix_scan("1.2.3.4\0", 8, &prefix, NULL, &why), "NUL ended an address");
	check_done(check, "text of a given length", "4 pieces");
}

static struct prefix random_prefix(unsigned long long *state, enum prefix_family family)
{
	struct prefix prefix;

	if (family == PREFIX_V4) {
		prefix = prefix_v4(check_random(state), 0);
		prefix.length += check_random(state) % 33;
	} else {
		prefix.hi = check_random(state);
		prefix.lo = check_random(state);
		prefix.length = check_random(state) % 129;
		/* runs of zeros, so that texts with "::" occur, too */
		for (int i = 0; i < 4; i++) {
			if (check_random(state) & 1)
				prefix.hi &= ~(0xffffULL << i * 16);
			if (check_random(state) & 1)
				prefix.lo &= ~(0xffffULL << i * 16);
		}
	}
	prefix_mask(&prefix);
	return prefix;
}

static void test_round_trips(struct check *check)
{
	unsigned long long state = check_seed();
	struct weir_prefix key;
	struct prefix prefix, back;
	char text[PREFIX_STRLEN], err[ERR_LEN] = "";
	bool host_bits;
	int rounds = 200000;

	for (int i = 0; i < rounds; i++) {
		prefix = random_prefix(&state, i & 1);
		prefix_format(&prefix, text);
		CHECK(check,
		      !prefix_parse(text, &back, &host_bits, err) && !host_bits &&
			      !prefix_cmp(&prefix, &back),
		      "%s: %s", text, err);
		prefix_format_short(&prefix, text);
		CHECK(check,
		      !prefix_parse(text, &back, &host_bits, err) && !prefix_cmp(&prefix, &back),
		      "%s: %s", text, err);
		prefix_to_key(&prefix, &key);
		prefix_from_key(&key, &back);
		CHECK(check, !prefix_cmp(&prefix, &back), "%s through a key", text);
	}
	prefix = prefix_v4(0xc0000201, 32);
	prefix_to_key(&prefix, &key);
	CHECK(check,
	      key.prefixlen == 128 && key.addr[9] == 0 && key.addr[10] == 0xff &&
		      key.addr[11] == 0xff && key.addr[12] == 192 && key.addr[15] == 1,
	      "192.0.2.1 in network order");
	check_done(check, "text and keys convert back to the same prefix",
		   "%d prefixes, seed %llu", rounds, check_seed());
}

static int bit_of(const struct prefix *prefix, int bit)
{
	return (bit < 64 ? prefix->hi >> (63 - bit) : prefix->lo >> (127 - bit)) & 1;
}

static void test_covers(struct check *check)
{
	unsigned long long state = check_seed() + 1;
	int rounds = 200000, covered = 0;

	for (int i = 0; i < rounds; i++) {
		struct prefix a = random_prefix(&state, i & 1), b = a;
		int bits = 0;

		/* near each other, or none would cover the other */
		b.length = check_random(&state) % 129;
		if (check_random(&state) & 1)
			b.lo ^= 1ULL << check_random(&state) % 64;
		if (check_random(&state) & 1)
			b.hi ^= 1ULL << check_random(&state) % 64;
		prefix_mask(&b);
		while (bits < 128 && bit_of(&a, bits) == bit_of(&b, bits))
			bits++;
		CHECK(check, prefix_covers(&a, &b) == (a.length <= b.length && bits >= a.length),
		      "lengths %d %d, %d bits equal", a.length, b.length, bits);
		covered += prefix_covers(&a, &b);
		if (prefix_covers(&a, &b))
			CHECK(check, prefix_cmp(&a, &b) <= 0, "a prefix sorts before one that covers it");
	}
	check_done(check, "covering, compared bit by bit", "%d pairs, %d covered", rounds, covered);
}

/* ::/0 to ::ffff:0:0/95 enclose ::ffff:0:0/96, and cover nothing of IPv4. */
static void test_families(struct check *check)
{
	struct prefix v4 = prefix_v4(0xcb007100, 24), every = prefix_v4(0, 0), ip6 = { 0, 1, 128 };

	for (int length = 0; length < 96; length++) {
		struct prefix outer = { 0, 0xffffULL << 32, length };

		prefix_mask(&outer);
		CHECK(check, prefix_encloses(&outer, &v4) && !prefix_covers(&outer, &v4) &&
			     !prefix_covers(&outer, &every), "length %d covers IPv4", length);
		CHECK(check, prefix_covers(&outer, &outer), "length %d covers not itself", length);
		CHECK(check, length > 80 || prefix_covers(&outer, &ip6), "length %d: ::1", length);
	}
	CHECK(check, prefix_covers(&every, &v4) && !prefix_covers(&every, &ip6), "0.0.0.0/0");
	check_done(check, "a prefix of IPv6 covers nothing of IPv4", "96 lengths");
}

static int naive_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static void fill(struct prefixes *set, unsigned long long *state, int count, bool twice)
{
	for (int i = 0; i < count; i++) {
		struct prefix prefix = random_prefix(state, i & 1);

		if (prefixes_add(set, &prefix) || (twice && prefixes_add(set, &prefix)))
			abort();
	}
}

static void test_sort(struct check *check)
{
	unsigned long long state = check_seed() + 2;
	struct prefixes set = { 0 };
	size_t total, kept = 0, duplicates;
	struct prefix *naive;

	fill(&set, &state, 20000, false);
	fill(&set, &state, 5000, true);
	total = prefixes_count(&set);
	naive = calloc(total, sizeof(*naive));
	for (size_t i = 0; i < total; i++)
		naive[i] = prefixes_at(&set, i);
	qsort(naive, set.v4_count, sizeof(*naive), naive_cmp);
	qsort(naive + set.v4_count, set.v6_count, sizeof(*naive), naive_cmp);
	for (size_t i = 0; i < total; i++)
		if (!i || prefix_cmp(&naive[kept - 1], &naive[i]))
			naive[kept++] = naive[i];
	CHECK(check, !prefixes_sort(&set, &duplicates), "sort");
	CHECK(check, duplicates == total - kept, "%zu removed, %zu duplicates", duplicates,
	      total - kept);
	CHECK(check, prefixes_count(&set) == kept, "%zu, not %zu", prefixes_count(&set), kept);
	for (size_t i = 0; i < kept && i < prefixes_count(&set); i++) {
		struct prefix here = prefixes_at(&set, i);

		CHECK(check, !prefix_cmp(&here, &naive[i]), "at %zu", i);
		CHECK(check, prefixes_has(&set, &here), "a prefix of the set is not found");
	}
	CHECK(check, !prefixes_sort(&set, &duplicates) && !duplicates, "sorting again changed something");
	check_done(check, "sorting, compared with qsort", "%zu prefixes, %zu duplicates", total,
		   total - kept);
	free(naive);
	prefixes_free(&set);
}

/*
 * Worlds of 256 addresses, or networks, small enough to have a flag for each. The one of IPv6 lies
 * across the border of the two words of an address.
 */
static const struct {
	struct prefix base;
	int shift;	/* of its 8 bits in the 128 */
} worlds[] = {
	{ { 0, 0xffffc0000200ULL, 120 }, 0 },
	{ { 0x20010db800000010ULL, 0, 60 }, 60 },
};

static struct prefix in_world(int world, int first, int bits)
{
	unsigned __int128 offset = (unsigned __int128)first << worlds[world].shift;
	struct prefix prefix = worlds[world].base;

	prefix.hi |= offset >> 64;
	prefix.lo |= offset;
	prefix.length += bits;
	prefix_mask(&prefix);
	return prefix;
}

static void paint(bool flags[256], int first, int bits)
{
	int count = 1 << (8 - bits);

	for (int i = first & ~(count - 1); count--; i++)
		flags[i] = true;
}

static void check_queries(struct check *check, const struct prefixes *set, const bool flags[256],
			  int world)
{
	for (int bits = 0; bits <= 8; bits++) {
		for (int first = 0; first < 256; first += 1 << (8 - bits)) {
			struct prefix prefix = in_world(world, first, bits), which;
			int held = 0, count = 1 << (8 - bits);

			for (int i = 0; i < count; i++)
				held += flags[first + i];
			CHECK(check, prefixes_overlap(set, &prefix, &which) == (held > 0),
			      "world %d, %d + %d", world, first, count);
			CHECK(check, prefixes_cover(set, &prefix) == (held == count),
			      "world %d, %d + %d", world, first, count);
			CHECK(check,
			      !held || prefix_covers(&which, &prefix) ||
				      prefix_covers(&prefix, &which),
			      "the overlapping prefix does not overlap");
		}
	}
}

/* Checks that the set is in order, disjoint, and has no two halves that could be joined. */
static void check_smallest(struct check *check, const struct prefixes *set)
{
	CHECK(check, prefixes_are_disjoint(set), "not in order or not disjoint");
	for (int family = PREFIX_V4; family <= PREFIX_V6; family++) {
		for (size_t i = 1; i < prefixes_in(set, family); i++) {
			struct prefix a = prefixes_get(set, family, i - 1);
			struct prefix b = prefixes_get(set, family, i);
			bool halves = a.length == b.length;

			if (a.length)
				a.length--;
			prefix_mask(&a);
			CHECK(check, !halves || !prefix_covers(&a, &b), "two halves at %zu", i);
		}
	}
}

static void test_merge(struct check *check)
{
	unsigned long long state = check_seed() + 3;
	size_t before = 0, after = 0;
	int rounds = 2000;

	for (int round = 0; round < rounds; round++) {
		struct prefixes set = { 0 };
		bool flags[2][256] = { 0 };
		int count = check_random(&state) % 60;
		int least = check_random(&state) % 9;

		for (int i = 0; i < count; i++) {
			int first = check_random(&state) & 255, world = check_random(&state) & 1;
			int bits = least + check_random(&state) % (9 - least);
			struct prefix prefix = in_world(world, first, bits);

			paint(flags[world], first, bits);
			if (prefixes_add(&set, &prefix))
				abort();
		}
		before += prefixes_count(&set);
		CHECK(check, !prefixes_merge(&set), "merge");
		after += prefixes_count(&set);
		check_smallest(check, &set);
		check_queries(check, &set, flags[0], 0);
		check_queries(check, &set, flags[1], 1);
		prefixes_free(&set);
	}
	check_done(check, "merging and look-ups, compared address by address",
		   "%d sets, %zu prefixes to %zu, every prefix of both worlds", rounds, before,
		   after);
}

/* At the first and the last address, where sums overflow. */
static void test_merge_edges(struct check *check)
{
	static const struct {
		const char *in[4], *out[3];
	} cases[] = {
		{ { "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1" }, { "0.0.0.0/0", "::/0" } },
		{ { "0.0.0.0/0", "255.255.255.255", "::", "ffff::" },
		  { "0.0.0.0/0", "::", "ffff::" } },
		{ { "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4" },
		  { "1.2.3.4", "::/0" } },
		/* as numbers these are two halves, but IPv4 and IPv6 are never joined */
		{ { "::fffe:0:0/96", "0.0.0.0/0" }, { "0.0.0.0/0", "::fffe:0:0/96" } },
		{ { "255.255.255.254", "255.255.255.255" }, { "255.255.255.254/31" } },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefixes set = { 0 };
		size_t wanted = 0;

		for (int j = 0; j < 4 && cases[i].in[j]; j++) {
			struct prefix prefix;
			char err[ERR_LEN];

			if (prefix_parse(cases[i].in[j], &prefix, NULL, err) ||
			    prefixes_add(&set, &prefix))
				abort();
		}
		CHECK(check, !prefixes_merge(&set), "merge");
		for (int j = 0; j < 3 && cases[i].out[j]; j++, wanted++) {
			char text[PREFIX_STRLEN] = "nothing";
			struct prefix prefix;

			if (wanted < prefixes_count(&set)) {
				prefix = prefixes_at(&set, wanted);
				prefix_format_short(&prefix, text);
			}
			CHECK(check, !strcmp(text, cases[i].out[j]), "%s, not %s", text,
			      cases[i].out[j]);
		}
		CHECK(check, prefixes_count(&set) == wanted, "%zu", prefixes_count(&set));
		prefixes_free(&set);
	}
	check_done(check, "merging at the first and last addresses", "%zu sets", COUNT(cases));
}

static void test_diff(struct check *check)
{
	unsigned long long state = check_seed() + 4;
	struct prefixes from = { 0 }, to = { 0 }, added = { 0 }, removed = { 0 };
	size_t gone = 0, come = 0;

	fill(&from, &state, 5000, false);
	if (prefixes_append(&to, &from))
		abort();
	fill(&from, &state, 700, false);
	fill(&to, &state, 900, false);
	if (prefixes_sort(&from, NULL) || prefixes_sort(&to, NULL))
		abort();
	CHECK(check, !prefixes_diff(&from, &to, &added, &removed), "diff");
	for (size_t i = 0; i < prefixes_count(&from); i++) {
		struct prefix prefix = prefixes_at(&from, i);
		bool stays = prefixes_has(&to, &prefix);

		gone += !stays;
		CHECK(check, prefixes_has(&removed, &prefix) == !stays, "prefix %zu of the first", i);
	}
	for (size_t i = 0; i < prefixes_count(&to); i++) {
		struct prefix prefix = prefixes_at(&to, i);
		bool stays = prefixes_has(&from, &prefix);

		come += !stays;
		CHECK(check, prefixes_has(&added, &prefix) == !stays, "prefix %zu of the second", i);
	}
	CHECK(check, prefixes_count(&removed) == gone && prefixes_count(&added) == come,
	      "%zu removed of %zu, %zu added of %zu", prefixes_count(&removed), gone,
	      prefixes_count(&added), come);
	CHECK(check, !prefixes_diff(&from, &from, &added, NULL) && prefixes_count(&added) == come,
	      "a set differs from itself");
	check_done(check, "the difference of two sets", "%zu added, %zu removed", come, gone);
	prefixes_free(&from);
	prefixes_free(&to);
	prefixes_free(&added);
	prefixes_free(&removed);
}

static void check_broken(struct check *check, const uint64_t *words, size_t v4, size_t v6,
			 const char *what)
{
	struct prefixes set = { 0 };
	struct prefix prefix = prefix_v4(1, 32);

	if (prefixes_add(&set, &prefix))
		abort();
	CHECK(check, prefixes_unpack(&set, words, v4, v6) == -EINVAL, "%s", what);
	CHECK(check, set.v4_count == 1 && !set.v6_count, "%s: the set changed", what);
	prefixes_free(&set);
}

static void test_pack(struct check *check)
{
	unsigned long long state = check_seed() + 5;
	struct prefixes set = { 0 }, back = { 0 };
	uint64_t *words;
	size_t count;

	fill(&set, &state, 10000, false);
	if (prefixes_sort(&set, NULL))
		abort();
	count = prefixes_words(&set);
	words = calloc(count, sizeof(*words));
	prefixes_pack(&set, words);
	CHECK(check, !prefixes_unpack(&back, words, set.v4_count, set.v6_count), "unpack");
	CHECK(check, back.v4_count == set.v4_count && back.v6_count == set.v6_count, "counts");
	for (size_t i = 0; i < prefixes_count(&back) && i < prefixes_count(&set); i++) {
		struct prefix a = prefixes_at(&set, i), b = prefixes_at(&back, i);

		CHECK(check, !prefix_cmp(&a, &b), "at %zu", i);
	}
	check_broken(check, (uint64_t[]){ 1ULL << 40 }, 1, 0, "IPv4 beyond 32 bits");
	check_broken(check, (uint64_t[]){ 33 }, 1, 0, "IPv4 length 33");
	check_broken(check, (uint64_t[]){ 1 << 8 | 31 }, 1, 0, "IPv4 host bits");
	check_broken(check, (uint64_t[]){ 2 << 8 | 32, 1 << 8 | 32 }, 2, 0, "order");
	check_broken(check, (uint64_t[]){ 1 << 8 | 32, 1 << 8 | 32 }, 2, 0, "twice");
	check_broken(check, (uint64_t[]){ 0, 0, 129 }, 0, 1, "IPv6 length 129");
	check_broken(check, (uint64_t[]){ 0, 1, 127 }, 0, 1, "IPv6 host bits");
	check_broken(check, (uint64_t[]){ 0, 0xffffULL << 32, 96 }, 0, 1, "IPv4 among IPv6");
	check_done(check, "packing and unpacking; damaged words are refused", "%zu words", count);
	free(words);
	prefixes_free(&set);
	prefixes_free(&back);
}

static void test_speed(struct check *check)
{
	unsigned long long state = check_seed() + 6;
	double seconds[2];
	int rounds = 100000;

	for (int family = PREFIX_V4; family <= PREFIX_V6; family++) {
		char(*text)[PREFIX_STRLEN] = calloc(rounds, sizeof(*text));
		struct prefix prefix;
		const char *why;
		int read = 0;

		for (int i = 0; i < rounds; i++) {
			prefix = random_prefix(&state, family);
			prefix_format(&prefix, text[i]);
		}
		seconds[family] = check_seconds();
		for (int i = 0; i < rounds; i++)
			read += !prefix_scan(text[i], strlen(text[i]), &prefix, NULL, &why);
		seconds[family] = check_seconds() - seconds[family];
		CHECK(check, read == rounds, "%d", read);
		free(text);
	}
	check_done(check, "the time to read one prefix", "IPv4 %.0f ns, IPv6 %.0f ns",
		   seconds[PREFIX_V4] / rounds * 1e9, seconds[PREFIX_V6] / rounds * 1e9);
}

int main(void)
{
	struct check check = { 0 };

	test_accepted(&check);
	test_refused(&check);
	test_pieces(&check);
	test_round_trips(&check);
	test_covers(&check);
	test_families(&check);
	test_sort(&check);
	test_merge(&check);
	test_merge_edges(&check);
	test_diff(&check);
	test_pack(&check);
	test_speed(&check);
	return check_exit(&check);
}
