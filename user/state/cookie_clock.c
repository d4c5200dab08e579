// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "user/model/units.h"
#include "user/state/cookie_clock.h"
#include "user/state/kernel_struct.h"

#define FRESH_S		60	/* half of the time for which the kernel accepts cookies */

/* The kernel's HZ: its coarse clock moves once a jiffy. 0: unknown. */
static uint32_t jiffies_per_s(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || !tick.tv_nsec)
		return 0;
	return (NS_PER_S + tick.tv_nsec / 2) / tick.tv_nsec;
}

bool cookie_clock_read(struct cookie_clock *clock)
{
	static const char *const stamp[] = { "tcp_sock", "rx_opt", "ts_recent_stamp", NULL };
	static const char *const group[] = { "tcp_sock", "inet_conn", "icsk_inet", "sk",
					     "sk_reuseport_cb", NULL };
	static const char *const group_stamp[] = { "sock_reuseport", "synq_overflow_ts", NULL };
	struct cookie_clock found = { .fresh = FRESH_S * jiffies_per_s() };
	bool good = found.fresh && kernel_member(stamp, 4, &found.stamp_at) &&
		    kernel_member(group, sizeof(void *), &found.group_at) &&
		    kernel_member(group_stamp, 4, &found.group_stamp_at);

	*clock = good ? found : (struct cookie_clock){ 0 };
	return good;
}
