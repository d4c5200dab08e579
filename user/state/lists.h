/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loaded lists, each pinned as weir/lists/NAME/current and, for rollback,
 * /previous; and the block set that is compiled out of all of them.
 *
 * A change is prepared aside (lists_prepare), takes effect by one write of the
 * caller's (lists_publish, or a change of sides), and is then tidied up
 * (lists_finish). Killed at any moment in between, lists_recover tells by the
 * block set's generation which side of that write it was, and goes on from
 * there, or back.
 */
#ifndef WEIR_STATE_LISTS_H
#define WEIR_STATE_LISTS_H

#include "user/model/listfile.h"
#include "user/state/maps.h"

#define LISTS_MAX	256

struct list_info {
	char name[WEIR_NAME_LEN];
	struct weir_list current, previous;	/* previous.magic 0: there is none */
};

struct list_change {
	enum { LIST_LOAD, LIST_ROLLBACK, LIST_DEL } what;
	char name[WEIR_NAME_LEN];
	char file[sizeof(((struct weir_list *)0)->file)];
	enum list_format format;	/* as it was asked for */
	bool skip_bad;			/* leave out lines that are no prefix */
	bool force;			/* past the guards */
	struct prefixes set;		/* LIST_LOAD: what the file holds */
};

/* 0, or -EINVAL with @err: a-z, 0-9, - and _, up to 31 of them. */
int list_check_name(const char *name, char *err);

/* Sorted by name; the caller frees *@infos. */
int lists_read(struct list_info **infos, size_t *count, char *err);
/* @which: "current" or "previous". 0, -ENOENT, -errno. */
int list_read_set(const char *name, const char *which, struct prefixes *set, char *err);
/* All lists together, merged. */
int lists_read_union(struct prefixes *all, char *err);

/* The list that covers all of @prefix, or "(several)"; false where none does. */
bool list_that_covers(const struct prefix *prefix, char name[WEIR_NAME_LEN]);

int lists_recover(const struct maps *maps, char *err);

/* The block set of a merged set of prefixes, as a map of its own; its fd in *@fd. */
int lists_compile(const struct maps *maps, const struct prefixes *all, uint64_t generation, int *fd,
		  char *err);
/* Makes the next block set; its fd in *@set_fd. On failure nothing is left. */
int lists_prepare(const struct maps *maps, struct list_change *changes, size_t count, int *set_fd,
		  char *err);
/* The one write: the side in force gets the set. */
int lists_publish(const struct maps *maps, int set_fd, char *err);
/* What was prepared is now current. */
int lists_finish(const struct maps *maps, const struct list_change *changes, size_t count,
		 char *err);

#endif
