/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether settings would end a connection in which somebody works. */
#ifndef WEIR_MODEL_CUT_H
#define WEIR_MODEL_CUT_H

#include <stdint.h>

#include "user/model/policy.h"
#include "user/model/settings.h"

/* An established TCP connection: its two addresses, the port at this host, and that at the peer. */
struct connection {
	struct prefix peer, here;
	uint16_t port, peer_port;
};

#define CUT_RULE	160	/* bytes of a rule in words, NUL included */

/*
 * Whether the allow and block entries, drop rules, limits or budgets would leave an interactive connection
 * unusable: it is blocked, or held to less than CUT_PPS packets or CUT_BITS bits a second. The rule
 * that does it is written to @rule. Lists are not asked. The policy must be compiled.
 */
#define CUT_PPS		20
#define CUT_BITS	64000
bool settings_cut(const struct settings *settings, const struct connection *connection,
		  uint64_t now_ns, char rule[CUT_RULE]);

#endif
