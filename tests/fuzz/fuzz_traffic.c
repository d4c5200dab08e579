// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon keeps of the traffic: any text is refused by name, or is the same when written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/traffic_week.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct traffic_week week, again;
	static struct traffic sum;
	char err[ERR_LEN] = "", words[32], *text;

	if (traffic_week_parse("f", (const char *)data, size, &week, err)) {
		if (err[0] != 'f' || week.day[0].minutes)
			abort();
		return 0;
	}
	text = traffic_week_text(&week);
	if (!text || traffic_week_parse("f", text, strlen(text), &again, err))
		abort();
	free(text);
	sum = (struct traffic){ 0 };
	traffic_week_sum(&again, 20000ULL * 86400, &sum);
	for (enum traffic_class i = 0; i < TRAFFIC_CLASSES; i++) {
		traffic_words(&sum, i, words);
		if (traffic_sources(sum.of[i].packets) && !traffic_rate(&sum, i))
			abort();
		traffic_tighter(&sum, i);
	}
	return 0;
}
