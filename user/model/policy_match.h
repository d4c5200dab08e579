/* SPDX-License-Identifier: GPL-2.0-only */
/* Which packets the spec of a limit or a budget selects, and which of two is more specific. */
#ifndef WEIR_MODEL_POLICY_MATCH_H
#define WEIR_MODEL_POLICY_MATCH_H

#include "user/model/policy.h"

/* Whether both select the same packets, apart from their prefixes. */
bool match_same_class(const struct weir_limit_spec *a, const struct weir_limit_spec *b);
/* Whether both keys are the same prefix. */
bool match_same_prefix(const struct weir_prefix *a, const struct weir_prefix *b);
/*
 * Whether the spec selects such packets, without regard to their source port and to its prefix; and
 * whether it selects this source port.
 */
bool match_but_sport(const struct weir_limit_spec *spec, const struct packet_kind *kind);
bool match_sport(const struct weir_limit_spec *spec, uint16_t sport);
/*
 * Compares the classes of two specs, as memcmp() does. Where both select a packet, the one that
 * comes first, the more specific one, decides about it. 0 only when match_same_class().
 */
int match_order(const struct weir_limit_spec *a, const struct weir_limit_spec *b);

#endif
