// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/prefix.h"
#include "user/model/reasons.h"
#include "user/model/traffic.h"
#include "user/model/units.h"

#define STEPS_PER_OCTAVE	4
#define HEADROOM		2
#define PORT_SAMPLES		20	/* a port with fewer of them in a minute gets no class */
#define PORT_PART		100	/* nor one with less than this part of all UDP samples */
#define PORT_SERVICES		32768	/* above, Linux takes ports for clients: answers arrive there */
#define TIGHTER_SOURCES		1000	/* below, one source in a thousand says nothing */
#define TIGHTER_BY		4	/* a rate that is not so much lower is not worth offering */
#define COARSE			1.7	/* fewer than ten samples in the busiest second */
#define Z			1.645	/* of 95 %, one-sided */

/* What no limit should be below, whatever was seen: a browser opens so many connections. */
static const uint64_t least_rate[TRAFFIC_CLASSES] = {
	[TRAFFIC_SYN] = 50, [TRAFFIC_TCP] = 1000, [TRAFFIC_ICMP] = 20, [TRAFFIC_FRAGMENT] = 20,
	[TRAFFIC_OTHER] = 100, [TRAFFIC_UDP ... TRAFFIC_CLASSES - 1] = 50,
};

/* ---- samples ---- */

static enum traffic_class class_of(const struct weir_event *event)
{
	if (event->what == WEIR_FRAGMENT)
		return TRAFFIC_FRAGMENT;
	if (event->what == WEIR_SYN)
		return TRAFFIC_SYN;
	switch (event->proto) {
	case IPPROTO_TCP:
		return TRAFFIC_TCP;
	case IPPROTO_UDP:
		return TRAFFIC_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return TRAFFIC_ICMP;
	default:
		return TRAFFIC_OTHER;
	}
}

/* An IPv4 address, an IPv6 /64, or a neighbour, of which each is a source of its own. */
static void set_source(struct traffic_sample *sample, uint64_t hi, uint64_t lo)
{
	struct prefix source = { .hi = hi, .lo = lo, .length = 128 };
	bool whole = prefix_is_v4(&source) || hi >> 54 == 0xfe80 >> 6;

	sample->hi = hi;
	sample->lo = whole ? lo : 0;
}

uint64_t traffic_reasons(void)
{
	uint64_t unlimited = 1ULL << WEIR_PASS_ALLOW | 1ULL << WEIR_PASS_ARP |
			     1ULL << WEIR_PASS_NEIGHBOUR | 1ULL << WEIR_PASS_NOT_IP;

	return (reasons_of_action("pass") & ~unlimited) | reasons_of_action("tx") |
	       1ULL << WEIR_DROP_RATE;
}

bool traffic_sample(const struct weir_event *event, struct traffic_sample *sample)
{
	if (!event->hi && !event->lo && !event->to_hi && !event->to_lo)
		return false;	/* no IP packet */
	*sample = (struct traffic_sample){
		.time_ns = event->time_ns, .bytes = event->bytes, .dport = event->dport,
		.weight = event->weight > UINT32_MAX ? UINT32_MAX : event->weight,
		.class = class_of(event),
		.dropped = !event->passed && !strcmp(reason_action(event->reason), "drop"),
	};
	set_source(sample, event->hi, event->lo);
	return true;
}

/* ---- the need of one source ---- */

double traffic_step(unsigned int step)
{
	return exp2((double)step / STEPS_PER_OCTAVE);
}

/* What a sample costs, in the unit of the steps. */
static double cost_of(const struct traffic_sample *sample, bool bits)
{
	return bits ? 8.0 * sample->bytes * sample->weight / TRAFFIC_BITS : sample->weight;
}

/* Whether a bucket of @rate with a burst of one second of it lets all samples through. */
static bool suffices(double rate, const struct traffic_sample *samples, size_t count, bool bits)
{
	double debt = 0;

	for (size_t i = 0; i < count; i++) {
		if (i)
			debt -= rate * (samples[i].time_ns - samples[i - 1].time_ns) / NS_PER_S;
		debt = (debt > 0 ? debt : 0) + cost_of(&samples[i], bits);
		if (debt > rate)
			return false;
	}
	return true;
}

