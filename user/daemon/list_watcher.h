/* SPDX-License-Identifier: GPL-2.0-only */
/* The list watcher: loads the files of lists again when they change, and on their schedule. */
#ifndef WEIR_DAEMON_LIST_WATCHER_H
#define WEIR_DAEMON_LIST_WATCHER_H

#include "user/model/config.h"

struct list_watcher;

/* NULL: out of memory, or inotify is not available. */
struct list_watcher *list_watcher_new(void);
void list_watcher_free(struct list_watcher *watcher);
/* Becomes readable when something changes in a watched folder: call list_watcher_event() then. */
int list_watcher_fd(const struct list_watcher *watcher);
void list_watcher_event(struct list_watcher *watcher);
/* Loads the lists that are due. */
void list_watcher_look(struct list_watcher *watcher, const struct config *config);

#endif
