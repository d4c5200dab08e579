/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The generations of lists that are kept over a reboot: for each list the last one that was loaded
 * from its file, as a file in LISTS_KEPT. It is loaded where the list's own file cannot be.
 *
 * Such a file is a head, the packed prefixes, and checksums over both; it is written aside and
 * renamed. Its date of change says when the list's own file last had this content. At most LISTS_MAX
 * files of KEPT_BYTES_MOST in all are kept; the oldest ones go first.
 */
#ifndef WEIR_STATE_LIST_KEEP_H
#define WEIR_STATE_LIST_KEEP_H

#include "user/state/lists.h"

#define STATE_FOLDER	"/var/lib/weir"
#define LISTS_KEPT	STATE_FOLDER "/kept"
#define KEPT_BYTES_MOST	(1ULL << 30)

/*
 * To be called when @changes are in force, without the lock: writing takes time. Keeps what was
 * loaded from files, and removes what is kept of the lists that were deleted. A failure concerns
 * the next boot only. 0 or -errno with @err.
 */
int lists_keep(const struct list_change *changes, size_t count, char *err);
/* Keeps those loaded lists of which nothing is kept yet. 0 or -errno with @err. */
int lists_keep_missing(const struct list_info *infos, size_t count, char *err);
/*
 * Appends the kept prefixes of the list to @set. @since_unix_s: when its file last had them.
 * 0, or -errno with @err: -ENOENT where none are kept.
 */
int list_read_kept(const char *name, struct prefixes *set, uint64_t *since_unix_s, char *err);

#endif
