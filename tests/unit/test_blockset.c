// SPDX-License-Identifier: GPL-2.0-only
/*
 * The compiled block set, compared with an oracle that shares no code with it: a hash of the
 * prefixes as they were drawn, in which an address is looked up length by length.
 */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/blockset.h"
#include "user/model/error.h"

#define LOOKUPS 1000000

/* ---- the oracle: a hash, with open addressing, of (masked address, length) ---- */

struct oracle {
	struct prefix *slot;
	uint8_t *used;
	size_t mask;
	bool lengths[129];
};

static size_t oracle_home(const struct oracle *oracle, const struct prefix *prefix)
{
	unsigned long long state = prefix->hi * 31 + prefix->lo * 17 + prefix->length;

	return check_random(&state) & oracle->mask;
}

static bool oracle_holds(const struct oracle *oracle, const struct prefix *prefix)
{
	for (size_t i = oracle_home(oracle, prefix); oracle->used[i]; i = (i + 1) & oracle->mask)
		if (!prefix_cmp(&oracle->slot[i], prefix))
			return true;
	return false;
}

static void oracle_make(struct oracle *oracle, const struct prefixes *set)
{
	size_t size = 16;

	while (size < 4 * prefixes_count(set))
		size *= 2;
	*oracle = (struct oracle){ .slot = calloc(size, sizeof(*oracle->slot)),
				   .used = calloc(size, 1),
				   .mask = size - 1 };
	if (!oracle->slot || !oracle->used)
		abort();
	for (size_t n = 0; n < prefixes_count(set); n++) {
		struct prefix prefix = prefixes_at(set, n);
		size_t i = oracle_home(oracle, &prefix);

		while (oracle->used[i])
			i = (i + 1) & oracle->mask;
		oracle->slot[i] = prefix;
		oracle->used[i] = 1;
		oracle->lengths[prefix.length] = true;
	}
}

static bool oracle_has(const struct oracle *oracle, const struct prefix *address, bool v4)
{
	for (int length = v4 ? 96 : 0; length <= 128; length++) {
		struct prefix prefix = *address;

		if (!oracle->lengths[length])
			continue;
		prefix.length = length;
		prefix_mask(&prefix);
		if (oracle_holds(oracle, &prefix))
			return true;
	}
	return false;
}

/* ---- compiling ---- */

struct memory {
	struct weir_line *lines;
	size_t count;
	int calls;
};

static struct weir_line *allocate(void *ctx, size_t lines)
{
	struct memory *memory = ctx;

	memory->calls++;
	memory->count = lines;
	memory->lines = calloc(lines, sizeof(*memory->lines));
	return memory->lines;
}

/* Compiles a merged copy of @set. */
static void compile(struct check *check, const struct prefixes *set, struct memory *memory)
{
	struct prefixes merged = { 0 };
	char err[ERR_LEN] = "";

	*memory = (struct memory){ 0 };
	if (prefixes_append(&merged, set) || prefixes_merge(&merged))
		abort();
	CHECK(check, !blockset_compile(&merged, 7, 1, allocate, memory, err), "%s", err);
	CHECK(check, memory->calls == 1, "%d allocations", memory->calls);
	prefixes_free(&merged);
}

/* ---- random prefixes and addresses ---- */

static struct prefix draw_address(unsigned long long *random, bool v4)
{
	if (v4)
		return prefix_v4(check_random(random), 32);
	return (struct prefix){ .hi = check_random(random),
				.lo = check_random(random),
				.length = 128 };
}

/*
 * A length of any kind. In large sets nearly all are long, because a few short prefixes would cover
 * all addresses.
 */
static uint8_t draw_length(unsigned long long *random, int most, size_t count)
{
	int length = check_random(random) % (most + 1);

	if (count > 100 && check_random(random) % count)
		while (length < most * 5 / 8)
			length = check_random(random) % (most + 1);
	return length < 3 ? 3 : length;
}

