// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any text as a file of settings, the words of its commands included: `weir restore` reads it up
 * to where it would open the files of lists and the maps. A text is read as a whole, or refused
 * with its line. What the commands set must compile into a policy, and comments must be fit for a
 * terminal.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/cli/cmd_save.c"
#include "user/model/text.h"

#define NOW_NS	1000000000000000ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Of main.c, which the fuzzer replaces. */
int command_answer(const char *line, json_t **answer, char *err)
{
	(void)line, (void)answer;
	return fail(err, ENOSYS, "not here");
}

static void check_message(const char *err)
{
	char shown[8 * ERR_LEN];

	must(strnlen(err, ERR_LEN) < ERR_LEN && !strncmp(err, "file:", 5));
	must(text_is_plain(text_escape(err, shown, sizeof(shown))));
}

static void check_entries(const struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->at[i];
		struct prefix prefix = entry->prefix;

		must(prefix.length <= 128 && !prefix_mask(&prefix));
		must(memchr(entry->value.comment, 0, WEIR_COMMENT) != NULL);
		must(text_is_plain(entry->value.comment));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { .name = "file", .now_ns = NOW_NS, .now_unix_s = 1700000000 };
	char err[ERR_LEN] = "";
	FILE *file;

	if (!size)
		return 0;
	file = fmemopen((void *)data, size, "r");
	must(file && !settings_init(&script.settings));
	if (read_script(&script, file, err)) {
		check_message(err);
	} else {
		check_entries(&script.settings.allow);
		check_entries(&script.settings.block);
		must(!policy_compile(script.settings.policy, err));
	}
	fclose(file);
	script_free(&script);
	return 0;
}
