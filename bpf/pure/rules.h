/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which drop rules match a packet, by bit vectors (Lakshman and Stiliadis, SIGCOMM 1998). For each
 * field a table gives the set of rules, as 64 bits, that the packet's value does not rule out; the
 * AND of all sets is what is left. That is the answer for protocol, fragment, ports, length, TTL,
 * flags and ICMP type. Bytes of the packet and prefixes are compared for the rules that are left,
 * the lowest first. For the first byte of up to WEIR_PEEKS different places there is a table as
 * well: without it, 64 rules that differ only in their payload would be 64 comparisons.
 *
 * A table in which no rule has a condition is not read. Ports and lengths need two loads: 64 rules
 * cut the 65,536 values into pieces, and a byte for each value names its piece. Pure.
 *
 * ICMP errors match no rule: without them path MTU discovery fails for all connections, and senders
 * are not told that they send to nowhere.
 */
#ifndef WEIR_BPF_PURE_RULES_H
#define WEIR_BPF_PURE_RULES_H

#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/packet.h"
#include "bpf/pure/rule_view.h"

#define ICMP_UNREACHABLE	3
#define ICMP_EXCEEDED		11	/* time to live */
#define ICMPV6_ERROR_FIRST	1	/* unreachable, too big, time exceeded, parameter problem */
#define ICMPV6_ERROR_LAST	4

/* Whether ICMP of this type and family tells of an error; no rule drops it. */
static __always_inline int is_icmp_error(__u32 type, int ipv6)
{
	if (ipv6)
		return type >= ICMPV6_ERROR_FIRST && type <= ICMPV6_ERROR_LAST;
	return type == ICMP_UNREACHABLE || type == ICMP_EXCEEDED;
}

/* ---- what the packet has ---- */

/* @size bytes of the frame, or NULL. */
static __always_inline const __u8 *rule_bytes_at(FRAME *frame, __u32 at, __u32 size)
{
	const __u8 *from = frame_data(frame) + (weir_opaque(at) & L4_AT_MAX);

	return (void *)(from + size) > frame_end(frame) ? NULL : from;
}

static __always_inline __u32 be16_from(const __u8 *at)
{
	return be16(*(const __be16 *)at);
}

/* The transport header, which the parser has seen. */
static __always_inline void view_transport(FRAME *frame, const struct packet *pkt,
					   struct rule_view *view)
{
	const __u8 *l4 = rule_bytes_at(frame, pkt->l4_at, sizeof(struct udphdr));

	if (!l4)
		return;
	if (has_ports(pkt)) {
		view->payload_at += sizeof(struct udphdr);
	} else if (has_icmp_type(pkt)) {
		view->icmp = *l4;
		view->payload_at += ICMP_HEADER_LEN;
	}
	if (pkt->proto != IPPROTO_TCP)
		return;
	l4 = rule_bytes_at(frame, pkt->l4_at, sizeof(struct tcphdr));
	if (!l4)
		return;
	view->flags = l4[TCP_FLAGS_AT];
	view->payload_at = pkt->l4_at + (l4[TCP_FLAGS_AT - 1] >> 4) * 4;
}

/*
 * Returns 0 if no rule may match: the packet tells of an error. The payload begins behind the
 * header of TCP, UDP or ICMP, and with that of any other protocol, and ends with the IP packet.
 */
static __always_inline int view_packet(FRAME *frame, const struct packet *pkt,
				       struct rule_view *view)
{
	const __u8 *ip = rule_bytes_at(frame, pkt->ip_at, sizeof(struct iphdr));
	__u32 length;

	if (!ip)
		return 0;
	length = pkt->ipv6 ? sizeof(struct ipv6hdr) + be16_from(ip + 4) : be16_from(ip + 2);
	*view = (struct rule_view){
		.length = length < 0xffff ? length : 0xffff,
		.ttl = pkt->ipv6 ? ip[7] : ip[8], .flags = WEIR_HAS_NONE, .icmp = WEIR_HAS_NONE,
	};
	if (!pkt->l4_at)
		return 1;
	view->l4_at = view->payload_at = pkt->l4_at;
	view->end_at = pkt->ip_at + length;
	view_transport(frame, pkt, view);
	return !is_icmp_error(view->icmp, pkt->ipv6);
}

/* ---- tables ---- */

#define RULE_TABLE(name)	(1U << WEIR_TABLE_##name)

static __always_inline __u64 rules_of_line(const struct weir_rule_tables *rules,
					   enum weir_rule_line line, __u32 value)
{
	return rules->piece[line][rules->index[line][value & 0xffff]];
}

static __always_inline __u64 rules_by_sport(FRAME *frame, const struct weir_rule_tables *rules,
					    const struct packet *pkt)
{
	const __u8 *port = has_ports(pkt) ? rule_bytes_at(frame, pkt->l4_at, 2) : NULL;

	if (!port)
		return rules->piece[WEIR_LINE_SPORT][WEIR_PIECES - 1];
	/* Opaque: Linux 6.1 knows no bounds of a value behind its swap of bytes. */
	return rules_of_line(rules, WEIR_LINE_SPORT, weir_opaque(be16_from(port)));
}

