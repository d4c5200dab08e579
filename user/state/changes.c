// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/changes.h"

#define LOOK_NS		NS_PER_S
#define LOOK_SHARE	20

static bool same(const struct entry *a, const struct entry *b)
{
	return a->value.until_ns == b->value.until_ns &&
	       a->value.added_unix_s == b->value.added_unix_s;
}

/* Both are sorted. */
static void compare(const struct entries *was, const struct entries *is, uint64_t now,
		    void (*each)(const struct entry *entry, enum ban_change change, void *arg),
		    void *arg)
{
	size_t w = 0, i = 0;

	while (w < was->count || i < is->count) {
		int order = w == was->count ? 1 : i == is->count ? -1 :
			    prefix_cmp(&was->at[w].prefix, &is->at[i].prefix);

		if (order > 0) {
			each(&is->at[i++], BAN_ADDED, arg);
		} else if (order < 0) {
			uint64_t until = was->at[w].value.until_ns;

			each(&was->at[w++], until && until <= now ? BAN_ENDED : BAN_REMOVED, arg);
		} else {
			if (!same(&was->at[w], &is->at[i]))
				each(&is->at[i], BAN_CHANGED, arg);
			w++;
			i++;
		}
	}
}

void bans_look(struct bans *bans, const struct maps *maps,
	       void (*each)(const struct entry *entry, enum ban_change change, void *arg), void *arg)
{
	uint64_t now = now_ns(), took;
	struct settings settings;
	char ignored[ERR_LEN];

	if (now < bans->next_ns || maps_read_settings(maps, &settings, ignored))
		return;
	entries_expire(&settings.block, now);
	if (bans->looked)
		compare(&bans->known, &settings.block, now, each, arg);
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
