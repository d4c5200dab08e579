// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "user/cli/output.h"
#include "user/state/listen.h"

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

void close_maps(struct maps *maps, enum outcome outcome)
{
	char ignored[ERR_LEN];

	if (outcome != DONE && maps->made)
		maps_unpin(maps, ignored);
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

/* Whether it could be written is told once, at the end of main(). */
enum outcome print_json(const struct call *call, json_t *root)
{
	if (!root)
		return failed("out of memory");
	if (call->answer) {
		*call->answer = root;
		return DONE;
	}
	if (call->json) {
		json_dumpf(root, stdout, call->pretty ? JSON_INDENT(2) : JSON_COMPACT);
		putchar('\n');
	}
	json_decref(root);
	return DONE;
}

bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string != NULL;
}
