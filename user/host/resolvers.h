/* SPDX-License-Identifier: GPL-2.0-only */
/* The DNS servers that this host asks. */
#ifndef WEIR_HOST_RESOLVERS_H
#define WEIR_HOST_RESOLVERS_H

#include "user/model/prefixes.h"

/*
 * Appends the addresses of resolv.conf, and those that systemd-resolved asks behind it, without
 * those of loopback, each once and sorted. No file: none. 0 or -ENOMEM.
 */
int host_resolvers(struct prefixes *resolvers);

#endif
