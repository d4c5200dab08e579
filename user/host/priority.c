// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>

#include "user/host/priority.h"

/* The lowest real-time priority: what has one on purpose goes first, also the threads of NAPI. */
void run_before_others(void)
{
	struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };

	if (sched_getscheduler(0) == SCHED_OTHER)
		sched_setscheduler(0, SCHED_RR, &lowest);
}
