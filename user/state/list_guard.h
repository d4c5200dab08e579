/* SPDX-License-Identifier: GPL-2.0-only */
/* The guards of lists, applied to what a list's file holds. */
#ifndef WEIR_STATE_LIST_GUARD_H
#define WEIR_STATE_LIST_GUARD_H

#include "user/state/lists.h"

/*
 * Leaves out of @change->set what must not be in it, sets @change->notes, and @change->kept from
 * @change->force. 1: the list would change; 0: it is the same as the one in force; -errno with
 * @err: -EPERM where a guard objects.
 */
int list_guard(struct list_change *change, const struct settings *settings, char *err);
/* Only leaves out what the next load of this list by the daemon would. 0 or -errno with @err. */
int list_leave_out(struct list_change *change, char *err);

#endif