unsigned int traffic_need(const struct traffic_sample *samples, size_t count, bool bits)
{
	unsigned int least = 0, most = TRAFFIC_STEPS - 1;

	while (least < most) {
		unsigned int middle = (least + most) / 2;

		if (suffices(traffic_step(middle), samples, count, bits))
			most = middle;
		else
			least = middle + 1;
	}
	return least;
}

/* ---- ports of UDP with a class of their own ---- */

static int class_of_port(const struct traffic *traffic, uint16_t port)
{
	for (int i = 0; i < TRAFFIC_PORTS; i++)
		if (port && traffic->port[i] == port)
			return TRAFFIC_UDP_PORT + i;
	return -1;
}

/* The class of the port, a new one if there is room; -1: there is none. */
static int make_class(struct traffic *traffic, uint16_t port)
{
	int class = class_of_port(traffic, port);

	for (int i = 0; i < TRAFFIC_PORTS && class < 0; i++) {
		if (traffic->port[i])
			continue;
		traffic->port[i] = port;
		class = TRAFFIC_UDP_PORT + i;
	}
	return class;
}

static int by_port(const void *a, const void *b)
{
	const struct traffic_sample *x = a, *y = b;

	return x->class != y->class ? x->class - y->class : x->dport - y->dport;
}

/* The busy ports of services. Answers to what this host asked arrive at ports of clients. */
static void find_ports(struct traffic *traffic, struct traffic_sample *samples, size_t count)
{
	size_t all = 0, same = 0;

	qsort(samples, count, sizeof(*samples), by_port);
	for (size_t i = 0; i < count; i++)
		all += samples[i].class == TRAFFIC_UDP;
	for (size_t i = 0; i < count; i++) {
		if (samples[i].class != TRAFFIC_UDP || !samples[i].dport ||
		    samples[i].dport >= PORT_SERVICES)
			continue;
		same = i && !by_port(&samples[i - 1], &samples[i]) ? same + 1 : 1;
		if (same >= PORT_SAMPLES && same >= all / PORT_PART)
			make_class(traffic, samples[i].dport);
	}
}

static void set_classes(const struct traffic *traffic, struct traffic_sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int class = samples[i].class == TRAFFIC_UDP ?
				    class_of_port(traffic, samples[i].dport) : -1;

		if (class >= 0)
			samples[i].class = class;
	}
}

/* ---- histograms ---- */

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int same_source(const struct traffic_sample *x, const struct traffic_sample *y)
{
	int by = order(x->class, y->class);

	if (!by)
		by = order(x->hi, y->hi);
	return by ? by : order(x->lo, y->lo);
}

static int by_source(const void *a, const void *b)
{
	const struct traffic_sample *x = a, *y = b;
	int by = same_source(x, y);

	return by ? by : order(x->time_ns, y->time_ns);
}

static void count_source(struct traffic *traffic, const struct traffic_sample *samples, size_t count)
{
	struct traffic_needs *needs = &traffic->of[samples->class];
	unsigned int need = traffic_need(samples, count, false);
	uint32_t weight = 0;
	uint64_t bound;

	for (size_t i = 0; i < count; i++)
		if (samples[i].weight > weight)
			weight = samples[i].weight;
	bound = ceil(traffic_bound(traffic_step(need), weight));
	if (weight > needs->weight)
		needs->weight = weight;
	if (bound > needs->bound)
		needs->bound = bound;
	needs->samples += count;
	needs->packets[need]++;
	needs->bits[traffic_need(samples, count, true)]++;
}

void traffic_add(struct traffic *traffic, struct traffic_sample *samples, size_t count)
{
	size_t begin = 0;

	traffic->minutes++;
	if (!count)	/* @samples may be NULL, which qsort() must not be given */
		return;
	find_ports(traffic, samples, count);
	set_classes(traffic, samples, count);
	qsort(samples, count, sizeof(*samples), by_source);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && !same_source(&samples[begin], &samples[i]))
			continue;
		count_source(traffic, &samples[begin], i - begin);
		begin = i;
	}
}

static void merge_needs(struct traffic_needs *needs, const struct traffic_needs *more)
{
	needs->samples += more->samples;
	if (more->weight > needs->weight)
		needs->weight = more->weight;
	if (more->bound > needs->bound)
		needs->bound = more->bound;
	for (int i = 0; i < TRAFFIC_STEPS; i++) {
		needs->packets[i] += more->packets[i];
		needs->bits[i] += more->bits[i];
	}
}

