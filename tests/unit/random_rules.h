/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random drop rules and random packets, and a matcher that compares one condition after the other:
 * it knows what it has put into the packet and parses nothing. For tests of the classifier, as C
 * and as BPF. Values come from small sets, so that rules and packets meet.
 */
#ifndef WEIR_TESTS_RANDOM_RULES_H
#define WEIR_TESTS_RANDOM_RULES_H

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bpf/weir.h"
#include "tests/unit/check.h"
#include "user/model/drop_rules.h"
#include "user/model/prefix.h"

#define MADE_ROOM 512

struct made {
	uint8_t frame[MADE_ROOM] __attribute__((aligned(8)));
	uint32_t size, ip_at, l4_at, payload_at, end_at; /* l4_at 0: a later fragment */
	bool v6, ports, flags, icmp;
	uint8_t proto, ttl, flag_bits, icmp_type;
	uint16_t sport, dport, length;
	struct prefix from, to;
};

static unsigned long long made_state;

static inline uint32_t pick(uint32_t n)
{
	return check_random(&made_state) % n;
}

#define PICK_OF(array) ((array)[pick(sizeof(array) / sizeof(*(array)))])

static const uint16_t some_ports[] = { 1, 53, 53, 123, 123, 1900, 11211, 27015, 65535 };
static const uint8_t some_ttls[] = { 0, 1, 52, 63, 64, 64, 128, 255 };
static const uint8_t some_flags[] = { 0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2 };
static const uint8_t some_types[] = { 0, 3, 5, 8, 8, 11, 1, 4, 128, 255 };
static const uint8_t some_protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP,
				       IPPROTO_ICMP, IPPROTO_GRE, 200 };

static inline struct prefix some_address(bool v6)
{
	static const uint64_t low[] = { 0, 1, 2, 0x80, 0xff };

	if (v6)
		return (struct prefix){ 0x20010db800000000ULL | pick(3), PICK_OF(low), 128 };
	return (struct prefix){ 0, 0xffff00000000ULL | (0xc0000200U + (pick(2) << 8)) | PICK_OF(low),
				128 };
}

/* ---- packets ---- */

static inline void store16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void store_address(uint8_t *at, const struct prefix *address, bool v6)
{
	struct weir_prefix key;

	prefix_to_key(address, &key);
	memcpy(at, key.addr + (v6 ? 0 : 12), v6 ? 16 : 4);
}

/* Writes the header of the protocol at @at; returns its length. */
static inline uint32_t store_transport(struct made *made, uint8_t *at, uint32_t room)
{
	made->sport = PICK_OF(some_ports);
	made->dport = PICK_OF(some_ports);
	switch (made->proto) {
	case IPPROTO_TCP:
		made->ports = made->flags = true;
		made->flag_bits = PICK_OF(some_flags);
		at[12] = (5 + pick(3)) << 4;
		at[13] = made->flag_bits;
		break;
	case IPPROTO_UDP:
		made->ports = true;
		store16(at + 4, room);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		made->icmp = true;
		made->icmp_type = at[0] = PICK_OF(some_types);
		return 8;
	default:
		return 0;
	}
	store16(at, made->sport);
	store16(at + 2, made->dport);
	return made->proto == IPPROTO_TCP ? (at[12] >> 4) * 4 : 8;
}

