/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interfaces upon each other: a macvlan or VLAN upon a device, a bridge upon its ports. The kernel
 * refuses to attach, swap and detach a program while the device directly above has one.
 */
#ifndef WEIR_STATE_STACK_H
#define WEIR_STATE_STACK_H

#include "user/state/maps.h"

/* 0, or -EBUSY with @err: weir is on a device directly above or below the interface. */
int stack_check(const struct maps *maps, uint32_t ifindex, const char *name, char *err);
/* Whether weir is on a device directly above, and its name. */
bool stack_above(const struct maps *maps, uint32_t ifindex, char name[16]);
/*
 * The slots of all devices, in an order in which they can be detached: the upper ones first. Returns
 * how many.
 */
uint32_t stack_from_top(const struct maps *maps, uint32_t slots[WEIR_DEVICES]);

#endif
