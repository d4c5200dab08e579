/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon never puts in force by itself, however well it tells a flood from calm traffic:
 * rules by source, which can be spoofed; rules that could match what hosts need in order to hear of
 * each other (ICMP errors, neighbour discovery); the answers of servers that this host asks. Pure.
 */
#ifndef WEIR_MODEL_RULE_GUARD_H
#define WEIR_MODEL_RULE_GUARD_H

#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/explain.h"

#define GUARDED_MOST	32

/* The servers that this host asks, without those that are allowed. */
struct rule_guarded {
	struct {
		struct prefix address;
		uint16_t port;
	} server[GUARDED_MOST];
	size_t count;
	bool dns_unknown, time_unknown;	/* there are others, of unknown addresses */
};

/*
 * A rule that says `proto icmp` and no type gets the type of the flood's packets, if nearly all of
 * them have the same: it then spares all others.
 */
void rule_narrow_icmp(struct explain_rule *rule, const struct explain_packet *flood, size_t count);

/* Whether the daemon may put the rule in force. False: @why says why not, and what can be done. */
bool rule_is_permitted(const struct weir_rule_spec *spec, const struct rule_guarded *guarded,
		       char why[ERR_LEN]);

#endif
