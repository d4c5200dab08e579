/* SPDX-License-Identifier: GPL-2.0-only */
/* What the read commands share: printing JSON. */
#ifndef WEIR_CLI_OUTPUT_H
#define WEIR_CLI_OUTPUT_H

#include <jansson.h>

#include "user/cli/command.h"
#include "user/state/lists.h"

/* Prints @root when JSON is asked for; frees it in any case. */
enum outcome print_json(const struct call *call, json_t *root);
/* A budget, what was set and what was counted; cmd_budget.c. */
json_t *budget_json(const struct weir_budget_spec *spec, const struct weir_limit *budget,
		    const struct weir_budget_state *state, const struct weir_spending *sum);

/* What a judgement was and why; cmd_daemon.c. */
json_t *judgement_json(const struct weir_judgement *judgement, const char *prefix);

/* The words of `list load`, for restore; cmd_list.c. */
int parse_list_load(char ***words, struct list_change *change, char *err);

#endif
