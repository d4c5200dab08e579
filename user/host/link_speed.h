/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef WEIR_HOST_LINK_SPEED_H
#define WEIR_HOST_LINK_SPEED_H

#include <stdint.h>

/* Bits/s of the fastest interface of this network namespace; 0: no driver tells its speed. */
uint64_t fastest_link(void);

#endif
