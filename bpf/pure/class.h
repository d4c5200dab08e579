/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the policy has for a packet: its class, the limit and the budget for that class, the SYN
 * or DNS rule of its service, the prefix of the source that shares a bucket, and for how long a budget
 * counts as under pressure. One copy of each look-up for the program and the tool. Pure.
 *
 * The masks on indices are for the verifier, and cost nothing where it needs none.
 */
#ifndef WEIR_BPF_PURE_CLASS_H
#define WEIR_BPF_PURE_CLASS_H

#include <linux/in.h>
#include <stddef.h>

#include "bpf/pure/address.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/weir.h"

/* ---- limits ---- */

/* @what: enum weir_what. @dport: 0 where the packet has none. */
static __always_inline __u32 class_of(const struct weir_policy *rules, __u8 what, __u8 proto,
				      __u16 dport)
{
	if (what == WEIR_FRAGMENT)
		return rules->class_of_fragment[proto];
	if (proto == IPPROTO_TCP)
		return rules->class_of_port[what == WEIR_SYN ? WEIR_PORT_SYN : WEIR_PORT_TCP]
					    [dport];
	if (proto == IPPROTO_UDP)
		return rules->class_of_port[WEIR_PORT_UDP][dport];
	return rules->class_of_proto[proto];
}

/* Whether its source port may refine the class of such a packet. */
static __always_inline int class_has_ports(__u8 what, __u8 proto)
{
	return what != WEIR_FRAGMENT && (proto == IPPROTO_TCP || proto == IPPROTO_UDP);
}

/* The class of a packet of ICMP, or of ICMPv6, where types matter (icmp_types). */
static __always_inline __u32 class_of_icmp(const struct weir_policy *rules, int ipv6, __u8 type)
{
	return rules->class_of_icmp[!!ipv6][type];
}

/* The class of a packet from @sport whose class is @class by all else; 0: it has no source port. */
static __always_inline __u32 class_with_sport(const struct weir_policy *rules, __u32 class,
					      __u16 sport)
{
	__u32 group;

	if (!rules->sport_groups)
		return class;
	group = rules->sport_group[weir_opaque(sport) & 0xffff] & (WEIR_SPORT_GROUPS - 1);
	return rules->class_of_sport[group][class & (WEIR_CLASSES - 1)];
}

/* The limit for packets of @class from the sources of @row, an index; 0: none. */
static __always_inline __u32 limit_index(const struct weir_policy *rules, __u32 row, __u32 class)
{
	return rules->limit_of[row & (WEIR_SCOPES - 1)][class & (WEIR_CLASSES - 1)] &
	       (WEIR_LIMITS - 1);
}

/* How many of the 128 bits of an address name the source that has one bucket. */
static __always_inline __u32 source_bits(const struct weir_limit *limit, __u64 hi, int ipv6)
{
	if (!ipv6)
		return MAPPED_BITS + limit->v4_bits;
	return is_link_local(hi) ? 128 : limit->v6_bits;
}

/* The bucket of this address under this limit; link-local addresses have one each. */
static __always_inline struct weir_bucket_key bucket_key(const struct weir_limit *limit, __u64 hi,
							 __u64 lo, int ipv6)
{
	struct weir_bucket_key key = { .hi = hi, .lo = lo, .serial = limit->serial };

	if (ipv6 && !is_link_local(hi))
		weir_mask(&key.hi, &key.lo, limit->v6_bits);
	else if (!ipv6 && limit->v4_bits < 32)
		key.lo &= ~(0xffffffffULL >> (limit->v4_bits & 31));
	return key;
}

/* ---- budgets ---- */

static __always_inline int is_to(const struct weir_destination *to, __u64 hi, __u64 lo)
{
	return (hi & to->mask_hi) == to->hi && (lo & to->mask_lo) == to->lo &&
	       is_mask_of_family(to->mask_lo, !is_mapped(hi, lo));
}

/* The same where ::/0 is any destination, also of IPv4. */
static __always_inline int is_to_or_any(const struct weir_destination *to, __u64 hi, __u64 lo)
{
	return !(to->mask_hi | to->mask_lo) || is_to(to, hi, lo);
}

/* The row of budget_of for a destination; the longest prefix stands first. */
static __always_inline __u32 find_destination(const struct weir_policy *rules, __u64 hi, __u64 lo)
{
	for (__u32 row = 1; row < WEIR_DESTINATIONS; row++) {
		if (row >= rules->destinations)
			return 0;
		if (is_to(&rules->destination[row], hi, lo))
			return row;
	}
	return 0;
}

/* The budget for packets of @class to the destinations of @row, an index; 0: none. */
static __always_inline __u32 budget_in_row(const struct weir_policy *rules, __u32 row, __u32 class)
{
	return rules->budget_of[row & (WEIR_DESTINATIONS - 1)][class & (WEIR_CLASSES - 1)];
}

/* ---- SYN cookies ---- */

/* The rule that protects the service at this destination, or NULL. */
static __always_inline const struct weir_syn_rule *syn_rule(const struct weir_policy *rules,
							    __u64 to_hi, __u64 to_lo, __u16 dport)
{
	const struct weir_syn_rule *rule;
	__u32 index = rules->syn_rule_of[dport] & (WEIR_SYN_RULES - 1);

	if (!index)
		return NULL;
	rule = &rules->syn_rule[index];
	return is_to_or_any(&rule->where, to_hi, to_lo) ? rule : NULL;
}

/* ---- DNS ---- */

/* The rule of the DNS service at this destination, an index; 0: none. */
static __always_inline __u32 find_dns_rule(const struct weir_policy *rules, __u64 to_hi,
					   __u64 to_lo, __u16 dport)
{
	__u32 index = rules->dns_rule_of[dport] & (WEIR_DNS_RULES - 1);

	for (int i = 1; i < WEIR_DNS_RULES && index; i++) {
		const struct weir_dns_rule *rule =
			&rules->dns_rule[weir_opaque(index) & (WEIR_DNS_RULES - 1)];

		if (is_to_or_any(&rule->where, to_hi, to_lo))
			return index;
		index = rule->next & (WEIR_DNS_RULES - 1);
	}
	return 0;
}

/* ---- pressure ---- */

#define PRESSED_NOTE_NS		50000000ULL	/* pressure is noted at most so often */
#define PRESSED_NS		(2 * PRESSED_NOTE_NS)
#define SYN_PRESSED_NS		2000000000LL	/* cookies go on for so long */

/* Whether a packet was turned away so lately that newcomers are held to their shares. */
static __always_inline int is_under_pressure(const struct weir_budget_state *state, __u64 now_ns)
{
	return (__s64)(now_ns - state->pressed_ns) < (__s64)PRESSED_NS;
}

/* Whether a rule that answers only under pressure answers. */
static __always_inline int is_pressed_for_syn(const struct weir_budget_state *state, __u64 now_ns)
{
	return state->pressed_ns && (__s64)(now_ns - state->pressed_ns) < SYN_PRESSED_NS;
}

#endif
