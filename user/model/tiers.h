/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the tiers in which a budget under pressure serves sources. */
#ifndef WEIR_MODEL_TIERS_H
#define WEIR_MODEL_TIERS_H

#include "bpf/weir.h"

/* "first-seen", "returning", "seen", "proven" or "long"; "?" for a number that is no tier. */
const char *tier_name(enum weir_tier tier);

/* What the tier says of a source, as the rest of "the source ...". */
const char *tier_meaning(enum weir_tier tier);

#endif
