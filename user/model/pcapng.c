// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "user/model/pcapng.h"

enum block_type { BLOCK_INTERFACE = 1, BLOCK_PACKET = 6, BLOCK_SECTION = 0x0A0D0D0A };

/* Codes of options; those from 2 on have another meaning in each type of block. */
enum option {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SECTION_PROGRAM = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_TIME_UNIT = 9,
	PACKET_FLAGS = 2,
	PACKET_VERDICT = 7,
};

#define BYTE_ORDER_MAGIC	0x1A2B3C4DU
#define UNIT_NS			9	/* 10^-9 s */
#define FLAGS_INBOUND		1
#define VERDICT_XDP		2
#define BLOCK_MAX		(PCAPNG_CAPTURED_MAX + 2 * PCAPNG_TEXT_MAX + 128)

/* A block is assembled here first, because its length precedes its content. */
struct block {
	uint32_t used;
	uint8_t bytes[BLOCK_MAX];
};

static void put(struct block *block, const void *bytes, uint32_t size)
{
	memcpy(block->bytes + block->used, bytes, size);
	block->used += size;
}

static void put16(struct block *block, uint16_t value)
{
	put(block, &value, sizeof(value));
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

/* Fields are aligned to 32 bits. */
static void pad(struct block *block)
{
	while (block->used % 4)
		block->bytes[block->used++] = 0;
}

static void put_option(struct block *block, enum option option, const void *value, uint16_t size)
{
	put16(block, option);
	put16(block, size);
	put(block, value, size);
	pad(block);
}

static void put_text(struct block *block, enum option option, const char *text)
{
	size_t size = strnlen(text, PCAPNG_TEXT_MAX);

	if (size)
		put_option(block, option, text, size);
}

/* A block has its length in bytes at both ends; finish() writes them. */
static void begin(struct block *block, enum block_type type)
{
	block->used = 0;
	put32(block, type);
	put32(block, 0);
}

static int finish(struct block *block, FILE *to)
{
	uint32_t size;

	put_option(block, OPT_END, "", 0);
	size = block->used + sizeof(size);
	put32(block, size);
	memcpy(block->bytes + 4, &size, sizeof(size));
	return fwrite(block->bytes, block->used, 1, to) == 1 ? 0 : errno ? -errno : -EIO;
}

int pcapng_section(FILE *to, const char *program, const char *comment)
{
	int64_t unknown_length = -1;
	struct block block;

	begin(&block, BLOCK_SECTION);
	put32(&block, BYTE_ORDER_MAGIC);
	put16(&block, 1);	/* version 1.0 */
	put16(&block, 0);
	put(&block, &unknown_length, sizeof(unknown_length));
	put_text(&block, SECTION_PROGRAM, program);
	put_text(&block, OPT_COMMENT, comment);
	return finish(&block, to);
}

int pcapng_interface(FILE *to, enum pcapng_link link, const char *name, const char *description,
		     uint32_t snap)
{
	uint8_t unit = UNIT_NS;
	struct block block;

	begin(&block, BLOCK_INTERFACE);
	put16(&block, link);
	put16(&block, 0);
	put32(&block, snap);
	put_text(&block, INTERFACE_NAME, name);
	put_text(&block, INTERFACE_DESCRIPTION, description);
	put_option(&block, INTERFACE_TIME_UNIT, &unit, sizeof(unit));
	return finish(&block, to);
}

int pcapng_packet(FILE *to, const struct pcapng_packet *packet)
{
	uint8_t verdict[1 + sizeof(packet->xdp_action)] = { VERDICT_XDP };
	uint32_t flags = FLAGS_INBOUND;
	struct block block;

	if (packet->captured > PCAPNG_CAPTURED_MAX)
		return -EINVAL;
	begin(&block, BLOCK_PACKET);
	put32(&block, packet->interface);
	put32(&block, packet->unix_ns >> 32);
	put32(&block, packet->unix_ns);
	put32(&block, packet->captured);
	put32(&block, packet->length);
	put(&block, packet->data, packet->captured);
	pad(&block);
	put_text(&block, OPT_COMMENT, packet->comment);
	put_option(&block, PACKET_FLAGS, &flags, sizeof(flags));
	memcpy(verdict + 1, &packet->xdp_action, sizeof(packet->xdp_action));
	put_option(&block, PACKET_VERDICT, verdict, sizeof(verdict));
	return finish(&block, to);
}
