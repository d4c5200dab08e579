/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files explain_*.c share: samples as bitmaps, and the steps of the search.
 *
 * A condition is a bitmap over the packets of a half sample, a conjunction is an AND, and a share
 * is a count of bits for each weight. All room is in struct explain.
 */
#ifndef WEIR_MODEL_EXPLAIN_PRIVATE_H
#define WEIR_MODEL_EXPLAIN_PRIVATE_H

#include "user/model/explain.h"

/* A half has at most two thirds of a sample, rounded up to whole words. */
#define HALF_MOST	6912
#define WORDS		(HALF_MOST / 64)
#define WEIGHTS		(EXPLAIN_SHIFT_MOST + 1)
#define ITEMS		96	/* conditions on fields that are combined */
#define PAYLOAD_ITEMS	32	/* and on bytes */
#define ITEMS_MOST	(ITEMS + PAYLOAD_ITEMS)
#define BEAM_BEST	12	/* by worth */
#define BEAM_WIDE	4	/* by share of the flood alone, so that two dull ones can meet */
#define BEAM		(BEAM_BEST + BEAM_WIDE)
#define DEPTH		5	/* conditions of a rule that the search combines */
#define FOUND		24	/* rules of which the best are tried */
#define TRIED		3	/* of those, in each round */
#define TESTS		16	/* rules that the hold-out may judge, in all */
#define SEEN		32768	/* slots for rules that were looked at; at most 11,200 are */
#define MIN_GAIN	0.05	/* a rule must add so much of the flood */

typedef uint64_t bits_t[WORDS];

/* The packets of a searched half, field by field. */
struct columns {
	int32_t number[EXPLAIN_NUMBERS][HALF_MOST];
	uint16_t rank[EXPLAIN_RANGES][HALF_MOST];	/* of the number, in both searched halves */
	uint8_t payload[EXPLAIN_BYTES][HALF_MOST];
	uint8_t payload_bytes[HALF_MOST];
};

/* Half of a sample. */
struct half {
	uint32_t count, words;
	const struct explain_packet *packet[HALF_MOST];
	struct columns *columns;	/* NULL: this half is not searched */
	uint16_t service[HALF_MOST], source[HALF_MOST];	/* numbered, over all halves */
	bits_t all;
	bits_t weight[WEIGHTS];	/* the packets of each weight */
	uint8_t shift[WEIGHTS];
	uint32_t weights;	/* different ones, ascending */
	uint64_t total;		/* weight of all */
	double effective;	/* it is as good as so many packets of equal weight, Kish 1965 */
	double sources;		/* and as so many sources that send the same */
};

enum side { FLOOD, CALM, SIDES };

/* What both sides of a search or of a judgement have of a rule. */
struct sets {
	bits_t set[SIDES];
};

/* A value and its weight in a count; @first: the place of its first packet, to order equals. */
struct tally {
	uint64_t key[2];
	uint64_t weight;
	uint32_t first;
};

struct tallies {
	uint32_t count;
	struct tally entry[HALF_MOST];
	uint16_t slot[2 * 8192];	/* 1 + index of the entry; 0: free */
	uint64_t key;			/* multiplies, so that senders cannot choose collisions */
};

struct node {
	struct explain_rule rule;
	struct sets sets;
};

/* A value of a packet. */
struct numbered {
	uint64_t hi, lo;
};

#define NUMBER_BITS	16	/* slots of values, at most a third of them taken */

/* A rule that a node of the beam and one more condition make. */
struct candidate {
	struct explain_rule rule;
	struct explain_condition added;
	int item;		/* of @added; -1: it is none of the items */
	uint32_t parent;
	double worth, cost, gain, harm;
};

struct explain {
	struct half search[SIDES], hold[SIDES];
	struct columns columns[SIDES];
	int32_t ranked[EXPLAIN_RANGES][2 * HALF_MOST];	/* numbers by rank */
	uint32_t ranks[EXPLAIN_RANGES];
	double gains[2 * HALF_MOST], harms[2 * HALF_MOST];	/* by rank, of one range search */
	uint64_t line[2 * HALF_MOST];	/* counts by rank or number; scratch */
	struct tallies tallies;
	uint64_t bytes[EXPLAIN_BYTES][256];	/* weight of each byte at each place */
	double byte_least;	/* the weight from which on a byte is frequent */
	struct explain_condition item[ITEMS_MOST];
	uint32_t items;
	union {
		struct {
			struct sets item_sets[ITEMS_MOST];
			struct node beam[2][BEAM];
			uint64_t seen[SEEN];
		};
		struct {	/* while samples are split */
			struct numbered numbered[2 * EXPLAIN_PACKETS];	/* by number */
			uint16_t number_slot[1 << NUMBER_BITS];	/* 1 + number; 0: free */
		};
		uint64_t by_source[2 * EXPLAIN_PACKETS];	/* the same */
	};
	struct candidate best[BEAM_BEST], wide[BEAM_WIDE], found[FOUND];
	uint32_t best_count, wide_count, found_count;
	struct explain_rule refused[TESTS + TRIED];
	uint32_t refused_count;
	uint32_t services, sources;	/* different ones in all samples */
	uint64_t service_key[4 * HALF_MOST];	/* by number */
};

