/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reasons for a verdict: names and actions from the table WEIR_REASONS in bpf/weir.h, and what
 * an operator wants to know about each: `weir show reasons`, the page, the man page.
 */
#ifndef WEIR_MODEL_REASONS_H
#define WEIR_MODEL_REASONS_H

#include <stdint.h>

#include "bpf/weir.h"

/* "rate-limit", "malformed"; "?" for a number that is no reason. Constant text. */
const char *reason_name(enum weir_reason reason);

/* What becomes of a packet with this reason: "pass", "drop" or "tx"; "?" as above. */
const char *reason_action(enum weir_reason reason);

/* A bit (1 << reason) for each reason whose action is @action. */
uint64_t reasons_of_action(const char *action);

/* The reason of this name, or WEIR_REASON_MAX. */
enum weir_reason reason_find(const char *name);

struct reason_text {
	const char *meaning;	/* the condition, in full sentences */
	const char *remedy;	/* what the operator can do; "Nothing." */
	const char *more;	/* NULL: there is no more to say */
};
/* Never NULL. */
const struct reason_text *reason_text(enum weir_reason reason);

/*
 * The reasons for which packets are dropped because of how much comes: limits, budgets, cookies.
 * Not those for what a packet or its source is: malformed, blocked, on a list, matched by a rule.
 */
uint64_t reasons_turned_away(void);

#endif
