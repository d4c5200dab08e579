/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One prefix of either family; an address is a prefix of full length. IPv4 is kept as
 * ::ffff:a.b.c.d with a length of 96 + n, as in the maps.
 *
 * Everything in user/model is pure: the result of a function depends on its arguments alone,
 * and it needs no libbpf, no root, no clock and no socket. Unit tests and fuzzers therefore link
 * the folder as it is. (config.c reads the file that it is given, and table.c and pcapng.c write
 * to a stream: nothing else there touches a file.)
 */
#ifndef WEIR_MODEL_PREFIX_H
#define WEIR_MODEL_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"

#define PREFIX_STRLEN	50	/* bytes of the longest IPv6 address, "/128" and NUL */
#define PREFIX_QUOTE	52	/* bytes that prefix_quote() writes at most, NUL included */

/* The address as two numbers in host byte order; the bits behind the length are 0. */
struct prefix {
	uint64_t hi, lo;
	uint8_t length;	/* 0..128 */
};

/* Whether it is a prefix of IPv4. Prefixes shorter than /96 are not, though some cover IPv4. */
static inline bool prefix_is_v4(const struct prefix *prefix)
{
	return prefix->length >= 96 && !prefix->hi && prefix->lo >> 32 == 0xffff;
}

/* A prefix of IPv4. @addr: host byte order, with no bits behind @length. @length: 0..32. */
static inline struct prefix prefix_v4(uint32_t addr, uint8_t length)
{
	return (struct prefix){ .lo = 0xffffULL << 32 | addr, .length = 96 + length };
}

/* To and from the form in the maps, which is in network byte order. */
void prefix_to_key(const struct prefix *prefix, struct weir_prefix *key);
void prefix_from_key(const struct weir_prefix *key, struct prefix *prefix);
/* The form in which the data path compares destinations. */
struct weir_destination prefix_destination(const struct weir_prefix *key);

/* Whether a key of length 0 stands for any source, or any destination, of both families. */
static inline bool prefix_key_is_any(const struct weir_prefix *key)
{
	return key->prefixlen == 0;
}

/* Clears the bits behind the length. Returns true when any was set. */
bool prefix_mask(struct prefix *prefix);

/* The mask of a prefix length: as an address, its first @length bits are set. */
static inline struct prefix prefix_netmask(uint8_t length)
{
	struct prefix mask = { .hi = ~0ULL, .lo = ~0ULL, .length = length };

	prefix_mask(&mask);
	return mask;
}

/* Whether the bits of @outer are the first bits of @inner, whatever the families. */
bool prefix_encloses(const struct prefix *outer, const struct prefix *inner);

/*
 * Whether every address of @inner is in @outer. A prefix of IPv6 holds no address of IPv4, though
 * some, such as ::/0, enclose ::ffff:0:0/96: the data path keeps the families apart as well
 * (pure/address.h).
 */
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);

/*
 * Compares for sorting, as memcmp() does: by address, then the shorter prefix first. A prefix
 * thus comes before all prefixes that it covers.
 */
int prefix_cmp(const struct prefix *a, const struct prefix *b);

/*
 * Reads an address or a prefix in CIDR notation. The syntax is strict: no spaces, no leading
 * zeros in IPv4, no zone, no netmask. ::ffff:1.2.3.4 is the IPv4 address 1.2.3.4, and with a
 * length of 96 or more it is a prefix of IPv4. Bits behind the length are cleared; @host_bits
 * (may be NULL) is set to whether there were any, and the caller decides whether that is an
 * error. Returns 0, or -EINVAL with @err.
 */
int prefix_parse(const char *text, struct prefix *prefix, bool *host_bits, char *err);

/*
 * The same for @len bytes that need no NUL. On -EINVAL, @why is set to the reason, a constant
 * text for the caller's own message.
 */
int prefix_scan(const char *text, size_t len, struct prefix *prefix, bool *host_bits,
		const char **why);

/* Writes "192.0.2.0/24" or "2001:db8::/32", always with the length. */
void prefix_format(const struct prefix *prefix, char text[PREFIX_STRLEN]);
/* The same, but a single address without its "/32" or "/128". */
void prefix_format_short(const struct prefix *prefix, char text[PREFIX_STRLEN]);

/*
 * Writes @len bytes of @text in double quotes, for a message: cut to PREFIX_QUOTE, and with all
 * bytes escaped that are not printable ASCII, so that the text cannot control a terminal.
 */
void prefix_quote(const char *text, size_t len, char quoted[PREFIX_QUOTE]);

#endif
