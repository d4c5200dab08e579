/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's word on packets that were lost before weir saw them. */
#ifndef WEIR_DAEMON_LOSS_LOG_H
#define WEIR_DAEMON_LOSS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "user/state/maps.h"

/* Of the device in one slot. */
struct loss_log {
	bool complaining;
	uint64_t said_ns;	/* when the last line was written */
};

/*
 * Looks at each device once, and writes a line when losses begin, once a minute while they last, and
 * when they are over.
 */
void loss_log_look(struct loss_log logs[WEIR_DEVICES], const struct maps *maps);

#endif
