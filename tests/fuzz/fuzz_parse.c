// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parser of the data path on any bytes at all. The frame lies in memory of
 * exactly its size, so that the sanitizer sees a read of one byte too many.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/packet.h"

#define WANT(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

#define FRAME_ALIGN 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum weir_reason parse_copy(const uint8_t *data, size_t size, size_t exact, int bare,
				   struct packet *pkt)
{
	/* Where a driver puts it: the IP header is aligned, behind Ethernet's 14 bytes or alone. */
	uint32_t align = bare ? 0 : FRAME_ALIGN;
	uint8_t *room = malloc(align + exact), *copy = room + align;
	struct frame frame = { copy, copy + exact };
	enum weir_reason reason;

	memset(pkt, 0, sizeof(*pkt));
	memcpy(copy, data, size < exact ? size : exact);
	reason = parse(&frame, pkt, bare);
	free(room);
	return reason;
}

/* Bytes behind the IP packet must not matter: with other ones the answer is the same. */
static void try_padded(const uint8_t *data, size_t size, int bare, enum weir_reason reason,
		       const struct packet *pkt)
{
	uint8_t *padded = malloc(size + 64);
	struct packet again;

	memcpy(padded, data, size);
	for (int fill = 0; fill < 256; fill += 0x55) {
		memset(padded + size, fill, 64);
		WANT(parse_copy(padded, size + 64, size + 64, bare, &again) == reason);
		again.bytes = pkt->bytes;
		WANT(!memcmp(&again, pkt, sizeof(again)));
	}
	free(padded);
}

static void try_frame(const uint8_t *data, size_t size, int bare)
{
	enum weir_reason reason;
	struct packet pkt;

	reason = parse_copy(data, size, size, bare, &pkt);
	WANT(reason < WEIR_REASON_MAX);
	WANT(pkt.bytes == size);
	if (reason != WEIR_CONTINUE)
		return;
	WANT(pkt.ipv6 == !is_mapped(pkt.hi, pkt.lo));
	WANT(pkt.ipv6 == !is_mapped(pkt.to_hi, pkt.to_lo));
	WANT(!pkt.partial || pkt.proto == IPPROTO_TCP || pkt.proto == IPPROTO_UDP);
	WANT(pkt.what <= WEIR_FRAGMENT);
	WANT(pkt.what != WEIR_SYN || pkt.proto == IPPROTO_TCP);
	WANT(!pkt.dport ||
	     (pkt.what != WEIR_FRAGMENT && (pkt.proto == IPPROTO_TCP || pkt.proto == IPPROTO_UDP)));
	try_padded(data, size, bare, reason, &pkt);
}

/* The bytes as a frame of Ethernet, and as one of a device without link header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 4096)
		return 0;
	try_frame(data, size, 0);
	try_frame(data, size, 1);
	return 0;
}
