// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <string.h>

#include "user/model/text.h"

#define ESCAPE_LEN	4	/* \xNN */

/* How many bytes the first byte of a character announces; 0: it cannot be a first one. */
static size_t announced(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

static bool is_harmless(uint32_t c)
{
	if (c < ' ' || (c >= 0x7f && c < 0xa0))
		return false;
	return c != 0x200e && c != 0x200f && (c < 0x2028 || c > 0x202e) &&
	       (c < 0x2066 || c > 0x2069);
}

/* The bytes of the character at @at, of which 1 is taken if it is no UTF-8; sets @plain. */
static size_t step(const char *at, bool *plain)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)at;
	size_t length = announced(byte[0]);
	uint32_t c = length > 1 ? byte[0] & (0x7f >> length) : byte[0];

	*plain = false;
	if (!length)
		return 1;
	for (size_t i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (byte[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 1;
	*plain = is_harmless(c);
	return length;
}

bool text_is_plain(const char *text)
{
	bool plain = true;

	while (*text && plain)
		text += step(text, &plain);
	return plain;
}

void text_make_plain(char *text)
{
	bool plain;

	while (*text) {
		size_t length = step(text, &plain);

		if (!plain)
			memset(text, '?', length);
		text += length;
	}
}

/* Writes a character to @to, which has room for 4 * @length bytes. Returns how many it took. */
static size_t put(const char *from, size_t length, bool plain, char *to)
{
	if (plain) {
		memcpy(to, from, length);
		return length;
	}
	for (size_t i = 0; i < length; i++) {
		static const char hex[] = "0123456789abcdef";
		unsigned char byte = from[i];

		to[ESCAPE_LEN * i] = '\\';
		to[ESCAPE_LEN * i + 1] = 'x';
		to[ESCAPE_LEN * i + 2] = hex[byte >> 4];
		to[ESCAPE_LEN * i + 3] = hex[byte & 15];
	}
	return ESCAPE_LEN * length;
}

char *text_escape(const char *from, char *to, size_t size)
{
	char next[ESCAPE_LEN * ESCAPE_LEN];
	size_t used = 0;
	bool plain;

	while (*from) {
		size_t length = step(from, &plain), more = put(from, length, plain, next);

		if (used + more >= size)
			break;
		memcpy(to + used, next, more);
		used += more;
		from += length;
	}
	to[used] = '\0';
	return to;
}

static void print(FILE *to, const char *text, const char *spared)
{
	char next[ESCAPE_LEN * ESCAPE_LEN];
	bool plain;

	while (*text) {
		size_t length = step(text, &plain);

		plain |= strchr(spared, *text) != NULL;
		fwrite(next, put(text, length, plain, next), 1, to);
		text += length;
	}
}

void text_print(FILE *to, const char *text)
{
	print(to, text, "");
}

void text_print_lines(FILE *to, const char *text)
{
	print(to, text, "\n\t");
}
