/* SPDX-License-Identifier: GPL-2.0-only */
/* Names and actions of the reasons for a verdict, from the table WEIR_REASONS in bpf/weir.h. */
#ifndef WEIR_MODEL_REASONS_H
#define WEIR_MODEL_REASONS_H

#include <stdint.h>

#include "bpf/weir.h"

/* "rate-limit", "malformed"; "?" for a number that is no reason. Constant text. */
const char *reason_name(enum weir_reason reason);

/* What becomes of a packet with this reason: "pass", "drop" or "tx"; "?" as above. */
const char *reason_action(enum weir_reason reason);

/* A bit (1 << reason) for each reason whose action is @action. */
uint64_t reasons_of_action(const char *action);

#endif
