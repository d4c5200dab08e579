// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single conditions: frequent values of each field, windows of the payload, and the ranges that
 * hold most of the flood and least of calm traffic.
 */
#include <math.h>
#include <string.h>

#include "user/model/explain_private.h"

#define VALUES_MOST	10	/* of a field */
#define FLAGS_MOST	4
#define WINDOWS_MOST	3	/* values of a window of bytes */
#define RANGES		2
#define HARM_COST	100	/* 0.1 % of calm traffic costs 10 % of the flood */
#define SYN_ACK		0x12
#define ALL_FLAGS	0x3f
#define CONTEXTS	(VALUES_MOST + 1)
#define BEFORE_CUT	(7 * VALUES_MOST + 2 * FLAGS_MOST + CONTEXTS * EXPLAIN_RANGES * RANGES)
#define BITS_LEAST	3	/* of a mask of fixed bits */
#define LOOKED_AT	32	/* packets in which bits must not change; twice as many calm ones */

/* FOIL's gain (Quinlan 1990): what a rule covers, times the logarithm of its contrast. */
double worth_of(double gain, double harm)
{
	return gain * log((gain + 0.0005) / (harm + 0.0005));
}

/* ---- ranges: maximum-sum segments (Kadane; Bentley 1984) ---- */

/* Ranks from the first up to, without it, the last. */
struct span {
	uint32_t first, last;
};

/* The ranks that packets of @set have, but for those of no number. */
static struct span span_of(const struct explain *explain, const struct half *half,
			   enum explain_field field, const bits_t set)
{
	uint32_t least = explain->ranks[field] && explain->ranked[field][0] < 0;
	struct span span = { explain->ranks[field], least };

	for (uint32_t w = 0; w < half->words; w++)
		for (uint64_t left = set[w]; left; left &= left - 1) {
			uint32_t rank = half->columns->rank[field][w * 64 + __builtin_ctzll(left)];

			if (rank < least)
				continue;
			span.first = rank < span.first ? rank : span.first;
			span.last = rank >= span.last ? rank + 1 : span.last;
		}
	return span;
}

static void count_by_rank(struct explain *explain, const struct half *half,
			  enum explain_field field, const bits_t set, struct span span,
			  double *shares)
{
	uint64_t *line = explain->line;

	memset(line, 0, explain->ranks[field] * sizeof(*line));
	for (uint32_t k = 0; k < half->weights; k++)
		for (uint32_t w = 0; w < half->words; w++)
			for (uint64_t left = set[w] & half->weight[k][w]; left; left &= left - 1)
				line[half->columns->rank[field][w * 64 + __builtin_ctzll(left)]] +=
					1ULL << half->shift[k];
	for (uint32_t i = span.first; i < span.last; i++)
		shares[i] = line[i] ? (double)line[i] / half->total : 0;
}

/* The segment with the greatest sum. Returns the sum; 0: no segment is worth anything. */
static double best_segment(const struct explain *explain, struct span span, uint32_t *from,
			   uint32_t *to)
{
	uint32_t start = span.first;
	double best = 0, sum = 0;

	for (uint32_t i = span.first; i < span.last; i++) {
		if (sum <= 0) {
			sum = 0;
			start = i;
		}
		sum += explain->gains[i] - HARM_COST * explain->harms[i];
		if (sum > best) {
			best = sum;
			*from = start;
			*to = i;
		}
	}
	return best;
}

uint32_t find_ranges(struct explain *explain, const struct sets *sets, enum explain_field field,
		     struct explain_condition out[RANGES])
{
	/* A segment begins and ends with flood: no other ranks can be in one. */
	struct span span = span_of(explain, &explain->search[FLOOD], field, sets->set[FLOOD]);
	const int32_t *number = explain->ranked[field];
	uint32_t from = span.first, to = span.first;

	if (span.first >= span.last)
		return 0;
	count_by_rank(explain, &explain->search[FLOOD], field, sets->set[FLOOD], span,
		      explain->gains);
	count_by_rank(explain, &explain->search[CALM], field, sets->set[CALM], span,
		      explain->harms);
	for (uint32_t found = 0; found < RANGES; found++) {
		if (best_segment(explain, span, &from, &to) < MIN_GAIN)
			return found;
		while (explain->gains[from] <= 0)
			from++;
		while (explain->gains[to] <= 0)
			to--;
		out[found] = (struct explain_condition){ .field = field, .low = number[from],
							 .high = number[to] };
		memset(explain->gains + from, 0, (to - from + 1) * sizeof(*explain->gains));
	}
	return RANGES;
}

/* ---- bits that do not change ---- */

