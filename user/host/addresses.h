/* SPDX-License-Identifier: GPL-2.0-only */
/* This host's place in the network, as the daemon must not harm it. */
#ifndef WEIR_HOST_ADDRESSES_H
#define WEIR_HOST_ADDRESSES_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/* The addresses of this host's interfaces, loopback left out. 0 or -errno. */
int own_addresses(struct prefixes *own);

/* Its addresses and gateways; the networks that those are in. Merged. 0 or -errno. */
int host_read(struct prefixes *own, struct prefixes *own_networks);

#endif
