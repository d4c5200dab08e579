// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/bucket.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/model/policy_match.h"

#define BURST_TICKS_MAX	(30 * 86400 * WEIR_TICKS_PER_S)
#define FRAME_BYTES	1514	/* a full Ethernet frame without FCS */
#define BURST_BITS	(65536 * 8)	/* the least default burst of a bit rate */
/*
 * The coarse clock advances only every 10 ms with CONFIG_HZ=100. A source that keeps to its rate
 * then appears to owe up to 10 ms, which must still be below half of its burst: only limits with a
 * burst of 20 ms or more use that clock.
 */
#define COARSE_TICKS	(WEIR_TICKS_PER_S / 50)

/*
 * Budgets use the coarse clock, and first-seen sources may spend a quarter of the burst. That
 * quarter must last from one step of the clock to the next (10 ms) and hold a packet.
 */
#define BUDGET_BURST_TICKS	(WEIR_TICKS_PER_S / 25)
#define BUDGET_BURST_PACKETS	8
#define BUDGET_BURST_BITS	(4 * FRAME_BYTES * 8)

/* ---- from rates to ticks ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * The default burst of a limit is what its rate lets through in a second: TCP sends in bursts, and
 * with a tenth of a second an upload got half of the rate, with a second 95 % (docs/guide.md). In
 * rates by the minute or hour, which count events such as new connections, it is a tenth of what
 * they let through in that time.
 */
static void fill_bursts(struct weir_limit_spec *spec)
{
	uint64_t packets = spec->per_s > 1 ? spec->rate_packets / 10 : spec->rate_packets;

	if (spec->rate_packets && !spec->burst_packets)
		spec->burst_packets = larger(packets, 2);
	if (spec->rate_bits_per_s && !spec->burst_bits)
		spec->burst_bits = larger(spec->rate_bits_per_s, BURST_BITS);
}

/*
 * That of a budget is a tenth of what its rate lets through in its own unit of time: the service
 * gets it at once on top of the rate, and no single sender depends on it.
 */
static void fill_budget_bursts(struct weir_limit_spec *spec)
{
	if (spec->rate_packets && !spec->burst_packets)
		spec->burst_packets = larger(spec->rate_packets / 10, BUDGET_BURST_PACKETS);
	if (spec->rate_bits_per_s && !spec->burst_bits)
		spec->burst_bits = larger(spec->rate_bits_per_s / 10, BURST_BITS);
}

/* 0, or -EINVAL with @err. */
static int check_bursts(const struct weir_limit_spec *spec, char *err)
{
	if (spec->burst_packets && !spec->rate_packets)
		return fail(err, EINVAL, "burst %llu: a burst of packets needs a rate of packets",
			    (unsigned long long)spec->burst_packets);
	if (spec->burst_bits && !spec->rate_bits_per_s)
		return fail(err, EINVAL, "burst %llubit: a burst of bits needs a rate of bits",
			    (unsigned long long)spec->burst_bits);
	if (spec->burst_bits && spec->burst_bits < FRAME_BYTES * 8)
		return fail(err, EINVAL, "burst %llubit: no full frame would ever pass; it must be at "
			    "least %dbit",
			    (unsigned long long)spec->burst_bits, FRAME_BYTES * 8);
	return 0;
}

/*
 * Sets the costs and bursts in ticks. Returns 0, or -ERANGE with @err. The cost of a packet is
 * rounded to the nearest tick: half a tick is 3 % of it at 1000 Mpps, and less at lower rates. The
 * cost of a byte is rounded down to 2^-WEIR_BYTE_COST_SHIFT ticks.
 */
static int fill_ticks(struct weir_limit *limit, const struct weir_limit_spec *spec, char *err)
{
	unsigned __int128 burst, byte_burst;

	limit->cost = limit->byte_cost = 0;
	if (spec->rate_packets)
		limit->cost = (spec->per_s * WEIR_TICKS_PER_S + spec->rate_packets / 2) /
			      spec->rate_packets;
	if (spec->rate_bits_per_s)
		limit->byte_cost = (8 * WEIR_TICKS_PER_S << WEIR_BYTE_COST_SHIFT) /
				   spec->rate_bits_per_s;
	burst = (unsigned __int128)limit->cost * spec->burst_packets;
	byte_burst = (unsigned __int128)limit->byte_cost * (spec->burst_bits / 8) >>
		     WEIR_BYTE_COST_SHIFT;
	if (burst > BURST_TICKS_MAX || byte_burst > BURST_TICKS_MAX)
		return fail(err, ERANGE, "the burst is more than 30 days of the rate");

	limit->burst = burst;
	limit->byte_burst = byte_burst;
	limit->cap = burst > byte_burst ? burst : byte_burst;
	limit->half = limit->cap / 2;
	if (limit->cost && limit->byte_cost)
		limit->half = (burst < byte_burst ? burst : byte_burst) / 2;
	limit->coarse = 2 * limit->half >= COARSE_TICKS;
	return 0;
}

