/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prefixes of both families, and sets of them. Pure: no maps, no files.
 *
 * IPv4 is kept as ::ffff:a.b.c.d with a length of 96 + n, as in the maps. Sets
 * keep the families apart: as an entry of a list, ::/0 is all of IPv6 and says
 * nothing about IPv4.
 */
#ifndef WEIR_MODEL_PREFIX_H
#define WEIR_MODEL_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"

#define PREFIX_STRLEN 50  /* the longest IPv6 text, "/128" and NUL */
#define PREFIX_QUOTE  52  /* of prefix_quote(), NUL included */

/* Numbers in host order; bits behind the length are 0. */
struct prefix {
	uint64_t hi, lo;
	uint8_t length; /* 0..128 */
};

static inline bool prefix_is_v4(const struct prefix *prefix)
{
	return prefix->length >= 96 && !prefix->hi && prefix->lo >> 32 == 0xffff;
}

/* @addr: host order. @length: 0..32. */
static inline struct prefix prefix_v4(uint32_t addr, uint8_t length)
{
	return (struct prefix){ .lo = 0xffffULL << 32 | addr, .length = 96 + length };
}

/* To and from the maps' form, in network order. */
void prefix_to_key(const struct prefix *prefix, struct weir_prefix *key);
void prefix_from_key(const struct weir_prefix *key, struct prefix *prefix);

/* Whether a key of length 0 stands for any source, or any destination, of both families. */
static inline bool prefix_key_is_any(const struct weir_prefix *key)
{
	return key->prefixlen == 0;
}

/* Clears the bits behind the length; true when there were any. */
bool prefix_mask(struct prefix *prefix);

/*
 * Whether all of @inner stands in @outer. By number, as the tries see it: ::/0
 * covers IPv4 here, which is what the default limit's source means.
 */
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);

/* By address, then the shorter first: a prefix comes before all that it covers. */
int prefix_cmp(const struct prefix *a, const struct prefix *b);

/*
 * Reads an address or a CIDR. Strict: no spaces, no leading zeros in IPv4, no
 * zone, no netmask. ::ffff:1.2.3.4 is 1.2.3.4, and with /96 and more a prefix
 * of IPv4. Host bits are cleared; @host_bits (may be NULL) tells whether there
 * were any, and whether that is an error is the caller's business.
 * Returns 0, or -EINVAL with @err.
 */
int prefix_parse(const char *text, struct prefix *prefix, bool *host_bits, char *err);

/* The same for @len bytes, with the bare reason: a constant, for the caller's own sentence. */
int prefix_scan(const char *text, size_t len, struct prefix *prefix, bool *host_bits,
		const char **why);

/* "192.0.2.0/24", "2001:db8::/32"; always with the length. */
void prefix_format(const struct prefix *prefix, char text[PREFIX_STRLEN]);
/* The same, but an address without its /32 or /128. */
void prefix_format_short(const struct prefix *prefix, char text[PREFIX_STRLEN]);

/* @text in double quotes for a message: shortened, and no byte that a terminal would obey. */
void prefix_quote(const char *text, size_t len, char quoted[PREFIX_QUOTE]);

#endif
