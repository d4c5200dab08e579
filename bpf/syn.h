/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SYN cookies at the driver. A spoofed SYN flood has no source to limit; a cookie makes each
 * source prove that it is there, and keeps no state. This header decides what happens to TCP for a
 * protected service; answer.h makes the answer.
 *
 * The cookies are the kernel's own (bpf_tcp_raw_gen_syncookie_*), so the listener accepts them, as
 * long as it sent one itself in the last two minutes. That needs net.ipv4.tcp_syncookies = 2 and a
 * SYN that reaches the listener now and then: the heartbeat. While the listener's last cookie is
 * fresh (listener.h), none goes through; then many do, until it is fresh again.
 *
 * An answer is never longer than its SYN, padding aside, so there is nothing to amplify. A source
 * gets at most 50 answers a second (2,000 once it is proven: it may be a network behind one
 * address), all sources together at most four million, and no more than a core has time for
 * (shortage.h).
 *
 * For each SYN that there is time for, the kernel is asked whether this host listens. A closed
 * port therefore responds as if weir were not there, and so does a connection that lingers in
 * TIME_WAIT, which only the SYN itself can end.
 */
#ifndef WEIR_BPF_SYN_H
#define WEIR_BPF_SYN_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/answer.h"
#include "bpf/budget.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/listener.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/pure/known_line.h"
#include "bpf/pure/share.h"
#include "bpf/rodata.h"
#include "bpf/shortage.h"

/*
 * Ticks that a heartbeat costs its service, and all services together. The burst of both exceeds a
 * tick of the coarse clock.
 */
#define BEAT_COST	(WEIR_TICKS_PER_S / 4000)
#define BLIND_BEAT_COST	(WEIR_TICKS_PER_S / 50)	/* where its need cannot be read */
#define BEATS_COST	(WEIR_TICKS_PER_S / 8000)
#define BEAT_BURST	(WEIR_TICKS_PER_S / 64)
#define BEAT_PATIENCE	(8 * WEIR_TICKS_PER_S)	/* without any; the kernel allows 120 s */

/* Serials that no limit has: see weir_policy.next_serial. */
#define ANSWER_SERIAL	0xffffffffU
#define KNOWN_SERIAL	0xfffffffeU

/* Ticks that an answer or a stray ACK costs its source, and all sources together. */
#define ANSWER_COST	(WEIR_TICKS_PER_S / 50)
#define KNOWN_COST	(WEIR_TICKS_PER_S / 2000)
#define ANSWER_BURST	(2 * WEIR_TICKS_PER_S)
#define ANSWERS_COST	(WEIR_TICKS_PER_S / 4000000)
#define STRAYS_COST	(WEIR_TICKS_PER_S / 10000)
#define ANSWERS_BURST	(WEIR_TICKS_PER_S / 10)

/* ---- the heartbeat ---- */

/*
 * Whether the IP header and the checksums let the stack accept this SYN: no IP options, no payload,
 * no fragment, which the stack would keep and wait for the rest, all checksums right, or only the
 * pseudo-header's sum in TCP's, as in a packet from this very host.
 */
static __always_inline int sums_are_right(const struct packet *pkt, struct syn_headers *headers,
					  __u32 len)
{
	if (pkt->ipv6) {
		if (headers->v6.nexthdr != IPPROTO_TCP || be16(headers->v6.payload_len) != len)
			return 0;
	} else if (headers->v4.ihl != sizeof(headers->v4) / 4 ||
		   be16(headers->v4.frag_off) & (IPV4_MORE | IPV4_OFFSET) ||
		   be16(headers->v4.tot_len) != sizeof(headers->v4) + len ||
		   fold(ipv4_sum(headers))) {
		return 0;
	}
	return headers->tcp.check == (__u16)~fold(pseudo_sum(headers, pkt->ipv6, IPPROTO_TCP, len)) ||
	       !tcp_sum(headers, pkt->ipv6, len);
}

