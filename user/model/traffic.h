/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each source sends, by class of packet, from samples: how high a limit must be that no
 * source runs into, and how many sources a lower one would touch.
 *
 * The *need* of a source is the lowest rate whose limit, with the default burst of one second of
 * it, would have let all of its packets through. It is found by playing the source's samples
 * against such a bucket, each sample at its weight: a source that sends evenly needs its rate, one
 * that sends N packets at once needs N a second. Needs are kept in a histogram with four steps to
 * an octave, each at the upper end of its step, so a need is at most 19 % too high; addresses are
 * not kept.
 *
 * Sampling one packet of @weight scatters a need: it stands for need / weight samples, whose number
 * has a Poisson distribution. traffic_bound() is the upper end of what it may be, with 95 %
 * confidence; with a weight of 1 all packets were seen, and the need is exact.
 */
#ifndef WEIR_MODEL_TRAFFIC_H
#define WEIR_MODEL_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"

#define TRAFFIC_PORTS	16	/* of UDP, that have a class of their own */
#define TRAFFIC_STEPS	128	/* 2^32 in quarters of an octave */
#define TRAFFIC_BITS	256	/* the first step of needs in bits/s; in packets/s it is 1 */

enum traffic_class {
	TRAFFIC_SYN,
	TRAFFIC_TCP,		/* but SYNs */
	TRAFFIC_ICMP,
	TRAFFIC_FRAGMENT,
	TRAFFIC_OTHER,
	TRAFFIC_UDP,		/* to ports without a class of their own */
	TRAFFIC_UDP_PORT,	/* the first of TRAFFIC_PORTS */
	TRAFFIC_CLASSES = TRAFFIC_UDP_PORT + TRAFFIC_PORTS,
};

struct traffic_sample {
	uint64_t time_ns;
	uint64_t hi, lo;	/* the source, as limits tell sources apart */
	uint32_t bytes;		/* of the frame */
	uint32_t weight;	/* how many packets it stands for */
	uint16_t dport;
	uint8_t class;		/* enum traffic_class */
	bool dropped;
};

struct traffic_needs {
	uint64_t samples;
	uint32_t weight;	/* the largest of a sample */
	uint64_t bound;		/* the largest traffic_bound() of a source, in packets/s */
	uint32_t packets[TRAFFIC_STEPS], bits[TRAFFIC_STEPS];	/* sources, by need */
};

struct traffic {
	uint64_t from_unix_s, to_unix_s;
	uint64_t minutes;			/* that were added */
	uint16_t port[TRAFFIC_PORTS];		/* 0: no port has this class yet */
	struct traffic_needs of[TRAFFIC_CLASSES];
};

/* The reasons, a bit each, of packets that count: those that limits let through or would drop. */
uint64_t traffic_reasons(void);
/* The sample of an event; false: it was no IP packet. */
bool traffic_sample(const struct weir_event *event, struct traffic_sample *sample);
/* Adds a minute of samples, or less: each source counts once. It sorts @samples. */
void traffic_add(struct traffic *traffic, struct traffic_sample *samples, size_t count);
/* Adds @more, class by class. Ports for which @traffic has no room are left out. */
void traffic_merge(struct traffic *traffic, const struct traffic *more);

/* The need of samples of one source and class, as a step; @bits: of TRAFFIC_BITS, else of packets. */
unsigned int traffic_need(const struct traffic_sample *samples, size_t count, bool bits);
/* The rate at the upper end of a step. */
double traffic_step(unsigned int step);

uint64_t traffic_sources(const uint32_t needs[TRAFFIC_STEPS]);
/* The need that a part @of of all sources does not exceed; 0 where there are none. */
double traffic_quantile(const uint32_t needs[TRAFFIC_STEPS], double of);
/* How many sources need more than @rate. */
uint64_t traffic_above(const uint32_t needs[TRAFFIC_STEPS], double rate);
/* The upper end of what a need may be that was measured from samples of @weight. */
double traffic_bound(double need, uint32_t weight);

/*
 * A rate in packets/s for a limit that leaves headroom above the largest need: twice its bound,
 * rounded up, and never less than what any honest source of the class may send. 0: no source was
 * seen.
 */
uint64_t traffic_rate(const struct traffic *traffic, enum traffic_class class);
/* The same above all but one source in a thousand; 0: too few sources for that, or no lower. */
uint64_t traffic_tighter(const struct traffic *traffic, enum traffic_class class);
/* Whether its needs may be much higher than measured, since each sample stood for many packets. */
bool traffic_is_coarse(const struct traffic *traffic, enum traffic_class class);
/* The words that select the class in a limit: "syn", "proto udp dport 53"; "" is any packet. */
void traffic_words(const struct traffic *traffic, enum traffic_class class, char text[32]);

#endif
