// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "user/model/explain_packet.h"

#define VLAN_BYTES	4
#define VLAN_TAGS	2
#define IPV4_BYTES	20
#define IPV4_FRAGMENT	0x1fff	/* the offset, in 8 bytes */
#define IPV6_BYTES	40
#define IPV6_HEADERS	8
#define IPV6_FRAGMENT	0xfff8
#define UDP_BYTES	8
#define ICMP_BYTES	8
#define TCP_BYTES	20
#define TCP_FLAGS	0x3f	/* FIN to URG */

/* What is left of the frame. */
struct rest {
	const uint8_t *at;
	size_t size;
};

static bool skip(struct rest *rest, size_t bytes)
{
	if (rest->size < bytes)
		return false;
	rest->at += bytes;
	rest->size -= bytes;
	return true;
}

static uint32_t be16_at(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint64_t be64_at(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return __builtin_bswap64(value);
}

/* The type of what follows the link header; 0: that is not there. */
static uint32_t skip_ethernet(struct rest *rest)
{
	uint32_t type;

	if (rest->size < ETH_HLEN)
		return 0;
	type = be16_at(rest->at + 12);
	skip(rest, ETH_HLEN);
	for (int i = 0; i < VLAN_TAGS && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		if (rest->size < VLAN_BYTES)
			return 0;
		type = be16_at(rest->at + 2);
		skip(rest, VLAN_BYTES);
	}
	return type;
}

static bool read_ipv4(struct rest *rest, struct explain_packet *packet)
{
	const uint8_t *ip = rest->at;
	uint32_t header, length;

	if (rest->size < IPV4_BYTES || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15) * 4;
	length = be16_at(ip + 2);
	if (header < IPV4_BYTES || length < header)
		return false;
	packet->lo = 0xffffULL << 32 | (uint64_t)be16_at(ip + 12) << 16 | be16_at(ip + 14);
	packet->number[EXPLAIN_LENGTH] = length;
	packet->number[EXPLAIN_TTL] = ip[8];
	packet->number[EXPLAIN_PROTO] = ip[9];
	packet->number[EXPLAIN_FRAGMENT] = (be16_at(ip + 6) & IPV4_FRAGMENT) != 0;
	if (rest->size > length)	/* what follows is padding of the frame */
		rest->size = length;
	return skip(rest, header);
}

static bool is_extension(uint32_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH || proto == IPPROTO_MH;
}

/* Over the extension headers; behind the one of a later fragment, nothing can be read. */
static bool skip_extensions(struct rest *rest, struct explain_packet *packet)
{
	uint32_t proto = packet->number[EXPLAIN_PROTO];

	for (int i = 0; is_extension(proto); i++) {
		size_t bytes;

		if (rest->size < 8 || i == IPV6_HEADERS)
			return false;
		bytes = proto == IPPROTO_FRAGMENT ? 8 :
			proto == IPPROTO_AH ? (rest->at[1] + 2) * 4 : (rest->at[1] + 1) * 8;
		if (proto == IPPROTO_FRAGMENT && be16_at(rest->at + 2) & IPV6_FRAGMENT)
			packet->number[EXPLAIN_FRAGMENT] = 1;
		proto = rest->at[0];
		if (!skip(rest, bytes))
			return false;
		if (packet->number[EXPLAIN_FRAGMENT])
			break;
	}
	packet->number[EXPLAIN_PROTO] = proto;
	return true;
}

static bool read_ipv6(struct rest *rest, struct explain_packet *packet)
{
	const uint8_t *ip = rest->at;
	uint32_t length;

	if (rest->size < IPV6_BYTES || ip[0] >> 4 != 6)
		return false;
	length = be16_at(ip + 4);
	packet->hi = be64_at(ip + 8);
	packet->lo = be64_at(ip + 16);
	packet->number[EXPLAIN_LENGTH] = length + IPV6_BYTES < 65535 ? length + IPV6_BYTES : 65535;
	packet->number[EXPLAIN_TTL] = ip[7];
	packet->number[EXPLAIN_PROTO] = ip[6];
	if (rest->size > length + IPV6_BYTES)
		rest->size = length + IPV6_BYTES;
	skip(rest, IPV6_BYTES);
	return skip_extensions(rest, packet);
}

static bool read_tcp(struct rest *rest, struct explain_packet *packet)
{
	uint32_t header;

	if (rest->size < TCP_BYTES)
		return false;
	header = (rest->at[12] >> 4) * 4;
	packet->number[EXPLAIN_FLAGS] = rest->at[13] & TCP_FLAGS;
	if (header < TCP_BYTES)
		return false;
	if (!skip(rest, header))	/* options that were not captured: no payload is known */
		rest->size = 0;
	return true;
}

/* Steps over the transport header; with other protocols all is payload. */
static bool read_transport(struct rest *rest, struct explain_packet *packet)
{
	uint32_t proto = packet->number[EXPLAIN_PROTO];

	if (packet->number[EXPLAIN_FRAGMENT])
		return true;
	if ((proto == IPPROTO_TCP || proto == IPPROTO_UDP) && rest->size >= 4) {
		packet->number[EXPLAIN_SPORT] = be16_at(rest->at);
		packet->number[EXPLAIN_DPORT] = be16_at(rest->at + 2);
	}
	switch (proto) {
	case IPPROTO_TCP:
		return read_tcp(rest, packet);
	case IPPROTO_UDP:
		return skip(rest, UDP_BYTES);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (rest->size < ICMP_BYTES)
			return false;
		packet->number[EXPLAIN_ICMP] = rest->at[0];
		/* Rules and limits call both protocols by one name. */
		packet->number[EXPLAIN_PROTO] = IPPROTO_ICMP;
		return skip(rest, ICMP_BYTES);
	default:
		return true;
	}
}

static uint8_t shift_of(uint64_t weight)
{
	int shift = weight ? 63 - __builtin_clzll(weight) : 0;

	return shift < EXPLAIN_SHIFT_MOST ? shift : EXPLAIN_SHIFT_MOST;
}

bool explain_read_frame(const uint8_t *data, size_t size, bool bare, uint64_t weight,
			struct explain_packet *packet)
{
	struct rest rest = { data, size };
	uint32_t type;

	memset(packet, 0, sizeof(*packet));
	packet->shift = shift_of(weight);
	packet->number[EXPLAIN_SPORT] = packet->number[EXPLAIN_DPORT] = EXPLAIN_NONE;
	packet->number[EXPLAIN_ICMP] = packet->number[EXPLAIN_FLAGS] = EXPLAIN_NONE;
	if (bare)
		type = !size ? 0 : *data >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6;
	else
		type = skip_ethernet(&rest);
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return false;
	if (!(type == ETH_P_IP ? read_ipv4(&rest, packet) : read_ipv6(&rest, packet)) ||
	    !read_transport(&rest, packet))
		return false;
	packet->payload_bytes = rest.size < EXPLAIN_BYTES ? rest.size : EXPLAIN_BYTES;
	memcpy(packet->payload, rest.at, packet->payload_bytes);
	return true;
}