/* Up to @most of the packets of @set that are whole, evenly spread. */
static uint32_t pick(const struct half *half, const bits_t set, uint32_t most,
		     const struct explain_packet *picked[])
{
	const int32_t *later = half->columns->number[EXPLAIN_FRAGMENT];
	uint32_t have = 0, step, seen = 0, count = 0;

	for (uint32_t w = 0; w < half->words; w++)
		for (uint64_t left = set[w]; left; left &= left - 1)
			have += !later[w * 64 + __builtin_ctzll(left)];
	step = have / most ? have / most : 1;
	for (uint32_t w = 0; w < half->words; w++)
		for (uint64_t left = set[w]; left; left &= left - 1) {
			uint32_t i = w * 64 + __builtin_ctzll(left);

			if (later[i] || count == most)
				continue;
			if (seen++ % step == 0)
				picked[count++] = half->packet[i];
		}
	return count;
}

static uint32_t word_at(const struct explain_packet *packet, uint32_t at)
{
	uint32_t word;

	memcpy(&word, packet->payload + at, sizeof(word));
	return __builtin_bswap32(word);
}

/* The least number of bytes that a whole packet of @set has. */
static uint32_t least_bytes(const struct half *half, const bits_t set)
{
	uint32_t least = EXPLAIN_BYTES;
	bool any = false;

	for (uint32_t w = 0; w < half->words; w++)
		for (uint64_t left = set[w]; left; left &= left - 1) {
			uint32_t i = w * 64 + __builtin_ctzll(left);
			uint32_t count = half->columns->payload_bytes[i];

			if (half->columns->number[EXPLAIN_FRAGMENT][i])
				continue;
			least = count < least ? count : least;
			any = true;
		}
	return any ? least : 0;
}

struct fixed {
	uint32_t same;		/* calm packets that have these bits too */
	int bits;
	struct explain_condition condition;
};

static bool is_better(const struct fixed *a, const struct fixed *b)
{
	if (a->same != b->same)
		return a->same < b->same;
	if (a->bits != b->bits)
		return a->bits > b->bits;
	return condition_order(&a->condition, &b->condition) < 0;
}

uint32_t find_fixed_bits(const struct explain *explain, const struct sets *sets,
			 struct explain_condition out[3])
{
	const struct explain_packet *ours[LOOKED_AT], *theirs[2 * LOOKED_AT];
	uint32_t count = pick(&explain->search[FLOOD], sets->set[FLOOD], LOOKED_AT, ours);
	uint32_t calm = pick(&explain->search[CALM], sets->set[CALM], 2 * LOOKED_AT, theirs);
	uint32_t least = least_bytes(&explain->search[FLOOD], sets->set[FLOOD]), kept = 0;
	struct fixed best[4];

	if (count < LOOKED_AT / 2)
		return 0;
	for (uint32_t at = 0; at + 4 <= least && at + 4 <= EXPLAIN_BYTES; at++) {
		uint32_t every = ~0U, some = 0, mask, i;
		struct fixed fixed = { 0 };

		for (i = 0; i < count; i++) {
			every &= word_at(ours[i], at);
			some |= word_at(ours[i], at);
		}
		mask = ~(every ^ some);
		fixed.bits = __builtin_popcount(mask);
		if (fixed.bits < BITS_LEAST)
			continue;
		fixed.condition = (struct explain_condition){ .field = EXPLAIN_PAYLOAD, .at = at,
							      .low = every & mask, .high = mask };
		for (i = 0; i < calm; i++)
			fixed.same += (word_at(theirs[i], at) & mask) == fixed.condition.low;
		for (i = kept; i && is_better(&fixed, &best[i - 1]); i--)
			best[i] = best[i - 1];
		best[i] = fixed;
		kept += kept < 3;
	}
	for (uint32_t i = 0; i < kept; i++)
		out[i] = best[i].condition;
	return kept;
}

/* ---- frequent values ---- */

struct list {
	struct explain_condition *condition;
	uint32_t count, most;
};

static void append(struct list *list, const struct explain_condition *condition)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!condition_order(&list->condition[i], condition))
			return;
	if (list->count < list->most)
		list->condition[list->count++] = *condition;
}

static bool is_frequent(const struct half *half, const struct tally *entry)
{
	return (double)entry->weight / half->total >= MIN_GAIN;
}

