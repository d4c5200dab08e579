/* SPDX-License-Identifier: GPL-2.0-only */
/* The pinned maps: opening, reading and writing the state that lives in them. */
#ifndef WEIR_STATE_MAPS_H
#define WEIR_STATE_MAPS_H

#include "bpf/tool.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/* The maps of bpf/weir.bpf.c by their names there; meta is pinned last. */
#define WEIR_MAPS(M)                                                              \
	M(devices) M(counters) M(hints) M(allow) M(block) M(hosts) M(scopes)      \
	M(policy) M(blockset) M(gate) M(buckets) M(budgets) M(spending) M(known)  \
	M(known_filter) M(seen) M(networks) M(beats) M(asked) M(core_time)        \
	M(listeners) M(events) M(judgements) M(meta)

enum map_id {
#define M(name) MAP_##name,
	WEIR_MAPS(M)
#undef M
	MAP_COUNT,
};

struct maps {
	int fd[MAP_COUNT];
	int lock;		/* exclusive flock on WEIR_PIN_ROOT, or -1 */
	bool made;		/* by this very opening */
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
/* The writers' lock alone, for maps that were opened for reading. */
int maps_lock(struct maps *maps, char *err);
void maps_unlock(struct maps *maps);
/* False once these maps are pinned no more: weir was detached, and maybe attached anew. */
bool maps_are_current(const struct maps *maps);
/* Removes all pins: with the last program gone, the maps go too. */
int maps_unpin(struct maps *maps, char *err);

int maps_read_settings(const struct maps *maps, struct settings *settings, char *err);
/*
 * The limits and budgets in force, as the data path reads them: 3 MB that are not
 * copied. To be unmapped; NULL with @err.
 */
const struct weir_policy *maps_map_policy(const struct maps *maps, char *err);
void maps_unmap_policy(const struct weir_policy *policy);
/*
 * Makes the maps say @is where they said @was. In place, each write effective
 * on the next packet; @at_once: all of it by one write, for `restore`.
 */
int maps_write_settings(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, char *err);
/* As at_once, and with the block set of @set_fd; -1: that in force. */
int maps_replace_settings(struct maps *maps, const struct settings *was, struct settings *is,
			  int set_fd, char *err);

/* The block set in force: its generation (0: none), swapping it, what it touches. */
uint64_t maps_set_generation(const struct maps *maps);
int maps_put_set(const struct maps *maps, int set_fd);
/* @only_add: bits are set too early, never too late; afterwards the idle ones go. */
void maps_hint_set(const struct maps *maps, const struct prefixes *set, bool only_add);
/* Whether the block set in force has an address; 1, 0, -errno. */
int maps_set_has(const struct maps *maps, const struct prefix *address);

int maps_read_device(const struct maps *maps, uint32_t slot, struct weir_device *device);
int maps_write_device(const struct maps *maps, uint32_t slot, const struct weir_device *device);
/* Sums over the CPUs. */
int maps_read_counters(const struct maps *maps, uint32_t slot, struct weir_counters *sum);
int maps_clear_counters(const struct maps *maps, uint32_t slot);

/* Calls @each for every bucket until it returns non-zero; returns that, or -errno. */
int maps_each_bucket(const struct maps *maps,
		     int (*each)(const struct weir_bucket_key *key,
				 const struct weir_bucket *bucket, void *arg),
		     void *arg);
int maps_read_bucket(const struct maps *maps, const struct weir_bucket_key *key,
		     struct weir_bucket *bucket);
int maps_read_gate(const struct maps *maps, uint32_t line, struct weir_gate_line *cells);

/* A budget's state, and the sum of what the CPUs counted. 0 or -errno. */
int maps_read_budget(const struct maps *maps, uint32_t slot, struct weir_budget_state *state,
		     struct weir_spending *sum);
int maps_clear_budget(const struct maps *maps, uint32_t slot);

/*
 * For maps_settings.c: the inner maps. An fd, or -errno; @entries: of a block set, its
 * lines; of hosts, for how many there must be room. What stands in the outer map's slot for
 * @side is opened and put there.
 */
int maps_create_inner(enum map_id outer, uint32_t entries);
int maps_open_inner(const struct maps *maps, enum map_id outer, uint32_t side);
int maps_put_inner(const struct maps *maps, enum map_id outer, uint32_t side, int fd);
void maps_remove_inner(const struct maps *maps, enum map_id outer, uint32_t side);
/* In the folder of the pins, and open to the daemon where that is; 0 or -errno. */
int maps_pin(int fd, const char *path);
int maps_make_folder(const char *path);
int maps_put_policy(const struct maps *maps, uint32_t side, struct weir_policy *policy, char *err);

/* The daemon's judgement in a slot of its ring; 0 or -errno. */
int maps_read_judgement(const struct maps *maps, uint32_t slot, struct weir_judgement *judgement);

/* The daemon finished a loop that began at @start_ns: who asks the maps learns that it lives. */
void maps_note_loop(const struct maps *maps, uint64_t start_ns);

#endif
