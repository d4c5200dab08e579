/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether weir can read most of a device's traffic. */
#ifndef WEIR_STATE_UNREAD_H
#define WEIR_STATE_UNREAD_H

#include <stdbool.h>

#include "bpf/weir.h"

/* Of all reasons. */
__u64 counted_packets(const struct weir_counters *counters);

/*
 * Whether most of the packets that @counters has counted were not IP to weir, so that no list and
 * no limit reached them. @least: so many packets must have come. @percent is set to the part.
 */
bool is_mostly_unread(const struct weir_counters *counters, __u64 least, unsigned int *percent);

/* What the operator can do about it, behind "NAME: 98 % of its packets are not IP". */
#define UNREAD_REMEDY "no limit and no list reaches them; if they carry IP (PPPoE, MPLS, MACsec, " \
	"more VLAN tags than two), attach to the interface that unwraps them, such as ppp0"

#endif
