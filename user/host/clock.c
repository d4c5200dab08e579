// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "user/host/clock.h"
#include "user/model/units.h"

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}
