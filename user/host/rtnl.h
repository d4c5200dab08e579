/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel tells of an interface of this network namespace, by netlink. */
#ifndef WEIR_HOST_RTNL_H
#define WEIR_HOST_RTNL_H

#include <stdbool.h>
#include <stdint.h>

/* Packets that did not arrive, as struct rtnl_link_stats64 has them, since the interface was made. */
struct link_counts {
	uint64_t dropped, missed, over, fifo, nohandler;
};
/* 0 or -errno. */
int link_counts_read(uint32_t ifindex, struct link_counts *counts);

/*
 * Whether the driver has native XDP, from the family "netdev" of generic netlink, which Linux has
 * since 6.3. 0; -EOPNOTSUPP: this kernel does not tell; -errno.
 */
int link_has_native_xdp(uint32_t ifindex, bool *has);

#endif