static void find_values(struct explain *explain, const bits_t live, struct list *list)
{
	static const uint8_t fields[] = {
		EXPLAIN_PROTO, EXPLAIN_FRAGMENT, EXPLAIN_ICMP, EXPLAIN_SPORT, EXPLAIN_DPORT,
		EXPLAIN_LENGTH, EXPLAIN_TTL,
	};
	const struct half *flood = &explain->search[FLOOD];

	for (size_t f = 0; f < sizeof(fields); f++) {
		uint32_t count;

		tally_field(&explain->tallies, flood, fields[f], live);
		count = tally_greatest(&explain->tallies, VALUES_MOST);
		for (uint32_t i = 0; i < count; i++) {
			const struct tally *entry = &explain->tallies.entry[i];
			int32_t value = (int32_t)entry->key[1];

			if (value < 0 || !is_frequent(flood, entry) ||
			    (fields[f] == EXPLAIN_FRAGMENT && !value))
				continue;
			append(list, &(struct explain_condition){ .field = fields[f], .low = value,
								  .high = value });
		}
	}
}

static void find_flags(struct explain *explain, const bits_t live, struct list *list)
{
	static const uint32_t masks[] = { ALL_FLAGS, SYN_ACK };
	uint32_t count;

	tally_field(&explain->tallies, &explain->search[FLOOD], EXPLAIN_FLAGS, live);
	count = tally_greatest(&explain->tallies, FLAGS_MOST);
	for (uint32_t i = 0; i < count; i++) {
		const struct tally *entry = &explain->tallies.entry[i];
		int32_t value = (int32_t)entry->key[1];

		if (value < 0 || !is_frequent(&explain->search[FLOOD], entry))
			continue;
		for (int m = 0; m < 2; m++)
			append(list, &(struct explain_condition){ .field = EXPLAIN_FLAGS,
								  .low = value & masks[m],
								  .high = masks[m] });
	}
}

/* ---- windows of bytes ---- */

struct scored {
	struct explain_condition condition;
	double worth, cost;
};

struct scores {
	struct scored best[PAYLOAD_ITEMS];
	uint32_t count;
};

/* @proto: the sets of the protocols that are frequent; a window may be good within one of them. */
struct contexts {
	struct sets sets[CONTEXTS];
	uint32_t count;
};

static void score(struct explain *explain, const struct contexts *contexts,
		  const struct explain_condition *condition, struct scores *scores)
{
	struct scored scored = { *condition, -1e9, condition_cost(condition) };
	bits_t flood, calm;
	uint32_t at;

	set_of(&explain->search[FLOOD], condition, flood);
	set_of(&explain->search[CALM], condition, calm);
	for (uint32_t i = 0; i < contexts->count; i++) {
		double gain = share_of_both(&explain->search[FLOOD], flood,
					    contexts->sets[i].set[FLOOD]);
		double harm = share_of_both(&explain->search[CALM], calm,
					    contexts->sets[i].set[CALM]);
		double worth = worth_of(gain, harm);

		scored.worth = worth > scored.worth ? worth : scored.worth;
	}
	for (at = scores->count; at; at--) {
		const struct scored *other = &scores->best[at - 1];

		if (other->worth > scored.worth ||
		    (other->worth == scored.worth &&
		     (other->cost < scored.cost ||
		      (other->cost == scored.cost &&
		       condition_order(&other->condition, condition) < 0))))
			break;
		if (at < PAYLOAD_ITEMS)
			scores->best[at] = scores->best[at - 1];
	}
	if (at < PAYLOAD_ITEMS)
		scores->best[at] = scored;
	scores->count += scores->count < PAYLOAD_ITEMS;
}

static void count_bytes(struct explain *explain, const bits_t live)
{
	const struct half *flood = &explain->search[FLOOD];

	memset(explain->bytes, 0, sizeof(explain->bytes));
	for (uint32_t i = 0; i < flood->count; i++) {
		const struct explain_packet *packet = flood->packet[i];

		if (!has_bit(live, i))
			continue;
		for (uint32_t at = 0; at < packet->payload_bytes; at++)
			explain->bytes[at][packet->payload[at]] +=
				1ULL << (packet->shift & EXPLAIN_SHIFT_MOST);
	}
}

static bool byte_is_frequent(const struct explain *explain, uint32_t at, uint8_t byte)
{
	return explain->bytes[at][byte] >= explain->byte_least;
}

static bool any_is_frequent(const struct explain *explain, uint32_t at)
{
	for (int byte = 0; byte < 256; byte++)
		if (byte_is_frequent(explain, at, byte))
			return true;
	return false;
}

/* Counts packet @i under what it has in a window: its length there, and the bytes. */
static void count_packet(struct explain *explain, uint32_t i, uint32_t at, uint32_t size,
			 uint64_t weight)
{
	const struct columns *columns = &explain->columns[FLOOD];
	uint32_t count = columns->payload_bytes[i];
	uint32_t have = count <= at ? 0 : count - at < size ? count - at : size;
	uint64_t value = 0;

	for (uint32_t j = 0; j < have; j++) {
		uint8_t byte = columns->payload[at + j][i];

		if (have == size && !byte_is_frequent(explain, at + j, byte))
			return;
		value = value << 8 | byte;
	}
	tally_add(&explain->tallies, have, value, weight);
}

