/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The coarse clock, at the price of two loads. Reading it from the kernel is a call, and where
 * returns are guarded against speculation (SRSO, AMD Zen 1 to 4) that costs a packet some 13 ns.
 * The clock moves only once a tick of the kernel, and the verifier turns bpf_jiffies64() into a
 * load: so each CPU reads the clock once a tick.
 */
#ifndef WEIR_BPF_CLOCK_H
#define WEIR_BPF_CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

/* CLOCK_MONOTONIC in ns: never ahead of bpf_ktime_get_coarse_ns(), and at most a tick behind. */
static __always_inline __u64 coarse_ns(struct weir_counters *cpu)
{
	__u64 jiffies = bpf_jiffies64(), now;

	if (cpu->jiffies != jiffies) {
		now = bpf_ktime_get_coarse_ns();
		/* The kernel moves jiffies before the clock: read until the clock has moved. */
		if (cpu->coarse_ns != now)
			cpu->jiffies = jiffies;
		cpu->coarse_ns = now;
	}
	return cpu->coarse_ns;
}

#endif
