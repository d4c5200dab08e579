// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "user/host/clock.h"
#include "user/model/units.h"

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t now_coarse_ns(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}
