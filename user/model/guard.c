// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "user/model/error.h"
#include "user/model/guard.h"
#include "user/model/prefixes.h"

static int refuse(char *err, const struct prefix *prefix, const char *what)
{
	char text[PREFIX_STRLEN];

	prefix_format(prefix, text);
	return fail(err, EPERM, "%s %s; say `force` if you mean it", text, what);
}

int guard_prefix(const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own, char *err)
{
	char text[PREFIX_STRLEN], what[PREFIX_STRLEN + 80];

	if (prefix->length == 0 || (prefix_is_v4(prefix) && prefix->length == 96))
		return refuse(err, prefix, "is every address");
	for (size_t i = 0; i < prefixes_count(own); i++) {
		struct prefix address = prefixes_at(own, i);

		if (!prefix_covers(prefix, &address))
			continue;
		prefix_format_short(&address, text);
		snprintf(what, sizeof(what), "covers %s, an address of this host", text);
		return refuse(err, prefix, what);
	}
	for (size_t i = 0; i < settings->allow.count; i++) {
		if (!prefix_covers(prefix, &settings->allow.at[i].prefix))
			continue;
		prefix_format(&settings->allow.at[i].prefix, text);
		snprintf(what, sizeof(what), "covers %s, which is on the allow list and would stay "
			 "allowed", text);
		return refuse(err, prefix, what);
	}
	return 0;
}
