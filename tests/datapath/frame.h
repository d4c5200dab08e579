/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames from words, so that a table of packets can be read: "vlan ip4+8
 * udp:53 data:4". Each word appends a header; lengths are filled in when the
 * frame is whole, and words with an "=" then make them lie.
 *
 *	vlan qinq old		tags 0x8100, 0x88a8, 0x9100
 *	arp type:HEX		other ethertypes
 *	ip4[+OPTIONS] ip6	OPTIONS: bytes
 *	part:FIRST,MORE		fragment: offset in 8 bytes, more-fragments
 *	hop dst rt mh ah	extension headers, the least of each
 *	tcp:PORT syn:PORT synack:PORT udp:PORT icmp:TYPE icmp6:TYPE proto:N
 *	data:BYTES pad:BYTES	payload; bytes behind the IP packet, all 0xff
 *	len=N ver=N ihl=N hl=N	IP length (IPv4: total, IPv6: payload), ...
 *	udplen=N doff=N
 */
#ifndef WEIR_TESTS_FRAME_H
#define WEIR_TESTS_FRAME_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame_bytes {
	uint8_t at[4096];
	uint32_t size;
	uint32_t type;	/* where the ethertype of what comes next is */
	uint32_t ip;	/* where the IP header is, 0: none */
	uint32_t next;	/* where the protocol of what comes next is */
	uint32_t l4;
	uint32_t end;	/* of the IP packet; behind it is padding */
	int v6;
};

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline uint8_t *append(struct frame_bytes *frame, uint32_t bytes)
{
	uint8_t *at = frame->at + frame->size;

	if (frame->size + bytes > sizeof(frame->at))
		abort();
	memset(at, 0, bytes);
	frame->size += bytes;
	return at;
}

static inline void append_link(struct frame_bytes *frame, uint16_t type, uint32_t bytes)
{
	put16(frame->at + frame->type, type);
	if (bytes)
		frame->type = frame->size + bytes - 2;
	append(frame, bytes);
}

static inline void append_ip4(struct frame_bytes *frame, uint32_t options)
{
	uint8_t *ip;

	append_link(frame, 0x0800, 0);
	frame->ip = frame->size;
	frame->next = frame->ip + 9;
	ip = append(frame, 20 + options);
	ip[0] = 0x40 | (5 + options / 4);
	ip[8] = 64;
	memset(ip + 20, 1, options);	/* no-operation */
	memcpy(ip + 12, (uint8_t[]){ 192, 0, 2, 1, 198, 51, 100, 1 }, 8);
}

static inline void append_ip6(struct frame_bytes *frame)
{
	uint8_t *ip;

	append_link(frame, 0x86dd, 0);
	frame->ip = frame->size;
	frame->next = frame->ip + 6;
	frame->v6 = 1;
	ip = append(frame, 40);
	ip[0] = 0x60;
	ip[6] = IPPROTO_NONE;
	ip[7] = 64;
	memcpy(ip + 8, (uint8_t[]){ 0x20, 1, 0x0d, 0xb8 }, 4);
	memcpy(ip + 24, ip + 8, 4);
	ip[23] = ip[39] = 1;
}

/* An extension header or an L4 header: named by whatever is before it. */
static inline uint8_t *append_proto(struct frame_bytes *frame, uint8_t proto, uint32_t bytes)
{
	frame->at[frame->next] = proto;
	frame->next = frame->size;
	frame->l4 = frame->size;
	return append(frame, bytes);
}

static inline void append_fragment(struct frame_bytes *frame, uint32_t first, uint32_t more)
{
	if (!frame->v6)
		put16(frame->at + frame->ip + 6, first | more << 13);
	else
		put16(append_proto(frame, IPPROTO_FRAGMENT, 8) + 2, first << 3 | more);
}

static inline void append_tcp(struct frame_bytes *frame, uint32_t port, uint8_t flags)
{
	uint8_t *tcp = append_proto(frame, IPPROTO_TCP, 20);

	put16(tcp, 1025);
	put16(tcp + 2, port);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
}

static inline void append_udp(struct frame_bytes *frame, uint32_t port)
{
	uint8_t *udp = append_proto(frame, IPPROTO_UDP, 8);

	put16(udp, 1025);
	put16(udp + 2, port);
}

static inline void set_lengths(struct frame_bytes *frame)
{
	if (!frame->end)
		frame->end = frame->size;
	if (!frame->ip)
		return;
	if (frame->v6)
		put16(frame->at + frame->ip + 4, frame->end - frame->ip - 40);
	else
		put16(frame->at + frame->ip + 2, frame->end - frame->ip);
	if (frame->l4 && frame->at[frame->l4 + 1] == 1 && !frame->at[frame->l4 + 4])
		put16(frame->at + frame->l4 + 4, frame->end - frame->l4);
}

