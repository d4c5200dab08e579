/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples of the traffic of a minute, in memory that does not grow without end. */
#ifndef WEIR_MODEL_TRAFFIC_SAMPLES_H
#define WEIR_MODEL_TRAFFIC_SAMPLES_H

#include "user/model/traffic.h"

#define TRAFFIC_SAMPLES_MOST	(1U << 20)	/* 40 MiB */

struct traffic_samples {
	struct traffic_sample *at;
	size_t count, room;
	uint64_t left_out;	/* for lack of room */
};

/* Adds a sample. What has no room is counted as left out. */
void traffic_samples_put(struct traffic_samples *samples, const struct traffic_sample *sample);
void traffic_samples_free(struct traffic_samples *samples);

#endif