/*
 * The frequent values of one window. A window is frequent only where each of its bytes is (Agrawal
 * and Srikant 1994), so that most packets of random bytes are not counted at all.
 */
static void count_window(struct explain *explain, const bits_t live, uint32_t at, uint32_t size)
{
	const struct half *flood = &explain->search[FLOOD];

	tally_clear(&explain->tallies);
	for (uint32_t k = 0; k < flood->weights; k++)
		for (uint32_t w = 0; w < flood->words; w++)
			for (uint64_t left = live[w] & flood->weight[k][w]; left; left &= left - 1)
				count_packet(explain, w * 64 + __builtin_ctzll(left), at, size,
					     1ULL << flood->shift[k]);
}

/* Puts the values of one window that are frequent to the @scores. */
static void score_window(struct explain *explain, const bits_t live, uint32_t at, uint32_t size,
			 const struct contexts *contexts, struct scores *scores)
{
	uint32_t shift = 8 * (4 - size) & 31, count;

	count_window(explain, live, at, size);
	count = tally_greatest(&explain->tallies, WINDOWS_MOST);
	for (uint32_t i = 0; i < count; i++) {
		const struct tally *entry = &explain->tallies.entry[i];
		struct explain_condition window = { .field = EXPLAIN_PAYLOAD, .at = at,
						    .low = (uint32_t)entry->key[1] << shift,
						    .high = ~0U << shift };

		if (entry->key[0] == size && is_frequent(&explain->search[FLOOD], entry))
			score(explain, contexts, &window, scores);
	}
}

static void find_windows(struct explain *explain, const bits_t live,
			 const struct contexts *contexts, struct scores *scores)
{
	static const uint8_t sizes[] = { 4, 2, 1 };
	bool frequent[EXPLAIN_BYTES];

	count_bytes(explain, live);
	/* A little less, for what division rounds. */
	explain->byte_least = MIN_GAIN * 0.999 * explain->search[FLOOD].total;
	for (uint32_t at = 0; at < EXPLAIN_BYTES; at++)
		frequent[at] = any_is_frequent(explain, at);
	for (int s = 0; s < 3; s++)
		for (uint32_t at = 0, size = sizes[s]; at + size <= EXPLAIN_BYTES; at++) {
			uint32_t j = 0;

			while (j < size && frequent[at + j])
				j++;
			if (j == size)
				score_window(explain, live, at, size, contexts, scores);
		}
}

/* ---- all of them ---- */

static void make_contexts(const struct explain *explain, const bits_t live,
			  const struct list *list, struct contexts *contexts)
{
	memcpy(contexts->sets[0].set[FLOOD], live, sizeof(bits_t));
	memcpy(contexts->sets[0].set[CALM], explain->search[CALM].all, sizeof(bits_t));
	contexts->count = 1;
	for (uint32_t i = 0; i < list->count && contexts->count < CONTEXTS; i++) {
		struct sets *sets = &contexts->sets[contexts->count];

		if (list->condition[i].field != EXPLAIN_PROTO)
			continue;
		set_of(&explain->search[FLOOD], &list->condition[i], sets->set[FLOOD]);
		set_of(&explain->search[CALM], &list->condition[i], sets->set[CALM]);
		intersect(&explain->search[FLOOD], sets->set[FLOOD], live, sets->set[FLOOD]);
		contexts->count++;
	}
}

void find_items(struct explain *explain, const bits_t live)
{
	struct explain_condition before[BEFORE_CUT], ranges[RANGES];
	struct list list = { before, 0, BEFORE_CUT };
	struct scores scores = { 0 };
	struct contexts contexts;

	find_values(explain, live, &list);
	find_flags(explain, live, &list);
	make_contexts(explain, live, &list, &contexts);
	for (uint32_t c = 0; c < contexts.count; c++)
		for (int field = 0; field < EXPLAIN_RANGES; field++) {
			uint32_t count = find_ranges(explain, &contexts.sets[c], field, ranges);

			for (uint32_t i = 0; i < count; i++)
				append(&list, &ranges[i]);
		}
	explain->items = list.count < ITEMS ? list.count : ITEMS;
	memcpy(explain->item, before, explain->items * sizeof(*before));
	find_windows(explain, live, &contexts, &scores);
	for (uint32_t i = 0; i < scores.count; i++)
		explain->item[explain->items++] = scores.best[i].condition;
	for (uint32_t i = 0; i < explain->items; i++)
		for (int side = 0; side < SIDES; side++)
			set_of(&explain->search[side], &explain->item[i],
			       explain->item_sets[i].set[side]);
}
