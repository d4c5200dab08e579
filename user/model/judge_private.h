/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of the judge: judge.c compares the counters of two windows, judge_span.c adds up what
 * was dropped over many, judge_proof.c knows which sources were proven to have sent what was
 * dropped, judge_memory.c what was decided before, judge_decide.c makes the decisions, and
 * judge_room.c keeps the number of bans within its bound.
 */
#ifndef WEIR_MODEL_JUDGE_PRIVATE_H
#define WEIR_MODEL_JUDGE_PRIVATE_H

#include "user/model/hash_table.h"
#include "user/model/judge.h"

#define UNDONE_MOST	1024

/* What is remembered of a prefix. Times in ns; 0: never. */
struct memory {
	uint64_t ban_until, undone_until, spared_at;
	uint64_t judged_at;	/* a prefix that two limits or rules complain of is judged once */
	uint64_t hits_at;	/* of a ban: when @hits was noted */
	uint32_t hits;		/* as its entry had them then */
	uint32_t pps;		/* what the ban dropped before that; BAN_FRESH: not known yet */
	uint8_t strikes;
	bool judged_only;	/* the ban was not made: the mode was `judge` */
};
#define BAN_FRESH	UINT32_MAX

/* What was dropped of a source in one part of the span. */
struct span_part {
	uint32_t packets;
	uint32_t worth_ms;	/* the time in which its limit would let as much through */
	uint32_t windows;	/* in which anything was dropped */
};

/* The part that is running and the one before it. */
struct span {
	struct span_part part[2];
};

/* All that was counted of a source, under all its limits, in packets. */
struct conduct {
	uint64_t allowed;	/* passed, or could have */
	uint64_t dropped;
	uint64_t proven;	/* of the dropped: of its own connections; an estimate */
};

/* A source of whose over-limit packets some belonged to connections of its own. */
struct offender {
	uint64_t counted;	/* by the map */
	uint64_t noted_ns;	/* when the map last had it */
	struct conduct window;	/* the one that is being read */
	bool over;		/* in it, under one limit at least */
	struct conduct row;	/* all windows before it, as far as it was over in each */
	uint64_t row_ns;
	struct conduct part[2];	/* of the span, as in struct span */
};

struct watched_network {
	struct prefix prefix;
	uint64_t dropped, packets;
	uint32_t windows;
};

struct judge {
	struct judge_rules rules;
	struct hash_seed seed;
	bool looked;
	uint64_t began, now;
	uint64_t window;			/* ns; 0: the first look, nothing to compare with */
	uint64_t window_before;			/* the one of the look before */
	uint64_t part_began;			/* the part of the span that is running */
	unsigned int parts_ended;		/* since the look before: 0, 1, or 2 for more */
	struct hash_table offenders;		/* struct offender by prefix */
	struct hash_table before, watched;	/* sources in the last window, in this one */
	struct watched_network *networks;	/* WEIR_NETWORKS */
	struct hash_table memory;		/* struct memory by prefix */
	struct prefix undone[UNDONE_MOST];
	size_t undone_count;
	struct decisions suspect_sources, suspect_networks;	/* of this window */
};

static inline struct hash_key prefix_key(const struct prefix *prefix)
{
	return (struct hash_key){ prefix->hi, prefix->lo, prefix->length };
}

/* The 16 bits of a counter in struct weir_judgement. */
static inline uint16_t cut16(uint64_t number)
{
	return number < UINT16_MAX ? number : UINT16_MAX;
}

/* One address, or one /64 of IPv6. */
static inline bool is_one_source(const struct prefix *prefix)
{
	return prefix->length >= (prefix_is_v4(prefix) ? 128 : 64);
}

/* judge.c; 0 or -ENOMEM */
int decisions_add(struct decisions *list, const struct decision *decision);
/*
 * Banned already, or spared within the last minute: there is nothing to decide. But a spared source
 * is looked at again as soon as it is proven that it sent the packets.
 */
bool judge_is_settled(const struct judge *judge, const struct prefix *prefix);
uint64_t judge_per_second(const struct judge *judge, uint64_t packets);

/* judge_span.c */

/* Of all spans: a look begins. */
void span_begin(struct judge *judge);
/* What was counted before and what was dropped since, in the span of this look. */
struct span span_next(const struct judge *judge, const struct span *before, uint64_t dropped,
		      uint64_t dropped_bytes, const struct judge_source *source);
/* @now and @before of two parts, weighed by how much of each lies in the span that ends now. */
uint64_t span_sum(const struct judge *judge, uint64_t now, uint64_t before);
/* Whether so much was dropped in the span that the source is to be banned. */
bool span_exceeds(const struct judge *judge, const struct span *span);

/* judge_proof.c */

/* The window that was read ends for each offender, and the next begins. */
void offenders_begin(struct judge *judge);
/* NULL: nothing is proven of @source. */
struct offender *offender_find(const struct judge *judge, const struct prefix *source);
/*
 * Whether so many of the packets dropped were the offender's own that it would be banned for these
 * alone. @conduct: the counts that say so, or the most telling ones.
 */
bool offender_is_proven(const struct judge *judge, const struct offender *offender,
			struct conduct *conduct);

/* judge_room.c; 0 or -ENOMEM */

/* How much each ban drops, from the hits of its entry. */
int note_hits_of_bans(struct judge *judge, const struct judge_world *world);
/* Keeps as many bans as there is room for, or as may take the place of others. */
int cut_to_room(struct judge *judge, const struct judge_world *world, struct decisions *out);

/* judge_memory.c */

/* The memory of @prefix, made if there is none; NULL: out of memory. */
struct memory *memory_recall(struct judge *judge, const struct prefix *prefix);
struct memory *memory_find(const struct judge *judge, const struct prefix *prefix);
/* A ban, or one that mode `judge` did not make, begins with decision @d. */
void memory_note_ban(struct judge *judge, const struct decision *d);
void memory_forget_undone(struct judge *judge);
/* Whether the operator has undone a ban of @prefix, of one around it or of one inside it. */
bool memory_is_undone(const struct judge *judge, const struct prefix *prefix);
bool memory_is_banned(const struct judge *judge, const struct memory *memory);
/* Banned, or spared within the last minute. */
bool memory_is_settled(const struct judge *judge, const struct prefix *prefix);
bool memory_is_spared(const struct judge *judge, const struct memory *memory);
/* How many bans came before, as far as they count. */
uint8_t memory_strikes(const struct judge *judge, const struct memory *memory);

#endif
