/* SPDX-License-Identifier: GPL-2.0-only */
/* Where this kernel keeps the time of a listener's last cookie: see bpf/listener.h. */
#ifndef WEIR_STATE_COOKIE_CLOCK_H
#define WEIR_STATE_COOKIE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct cookie_clock {
	uint16_t stamp_at;		/* rx_opt.ts_recent_stamp in struct tcp_sock */
	uint16_t group_at;		/* sk_reuseport_cb in it, which begins with struct sock */
	uint16_t group_stamp_at;	/* synq_overflow_ts in struct sock_reuseport */
	uint32_t fresh;			/* so many jiffies a cookie keeps the listener fresh */
};

/* False if the kernel does not say, for lack of BTF: @clock is then all 0. */
bool cookie_clock_read(struct cookie_clock *clock);

#endif
