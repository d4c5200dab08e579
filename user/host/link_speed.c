// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "user/host/ethtool.h"
#include "user/host/interfaces.h"
#include "user/host/link_speed.h"

uint64_t fastest_link(void)
{
	uint64_t fastest = 0, speed;
	struct interface *all;
	size_t count;

	if (interfaces_read(&all, &count))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (!ethtool_speed(all[i].name, &speed) && speed > fastest)
			fastest = speed;
	free(all);
	return fastest;
}
