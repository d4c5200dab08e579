/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes of the block entries, for a command that shows them as they happen. */
#ifndef WEIR_STATE_CHANGES_H
#define WEIR_STATE_CHANGES_H

#include "user/state/maps.h"

enum ban_change { BAN_ADDED, BAN_CHANGED, BAN_REMOVED, BAN_ENDED };

/* All zeros before the first look. */
struct bans {
	struct entries known;	/* in force at the last look */
	uint64_t next_ns;	/* of the next look */
	bool looked;
};

/*
 * Calls @each for every change since the last look; the first look only notes what there is.
 * Looks once a second, or less often where there are so many entries that reading them would
 * take more than a twentieth of the time. To be called more often than that.
 */
void bans_look(struct bans *bans, const struct maps *maps,
	       void (*each)(const struct entry *entry, enum ban_change change, void *arg),
	       void *arg);
void bans_free(struct bans *bans);

#endif
