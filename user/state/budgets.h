/* SPDX-License-Identifier: GPL-2.0-only */
/* What a budget's state means. */
#ifndef WEIR_STATE_BUDGETS_H
#define WEIR_STATE_BUDGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/weir.h"

/* How much of the burst is used, 0..1: of the dearer of the two rates. */
double budget_used(const struct weir_limit *budget, const struct weir_budget_state *state);
/* Whether a packet was turned away for want of budget in the last second. */
bool budget_is_pressed(const struct weir_budget_state *state);

/* What became of packets under pressure, over all tiers; see struct weir_spending. */
struct budget_counts {
	uint64_t known, newcomers;	/* let through */
	uint64_t proven;		/* of the known */
	uint64_t shed;			/* newcomers dropped, though within their network's share */
	uint64_t over;			/* the same of known sources */
	uint64_t share;			/* dropped: the network had used its share */
	uint64_t dropped;		/* all three */
};
struct budget_counts budget_count(const struct weir_spending *spending);

#endif
