/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SYN cookies at the driver. A spoofed SYN flood has no source to limit; a
 * cookie asks each source to prove that it is there, and keeps no state.
 *
 * The cookies are the kernel's own (bpf_tcp_raw_gen_syncookie_*), so the
 * listener accepts them, as long as it has sent one itself in the last two
 * minutes. That takes net.ipv4.tcp_syncookies = 2 and a SYN that reaches it now
 * and then: the heartbeat.
 *
 * Options that a cookie has no room for travel in the low bits of the timestamp, as
 * in the kernel's net/ipv4/syncookies.c: window scale, SACK, ECN. That takes
 * net.ipv4.tcp_timestamps = 2 (no secret offset); else the answer offers an MSS and no
 * more.
 *
 * An answer is never larger than its question, padding aside, so there is nothing to
 * amplify; a source gets at most 50 a second (2,000 once it is known: it may be a
 * network behind one address), all together at most four million, and no more than a core has time
 * for (shortage.h).
 *
 * Whether this host listens is asked of the kernel for each SYN that there is time for: a
 * port that is closed answers as if weir were not there, and so does a connection that
 * lingers in TIME_WAIT, which only the SYN itself can end.
 */
#ifndef WEIR_BPF_SYN_H
#define WEIR_BPF_SYN_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/budget.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/pure/share.h"
#include "bpf/rodata.h"
#include "bpf/shortage.h"

#define TCP_FIN		0x01
#define TCP_SYN		0x02
#define TCP_RST		0x04
#define TCP_ACK		0x10
#define TCP_ECE		0x40
#define TCP_CWR		0x80

#define TCP_OPTION_END	0
#define TCP_OPTION_NOP	1
#define TCP_OPTION_WSCALE	3
#define TCP_OPTION_SACK	4
#define TCP_OPTION_TIMESTAMPS	8
#define TCP_HEADER_MAX	60
#define WINDOW		64240	/* what the kernel offers first; unscaled */

#define BEAT_SHIFT	30	/* 2^30 ns */
#define BEAT_EVERY	8	/* of those: the kernel's patience is 120 s */

/* Serials that no limit has: see weir_policy.next_serial. */
#define ANSWER_COST	(WEIR_TICKS_PER_S / 50)
#define ANSWER_SERIAL	0xffffffffU
#define KNOWN_COST	(WEIR_TICKS_PER_S / 2000)
#define KNOWN_SERIAL	0xfffffffeU
#define ANSWER_BURST	(2 * WEIR_TICKS_PER_S)
#define ANSWERS_COST	(WEIR_TICKS_PER_S / 4000000)
#define ANSWERS_BURST	(WEIR_TICKS_PER_S / 10)
#define STRAYS_COST	(WEIR_TICKS_PER_S / 10000)

struct syn_options {
	__u8  time[4];		/* network order */
	__u8  timestamps, sack, wscale;	/* 1: offered */
	__u8  shift;		/* of the window */
};

