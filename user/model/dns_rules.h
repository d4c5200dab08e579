/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The DNS rules of a policy: for which port and which destination queries over UDP are answered
 * with "truncated" (bpf/dns.h). Ports are in host byte order. Index 0 means "no rule".
 */
#ifndef WEIR_MODEL_DNS_RULES_H
#define WEIR_MODEL_DNS_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/weir.h"

/*
 * Adds @rule, or replaces the rule of this port and destination. Returns 1 when the policy changed,
 * 0 when it already was so, or -ENOSPC with @err.
 */
int dns_set(struct weir_policy *policy, const struct weir_dns_rule *rule, char *err);
/* The index of the rule of exactly this port and destination, or 0. */
uint32_t dns_find(const struct weir_policy *policy, const struct weir_prefix *to, uint16_t port);
void dns_remove(struct weir_policy *policy, uint32_t index);
/* Fills the table by port (dns_rule_of) and the chains that the data path reads. */
void dns_compile(struct weir_policy *policy);

/* Whether a budget holds for queries that the rule is for, as far as the budgets' words say. */
bool dns_has_budget(const struct weir_policy *policy, const struct weir_dns_rule *rule);

#endif
