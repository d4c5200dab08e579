// SPDX-License-Identifier: GPL-2.0-only
/*
 * A line of the table of known sources, against rules that are written down the simple way: what a
 * sender can do who sends what and when it likes.
 */
#include <stdint.h>
#include <string.h>

#include "bpf/pure/known_line.h"
#include "tests/unit/check.h"

#define ROUNDS	200000
#define KEYS	12	/* more than a line has room for */

static struct check check;
static unsigned long long state;

static int tier_now(const struct weir_known_line *line, uint64_t key, uint64_t minute)
{
	return known_tier(known_rank(line, known_epoch(minute), key), -1);
}

/* ---- one source alone ---- */

/* Whatever a source does without proof, and for how long, it is seen at most. */
static void test_without_proof(void)
{
	struct weir_known_line line = { 0 };
	uint64_t minute = KNOWN_BEFORE;
	int most = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t key = 1 + check_random(&state) % KEYS;
		int rank, before = (int)(check_random(&state) % 5) - 1;	/* no proof: at most 3 */

		minute += check_random(&state) % 4 == 0;
		rank = known_note(&line, key, minute, before, check_random(&state) % 2);
		CHECK(&check, rank < 0 || !(rank & (WEIR_RANK_PROVEN | WEIR_RANK_LONG)),
		      "rank %d", rank);
		for (key = 1; key <= KEYS; key++)
			if (tier_now(&line, key, minute) > most)
				most = tier_now(&line, key, minute);
	}
	CHECK(&check, most == WEIR_SEEN, "tier %d", most);
	check_done(&check, "without proof a source is seen at most", "%d packets, tier %d", ROUNDS,
		   most);
}

static void test_score(void)
{
	struct weir_known_line line = { 0 };
	uint64_t minute = KNOWN_BEFORE;
	int rank;

	for (int i = 0; i < 100; i++)
		known_note(&line, 1, minute, -1, KNOWN_GOOD);
	CHECK(&check, tier_now(&line, 1, minute) == WEIR_FIRST_SEEN, "known in one minute");
	known_note(&line, 1, minute + 1, -1, KNOWN_GOOD);
	known_note(&line, 1, minute + 2, -1, KNOWN_BAD);
	known_note(&line, 1, minute + 3, -1, KNOWN_GOOD);
	rank = known_note(&line, 1, minute + 4, -1, KNOWN_GOOD);
	CHECK(&check, rank == 2, "rank %d after its excess and two minutes", rank);
	rank = known_note(&line, 1, minute + 5, -1, KNOWN_GOOD);
	CHECK(&check, rank == (WEIR_KNOWN_SCORE | KNOWN_ROSE), "rank %d", rank);
	known_put_off(&line, 1);
	CHECK(&check, tier_now(&line, 1, minute + 5) == WEIR_FIRST_SEEN, "known though put off");
	rank = known_note(&line, 1, minute + 5, -1, KNOWN_GOOD);
	CHECK(&check, rank == 2, "rank %d in the minute in which it was put off", rank);
	rank = known_note(&line, 1, minute + 6, -1, KNOWN_GOOD);
	CHECK(&check, rank == (WEIR_KNOWN_SCORE | KNOWN_ROSE), "rank %d a minute later", rank);
	rank = known_note(&line, 1, minute + 7, -1, KNOWN_GOOD);
	CHECK(&check, rank == WEIR_KNOWN_SCORE, "rank %d: it rises once", rank);
	rank = known_note(&line, 1, minute + 8, -1, KNOWN_BAD);
	CHECK(&check, rank == WEIR_KNOWN_SCORE, "rank %d: excess of a known source", rank);
	rank = known_note(&line, 1, minute + 9, -1, KNOWN_PROOF);
	CHECK(&check, rank & WEIR_RANK_PROVEN && !(rank & (WEIR_RANK_LONG | KNOWN_ROSE)), "rank %d",
	      rank);
	known_put_off(&line, 1);
	CHECK(&check, tier_now(&line, 1, minute + 9) == WEIR_PROVEN, "proof was put off");
	check_done(&check, "three minutes make a source seen, excess before that begins anew",
		   "rank %d at the end", rank);
}

/* Two generations: proven, then for long, then neither when no more proof comes. */
static void test_generations(void)
{
	struct weir_known_line lines[2] = { 0 };
	uint64_t minute = 7 * KNOWN_BEFORE;
	enum weir_tier tier[5];
	int before = -1;

	/* Proof in generations 0 and 1, behaviour in 2, nothing in 3 and 4. */
	for (int i = 0; i < 5; i++, minute += KNOWN_BEFORE) {
		struct weir_known_line *now = &lines[i & 1], *past = &lines[!(i & 1)];

		before = known_rank(past, known_epoch(minute - KNOWN_BEFORE), 1);
		for (int more = 0; more < WEIR_KNOWN_SCORE && i < 3; more++)
			known_note(now, 1, minute + more, before, i < 2 ? KNOWN_PROOF : KNOWN_GOOD);
		tier[i] = known_tier(known_rank(now, known_epoch(minute), 1), before);
	}
	CHECK(&check, tier[0] == WEIR_PROVEN && tier[1] == WEIR_LONG && tier[2] == WEIR_LONG,
	      "%d, %d, %d", tier[0], tier[1], tier[2]);
	CHECK(&check, tier[3] == WEIR_SEEN && tier[4] == WEIR_FIRST_SEEN, "%d, %d", tier[3], tier[4]);
	check_done(&check, "proof counts until the generation after it",
		   "tiers %d, %d, %d, %d, %d in five generations", tier[0], tier[1], tier[2], tier[3],
		   tier[4]);
}

