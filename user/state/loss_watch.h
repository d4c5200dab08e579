/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets that were lost before weir saw them, of each device: the growth of the kernel's and the
 * driver's counters since the attachment, without what weir's own program dropped. What the counters
 * mean is in user/model/losses.h.
 *
 * Every command that reads these figures looks, and the daemon once in each window; what was found
 * is kept in the map hints, so each of them sees what all have found.
 */
#ifndef WEIR_STATE_LOSS_WATCH_H
#define WEIR_STATE_LOSS_WATCH_H

#include "user/model/losses.h"
#include "user/state/maps.h"

/* Reads the counters of the devices of this network namespace once more. */
void loss_watch_look(const struct maps *maps);
/* Begins anew at the present counters: the device has been attached to the slot just now. */
void loss_watch_begin(const struct maps *maps, uint32_t slot);

/* What is known of one device. */
struct losses {
	struct weir_loss_watch watch;
	enum own_drops own;
	char complaint[LOSS_COMPLAINT];	/* "": nothing is wrong */
};
/* All zeros for a device that was never looked at, such as one of another network namespace. */
void loss_watch_read(const struct maps *maps, uint32_t slot, const struct weir_device *device,
		     struct losses *losses);

#endif
