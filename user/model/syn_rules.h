/* SPDX-License-Identifier: GPL-2.0-only */
/* Services whose SYNs are answered by cookies (bpf/syn.h): the rules. Pure. */
#ifndef WEIR_MODEL_SYN_RULES_H
#define WEIR_MODEL_SYN_RULES_H

#include <stdint.h>

#include "bpf/weir.h"

/*
 * Adds @rule, or changes that of the same ports and destination. -EEXIST where
 * it shares ports with another; 1 changed, 0 not, -ENOSPC; with @err.
 */
int syn_set(struct weir_policy *policy, const struct weir_syn_rule *rule, char *err);
/* The index of the rule of exactly these ports, 0: there is none. */
uint32_t syn_find(const struct weir_policy *policy, uint16_t first, uint16_t last);
void syn_remove(struct weir_policy *policy, uint32_t index);
/* Fills in what the data path looks up. */
void syn_compile(struct weir_policy *policy);

#endif
