/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making the SYN-ACK that answers a SYN with a cookie: headers, options and checksums. Which SYN
 * is answered is decided in syn.h.
 *
 * The SYN's headers are copied to a scratch map, the answer is made there, and put_answer() writes
 * it over the SYN once the packet is counted: until then the frame is the one that came.
 *
 * Options that a cookie has no room for travel in the low bits of the timestamp, as in the
 * kernel's net/ipv4/syncookies.c: window scale, SACK, ECN. That needs net.ipv4.tcp_timestamps = 2
 * (no secret offset); otherwise the answer offers an MSS and nothing else.
 */
#ifndef WEIR_BPF_ANSWER_H
#define WEIR_BPF_ANSWER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/limits.h"
#include "bpf/maps.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"
#include "bpf/shortage.h"

#define TCP_OPTION_END		0
#define TCP_OPTION_NOP		1
#define TCP_OPTION_MSS		2
#define TCP_OPTION_WSCALE	3
#define TCP_OPTION_SACK		4
#define TCP_OPTION_TIMESTAMPS	8
#define TCP_OPTION_MD5		19	/* RFC 2385 */
#define TCP_OPTION_AO		29	/* RFC 5925 */
#define TCP_MSS_LEN		4	/* bytes, kind and length included */
#define TCP_WSCALE_LEN		3
#define TCP_SACK_LEN		2
#define TCP_TIMESTAMPS_LEN	10
#define TCP_OPTIONS_READ	20	/* of one SYN at most; a usual SYN has five */
#define TCP_HEADER_MAX		60
#define TCP_HEADER_MASK		63	/* a bound on TCP_HEADER_MAX that the verifier sees */
#define TCP_WSCALE_MAX		14	/* RFC 7323 */

/* The first word of the option with timestamps, padded to a word by SACK or by two NOPs. */
#define WORD_OF(a, b, c, d)	((__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define WORD_SACK_TIMESTAMPS	WORD_OF(TCP_OPTION_SACK, TCP_SACK_LEN, TCP_OPTION_TIMESTAMPS, \
					TCP_TIMESTAMPS_LEN)
#define WORD_NOP_TIMESTAMPS	WORD_OF(TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_TIMESTAMPS, \
					TCP_TIMESTAMPS_LEN)

/* Where the answer's options are, as words of the TCP header. */
#define MSS_WORD		5
#define TIMESTAMPS_WORD		6
#define WSCALE_WORD		9
#define TCP_DOFF_AT		12	/* the header's byte with its length */

/* The low bits of the timestamp: window scale (15: none), SACK, ECN. */
#define COOKIE_TIME_MASK	63U
#define COOKIE_NO_WSCALE	15
#define COOKIE_SACK_SHIFT	4
#define COOKIE_ECN_SHIFT	5

#define ANSWER_WINDOW		64240	/* unscaled; the kernel's own first offer */
#define ANSWER_HOPS		64
#define IPV4_DONT_FRAGMENT	0x4000
#define ECN_SETUP		(TCP_ECE | TCP_CWR)

/* What a SYN offers. */
struct syn_options {
	__u8  time[4];		/* network order */
	__u8  timestamps, sack, wscale;	/* 1: offered */
	__u8  discarded;	/* 1: an option for which the stack discards a SYN */
	__u8  shift;		/* of the window */
};

