/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DNS over UDP: a flood of spoofed queries has no source to limit, and each query costs the server
 * an answer. So a source that is not proven gets the answer "truncated" at the driver. A resolver
 * then asks again by TCP; its connection proves that it is there, and its queries over UDP reach
 * the server from then on.
 *
 * The answer goes to the source that the query names, which may be a victim: it is never longer
 * than the query, so nothing is amplified, and a source gets at most 50 a second. All sources
 * together get at most what weir_common.answers_tat allows, shared with SYN-ACKs, and no more than
 * a core has time for (shortage.h). An answer has the bit QR, and nothing with that bit is
 * answered: no loop, neither with a server nor with another weir.
 *
 * Only plain queries are answered (pure/dns.h). All else goes on to the budget, as if there were
 * no rule. Whether anything listens on the UDP port is not asked, as that would cost a look-up for
 * each packet of a flood: the rule names the port, and says that there is a DNS server behind it.
 * Checksums of queries are not verified: the answer has its own.
 */
#ifndef WEIR_BPF_DNS_H
#define WEIR_BPF_DNS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/answer.h"
#include "bpf/budget.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/limits.h"
#include "bpf/lists.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/class.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/core_time.h"
#include "bpf/pure/dns.h"
#include "bpf/rodata.h"
#include "bpf/shortage.h"
#include "bpf/socket.h"
#include "bpf/syn.h"

/* A serial that no limit has, as ANSWER_SERIAL in syn.h. */
#define DNS_SERIAL	0xfffffffdU

/* ---- queries ---- */

/* Global. Copies the query to the scratch. Returns 1 if it is one that can be answered. */
__noinline int read_query(struct xdp_md *ctx, struct packet *pkt)
{
	struct dns_headers *dns = scratch_query();
	__u32 room, whole, len;

	if (!pkt || !dns || pkt->partial)
		return 0;
	room = pkt->bytes - pkt->l4_at;
	if (room < sizeof(dns->udp) + DNS_LEAST)
		return 0;
	if (room > DNS_READ)
		room = DNS_READ;
	room = (weir_opaque(room - 1) & (DNS_READ - 1)) + 1;
	if (bpf_xdp_load_bytes(ctx, pkt->l4_at, &dns->udp, room))
		return 0;
	/* The parser has compared the length with the packet's; 0 (a jumbogram) is too short here. */
	whole = be16(dns->udp.len);
	if (!dns->udp.source || whole < sizeof(dns->udp) + DNS_LEAST)
		return 0;
	len = (whole < room ? whole : room) - sizeof(dns->udp);
	return dns_is_query(&dns->message, &dns->query, len, whole - sizeof(dns->udp));
}

/* A core that is short of time leaves the rest to sources that were seen to behave. */
static __always_inline int has_time(struct weir_core_time *cpu, int tier, __u64 now_ns)
{
	begin_measure(cpu);
	if (time_take(cpu, WEIR_FIRST_SEEN, now_ns) ||
	    (tier >= WEIR_SEEN && time_take(cpu, WEIR_RETURNING, now_ns)))
		return 1;
	time_drop(cpu, now_ns);
	return 0;
}

/*
 * Bounds the answers, in the order and for the reasons of answer_allowed() in syn.h. A resolver
 * whose query is dropped sends it again.
 */
static __always_inline int truncation_allowed(const struct packet *pkt, int tier, __u64 seed,
					      __u64 now_ns)
{
	__u64 now = now_ns << WEIR_TICK_SHIFT;
	struct weir_core_time *cpu = cpu_time();
	struct cells cells;

	if (!cpu || !answer_cells(pkt, DNS_SERIAL, seed, &cells) ||
	    is_used_up(&cells, now, ANSWER_COST))
		return 0;
	return has_time(cpu, tier, now_ns) && take_answer(now) &&
	       charge_source(&cells, now, ANSWER_COST);
}

/* ---- the answer ---- */

/* The sum of UDP with its pseudo-header, as the header carries it. @len: of UDP. */
static __always_inline __u16 udp_sum(struct dns_headers *dns, int ipv6, __u32 len)
{
	__u16 pseudo = ~fold(pseudo_sum(&dns->ip, ipv6, IPPROTO_UDP, len));
	__u32 padded = (weir_opaque(len) + 3) & (DNS_READ - 4);
	__u16 sum = fold(bpf_csum_diff(NULL, 0, (__be32 *)&dns->udp, padded, pseudo));

	return sum ? sum : 0xffff;
}

/*
 * Global. Makes the answer out of the query that read_query() left in the scratch. Returns 1 if it
 * is ready for put_truncated().
 */
