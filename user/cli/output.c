// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "user/cli/output.h"

/* Whether it could be written is told once, at the end of main(). */
enum outcome print_json(const struct call *call, json_t *root)
{
	if (!root)
		return failed(call, "out of memory");
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
