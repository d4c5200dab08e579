// SPDX-License-Identifier: GPL-2.0-only
#include "user/state/listen.h"
#include "user/state/lists.h"
#include "user/model/error.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"

int open_maps(struct maps *maps, enum maps_use use, char *err)
{
	int rc = maps_open(maps, use, err);

	if (rc)
		return rc;
	rc = lists_recover(maps, err);
	if (rc)
		maps_close(maps);
	else
		listen_reap(maps);
	return rc;
}

void close_maps(struct maps *maps, bool done)
{
	char ignored[ERR_LEN];

	if (!done && maps->made)
		maps_unpin(ignored);
	maps_close(maps);
}

int read_settings(struct settings *settings, char *err)
{
	struct maps maps;
	int rc = maps_open(&maps, MAPS_READ, err);

	if (rc)
		return rc;
	rc = maps_read_settings(&maps, settings, err);
	maps_close(&maps);
	return rc;
}
