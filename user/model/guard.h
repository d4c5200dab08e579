/* SPDX-License-Identifier: GPL-2.0-only */
/* Prefixes that must not be blocked by mistake. */
#ifndef WEIR_MODEL_GUARD_H
#define WEIR_MODEL_GUARD_H

#include "user/model/prefixes.h"
#include "user/model/settings.h"

/*
 * Returns 0 when @prefix may be blocked, or -EPERM with @err when that needs the word `force`:
 * it is all of IPv4 or IPv6, or covers an address in @own (this host's) or an entry of the
 * allow list in @settings.
 */
int guard_prefix(const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own, char *err);

#endif
