/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether packets are turned away now, in a few reads: of counters and of budgets. */
#ifndef WEIR_STATE_PRESSURE_H
#define WEIR_STATE_PRESSURE_H

#include "user/state/maps.h"

struct pressure {
	uint64_t packets;	/* counted by all devices, since their first attach */
	uint64_t turned_away;	/* of those, dropped for how much came; in monitor mode: would be */
	uint32_t budgets;	/* that are under pressure */
};

/* 0 or -errno. */
int pressure_read(const struct maps *maps, struct pressure *pressure);

#endif
