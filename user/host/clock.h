/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of the data path. */
#ifndef WEIR_HOST_CLOCK_H
#define WEIR_HOST_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC, which bpf_ktime_get_ns() reads too. */
uint64_t now_ns(void);
/* The same clock as of the last tick, as bpf_ktime_get_coarse_ns() reads it. */
uint64_t now_coarse_ns(void);

#endif
