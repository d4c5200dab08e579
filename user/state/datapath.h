/* SPDX-License-Identifier: GPL-2.0-only */
/* The XDP program: creating its maps, attaching and detaching it. */
#ifndef WEIR_STATE_DATAPATH_H
#define WEIR_STATE_DATAPATH_H

#include "user/model/error.h"
#include "user/state/maps.h"

/* Makes all maps with the tool's sizes and leaves their fds in @maps. */
int datapath_create_maps(struct maps *maps, char *err);

enum attach_mode { ATTACH_AUTO, ATTACH_NATIVE, ATTACH_SKB };

struct attach_result {
	bool replaced;		/* an older weir was there, and was swapped without a gap */
	bool fell_back;		/* auto: the driver has no native XDP */
	char why[ERR_LEN];	/* the reason for falling back */
};

/*
 * Attaches to device->ifindex in monitor mode or not, for good or on trial, as
 * @device says, and fills prog_id, mode and dispatcher.
 */
int datapath_attach(struct maps *maps, uint32_t slot, struct weir_device *device,
		    enum attach_mode mode, struct attach_result *result, char *err);

/* 1 detached, 0 was not there any more, -errno. Touches no other program. */
int datapath_detach(const struct maps *maps, const struct weir_device *device, char *err);

/* Whether our program is on the interface: 1, 0, or -errno. */
int datapath_is_attached(const struct maps *maps, const struct weir_device *device);

/* Shows what libbpf and libxdp say; silent otherwise. */
void datapath_verbose(bool verbose);

#endif