static void draw_set(struct prefixes *set, size_t count, bool v4, unsigned long long *random)
{
	for (size_t i = 0; i < count; i++) {
		struct prefix prefix = draw_address(random, v4);

		/* Every third one near another, so that some are nested and some are neighbours. */
		if (i % 3 == 0 && prefixes_count(set)) {
			struct prefix near =
				prefixes_at(set, check_random(random) % prefixes_count(set));

			prefix.hi = near.hi;
			prefix.lo = v4 ? near.lo ^ (check_random(random) & 0xfff) : prefix.lo;
		}
		prefix.length = v4 ? 96 + draw_length(random, 32, count) :
				     draw_length(random, 128, count);
		prefix_mask(&prefix);
		if (prefixes_add(set, &prefix))
			abort();
	}
}

/* A random address: in a prefix of the set, just outside of one, or anywhere. */
static struct prefix draw_probe(const struct prefixes *set, bool v4, unsigned long long *random)
{
	struct prefix address = draw_address(random, v4), base;
	int kept;

	if (!prefixes_count(set) || check_random(random) % 4 == 0)
		return address;
	base = prefixes_at(set, check_random(random) % prefixes_count(set));
	kept = base.length + (check_random(random) % 4 ? 0 : check_random(random) % 3 - 1);
	if (kept < 0 || kept > 128)
		kept = base.length;
	base.length = kept;
	prefix_mask(&base);
	for (int bit = kept; bit < 128; bit++) {
		uint64_t *half = bit < 64 ? &base.hi : &base.lo;
		uint64_t one = 1ULL << (63 - bit % 64);

		*half = (*half & ~one) | ((bit < 64 ? address.hi : address.lo) & one);
	}
	base.length = 128;
	if (v4)
		base = prefix_v4(base.lo, 32);
	return base;
}

static void test_random(struct check *check, bool v4, unsigned long long *random)
{
	static const size_t sizes[] = { 1, 10, 1000, 30000, 200000 };
	unsigned long long lookups = 0, blocked = 0, wrong = 0;

	for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
		struct prefixes set = { 0 };
		struct memory memory;
		struct oracle oracle;

		draw_set(&set, sizes[n], v4, random);
		oracle_make(&oracle, &set);
		compile(check, &set, &memory);
		for (int i = 0; i < LOOKUPS / 4; i++, lookups++) {
			struct prefix probe = draw_probe(&set, v4, random);
			bool is = blockset_has(memory.lines, memory.count, &probe);

			blocked += is;
			wrong += is != oracle_has(&oracle, &probe, v4);
		}
		free(oracle.slot);
		free(oracle.used);
		free(memory.lines);
		prefixes_free(&set);
	}
	CHECK(check, !wrong, "%llu wrong", wrong);
	check_done(check, v4 ? "IPv4 compared with the oracle" : "IPv6 compared with the oracle",
		   "%llu look-ups in 5 sets of up to 200000 prefixes of all lengths, %llu blocked, "
		   "%llu wrong",
		   lookups, blocked, wrong);
}

/* ---- the edges of single prefixes ---- */

static struct prefix step(struct prefix address, int by)
{
	uint64_t lo = address.lo;

	address.lo += by;
	if (by > 0 && address.lo < lo)
		address.hi++;
	if (by < 0 && address.lo > lo)
		address.hi--;
	return address;
}

static struct prefix last_of(struct prefix prefix)
{
	if (prefix.length <= 64) {
		prefix.hi |= prefix.length < 64 ? ~0ULL >> prefix.length : 0;
		prefix.lo = ~0ULL;
	} else if (prefix.length < 128) {
		prefix.lo |= ~0ULL >> (prefix.length - 64);
	}
	prefix.length = 128;
	return prefix;
}