/* ---- explain_sample.c ---- */
void split_samples(struct explain *explain, const struct explain_packet *const sample[SIDES],
		   const size_t count[SIDES], const struct explain_options *options);
void set_of(const struct half *half, const struct explain_condition *condition, bits_t set);
/* The packets that meet all conditions of @rule. */
void match(const struct half *half, const struct explain_rule *rule, bits_t set);
/* The share of the packets that are in both sets. */
double share_of_both(const struct half *half, const bits_t a, const bits_t b);
double share_of(const struct half *half, const bits_t set);
uint32_t count_bits(const struct half *half, const bits_t set);
void intersect(const struct half *half, const bits_t a, const bits_t b, bits_t set);
static inline bool has_bit(const bits_t set, uint32_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

/* ---- explain_tally.c ---- */
void tally_clear(struct tallies *tallies);
/* With its secret key; take the highest bits. */
uint64_t tally_hash(const struct tallies *tallies, uint64_t hi, uint64_t lo);
void tally_add(struct tallies *tallies, uint64_t hi, uint64_t lo, uint64_t weight);
/* Moves the @most greatest to the front, in order; returns how many these are. */
uint32_t tally_greatest(struct tallies *tallies, uint32_t most);
/* Counts the numbers of one field among the packets of @set, of a searched half. */
void tally_field(struct tallies *tallies, const struct half *half, enum explain_field field,
		 const bits_t set);

/* ---- explain_rule.c ---- */
double condition_cost(const struct explain_condition *condition);
double rule_cost(const struct explain_rule *rule);
/* Puts @condition into its place in the order; a field that is there already is replaced. */
void rule_add(struct explain_rule *rule, const struct explain_condition *condition);
bool rule_has(const struct explain_rule *rule, enum explain_field field);
int condition_order(const struct explain_condition *a, const struct explain_condition *b);
/* Whether it goes by what a host has, not by what it does: TTL, source, range of source ports. */
bool goes_by_hosts(const struct explain_condition *condition);

/* ---- explain_items.c ---- */
/* Finds the conditions of one field that hold for enough of the @live flood. */
void find_items(struct explain *explain, const bits_t live);
/* At most two ranges of @field, and three windows of bytes, for the packets of @sets. */
uint32_t find_ranges(struct explain *explain, const struct sets *sets, enum explain_field field,
		     struct explain_condition out[2]);
uint32_t find_fixed_bits(const struct explain *explain, const struct sets *sets,
			 struct explain_condition out[3]);
double worth_of(double gain, double harm);

/* ---- explain_search.c ---- */
/* The rules that are worth a test, best first. Returns how many. */
uint32_t grow(struct explain *explain, const bits_t live, struct explain_rule out[TRIED]);
/* The last resort: the networks that send much of the @live flood. */
uint32_t find_networks(struct explain *explain, const bits_t live, struct explain_rule out[8]);
/* Adds what is the same in all of the rule's flood: that costs nothing, and spares calm traffic. */
void narrow(struct explain *explain, const bits_t live, struct explain_rule *rule);

/* ---- explain_judge.c ---- */
/* Bound of a share seen among @n: @sign 1 upper, -1 lower (Wilson 1927). */
double wilson(double share, double n, double z, int sign);
/* Whether @set holds too much of one calm service or source, although the whole is little. */
enum explain_doubt hits_a_group(const struct explain *explain, const struct half *calm,
				const bits_t set, struct explain_verdict *verdict);
/*
 * The word of the hold-out. @live: its flood that no rule matches yet; @taken: the calm packets of
 * the rules before. False: the rule does not stand.
 */
bool judge_rule(const struct explain *explain, const struct explain_rule *rule, const bits_t live,
		const bits_t taken, struct explain_verdict *verdict);

#endif
