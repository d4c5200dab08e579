/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ban engine: brings the judge (model/judge.h) the counters of the data path, once a window,
 * and carries out the bans that it decides on.
 */
#ifndef WEIR_DAEMON_BAN_ENGINE_H
#define WEIR_DAEMON_BAN_ENGINE_H

#include "user/model/config.h"
#include "user/state/maps.h"

struct ban_engine;

/* NULL: out of memory, or no random numbers. */
struct ban_engine *ban_engine_new(void);
void ban_engine_free(struct ban_engine *engine);
/* One window. @maps are open for reading. 0, or -errno with @err. */
int ban_engine_look(struct ban_engine *engine, const struct maps *maps,
		    const struct config *config, char *err);

#endif
