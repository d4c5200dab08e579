// SPDX-License-Identifier: GPL-2.0-only
#include "user/host/clock.h"
#include "user/model/units.h"
#include "user/state/budgets.h"
#include "user/state/maps.h"

/*
 * "Under pressure" is displayed for so long, so that a reader who looks once a second does not
 * miss it. The data path counts by PRESSED_NS of bpf/pure/class.h.
 */
#define DISPLAYED_NS	NS_PER_S

double budget_used(const struct weir_limit *budget, const struct weir_budget_state *state)
{
	uint64_t now = now_ns() << WEIR_TICK_SHIFT;
	double packets = 0, bytes = 0;

	if (budget->burst && state->tat > now)
		packets = (double)(state->tat - now) / budget->burst;
	if (budget->byte_burst && state->byte_tat > now)
		bytes = (double)(state->byte_tat - now) / budget->byte_burst;
	packets = packets > bytes ? packets : bytes;
	return packets < 1 ? packets : 1;
}

/* Clocks of other CPUs may be ahead of ours by a little. */
bool budget_is_pressed(const struct weir_budget_state *state)
{
	return state->pressed_ns && state->pressed_ns + DISPLAYED_NS > now_ns();
}

struct budget_counts budget_count(const struct weir_spending *spending)
{
	struct budget_counts counts = { 0 };

	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		*(tier < WEIR_SEEN ? &counts.newcomers : &counts.known) += spending->let_in[tier];
		counts.proven += tier < WEIR_PROVEN ? 0 : spending->let_in[tier];
		*(tier < WEIR_SEEN ? &counts.shed : &counts.over) += spending->no_room[tier];
		counts.share += spending->over_share[tier];
	}
	counts.dropped = counts.shed + counts.over + counts.share;
	return counts;
}
