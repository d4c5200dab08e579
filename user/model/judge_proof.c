// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sources were proven to have sent what was dropped in their name.
 *
 * The data path looks whether an over-limit packet, one in OFFENCE_SAMPLE chosen at random, belongs
 * to an established connection of this host, and counts those that do (map `offences`). One of them
 * proves little: where sequence numbers cannot be compared (is_in_window() of bpf/socket.h), a
 * spoofer that uses random ports meets a connection of a customer with one packet in 28,000.
 *
 * So the proven packets alone must reach the bar for a ban, and twice that bar, since TCP loses a
 * lot where many connections share a limit: uploads of iperf3 over a veth pair, beyond 1000/s, lost
 * in parts of what the limit lets through 0.2 to 0.4 (one connection), 0.5 to 0.6 (8), 0.8 (16 and
 * 32), 1.0 to 1.5 (64). They must also be at least half of all that was dropped in the source's
 * name. A customer with many connections, a NAT perhaps, is met more often by a spoofer, but half
 * of the time only with 14,000 connections.
 *
 * The bar is compared with a lower bound of their number, which is known from a sample. By
 * Chernoff, a Poisson variable of mean m reaches n > m with a chance of at most
 * exp(-(n ln(n / m) - n + m)), which is at most exp(-2 (sqrt(n) - sqrt(m))^2), since
 * x ln x - x + 1 >= 2 (sqrt(x) - 1)^2 for x >= 1. The mean is thus at least
 * (sqrt(n) - sqrt(7))^2, but for a chance of exp(-14), one in a million. The sample is binomial,
 * with a lighter tail. (Garwood's exact bound, Biometrika 1936, is a little higher, and needs
 * quantiles of the chi-squared distribution.) Fewer than eight samples prove nothing.
 *
 * The proof does not say which limit the packets exceeded, so all that the source's limits counted
 * is put together. Otherwise the segments that a policed upload loses would prove a flood of forged
 * SYNs beyond another limit.
 */
#include <errno.h>

#include "user/model/judge_private.h"
#include "user/model/units.h"

#define OFFENCE_SAMPLE	64	/* LEARN_SAMPLE of bpf/known.h, by which the map multiplies */
#define KNOWN_MORE	2	/* times the bar */

static void conduct_add(struct conduct *sum, const struct conduct *more)
{
	sum->allowed += more->allowed;
	sum->dropped += more->dropped;
	sum->proven += more->proven;
}

static void close_window(const struct judge *judge, struct offender *offender)
{
	if (offender->over) {
		conduct_add(&offender->row, &offender->window);
		offender->row_ns += judge->window_before;
	} else {
		offender->row = (struct conduct){ 0 };
		offender->row_ns = 0;
	}
	conduct_add(&offender->part[0], &offender->window);
	for (unsigned int i = 0; i < judge->parts_ended; i++) {
		offender->part[1] = offender->part[0];
		offender->part[0] = (struct conduct){ 0 };
	}
	offender->window = (struct conduct){ 0 };
	offender->over = false;
}

void offenders_begin(struct judge *judge)
{
	struct offender *offender;
	struct hash_key key;

	for (size_t at = 0; (offender = hash_table_next(&judge->offenders, &at, &key));)
		close_window(judge, offender);
}

/* The map has it no more. */
static bool was_noted(const void *value, uint64_t since_ns)
{
	return ((const struct offender *)value)->noted_ns >= since_ns;
}

int judge_offence(struct judge *judge, const struct prefix *source, uint64_t packets)
{
	struct hash_key key = prefix_key(source);
	struct offender *offender;

	if (hash_table_is_full(&judge->offenders) &&
	    hash_table_filter(&judge->offenders, was_noted, judge->now - judge->window))
		return -ENOMEM;
	offender = hash_table_put(&judge->offenders, &key);
	if (!offender)
		return -ENOMEM;
	/* At the first look it is not known when the packets came. An evicted element begins anew. */
	if (judge->window)
		offender->window.proven =
			packets >= offender->counted ? packets - offender->counted : packets;
	offender->counted = packets;
	offender->noted_ns = judge->now;
	return 0;
}

struct offender *offender_find(const struct judge *judge, const struct prefix *source)
{
	struct prefix whole = *source;
	struct hash_key key;

	if (!judge->offenders.count || !is_one_source(source))
		return NULL;
	if (!prefix_is_v4(source)) {
		whole.length = 64;
		prefix_mask(&whole);
	}
	key = prefix_key(&whole);
	return hash_table_find(&judge->offenders, &key);
}

/* ---- the bar ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whether a sample that counts @proven packets shows that there were at least @packets. */
static bool shows(uint64_t proven, uint64_t packets)
{
	uint64_t sampled = proven / OFFENCE_SAMPLE, mean = packets / OFFENCE_SAMPLE + 1, beyond;

	if (sampled <= mean + 7)
		return false;
	beyond = sampled - mean - 7;	/* sqrt(sampled) >= sqrt(mean) + sqrt(7), without roots */
	return beyond >= UINT32_MAX || beyond * beyond / 28 >= mean;
}

/* As source_exceeds() of judge.c has it, for all windows of the row. */
static bool row_is_proven(const struct judge *judge, const struct offender *offender)
{
	const struct conduct *row = &offender->row;
	uint64_t times = (judge->rules.source.times - 1) * KNOWN_MORE;
	uint64_t least = judge->rules.source.least_pps * (offender->row_ns / NS_PER_MS) / 1000;

	if (!offender->row_ns || row->allowed > UINT64_MAX / times)
		return false;
	return shows(row->proven, larger(larger(least, row->allowed * times), row->dropped / 2));
}

/* As span_exceeds() has it. */
static bool span_is_proven(const struct judge *judge, const struct conduct *span)
{
	uint64_t least = judge->rules.source.least_pps * (judge->rules.source.span_ns / NS_PER_S);
	uint64_t excess = span->allowed / 100 * judge->rules.source.excess_percent * KNOWN_MORE;

	return judge->rules.source.span_ns &&
	       shows(span->proven, larger(larger(least, excess), span->dropped / 2));
}

bool offender_is_proven(const struct judge *judge, const struct offender *offender,
			struct conduct *conduct)
{
	const struct conduct *part = offender->part;
	struct conduct span = {
		.allowed = span_sum(judge, part[0].allowed, part[1].allowed),
		.dropped = span_sum(judge, part[0].dropped, part[1].dropped),
		.proven = span_sum(judge, part[0].proven, part[1].proven),
	};

	*conduct = offender->row;
	if (row_is_proven(judge, offender))
		return true;
	if (!offender->row_ns)
		*conduct = span;
	if (!span_is_proven(judge, &span))
		return false;
	*conduct = span;
	return true;
}
