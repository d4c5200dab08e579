/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits: from what the operator asked for (weir_limit_spec) to what the data
 * path reads (classes, rows, weir_limit). Pure: no maps, no clock.
 */
#ifndef WEIR_MODEL_POLICY_H
#define WEIR_MODEL_POLICY_H

#include "bpf/weir.h"
#include "user/model/parse.h"
#include "user/model/prefix.h"

/*
 * Adds the limit, or changes the one of the same source and class. Bursts of 0
 * become a tenth of what the rate lets through in its own unit of time, at
 * least one packet (or 64 KiB of bits).
 * @now: ticks; a changed limit keeps what its sources owe, see weir_limit.floor.
 * Returns 1 when something changed, 0 when not, -errno with @err.
 */
int policy_set(struct weir_policy *policy, const struct weir_limit_spec *spec, uint8_t v4_bits,
	       uint8_t v6_bits, uint64_t now, char *err);

/* The index of the limit of the same source and class, 0 when there is none. */
uint32_t policy_find(const struct weir_policy *policy, const struct weir_limit_spec *spec);

/* The index of the limit with this serial, by which buckets name it; 0: it was removed. */
uint32_t policy_by_serial(const struct weir_policy *policy, uint32_t serial);

void policy_remove(struct weir_policy *policy, uint32_t index);

/* Whether both hold the same limits, budgets and cookie rules, in the same slots. */
bool policy_same(const struct weir_policy *a, const struct weir_policy *b);

/*
 * The prefix that shares one bucket of @limit with @address. Where @limit is the unused
 * one of index 0: @address alone.
 */
struct prefix limit_source(const struct weir_limit *limit, const struct prefix *address);

/*
 * The same for budgets, which have names. A burst must be at least 40 ms of the
 * rate; one of 0 becomes a tenth of a second. -EEXIST where another budget is for
 * the same packets.
 */
int budget_set(struct weir_policy *policy, const char *name, const struct weir_limit_spec *spec,
	       char *err);
uint32_t budget_find(const struct weir_policy *policy, const char *name);
void budget_remove(struct weir_policy *policy, uint32_t index);
/* The budgets of @wanted instead; those of the same name keep their slot, and so what they count. */
void budgets_replace(struct weir_policy *policy, const struct weir_policy *wanted);

/*
 * Makes the tables of the data path out of the specs. Scopes keep their row for
 * as long as they are in use: tries may point to it.
 */
int policy_compile(struct weir_policy *policy, char *err);

/* What a packet is to the limits. */
struct packet_kind {
	uint8_t proto;		/* IPPROTO_ICMP stands for ICMPv6 too */
	uint8_t what;		/* enum weir_what */
	uint16_t dport;
};

/* The limit for such a packet from @source: as the data path finds it. 0: none. */
uint32_t policy_lookup(const struct weir_policy *policy, const struct prefix *source,
		       const struct packet_kind *kind);

/* The budget for such a packet to @to, as the data path finds it. 0: none. */
uint32_t budget_lookup(const struct weir_policy *policy, const struct prefix *to,
		       const struct packet_kind *kind);

/* Limits in the order in which they are shown: by source, then by class. */
int policy_order(const struct weir_policy *policy, const uint32_t *a, const uint32_t *b);
/* Indices of the limits in the order of policy_order(); how many there are. */
size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS]);

#endif
