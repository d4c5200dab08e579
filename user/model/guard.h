/* SPDX-License-Identifier: GPL-2.0-only */
/* What must not be blocked by mistake. */
#ifndef WEIR_MODEL_GUARD_H
#define WEIR_MODEL_GUARD_H

#include "user/model/prefixes.h"
#include "user/model/settings.h"

/*
 * -EPERM with @err where blocking @prefix needs `force`: it is everything, or covers an
 * address in @own or an entry of the allow list.
 */
int guard_prefix(const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own, char *err);

#endif
