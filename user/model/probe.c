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

struct probe {
	const struct prefix *source, *to;
	const struct packet_kind *kind;
	bool query;		/* of DNS, over UDP */
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

/* Returns the length of what comes behind the IP header; @pseudo: the sum of both addresses. */
static size_t put_transport(uint8_t *at, const struct probe *probe, bool ipv6, uint32_t pseudo)
{
	bool syn = probe->kind->what == WEIR_SYN;
	struct tcphdr tcp = { .source = htons(probe->kind->sport), .dest = htons(probe->kind->dport),
			      .doff = 5, .syn = syn, .ack = !syn, .window = htons(64240) };
	size_t payload = probe->query ? sizeof(query) : 0;
	uint16_t sport = probe->kind->sport || !probe->query ? probe->kind->sport : QUERY_PORT;
	struct udphdr udp = { .source = htons(sport),
			      .dest = htons(probe->kind->dport),
			      .len = htons(sizeof(udp) + payload) };

	switch (probe->kind->proto) {
	case IPPROTO_TCP:
		tcp.check = checksum(sum_of(&tcp, sizeof(tcp), pseudo + IPPROTO_TCP + sizeof(tcp)));
		memcpy(at, &tcp, sizeof(tcp));
		return sizeof(tcp);
	case IPPROTO_UDP:
		memcpy(at, &udp, sizeof(udp));
		memcpy(at + sizeof(udp), query, payload);
		return sizeof(udp) + payload;
	case IPPROTO_ICMP:
		*at = ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
		return sizeof(struct icmphdr);
	default:
		return 0;
	}
}

static size_t put_ipv4(uint8_t *at, const struct probe *probe)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = probe->kind->proto,
			    .saddr = htonl(probe->source->lo), .daddr = htonl(probe->to->lo) };
	size_t len;

	if (probe->kind->what == WEIR_FRAGMENT)
		ip.frag_off = htons(1);
	len = sizeof(ip) + put_transport(at + sizeof(ip), probe, false, sum_of(&ip.saddr, 8, 0));
	ip.tot_len = htons(len);
	ip.check = checksum(sum_of(&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
	return len;
}

static size_t put_ipv6(uint8_t *at, const struct probe *probe)
{
	uint8_t proto = probe->kind->proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : probe->kind->proto;
	struct ip6_frag fragment = { .ip6f_nxt = proto, .ip6f_offlg = htons(1 << 3) };
	struct ip6_hdr ip = { .ip6_hlim = 64, .ip6_nxt = proto };
	struct weir_prefix source, to;
	size_t len = 0;

	prefix_to_key(probe->source, &source);
	prefix_to_key(probe->to, &to);
	memcpy(&ip.ip6_src, source.addr, 16);
	memcpy(&ip.ip6_dst, to.addr, 16);
	ip.ip6_vfc = 6 << 4;
	if (probe->kind->what == WEIR_FRAGMENT) {
		ip.ip6_nxt = IPPROTO_FRAGMENT;
		memcpy(at + sizeof(ip), &fragment, sizeof(fragment));
		len = sizeof(fragment);
	}
	len += put_transport(at + sizeof(ip) + len, probe, true, sum_of(&ip.ip6_src, 32, 0));
	ip.ip6_plen = htons(len);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip) + len;
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

uint32_t probe_frame(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind)
{
	const struct probe probe = { .source = source, .to = to, .kind = kind };

	return put_frame(frame, &probe);
}

uint32_t probe_query(uint8_t frame[PROBE_ROOM], const struct prefix *source,
		     const struct prefix *to, const struct packet_kind *kind)
{
	const struct probe probe = { .source = source, .to = to, .kind = kind, .query = true };

	return put_frame(frame, &probe);
}
