/* SPDX-License-Identifier: GPL-2.0-only */
/* What the read commands share: getting the settings, and printing JSON. */
#ifndef WEIR_CLI_OUTPUT_H
#define WEIR_CLI_OUTPUT_H

#include <jansson.h>

#include "user/cli/command.h"
#include "user/state/lists.h"

/* For writing: what an interrupted change of the lists left is tidied up first. */
int open_maps(struct maps *maps, enum maps_use use, char *err);
/* Nothing stays of a command that made the maps and then failed. */
void close_maps(struct maps *maps, enum outcome outcome);
/* The settings in force; 0, or -errno with @err. */
int read_settings(struct settings *settings, char *err);
/* Prints @root when JSON is asked for; frees it in any case. */
enum outcome print_json(const struct call *call, json_t *root);
/* Other text no JSON can have in it. */
bool is_utf8(const char *text);
/* The addresses of this host; 0 or -errno. cmd_source.c */
int own_addresses(struct prefixes *own);
/* -EPERM with @err where blocking @prefix needs `force`; cmd_source.c. */
int guard_prefix(const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own, char *err);
/* The list that covers all of @prefix; cmd_list.c. */
bool list_that_covers(const struct prefix *prefix, char name[WEIR_NAME_LEN]);
/* Indices of the limits in the order of policy_order(); cmd_limit.c. */
size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS]);

/* A budget, what was set and what was counted; cmd_budget.c. */
json_t *budget_json(const struct weir_budget_spec *spec, const struct weir_limit *budget,
		    const struct weir_budget_state *state, const struct weir_spending *sum);

/* The words of `syn protect` that make this rule; cmd_syn.c. */
void format_syn(const struct weir_syn_rule *rule, char *text, size_t size);

/* What a judgement was and why; cmd_daemon.c. */
json_t *judgement_json(const struct weir_judgement *judgement, const char *prefix);

/* `list load` in two steps, for restore: the words; the file, checked. cmd_list.c. */
int parse_list_load(char ***words, struct list_change *change, char *err);
int plan_list_load(struct list_change *change, const struct settings *settings, bool quiet,
		   struct list_report *report, char *err);
/* Puts one change of a list into force, under the lock. */
int apply_list_change(const struct maps *maps, struct list_change *change, char *err);

#endif
