/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cookie rules of a policy: for which ports and which destination SYNs are answered with SYN
 * cookies (bpf/syn.h). Ports are in host byte order. Index 0 means "no rule".
 */
#ifndef WEIR_MODEL_SYN_RULES_H
#define WEIR_MODEL_SYN_RULES_H

#include <stdint.h>

#include "bpf/weir.h"

/*
 * Adds @rule, or replaces the rule of exactly these ports. Returns 1 when the policy changed, 0
 * when it already was so, -EEXIST when another rule has some of these ports, or -ENOSPC; failures
 * with @err.
 */
int syn_set(struct weir_policy *policy, const struct weir_syn_rule *rule, char *err);
/* The index of the rule of exactly these ports, or 0. */
uint32_t syn_find(const struct weir_policy *policy, uint16_t first, uint16_t last);
void syn_remove(struct weir_policy *policy, uint32_t index);
/* Percent of each core's time that cookies may take, as set or as usual. */
uint32_t syn_share(const struct weir_policy *policy);
/* Fills what the data path reads: the table by port (syn_rule_of), and time_weight. */
void syn_compile(struct weir_policy *policy);

#endif