/*
 * The floor of a limit that is changed. Sources without a bucket may owe up to half of the old
 * burst, which the gate holds in ticks of the old rate. Where the same packets cost more ticks
 * under the new rate, or half of the new burst is less, or its cells are others, every source is
 * assumed to owe that debt until it has drained. Returns the time in ticks at which it has; 0: no
 * debt is assumed.
 */
static uint64_t floor_after(const struct weir_limit *was, const struct weir_limit *is, uint64_t now)
{
	uint64_t owed = was->half, packets, bytes;

	if (was->floor > now && was->floor - now > owed)
		owed = was->floor - now;
	packets = was->cost && is->cost ? debt_rescale(owed, was->cost, is->cost) : 0;
	bytes = was->byte_cost && is->byte_cost ?
			debt_rescale(owed, was->byte_cost, is->byte_cost) : 0;
	if (packets <= owed && bytes <= owed && owed <= is->half &&
	    was->gate_bits == is->gate_bits)
		return was->floor > now ? was->floor : 0;
	owed = packets > bytes ? packets : bytes;
	return now + (owed < is->cap ? owed : is->cap);
}

/* ---- the part of the gate ---- */

#define LINK_BITS_LEAST	10000000000ULL
#define PACKET_BITS	(84 * 8)	/* the shortest Ethernet packet, with preamble and gap */

/*
 * A packet keeps its source's cells busy for as long as it costs. When every packet has a new
 * source, as many sources are busy as packets arrive in that time. With CELLS_EACH cells for each of
 * them the gate keeps up: fewer than 1 of 1,000 packets find so much debt of others in both of their
 * cells that a bucket is made for them. A limit lets the gate have half of its burst; where that is
 * but a few packets, one collision is enough, and it needs more cells (tests/unit/test_policy.c has
 * the figures).
 */
#define CELLS_EACH	2
#define SHORT_BURST	8	/* packets */
#define CELLS_SHORT	16

static uint8_t gate_bits(const struct weir_limit *limit, uint64_t link_bits_per_s)
{
	double rate = larger(link_bits_per_s, LINK_BITS_LEAST);
	double byte_cost = (double)limit->byte_cost / (1 << WEIR_BYTE_COST_SHIFT);
	double ticks = limit->cost * (rate / PACKET_BITS) + byte_cost * (rate / 8);
	bool is_short = limit->half < SHORT_BURST / 2 * (limit->cost + byte_cost * FRAME_BYTES);
	double cells = ticks / WEIR_TICKS_PER_S * (is_short ? CELLS_SHORT : CELLS_EACH);
	uint8_t bits = WEIR_GATE_BITS_LEAST;

	while (bits < WEIR_GATE_BITS && cells > WEIR_GATE_CELLS << bits)
		bits++;
	return bits;
}

void policy_fit_gate(struct weir_policy *policy, uint64_t link_bits_per_s, uint64_t now)
{
	policy->link_mbit = link_bits_per_s / 1000000;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		struct weir_limit is = policy->limit[i], *was = &policy->limit[i];

		is.gate_bits = gate_bits(&is, link_bits_per_s);
		if (!policy->spec[i].used || is.gate_bits == was->gate_bits)
			continue;
		is.floor = floor_after(was, &is, now);
		*was = is;
	}
}

static uint32_t free_slot(const struct weir_policy *policy)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (!policy->spec[i].used)
			return i;
	return 0;
}

int policy_set(struct weir_policy *policy, const struct weir_limit_spec *wanted, uint8_t v4_bits,
	       uint8_t v6_bits, uint64_t now, char *err)
{
	struct weir_limit_spec spec = *wanted;
	struct weir_limit limit = { .v4_bits = v4_bits, .v6_bits = v6_bits };
	uint32_t index = policy_find(policy, wanted);
	struct weir_limit *was = &policy->limit[index];
	int rc;

	spec.used = 1;
	fill_bursts(&spec);
	rc = check_bursts(&spec, err);
	if (!rc)
		rc = fill_ticks(&limit, &spec, err);
	if (rc)
		return rc;
	limit.gate_bits = gate_bits(&limit, policy->link_mbit * 1000000ULL);

	if (index) {
		if (!memcmp(&policy->spec[index], &spec, sizeof(spec)) &&
		    was->v4_bits == v4_bits && was->v6_bits == v6_bits)
			return 0;
		limit.serial = was->serial;
		limit.floor = floor_after(was, &limit, now);
	} else {
		index = free_slot(policy);
		if (!index)
			return fail(err, ENOSPC, "there are %u limits already; remove one first",
				    WEIR_LIMITS - 1);
		limit.serial = ++policy->next_serial;
	}
	policy->limit[index] = limit;
	policy->spec[index] = spec;
	return 1;
}

