// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>

#include "user/model/error.h"
#include "user/model/reasons.h"
#include "user/state/budgets.h"
#include "user/state/device.h"
#include "user/state/pressure.h"

/* A slot without a budget was never under pressure, or is no longer. */
static uint32_t pressed_budgets(const struct maps *maps)
{
	uint32_t pressed = 0;

	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++) {
		struct weir_budget_state state;

		if (!bpf_map_lookup_elem(maps->fd[MAP_budgets], &slot, &state))
			pressed += budget_is_pressed(&state);
	}
	return pressed;
}

int pressure_read(const struct maps *maps, struct pressure *pressure)
{
	uint64_t turned_away = reasons_turned_away();
	struct weir_counters sum;
	int rc = devices_sum(maps, &sum);

	*pressure = (struct pressure){ 0 };
	if (rc)
		return rc;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		pressure->packets += sum.reason[i].packets;
		if (turned_away >> i & 1)
			pressure->turned_away += sum.reason[i].packets;
	}
	pressure->budgets = pressed_budgets(maps);
	return 0;
}
