/* SPDX-License-Identifier: GPL-2.0-only */
/* This host's place in the network, as the daemon must not harm it. */
#ifndef WEIR_HOST_ADDRESSES_H
#define WEIR_HOST_ADDRESSES_H

#include "user/model/prefix.h"

/* Its addresses and gateways; the networks that those are in. Merged. 0 or -errno. */
int host_read(struct prefixes *own, struct prefixes *own_networks);

#endif