static __always_inline __u32 ip_header_len(const struct packet *pkt)
{
	return pkt->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* ---- checksums ---- */

/* The complement of the sum, as headers carry it; the sum of a correct header folds to 0. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The sum of @count words, a constant for the compiler: a call of bpf_csum_diff() costs more. */
static __always_inline __u64 sum_words(const __u32 *words, int count)
{
	__u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

static __always_inline __u64 ipv4_sum(const struct syn_headers *headers)
{
	return sum_words(headers->ip_word, sizeof(headers->v4) / 4);
}

/* The sum of the pseudo-header. @len: of what follows the IP header. */
static __always_inline __u64 pseudo_sum(const struct syn_headers *headers, int ipv6, __u8 proto,
					__u32 len)
{
	__u32 rest = be16(proto) + be16(len);

	return rest + (ipv6 ? sum_words(headers->ip_word + 2, 8) :
			      sum_words(headers->ip_word + 3, 2));
}

/* The folded sum of TCP's header and pseudo-header. */
static __always_inline __u16 tcp_sum(struct syn_headers *headers, int ipv6, __u32 len)
{
	__u16 pseudo = ~fold(pseudo_sum(headers, ipv6, IPPROTO_TCP, len));

	return fold(bpf_csum_diff(NULL, 0, headers->tcp_word, len, pseudo));
}

/* ---- reading the SYN ---- */

/*
 * Copies the IP header, without options or extension headers, and the TCP header to the scratch.
 * Returns the length of the TCP header, or 0 if the frame does not have all of it.
 */
static __always_inline __u32 load_headers(struct xdp_md *ctx, const struct packet *pkt,
					  struct syn_headers *headers)
{
	__u32 len, room = pkt->bytes - pkt->l4_at;

	if (pkt->partial || room < sizeof(headers->tcp))
		return 0;
	if (room > TCP_HEADER_MAX)
		room = TCP_HEADER_MAX;
	/* Linux 6.1 must see both bounds. */
	room = (weir_opaque(room - sizeof(headers->tcp)) & TCP_HEADER_MASK) + sizeof(headers->tcp);
	if (bpf_xdp_load_bytes(ctx, pkt->ip_at, headers->ip_word, ip_header_len(pkt)))
		return 0;
	/* One call for the header and its options, or for what stands in their place. */
	if (bpf_xdp_load_bytes(ctx, pkt->l4_at, headers->tcp_byte, room))
		return 0;
	len = headers->tcp.doff * 4;
	return len < sizeof(headers->tcp) || len > room ? 0 : len;
}

/* @at: known to be within the header; the mask is what the verifier needs to see. */
static __always_inline __u8 option_byte(const struct syn_headers *headers, __u32 at)
{
	return headers->tcp_byte[weir_opaque(at) & TCP_HEADER_MASK];
}

/*
 * Reads the option at @at and returns where the next one is, or 0 if there is none. Global, so
 * that the verifier proves one option and not all sequences of them.
 */
__noinline int read_option(struct syn_headers *headers, struct syn_options *options, __u32 at,
			   __u32 len)
{
	__u8 kind, size;

	if (!headers || !options || len > TCP_HEADER_MAX || at >= len)
		return 0;
	kind = option_byte(headers, at);
	if (kind == TCP_OPTION_END)
		return 0;
	if (kind == TCP_OPTION_NOP)
		return at + 1;
	size = at + 1 < len ? option_byte(headers, at + 1) : 0;
	if (size < 2 || at + size > len) {
		options->discarded = 1;
		return 0;
	}
	if (kind == TCP_OPTION_WSCALE && size == TCP_WSCALE_LEN) {
		options->wscale = 1;
		options->shift = option_byte(headers, at + 2);
	} else if (kind == TCP_OPTION_SACK && size == TCP_SACK_LEN) {
		options->sack = 1;
	} else if (kind == TCP_OPTION_TIMESTAMPS && size == TCP_TIMESTAMPS_LEN) {
		options->timestamps = 1;
		for (int n = 0; n < 4; n++)
			options->time[n] = option_byte(headers, at + 2 + n);
	} else if (kind == TCP_OPTION_MD5 || kind == TCP_OPTION_AO) {
		options->discarded = 1;
	}
	return at + size;
}

/* Returns 0 if all were read, else where the next one is. */
static __always_inline __u32 read_options(struct syn_headers *headers, __u32 len,
					  struct syn_options *options)
{
	__u32 at = sizeof(headers->tcp);

	for (int i = 0; i < TCP_OPTIONS_READ && at; i++)
		at = read_option(headers, options, at, len);
	return at;
}

/* ---- writing the answer ---- */

/*
 * The time in milliseconds, as the kernel's own timestamps, with the options that were offered in
 * its low six bits; never ahead of the kernel's clock.
 */
static __always_inline __u32 cookie_time(const struct syn_options *options, int ecn)
{
	__u32 now = bpf_ktime_get_coarse_ns() / 1000000;
	__u32 bits = COOKIE_NO_WSCALE, time;

	if (options->wscale)
		bits = options->shift > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : options->shift;
	bits |= options->sack << COOKIE_SACK_SHIFT | ecn << COOKIE_ECN_SHIFT;
	time = (now & ~COOKIE_TIME_MASK) | bits;
	return time > now ? time - (COOKIE_TIME_MASK + 1) : time;
}

/*
 * Turns the SYN's TCP header into the answer's and returns its length. @room: how long it may be,
 * so that the answer is not longer than the SYN.
 */
static __always_inline __u32 write_tcp(struct syn_headers *headers,
				       const struct syn_options *options, __u32 cookie, __u16 mss,
				       __u8 wscale, int ecn, __u32 room)
{
	struct tcphdr *tcp = &headers->tcp;
	__be16 port = tcp->source;
	__u32 len = sizeof(*tcp) + TCP_MSS_LEN;

	tcp->source = tcp->dest;
	tcp->dest = port;
	tcp->ack_seq = be32(be32(tcp->seq) + 1);
	tcp->seq = be32(cookie);
	tcp->window = be16(ANSWER_WINDOW);
	tcp->check = 0;
	tcp->urg_ptr = 0;
	headers->tcp_word[MSS_WORD] = be32(TCP_OPTION_MSS << 24 | TCP_MSS_LEN << 16 | mss);
	if (options->timestamps) {
		headers->tcp_word[TIMESTAMPS_WORD] = options->sack ? be32(WORD_SACK_TIMESTAMPS) :
								     be32(WORD_NOP_TIMESTAMPS);
		headers->tcp_word[TIMESTAMPS_WORD + 1] = be32(cookie_time(options, ecn));
		__builtin_memcpy(&headers->tcp_word[TIMESTAMPS_WORD + 2], options->time, 4);
		len += 12;
		if (options->wscale) {
			headers->tcp_word[WSCALE_WORD] =
				be32(WORD_OF(TCP_OPTION_NOP, TCP_OPTION_WSCALE, TCP_WSCALE_LEN, 0) |
				     wscale);
			len += 4;
		}
	}
	/* Only where the SYN had less than the usual options. Each option has a default. */
	if (len > room)
		len = room < sizeof(*tcp) + TCP_MSS_LEN ? sizeof(*tcp) : sizeof(*tcp) + TCP_MSS_LEN;
	headers->tcp_byte[TCP_DOFF_AT] = len << 2;
	headers->tcp_byte[TCP_FLAGS_AT] = TCP_SYN | TCP_ACK | (ecn ? TCP_ECE : 0);
	return len;
}

/* Swaps the addresses and sets lengths and the checksum. @len: of what follows the header. */
static __always_inline void write_v4(struct syn_headers *headers, __u32 len)
{
	struct iphdr *ip = &headers->v4;
	__be32 source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = 0;
	ip->tot_len = be16(sizeof(*ip) + len);
	ip->id = 0;
	ip->frag_off = be16(IPV4_DONT_FRAGMENT);
	ip->ttl = ANSWER_HOPS;
	ip->check = 0;
	ip->check = fold(ipv4_sum(headers));
}

static __always_inline void write_v6(struct syn_headers *headers, __u8 proto, __u32 len)
{
	struct ipv6hdr *ip = &headers->v6;
	struct in6_addr source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	headers->ip_word[0] = be32(6U << 28);	/* no traffic class, no flow label */
	ip->payload_len = be16(len);
	ip->nexthdr = proto;
	ip->hop_limit = ANSWER_HOPS;
}

/*
 * Makes the SYN-ACK out of the SYN that check_syn() left in the scratch. @side: of the settings
 * that this packet is judged by. Returns 0 if the answer is ready for put_answer(). It fails if
 * the rule was changed since, or if the kernel makes no cookie. Global: a packet that is not
 * answered does not pay for its stack.
 */
__noinline int make_answer(struct packet *pkt, __u32 side)
{
	struct weir_policy *rules = policy_of(side);
	struct syn_headers *headers = scratch_headers();
	struct syn_options options = {};
	const struct weir_syn_rule *rule;
	__u32 len, room;
	__s64 cookie;
	int ecn;

	if (!pkt || !rules || !headers)
		return -1;
	rule = syn_rule(rules, pkt->to_hi, pkt->to_lo, pkt->dport);
	len = headers->tcp.doff * 4;
	if (!rule || len < sizeof(headers->tcp) || len > TCP_HEADER_MAX)
		return -1;
	if (pkt->ipv6)
		cookie = bpf_tcp_raw_gen_syncookie_ipv6(&headers->v6, &headers->tcp, len);
	else
		cookie = bpf_tcp_raw_gen_syncookie_ipv4(&headers->v4, &headers->tcp, len);
	room = pkt->bytes - pkt->ip_at - ip_header_len(pkt);
	if (cookie < 0 || room < sizeof(headers->tcp))
		return -1;
	if (rule->timestamps)
		read_options(headers, len, &options);
	if (!options.timestamps)
		options.sack = options.wscale = 0;
	ecn = options.timestamps && rule->ecn && (pkt->tcp_flags & ECN_SETUP) == ECN_SETUP;
	len = write_tcp(headers, &options, cookie,
			mtu - ip_header_len(pkt) - sizeof(headers->tcp), rule->wscale, ecn, room);
	if (pkt->ipv6)
		write_v6(headers, IPPROTO_TCP, len);
	else
		write_v4(headers, len);
	headers->tcp.check = tcp_sum(headers, pkt->ipv6, len);
	return 0;
}

/* The hardware addresses change places, where there are any. Returns 0, or -1: no room for them. */
static __always_inline int swap_hardware(struct xdp_md *ctx)
{
	__be16 *mac = frame_data(ctx);

	if (bare)
		return 0;
	if ((void *)(mac + 6) > frame_end(ctx))
		return -1;
	for (int i = 0; i < 3; i++) {
		__be16 to = mac[i];

		mac[i] = mac[3 + i];
		mac[3 + i] = to;
	}
	return 0;
}

/*
 * Writes the answer of the scratch over the SYN. The frame keeps its VLAN tags and its length;
 * what is left behind the answer is padding: a program that changes the length of frames is
 * refused under libxdp's dispatcher from Linux 6.12 on. Returns 0, or -1 if the frame has no room,
 * which make_answer() has excluded.
 */
__noinline int put_answer(struct xdp_md *ctx, struct packet *pkt)
{
	struct syn_headers *headers = scratch_headers();
	__u32 len;

	if (!pkt || !headers)
		return -1;
	len = weir_opaque(headers->tcp.doff * 4) & TCP_HEADER_MASK;
	if (len < sizeof(headers->tcp) || swap_hardware(ctx))
		return -1;
	if (pkt->ipv6 ? bpf_xdp_store_bytes(ctx, pkt->ip_at, &headers->v6, sizeof(headers->v6)) :
			bpf_xdp_store_bytes(ctx, pkt->ip_at, &headers->v4, sizeof(headers->v4)))
		return -1;
	if (bpf_xdp_store_bytes(ctx, pkt->ip_at + ip_header_len(pkt), headers->tcp_byte, len))
		return -1;
	end_measure();
	return 0;
}

#endif
