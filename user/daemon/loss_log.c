// SPDX-License-Identifier: GPL-2.0-only
#include <syslog.h>

#include "user/daemon/loss_log.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/loss_watch.h"

#define AGAIN_NS	(60 * NS_PER_S)

static void look_at(struct loss_log *log, const struct maps *maps, uint32_t slot,
		    const struct weir_device *device)
{
	uint64_t now = now_ns();
	struct losses losses;
	bool complaint;

	loss_watch_read(maps, slot, device, &losses);
	complaint = *losses.complaint;
	if (complaint && (!log->complaining || now - log->said_ns >= AGAIN_NS)) {
		log_line(LOG_ERR, "%s", losses.complaint);
		log->said_ns = now;
	} else if (!complaint && log->complaining) {
		log_line(LOG_NOTICE, "%s: no part of the packets worth a word was lost lately",
			 device->name);
	}
	log->complaining = complaint;
}

void loss_log_look(struct loss_log logs[WEIR_DEVICES], const struct maps *maps)
{
	struct weir_device device;

	loss_watch_look(maps);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		look_at(&logs[slot], maps, slot, &device);
}
