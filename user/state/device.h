/* SPDX-License-Identifier: GPL-2.0-only */
/* The interfaces that weir is attached to: the records in the maps, and the kernel's state. */
#ifndef WEIR_STATE_DEVICE_H
#define WEIR_STATE_DEVICE_H

#include "user/state/maps.h"

/* The inode of this network namespace, as in struct weir_device. */
uint32_t own_netns(void);

/* False: the slot is free. The name is the present one: interfaces may be renamed. */
bool device_read(const struct maps *maps, uint32_t slot, struct weir_device *device);
/* 0 or -errno. A record of zeros frees the slot. */
int device_write(const struct maps *maps, uint32_t slot, const struct weir_device *device);
/*
 * The slot of the interface with this name in this network namespace, or of a removed one
 * that had it. WEIR_DEVICES: there is none.
 */
uint32_t device_find(const struct maps *maps, const char *name, struct weir_device *device);
/*
 * The first device in @slot or behind it: for (slot = 0; device_next(maps, &slot, &device);
 * slot++). False: there is none.
 */
bool device_next(const struct maps *maps, uint32_t *slot, struct weir_device *device);
/* All of them by slot, as events name them; zeros where a slot is free. */
void devices_by_slot(const struct maps *maps, struct weir_device devices[WEIR_DEVICES]);
uint32_t devices_in_use(const struct maps *maps);
/* Whether our program is attached to any of them. */
bool devices_attached(const struct maps *maps);
/* What all devices counted together: reason, monitored, exact, created. 0 or -errno. */
int devices_sum(const struct maps *maps, struct weir_counters *sum);

/* Whether the interface was removed. It must be of this network namespace. */
bool device_is_gone(const struct weir_device *device);
/* Whether our program is attached to it. */
bool device_is_attached(const struct maps *maps, const struct weir_device *device);

/* "native", "skb" */
const char *device_mode(const struct weir_device *device);

#endif