/* A packet that the parser takes, of 60 to 260 bytes, with padding behind some. */
static inline void make_packet(struct made *made)
{
	uint32_t header, data = 40 + pick(8) * 4 + pick(2) * pick(100), tags = pick(8) ? 0 : 4;
	bool later = !pick(6), first = !later && !pick(8);
	uint8_t *ip;

	*made = (struct made){ .v6 = pick(2), .proto = PICK_OF(some_protos),
			       .ttl = PICK_OF(some_ttls), .ip_at = 14 + tags };
	for (uint32_t i = 0; i < MADE_ROOM; i++)
		made->frame[i] = pick(4) ? 0 : pick(3);
	if (made->proto == IPPROTO_ICMP && made->v6)
		made->proto = IPPROTO_ICMPV6;
	ip = made->frame + made->ip_at;
	store16(made->frame + 12, tags ? 0x8100 : made->v6 ? 0x86dd : 0x0800);
	store16(ip - 2, made->v6 ? 0x86dd : 0x0800);
	made->from = some_address(made->v6);
	made->to = some_address(made->v6);
	header = made->v6 ? 40 + (later || first ? 8 : 0) : 20 + 4 * (pick(4) ? 0 : pick(3));
	made->length = header + data;
	if (made->v6) {
		ip[0] = 0x60;
		store16(ip + 4, made->length - 40);
		ip[6] = later || first ? IPPROTO_FRAGMENT : made->proto;
		ip[7] = made->ttl;
		store_address(ip + 8, &made->from, true);
		store_address(ip + 24, &made->to, true);
	} else {
		ip[0] = 0x40 | header / 4;
		store16(ip + 2, made->length);
		store16(ip + 6, later ? 0x2001 : first ? 0x2000 : 0x4000);
		ip[8] = made->ttl;
		ip[9] = made->proto;
		store_address(ip + 12, &made->from, false);
		store_address(ip + 16, &made->to, false);
	}
	if (made->v6 && (later || first)) {
		ip[40] = made->proto;
		store16(ip + 42, later ? 1 << 3 | 1 : 1);
	}
	made->end_at = made->ip_at + made->length;
	made->size = made->end_at + (pick(4) ? 0 : pick(20));
	if (later)
		return;
	made->l4_at = made->ip_at + header;
	made->payload_at = made->l4_at + store_transport(made, made->frame + made->l4_at, data);
}

/* ---- rules ---- */

static inline void some_range(uint16_t *first, uint16_t *last, uint32_t low, uint32_t span)
{
	*first = low + pick(span);
	*last = pick(2) ? *first : *first + pick(span);
}

/* In ascending order with a gap between each two, as sets of ports have them. */
static inline void some_ranges(struct weir_ports *ranges)
{
	for (uint32_t n = 0, tries = 1 + pick(3); tries; tries--) {
		uint32_t first = PICK_OF(some_ports), last = first;

		if (!pick(3) && first < 60000)
			last += pick(5000);
		if (n && first <= ranges[n - 1].last + 1U)
			continue;
		ranges[n++] = (struct weir_ports){ first, last };
	}
}

static inline void some_bytes(struct weir_rule_bytes *bytes)
{
	bytes->count = 1 + pick(4);
	bytes->offset = pick(4) ? pick(6) : pick(60);
	for (int i = 0; i < bytes->count; i++) {
		uint32_t mask = pick(3) ? 0xff : 1 + pick(255);

		bytes->mask = bytes->mask << 8 | mask;
		bytes->value = bytes->value << 8 | (pick(3) & mask);
	}
}

static inline struct weir_prefix some_prefix(bool v6)
{
	struct prefix prefix = some_address(v6);
	struct weir_prefix key;

	prefix.length = v6 ? pick(129) : 96 + pick(33);
	if (pick(2))
		prefix.length = 128 - pick(9);
	if (!prefix.length)
		prefix.length = 1;
	prefix_mask(&prefix);
	prefix_to_key(&prefix, &key);
	return key;
}

/* Any conditions together; of some, no packet meets all. */
static inline struct weir_rule_spec make_rule(uint32_t number)
{
	struct weir_rule_spec spec = { .per_s = 0 };
	bool v6 = pick(2);

	snprintf(spec.name, sizeof(spec.name), "r%u", number);
	while (!spec.match)
		spec.match = (1U << pick(12) | (pick(2) ? 1U << pick(12) : 0) |
			      (pick(4) ? 0 : 1U << pick(12)));
	if (spec.match & WEIR_MATCH_PROTO)
		spec.proto = PICK_OF(some_protos);
	if (spec.match & WEIR_MATCH_SPORT)
		some_ranges(spec.sport);
	if (spec.match & WEIR_MATCH_DPORT)
		some_ranges(spec.dport);
	if (spec.match & WEIR_MATCH_LENGTH)
		some_range(&spec.length_first, &spec.length_last, 60, 40);
	if (spec.match & WEIR_MATCH_TTL)
		spec.ttl_first = PICK_OF(some_ttls), spec.ttl_last = 255 - pick(256 - spec.ttl_first);
	if (spec.match & WEIR_MATCH_FLAGS) {
		spec.flags_mask = 1 + pick(255);
		spec.flags = PICK_OF(some_flags) & spec.flags_mask;
	}
	if (spec.match & WEIR_MATCH_ICMP) {
		spec.icmp4 = spec.icmp6 = PICK_OF(some_types) + 1;
		if (!pick(3))	/* echo-request */
			spec.icmp4 = 8 + 1, spec.icmp6 = 128 + 1;
	}
	if (spec.match & WEIR_MATCH_PAYLOAD)
		some_bytes(&spec.payload);
	if (spec.match & WEIR_MATCH_L4)
		some_bytes(&spec.l4);
	if (spec.match & WEIR_MATCH_FROM)
		spec.from = some_prefix(v6);
	if (spec.match & WEIR_MATCH_TO)
		spec.to = some_prefix(v6);
	return spec;
}

