// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdlib.h>

#include "user/model/traffic_top.h"

#define Z_TWO_SIDED	1.96	/* of 95 % */

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static bool same_source(const struct traffic_sample *x, const struct traffic_sample *y)
{
	return x->hi == y->hi && x->lo == y->lo;
}

static bool same_port(const struct traffic_sample *x, const struct traffic_sample *y)
{
	return same_source(x, y) && x->class == y->class && x->dport == y->dport;
}

static int by_port(const void *a, const void *b)
{
	const struct traffic_sample *x = a, *y = b;
	int by = order(x->hi, y->hi);

	if (!by)
		by = order(x->lo, y->lo);
	if (!by)
		by = order(x->class, y->class);
	return by ? by : order(x->dport, y->dport);
}

static int most_first(const void *a, const void *b)
{
	const struct traffic_source *x = a, *y = b;
	int by = order(y->packets, x->packets);

	if (!by)
		by = order(x->hi, y->hi);
	return by ? by : order(x->lo, y->lo);
}

/* Sums @count samples of one source, sorted by class and port. */
static struct traffic_source sum(const struct traffic_sample *samples, size_t count)
{
	struct traffic_source source = { .hi = samples->hi, .lo = samples->lo, .samples = count };
	uint64_t same = 0, most = 0;

	for (size_t i = 0; i < count; i++) {
		const struct traffic_sample *sample = &samples[i];

		source.packets += sample->weight;
		source.bytes += (uint64_t)sample->weight * sample->bytes;
		source.dropped += sample->dropped ? sample->weight : 0;
		if (sample->weight > source.weight)
			source.weight = sample->weight;
		same = (i && same_port(sample - 1, sample) ? same : 0) + sample->weight;
		if (same <= most)
			continue;
		most = same;
		source.class = sample->class;
		source.dport = sample->dport;
	}
	return source;
}

size_t traffic_top(struct traffic_sample *samples, size_t count, struct traffic_source *sources)
{
	size_t begin = 0, found = 0;

	if (!count)	/* @samples may be NULL, which qsort() must not be given */
		return 0;
	qsort(samples, count, sizeof(*samples), by_port);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && same_source(&samples[begin], &samples[i]))
			continue;
		sources[found++] = sum(&samples[begin], i - begin);
		begin = i;
	}
	qsort(sources, found, sizeof(*sources), most_first);
	return found;
}

/* Samples of one packet in @weight: the variance of their number is a part 1 - 1/weight of it. */
unsigned int traffic_error_percent(const struct traffic_source *source)
{
	double error = 100 * Z_TWO_SIDED * sqrt((1 - 1.0 / source->weight) / source->samples);

	return error < 100 ? ceil(error) : 100;
}
