/* SPDX-License-Identifier: GPL-2.0-only */
/* What changes among the block entries while somebody watches. */
#ifndef WEIR_STATE_CHANGES_H
#define WEIR_STATE_CHANGES_H

#include "user/state/maps.h"

enum ban_change { BAN_ADDED, BAN_CHANGED, BAN_REMOVED, BAN_ENDED };

/* Zeroed to begin with. */
struct bans {
	struct entries known;	/* in force when last looked */
	uint64_t next_ns;	/* not before */
	bool looked;
};

/*
 * Calls @each for every change since last time; the first time only remembers.
 * Looks once a second, or less often where there are so many entries that
 * reading them would take more than a twentieth of the time.
 */
void bans_look(struct bans *bans, const struct maps *maps,
	       void (*each)(const struct entry *entry, enum ban_change change, void *arg), void *arg);
void bans_free(struct bans *bans);

#endif
