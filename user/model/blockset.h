/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compiles a set of prefixes into the cache lines of a block set (bpf/pure/blockset.h), and looks
 * addresses up in them as the data path does. The lines may be in a map or in plain memory.
 */
#ifndef WEIR_MODEL_BLOCKSET_H
#define WEIR_MODEL_BLOCKSET_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/*
 * @set: merged (prefixes_merge). @seed: the seed of the hash of IPv6; where keys do not fit with
 * it, another one is derived from it and stored. @generation: stored as it is. @alloc is called
 * once, with the number of lines needed; it returns so many zeroed lines, or NULL, and may then
 * have written the reason to the same @err. Returns 0, or with @err -EINVAL (the set is not
 * merged), -E2BIG (too many prefixes for 32-bit indices) or -ENOMEM.
 */
int blockset_compile(const struct prefixes *set, uint64_t seed, uint64_t generation,
		     struct weir_line *(*alloc)(void *ctx, size_t lines), void *ctx, char *err);

/*
 * Whether the @count lines block an address; the length of @address is ignored. Damaged lines give
 * a wrong answer, but nothing beyond @count is read.
 */
bool blockset_has(const struct weir_line *lines, size_t count, const struct prefix *address);

#endif
