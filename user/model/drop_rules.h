/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The drop rules of a policy (bpf/rules.h). A rule is found by its name, and its slot is its place
 * in the order. A slot without a name is free.
 */
#ifndef WEIR_MODEL_DROP_RULES_H
#define WEIR_MODEL_DROP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/weir.h"
#include "user/model/prefix.h"

/* No rule has this index. */
#define NO_RULE	WEIR_RULES

/*
 * Adds the rule, or replaces the one of this name. Returns 1 when the policy changed, 0 when it
 * already was so, or -ENOSPC with @err.
 */
int rule_set(struct weir_policy *policy, const struct weir_rule_spec *spec, char *err);
/* The index of the rule of that name, or NO_RULE. */
uint32_t rule_find(const struct weir_policy *policy, const char *name);
void rule_remove(struct weir_policy *policy, uint32_t index);
static inline bool rule_is_used(const struct weir_rule_spec *spec)
{
	return spec->name[0];
}

struct rule_tally {
	uint32_t rules;		/* in force; of those: */
	uint32_t monitor, temporary, daemons;	/* only count, end by themselves, are the daemon's */
};
struct rule_tally rules_count(const struct weir_policy *policy, uint64_t now_ns);
/* Whether the slot has a rule whose time is not over. @now_ns: CLOCK_MONOTONIC. */
static inline bool rule_is_in_force(const struct weir_rule_spec *spec, uint64_t now_ns)
{
	return rule_is_used(spec) && (!spec->until_ns || spec->until_ns > now_ns);
}

/* Removes the rules whose time is over; returns how many. @now_ns: CLOCK_MONOTONIC. */
uint32_t rules_expire(struct weir_policy *policy, uint64_t now_ns);
/*
 * Replaces the operator's rules by those of @wanted. One that both have by name keeps its slot, its date, and
 * its end where the new one is within two seconds of that.
 */
void rules_replace(struct weir_policy *policy, const struct weir_policy *wanted);
/* Whether both rules match the same packets and do the same, whatever their date and end. */
bool rule_same(const struct weir_rule_spec *a, const struct weir_rule_spec *b);

/* Builds the tables of the data path. 0, or with @err -ENOSPC or what the rate is refused for. */
int rules_compile(struct weir_policy *policy, char *err);

/* ---- what a rule would do to packets that are needed here ---- */

/* Packets from one address; what is 0 is not known, and may be anything. */
struct rule_flow {
	struct prefix from, to;		/* to: of length 0: one of this host's addresses */
	uint8_t proto;
	uint16_t sport, dport;
};

enum rule_cover { COVERS_NONE, COVERS_SOME, COVERS_ALL };
enum rule_cover rule_covers(const struct weir_rule_spec *spec, const struct rule_flow *flow);

/*
 * Whether a rule would cut the flow off: it drops, and covers all of the flow; or some of it, and
 * spares no source.
 */
bool rule_cuts(const struct weir_rule_spec *spec, const struct rule_flow *flow, uint64_t now_ns);

/* Whether the rule says hardly more than a protocol and a destination. */
bool rule_is_broad(const struct weir_rule_spec *spec);

#endif