static void test_edges(struct check *check, unsigned long long *random)
{
	unsigned long long probes = 0;

	for (int round = 0; round < 129 + 33; round++) {
		bool v4 = round > 128;
		struct prefix prefix = draw_address(random, v4), first, last, probe;
		struct prefixes set = { 0 };
		struct memory memory;

		prefix.length = v4 ? 96 + round - 129 : round;
		prefix_mask(&prefix);
		if (prefixes_add(&set, &prefix))
			abort();
		compile(check, &set, &memory);
		first = prefix;
		first.length = 128;
		last = last_of(prefix);
		CHECK(check, blockset_has(memory.lines, memory.count, &first), "first, /%d", round);
		CHECK(check, blockset_has(memory.lines, memory.count, &last), "last, /%d", round);
		probe = step(first, -1);
		if (!v4 || prefix_is_v4(&probe))
			CHECK(check,
			      prefix.length == 0 ||
				      !blockset_has(memory.lines, memory.count, &probe),
			      "before /%d", round);
		probe = step(last, 1);
		if (!v4 || prefix_is_v4(&probe))
			CHECK(check,
			      prefix.length == 0 ||
				      !blockset_has(memory.lines, memory.count, &probe),
			      "after /%d", round);
		probes += 4;
		free(memory.lines);
		prefixes_free(&set);
	}
	check_done(check, "first and last address of a prefix of each length, and their neighbours",
		   "%llu probes", probes);
}

static void test_ends_of_the_space(struct check *check)
{
	static const char *const texts[] = {
		"0.0.0.0",   "255.255.255.255",
		"128.0.0.0", "127.255.255.255",
		"::",	     "::1",
		"8000::",    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	};
	static const char *const sets[][2] = {
		{ "0.0.0.0/0", "::/0" },
		{ "0.0.0.0/1", "::/1" },
		{ "128.0.0.0/1", "8000::/1" },
		{ "255.255.255.255/32", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
		{ "0.0.0.0/32", "::/128" },
	};
	unsigned int probes = 0;
	char err[ERR_LEN];

	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		struct prefixes set = { 0 };
		struct prefix two[2], address;
		struct memory memory;

		for (int n = 0; n < 2; n++)
			if (prefix_parse(sets[i][n], &two[n], NULL, err) ||
			    prefixes_add(&set, &two[n]))
				abort();
		compile(check, &set, &memory);
		for (size_t n = 0; n < sizeof(texts) / sizeof(*texts); n++, probes++) {
			if (prefix_parse(texts[n], &address, NULL, err))
				abort();
			CHECK(check,
			      blockset_has(memory.lines, memory.count, &address) ==
				      prefix_covers(&two[!prefix_is_v4(&address)], &address),
			      "%s in %s", texts[n], sets[i][!prefix_is_v4(&address)]);
		}
		free(memory.lines);
		prefixes_free(&set);
	}
	check_done(check, "/0, /1, /32 and /128 at the first and last addresses", "%u probes", probes);
}

static void test_million(struct check *check, unsigned long long *random)
{
	struct prefixes set = { 0 };
	struct memory memory;
	size_t prefixes;
	double start;

	for (int i = 0; i < 750000; i++) {
		struct prefix prefix = draw_address(random, true);

		prefix.length = i % 4 ? 128 : 96 + 24;
		prefix_mask(&prefix);
		if (prefixes_add(&set, &prefix))
			abort();
	}
	for (int i = 0; i < 256000; i++) {
		struct prefix prefix = draw_address(random, false);

		prefix.hi = prefix.hi >> 4 | 2ULL << 60;
		prefix.length = i % 3 ? 64 : i % 2 ? 48 : 128;
		prefix_mask(&prefix);
		if (prefixes_add(&set, &prefix))
			abort();
	}
	start = check_seconds();
	compile(check, &set, &memory);
	prefixes = prefixes_count(&set);
	start = check_seconds() - start;
	check_done(check, "a million mixed prefixes",
		   "%zu prefixes, %.1f MiB, merged and compiled in "
		   "%.2f s",
		   prefixes, memory.count * 64 / 1048576.0, start);
	free(memory.lines);
	prefixes_free(&set);
}

int main(void)
{
	unsigned long long random = check_seed();
	struct check check = { 0 };

	printf("seed %llu\n", random);
	test_random(&check, true, &random);
	test_random(&check, false, &random);
	test_edges(&check, &random);
	test_ends_of_the_space(&check);
	test_million(&check, &random);
	return check_exit(&check);
}
