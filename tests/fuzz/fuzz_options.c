// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as the options of a SYN: they are read as the kernel reads them
 * (tcp_parse_options() of net/ipv4/tcp_input.c), which is written here once more, and the answer
 * made of them is well formed. The first bytes choose the room for the answer and what the rule
 * allows; the rest are options, of which a header has at most 40 bytes.
 */
#include <stdlib.h>

#include "user/state/dry_run.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int tcp_state(bool ipv6, const void *source, __be16 sport, const void *to, __be16 dport)
{
	(void)ipv6, (void)source, (void)sport, (void)to, (void)dport;
	return 0;
}

void *copies_find(struct copies *copies, struct map_view *view, const void *key)
{
	(void)copies, (void)view, (void)key;
	return NULL;
}

int copies_add(struct copies *copies, struct map_view *view, const void *key, const void *value)
{
	(void)copies, (void)view, (void)key, (void)value;
	return -1;
}

void copies_rewind(struct copies *copies)
{
	(void)copies;
}

/* The last option of a kind counts; reading ends at the first that is wrong. */
static struct syn_options read_plainly(const uint8_t *at, size_t len)
{
	struct syn_options found = { 0 };
	int options = 0;

	for (size_t i = 0; i + 1 < len && options < TCP_OPTIONS_READ; options++) {
		uint8_t size = at[i + 1];

		if (at[i] == 0)
			break;
		if (at[i] == 1) {
			i++;
			continue;
		}
		if (size < 2 || i + size > len)
			break;
		if (at[i] == 3 && size == 3) {
			found.wscale = 1;
			found.shift = at[i + 2];
		} else if (at[i] == 4 && size == 2) {
			found.sack = 1;
		} else if (at[i] == 8 && size == 10) {
			found.timestamps = 1;
			memcpy(found.time, at + i + 2, 4);
		}
		i += size;
	}
	return found;
}

/* No option that the SYN did not have, no more bytes than there is room for. */
static void check_written(const struct syn_headers *headers, uint32_t len, uint32_t room,
			  const struct syn_options *offered)
{
	struct syn_options answer;

	must(len % 4 == 0 && len >= 20 && len <= TCP_HEADER_MAX && len <= (room < 20 ? 20 : room));
	must(headers->tcp.doff * 4 == len && headers->tcp.syn && headers->tcp.ack);
	answer = read_plainly(headers->tcp_byte + 20, len - 20);
	must(!answer.sack || offered->sack);
	must(!answer.wscale || offered->wscale);
	must(!answer.timestamps || offered->timestamps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dry_run this = { .now_ns = 1000000000000ULL, .coarse_ns = 1000000000000ULL };
	struct syn_headers *headers = malloc(sizeof(*headers));
	struct syn_options is = { 0 }, plain;
	uint32_t len, room;

	must(headers);
	if (size < 2 || size - 2 > TCP_HEADER_MAX - 20) {
		free(headers);
		return 0;
	}
	run = &this;
	memset(headers, data[1], sizeof(*headers));
	room = 20 + data[0] % 64;
	memcpy(headers->tcp_byte + 20, data + 2, size - 2);
	len = 20 + (size - 2) / 4 * 4;
	read_options(headers, len, &is);
	plain = read_plainly(headers->tcp_byte + 20, len - 20);
	must(is.wscale == plain.wscale && is.sack == plain.sack &&
	     is.timestamps == plain.timestamps && is.shift == plain.shift &&
	     !memcmp(is.time, plain.time, sizeof(is.time)));
	if (!is.timestamps)
		is.sack = is.wscale = 0;
	len = write_tcp(headers, &is, 0x12345678, 1460, 7, data[1] & 1 && is.timestamps, room);
	check_written(headers, len, room, &is);
	free(headers);
	return 0;
}
