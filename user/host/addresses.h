/* SPDX-License-Identifier: GPL-2.0-only */
/* The addresses of this host and its neighbours, which must not be banned by mistake. */
#ifndef WEIR_HOST_ADDRESSES_H
#define WEIR_HOST_ADDRESSES_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/*
 * Appends to @own the addresses of this host's interfaces in the network namespace of the caller,
 * without those of loopback. Returns 0 or -errno; @own may then hold some of them.
 */
int own_addresses(struct prefixes *own);

/*
 * Appends to @own the same addresses and those of the gateways, to @own_networks the networks of
 * the interfaces and all of @own. Both are merged. Returns 0 or -errno, as above.
 */
int host_read(struct prefixes *own, struct prefixes *own_networks);

#endif