/*
 * Global. Whether the stack will accept this SYN, as far as its bytes say. It discards a SYN that
 * is signed (TCP-MD5, TCP-AO) if the listener has no keys, and from Linux 6.7 on one with an option
 * of a wrong length. A SYN with more options than are read does not count as accepted.
 */
__noinline int stack_accepts(struct packet *pkt)
{
	struct syn_headers *headers = scratch_headers();
	struct syn_options options = {};
	__u32 len;

	if (!pkt || !headers)
		return 0;
	len = headers->tcp.doff * 4;
	if (len < sizeof(headers->tcp) || len > TCP_HEADER_MAX ||
	    !sums_are_right(pkt, headers, len))
		return 0;
	return !read_options(headers, len, &options) && !options.discarded;
}

/* Charges @cost to the TAT, if that has room. Returns 1 if it had. */
static __always_inline int charge_beat(__u64 *tat, __u64 now, __u64 cost)
{
	__u64 was = weir_read(tat), base = was > now ? was : now;

	return base - now <= BEAT_BURST && weir_swap(tat, was, base + cost) == was;
}

static __always_inline struct weir_service service_of(const struct packet *pkt)
{
	return (struct weir_service){ .to_hi = pkt->to_hi, .to_lo = pkt->to_lo,
				      .port = pkt->dport };
}

/* Rare, and global for its stack. If another CPU was faster, its entry is used. */
__noinline int create_beat(struct packet *pkt)
{
	struct weir_service service;
	__u64 none = 0;

	if (!pkt)
		return 0;
	service = service_of(pkt);
	bpf_map_update_elem(&beats, &service, &none, BPF_NOEXIST);
	return 0;
}

/* The TAT of the packet's service; a new one owes nothing. */
static __always_inline __u64 *find_beat(struct packet *pkt)
{
	struct weir_service service = service_of(pkt);
	__u64 *tat = bpf_map_lookup_elem(&beats, &service);

	if (tat)
		return tat;
	create_beat(pkt);
	return bpf_map_lookup_elem(&beats, &service);
}

/*
 * Global. Whether this SYN goes to the listener, so that it goes on accepting cookies. Nothing
 * says which SYN the stack takes: it also discards those from its own addresses, from sources that
 * it has no route to, and by its firewall's rules. So many go through and not one: a flood of such
 * SYNs then takes its part of them and no more. What the stack discards for its bytes goes through
 * only if nothing else did for BEAT_PATIENCE.
 */
__noinline int heartbeat_due(struct packet *pkt, __u64 now_ns, __u64 cost)
{
	__u64 now = now_ns << WEIR_TICK_SHIFT;
	struct weir_common *all;
	__u64 *tat;

	if (!pkt)
		return 0;
	tat = find_beat(pkt);
	if (!tat || weir_read(tat) > now + BEAT_BURST)
		return 0;
	if (weir_read(tat) + BEAT_PATIENCE > now && !stack_accepts(pkt))
		return 0;
	all = common_state();
	return all && charge_beat(&all->beats_tat, now, BEATS_COST) && charge_beat(tat, now, cost);
}

/* ---- how many answers ---- */

/* Whether both ends are single hosts: an answer to anything else would go to many, or nowhere. */
static __always_inline int is_between_hosts(struct xdp_md *ctx, const struct packet *pkt)
{
	const __u8 *mac = frame_data(ctx);
	__u8 from = pkt->lo >> 24, to = pkt->to_lo >> 24;

	if (!bare && ((void *)(mac + 1) > frame_end(ctx) || *mac & 1))
		return 0;
	if (pkt->hi == pkt->to_hi && pkt->lo == pkt->to_lo)
		return 0;
	if (pkt->ipv6)
		return pkt->hi && pkt->hi >> 56 != 0xff && pkt->to_hi >> 56 != 0xff;
	return from && from != 127 && from < 224 && to < 224;
}

/* Whether the source with these cells has used up its answers. */
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
	struct weir_bucket_key key = { .hi = pkt->hi, .lo = pkt->lo, .serial = serial };

	if (pkt->ipv6 && !is_link_local(pkt->hi))
		key.lo = 0;
	return key;
}

