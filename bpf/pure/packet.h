/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From bytes to struct packet: the parser, with the bounds checks of all headers. Pure.
 *
 * No verdict depends on a byte outside the IP packet: what follows its total length is padding,
 * counted as bytes on the wire and never read as a header. A packet with a header whose lengths or
 * version are wrong is dropped under the name of that layer. Checksums are not verified: the stack
 * does that, and a packet with a wrong one still counts against its source's limit.
 *
 * Linux takes off any number of VLAN tags with VID 0 before it looks for IP, so a frame with more
 * tags than are read here is dropped: it could hide any packet. Linux does not take off tags of
 * other types (0x9100), nor does it look behind them.
 */
#ifndef WEIR_BPF_PURE_PACKET_H
#define WEIR_BPF_PURE_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/pure/address.h"
#include "bpf/pure/compiler.h"
#include "bpf/weir.h"

#define VLAN_TAGS_MAX		2
#define IPV6_HEADERS_MAX	8
#define ICMP_HEADER_LEN		8	/* the shortest ICMP or ICMPv6 message */
#define IPV4_OFFSET		0x1fff	/* of iphdr.frag_off */
#define IPV4_MORE		0x2000	/* further fragments follow */
#define IPV6_OFFSET		0xfff8	/* of ipv6_fragment.offset */
#define IPV6_MORE		1
/* Bounds for the verifier on where headers are in the frame; a frame of XDP is shorter. */
#define EXTENSION_AT_MAX	0x3fff
#define L4_AT_MAX		0x7fff

/* Neighbour discovery, RFC 4861. */
#define ND_FIRST_TYPE		133	/* router solicitation */
#define ND_LAST_TYPE		137	/* redirect */
#define ND_HOP_LIMIT		255

#define TCP_FLAGS_AT		13	/* the header's byte of flags */
#define TCP_FIN			0x01
#define TCP_SYN			0x02
#define TCP_RST			0x04
#define TCP_PSH			0x08
#define TCP_ACK			0x10
#define TCP_URG			0x20
#define TCP_ECE			0x40
#define TCP_CWR			0x80

#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)

/*
 * The frame that the parser reads: two pointers, unless the includer has defined FRAME (the type)
 * and the accessors frame_data() and frame_end(); the program does so in bpf/frame.h.
 */
#ifndef FRAME
struct frame {
	void *data, *end;
};
#define FRAME			struct frame
#define frame_data(frame)	((frame)->data)
#define frame_end(frame)	((frame)->end)
#endif

struct packet {
	__u64 hi, lo;		/* source address as numbers; IPv4 as ::ffff:a.b.c.d */
	__u64 to_hi, to_lo;	/* destination, the same */
	__u32 bytes;		/* of the frame */
	__u16 dport;		/* 0 unless TCP or UDP, not a later fragment */
	__u8  ipv6;		/* 1: IPv6, 0: IPv4 */
	__u8  proto;		/* IPPROTO_* behind all extension headers; of a later fragment:
				 * as in its fragment header */
	__u8  what;		/* enum weir_what */
	__u8  hop_limit;	/* IPv6 only */
	__u16 ip_at, l4_at;	/* offsets of the headers in the frame; l4_at: 0 for a later
				 * fragment */
	__u8  tcp_flags;	/* TCP_*; 0 unless TCP */
	__u8  partial;		/* 1: a first fragment that ends within its TCP options, or any of
				 * UDP */
};

static __always_inline int has_ports(const struct packet *pkt)
{
	return pkt->l4_at && (pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP);
}

