/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's word on cookies that come back and become no connections. */
#ifndef WEIR_DAEMON_COOKIE_LOG_H
#define WEIR_DAEMON_COOKIE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "user/state/maps.h"

struct cookie_log {
	bool complaining;
	uint64_t said_ns;	/* when the last line was written */
};

/* Looks once, and writes a line when it begins, once a minute while it lasts, and when it is over. */
void cookie_log_look(struct cookie_log *log, const struct maps *maps);

#endif