/* The cells of the packet's source among those of @serial; returns 0 if there are none. */
static __always_inline int answer_cells(const struct packet *pkt, __u32 serial, __u64 seed,
					struct cells *cells)
{
	struct weir_bucket_key key = answer_key(pkt, serial);

	return find_cells(&key, seed, WEIR_GATE_BITS, cells);
}

/* Takes an answer from those to all sources. */
static __always_inline int take_answer(__u64 now)
{
	struct weir_common *all = common_state();
	struct weir_core_time *cpu = cpu_time();

	return all && cpu &&
	       budget_take(&cpu->answers_stash, &all->answers_tat, now, ANSWERS_COST,
			   ANSWERS_BURST / BUDGET_CHUNKS, ANSWERS_BURST);
}

/*
 * Bounds the answers, so that no host is flooded by answers to spoofed SYNs. The source is looked
 * at first and charged last: a source that asks too much takes nothing from the answers to others,
 * and the gate, which the limits share, is charged no more than all answers.
 */
static __always_inline int answer_allowed(const struct packet *pkt, __u64 seed, __u64 now_ns)
{
	__u64 now = now_ns << WEIR_TICK_SHIFT, cost = ANSWER_COST;
	struct cells cells;

	if (!answer_cells(pkt, ANSWER_SERIAL, seed, &cells))
		return 0;
	if (is_used_up(&cells, now, cost)) {
		cost = KNOWN_COST;
		if (tier_of(pkt, now_ns) < WEIR_PROVEN ||
		    !answer_cells(pkt, KNOWN_SERIAL, seed, &cells) || is_used_up(&cells, now, cost))
			return 0;
	}
	return take_answer(now) && charge_source(&cells, now, cost);
}

/*
 * Global, for its stack. A segment that belongs to no connection is for the stack to refuse, but not
 * at any rate.
 */
__noinline int stray_ack_allowed(struct packet *pkt, __u64 seed, __u64 now_ns)
{
	__u64 now = now_ns << WEIR_TICK_SHIFT;
	struct weir_common *all = common_state();
	struct weir_core_time *cpu = cpu_time();
	struct cells cells;

	return pkt && all && cpu && answer_cells(pkt, ANSWER_SERIAL, seed, &cells) &&
	       !is_used_up(&cells, now, ANSWER_COST) &&
	       budget_take(&cpu->strays_stash, &all->strays_tat, now, STRAYS_COST,
			   ANSWERS_BURST / BUDGET_CHUNKS, ANSWERS_BURST) &&
	       charge_source(&cells, now, ANSWER_COST);
}

/* ---- segments without SYN ---- */

/* What socket_state() returns. */
#define SOCKET_STATE		0xff	/* a BPF_TCP_*; 0: none */
#define SOCKET_CLOCK_SHIFT	8	/* of a listener's enum weir_clock */

/* Global. The state of the socket that this packet would reach, and for a SYN a listener's clock. */
__noinline int socket_state(struct xdp_md *ctx, struct packet *pkt, __u32 is_syn)
{
	struct bpf_sock *sock = pkt ? find_socket(ctx, pkt) : NULL;
	int state;

	if (!sock)
		return 0;
	state = sock->state & SOCKET_STATE;
	if (is_syn && state == BPF_TCP_LISTEN)
		state |= listener_clock(sock) << SOCKET_CLOCK_SHIFT;
	bpf_sk_release(sock);
	return state;
}

static __always_inline int is_cookie(const struct packet *pkt, struct syn_headers *headers)
{
	if (pkt->ipv6)
		return !bpf_tcp_raw_check_syncookie_ipv6(&headers->v6, &headers->tcp);
	return !bpf_tcp_raw_check_syncookie_ipv4(&headers->v4, &headers->tcp);
}

/* What a segment without SYN is to this host. */
enum segment { SEGMENT_STRAY, SEGMENT_OF_SOCKET, SEGMENT_OF_CONNECTION, SEGMENT_WITH_COOKIE };

