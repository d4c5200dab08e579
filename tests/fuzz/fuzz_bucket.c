// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate and the bucket on any arrivals, costs and clocks: never more than
 * the burst and the rate, whatever shares the cells.
 */
#include <stdint.h>
#include <string.h>

#include "bpf/pure/bucket.h"

#define SOURCES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a source was given, as an ideal GCRA sees it. */
struct source {
	__u64 tat, ideal;
};

static void arrive(struct source *source, __u64 cells[3], int pair, __u64 now, __u64 cost,
		   __u64 burst)
{
	static const int a[] = { 0, 1, 0 }, b[] = { 1, 2, 2 };
	__u64 *first = &cells[a[pair]], *second = &cells[b[pair]], half = burst / 2;
	__u64 bound = gate_charge(first, second, now, cost, burst, 0);

	if (bound == GATE_CONTENDED)
		__builtin_trap(); /* there is one thread */
	if (bound + cost > half) {
		if (bucket_take(&source->tat, now, cost, burst, gate_least(bound, half, 0, now)) !=
		    BUCKET_PASS)
			return;
		if (bound + cost > burst)
			gate_fill(first, second, now + burst);
	}
	source->ideal = (source->ideal > now ? source->ideal : now) + cost;
	if (source->ideal - now > burst)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source sources[SOURCES] = { { 0 } };
	__u64 cells[3] = { 0 }, now = 1ULL << 40, cost, burst;

	if (size < 6)
		return 0;
	cost = 1 + (data[0] | (__u64)data[1] << (data[2] % 32));
	burst = cost * (1 + data[3]) + data[4] % cost;
	for (size_t i = 5; i + 1 < size; i += 2) {
		int source = data[i] % SOURCES;

		now += (data[i] >> 2) * cost / 8 + data[i + 1];
		arrive(&sources[source], cells, source % 3, now, cost, burst);
	}
	return 0;
}
