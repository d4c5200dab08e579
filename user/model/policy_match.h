/* SPDX-License-Identifier: GPL-2.0-only */
/* What the words of a limit or a budget select, and which of two is the more particular. Pure. */
#ifndef WEIR_MODEL_POLICY_MATCH_H
#define WEIR_MODEL_POLICY_MATCH_H

#include "user/model/policy.h"

bool match_same_class(const struct weir_limit_spec *a, const struct weir_limit_spec *b);
bool match_same_prefix(const struct weir_prefix *a, const struct weir_prefix *b);
bool match_has(const struct weir_limit_spec *spec, const struct packet_kind *kind);
/* Below 0: @a comes first. */
int match_order(const struct weir_limit_spec *a, const struct weir_limit_spec *b);

#endif
