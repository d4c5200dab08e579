/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules of `weir explain` as text. Pure. */
#ifndef WEIR_MODEL_EXPLAIN_TEXT_H
#define WEIR_MODEL_EXPLAIN_TEXT_H

#include "user/model/explain.h"

#define EXPLAIN_TEXT		256
#define EXPLAIN_FLAGS_LEN	32

/* The words behind `drop add NAME` that make this rule. */
void explain_rule_text(const struct explain_rule *rule, char text[EXPLAIN_TEXT]);
/* "syn,ack", or "none". */
void explain_flags_text(uint32_t flags, char text[EXPLAIN_FLAGS_LEN]);

#endif
