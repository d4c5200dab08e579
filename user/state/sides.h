/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps that the settings are in. There are two sides, each with a map of every kind
 * (WEIR_SIDE_MAPS in bpf/weir.h), and hints->side names the side in force. A map of a side
 * stands in a slot of the outer map of its kind.
 */
#ifndef WEIR_STATE_SIDES_H
#define WEIR_STATE_SIDES_H

#include "user/state/maps.h"

enum side_map {
#define M(name, ...) SIDE_##name,
	WEIR_SIDE_MAPS(M)
#undef M
	SIDE_MAPS,
};

/* Kinds that get a new map for every change; the maps of the others are written to. */
static inline bool side_is_replaced(enum side_map kind)
{
	return kind == SIDE_policy || kind == SIDE_blockset;
}

/* The outer map of a kind: its fd is in struct maps, its name in map_names. */
enum map_id side_outer(enum side_map kind);

/*
 * Makes a map of this kind that is in no side yet. @entries: of blockset its lines, of hosts
 * the entries that it must have room for; of no meaning for the others. An fd, or -errno.
 */
int side_create(enum side_map kind, uint32_t entries);
/* An fd of the map that @side has of this kind; -ENOENT: it has none; -errno. */
int side_open(const struct maps *maps, enum side_map kind, uint32_t side);
/* Makes it the map of @side; takes effect at once where that side is in force. 0 or -errno. */
int side_put(const struct maps *maps, enum side_map kind, uint32_t side, int fd);

/* Removes all maps of the side. */
void side_clear(const struct maps *maps, uint32_t side);

/* The maps of one side, open for writing. */
struct side {
	uint32_t number;
	int fd[SIDE_MAPS];	/* -1: not open, as those are that get a new map instead */
};
void side_init(struct side *side, uint32_t number);
void side_close(struct side *side);
/*
 * Opens the maps that the side has, makes new ones that are in no side yet (@hosts: with room
 * for so many entries), or puts those into the side. 0, or -errno with @err.
 */
int side_open_all(struct side *side, const struct maps *maps, char *err);
int side_make_all(struct side *side, uint32_t hosts, char *err);
int side_put_all(const struct side *side, const struct maps *maps, char *err);

/* Writes @policy to a new map and puts that into @side. 0, or -errno with @err. */
int side_put_policy(const struct maps *maps, uint32_t side, struct weir_policy *policy, char *err);
/* No entries and no limits on side 0: what a fresh weir starts with. 0, or -errno with @err. */
int side_fill_first(const struct maps *maps, char *err);

#endif
