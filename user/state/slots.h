/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots of outer maps (arrays of maps), several at once. The kernel returns from each write to one
 * only after a grace period of RCU, so that no packet sees the old map any more: 10 to 25 ms on an
 * idle machine, and several times that under a flood. Writes at the same time share the period.
 */
#ifndef WEIR_STATE_SLOTS_H
#define WEIR_STATE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slot_write {
	int outer;		/* fd of the outer map */
	uint32_t slot;
	int fd;			/* of the map to put there; -1: empties the slot */
	int rc;			/* 0 or -errno, afterwards */
};

/* All are tried, also where one fails. */
void slots_write(struct slot_write *writes, size_t count);

#endif
