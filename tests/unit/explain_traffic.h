/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calm traffic and floods for the tests of `weir explain`, made of a seed: a game, web servers with
 * HTTP/3, a VPN; floods as protocols and the published sources of bots make them; and hopeless ones,
 * which look as calm traffic does.
 */
#ifndef WEIR_TESTS_EXPLAIN_TRAFFIC_H
#define WEIR_TESTS_EXPLAIN_TRAFFIC_H

#include <string.h>

#include "tests/unit/check.h"
#include "user/model/explain.h"

#define PEOPLE	900
#define V4(address) (0xffffULL << 32 | (uint32_t)(address))

/* A source with a habit: its TTL, its range of ports. */
struct person {
	uint64_t source;
	uint8_t ttl;
	uint16_t first_port;
};

struct traffic {
	unsigned long long state;
	struct person person[PEOPLE];
	uint32_t people;
};

static inline uint32_t below(struct traffic *t, uint32_t most)
{
	return (check_random(&t->state) >> 32) * most >> 32;
}

/* True in @percent of 100 cases. */
static inline bool one_of(struct traffic *t, uint32_t percent)
{
	return below(t, 100) < percent;
}

static inline void traffic_begin(struct traffic *t, unsigned long long seed, uint32_t people)
{
	uint32_t network = 0;

	t->state = seed;
	t->people = people;
	for (uint32_t i = 0; i < people; i++) {
		uint32_t begins = one_of(t, 58) ? 64 : 128;

		if (i % 3 == 0)
			network = (uint32_t)check_random(&t->state) & 0xffff0000U;
		t->person[i] = (struct person){ V4(network | below(t, 65536)),
						begins - 4 - below(t, 22),
						begins == 64 ? 32768 : 49152 };
	}
}

/* The first ones send most. */
static inline const struct person *anyone(struct traffic *t)
{
	uint32_t a = below(t, t->people), b = below(t, t->people), c = below(t, t->people);

	a = a < b ? a : b;
	return &t->person[a < c ? a : c];
}

static inline void random_payload(struct traffic *t, struct explain_packet *p, uint32_t from,
				  uint32_t bytes)
{
	p->payload_bytes = bytes < EXPLAIN_BYTES ? bytes : EXPLAIN_BYTES;
	for (uint32_t i = from; i < p->payload_bytes; i++)
		p->payload[i] = check_random(&t->state);
}

static inline struct explain_packet packet_of(uint64_t source, int proto, int sport, int dport,
					      int length, int ttl)
{
	struct explain_packet p = { .lo = source };

	p.number[EXPLAIN_PROTO] = proto;
	p.number[EXPLAIN_SPORT] = sport;
	p.number[EXPLAIN_DPORT] = dport;
	p.number[EXPLAIN_LENGTH] = length;
	p.number[EXPLAIN_TTL] = ttl;
	p.number[EXPLAIN_ICMP] = p.number[EXPLAIN_FLAGS] = EXPLAIN_NONE;
	return p;
}

/* ---- calm traffic ---- */

static inline int port_of(struct traffic *t, const struct person *who)
{
	return who->first_port + below(t, 11000);
}

static inline struct explain_packet game(struct traffic *t)
{
	const struct person *who = anyone(t);
	struct explain_packet p;
	uint32_t bytes = 24 + below(t, 200) + below(t, 200);

	if (one_of(t, 2)) {
		p = packet_of(who->source, 6, port_of(t, who), 22, 52 + below(t, 68), who->ttl);
		p.number[EXPLAIN_FLAGS] = 0x18;
		random_payload(t, &p, 0, 40);
		return p;
	}
	p = packet_of(who->source, 17, port_of(t, who), 27015, 28 + bytes, who->ttl);
	random_payload(t, &p, 0, bytes);
	p.payload[2] &= 7;	/* a counter */
	p.payload[3] = 0;
	return p;
}

static inline struct explain_packet web(struct traffic *t)
{
	static const uint8_t tls[] = { 0x17, 3, 3 };
	static const uint16_t acks[] = { 40, 52, 52, 64 };
	const struct person *who = anyone(t);
	struct explain_packet p = packet_of(who->source, 6, port_of(t, who), 443, 52, who->ttl);
	uint32_t kind = below(t, 1000), bytes;

	if (kind < 500) {		/* bare ACKs */
		p.number[EXPLAIN_FLAGS] = 0x10;
		p.number[EXPLAIN_LENGTH] = acks[below(t, 4)];
	} else if (kind < 750) {
		bytes = 60 + below(t, 1400);
		p.number[EXPLAIN_FLAGS] = 0x18;
		p.number[EXPLAIN_LENGTH] = 52 + bytes;
		random_payload(t, &p, 0, bytes);
		memcpy(p.payload, tls, sizeof(tls));
	} else if (kind < 800) {
		p.number[EXPLAIN_FLAGS] = 2;
		p.number[EXPLAIN_LENGTH] = who->ttl <= 64 ? 60 : 52;
	} else if (kind < 830) {
		p.number[EXPLAIN_FLAGS] = 0x11;
		p.number[EXPLAIN_LENGTH] = 40;
	} else if (kind < 975) {	/* HTTP/3 */
		bytes = one_of(t, 12) ? 1200 : 22 + below(t, 1300);
		p = packet_of(who->source, 17, port_of(t, who), 443, 28 + bytes, who->ttl);
		random_payload(t, &p, 0, bytes);
		p.payload[0] = bytes == 1200 ? 0xc0 | p.payload[0] : 0x40 | (p.payload[0] & 0x3f);
		if (bytes == 1200)
			memcpy(p.payload + 1, "\0\0\0\1\x08", 5);
	} else if (kind < 990) {	/* answers of the resolver */
		p = packet_of(V4(0x09090909), 17, 53, 32768 + below(t, 28000), 70 + below(t, 350), 57);
		random_payload(t, &p, 0, 64);
	} else {
		p = packet_of(who->source, 1, EXPLAIN_NONE, EXPLAIN_NONE, 84, who->ttl);
		p.number[EXPLAIN_ICMP] = 8;
		random_payload(t, &p, 0, 56);
	}
	return p;
}

