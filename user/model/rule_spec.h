/* SPDX-License-Identifier: GPL-2.0-only */
/* A drop rule as the data path has it, as words, and as `weir explain` compares packets with it. */
#ifndef WEIR_MODEL_RULE_SPEC_H
#define WEIR_MODEL_RULE_SPEC_H

#include "bpf/weir.h"
#include "user/model/explain.h"

/* @text: "NAME CONDITIONS", as behind `drop add`. 0, or -EINVAL with @err. */
int rule_spec_read(const char *text, struct weir_rule_spec *spec, char *err);
/* "NAME CONDITIONS", cut to @size bytes: then it ends with "...", which rule_spec_read() refuses. */
void rule_spec_write(const struct weir_rule_spec *spec, char *text, size_t size);
/*
 * False: it has conditions that explain does not know (several ranges, l4, to, a message of ICMP whose
 * type is another number in IPv6).
 */
bool rule_spec_explain(const struct weir_rule_spec *spec, struct explain_rule *rule);

#endif
