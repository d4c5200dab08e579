// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "user/cmd_output.h"

int open_maps(struct maps *maps, enum maps_use use, char *err)
{
	int rc = maps_open(maps, use, err);

	if (rc)
		return rc;
	rc = lists_recover(maps, err);
	if (rc)
		maps_close(maps);
	return rc;
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

enum outcome print_json(const struct call *call, json_t *root)
{
	enum outcome outcome = DONE;

	if (!root)
		return failed("out of memory");
	if (call->json) {
		if (json_dumpf(root, stdout, call->pretty ? JSON_INDENT(2) : JSON_COMPACT) ||
		    putchar('\n') == EOF || fflush(stdout))
			outcome = failed("cannot write to standard output");
	}
	json_decref(root);
	return outcome;
}
