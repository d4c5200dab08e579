/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet of which is known what the limits look at, as a frame. Pure. */
#ifndef WEIR_MODEL_PROBE_H
#define WEIR_MODEL_PROBE_H

#include "user/model/policy.h"

#define PROBE_ROOM	128

/*
 * The smallest such frame between two hosts of one family, with right checksums; returns its
 * size. A TCP segment comes from port 0, which no connection has, and has a SYN or an ACK.
 */
uint32_t probe_frame(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind);

/* The same over UDP, with a DNS query for the root. */
uint32_t probe_query(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind);

#endif
