/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loaded lists, and the block set that is compiled from all of them.
 *
 * A change is prepared aside (lists_prepare), takes effect by one write (lists_publish, or a
 * change of sides by the caller), and its maps are then renamed (lists_finish). After a crash
 * at any moment, lists_recover compares the generation of the block set in force with that
 * of the change: it completes a change that took effect, and takes back any other.
 */
#ifndef WEIR_STATE_LISTS_H
#define WEIR_STATE_LISTS_H

#include "user/model/guard.h"
#include "user/model/listfile.h"
#include "user/state/list_maps.h"
#include "user/state/maps.h"

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
	uint8_t force;			/* enum weir_guard: the guards that are overruled */
	uint8_t kept;			/* those of them that stay overruled for this list */
	bool instead;			/* its file cannot be used: @set is something else, */
	uint64_t since_unix_s;		/* which is that old; 0: @set is empty for that reason */
	struct prefixes set;		/* LIST_LOAD: what the file holds */
	struct guard_notes notes;	/* LIST_LOAD: what the guards have to remark */
};

/* Sorted by name; the caller frees *@infos. */
int lists_read(struct list_info **infos, size_t *count, char *err);
/* All lists together, merged. */
int lists_read_union(struct prefixes *all, char *err);

/* The list that covers all of @prefix, or "(several)"; false where none does. */
bool list_that_covers(const struct prefix *prefix, char name[WEIR_NAME_LEN]);

/* Completes or takes back what a command left that was killed. */
int lists_recover(const struct maps *maps, char *err);

/* Makes the next block set; its fd in *@set_fd. On failure nothing is left. */
int lists_prepare(const struct maps *maps, struct list_change *changes, size_t count, int *set_fd,
		  char *err);
/* The one write: the side in force gets the set. */
int lists_publish(const struct maps *maps, int set_fd, char *err);
/* What was prepared is now current. */
int lists_finish(const struct maps *maps, const struct list_change *changes, size_t count,
		 char *err);

#endif
