/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets that came to an interface and were lost, since its receive ring had no room for them. */
#ifndef WEIR_HOST_RING_LOSS_H
#define WEIR_HOST_RING_LOSS_H

#include <stdint.h>

/*
 * rx_missed_errors of interface @name in this network namespace, which drivers of hardware count
 * (virtual devices mostly do not). It wraps at 2^32. 0 where it cannot be read.
 */
uint32_t ring_loss(const char *name);

#endif