/* 0 to 64 rules, with free slots between them. */
static inline void make_rules(struct weir_policy *policy)
{
	uint32_t of_64 = PICK_OF(((const uint32_t[]){ 1, 4, 16, 40, 64, 64 }));

	memset(policy->rule_spec, 0, sizeof(policy->rule_spec));
	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (pick(64) < of_64)
			policy->rule_spec[i] = make_rule(i);
}

/* ---- one condition after the other ---- */

static inline bool in_ranges(const struct weir_ports *ranges, uint16_t port)
{
	for (int n = 0; n < WEIR_PORT_RANGES; n++)
		if (ranges[n].last && port >= ranges[n].first && port <= ranges[n].last)
			return true;
	return false;
}

static inline bool has_bytes(const struct made *made, const struct weir_rule_bytes *bytes,
			     uint32_t at)
{
	if (!made->l4_at || at + bytes->offset + bytes->count > made->end_at)
		return false;
	for (int i = 0; i < bytes->count; i++) {
		int shift = 8 * (bytes->count - 1 - i);
		uint8_t mask = bytes->mask >> shift, value = bytes->value >> shift;

		if ((made->frame[at + bytes->offset + i] & mask) != value)
			return false;
	}
	return true;
}

static inline bool is_in(const struct weir_prefix *key, const struct prefix *address)
{
	struct prefix prefix;

	prefix_from_key(key, &prefix);
	return prefix_covers(&prefix, address);
}

static inline bool rule_matches(const struct weir_rule_spec *spec, const struct made *made)
{
	uint32_t match = spec->match;
	uint8_t proto = made->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : made->proto;

	if (made->icmp && (made->v6 ? made->icmp_type >= 1 && made->icmp_type <= 4 :
				      made->icmp_type == 3 || made->icmp_type == 11))
		return false;
	if (match & WEIR_MATCH_PROTO && spec->proto != proto)
		return false;
	if (match & WEIR_MATCH_FRAGMENT && made->l4_at)
		return false;
	if (match & WEIR_MATCH_SPORT && !(made->ports && in_ranges(spec->sport, made->sport)))
		return false;
	if (match & WEIR_MATCH_DPORT && !(made->ports && in_ranges(spec->dport, made->dport)))
		return false;
	if (match & WEIR_MATCH_LENGTH &&
	    (made->length < spec->length_first || made->length > spec->length_last))
		return false;
	if (match & WEIR_MATCH_TTL && (made->ttl < spec->ttl_first || made->ttl > spec->ttl_last))
		return false;
	if (match & WEIR_MATCH_FLAGS &&
	    !(made->flags && (made->flag_bits & spec->flags_mask) == spec->flags))
		return false;
	if (match & WEIR_MATCH_ICMP &&
	    !(made->icmp && made->icmp_type + 1 == (made->v6 ? spec->icmp6 : spec->icmp4)))
		return false;
	if (match & WEIR_MATCH_PAYLOAD && !has_bytes(made, &spec->payload, made->payload_at))
		return false;
	if (match & WEIR_MATCH_L4 && !has_bytes(made, &spec->l4, made->l4_at))
		return false;
	return (!(match & WEIR_MATCH_FROM) || is_in(&spec->from, &made->from)) &&
	       (!(match & WEIR_MATCH_TO) || is_in(&spec->to, &made->to));
}

/* A bit for each rule that matches. */
static inline uint64_t matching_rules(const struct weir_policy *policy, const struct made *made)
{
	uint64_t set = 0;

	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (rule_is_used(&policy->rule_spec[i]) &&
		    rule_matches(&policy->rule_spec[i], made))
			set |= 1ULL << i;
	return set;
}

#endif