/* ---- budgets ---- */

static int check_budget_burst(const struct weir_limit *limit, const struct weir_limit_spec *spec,
			      char *err)
{
	if ((limit->cost && limit->burst < BUDGET_BURST_TICKS) ||
	    (limit->byte_cost && limit->byte_burst < BUDGET_BURST_TICKS))
		return fail(err, EINVAL, "the burst of a budget must be at least 40 ms of its rate");
	if (spec->rate_packets && spec->burst_packets < BUDGET_BURST_PACKETS)
		return fail(err, EINVAL, "burst %llu: the burst of a budget must be at least %d packets",
			    (unsigned long long)spec->burst_packets, BUDGET_BURST_PACKETS);
	if (spec->rate_bits_per_s && spec->burst_bits < BUDGET_BURST_BITS)
		return fail(err, EINVAL, "burst %llubit: the burst of a budget must be at least %dbit",
			    (unsigned long long)spec->burst_bits, BUDGET_BURST_BITS);
	return 0;
}

int budget_ticks(struct weir_limit *limit, struct weir_limit_spec *spec, char *err)
{
	int rc;

	fill_budget_bursts(spec);
	rc = check_bursts(spec, err);
	if (!rc)
		rc = fill_ticks(limit, spec, err);
	return rc ? rc : check_budget_burst(limit, spec, err);
}

uint32_t budget_find(const struct weir_policy *policy, const char *name)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used && !strcmp(policy->budget_spec[i].name, name))
			return i;
	return 0;
}

/*
 * The index of a budget, other than @but, for exactly the same packets, or 0. Of two such budgets
 * the data path would only ever use one.
 */
static uint32_t same_budget(const struct weir_policy *policy, const struct weir_limit_spec *spec,
			    uint32_t but)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (i != but && policy->budget_spec[i].limit.used &&
		    match_same_prefix(&policy->budget_spec[i].limit.from, &spec->from) &&
		    match_same_class(&policy->budget_spec[i].limit, spec))
			return i;
	return 0;
}

static uint32_t free_budget(const struct weir_policy *policy)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (!policy->budget_spec[i].limit.used)
			return i;
	return 0;
}

int budget_set(struct weir_policy *policy, const char *name, const struct weir_limit_spec *wanted,
	       char *err)
{
	struct weir_budget_spec spec = { .limit = *wanted };
	uint32_t index = budget_find(policy, name), twin;
	struct weir_limit limit = { 0 };
	int rc;

	spec.limit.used = 1;
	snprintf(spec.name, sizeof(spec.name), "%s", name);
	rc = budget_ticks(&limit, &spec.limit, err);
	if (rc)
		return rc;
	twin = same_budget(policy, &spec.limit, index);
	if (twin)
		return fail(err, EEXIST, "budget %s is for the same packets already",
			    policy->budget_spec[twin].name);
	if (index && !memcmp(&policy->budget_spec[index], &spec, sizeof(spec)))
		return 0;
	if (!index)
		index = free_budget(policy);
	if (!index)
		return fail(err, ENOSPC, "there are %u budgets already; remove one first",
			    WEIR_BUDGETS - 1);
	policy->budget[index] = limit;
	policy->budget_spec[index] = spec;
	return 1;
}

void budget_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->budget[index], 0, sizeof(policy->budget[index]));
	memset(&policy->budget_spec[index], 0, sizeof(policy->budget_spec[index]));
}

void budgets_replace(struct weir_policy *policy, const struct weir_policy *wanted)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used &&
		    !budget_find(wanted, policy->budget_spec[i].name))
			budget_remove(policy, i);
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		uint32_t slot = budget_find(policy, wanted->budget_spec[i].name);

		if (!wanted->budget_spec[i].limit.used)
			continue;
		if (!slot)
			slot = free_budget(policy);	/* never 0: @wanted has no more budgets than slots */
		policy->budget[slot] = wanted->budget[i];
		policy->budget_spec[slot] = wanted->budget_spec[i];
	}
}

void policy_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->limit[index], 0, sizeof(policy->limit[index]));
	memset(&policy->spec[index], 0, sizeof(policy->spec[index]));
}