static __always_inline struct syn_headers *scratch_headers(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

/* ---- checksums ---- */

/* The complement of the sum, as headers have it; right ones make it 0. */
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Of @count words, a number that the compiler knows: a call to the kernel costs more. */
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

/* Of what TCP sums up besides itself. @len: of TCP and its payload. */
static __always_inline __u64 pseudo_sum(const struct syn_headers *headers, int ipv6, __u32 len)
{
	__u32 rest = be16(IPPROTO_TCP) + be16(len);

	return rest + (ipv6 ? sum_words(headers->ip_word + 2, 8) : sum_words(headers->ip_word + 3, 2));
}

/* Of TCP's header, and what else it sums up; folded. */
static __always_inline __u16 tcp_sum(struct syn_headers *headers, int ipv6, __u32 len)
{
	__u16 pseudo = ~fold(pseudo_sum(headers, ipv6, len));

	return fold(bpf_csum_diff(NULL, 0, headers->tcp_word, len, pseudo));
}

/*
 * Whether the stack will take this SYN: no options in IP, no payload, all sums right, or
 * TCP's begun only, as on a packet from this very machine.
 */
static __always_inline int sums_are_right(const struct packet *pkt, struct syn_headers *headers,
					  __u32 len)
{
	if (pkt->ipv6) {
		if (headers->v6.nexthdr != IPPROTO_TCP || be16(headers->v6.payload_len) != len)
			return 0;
	} else if (headers->v4.ihl != 5 || be16(headers->v4.tot_len) != sizeof(headers->v4) + len ||
		   fold(ipv4_sum(headers))) {
		return 0;
	}
	return headers->tcp.check == (__u16)~fold(pseudo_sum(headers, pkt->ipv6, len)) ||
	       !tcp_sum(headers, pkt->ipv6, len);
}

/* ---- reading ---- */

/* What is between the fixed IP header and TCP is left out. Returns the length of TCP's, or 0. */
static __always_inline __u32 load_headers(struct xdp_md *ctx, const struct packet *pkt,
					  struct syn_headers *headers)
{
	__u32 len, room = pkt->bytes - pkt->l4_at;

	if (room < sizeof(headers->tcp))
		return 0;
	if (room > TCP_HEADER_MAX)
		room = TCP_HEADER_MAX;
	/* Linux 6.1 must see both bounds. */
	room = (weir_opaque(room - sizeof(headers->tcp)) & 63) + sizeof(headers->tcp);
	if (pkt->ipv6 ? bpf_xdp_load_bytes(ctx, pkt->ip_at, &headers->v6, sizeof(headers->v6)) :
			bpf_xdp_load_bytes(ctx, pkt->ip_at, &headers->v4, sizeof(headers->v4)))
		return 0;
	/* With the options, or what stands in their place, at once. */
	if (bpf_xdp_load_bytes(ctx, pkt->l4_at, headers->tcp_byte, room))
		return 0;
	len = headers->tcp.doff * 4;
	return len < sizeof(headers->tcp) || len > room ? 0 : len;
}

/* @at: proved to be in the header, which a verifier sees only of a mask that is there. */
static __always_inline __u8 option_byte(const struct syn_headers *headers, __u32 at)
{
	return headers->tcp_byte[weir_opaque(at) & 63];
}

/*
 * Global, so that the verifier proves one option and not all sequences of them.
 * Reads that at @at; returns where the next one is, 0: there is none.
 */
__noinline int read_option(struct syn_headers *headers, struct syn_options *options, __u32 at,
			   __u32 len)
{
	__u8 kind, size;

	if (!headers || !options || len > TCP_HEADER_MAX || at + 1 >= len)
		return 0;
	kind = option_byte(headers, at);
	if (kind == TCP_OPTION_END)
		return 0;
	if (kind == TCP_OPTION_NOP)
		return at + 1;
	size = option_byte(headers, at + 1);
	if (size < 2 || at + size > len)
		return 0;
	if (kind == TCP_OPTION_WSCALE && size == 3) {
		options->wscale = 1;
		options->shift = option_byte(headers, at + 2);
	} else if (kind == TCP_OPTION_SACK && size == 2) {
		options->sack = 1;
	} else if (kind == TCP_OPTION_TIMESTAMPS && size == 10) {
		options->timestamps = 1;
		for (int n = 0; n < 4; n++)
			options->time[n] = option_byte(headers, at + 2 + n);
	}
	return at + size;
}

/* What stands behind the first 20 options is not read: a SYN has five. */
static __always_inline void read_options(struct syn_headers *headers, __u32 len,
					 struct syn_options *options)
{
	__u32 at = sizeof(headers->tcp);

	for (int i = 0; i < 20 && at; i++)
		at = read_option(headers, options, at, len);
}

/* ---- answering ---- */

/*
 * Our time in milliseconds, as the kernel's, with its low six bits saying what
 * was offered; never ahead of the kernel's own clock.
 */
static __always_inline __u32 cookie_time(const struct syn_options *options, int ecn)
{
	__u32 now = bpf_ktime_get_coarse_ns() / 1000000;
	__u32 bits = options->wscale ? (options->shift > 14 ? 14 : options->shift) : 15;
	__u32 time;

	bits |= options->sack << 4 | ecn << 5;
	time = (now & ~63U) | bits;
	return time > now ? time - 64 : time;
}

/* Turns a SYN's headers into those of the answer; returns the TCP header's length. */
static __always_inline __u32 write_answer(struct syn_headers *headers,
					  const struct syn_options *options, __u32 cookie, __u16 mss,
					  __u8 wscale, int ecn, __u32 room)
{
	struct tcphdr *tcp = &headers->tcp;
	__be16 port = tcp->source;
	__u32 len = sizeof(*tcp) + 4;

	tcp->source = tcp->dest;
	tcp->dest = port;
	tcp->ack_seq = be32(be32(tcp->seq) + 1);
	tcp->seq = be32(cookie);
	tcp->window = be16(WINDOW);
	tcp->check = 0;
	tcp->urg_ptr = 0;
	headers->tcp_word[5] = be32(2 << 24 | 4 << 16 | mss);
	if (options->timestamps) {
		headers->tcp_word[6] = options->sack ? be32(0x0402080a) : be32(0x0101080a);
		headers->tcp_word[7] = be32(cookie_time(options, ecn));
		__builtin_memcpy(&headers->tcp_word[8], options->time, 4);
		len += 12;
		if (options->wscale) {
			headers->tcp_word[9] = be32(0x01030300 | wscale);
			len += 4;
		}
	}
	/* Only where the question had less than the usual options; each has a default. */
	if (len > room)
		len = room < sizeof(*tcp) + 4 ? sizeof(*tcp) : sizeof(*tcp) + 4;
	headers->tcp_byte[12] = len << 2;
	headers->tcp_byte[TCP_FLAGS_AT] = TCP_SYN | TCP_ACK | (ecn ? TCP_ECE : 0);
	return len;
}

/* Swaps the addresses, sets lengths and checksums. */
static __always_inline void finish_v4(struct syn_headers *headers, __u32 len)
{
	struct iphdr *ip = &headers->v4;
	__be32 source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = be16(sizeof(*ip) + len);
	ip->id = 0;
	ip->frag_off = be16(0x4000);	/* do not fragment */
	ip->ttl = 64;
	ip->check = 0;
	ip->check = fold(ipv4_sum(headers));
}

static __always_inline void finish_v6(struct syn_headers *headers, __u32 len)
{
	struct ipv6hdr *ip = &headers->v6;
	struct in6_addr source = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = source;
	headers->ip_word[0] = be32(6U << 28);	/* no traffic class, no flow label */
	ip->payload_len = be16(len);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = 64;
}

/*
 * Puts the answer in place of the question; the frame keeps its tags and its length,
 * and what is left behind the answer is padding. A program that changes the length of
 * frames is refused under libxdp's dispatcher, from Linux 6.12 on.
 */
static __always_inline int store_answer(struct xdp_md *ctx, const struct packet *pkt,
					struct syn_headers *headers, __u32 len)
{
	__u32 l4_at = pkt->ip_at + (pkt->ipv6 ? sizeof(headers->v6) : sizeof(headers->v4));
	__be16 *mac = frame_data(ctx);

	if (l4_at + len > pkt->bytes || (void *)(mac + 6) > frame_end(ctx))
		return -1;
	for (int i = 0; i < 3; i++) {
		__be16 to = mac[i];

		mac[i] = mac[3 + i];
		mac[3 + i] = to;
	}
	if (pkt->ipv6 ? bpf_xdp_store_bytes(ctx, pkt->ip_at, &headers->v6, sizeof(headers->v6)) :
			bpf_xdp_store_bytes(ctx, pkt->ip_at, &headers->v4, sizeof(headers->v4)))
		return -1;
	return bpf_xdp_store_bytes(ctx, l4_at, headers->tcp_byte, len);
}

/* How long the answer's TCP header may be. */
static __always_inline __u32 room_of(const struct packet *pkt)
{
	return pkt->bytes - pkt->ip_at -
	       (pkt->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/*
 * Global. Makes the SYN-ACK out of the SYN that check_syn() left in the scratch. 0:
 * done, and the frame goes back where it came from.
 */
__noinline int answer_syn(struct xdp_md *ctx, struct packet *pkt, __u32 side)
{
	struct weir_policy *rules = policy_of(side);
	struct syn_headers *headers = scratch_headers();
	struct syn_options options = {};
	const struct weir_syn_rule *rule;
	__s64 cookie;
	__u32 len;
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
	if (cookie < 0)
		return -1;
	if (rule->timestamps)
		read_options(headers, len, &options);
	if (!options.timestamps)
		options.sack = options.wscale = 0;
	ecn = options.timestamps && rule->ecn &&
	      (pkt->tcp_flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
	len = write_answer(headers, &options, cookie, mtu - (pkt->ipv6 ? 60 : 40), rule->wscale,
			   ecn, room_of(pkt));
	if (pkt->ipv6)
		finish_v6(headers, len);
	else
		finish_v4(headers, len);
	headers->tcp.check = tcp_sum(headers, pkt->ipv6, len);
	if (store_answer(ctx, pkt, headers, len))
		return -1;
	end_measure();
	return 0;
}

/* ---- deciding ---- */

/*
 * Whether this SYN goes to the listener, so that it goes on accepting cookies: one
 * a second that the stack will find right; else, of whatever kind, one in nine seconds.
 */
static __always_inline int heartbeat_due(const struct packet *pkt, struct syn_headers *headers,
				       __u32 len, __u64 now_ns)
{
	__u32 index = weir_mix(pkt->to_hi ^ pkt->to_lo * 3 ^ pkt->dport) & (WEIR_BEATS - 1);
	__u32 *beat = bpf_map_lookup_elem(&beats, &index), now = now_ns >> BEAT_SHIFT, was;

	if (!beat)
		return 1;
	was = *beat;
	if (was == now)
		return 0;
	if (was && now - was < BEAT_EVERY && !sums_are_right(pkt, headers, len))
		return 0;
	return weir_swap(beat, was, now) == was;
}

/* Whether both ends are single hosts. An answer to anything else would go to many, or nowhere. */
static __always_inline int is_between_hosts(struct xdp_md *ctx, const struct packet *pkt)
{
	const __u8 *mac = frame_data(ctx);
	__u8 from = pkt->lo >> 24, to = pkt->to_lo >> 24;

	if ((void *)(mac + 1) > frame_end(ctx) || *mac & 1)
		return 0;
	if (pkt->hi == pkt->to_hi && pkt->lo == pkt->to_lo)
		return 0;
	if (pkt->ipv6)
		return pkt->hi && pkt->hi >> 56 != 0xff && pkt->to_hi >> 56 != 0xff;
	return from && from != 127 && from < 224 && to < 224;
}

/* Whether the source with these cells has had its answers. */
static __always_inline int is_used_up(const struct cells *cells, __u64 now, __u64 cost)
{
	return weir_read(cells->a) + cost > now + ANSWER_BURST &&
	       weir_read(cells->b) + cost > now + ANSWER_BURST;
}

static __always_inline int charge_source(const struct cells *cells, __u64 now, __u64 cost)
{
	__u64 bound = gate_charge(cells->a, cells->b, now, cost, ANSWER_BURST, 0);

	return bound != GATE_CONTENDED && bound + cost <= ANSWER_BURST;
}

static __always_inline struct weir_bucket_key answer_key(const struct packet *pkt, __u32 serial)
{
	struct weir_bucket_key key = { .hi = pkt->hi, .lo = pkt->ipv6 ? 0 : pkt->lo,
				       .serial = serial };

	return key;
}

/* What a source and all of them together have had: slot 0 of the budgets, and its cells. */
struct cookie_quota {
	struct weir_budget_state *all;
	struct weir_spending *cpu;
	struct cells cells;
};

static __always_inline int find_quota(const struct packet *pkt, __u64 seed, struct cookie_quota *quota)
{
	struct weir_bucket_key key = answer_key(pkt, ANSWER_SERIAL);
	__u32 zero = 0;

	quota->all = bpf_map_lookup_elem(&budgets, &zero);
	quota->cpu = bpf_map_lookup_elem(&spending, &zero);
	return quota->all && quota->cpu && find_cells(&key, seed, &quota->cells);
}

/*
 * So that nobody's machine is flooded by our answers to a forged question. The source
 * is looked at first and charged last: one that asks too much takes nothing from the
 * answers to others, and no more than all answers are charged to the gate, which
 * the limits share.
 */
static __always_inline int answer_allowed(const struct packet *pkt, __u64 seed, __u64 now_ns)
{
	struct weir_bucket_key key = answer_key(pkt, KNOWN_SERIAL);
	__u64 now = now_ns << WEIR_TICK_SHIFT, cost = ANSWER_COST;
	struct cookie_quota quota;

	if (!find_quota(pkt, seed, &quota))
		return 0;
	if (is_used_up(&quota.cells, now, cost)) {
		cost = KNOWN_COST;
		if (!is_known(pkt, now_ns) || !find_cells(&key, seed, &quota.cells) ||
		    is_used_up(&quota.cells, now, cost))
			return 0;
	}
	return budget_take(&quota.cpu->stash[0], &quota.all->tat, now, ANSWERS_COST,
			   ANSWERS_BURST / BUDGET_CHUNKS, ANSWERS_BURST) &&
	       charge_source(&quota.cells, now, cost);
}

/*
 * What belongs to no connection here is for the stack to refuse, but not at any rate;
 * slot 0 of the budgets has no bytes of its own to count.
 */
static __always_inline int stray_ack_allowed(const struct packet *pkt, __u64 seed, __u64 now_ns)
{
	__u64 now = now_ns << WEIR_TICK_SHIFT;
	struct cookie_quota quota;

	return find_quota(pkt, seed, &quota) && !is_used_up(&quota.cells, now, ANSWER_COST) &&
	       budget_take(&quota.cpu->byte_stash[0], &quota.all->byte_tat, now, STRAYS_COST,
			   ANSWERS_BURST / BUDGET_CHUNKS, ANSWERS_BURST) &&
	       charge_source(&quota.cells, now, ANSWER_COST);
}

/*
 * Global. The state of the socket that this packet would reach, a BPF_TCP_*; 0: there is
 * none.
 */
__noinline int socket_state(struct xdp_md *ctx, __u32 ipv6)
{
	struct syn_headers *headers = scratch_headers();
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	int state;

	if (!headers)
		return 0;
	if (ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, &headers->v6.saddr, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &headers->v6.daddr, 16);
		tuple.ipv6.sport = headers->tcp.source;
		tuple.ipv6.dport = headers->tcp.dest;
		sock = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		tuple.ipv4.saddr = headers->v4.saddr;
		tuple.ipv4.daddr = headers->v4.daddr;
		tuple.ipv4.sport = headers->tcp.source;
		tuple.ipv4.dport = headers->tcp.dest;
		sock = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sock)
		return 0;
	state = sock->state;
	bpf_sk_release(sock);
	return state;
}

static __always_inline int is_cookie(const struct packet *pkt, struct syn_headers *headers)
{
	if (pkt->ipv6)
		return !bpf_tcp_raw_check_syncookie_ipv6(&headers->v6, &headers->tcp);
	return !bpf_tcp_raw_check_syncookie_ipv4(&headers->v4, &headers->tcp);
}

/*
 * Whoever sends back a cookie is there, and is known from now on: until the
 * generation turns, and for good if calm times find that it behaves.
 */
static __always_inline void make_known(const struct packet *pkt, __u64 now_ns)
{
	__u64 minute = known_minute(now_ns, minute_shift);
	__u64 key = known_key(pkt->hi, pkt->lo), hash = hash_of(key);
	struct weir_known_line *line = line_of(hash, minute);

	/* What is being learnt in this generation would hide what stands in the one before. */
	if (line && known_score(line, known_epoch(minute), key) < 0) {
		minute -= KNOWN_BEFORE;
		line = line_of(hash, minute);
	}
	if (line)
		remember(line, key, hash, minute, WEIR_KNOWN_SCORE, 1);
}

/*
 * Global. A segment without SYN for a protected service, from a source that is
 * not known: it belongs to a connection, or brings a cookie, or is let through
 * at a small rate only.
 */
__noinline int check_ack(struct xdp_md *ctx, struct packet *pkt, __u64 seed, __u64 now_ns)
{
	struct syn_headers *headers = scratch_headers();
	int state;

	if (!pkt || !headers)
		return WEIR_CONTINUE;
	if (load_headers(ctx, pkt, headers)) {
		state = socket_state(ctx, pkt->ipv6);
		if (state && state != BPF_TCP_LISTEN)
			return WEIR_CONTINUE;
		if (state && pkt->tcp_flags & TCP_ACK && is_cookie(pkt, headers)) {
			make_known(pkt, now_ns);
			return WEIR_PASS_COOKIE;
		}
	}
	return stray_ack_allowed(pkt, seed, now_ns) ? WEIR_CONTINUE : WEIR_DROP_STRAY_ACK;
}

/* A SYN that gets through to the listener all the same: the budget's scraps, or the heartbeat. */
static __always_inline int spend_scraps(const struct packet *pkt, struct weir_policy *rules,
					__u32 index, __u64 now_ns)
{
	struct spend spend = { .now = now_ns << WEIR_TICK_SHIFT, .slot = index & (WEIR_BUDGETS - 1) };
	__u32 slot = spend.slot;

	spend.state = bpf_map_lookup_elem(&budgets, &slot);
	spend.cpu = bpf_map_lookup_elem(&spending, &slot);
	if (!spend.state || !spend.cpu)
		return 0;
	spend.budget = &rules->budget[index & (WEIR_BUDGETS - 1)];
	spend.bytes_cost = byte_ticks(spend.budget->byte_cost, pkt->bytes & 0xffff);
	if (take_budget(&spend, WEIR_FIRST_SEEN, SHARE_SCRAPS)) {
		count_spending(spend.cpu, pkt->bytes, WEIR_PASS_NEWCOMER);
		return 1;
	}
	mark_pressed(spend.state, now_ns);
	return 0;
}

static __always_inline int is_pressed(__u32 index, __u64 now_ns)
{
	struct weir_budget_state *state = bpf_map_lookup_elem(&budgets, &index);

	return state && is_pressed_for_syn(state, now_ns);
}

/* The listener's socket is there, and nothing else that this SYN is for. */
static __always_inline enum weir_reason answer_or_not(struct xdp_md *ctx, const struct packet *pkt,
						      struct weir_policy *rules, __u32 index,
						      __u64 now_ns)
{
	struct syn_headers *headers = scratch_headers();
	__u32 len = headers ? load_headers(ctx, pkt, headers) : 0;

	if (len < sizeof(headers->tcp) || len > TCP_HEADER_MAX || pkt->tcp_flags & TCP_FIN)
		return WEIR_DROP_TCP;
	if (socket_state(ctx, pkt->ipv6) != BPF_TCP_LISTEN)
		return WEIR_CONTINUE;
	if (!is_between_hosts(ctx, pkt))
		return WEIR_DROP_COOKIES;
	if (heartbeat_due(pkt, headers, len, now_ns))
		return WEIR_PASS_NEWCOMER;
	if (index && spend_scraps(pkt, rules, index, now_ns))
		return WEIR_PASS_NEWCOMER;
	return answer_allowed(pkt, rules->seed, now_ns) ? WEIR_TX_COOKIE : WEIR_DROP_COOKIES;
}

/*
 * Global. For TCP to a protected port. @index: the budget of its SYNs, 0: none.
 * WEIR_CONTINUE: nothing is out of the ordinary, the budget comes next.
 */
__noinline int check_syn(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u32 index,
			 __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	const struct weir_syn_rule *rule;

	if (!pkt || !rules)
		return WEIR_CONTINUE;
	rule = syn_rule(rules, pkt->to_hi, pkt->to_lo, pkt->dport);
	if (!rule || pkt->tcp_flags & TCP_RST)
		return WEIR_CONTINUE;
	if (!rule->always && (!index || !is_pressed(index, now_ns)))
		return WEIR_CONTINUE;
	if (pkt->what != WEIR_SYN)
		return is_known_fast(pkt, now_ns) ? WEIR_CONTINUE :
					    check_ack(ctx, pkt, rules->seed, now_ns);
	switch (plan_syn(ctx, pkt, rules->seed, now_ns, rule->always)) {
	case SYN_DROP:
		return WEIR_DROP_FIRST_SYN;
	case SYN_TO_STACK:
		return WEIR_CONTINUE;
	default:
		return answer_or_not(ctx, pkt, rules, rule->always ? 0 : index, now_ns);
	}
}

/* The budget that counts here is that of the service's SYNs, whatever this packet is. */
static __always_inline enum weir_reason check_service(struct xdp_md *ctx, struct packet *pkt,
						      struct hint hint, const struct rules *rules,
						      __u64 now_ns, enum weir_reason so_far)
{
	enum weir_reason reason;
	__u32 class, index = 0;

	if (!rules->policy || !rules->policy->syn_rules || !pkt->tcp_flags ||
	    !rules->policy->syn_rule_of[pkt->dport])
		return so_far;
	class = rules->policy->class_of_port[WEIR_PORT_SYN][pkt->dport];
	if (rules->policy->budgets)
		index = budget_index(pkt, hint, rules->policy, class);
	reason = check_syn(ctx, pkt, hint.side, index, now_ns);
	return reason == WEIR_CONTINUE ? so_far : reason;
}

#endif
