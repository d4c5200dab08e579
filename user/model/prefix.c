// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/prefix.h"

void prefix_to_key(const struct prefix *prefix, struct weir_prefix *key)
{
	uint64_t hi = htobe64(prefix->hi), lo = htobe64(prefix->lo);

	key->prefixlen = prefix->length;
	memcpy(key->addr, &hi, 8);
	memcpy(key->addr + 8, &lo, 8);
}

void prefix_from_key(const struct weir_prefix *key, struct prefix *prefix)
{
	uint64_t hi, lo;

	memcpy(&hi, key->addr, 8);
	memcpy(&lo, key->addr + 8, 8);
	*prefix = (struct prefix){ be64toh(hi), be64toh(lo), key->prefixlen };
}

/* A word with the first @bits bits set: none of them for 0 and less, all for 64 and more. */
static uint64_t leading(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? ~0ULL : ~0ULL << (64 - bits);
}

bool prefix_mask(struct prefix *prefix)
{
	uint64_t hi = prefix->hi & leading(prefix->length);
	uint64_t lo = prefix->lo & leading(prefix->length - 64);
	bool host_bits = hi != prefix->hi || lo != prefix->lo;

	prefix->hi = hi;
	prefix->lo = lo;
	return host_bits;
}

struct weir_destination prefix_destination(const struct weir_prefix *key)
{
	struct prefix prefix, mask = prefix_netmask(key->prefixlen);

	prefix_from_key(key, &prefix);
	return (struct weir_destination){ prefix.hi, prefix.lo, mask.hi, mask.lo };
}

