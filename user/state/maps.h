/* SPDX-License-Identifier: GPL-2.0-only */
/* The pinned maps: opening, creating and removing them. */
#ifndef WEIR_STATE_MAPS_H
#define WEIR_STATE_MAPS_H

#include "bpf/tool.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/* The maps of bpf/maps.h by their names there; meta is pinned last. */
#define WEIR_MAPS(M)                                                                \
	M(devices) M(counters) M(hints) M(allow) M(block) M(hosts) M(scopes)        \
	M(policy) M(blockset) M(gate) M(buckets) M(budgets) M(spending) M(common)   \
	M(known) M(known_filter) M(offences) M(seen) M(networks) M(beats) M(asked) M(core_time) \
	M(listeners) M(events) M(judgements) M(links) M(neighbours) M(rule_buckets)  \
	M(rule_counts) M(meta)

enum map_id {
#define M(name) MAP_##name,
	WEIR_MAPS(M)
#undef M
	MAP_COUNT,
};

struct maps {
	int fd[MAP_COUNT];
	int lock;		/* fd with the lock of writers, or -1 */
	bool made;		/* the maps were created by this opening */
	struct weir_meta meta;
	struct weir_hints *hints;	/* mapped */
};

extern const char *const map_names[MAP_COUNT];

enum maps_use {
	MAPS_READ,		/* fails with -ENOENT when nothing is pinned */
	MAPS_WRITE,		/* the same, and keeps other writers out */
	MAPS_CREATE,		/* as MAPS_WRITE, and makes what is missing */
};

/* 0, or -errno with the message for the operator in @err. */
int maps_open(struct maps *maps, enum maps_use use, char *err);
void maps_close(struct maps *maps);
/* Takes the lock of writers alone, for maps that were opened for reading. 0 or -errno, @err. */
int maps_lock(struct maps *maps, char *err);
void maps_unlock(struct maps *maps);
/* False once these maps are no longer the pinned ones: weir was detached, maybe attached anew. */
bool maps_are_current(const struct maps *maps);
/* Removes all pins, under the lock: without them the maps live as long as a program uses them. */
int maps_unpin(char *err);

/* What the kernel says of a map. 0 or -errno. */
struct bpf_map_info;
int map_info(int fd, struct bpf_map_info *info);
/* Kernel memory of all maps, as the kernel tells it, in bytes. */
uint64_t maps_bytes(const struct maps *maps);
/* Its id, 0 where that cannot be read. */
uint32_t map_id_of(int fd);

#endif