static __always_inline enum segment segment_of(struct xdp_md *ctx, struct packet *pkt)
{
	int state = socket_state(ctx, pkt, 0);
	struct syn_headers *headers = scratch_headers();

	if (state && state != BPF_TCP_LISTEN)
		return is_connection(state) ? SEGMENT_OF_CONNECTION : SEGMENT_OF_SOCKET;
	/* The kernel takes no cookie from a RST, and none from a SYN-ACK. */
	if (!state || (pkt->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK || !headers ||
	    !load_headers(ctx, pkt, headers) || !is_cookie(pkt, headers))
		return SEGMENT_STRAY;
	return SEGMENT_WITH_COOKIE;
}

/* Global, for its stack. One look-up in TIME_SAMPLE is measured. Returns an enum segment. */
__noinline int look_up_segment(struct xdp_md *ctx, struct packet *pkt)
{
	struct weir_core_time *time = cpu_time();
	enum segment segment;
	__u64 began_ns;

	if (!pkt || !time)
		return SEGMENT_STRAY;
	began_ns = time->ack_tick++ % TIME_SAMPLE ? 0 : bpf_ktime_get_ns();
	segment = segment_of(ctx, pkt);
	time = began_ns ? cpu_time() : NULL;	/* again, and not kept: most are not measured */
	if (time)
		time_measured(&time->ack_cost_ns, bpf_ktime_get_ns() - began_ns,
			      TIME_ACK_LEAST_NS);
	return segment;
}

/*
 * With a reason: the source proved that it is there. It is noted by the stage, since from here the
 * stacks of all calls would exceed what a program may have.
 */
#define GAVE_PROOF	0x100

/*
 * A segment without SYN, or a SYN-ACK, for a protected service, from a source that is not
 * proven: it belongs to a connection or carries a cookie, and either proves the source; or it is let
 * through at a low rate only. The result may have GAVE_PROOF.
 */
static __always_inline int check_ack(struct xdp_md *ctx, struct packet *pkt, __u64 seed,
				     __u64 now_ns)
{
	if (!pkt)
		return WEIR_CONTINUE;
	switch (look_up_segment(ctx, pkt)) {
	case SEGMENT_OF_SOCKET:
		return WEIR_CONTINUE;
	case SEGMENT_OF_CONNECTION:
		return WEIR_CONTINUE | GAVE_PROOF;
	case SEGMENT_WITH_COOKIE:
		return WEIR_PASS_COOKIE | GAVE_PROOF;
	default:
		return stray_ack_allowed(pkt, seed, now_ns) ? WEIR_CONTINUE : WEIR_DROP_STRAY_ACK;
	}
}

/* ---- SYNs ---- */

/* Global, for its stack. Whether the budget's scraps let this packet through to the server. */
__noinline int spend_scraps(struct packet *pkt, __u32 side, __u32 index, __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	struct spend spend;

	if (!pkt || !rules || !open_spend(&spend, pkt, rules, index, now_ns))
		return 0;
	if (take_budget(&spend, WEIR_FIRST_SEEN, SCRAPS_REACH)) {
		count_spending(&spend, pkt->bytes, WEIR_FIRST_SEEN, SPENT);
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

/* Heartbeats take at most half of the budget of the service's SYNs. @index: of that, 0: none. */
static __always_inline __u64 beat_cost(const struct weir_policy *rules, __u32 index, int clock)
{
	__u64 cost = clock == WEIR_CLOCK_STALE ? BEAT_COST : BLIND_BEAT_COST;
	__u64 half = 2 * rules->budget[index & (WEIR_BUDGETS - 1)].cost;

	return index && half > cost ? half : cost;
}

/* A SYN that there is time for. It is answered only if it would reach a listening socket. */
static __always_inline enum weir_reason answer_or_not(struct xdp_md *ctx, struct packet *pkt,
						      struct weir_policy *rules, __u32 side,
						      __u32 index, int always, __u64 now_ns)
{
	struct syn_headers *headers = scratch_headers();
	__u32 len = headers ? load_headers(ctx, pkt, headers) : 0;
	int found, clock;

	if (len < sizeof(headers->tcp) || len > TCP_HEADER_MAX)
		return WEIR_DROP_TCP;
	found = socket_state(ctx, pkt, 1);
	if ((found & SOCKET_STATE) != BPF_TCP_LISTEN)
		return WEIR_CONTINUE;
	if (!is_between_hosts(ctx, pkt))
		return WEIR_DROP_COOKIES;
	clock = found >> SOCKET_CLOCK_SHIFT;
	if (clock != WEIR_CLOCK_FRESH &&
	    heartbeat_due(pkt, now_ns, beat_cost(rules, index, clock)))
		return WEIR_PASS_NEWCOMER;
	if (!always && index && spend_scraps(pkt, side, index, now_ns))
		return WEIR_PASS_NEWCOMER;
	if (!answer_allowed(pkt, rules->seed, now_ns))
		return WEIR_DROP_COOKIES;
	expect_ack(pkt, rules->seed, now_ns);
	return WEIR_TX_COOKIE;
}

/* What the time of a core is charged by, for all that follows. */
static __always_inline void set_weight(const struct weir_policy *rules)
{
	struct weir_core_time *time = cpu_time();

	if (time)
		time->weight = rules->time_weight * answer_weight;
}

/*
 * Global. For TCP to a protected port. @index: the budget of its SYNs, 0: none. WEIR_CONTINUE: the
 * packet is none of cookies' business, and the budget comes next. The result may have GAVE_PROOF.
 */
__noinline int check_syn(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u32 index,
			 __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	const struct weir_syn_rule *rule;

	if (!pkt || !rules)
		return WEIR_CONTINUE;
	rule = syn_rule(rules, pkt->to_hi, pkt->to_lo, pkt->dport);
	if (!rule)
		return WEIR_CONTINUE;
	if (!rule->always && (!index || !is_pressed(index, now_ns)))
		return WEIR_CONTINUE;
	if (!flags_are_sent(pkt->tcp_flags))
		return WEIR_DROP_TCP;
	set_weight(rules);
	if (pkt->what != WEIR_SYN) {
		if (tier_fast(pkt, now_ns) >= WEIR_PROVEN)
			return WEIR_CONTINUE;
		return plan_ack(ctx, pkt, rules->seed, now_ns) ?
			       check_ack(ctx, pkt, rules->seed, now_ns) : WEIR_DROP_FIRST_ACK;
	}
	switch (plan_syn(ctx, pkt, rules->seed, now_ns, rule->always)) {
	case SYN_DROP:
		return WEIR_DROP_FIRST_SYN;
	case SYN_TO_STACK:
		return WEIR_CONTINUE;
	default:
		return answer_or_not(ctx, pkt, rules, side, index, rule->always, now_ns);
	}
}

/* Whether flags were read: also those of which none is set. */
static __always_inline int has_tcp_header(const struct packet *pkt)
{
	return pkt->proto == IPPROTO_TCP && pkt->what != WEIR_FRAGMENT;
}

/*
 * The stage. @so_far: the reason for which the packet passes if this stage has no objection. The
 * budget that counts here is that of the service's SYNs from this source port, whatever this packet
 * is: the SYN that an ACK completes came from the same port.
 */
static __always_inline enum weir_reason check_service(struct xdp_md *ctx, struct packet *pkt,
						      struct hint hint, const struct rules *rules,
						      __u64 now_ns, enum weir_reason so_far)
{
	enum weir_reason reason;
	__u32 class, found, index = 0;

	if (!rules->policy || !rules->policy->syn_rules || !has_tcp_header(pkt) ||
	    !rules->policy->syn_rule_of[pkt->dport])
		return so_far;
	class = refine_class(ctx, pkt, rules->policy,
			     rules->policy->class_of_port[WEIR_PORT_SYN][pkt->dport]);
	if (rules->policy->budgets)
		index = budget_index(pkt, hint, rules->policy, class);
	found = check_syn(ctx, pkt, hint.side, index, now_ns);
	if (found & GAVE_PROOF)
		prove(pkt, now_ns);
	reason = found & ~GAVE_PROOF;
	return reason == WEIR_CONTINUE ? so_far : reason;
}

#endif
