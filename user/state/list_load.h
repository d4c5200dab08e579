/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading a list: reading its file, checking it, putting it into force. */
#ifndef WEIR_STATE_LIST_LOAD_H
#define WEIR_STATE_LIST_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "user/state/lists.h"

/* Called from time to time while a file is read; see struct list_options. */
struct list_progress {
	void (*show)(void *ctx, size_t done, size_t total);
	void *ctx;
};

/*
 * Reads @change->file into @change->set, sorted; @progress may be NULL. Needs no lock, and is to be
 * called without it: a file can be slow to read. 0 or -errno with @err.
 */
int list_read_file(struct list_change *change, const struct list_progress *progress,
		   struct list_report *report, char *err);
/*
 * The same, but not for longer than @ns: -ETIMEDOUT if the file has not been read by then, and
 * *@left as bounded_run() leaves it. For those that must not wait for a file system that hangs.
 */
int list_read_file_within(struct list_change *change, uint64_t ns, pid_t *left,
			  struct list_report *report, char *err);
/*
 * Compares what was read with what is in force, and applies the guards; writes nothing. 1: the list
 * would change; 0: it is the same as the one in force; -errno with @err.
 */
int plan_list_load(struct list_change *change, const struct settings *settings, char *err);
/*
 * For a list that cannot be loaded from its file, because of @why: the generation in force stays
 * (returns 0). If there is none, @change becomes the load of the generation that is kept, or of an
 * empty list, which has a file to watch and a place in `save` (returns 1). @said, ERR_LEN: what the
 * operator must know.
 */
int plan_list_instead(struct list_change *change, const struct settings *settings, const char *why,
		      char *said);
/* Puts the change of one list into force. Under the lock. 0 or -errno with @err. */
int apply_list_change(const struct maps *maps, struct list_change *change, char *err);

#endif
