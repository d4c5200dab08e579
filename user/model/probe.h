/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet of which is known what the limits look at, as a frame. Pure. */
#ifndef WEIR_MODEL_PROBE_H
#define WEIR_MODEL_PROBE_H

#include "user/model/policy.h"

#define PROBE_ROOM	1600
#define PROBE_MTU	1500	/* the longest IP packet */
#define PROBE_PAYLOAD	64

/*
 * The smallest such frame between two hosts of one family, with right checksums; returns its
 * size. A TCP segment comes from port 0, which no connection has, and has a SYN or an ACK.
 */
uint32_t probe_frame(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind);

/* What drop rules look at, too. What is 0 is as the smallest frame has it. */
struct probe_details {
	uint16_t length;		/* of the IP packet, at least probe_least() */
	bool has_ttl, has_flags, has_type;
	uint8_t ttl, flags, icmp_type;	/* flags: TCP_* */
	uint8_t payload[PROBE_PAYLOAD];
	uint8_t payload_len;		/* zeros follow, up to the length */
};
uint32_t probe_detailed(uint8_t frame[PROBE_ROOM], const struct prefix *source,
			const struct prefix *to, const struct packet_kind *kind,
			const struct probe_details *details);
/* The length of the IP packet with its headers and payload. */
uint32_t probe_least(const struct prefix *source, const struct packet_kind *kind,
		     const struct probe_details *details);

/* The same over UDP, with a DNS query for the root. */
uint32_t probe_query(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind);

#endif