static __always_inline int has_icmp_type(const struct packet *pkt)
{
	return pkt->l4_at && pkt->proto == (pkt->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

struct vlan_tag {
	__be16 control;
	__be16 type;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;		/* in 8 bytes, without the first 8; AH: in 4, less 2 */
};

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset;		/* 13 bits, 2 reserved, more-fragments */
	__be32 id;
};

/*
 * Bytes from @at to @end. Lengths are compared with this as numbers: Linux 6.12 and older refuse a
 * pointer that was moved by a byte-swapped length.
 */
static __always_inline __u32 left(const void *at, const void *end)
{
	return end - at;
}

/* A later fragment has no ports: they are in the first one. */
static __always_inline enum weir_reason later_fragment(struct packet *pkt)
{
	pkt->what = WEIR_FRAGMENT;
	return WEIR_CONTINUE;
}

/*
 * @at: the TCP header; @len: bytes from there to the end of the IP packet. @whole: 0 for a first
 * fragment, whose options may go on in the next one (RFC 1858 asks for ports and flags only).
 */
static __always_inline enum weir_reason parse_tcp(struct packet *pkt, void *at, void *end,
						  __u32 len, int whole)
{
	const struct tcphdr *tcp = at;

	if (len < sizeof(*tcp) || (void *)(tcp + 1) > end)
		return WEIR_DROP_TCP;
	if (tcp->doff * 4U < sizeof(*tcp))
		return WEIR_DROP_TCP;
	if (tcp->doff * 4U > len) {
		if (whole)
			return WEIR_DROP_TCP;
		pkt->partial = 1;
	}
	pkt->dport = be16(tcp->dest);
	pkt->tcp_flags = ((const __u8 *)at)[TCP_FLAGS_AT];
	if (tcp->syn && !tcp->ack)
		pkt->what = WEIR_SYN;
	return WEIR_CONTINUE;
}

/*
 * Whether stacks send segments with these flags. Each has SYN, ACK or RST (RFC 9293: all segments
 * have ACK once a connection is there, except that RST may stand alone), and a SYN neither ends nor
 * resets a connection. Linux discards all others, but for a SYN with RST, which it takes for a RST.
 */
static __always_inline int flags_are_sent(__u8 flags)
{
	if (flags & TCP_SYN)
		return !(flags & (TCP_FIN | TCP_RST));
	return (flags & (TCP_ACK | TCP_RST)) != 0;
}

/* @whole: the datagram is not fragmented, so all of it must be in the packet. */
static __always_inline enum weir_reason parse_udp(struct packet *pkt, void *at, void *end,
						  __u32 len, int whole)
{
	const struct udphdr *udp = at;
	__u32 said;

	if (len < sizeof(*udp) || (void *)(udp + 1) > end)
		return WEIR_DROP_UDP;
	said = be16(udp->len);
	/* In IPv6, 0 means "to the end": RFC 2675, jumbograms. Linux accepts it in any packet. */
	if (said == 0 && pkt->ipv6)
		said = len;
	if (said < sizeof(*udp) || (whole && said > len))
		return WEIR_DROP_UDP;
	pkt->partial = !whole;
	pkt->dport = be16(udp->dest);
	return WEIR_CONTINUE;
}

/*
 * Neighbour discovery always passes. It is recognised by its hop limit of 255, which no packet
 * keeps behind a router: hosts beyond the link cannot use the exception.
 */
static __always_inline enum weir_reason parse_icmp(struct packet *pkt, void *at, void *end,
						   __u32 len, int whole)
{
	const __u8 *type = at;

	if (len < ICMP_HEADER_LEN || at + ICMP_HEADER_LEN > end)
		return WEIR_DROP_ICMP;
	if (pkt->proto == IPPROTO_ICMPV6 && whole && pkt->hop_limit == ND_HOP_LIMIT &&
	    *type >= ND_FIRST_TYPE && *type <= ND_LAST_TYPE)
		return WEIR_PASS_NEIGHBOUR;
	return WEIR_CONTINUE;
}

static __always_inline enum weir_reason parse_l4(struct packet *pkt, void *at, void *end,
						 __u32 len, int whole)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
		return parse_tcp(pkt, at, end, len, whole);
	case IPPROTO_UDP:
		return parse_udp(pkt, at, end, len, whole);
	case IPPROTO_ICMP:
		return pkt->ipv6 ? WEIR_CONTINUE : parse_icmp(pkt, at, end, len, whole);
	case IPPROTO_ICMPV6:
		return pkt->ipv6 ? parse_icmp(pkt, at, end, len, whole) : WEIR_CONTINUE;
	default:
		return WEIR_CONTINUE;
	}
}

