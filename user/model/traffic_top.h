/* SPDX-License-Identifier: GPL-2.0-only */
/* The sources that sent most, from samples. */
#ifndef WEIR_MODEL_TRAFFIC_TOP_H
#define WEIR_MODEL_TRAFFIC_TOP_H

#include "user/model/traffic.h"

struct traffic_source {
	uint64_t hi, lo;
	uint64_t packets, bytes, dropped;	/* as the samples estimate it */
	uint64_t samples;
	uint32_t weight;			/* the largest of a sample */
	/* most packets are of this class, and to this port */
	uint8_t class;
	uint16_t dport;
};

/*
 * Sorts @samples, and sets @sources, which has room for @count, to each source once, that which
 * sent most packets first. Returns how many there are.
 */
size_t traffic_top(struct traffic_sample *samples, size_t count, struct traffic_source *sources);
/* By how many per cent the packets of a source may be wrong, with 95 % confidence; at most 100. */
unsigned int traffic_error_percent(const struct traffic_source *source);

#endif