/* A tunnel without fixed bytes: what noise cannot be told from. */
static inline struct explain_packet tunnel(struct traffic *t)
{
	const struct person *who = anyone(t);
	struct explain_packet p = packet_of(who->source, 17, port_of(t, who), 51820,
					    28 + 16 * (2 + below(t, 90)), who->ttl);

	random_payload(t, &p, 0, 64);
	return p;
}

/* ---- floods ---- */

static inline uint64_t spoofed(struct traffic *t)
{
	return V4(check_random(&t->state));
}

static inline uint32_t far_ttl(struct traffic *t)
{
	static const uint8_t begins[] = { 64, 128, 255 };

	return begins[below(t, 3)] - 6 - below(t, 19);
}

static inline struct explain_packet ntp(struct traffic *t)
{
	static const uint8_t head[] = { 0xd7, 0, 3, 42, 0, 6, 0, 72 };
	struct explain_packet p = packet_of(spoofed(t), 17, 123, 1024 + below(t, 64000), 468,
					    far_ttl(t));

	random_payload(t, &p, 8, 64);
	memcpy(p.payload, head, sizeof(head));
	p.payload[1] = below(t, 128);
	return p;
}

static inline struct explain_packet dns_answer(struct traffic *t)
{
	static const uint8_t tail[] = { 0x83, 0x80, 0, 1, 0, 12, 0, 0, 0, 1, 4, 'p', 'e', 'a', 'k' };
	struct explain_packet p = packet_of(spoofed(t), 17, 53, 1024 + below(t, 64000),
					    1100 + below(t, 401), far_ttl(t));

	random_payload(t, &p, 0, 64);
	if (!one_of(t, 35)) {
		memcpy(p.payload + 2, tail, sizeof(tail));
		return p;
	}
	p.number[EXPLAIN_FRAGMENT] = 1;
	p.number[EXPLAIN_SPORT] = p.number[EXPLAIN_DPORT] = EXPLAIN_NONE;
	p.number[EXPLAIN_LENGTH] = 200 + below(t, 1301);
	return p;
}

static inline struct explain_packet bare_syn(struct traffic *t)
{
	struct explain_packet p = packet_of(spoofed(t), 6, 1024 + below(t, 64000), 443, 40,
					    59 - below(t, 22));

	p.number[EXPLAIN_FLAGS] = 2;
	return p;
}

static inline struct explain_packet ack_flood(struct traffic *t)
{
	struct explain_packet p = packet_of(spoofed(t), 6, below(t, 65536), below(t, 65536), 552,
					    59 - below(t, 22));

	p.number[EXPLAIN_FLAGS] = 0x10;
	random_payload(t, &p, 0, 64);
	return p;
}

static inline struct explain_packet plain_udp(struct traffic *t)
{
	struct explain_packet p = packet_of(spoofed(t), 17, 1024 + below(t, 60000), 27015, 540,
					    59 - below(t, 22));

	random_payload(t, &p, 0, 64);
	return p;
}

static inline struct explain_packet fixed_bytes(struct traffic *t)
{
	static const uint8_t ttls[] = { 47, 52, 55, 112, 116 };
	struct explain_packet p = packet_of(spoofed(t), 17, 1024 + below(t, 64000), 27015,
					    52 + below(t, 397), ttls[below(t, 5)]);

	random_payload(t, &p, 0, 64);
	memcpy(p.payload, "\xfe\xfd\x09\0samp", 8);
	return p;
}

static inline struct explain_packet gre(struct traffic *t)
{
	struct explain_packet p = packet_of(spoofed(t), 47, EXPLAIN_NONE, EXPLAIN_NONE, 564,
					    59 - below(t, 22));

	random_payload(t, &p, 0, 64);
	memcpy(p.payload, "\0\0\x08\0\x45", 5);
	return p;
}

/* A fifth of it stands for 64 packets each. */
static inline struct explain_packet weighted(struct traffic *t)
{
	struct explain_packet p;

	if (!one_of(t, 20))
		return bare_syn(t);
	p = ntp(t);
	p.shift = 6;
	return p;
}

static inline struct explain_packet two_floods(struct traffic *t)
{
	return one_of(t, 50) ? ntp(t) : bare_syn(t);
}

/* ---- hopeless floods: of other sources, and else as calm traffic ---- */

static inline struct explain_packet as_game(struct traffic *t)
{
	struct explain_packet p = game(t);

	p.lo = spoofed(t);
	return p;
}

static inline struct explain_packet as_web(struct traffic *t)
{
	struct explain_packet p = web(t);

	p.lo = spoofed(t);
	return p;
}

static inline struct explain_packet as_tunnel(struct traffic *t)
{
	struct explain_packet p = tunnel(t);

	p.lo = spoofed(t);
	return p;
}

/* SYNs as clients send them. */
static inline struct explain_packet as_clients(struct traffic *t)
{
	struct explain_packet p;

	do
		p = web(t);
	while (p.number[EXPLAIN_FLAGS] != 2);
	p.lo = spoofed(t);
	return p;
}

#endif
