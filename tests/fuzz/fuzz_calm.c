// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as the file of a calm sample, and as a frame. The file with the reader is included, so
 * that the sum over the records can be made right: else no byte of them would ever be read.
 */
#include <stdlib.h>

#include "user/model/calm_file.c"
#include "user/model/explain_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_packet(const struct explain_packet *packet)
{
	must(packet->shift <= EXPLAIN_SHIFT_MOST && packet->payload_bytes <= EXPLAIN_BYTES);
	for (int field = 0; field < EXPLAIN_NUMBERS; field++)
		must(packet->number[field] >= EXPLAIN_NONE && packet->number[field] <= 65535);
	for (size_t at = packet->payload_bytes; at < sizeof(packet->payload); at++)
		must(!packet->payload[at]);
}

static void check_frame(const uint8_t *data, size_t size)
{
	struct explain_packet packet;

	for (int bare = 0; bare < 2; bare++)
		if (explain_read_frame(data, size, bare, size, &packet))
			check_packet(&packet);
}

/* What was read is written as the same bytes. */
static void check_again(const struct calm *calm, const uint8_t *data, size_t size)
{
	size_t written;
	uint8_t *again = calm_write(calm, &written);

	must(again && written == size && !memcmp(again, data, size));
	free(again);
}

static void check_file(const uint8_t *data, size_t size, struct calm *calm)
{
	char err[ERR_LEN] = "";

	if (calm_read("fuzz", data, size, calm, err)) {
		must(*err && !calm->sample[0].count && !calm->sample[1].count);
		return;
	}
	for (int kind = 0; kind < CALM_KINDS; kind++)
		for (uint32_t i = 0; i < calm->sample[kind].count; i++)
			check_packet(&calm->sample[kind].packet[i]);
	check_again(calm, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_seed none;
	static struct calm *calm;
	uint8_t *copy = malloc(size + 1);
	struct head head;

	if (!calm)
		calm = calm_new(&none, 0);
	must(calm && copy);
	check_frame(data, size);
	memcpy(copy, data, size);
	check_file(copy, size, calm);
	if (size >= sizeof(head)) {
		memcpy(&head, copy, sizeof(head));
		head.magic = MAGIC;
		head.version = VERSION;
		head.record_bytes = sizeof(struct record);
		head.count[CALM_KNOWN] = (size - sizeof(head)) / sizeof(struct record);
		head.count[CALM_STRANGERS] = head.count[CALM_KNOWN] & 1;
		head.count[CALM_KNOWN] -= head.count[CALM_STRANGERS];
		size -= (size - sizeof(head)) % sizeof(struct record);
		head.check = check_of(&head.secret, copy + sizeof(head), size - sizeof(head));
		memcpy(copy, &head, sizeof(head));
		check_file(copy, size, calm);
	}
	free(copy);
	return 0;
}
