/* SPDX-License-Identifier: GPL-2.0-only */
/* From the first bytes of a frame to the packet that `weir explain` compares. Pure. */
#ifndef WEIR_MODEL_EXPLAIN_PACKET_H
#define WEIR_MODEL_EXPLAIN_PACKET_H

#include "user/model/explain.h"

/*
 * Reads the @size first bytes of a frame of which more may have come. @bare: it begins with the IP
 * header. @weight: how many packets it stands for, a power of two. False: it is no IP packet, or
 * its headers are not all there.
 */
bool explain_read_frame(const uint8_t *data, size_t size, bool bare, uint64_t weight,
			struct explain_packet *packet);

#endif
