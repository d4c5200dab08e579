// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as prefixes and addresses: the compiled set must answer as a scan
 * over all the prefixes does, and stay within its lines even when they are
 * spoilt. Records, until the bytes end:
 *
 *	u8 kind: bit 0 IPv6, bit 1 an address to ask for, not a prefix,
 *		 bit 2 beside the last address: XOR with it, bit 3 spoil lines
 *	u8 length, modulo 33 or 129
 *	u8 address[4 or 16]
 */
#include <stdlib.h>
#include <string.h>

#include "user/model/blockset.h"
#include "user/model/error.h"

#define RECORDS_MAX 1024 /* each look-up scans all */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef unsigned __int128 address;

struct entry {
	bool v6;
	int length; /* in its own family */
	address addr;
};

struct input {
	struct entry prefix[RECORDS_MAX], probe[RECORDS_MAX];
	size_t prefixes, probes;
	uint8_t spoil; /* what lines are XORed with; 0: nothing */
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void decode(const uint8_t *data, size_t size, struct input *input)
{
	address last[2] = { 0 };

	while (size >= 2) {
		bool v6 = data[0] & 1;
		size_t bytes = v6 ? 16 : 4;
		struct entry entry = { .v6 = v6, .length = data[1] % (v6 ? 129 : 33) };

		if (size < 2 + bytes)
			return;
		for (size_t i = 0; i < bytes; i++)
			entry.addr = entry.addr << 8 | data[2 + i];
		if (data[0] & 4)
			entry.addr ^= last[v6];
		last[v6] = entry.addr;
		if (data[0] & 8)
			input->spoil |= data[1];
		if (data[0] & 2 && input->probes < RECORDS_MAX)
			input->probe[input->probes++] = entry;
		else if (!(data[0] & 2) && input->prefixes < RECORDS_MAX)
			input->prefix[input->prefixes++] = entry;
		data += 2 + bytes;
		size -= 2 + bytes;
	}
}

static struct prefix to_prefix(const struct entry *entry)
{
	struct prefix prefix = { entry->addr >> 64, entry->addr, entry->length };

	if (!entry->v6)
		prefix = prefix_v4(entry->addr, entry->length);
	return prefix;
}

/* Bits behind the length, in the number of the family. */
static address behind(const struct entry *entry)
{
	int bits = (entry->v6 ? 128 : 32) - entry->length;

	return bits == 128 ? ~(address)0 : ((address)1 << bits) - 1;
}

static bool is_mapped(const struct entry *entry)
{
	return entry->v6 && entry->addr >> 32 == 0xffff;
}

/* IPv4 in IPv6's clothes is IPv4, in prefixes as in addresses. */
static struct entry undressed(struct entry entry)
{
	if (is_mapped(&entry) && entry.length >= 96) {
		entry.v6 = false;
		entry.length -= 96;
		entry.addr &= 0xffffffff;
	}
	return entry;
}

static bool scan(const struct input *input, struct entry probe)
{
	probe.length = probe.v6 ? 128 : 32;
	probe = undressed(probe);
	for (size_t i = 0; i < input->prefixes; i++) {
		struct entry prefix = undressed(input->prefix[i]);

		if (prefix.v6 == probe.v6 && !((prefix.addr ^ probe.addr) & ~behind(&prefix)))
			return true;
	}
	return false;
}

struct memory {
	struct weir_line *lines;
	size_t count;
};

static struct weir_line *alloc_lines(void *ctx, size_t count)
{
	struct memory *memory = ctx;

	must(!memory->lines);
	memory->lines = calloc(count, sizeof(struct weir_line));
	memory->count = count;
	return memory->lines;
}

static void ask(const struct memory *memory, const struct input *input, struct entry probe)
{
	struct prefix prefix = to_prefix(&probe);

	must(blockset_has(memory->lines, memory->count, &prefix) == scan(input, probe));
}

static void ask_all(const struct memory *memory, const struct input *input)
{
	for (size_t i = 0; i < input->prefixes; i++) {
		struct entry entry = input->prefix[i];
		address last = entry.addr | behind(&entry);
		/* number of the family, where it wraps */
		address mask = entry.v6 ? ~(address)0 : 0xffffffff;

		entry.addr &= ~behind(&input->prefix[i]);
		ask(memory, input, entry);
		entry.addr = (entry.addr - 1) & mask;
		ask(memory, input, entry);
		entry.addr = last & mask;
		ask(memory, input, entry);
		entry.addr = (last + 1) & mask;
		ask(memory, input, entry);
	}
	for (size_t i = 0; i < input->probes; i++)
		ask(memory, input, input->probe[i]);
}

/* The answer is worth nothing then; ASan sees that nothing else is read. */
static void ask_spoilt(struct memory *memory, const struct input *input)
{
	for (size_t i = 0; i < 9; i++)
		memory->lines[i].half[4 + i % 12] ^= input->spoil * 0x01010101U;
	for (size_t i = 0; i < memory->count; i += 61)
		memory->lines[i].half[i % 16] ^= input->spoil * 0x01010101U;
	for (size_t i = 0; i < input->probes; i++) {
		struct prefix prefix = to_prefix(&input->probe[i]);

		blockset_has(memory->lines, memory->count, &prefix);
		blockset_has(memory->lines, memory->count >> input->spoil % 20, &prefix);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input *input = calloc(1, sizeof(*input));
	struct memory memory = { 0 };
	struct prefixes set = { 0 };
	char err[ERR_LEN] = "";

	decode(data, size, input);
	for (size_t i = 0; i < input->prefixes; i++) {
		struct prefix prefix = to_prefix(&input->prefix[i]);

		prefix_mask(&prefix);
		/* masked, ::ffff:0:0/95 and shorter are no longer what they were */
		input->prefix[i].addr &= ~behind(&input->prefix[i]);
		must(!prefixes_add(&set, &prefix));
	}
	must(!prefixes_merge(&set));
	must(!blockset_compile(&set, size, 1, alloc_lines, &memory, err));
	ask_all(&memory, input);
	if (input->spoil)
		ask_spoilt(&memory, input);
	prefixes_free(&set);
	free(memory.lines);
	free(input);
	return 0;
}