__noinline int make_truncated(struct xdp_md *ctx, struct packet *pkt)
{
	struct dns_headers *dns = scratch_query();
	__be16 port;

	if (!pkt || !dns)
		return 0;
	if (pkt->ipv6 ? bpf_xdp_load_bytes(ctx, pkt->ip_at, &dns->ip.v6, sizeof(dns->ip.v6)) :
			bpf_xdp_load_bytes(ctx, pkt->ip_at, &dns->ip.v4, sizeof(dns->ip.v4)))
		return 0;
	dns->len = sizeof(dns->udp) + dns_make_truncated(&dns->message, &dns->query);
	port = dns->udp.source;
	dns->udp.source = dns->udp.dest;
	dns->udp.dest = port;
	dns->udp.len = be16(dns->len);
	dns->udp.check = 0;
	if (pkt->ipv6)
		write_v6(&dns->ip, IPPROTO_UDP, dns->len);
	else
		write_v4(&dns->ip, dns->len);
	dns->udp.check = udp_sum(dns, pkt->ipv6, dns->len);
	return 1;
}

/*
 * Writes the answer of the scratch over the query, which keeps its VLAN tags and its length; see
 * put_answer(). IP options and extension headers are left out, so it is not longer than the query.
 */
__noinline int put_truncated(struct xdp_md *ctx, struct packet *pkt)
{
	struct dns_headers *dns = scratch_query();
	__u32 len;

	if (!pkt || !dns || swap_hardware(ctx))
		return -1;
	len = (weir_opaque(dns->len - 1) & (DNS_READ - 1)) + 1;
	if (pkt->ipv6 ? bpf_xdp_store_bytes(ctx, pkt->ip_at, &dns->ip.v6, sizeof(dns->ip.v6)) :
			bpf_xdp_store_bytes(ctx, pkt->ip_at, &dns->ip.v4, sizeof(dns->ip.v4)))
		return -1;
	if (bpf_xdp_store_bytes(ctx, pkt->ip_at + ip_header_len(pkt), &dns->udp, len))
		return -1;
	end_measure();
	return 0;
}

/* ---- which rule ---- */

/* Global, since the verifier would follow the chain of rules for each path behind it. */
__noinline int dns_rule_index(struct packet *pkt, __u32 side)
{
	struct weir_policy *rules = policy_of(side);

	if (!pkt || !rules)
		return 0;
	return find_dns_rule(rules, pkt->to_hi, pkt->to_lo, pkt->dport);
}

/* ---- proof by TCP ---- */

/*
 * Global. Whether this segment proves its source. DNS over TCP is a handful of segments, too few to
 * be found by a sample, so each one to a protected port is looked at. A connection is proof: its
 * source has returned the sequence number of this host. One that is half open is none, since the
 * kernel finds it by the addresses and ports alone. The stage notes the proof, so that the stacks
 * of all calls fit.
 */
__noinline int gives_proof(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u64 now_ns)
{
	struct weir_core_time *cpu = cpu_time();

	return pkt && cpu && may_be_connected(pkt) && dns_rule_index(pkt, side) &&
	       tier_fast(pkt, now_ns) < WEIR_PROVEN && may_look_up(cpu, now_ns) &&
	       own_connection(ctx, pkt);
}

/* ---- the decision ---- */

/*
 * Global. For UDP to a protected port. @index: its budget, 0: none. WEIR_CONTINUE: the packet is not
 * answered, and the budget comes next.
 */
__noinline int check_dns(struct xdp_md *ctx, struct packet *pkt, __u32 side, __u32 index,
			 __u64 now_ns)
{
	struct weir_policy *rules = policy_of(side);
	__u32 rule, always;
	int tier;

	if (!pkt || !rules)
		return WEIR_CONTINUE;
	rule = dns_rule_index(pkt, side);
	if (!rule)
		return WEIR_CONTINUE;
	always = rules->dns_rule[weir_opaque(rule) & (WEIR_DNS_RULES - 1)].always;
	if (!always && (!index || !is_pressed(index, now_ns)))
		return WEIR_CONTINUE;
	set_weight(rules);
	tier = tier_fast(pkt, now_ns);
	if (tier >= WEIR_PROVEN || !is_between_hosts(ctx, pkt) || !read_query(ctx, pkt))
		return WEIR_CONTINUE;
	if (!always && spend_scraps(pkt, side, index, now_ns))
		return WEIR_PASS_NEWCOMER;
	if (!truncation_allowed(pkt, tier, rules->seed, now_ns) || !make_truncated(ctx, pkt))
		return WEIR_DROP_DNS;
	return WEIR_TX_DNS;
}

/* The stage. @so_far: the reason for which the packet passes if this stage has no objection. */
static __always_inline enum weir_reason check_queries(struct xdp_md *ctx, struct packet *pkt,
						      struct hint hint, const struct rules *rules,
						      __u64 now_ns, enum weir_reason so_far)
{
	enum weir_reason reason;
	__u32 index = 0;

	if (!rules->policy || !rules->policy->dns_rules || pkt->what != WEIR_ANY_PACKET ||
	    !rules->policy->dns_rule_of[pkt->dport])
		return so_far;
	if (pkt->proto == IPPROTO_TCP) {
		if (gives_proof(ctx, pkt, hint.side, now_ns))
			prove(pkt, now_ns);
		return so_far;
	}
	if (rules->policy->budgets)
		index = budget_index(pkt, hint, rules->policy, rules->class);
	reason = check_dns(ctx, pkt, hint.side, index, now_ns);
	return reason == WEIR_CONTINUE ? so_far : reason;
}

#endif
