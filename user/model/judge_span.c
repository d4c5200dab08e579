// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adds up what was dropped of a source over the span, ten minutes by default: a source that pauses
 * every third second, or sends 1.9 times its limit for hours, is over its limit in no row of windows.
 *
 * The measure is time: how long the limit would take to let through what was dropped. A source
 * whose drops are worth `excess` percent of the span has sent, on average, so much more than its
 * limit. A burst, however large, is not enough: see span_exceeds().
 *
 * The span slides in two parts, each as long as the span: the running one counts in full, the one
 * before by the share that the span still covers, as if its drops had come evenly. So a source
 * reaches the bar at the latest when a part ends in which it deserved to; and where it does, then
 * over the time since the beginning of that part, or over the running part alone, its average was
 * above the bar. All sources share the same parts, which costs each 24 bytes.
 */
#include "user/model/judge_private.h"
#include "user/model/units.h"

void span_begin(struct judge *judge)
{
	uint64_t span = judge->rules.source.span_ns, ended;

	judge->parts_ended = 0;
	if (!span || judge->now - judge->part_began < span)
		return;
	ended = (judge->now - judge->part_began) / span;
	judge->parts_ended = ended > 1 ? 2 : 1;
	judge->part_began += ended * span;
}

static uint32_t added(uint32_t sum, uint64_t more)
{
	return more < UINT32_MAX - sum ? sum + more : UINT32_MAX;
}

/* The time in which the limit lets through what was dropped; with two rates, the longer one. */
static uint64_t worth_ms(const struct judge_source *source, uint64_t packets, uint64_t bytes)
{
	unsigned __int128 by_packets = (unsigned __int128)packets * source->cost;
	unsigned __int128 by_bytes = (unsigned __int128)bytes * source->byte_cost >>
				     WEIR_BYTE_COST_SHIFT;
	unsigned __int128 ms = (by_packets > by_bytes ? by_packets : by_bytes) /
			       (WEIR_TICKS_PER_S / 1000);

	return ms < UINT32_MAX ? ms : UINT32_MAX;
}

struct span span_next(const struct judge *judge, const struct span *before, uint64_t dropped,
		      uint64_t dropped_bytes, const struct judge_source *source)
{
	struct span span = *before;

	for (unsigned int i = 0; i < judge->parts_ended; i++) {
		span.part[1] = span.part[0];
		span.part[0] = (struct span_part){ 0 };
	}
	if (dropped) {
		span.part[0].packets = added(span.part[0].packets, dropped);
		span.part[0].worth_ms = added(span.part[0].worth_ms,
					      worth_ms(source, dropped, dropped_bytes));
		span.part[0].windows = added(span.part[0].windows, 1);
	}
	return span;
}

uint64_t span_sum(const struct judge *judge, uint64_t now, uint64_t before)
{
	uint64_t span_ms = judge->rules.source.span_ns / NS_PER_MS;
	uint64_t gone_ms = (judge->now - judge->part_began) / NS_PER_MS;

	return now + (gone_ms < span_ms ? before * (span_ms - gone_ms) / span_ms : 0);
}

/*
 * The packets dropped, averaged over the span, reach `least`; they are worth `excess` percent of
 * it; and they came in at least as many windows as would be too many in a row.
 */
bool span_exceeds(const struct judge *judge, const struct span *span)
{
	const struct span_part *now = &span->part[0], *before = &span->part[1];
	uint64_t span_ns = judge->rules.source.span_ns, packets;

	if (!span_ns || now->windows + before->windows < judge->rules.source.windows)
		return false;
	packets = span_sum(judge, now->packets, before->packets);
	return packets >= judge->rules.source.least_pps * (span_ns / NS_PER_S) &&
	       span_sum(judge, now->worth_ms, before->worth_ms) >=
		       span_ns / NS_PER_MS * judge->rules.source.excess_percent / 100;
}