static __always_inline enum weir_reason parse_ipv4(struct packet *pkt, void *at, void *end)
{
	const struct iphdr *ip = at;
	__u32 header, total, offset;

	if ((void *)(ip + 1) > end || ip->version != 4)
		return WEIR_DROP_IPV4;
	header = ip->ihl * 4;
	total = be16(ip->tot_len);
	if (header < sizeof(*ip) || total < header || total > left(at, end))
		return WEIR_DROP_IPV4;

	pkt->lo = 0xffff00000000ULL | be32(ip->saddr);
	pkt->to_lo = 0xffff00000000ULL | be32(ip->daddr);
	pkt->proto = ip->protocol;
	offset = be16(ip->frag_off);
	if (offset & IPV4_OFFSET)
		return later_fragment(pkt);
	pkt->l4_at = pkt->ip_at + header;
	return parse_l4(pkt, at + header, end, total - header, !(offset & IPV4_MORE));
}

/* What is left of an IPv6 packet behind the headers that were read. */
struct rest {
	__u32 at;		/* offset in the frame */
	__u32 len;		/* bytes from there to the end of the IP packet */
	__u32 whole;		/* 0: first fragment, so not all of the payload is there */
};

static __always_inline int is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH || proto == IPPROTO_MH;
}

__noinline int step_over(FRAME *frame, struct packet *pkt, struct rest *rest);

/*
 * Steps over one extension header; returns an enum weir_reason. Global, so that the verifier
 * proves one step and not all sequences of eight.
 */
__noinline int step_over(FRAME *frame, struct packet *pkt, struct rest *rest)
{
	const struct ipv6_extension *extension;
	const struct ipv6_fragment *fragment;
	__u32 size;

	if (!pkt || !rest || rest->at > EXTENSION_AT_MAX)
		return WEIR_DROP_IPV6_CHAIN;
	extension = frame_data(frame) + rest->at;
	fragment = (void *)extension;
	if (rest->len < sizeof(*fragment) || (void *)(fragment + 1) > frame_end(frame))
		return WEIR_DROP_IPV6_CHAIN;

	size = (extension->length + 1U) * 8;
	if (pkt->proto == IPPROTO_AH)
		size = (extension->length + 2U) * 4;
	if (pkt->proto == IPPROTO_FRAGMENT) {
		size = sizeof(*fragment);
		if (be16(fragment->offset) & IPV6_OFFSET)
			pkt->what = WEIR_FRAGMENT;
		else if (be16(fragment->offset) & IPV6_MORE)
			rest->whole = 0;
	}
	pkt->proto = extension->next;
	if (size > rest->len)
		return WEIR_DROP_IPV6_CHAIN;
	rest->at += size;
	rest->len -= size;
	return WEIR_CONTINUE;
}

static __always_inline enum weir_reason walk_extensions(FRAME *frame, struct packet *pkt,
							struct rest *rest)
{
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		if (!is_extension(pkt->proto) || pkt->what == WEIR_FRAGMENT)
			return WEIR_CONTINUE;
		if (step_over(frame, pkt, rest) != WEIR_CONTINUE)
			return WEIR_DROP_IPV6_CHAIN;
	}
	if (is_extension(pkt->proto) && pkt->what != WEIR_FRAGMENT)
		return WEIR_DROP_IPV6_CHAIN;
	return WEIR_CONTINUE;
}

