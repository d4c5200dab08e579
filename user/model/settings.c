// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/entries.h"
#include "user/model/settings.h"

int settings_init(struct settings *settings)
{
	*settings = (struct settings){ .policy = calloc(1, sizeof(*settings->policy)) };
	return settings->policy ? 0 : -ENOMEM;
}

void settings_free(struct settings *settings)
{
	free(settings->policy);
	entries_free(&settings->allow);
	entries_free(&settings->block);
	*settings = (struct settings){ 0 };
}

int settings_copy(struct settings *to, const struct settings *from)
{
	if (settings_init(to))
		return -ENOMEM;
	memcpy(to->policy, from->policy, sizeof(*to->policy));
	if (entries_copy(&to->allow, &from->allow) || entries_copy(&to->block, &from->block)) {
		settings_free(to);
		return -ENOMEM;
	}
	return 0;
}
