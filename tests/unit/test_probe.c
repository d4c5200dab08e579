// SPDX-License-Identifier: GPL-2.0-only
/* The frames of probe.h: the data path's parser finds in them what they were made of. */
#include <netinet/in.h>
#include <string.h>

#include "bpf/pure/packet.h"
#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/prefix.h"
#include "user/model/probe.h"

static const struct packet_kind kinds[] = {
	{ IPPROTO_TCP, WEIR_ANY_PACKET, 80 }, { IPPROTO_TCP, WEIR_SYN, 443 },
	{ IPPROTO_TCP, WEIR_ANY_PACKET, 0 }, { IPPROTO_UDP, WEIR_ANY_PACKET, 53 },
	{ IPPROTO_ICMP, WEIR_ANY_PACKET, 0 }, { IPPROTO_GRE, WEIR_ANY_PACKET, 0 },
	{ IPPROTO_UDP, WEIR_FRAGMENT, 0 }, { IPPROTO_TCP, WEIR_FRAGMENT, 0 },
	{ IPPROTO_ICMP, WEIR_FRAGMENT, 0 },
};

static uint16_t sum_of(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void check_frame(struct check *check, const struct prefix *source, const struct prefix *to,
			const struct packet_kind *kind)
{
	bool ipv6 = !prefix_is_v4(source);
	uint8_t bytes[PROBE_ROOM], proto = kind->proto, *ip = bytes + 14, *l4;
	uint32_t size = probe_frame(bytes, source, to, kind);
	struct frame frame = { bytes, bytes + size };
	struct packet pkt = { 0 };
	enum weir_reason reason = parse(&frame, &pkt, 0);
	uint16_t sum;

	if (ipv6 && proto == IPPROTO_ICMP)
		proto = IPPROTO_ICMPV6;
	CHECK(check, reason == WEIR_CONTINUE && pkt.proto == proto && pkt.what == kind->what &&
	      pkt.dport == kind->dport && pkt.ipv6 == ipv6,
	      "proto %d what %d: %d, proto %d what %d dport %d", proto, kind->what, reason, pkt.proto,
	      pkt.what, pkt.dport);
	CHECK(check, pkt.hi == source->hi && pkt.lo == source->lo && pkt.to_hi == to->hi &&
	      pkt.to_lo == to->lo, "proto %d: addresses", proto);
	CHECK(check, size >= 60 && size <= PROBE_ROOM, "proto %d: %u bytes", proto, size);
	CHECK(check, ipv6 || sum_of(ip, 20, 0) == 0xffff, "proto %d: IPv4's sum", proto);
	if (proto != IPPROTO_TCP || kind->what == WEIR_FRAGMENT)
		return;
	l4 = bytes + pkt.l4_at;
	sum = sum_of(ipv6 ? ip + 8 : ip + 12, ipv6 ? 32 : 8, IPPROTO_TCP + 20);
	CHECK(check, sum_of(l4, 20, sum) == 0xffff, "TCP's sum");
	CHECK(check, pkt.tcp_flags == (kind->what == WEIR_SYN ? 0x02 : 0x10), "TCP flags %x",
	      pkt.tcp_flags);
}

int main(void)
{
	static const char *const addresses[][2] = { { "198.51.100.7", "203.0.113.1" },
						    { "10.1.2.3", "0.0.0.0" },
						    { "2001:db8:7::1", "2001:db8::1" } };
	size_t count = sizeof(kinds) / sizeof(*kinds);
	size_t pairs = sizeof(addresses) / sizeof(*addresses);
	struct check check = { 0 };
	struct prefix source, to;
	char err[ERR_LEN];

	for (size_t i = 0; i < count * pairs; i++) {
		const char *const *pair = addresses[i / count];

		if (prefix_parse(pair[0], &source, NULL, err) ||
		    prefix_parse(pair[1], &to, NULL, err))
			abort();
		check_frame(&check, &source, &to, &kinds[i % count]);
	}
	check_done(&check, "a frame is of the kind that was asked for",
		   "%zu kinds, %zu pairs of hosts", count, pairs);
	return check_exit(&check);
}
