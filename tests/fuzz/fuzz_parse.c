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

static enum weir_reason parse_copy(const uint8_t *data, size_t size, size_t exact,
				   struct packet *pkt)
{
	/* Where a driver puts it: the IP header behind Ethernet's 14 bytes is aligned. */
	uint8_t *room = malloc(FRAME_ALIGN + exact), *copy = room + FRAME_ALIGN;
	struct frame frame = { copy, copy + exact };
	enum weir_reason reason;

	memset(pkt, 0, sizeof(*pkt));
	memcpy(copy, data, size < exact ? size : exact);
	reason = parse(&frame, pkt);
	free(room);
	return reason;
}

/* Bytes behind the IP packet must not matter: with other ones the answer is the same. */
static void try_padded(const uint8_t *data, size_t size, enum weir_reason reason,
		       const struct packet *pkt)
{
	uint8_t *padded = malloc(size + 64);
	struct packet again;

	memcpy(padded, data, size);
	for (int fill = 0; fill < 256; fill += 0x55) {
		memset(padded + size, fill, 64);
		WANT(parse_copy(padded, size + 64, size + 64, &again) == reason);
		again.bytes = pkt->bytes;
		WANT(!memcmp(&again, pkt, sizeof(again)));
	}
	free(padded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum weir_reason reason;
	struct packet pkt;

	if (size > 4096)
		return 0;
	reason = parse_copy(data, size, size, &pkt);
	WANT(reason < WEIR_REASON_MAX);
	WANT(pkt.bytes == size);
	if (reason != WEIR_CONTINUE)
		return 0;
	WANT(pkt.ipv6 || (!pkt.hi && pkt.lo >> 32 == 0xffff));
	WANT(pkt.what <= WEIR_FRAGMENT);
	WANT(pkt.what != WEIR_SYN || pkt.proto == IPPROTO_TCP);
	WANT(!pkt.dport ||
	     (pkt.what != WEIR_FRAGMENT && (pkt.proto == IPPROTO_TCP || pkt.proto == IPPROTO_UDP)));
	try_padded(data, size, reason, &pkt);
	return 0;
}
