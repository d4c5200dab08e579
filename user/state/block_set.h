/* SPDX-License-Identifier: GPL-2.0-only */
/* The block set in force: all loaded lists, compiled into one map of the side in force. */
#ifndef WEIR_STATE_BLOCK_SET_H
#define WEIR_STATE_BLOCK_SET_H

#include "user/model/prefixes.h"
#include "user/state/maps.h"

/* The number of the block set in force, 0 where there is none. 0 or -errno. */
int block_set_generation(const struct maps *maps, uint64_t *generation);
/* Whether the block set in force has an address: 1, 0, -errno. */
int block_set_has(const struct maps *maps, const struct prefix *address);

/* Compiles a merged set into a map that is not in force yet; its fd in *@fd. 0 or -errno, @err. */
int block_set_compile(const struct maps *maps, const struct prefixes *all, uint64_t generation,
		      int *fd, char *err);
/* One write: the side in force gets the block set. 0 or -errno. */
int block_set_put(const struct maps *maps, int set_fd);

#endif
