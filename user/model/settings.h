/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that the operator has set: limits, budgets, cookie rules, allow and block entries.
 * All front ends share this model: commands and `restore` edit it, state/side_settings.c reads
 * it from the maps and writes back only what differs.
 */
#ifndef WEIR_MODEL_SETTINGS_H
#define WEIR_MODEL_SETTINGS_H

#include "bpf/weir.h"
#include "user/model/entries.h"

struct settings {
	struct weir_policy *policy;	/* allocated: it is too large for a stack */
	struct entries allow, block;
};

/* Makes @settings empty. Returns 0 or -ENOMEM. */
int settings_init(struct settings *settings);
/* Frees what @settings holds and zeroes it; a zeroed @settings is allowed. */
void settings_free(struct settings *settings);
/* Makes @to a copy of @from; what @to held is not freed. Returns 0 or -ENOMEM. */
int settings_copy(struct settings *to, const struct settings *from);

#endif