static __always_inline enum weir_reason parse_ipv6(FRAME *frame, struct packet *pkt,
						   __u32 offset)
{
	struct rest rest = { .at = offset + sizeof(struct ipv6hdr), .whole = 1 };
	const struct ipv6hdr *ip = frame_data(frame) + offset;
	void *end = frame_end(frame);

	if ((void *)(ip + 1) > end || ip->version != 6)
		return WEIR_DROP_IPV6;
	rest.len = be16(ip->payload_len);
	if (rest.len > left(ip + 1, end))
		return WEIR_DROP_IPV6;

	pkt->ipv6 = 1;
	pkt->hi = (__u64)be32(ip->saddr.s6_addr32[0]) << 32 | be32(ip->saddr.s6_addr32[1]);
	pkt->lo = (__u64)be32(ip->saddr.s6_addr32[2]) << 32 | be32(ip->saddr.s6_addr32[3]);
	pkt->to_hi = (__u64)be32(ip->daddr.s6_addr32[0]) << 32 | be32(ip->daddr.s6_addr32[1]);
	pkt->to_lo = (__u64)be32(ip->daddr.s6_addr32[2]) << 32 | be32(ip->daddr.s6_addr32[3]);
	/* Such an address stands for IPv4 everywhere here. Linux refuses these sources, too. */
	if (is_mapped(pkt->hi, pkt->lo) || is_mapped(pkt->to_hi, pkt->to_lo))
		return WEIR_DROP_IPV6;
	pkt->hop_limit = ip->hop_limit;
	pkt->proto = ip->nexthdr;
	if (is_extension(pkt->proto)) {
		if (walk_extensions(frame, pkt, &rest) != WEIR_CONTINUE)
			return WEIR_DROP_IPV6_CHAIN;
		if (pkt->what == WEIR_FRAGMENT)
			return WEIR_CONTINUE;
	}
	if (rest.at > L4_AT_MAX)
		return WEIR_DROP_IPV6_CHAIN;
	pkt->l4_at = rest.at;
	return parse_l4(pkt, frame_data(frame) + rest.at, end, rest.len, rest.whole);
}

static __always_inline int is_vlan(__be16 type)
{
	return type == be16(ETH_P_8021Q) || type == be16(ETH_P_8021AD);
}

static __always_inline enum weir_reason parse_ethernet(FRAME *frame, struct packet *pkt)
{
	const struct ethhdr *eth = frame_data(frame);
	__u32 at = sizeof(*eth);
	void *end = frame_end(frame);
	__be16 type;

	if ((void *)(eth + 1) > end)
		return WEIR_DROP_ETHERNET;
	type = eth->h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		const struct vlan_tag *tag = frame_data(frame) + at;

		if (!is_vlan(type))
			break;
		if ((void *)(tag + 1) > end)
			return WEIR_DROP_ETHERNET;
		type = tag->type;
		at += sizeof(*tag);
	}

	pkt->ip_at = at;
	switch (be16(type)) {
	case ETH_P_IP:
		return parse_ipv4(pkt, frame_data(frame) + at, end);
	case ETH_P_IPV6:
		return parse_ipv6(frame, pkt, at);
	case ETH_P_ARP:
		return WEIR_PASS_ARP;
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		return WEIR_DROP_VLAN;
	default:
		return WEIR_PASS_NOT_IP;
	}
}

/* A frame of a device without link header (tun, WireGuard, PPP, tunnels) is an IP packet. */
static __always_inline enum weir_reason parse_bare(FRAME *frame, struct packet *pkt)
{
	const __u8 *version = frame_data(frame);

	if ((void *)(version + 1) > frame_end(frame))
		return WEIR_PASS_NOT_IP;
	switch (*version >> 4) {
	case 4:
		return parse_ipv4(pkt, frame_data(frame), frame_end(frame));
	case 6:
		return parse_ipv6(frame, pkt, 0);
	default:
		return WEIR_PASS_NOT_IP;
	}
}

/*
 * @pkt: zeroed. @bare: the frame has no link header. Returns WEIR_CONTINUE for an IP packet, with
 * all fields set.
 */
static __always_inline enum weir_reason parse(FRAME *frame, struct packet *pkt, int bare)
{
	pkt->bytes = frame_end(frame) - frame_data(frame);
	return bare ? parse_bare(frame, pkt) : parse_ethernet(frame, pkt);
}

#endif
