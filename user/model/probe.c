// SPDX-License-Identifier: GPL-2.0-only
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#include "user/model/probe.h"

#define FRAME_LEAST	60	/* of Ethernet, without FCS */
#define TTL		64

struct probe {
	const struct prefix *source, *to;
	const struct packet_kind *kind;
	const struct probe_details *details;
};

#define QUERY_PORT	49152	/* that it comes from, unless the kind says */
static const uint8_t query[] = {
	0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,	/* recursion desired, one question */
	0, 0, 2, 0, 1,				/* the root, NS, IN */
};

static uint32_t sum_of(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* ---- lengths ---- */

static uint32_t transport_len(const struct packet_kind *kind)
{
	if (kind->what == WEIR_FRAGMENT)
		return 0;
	switch (kind->proto) {
	case IPPROTO_TCP:
		return sizeof(struct tcphdr);
	case IPPROTO_UDP:
		return sizeof(struct udphdr);
	case IPPROTO_ICMP:
		return sizeof(struct icmphdr);
	default:
		return 0;
	}
}

static uint32_t ip_len(const struct prefix *source, const struct packet_kind *kind)
{
	if (prefix_is_v4(source))
		return sizeof(struct iphdr);
	return sizeof(struct ip6_hdr) +
	       (kind->what == WEIR_FRAGMENT ? sizeof(struct ip6_frag) : 0);
}

/* A later fragment has a header's worth of bytes, which are no header. */
static uint32_t least_behind_ip(const struct packet_kind *kind, const struct probe_details *details)
{
	const struct packet_kind whole = { .proto = kind->proto };

	return transport_len(&whole) + details->payload_len;
}

uint32_t probe_least(const struct prefix *source, const struct packet_kind *kind,
		     const struct probe_details *details)
{
	return ip_len(source, kind) + least_behind_ip(kind, details);
}

static uint32_t behind_ip(const struct probe *probe)
{
	uint32_t least = least_behind_ip(probe->kind, probe->details);

	if (!probe->details->length)
		return least;
	return probe->details->length - ip_len(probe->source, probe->kind);
}

/* ---- headers ---- */

static void put_tcp(uint8_t *at, const struct probe *probe, uint32_t pseudo)
{
	const struct probe_details *details = probe->details;
	bool syn = probe->kind->what == WEIR_SYN;
	struct tcphdr tcp = { .source = htons(probe->kind->sport), .dest = htons(probe->kind->dport),
			      .doff = 5, .syn = syn, .ack = !syn, .window = htons(64240) };
	uint32_t len = behind_ip(probe);

	if (details->has_flags)
		tcp.th_flags = details->flags;
	memcpy(at, &tcp, sizeof(tcp));
	tcp.check = checksum(sum_of(at, len, pseudo + IPPROTO_TCP + len));
	memcpy(at + offsetof(struct tcphdr, check), &tcp.check, sizeof(tcp.check));
}

/* The payload, and the header before it; @pseudo: the sum of both addresses. */
static void put_transport(uint8_t *at, const struct probe *probe, bool ipv6, uint32_t pseudo)
{
	const struct probe_details *details = probe->details;
	struct udphdr udp = { .source = htons(probe->kind->sport), .dest = htons(probe->kind->dport),
			      .len = htons(behind_ip(probe)) };

	memcpy(at + transport_len(probe->kind), details->payload, details->payload_len);
	if (probe->kind->what == WEIR_FRAGMENT)
		return;
	switch (probe->kind->proto) {
	case IPPROTO_TCP:
		put_tcp(at, probe, pseudo);
		break;
	case IPPROTO_UDP:
		memcpy(at, &udp, sizeof(udp));
		break;
	case IPPROTO_ICMP:
		*at = details->has_type ? details->icmp_type :
		      ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
		break;
	}
}

static size_t put_ipv4(uint8_t *at, const struct probe *probe)
{
	size_t len = sizeof(struct iphdr) + behind_ip(probe);
	struct iphdr ip = { .version = 4, .ihl = 5, .protocol = probe->kind->proto,
			    .ttl = probe->details->has_ttl ? probe->details->ttl : TTL,
			    .tot_len = htons(len),
			    .saddr = htonl(probe->source->lo), .daddr = htonl(probe->to->lo) };

	if (probe->kind->what == WEIR_FRAGMENT)
		ip.frag_off = htons(1);
	memcpy(at, &ip, sizeof(ip));
	ip.check = checksum(sum_of(at, sizeof(ip), 0));
	memcpy(at + offsetof(struct iphdr, check), &ip.check, sizeof(ip.check));
	put_transport(at + sizeof(ip), probe, false, sum_of(at + offsetof(struct iphdr, saddr), 8, 0));
	return len;
}

static size_t put_ipv6(uint8_t *at, const struct probe *probe)
{
	uint8_t proto = probe->kind->proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : probe->kind->proto;
	struct ip6_frag fragment = { .ip6f_nxt = proto, .ip6f_offlg = htons(1 << 3) };
	size_t headers = ip_len(probe->source, probe->kind), len = headers + behind_ip(probe);
	struct ip6_hdr ip = { .ip6_nxt = proto };
	struct weir_prefix source, to;

	prefix_to_key(probe->source, &source);
	prefix_to_key(probe->to, &to);
	memcpy(&ip.ip6_src, source.addr, 16);
	memcpy(&ip.ip6_dst, to.addr, 16);
	ip.ip6_vfc = 6 << 4;
	ip.ip6_hlim = probe->details->has_ttl ? probe->details->ttl : TTL;
	ip.ip6_plen = htons(len - sizeof(ip));
	if (probe->kind->what == WEIR_FRAGMENT) {
		ip.ip6_nxt = IPPROTO_FRAGMENT;
		memcpy(at + sizeof(ip), &fragment, sizeof(fragment));
	}
	memcpy(at, &ip, sizeof(ip));
	put_transport(at + headers, probe, true, sum_of(&ip.ip6_src, 32, 0));
	return len;
}

static uint32_t put_frame(uint8_t frame[PROBE_ROOM], const struct probe *probe)
{
	bool ipv4 = prefix_is_v4(probe->source);
	uint16_t type = htons(ipv4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	uint32_t size = sizeof(struct ether_header);

	memset(frame, 0, PROBE_ROOM);
	memcpy(frame + offsetof(struct ether_header, ether_type), &type, sizeof(type));
	size += ipv4 ? put_ipv4(frame + size, probe) : put_ipv6(frame + size, probe);
	return size < FRAME_LEAST ? FRAME_LEAST : size;
}

uint32_t probe_detailed(uint8_t frame[PROBE_ROOM], const struct prefix *source,
			const struct prefix *to, const struct packet_kind *kind,
			const struct probe_details *details)
{
	const struct probe probe = { source, to, kind, details };

	return put_frame(frame, &probe);
}

uint32_t probe_frame(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind)
{
	static const struct probe_details none;

	return probe_detailed(frame, source, to, kind, &none);
}

uint32_t probe_query(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind)
{
	struct probe_details details = { .payload_len = sizeof(query) };
	struct packet_kind from = *kind;

	if (!from.sport)
		from.sport = QUERY_PORT;
	memcpy(details.payload, query, sizeof(query));
	return probe_detailed(frame, source, to, &from, &details);
}
