/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From two samples of packets, calm traffic and a flood, to drop rules that match the flood and
 * hardly any calm packet. Pure, deterministic, and of bounded work whatever the packets hold.
 *
 * A rule is a conjunction of conditions. Rules are learnt one after another, each on the flood that
 * no rule before it matches (a decision list, as in Cohen's RIPPER, 1995). Half of each sample, by
 * source, is for the search; each rule found is then judged on the other half, which the search
 * never saw (Webb, Discovering Significant Patterns, 2007). All figures are of that other half.
 */
#ifndef WEIR_MODEL_EXPLAIN_H
#define WEIR_MODEL_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/hash_table.h"
#include "user/model/prefix.h"

#define EXPLAIN_PACKETS		10240	/* of a sample, at most; more are not looked at */
#define EXPLAIN_FLOOD_LEAST	200	/* fewer packets say nothing of a flood */
#define EXPLAIN_CALM_LEAST	5500	/* with fewer, not even no match bounds the harm */
#define EXPLAIN_CALM_MOST	0.001	/* the share of calm traffic that all rules may match */
#define EXPLAIN_FLOOD_WANTED	0.90	/* of the flood, for the rules to be called complete */
#define EXPLAIN_RULES		8
#define EXPLAIN_CONDITIONS	10	/* one of a field at most */
#define EXPLAIN_BYTES		64	/* of payload that are looked at */
#define EXPLAIN_SHIFT_MOST	31
#define EXPLAIN_NONE		(-1)	/* a packet without ports, ICMP type, or flags */

/*
 * Those before EXPLAIN_NUMBERS have a number in each packet; the first EXPLAIN_RANGES may be asked
 * for by a range.
 */
enum explain_field {
	EXPLAIN_SPORT, EXPLAIN_DPORT, EXPLAIN_LENGTH, EXPLAIN_TTL,
	EXPLAIN_PROTO, EXPLAIN_FRAGMENT, EXPLAIN_ICMP, EXPLAIN_FLAGS,
	EXPLAIN_PAYLOAD, EXPLAIN_SOURCE,
	EXPLAIN_FIELDS,
};
#define EXPLAIN_RANGES	(EXPLAIN_TTL + 1)
#define EXPLAIN_NUMBERS	(EXPLAIN_FLAGS + 1)

struct explain_packet {
	uint64_t hi, lo;	/* source, as in struct prefix */
	int32_t number[EXPLAIN_NUMBERS];	/* by field. LENGTH: of the IP packet; FRAGMENT:
						 * 1 for a later one; FLAGS: of TCP */
	uint8_t shift;		/* it stands for 2^shift packets */
	uint8_t payload_bytes;
	/* Behind the transport header; of a later fragment behind the IP header. Then 0. */
	uint8_t payload[EXPLAIN_BYTES + 4];
};

struct explain_condition {
	uint8_t field;		/* enum explain_field */
	uint8_t at;		/* PAYLOAD: offset of the four bytes; SOURCE: prefix length */
	uint32_t low, high;	/* the range, both included. FLAGS, PAYLOAD: value and mask */
	uint64_t net_hi, net_lo;	/* SOURCE */
};

/* Its conditions are in the order of explain_order(). */
struct explain_rule {
	uint32_t count;
	struct explain_condition condition[EXPLAIN_CONDITIONS];
};

/* Why a rule is not sure, in the order of importance. */
enum explain_doubt {
	EXPLAIN_SURE,
	EXPLAIN_SERVICE,	/* it takes too much of one calm service */
	EXPLAIN_ONE_SOURCE,	/* ... of one calm source */
	EXPLAIN_FEW_SOURCES,	/* too few calm sources to be sure */
	EXPLAIN_FEW_PACKETS,	/* too few calm packets */
	EXPLAIN_BY_SOURCE,	/* it goes by the source alone */
	EXPLAIN_BARE,		/* it names a protocol and nothing else */
};

struct explain_verdict {
	struct explain_rule rule;
	double flood;		/* the share of the flood that it matches */
	double gain;		/* of that, what no rule before it matches */
	double calm;		/* the share of calm traffic */
	double bound;		/* upper 95 % confidence bound of that share */
	uint32_t calm_hits;	/* packets behind that share */
	enum explain_doubt doubt;
	uint32_t doubt_proto, doubt_port;	/* EXPLAIN_SERVICE: of that service */
	uint32_t doubt_packets;	/* EXPLAIN_SERVICE, EXPLAIN_ONE_SOURCE */
};

enum explain_end {
	EXPLAIN_TOO_FEW_FLOOD, EXPLAIN_TOO_FEW_CALM,
	EXPLAIN_NOTHING,	/* no rule separates the two */
	EXPLAIN_PARTIAL,	/* the rules match less than EXPLAIN_FLOOD_WANTED */
	EXPLAIN_COMPLETE,
};

struct explain_result {
	struct explain_verdict verdict[EXPLAIN_RULES];
	uint32_t count;
	enum explain_end end;
	double flood, calm, bound;	/* of all rules together */
	uint32_t calm_packets;	/* that the figures are of */
};

struct explain_options {
	/* Decides which half a source is in. NULL: a public function, for repeatable tests. */
	const struct hash_seed *seed;
	uint32_t rules;		/* to be found, at most; 0: EXPLAIN_RULES */
	uint32_t rounds;	/* of search, at most; 0: until nothing is left to be tried. Each
				 * costs about the same, whatever the packets hold */
};

struct explain;

/* NULL: out of memory. It takes 3.1 MiB, and allocates nothing later. */
struct explain *explain_new(void);
void explain_free(struct explain *explain);
void explain_find(struct explain *explain, const struct explain_packet *calm, size_t calm_count,
		  const struct explain_packet *flood, size_t flood_count,
		  const struct explain_options *options, struct explain_result *result);

/* The definition of a match, which the data path must agree with. */
bool explain_matches(const struct explain_rule *rule, const struct explain_packet *packet);
bool explain_holds(const struct explain_condition *condition, const struct explain_packet *packet);

/* Compares two rules as strcmp() does. */
int explain_order(const struct explain_rule *a, const struct explain_rule *b);

#endif
