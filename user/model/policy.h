/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits and budgets: from what the operator asked for (weir_limit_spec) to what the data path
 * reads (weir_limit, and tables of classes and rows). Index 0 means "none" everywhere.
 */
#ifndef WEIR_MODEL_POLICY_H
#define WEIR_MODEL_POLICY_H

#include "bpf/weir.h"
#include "user/model/parse.h"
#include "user/model/prefix.h"

/*
 * Adds the limit, or changes the limit of the same source prefix and class. A burst of 0 becomes a
 * tenth of what the rate passes in its own unit of time, but at least 2 packets, or 64 KiB.
 * @v4_bits, @v6_bits: the length of the prefix that shares a bucket. @now: in ticks of 1/16 ns; a
 * changed limit keeps the debt of its sources, see weir_limit.floor.
 * Returns 1 when the policy changed, 0 when it already was so, or with @err -EINVAL (a burst that
 * does not suit the rate), -ERANGE (a burst of more than 30 days) or -ENOSPC (no free slot).
 */
int policy_set(struct weir_policy *policy, const struct weir_limit_spec *spec, uint8_t v4_bits,
	       uint8_t v6_bits, uint64_t now, char *err);

/*
 * Fits the part of the gate that each limit uses to the most packets that may arrive, those of a link
 * of @link_bits_per_s, or of 10 Gbit/s if that is more. policy_set() does so from then on. @now: as
 * there; sources of a limit whose part changes are taken to owe what they may at most.
 */
void policy_fit_gate(struct weir_policy *policy, uint64_t link_bits_per_s, uint64_t now);

/* The index of the limit of the same source prefix and class, or 0. */
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
 * The same for budgets, which are found by their name; the prefix of their spec is a destination.
 * A burst must be at least 40 ms of the rate, 8 packets, and four full frames of bits; a burst of
 * 0 becomes the same default, but at least 8 packets. Also returns -EEXIST, with @err, when
 * another budget is for the same packets.
 */
int budget_set(struct weir_policy *policy, const char *name, const struct weir_limit_spec *spec,
	       char *err);
/*
 * The data path's form of the rates in @spec, whose bursts of 0 are set to their default first. 0, or
 * with @err -EINVAL or -ERANGE.
 */
int budget_ticks(struct weir_limit *limit, struct weir_limit_spec *spec, char *err);
/* The index of the budget of that name, or 0. */
uint32_t budget_find(const struct weir_policy *policy, const char *name);
void budget_remove(struct weir_policy *policy, uint32_t index);
/*
 * Replaces the budgets by those of @wanted. A budget that both have by name keeps its slot, and
 * with it the counters and the debt that the maps hold for that slot.
 */
void budgets_replace(struct weir_policy *policy, const struct weir_policy *wanted);

/*
 * Builds the tables that the data path reads from the specs. A source prefix keeps its row for as
 * long as a limit uses it, because entries of the tries refer to rows by number. Returns 0, or
 * with @err -ENOSPC (too many classes, source prefixes or destinations) or -ENOMEM; the tables are
 * then undefined.
 */
int policy_compile(struct weir_policy *policy, char *err);

/* What limits and budgets look at in a packet, beside its addresses. */
struct packet_kind {
	uint8_t proto;		/* IPPROTO_...; IPPROTO_ICMP also stands for ICMPv6 */
	uint8_t what;		/* enum weir_what */
	uint16_t dport;		/* host byte order; 0 where the protocol has no ports */
	uint16_t sport;		/* the same */
	uint16_t icmp4, icmp6;	/* the type of ICMP, or else of ICMPv6, plus 1; 0: it has none */
};

/* The index of the limit for such a packet from @source, found as the data path does; or 0. */
uint32_t policy_lookup(const struct weir_policy *policy, const struct prefix *source,
		       const struct packet_kind *kind);

/* The index of the budget for such a packet to @to, found as the data path does; or 0. */
uint32_t budget_lookup(const struct weir_policy *policy, const struct prefix *to,
		       const struct packet_kind *kind);

/*
 * Compares two limits, by index, for the order in which they are shown: limits for any source
 * first, then by source prefix, then by class (match_order).
 */
int policy_order(const struct weir_policy *policy, const uint32_t *a, const uint32_t *b);
/* Sets @order to the indices of all limits in that order. Returns how many there are. */
size_t limits_in_order(const struct weir_policy *policy, uint32_t order[WEIR_LIMITS]);

#endif
