/* SPDX-License-Identifier: GPL-2.0-only */
/* What the read commands share: getting the settings, and printing JSON. */
#ifndef WEIR_OUTPUT_H
#define WEIR_OUTPUT_H

#include <jansson.h>

#include "user/command.h"

/* The settings in force; 0, or -errno with @err. */
int read_settings(struct settings *settings, char *err);
/* Prints @root when JSON is asked for; frees it in any case. */
enum outcome print_json(const struct call *call, json_t *root);
/* Indices of the limits in the order of policy_order(); cmd_limit.c. */
size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS]);

#endif
