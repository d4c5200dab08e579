// SPDX-License-Identifier: GPL-2.0-only
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "user/host/ring_loss.h"

uint32_t ring_loss(const char *name)
{
	struct ifaddrs *all, *each;
	uint32_t lost = 0;

	if (getifaddrs(&all))
		return 0;
	for (each = all; each; each = each->ifa_next) {
		const struct rtnl_link_stats *stats = each->ifa_data;

		if (each->ifa_addr && each->ifa_addr->sa_family == AF_PACKET && stats &&
		    !strcmp(each->ifa_name, name))
			lost = stats->rx_missed_errors;
	}
	freeifaddrs(all);
	return lost;
}