bool prefix_encloses(const struct prefix *outer, const struct prefix *inner)
{
	return outer->length <= inner->length &&
	       !((outer->hi ^ inner->hi) & leading(outer->length)) &&
	       !((outer->lo ^ inner->lo) & leading(outer->length - 64));
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return prefix_encloses(outer, inner) && prefix_is_v4(outer) == prefix_is_v4(inner);
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return (int)a->length - (int)b->length;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Reads the decimal number at @*at and moves @*at behind it. Octets and prefix lengths have at
 * most three digits. Returns the number of digits; 4 when there are more than three.
 */
static size_t scan_number(const char **at, const char *end, uint32_t *number)
{
	const char *first = *at;

	for (*number = 0; *at < end && is_digit(**at); ++*at) {
		if (*at - first == 3)
			return 4;
		*number = *number * 10 + (**at - '0');
	}
	return *at - first;
}

/* Reads four octets at @*at. Returns NULL, or the reason why the text is not an address. */
static const char *scan_v4(const char **at, const char *end, uint32_t *addr)
{
	uint32_t octet;
	size_t digits;

	*addr = 0;
	for (int i = 0; i < 4; i++) {
		const char *first;

		if (i && (*at == end || *(*at)++ != '.'))
			return "an IPv4 address has four octets";
		first = *at;
		digits = scan_number(at, end, &octet);
		if (!digits)
			return i ? "an IPv4 address has four octets" : "neither IPv4 nor IPv6";
		if (digits > 3 || octet > 255)
			return "an IPv4 octet is 0..255";
		if (digits > 1 && *first == '0')
			return "an IPv4 octet has no leading zero";
		*addr = *addr << 8 | octet;
	}
	return NULL;
}

/* As scan_v4(), for IPv6. The address ends at the first '/' or at @end. */
static const char *scan_v6(const char **at, const char *end, struct prefix *prefix)
{
	const char *slash = memchr(*at, '/', end - *at);
	size_t len = (slash ? slash : end) - *at;
	char text[INET6_ADDRSTRLEN];
	struct weir_prefix key;

	if (memchr(*at, '%', len))
		return "an address with a zone (%...) is not supported here";
	if (len >= sizeof(text))
		return "not an IPv6 address";
	memcpy(text, *at, len);
	text[len] = '\0';
	if (strlen(text) != len || inet_pton(AF_INET6, text, key.addr) != 1)
		return "not an IPv6 address";
	key.prefixlen = 128;
	prefix_from_key(&key, prefix);
	*at += len;
	return NULL;
}

/*
 * Reads what follows an address: nothing, or a slash and a length of at most @most. Returns NULL,
 * or the reason why the text is not a length.
 */
static const char *scan_length(const char *at, const char *end, uint32_t most, uint32_t *length)
{
	const char *first;
	size_t digits;

	*length = most;
	if (at == end)
		return NULL;
	if (*at++ != '/')
		return at[-1] == '-' ? "a range, not a prefix" : "something follows the address";
	first = at;
	digits = scan_number(&at, end, length);
	if (!digits)
		return "a prefix length is a decimal number";
	if (at < end && *at == '.')
		return "a prefix length is a number, not a netmask";
	if (digits > 3 || *length > most)
		return most == 32 ? "IPv4 prefix length is 0..32" : "IPv6 prefix length is 0..128";
	if (at < end)
		return "something follows the prefix length";
	return digits > 1 && *first == '0' ? "a prefix length has no leading zero" : NULL;
}

int prefix_scan(const char *text, size_t len, struct prefix *prefix, bool *host_bits,
		const char **why)
{
	const char *at = text, *end = text + len;
	bool v6 = memchr(text, ':', len), masked;
	uint32_t addr = 0, length;

	*why = !len ? "empty" : v6 ? scan_v6(&at, end, prefix) : scan_v4(&at, end, &addr);
	if (!*why)
		*why = scan_length(at, end, v6 ? 128 : 32, &length);
	if (*why)
		return -EINVAL;
	if (v6)
		prefix->length = length;
	else
		*prefix = prefix_v4(addr, length);
	masked = prefix_mask(prefix);
	if (host_bits)
		*host_bits = masked;
	return 0;
}

int prefix_parse(const char *text, struct prefix *prefix, bool *host_bits, char *err)
{
	char quoted[PREFIX_QUOTE];
	const char *why;

	if (!prefix_scan(text, strlen(text), prefix, host_bits, &why))
		return 0;
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: %s", quoted, why);
}

/* Writes @number, at most 255, without a NUL. Returns where the text ends. */
static char *put_number(char *at, uint32_t number)
{
	if (number >= 100)
		*at++ = '0' + number / 100;
	if (number >= 10)
		*at++ = '0' + number / 10 % 10;
	*at++ = '0' + number % 10;
	return at;
}

/* As put_number(), for an address without its length; IPv6 as inet_ntop() writes it. */
static char *put_address(char *at, const struct prefix *prefix)
{
	struct weir_prefix key;

	if (prefix_is_v4(prefix)) {
		for (int shift = 24; shift >= 0; shift -= 8) {
			at = put_number(at, prefix->lo >> shift & 255);
			*at++ = '.';
		}
		return at - 1;
	}
	prefix_to_key(prefix, &key);
	inet_ntop(AF_INET6, key.addr, at, INET6_ADDRSTRLEN);
	return at + strlen(at);
}

void prefix_format(const struct prefix *prefix, char text[PREFIX_STRLEN])
{
	char *at = put_address(text, prefix);

	*at++ = '/';
	at = put_number(at, prefix->length - (prefix_is_v4(prefix) ? 96 : 0));
	*at = '\0';
}

void prefix_format_short(const struct prefix *prefix, char text[PREFIX_STRLEN])
{
	if (prefix->length == 128)
		*put_address(text, prefix) = '\0';
	else
		prefix_format(prefix, text);
}

void prefix_quote(const char *text, size_t len, char quoted[PREFIX_QUOTE])
{
	static const char hex[] = "0123456789abcdef";
	/* Behind @last must fit: one escaped byte (4), then `..."` and a NUL. */
	char *at = quoted, *last = quoted + PREFIX_QUOTE - sizeof("...\"") - 4;
	size_t i;

	*at++ = '"';
	for (i = 0; i < len && at <= last; i++) {
		unsigned char c = text[i];

		if (c >= ' ' && c <= '~') {
			*at++ = c;
		} else if (c == '\t') {
			*at++ = '\\';
			*at++ = 't';
		} else {
			*at++ = '\\';
			*at++ = 'x';
			*at++ = hex[c >> 4];
			*at++ = hex[c & 15];
		}
	}
	strcpy(at, i < len ? "...\"" : "\"");
}