void traffic_merge(struct traffic *traffic, const struct traffic *more)
{
	if (!more->minutes)
		return;
	if (!traffic->minutes || more->from_unix_s < traffic->from_unix_s)
		traffic->from_unix_s = more->from_unix_s;
	if (more->to_unix_s > traffic->to_unix_s)
		traffic->to_unix_s = more->to_unix_s;
	traffic->minutes += more->minutes;
	for (int i = 0; i < TRAFFIC_CLASSES; i++) {
		int class = i < TRAFFIC_UDP_PORT ? i : -1;

		if (i >= TRAFFIC_UDP_PORT && more->port[i - TRAFFIC_UDP_PORT])
			class = make_class(traffic, more->port[i - TRAFFIC_UDP_PORT]);
		if (class >= 0)
			merge_needs(&traffic->of[class], &more->of[i]);
	}
}

uint64_t traffic_sources(const uint32_t needs[TRAFFIC_STEPS])
{
	uint64_t sources = 0;

	for (int i = 0; i < TRAFFIC_STEPS; i++)
		sources += needs[i];
	return sources;
}

double traffic_quantile(const uint32_t needs[TRAFFIC_STEPS], double of)
{
	uint64_t below = 0, sources = traffic_sources(needs);

	for (unsigned int i = 0; i < TRAFFIC_STEPS; i++) {
		below += needs[i];
		if (needs[i] && below >= of * sources)
			return traffic_step(i);
	}
	return 0;
}

uint64_t traffic_above(const uint32_t needs[TRAFFIC_STEPS], double rate)
{
	uint64_t above = 0;

	for (unsigned int i = 0; i < TRAFFIC_STEPS; i++)
		if (traffic_step(i) > rate)
			above += needs[i];
	return above;
}

/* ---- suggestions ---- */

/*
 * The upper limit of the mean of a Poisson distribution of which @count was seen (Gehrels 1986,
 * equation 9, right to a few per cent), over @count.
 */
double traffic_bound(double need, uint32_t weight)
{
	double count = weight ? need / weight : 0, root;

	if (weight <= 1 || count <= 0)
		return need;
	root = 1 - 1 / (9 * (count + 1)) + Z / (3 * sqrt(count + 1));
	return (count + 1) * root * root * root * weight;
}

/* The next of 1, 1.5, 2, 3, 5 and 7 in its power of ten. */
static uint64_t round_up(double rate)
{
	static const double steps[] = { 1, 1.5, 2, 3, 5, 7, 10 };
	double ten = 1;

	while (rate > 10 * ten)
		ten *= 10;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (steps[i] * ten >= rate)
			return ceil(steps[i] * ten);
	return 10 * ten;
}

static uint64_t rate_above(double bound, uint64_t least)
{
	uint64_t rate = round_up(HEADROOM * bound);

	return rate > least ? rate : least;
}

uint64_t traffic_rate(const struct traffic *traffic, enum traffic_class class)
{
	const struct traffic_needs *needs = &traffic->of[class];

	return traffic_sources(needs->packets) ? rate_above(needs->bound, least_rate[class]) : 0;
}

uint64_t traffic_tighter(const struct traffic *traffic, enum traffic_class class)
{
	const struct traffic_needs *needs = &traffic->of[class];
	uint64_t rate;

	if (traffic_sources(needs->packets) < TIGHTER_SOURCES)
		return 0;
	rate = rate_above(traffic_bound(traffic_quantile(needs->packets, 0.999), needs->weight),
			  least_rate[class]);
	return rate * TIGHTER_BY <= traffic_rate(traffic, class) ? rate : 0;
}

bool traffic_is_coarse(const struct traffic *traffic, enum traffic_class class)
{
	const struct traffic_needs *needs = &traffic->of[class];

	return needs->bound > COARSE * traffic_quantile(needs->packets, 1);
}

void traffic_words(const struct traffic *traffic, enum traffic_class class, char text[32])
{
	static const char *const words[] = { "syn", "proto tcp", "icmp", "fragment", "", "proto udp" };

	if (class < TRAFFIC_UDP_PORT)
		snprintf(text, 32, "%s", words[class]);
	else
		snprintf(text, 32, "proto udp dport %u", traffic->port[class - TRAFFIC_UDP_PORT]);
}
