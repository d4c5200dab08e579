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

#define ERR_LEN	      256 /* of every `char *err`: text for the operator */
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

/*
 * A set. Zeroed is empty. Some functions want it sorted (prefixes_sort) or
 * merged (prefixes_merge, which sorts): their comments say so.
 */
struct prefixes {
	uint64_t *v4; /* address << 8 | length: its order is prefix_cmp's */
	struct prefix *v6;
	size_t v4_count, v4_room;
	size_t v6_count, v6_room;
};

enum prefix_family { PREFIX_V4, PREFIX_V6 };

static inline size_t prefixes_in(const struct prefixes *set, enum prefix_family family)
{
	return family == PREFIX_V4 ? set->v4_count : set->v6_count;
}

static inline size_t prefixes_count(const struct prefixes *set)
{
	return set->v4_count + set->v6_count;
}

static inline struct prefix prefixes_get(const struct prefixes *set, enum prefix_family family,
					 size_t index)
{
	if (family == PREFIX_V4)
		return prefix_v4(set->v4[index] >> 8, set->v4[index] & 255);
	return set->v6[index];
}

/* All of a set by one index: first IPv4, then IPv6. */
static inline struct prefix prefixes_at(const struct prefixes *set, size_t index)
{
	if (index < set->v4_count)
		return prefixes_get(set, PREFIX_V4, index);
	return prefixes_get(set, PREFIX_V6, index - set->v4_count);
}

/* All these return 0 or -ENOMEM; the set is then as it was. */
int prefixes_add(struct prefixes *set, const struct prefix *prefix);
int prefixes_append(struct prefixes *set, const struct prefixes *more);
/* Sorts and drops what stands there twice; @duplicates (may be NULL): how many that were. */
int prefixes_sort(struct prefixes *set, size_t *duplicates);
/*
 * The union: what another prefix covers goes, and two halves become one whole.
 * The result is sorted, no prefix in it covers another, and it is the smallest
 * set of prefixes for these addresses.
 */
int prefixes_merge(struct prefixes *set);
void prefixes_free(struct prefixes *set);

/* Whether the set is sorted and no prefix in it covers another. */
bool prefixes_are_disjoint(const struct prefixes *set);

/* Of a sorted set: whether it holds this very prefix. */
bool prefixes_has(const struct prefixes *set, const struct prefix *prefix);
/* Of a merged set: whether it holds every address of @prefix. */
bool prefixes_cover(const struct prefixes *set, const struct prefix *prefix);
/* Of a merged set: whether it holds any address of @prefix; @which (may be NULL): one that does. */
bool prefixes_overlap(const struct prefixes *set, const struct prefix *prefix,
		      struct prefix *which);

/*
 * From one sorted set to another: adds to @added and @removed (either may be
 * NULL), in order. Returns 0 or -ENOMEM.
 */
int prefixes_diff(const struct prefixes *from, const struct prefixes *to, struct prefixes *added,
		  struct prefixes *removed);

/*
 * A sorted set in words, to be kept in an array map: IPv4 one word each
 * (address << 8 | length), then IPv6 three (hi, lo, length). The counts are the
 * caller's to keep.
 */
#define PREFIXES_V6_WORDS 3
size_t prefixes_words(const struct prefixes *set);
void prefixes_pack(const struct prefixes *set, uint64_t *words);
/* Adds to @set. -EINVAL for words that no sorted set packs to: @set is then as it was. */
int prefixes_unpack(struct prefixes *set, const uint64_t *words, size_t v4_count, size_t v6_count);

#endif
