/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of the readers of packets: each holds what its reader asked for, and a ring that
 * the data path fills. Slots are taken and freed under the lock of writers.
 */
#ifndef WEIR_STATE_LISTENERS_H
#define WEIR_STATE_LISTENERS_H

#include "user/state/maps.h"

/*
 * Puts @entry, which names this process, and the ring into a free slot. 0, or -errno with
 * @err: -EBUSY when all slots are taken.
 */
int listener_take(const struct maps *maps, struct weir_listener *entry, int ring_fd,
		  uint32_t *slot, char *err);
/* Frees a slot. Its own reader needs no lock for that: the slot is not taken by others. */
void listener_clear(const struct maps *maps, uint32_t slot);

#endif
