/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies of elements of the maps, made as they are looked up. They can be written like the
 * elements themselves, and nothing is written back.
 */
#ifndef WEIR_STATE_COPIES_H
#define WEIR_STATE_COPIES_H

#include "user/state/sides.h"

#define COPIES_MAX	128
#define COPIES_KEY	24	/* the longest key: weir_bucket_key */

/* A map as it is looked into. */
struct map_view {
	int fd;			/* -1: not opened yet */
	uint32_t type, key_size, value_size, entries;
	uint32_t outer, side;	/* of an inner map: enum map_id, and its slot there */
	void *mapped;		/* settings that the program only reads; else NULL */
};

struct copy {
	const struct map_view *view;
	uint8_t key[COPIES_KEY];
	uint8_t *value;		/* of a map per CPU: of all CPUs; NULL: there is no such element */
	uint8_t *original;	/* the same, as it was read */
};

struct copies {
	const struct maps *maps;
	int cpus;		/* possible ones */
	int cpu;		/* the one on which the program runs; set by the caller */
	struct map_view outer[MAP_COUNT];
	struct map_view inner[SIDE_MAPS * WEIR_SIDES];
	uint32_t inner_count;
	struct copy copy[COPIES_MAX];
	uint32_t count;
	bool failed;		/* something could not be read: no result is to be used */
};

void copies_open(struct copies *copies, const struct maps *maps);
void copies_close(struct copies *copies);
/* Each copy is again what was read. */
void copies_rewind(struct copies *copies);

/* The element of @key, or NULL; of an outer map, the inner one as a struct map_view. */
void *copies_find(struct copies *copies, struct map_view *view, const void *key);
/* Adds an element that only the copies have, until they are rewound; 0 or -1. */
int copies_add(struct copies *copies, struct map_view *view, const void *key, const void *value);

#endif
