/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of one list. Each is an array with a head (struct weir_list) and the packed
 * prefixes behind it, pinned as weir/lists/NAME/WHICH:
 *
 *	current		in force
 *	previous	before the last load, for rollback
 *	next		prepared, to become current
 *	doomed		was current, to be deleted
 *
 * Functions return 0 or -errno: -ENOENT where there is no such map, -EBADMSG where its content
 * is not that of a list.
 */
#ifndef WEIR_STATE_LIST_MAPS_H
#define WEIR_STATE_LIST_MAPS_H

#include "bpf/tool.h"
#include "user/model/prefixes.h"

#define LISTS_MAX	4096

typedef char list_name[WEIR_NAME_LEN];

/*
 * The names of all lists, in no order, those included that are only prepared. The caller frees
 * *@names.
 */
int list_names(list_name **names, size_t *count, char *err);

int list_head(const char *name, const char *which, struct weir_list *head);
/* The pin that holds the generation in force: "current", or "next" while it is renamed. */
const char *list_pin_in_force(const char *name);
/* @which: "current" or "previous". With @err. */
int list_read_set(const char *name, const char *which, struct prefixes *set, char *err);

/* A text for the result of one of these functions. */
const char *list_strerror(int rc);

/*
 * Preparing. @set_generation: of the first block set with this change. After a crash it shows
 * whether the change took effect.
 */
int list_prepare_next(const char *name, const struct weir_list *head, const struct prefixes *set);
int list_prepare_previous(const char *name, uint64_t set_generation);
int list_prepare_delete(const char *name, uint64_t set_generation);

/* Completes what is prepared (@forward), or takes it back. Nothing prepared: does nothing. */
int list_settle(const char *name, bool forward);
/* Whether something is prepared, and with which block set: 1, 0 or -errno. */
int list_is_prepared(const char *name, uint64_t *set_generation);

#endif
