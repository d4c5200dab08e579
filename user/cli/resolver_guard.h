/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that would drop the answers of this host's DNS servers ask for `force`. */
#ifndef WEIR_CLI_RESOLVER_GUARD_H
#define WEIR_CLI_RESOLVER_GUARD_H

#include "user/model/settings.h"

/*
 * 0, or -EPERM with @err: a drop rule of @is would drop the answers of a DNS server that this host
 * asks, and none of @was did. One that is allowed is no reason.
 */
int resolver_guard(const struct settings *was, const struct settings *is, char *err);

#endif