/* ---- sources that compete for a line ---- */

static int strength(int rank)
{
	return rank < 0 ? 0 : rank & WEIR_RANK_LONG ? 3 : rank & WEIR_RANK_PROVEN ? 2 :
	       rank >= WEIR_KNOWN_SCORE;
}

/*
 * Whichever sources come in which order: none loses its place to one whose evidence is worse or
 * the same, and one is refused only if all seven others have evidence at least as good.
 */
static void test_room(void)
{
	struct weir_known_line line = { 0 };
	uint64_t minute = KNOWN_BEFORE, refused = 0, displaced = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t key = 1 + check_random(&state) % KEYS;
		int how = check_random(&state) % 16 ? check_random(&state) % 2 : KNOWN_PROOF;
		int before = check_random(&state) % 8 ? -1 : WEIR_RANK_PROVEN | WEIR_KNOWN_SCORE;
		int was[KEYS + 1], rank, mine, wanted;
		unsigned int held = 0, better = 0;

		if (check_random(&state) % 512 == 0)
			memset(&line, 0, sizeof(line));
		minute += check_random(&state) % 8 == 0;
		if (known_epoch(minute) != 1)	/* this is about one generation */
			minute = KNOWN_BEFORE;
		for (uint64_t other = 1; other <= KEYS; other++) {
			was[other] = known_rank(&line, known_epoch(minute), other);
			held += was[other] >= 0;
		}
		wanted = how != KNOWN_PROOF ? 1 : before > 0 ? 3 : 2;
		for (uint64_t other = 1; other <= KEYS; other++)
			better += was[other] >= 0 && strength(was[other]) >= wanted;
		rank = known_note(&line, key, minute, before, how);
		mine = known_rank(&line, known_epoch(minute), key);
		CHECK(&check, rank < 0 ? mine < 0 : mine == (rank & 15), "%d stored as %d", rank, mine);
		CHECK(&check, rank >= 0 || better == WEIR_KNOWN_SLOTS, "refused beside %u as good",
		      better);
		CHECK(&check, was[key] < 0 || strength(mine) >= strength(was[key]),
		      "its rank fell from %d to %d", was[key], mine);
		refused += rank < 0;
		for (uint64_t other = 1; other <= KEYS; other++) {
			if (other == key || was[other] < 0 ||
			    known_rank(&line, known_epoch(minute), other) == was[other])
				continue;
			CHECK(&check, known_rank(&line, known_epoch(minute), other) < 0,
			      "another source's rank changed");
			CHECK(&check, held == WEIR_KNOWN_SLOTS && strength(was[other]) < wanted,
			      "one of rank %d gave way in a line of %u", was[other], held);
			displaced++;
		}
	}
	CHECK(&check, refused > 1000 && displaced > 1000, "%llu refused, %llu displaced: too few",
	      (unsigned long long)refused, (unsigned long long)displaced);
	check_done(&check, "in a line a source gives way to better evidence only",
		   "%d packets: %llu refused, %llu displaced", ROUNDS, (unsigned long long)refused,
		   (unsigned long long)displaced);
}

/* ---- keys ---- */

static void test_keys(void)
{
	static const struct {
		uint64_t hi, lo;
		int has;
	} cases[] = {
		{ 0, 0xffff00000000ULL | 0xc6336407, 1 },	/* 198.51.100.7 */
		{ 0x20010db800010002ULL, 5, 1 },
		{ 0, 0, 0 }, { 0, 1, 0 },			/* ::, ::1 */
		{ 0, 0xc6336407, 0 },				/* ::198.51.100.7 */
		{ 0, 0x1ffff00000000ULL | 0xc6336407, 0 },	/* ::1:ffff:c633:6407 */
		{ 0x0000ffffc6336407ULL, 9, 0 },		/* 0:ffff:c633:6407::9 */
		{ 0x0000ffff00000000ULL, 0, 0 },
		{ 0xfe80000000000000ULL, 1, 0 },		/* link-local */
		{ 0, 0xffff00000000ULL, 0 },			/* 0.0.0.0 */
	};
	size_t count = sizeof(cases) / sizeof(*cases);

	for (size_t i = 0; i < count; i++) {
		int has = has_known_key(cases[i].hi, cases[i].lo);

		CHECK(&check, !!has == cases[i].has, "case %zu: %d", i, has);
		/* Two sources with a key have the same one only if they are of one /64. */
		for (size_t j = 0; j < i && has; j++)
			CHECK(&check, !has_known_key(cases[j].hi, cases[j].lo) ||
			      known_key(cases[i].hi, cases[i].lo) !=
				      known_key(cases[j].hi, cases[j].lo), "cases %zu, %zu", i, j);
	}
	/* Any address: a key of IPv4's form comes from IPv4 alone. */
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t hi = check_random(&state) & check_random(&state), lo = check_random(&state);

		hi = i % 4 == 0 ? 0 : i % 4 == 1 ? 0xffffULL << 32 | (uint32_t)hi : hi;
		lo = i % 3 ? lo : 0xffffULL << 32 | (uint32_t)lo;
		CHECK(&check, !has_known_key(hi, lo) || !known_key_is_v4(known_key(hi, lo)) ||
		      (!hi && lo >> 32 == 0xffff), "%llx %llx", (unsigned long long)hi,
		      (unsigned long long)lo);
	}
	check_done(&check, "no address has the key of another family's", "%zu and %d addresses", count,
		   ROUNDS);
}

int main(void)
{
	state = check_seed();
	test_without_proof();
	test_score();
	test_generations();
	test_room();
	test_keys();
	return check_exit(&check);
}