/*
 * The rules of this protocol and these ports: all that packets need that none concerns. Inline, since
 * a call costs as much as all of this.
 */
static __always_inline __u64 rules_for(FRAME *frame, const struct weir_rule_tables *rules,
				       const struct packet *pkt)
{
	__u64 left = rules->all;
	__u32 used = rules->used;

	if (used & RULE_TABLE(PROTO))
		left &= rules->proto[pkt->what == WEIR_FRAGMENT][pkt->proto];
	if (left && used & RULE_TABLE(LINE) << WEIR_LINE_DPORT)
		left &= has_ports(pkt) ? rules_of_line(rules, WEIR_LINE_DPORT, pkt->dport) :
					 rules->piece[WEIR_LINE_DPORT][WEIR_PIECES - 1];
	if (left && used & RULE_TABLE(LINE) << WEIR_LINE_SPORT)
		left &= rules_by_sport(frame, rules, pkt);
	return left;
}

/* An index of a table whose last element is for packets that have no such field. */
static __always_inline __u32 or_none(__u32 value)
{
	return value > WEIR_HAS_NONE ? WEIR_HAS_NONE : value;
}

/* By the byte at a place that conditions look at. */
static __always_inline __u64 rules_by_peek(FRAME *frame, const struct weir_rule_tables *rules,
					   const struct rule_view *view, __u32 peek)
{
	__u32 at = (rules->peek_l4[peek] ? view->l4_at : view->payload_at) + rules->peek_at[peek];
	const __u8 *byte = at < view->end_at ? rule_bytes_at(frame, at, 1) : NULL;

	return rules->peek[peek][byte ? *byte : WEIR_HAS_NONE];
}

/* The rules that no table rules out. @left: those of rules_for(). */
static __always_inline __u64 rules_left(FRAME *frame, const struct weir_rule_tables *rules,
					const struct packet *pkt, const struct rule_view *view,
					__u64 left)
{
	if (rules->used & RULE_TABLE(LINE) << WEIR_LINE_LENGTH)
		left &= rules_of_line(rules, WEIR_LINE_LENGTH, view->length);
	if (!left)
		return 0;
	if (rules->used & RULE_TABLE(TTL))
		left &= rules->ttl[view->ttl & 255];
	if (rules->used & RULE_TABLE(FLAGS))
		left &= rules->flags[or_none(view->flags)];
	if (rules->used & RULE_TABLE(ICMP))
		left &= rules->icmp[!!pkt->ipv6][or_none(view->icmp)];
	for (__u32 peek = 0; peek < WEIR_PEEKS; peek++)
		if (peek < rules->peeks && left & rules->exact)
			left &= rules_by_peek(frame, rules, view, peek);
	return left;
}

/* ---- what tables cannot say ---- */

/*
 * The word that ends with the condition's last byte begins behind the IP header's, whatever the
 * offset: so one load of four bytes is within the packet.
 */
static __always_inline int has_rule_bytes(FRAME *frame, const struct rule_view *view,
					  const struct weir_rule_bytes *bytes, __u32 at)
{
	const __u8 *word;

	if (!bytes->count)
		return 1;
	at += bytes->offset + bytes->count;
	if (at > view->end_at)
		return 0;
	word = rule_bytes_at(frame, at - 4, 4);
	return word && ((be16_from(word) << 16 | be16_from(word + 2)) & bytes->mask) == bytes->value;
}

static __always_inline int is_met(FRAME *frame, const struct packet *pkt,
				  const struct rule_view *view, const struct weir_rule *rule)
{
	return has_rule_bytes(frame, view, &rule->payload, view->payload_at) &&
	       has_rule_bytes(frame, view, &rule->l4, view->l4_at) &&
	       (!rule->by_from || is_to(&rule->from, pkt->hi, pkt->lo)) &&
	       (!rule->by_to || is_to(&rule->to, pkt->to_hi, pkt->to_lo));
}

/*
 * The index of the lowest bit of @set, which is not 0. BPF has no instruction for it: the bits below
 * are counted, in pairs, in fours, in bytes.
 */
static __always_inline __u32 lowest_rule(__u64 set)
{
	__u64 below = (set & -set) - 1;

	below -= below >> 1 & 0x5555555555555555ULL;
	below = (below & 0x3333333333333333ULL) + (below >> 2 & 0x3333333333333333ULL);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (below * 0x0101010101010101ULL >> 56) & (WEIR_RULES - 1);
}

/* Takes rules from view->left up to one that matches; its index, or -1. */
static __always_inline int take_rule(FRAME *frame, const struct packet *pkt,
				     struct rule_view *view, const struct weir_rule_tables *rules)
{
	__u64 left = view->left;

	for (int i = 0; i < WEIR_RULES && left; i++) {
		__u32 index = lowest_rule(left);

		left &= left - 1;
		if (!(rules->exact >> index & 1) ||
		    is_met(frame, pkt, view, &rules->rule[weir_opaque(index) & (WEIR_RULES - 1)])) {
			view->left = left;
			return index;
		}
	}
	return -1;
}

#endif
