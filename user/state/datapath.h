/* SPDX-License-Identifier: GPL-2.0-only */
/* The XDP program: creating its maps, attaching it and detaching it. */
#ifndef WEIR_STATE_DATAPATH_H
#define WEIR_STATE_DATAPATH_H

#include "user/model/error.h"
#include "user/state/maps.h"

/* Creates all maps and puts their fds into @maps. 0 or -errno with @err. */
int datapath_create_maps(struct maps *maps, char *err);

enum attach_mode { ATTACH_AUTO, ATTACH_NATIVE, ATTACH_SKB };

struct attach_result {
	bool replaced;		/* a weir was attached already, and was replaced without a gap */
	bool fell_back;		/* ATTACH_AUTO: to skb mode, as native mode was refused */
	char why[ERR_LEN];	/* with fell_back: the reason */
};

/*
 * Attaches to device->ifindex: in monitor mode where device->monitor is set, on trial where
 * device->try_until_ns is. Fills prog_id, mode and dispatcher. 0 or -errno with @err.
 */
int datapath_attach(struct maps *maps, uint32_t slot, struct weir_device *device,
		    enum attach_mode mode, struct attach_result *result, char *err);

/* 1: detached; 0: it was not attached any more; -errno with @err. Leaves other programs alone. */
int datapath_detach(const struct maps *maps, const struct weir_device *device, char *err);

/* Whether our program is on the interface: 1, 0, or -errno. */
int datapath_is_attached(const struct maps *maps, const struct weir_device *device);

/* Kernel memory that the table of sources would take on this machine, in bytes, when it is full. */
uint64_t datapath_sources_bytes(void);

/* Whether messages of libbpf and libxdp go to stderr; without a call, they do. */
void datapath_verbose(bool verbose);

#endif