static inline void tell_lie(struct frame_bytes *frame, const char *word, uint32_t value)
{
	uint8_t *ip = frame->at + frame->ip, *l4 = frame->at + frame->l4;

	if (!strncmp(word, "len=", 4))
		put16(ip + (frame->v6 ? 4 : 2), value);
	else if (!strncmp(word, "ver=", 4))
		*ip = (*ip & 15) | value << 4;
	else if (!strncmp(word, "ihl=", 4))
		*ip = (*ip & 0xf0) | value;
	else if (!strncmp(word, "hl=", 3))
		ip[7] = value;
	else if (!strncmp(word, "udplen=", 7))
		put16(l4 + 4, value);
	else if (!strncmp(word, "sport=", 6))
		put16(l4, value);
	else if (!strncmp(word, "doff=", 5))
		l4[12] = value << 4;
	else
		abort();
}

static inline void append_word(struct frame_bytes *frame, const char *word)
{
	const char *colon = strpbrk(word, ":+");
	uint32_t value = colon ? strtoul(colon + 1, NULL, 10) : 0;
	static const struct { const char *name; uint8_t proto, bytes; } extensions[] = {
		{ "hop", IPPROTO_HOPOPTS, 8 }, { "dst", IPPROTO_DSTOPTS, 8 },
		{ "rt", IPPROTO_ROUTING, 8 }, { "mh", IPPROTO_MH, 8 }, { "ah", IPPROTO_AH, 12 },
	};

#define IS(name) (!strncmp(word, name, strlen(name)) && strchr(":+", word[strlen(name)]))
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
		if (!IS(extensions[i].name))
			continue;
		append_proto(frame, extensions[i].proto, extensions[i].bytes)[1] =
			extensions[i].proto == IPPROTO_AH ? 1 : 0;
		return;
	}
	if (IS("vlan") || IS("qinq"))
		append_link(frame, *word == 'v' ? 0x8100 : 0x88a8, 4);
	else if (IS("old"))
		append_link(frame, 0x9100, 4);
	else if (IS("arp"))
		append_link(frame, 0x0806, 28);
	else if (IS("type"))
		put16(frame->at + frame->type, strtoul(colon + 1, NULL, 16));
	else if (IS("ip4"))
		append_ip4(frame, value);
	else if (IS("ip6"))
		append_ip6(frame);
	else if (IS("part"))
		append_fragment(frame, value, strtoul(strchr(word, ',') + 1, NULL, 10));
	else if (IS("tcp"))
		append_tcp(frame, value, 0x10);
	else if (IS("syn"))
		append_tcp(frame, value, 0x02);
	else if (IS("synack"))
		append_tcp(frame, value, 0x12);
	else if (IS("udp"))
		append_udp(frame, value);
	else if (IS("icmp"))
		*append_proto(frame, IPPROTO_ICMP, 8) = value;
	else if (IS("icmp6"))
		*append_proto(frame, IPPROTO_ICMPV6, 8) = value;
	else if (IS("proto"))
		append_proto(frame, value, 0);
	else if (IS("data"))
		append(frame, value);
	else if (IS("pad")) {
		frame->end = frame->size;
		memset(append(frame, value), 0xff, value);
	} else
		abort();
#undef IS
}

static inline void build_frame(struct frame_bytes *frame, const char *words)
{
	char copy[256], *rest, *word;

	memset(frame, 0, sizeof(*frame));
	frame->type = 12;
	append(frame, 14);
	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &rest); word && !strchr(word, '=');
	     word = strtok_r(NULL, " ", &rest))
		append_word(frame, word);
	set_lengths(frame);
	for (; word; word = strtok_r(NULL, " ", &rest))
		tell_lie(frame, word, strtoul(strchr(word, '=') + 1, NULL, 10));
}

#define QUERY_BYTES 17

/* A DNS query for the root over UDP, in the first bytes of the payload. */
static inline void put_query(struct frame_bytes *frame)
{
	static const uint8_t query[QUERY_BYTES] = { 0, 1, 1, 0, 0, 1, [14] = 2, [16] = 1 };

	put16(frame->at + frame->l4, 4096);
	memcpy(frame->at + frame->l4 + 8, query, sizeof(query));
}

static inline uint32_t be32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static inline uint32_t be16_at(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static inline uint32_t sum_of(const uint8_t *at, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	return sum;
}

static inline uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of TCP with its pseudo-header; 0xffff: right. @len: from there to the packet's end. */
static inline uint16_t tcp_sum(const uint8_t *ip, const uint8_t *tcp, uint32_t len, bool v6)
{
	uint32_t sum = v6 ? sum_of(ip + 8, 32, 0) : sum_of(ip + 12, 8, 0);

	return folded(sum_of(tcp, len, sum + IPPROTO_TCP + len));
}

static inline void set_sums(struct frame_bytes *frame)
{
	uint8_t *ip = frame->at + frame->ip, *tcp = frame->at + frame->l4;

	put16(tcp + 16, 0);
	put16(tcp + 16, ~tcp_sum(ip, tcp, frame->end - frame->l4, frame->v6));
	if (frame->v6)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, ~folded(sum_of(ip, frame->l4 - frame->ip, 0)));
}

/* Source 192.0.2.N and 2001:db8:0:N::1. */
static inline void set_source(struct frame_bytes *frame, uint8_t number)
{
	if (frame->ip)
		frame->at[frame->ip + (frame->v6 ? 15 : 15)] = number;
}

#endif
