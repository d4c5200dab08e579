// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "user/model/traffic_samples.h"

#define ROOM_FIRST	1024

static bool make_room(struct traffic_samples *samples)
{
	size_t room = samples->room ? 2 * samples->room : ROOM_FIRST;
	struct traffic_sample *at;

	if (room > TRAFFIC_SAMPLES_MOST)
		return false;
	at = realloc(samples->at, room * sizeof(*at));
	if (!at)
		return false;
	samples->at = at;
	samples->room = room;
	return true;
}

void traffic_samples_put(struct traffic_samples *samples, const struct traffic_sample *sample)
{
	if (samples->count == samples->room && !make_room(samples)) {
		samples->left_out++;
		return;
	}
	samples->at[samples->count++] = *sample;
}

void traffic_samples_free(struct traffic_samples *samples)
{
	free(samples->at);
	*samples = (struct traffic_samples){ 0 };
}
