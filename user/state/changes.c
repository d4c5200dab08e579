// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/changes.h"
#include "user/state/side_settings.h"

#define LOOK_NS		NS_PER_S
#define LOOK_SHARE	20

static bool same(const struct entry *a, const struct entry *b)
{
	return a->value.until_ns == b->value.until_ns &&
	       a->value.added_unix_s == b->value.added_unix_s;
}

struct comparison {
	uint64_t now;
	void (*each)(const struct entry *entry, enum ban_change change, void *arg);
	void *arg;
};

static int compare(const struct entry *was, const struct entry *is, void *arg)
{
	const struct comparison *to = arg;

	if (!was) {
		to->each(is, BAN_ADDED, to->arg);
	} else if (!is) {
		uint64_t until = was->value.until_ns;

		to->each(was, until && until <= to->now ? BAN_ENDED : BAN_REMOVED, to->arg);
	} else if (!same(was, is)) {
		to->each(is, BAN_CHANGED, to->arg);
	}
	return 0;
}

void bans_look(struct bans *bans, const struct maps *maps,
	       void (*each)(const struct entry *entry, enum ban_change change, void *arg),
	       void *arg)
{
	uint64_t now = now_ns(), took;
	struct comparison to = { now, each, arg };
	struct settings settings;
	char ignored[ERR_LEN];

	if (now < bans->next_ns || maps_read_settings(maps, &settings, ignored))
		return;
	entries_expire(&settings.block, now);
	if (bans->looked)
		entries_diff(&bans->known, &settings.block, compare, &to);
	bans->looked = true;
	entries_swap(&bans->known, &settings.block);
	settings_free(&settings);
	took = now_ns() - now;
	bans->next_ns = now + (took * LOOK_SHARE > LOOK_NS ? took * LOOK_SHARE : LOOK_NS);
}

void bans_free(struct bans *bans)
{
	free(bans->known.at);
	*bans = (struct bans){ 0 };
}
