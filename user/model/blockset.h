/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compiles a set of prefixes into the lines that bpf/blockset.h looks up, and
 * asks them the same way. Pure: the lines may lie in a map or anywhere.
 */
#ifndef WEIR_MODEL_BLOCKSET_H
#define WEIR_MODEL_BLOCKSET_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/*
 * @set: merged (prefixes_merge). @seed: keys the hash of IPv6; another may be
 * stored. @alloc is called once, with the number of lines; it returns as many,
 * zeroed, or NULL, and may then have written the reason to the same @err.
 * Returns 0; -EINVAL when the set is not merged, -E2BIG when it is too large
 * for 32-bit indices, -ENOMEM; with @err.
 */
int blockset_compile(const struct prefixes *set, uint64_t seed, uint64_t generation,
		     struct weir_line *(*alloc)(void *ctx, size_t lines), void *ctx, char *err);

/* Whether the set blocks an address: of @address, the length does not matter. */
bool blockset_has(const struct weir_line *lines, size_t count, const struct prefix *address);

#endif
