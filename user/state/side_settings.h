/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The settings in force: read from the maps of a side, and written to them. Errors are
 * returned as -errno with the message for the operator in @err.
 */
#ifndef WEIR_STATE_SIDE_SETTINGS_H
#define WEIR_STATE_SIDE_SETTINGS_H

#include "user/state/maps.h"

int maps_read_settings(const struct maps *maps, struct settings *settings, char *err);
/*
 * The limits and budgets in force, as the data path reads them: 3 MB that are not copied.
 * To be unmapped; NULL with @err.
 */
const struct weir_policy *maps_map_policy(const struct maps *maps, char *err);
void maps_unmap_policy(const struct weir_policy *policy);

/*
 * Makes the maps hold @is where they held @was. In place, each write takes effect on the next
 * packet; with @at_once all of them take effect by one write, as `restore` needs it.
 */
int maps_write_settings(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, char *err);
/* At once, together with the block set of @set_fd; -1: with the one in force. */
int maps_replace_settings(struct maps *maps, const struct settings *was, struct settings *is,
			  int set_fd, char *err);

#endif
