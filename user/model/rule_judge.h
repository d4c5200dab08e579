/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides which drop rules the daemon puts in force, for how long, and when it withdraws them: the
 * `rules` of its settings. Pure: no maps, no clock, no log; the finder (daemon/rule_finder.c) brings
 * what `weir explain` finds in a flood, and carries out what is decided here.
 *
 *	rule_judge_remember(judge, ...);	once, what was decided before, oldest first
 *	rule_judge_adopt(judge, ...);		once, the rules of the daemon that are in force
 *	rule_judge_settle(judge, ...);		once: what ended in between
 *
 *	rule_judge_is_pressed(judge, ...);	each look: is there a flood to look into?
 *	rule_judge_hit(judge, ...);		packets of known sources that passed
 *	rule_judge_watch(judge, ...);		the rules in force: ended, gone, to be withdrawn
 *	rule_judge_consider(judge, ...);	rules found in the flood
 *
 * What a sender that has read this can do is bounded here, not by what packets hold: at most `most`
 * rules at a time, which all together match at most 0.1 % of calm packets; each lasts twice as long
 * as the time before; one that was withdrawn or undone is not put again for twice its time, nor is
 * another one that drops half of the same packets.
 */
#ifndef WEIR_MODEL_RULE_JUDGE_H
#define WEIR_MODEL_RULE_JUDGE_H

#include "bpf/tool.h"
#include "user/model/error.h"
#include "user/model/explain.h"

enum rules_mode { RULES_OFF, RULES_SUGGEST, RULES_AUTO };

/* Documented with their units in model/config.c. */
struct rule_judge_rules {
	uint8_t mode;			/* enum rules_mode */
	uint64_t every_ns, least_pps, most, first_ns, longest_ns;
	uint64_t undo_ns, remember_ns;	/* as of bans */
};

#define RULE_ROOM	16	/* places of WEIR_RULES that are left to the operator */
/*
 * Packets of one known source that have to be heard for a rule to be withdrawn. Of spoofed sources
 * that are known by chance each is heard once.
 */
#define RULE_HITS	5
#define RULES_FOUND	4	/* rules of a look, at most */

/* The counters of a look. All but @budgets count from the first attach on. */
struct rule_pressure {
	uint64_t now_ns;
	uint64_t turned_away;	/* packets, dropped for how much came */
	uint64_t lost;		/* packets for which the receive rings had no room */
	uint32_t budgets;	/* that are under pressure */
};

/* A rule found in a flood. */
struct rule_found {
	struct weir_rule_spec spec;	/* without name and end */
	struct explain_rule rule;	/* the same */
	double flood, bound;	/* its share of the flood; the upper bound of that of calm traffic */
	bool sure;
	char doubt[ERR_LEN];	/* why it is not sure, or what forbids to put it in force */
};

/* What the daemon is to do: the judgement to be noted, and what becomes of the rule. */
struct rule_decision {
	struct weir_judgement about;	/* complete but for its number and date */
	struct weir_rule_spec spec;	/* kind WEIR_RULE: to be set; of those that end: its name */
};

#define RULE_DECISIONS	32
struct rule_decisions {
	struct rule_decision at[RULE_DECISIONS];
	uint32_t count;
	uint32_t put_off;	/* sure rules for which there was no room */
};

struct rule_judge;

/* NULL: out of memory. */
struct rule_judge *rule_judge_new(void);
void rule_judge_free(struct rule_judge *judge);
/* Copies @rules. They may change at any time. */
void rule_judge_set_rules(struct rule_judge *judge, const struct rule_judge_rules *rules);

/*
 * A judgement about a rule that the judge has not decided on itself: of an earlier daemon, or of a
 * person that removed a rule. @now_unix_s and @now_ns are the same moment. Others are ignored.
 */
void rule_judge_remember(struct rule_judge *judge, const struct weir_judgement *judgement,
			 uint64_t now_unix_s, uint64_t now_ns);
/* A rule in @policy that is the daemon's, by its name and its origin, is the judge's from now on. */
void rule_judge_adopt(struct rule_judge *judge, const struct weir_policy *policy, uint64_t now_ns);
/* After a start: rules that were in force by what is remembered, and are no longer. */
void rule_judge_settle(struct rule_judge *judge, uint64_t now_ns, struct rule_decisions *decisions);

/* Whether there was a flood since the call before. The first call only takes note. */
bool rule_judge_is_pressed(struct rule_judge *judge, const struct rule_pressure *pressure);

/* Whether any rule of the daemon is in force. */
bool rule_judge_has_rules(const struct rule_judge *judge);
/* A packet of a known source that passed; it stands for @weight packets. */
void rule_judge_hit(struct rule_judge *judge, const struct explain_packet *packet, uint64_t weight);
/* What the rules have counted, by slot. */
void rule_judge_count(struct rule_judge *judge, const struct weir_policy *policy,
		      const struct weir_rule_count counts[WEIR_RULES], uint64_t now_ns);
/* Whether rule_judge_watch() would decide anything. */
bool rule_judge_is_due(const struct rule_judge *judge, const struct weir_policy *policy,
		       uint64_t now_ns);
/* Rules that ended, are gone, or are to be withdrawn: added to @decisions. */
void rule_judge_watch(struct rule_judge *judge, const struct weir_policy *policy, uint64_t now_ns,
		      struct rule_decisions *decisions);

/* The flood in which rules were found, for comparing what they drop, and the calm packets. */
struct rule_flood {
	const struct explain_packet *packets;
	size_t count;
	uint64_t pps;	/* packets turned away a second */
	const struct explain_packet *calm;
	size_t calm_count;
};
/*
 * Decides on the @count rules that were found. @policy has the rules in force; what has ended must
 * have been removed from it.
 */
void rule_judge_consider(struct rule_judge *judge, const struct rule_found *found, size_t count,
			 const struct rule_flood *flood, const struct weir_policy *policy,
			 uint64_t now_ns, struct rule_decisions *decisions);
/* @decisions could not be carried out, and have to be made again. */
void rule_judge_take_back(struct rule_judge *judge, const struct rule_decisions *decisions);

/* Whether a name is one of the daemon's: "auto-" and a number. */
bool rule_name_is_auto(const char *name);
/* Whether a judgement is about a drop rule, and not about a source. */
bool judgement_is_of_rule(uint8_t kind);

#endif
