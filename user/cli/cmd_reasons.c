// SPDX-License-Identifier: GPL-2.0-only
/* weir show reasons: what each reason means, and what to do. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/model/prefix.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/words.h"

#define NAME_WIDTH	15

static json_t *reason_json(enum weir_reason reason)
{
	const struct reason_text *text = reason_text(reason);

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "reason", reason_name(reason), "action",
			 reason_action(reason), "meaning", text->meaning, "remedy", text->remedy,
			 "more", text->more ? text->more : "");
}

/* "Nothing." is worth no words in a table. */
static bool has_remedy(const struct reason_text *text)
{
	return strcmp(text->remedy, "Nothing.");
}

static void print_reason(enum weir_reason reason)
{
	const struct reason_text *text = reason_text(reason);
	char both[1024];

	snprintf(both, sizeof(both), "%s%s%s", text->meaning, has_remedy(text) ? " " : "",
		 has_remedy(text) ? text->remedy : "");
	printf("%-*s ", NAME_WIDTH, reason_name(reason));
	print_wrapped(stdout, both, NAME_WIDTH + 1, NAME_WIDTH + 1);
}

static void print_actions(const char *action, const char *head)
{
	printf("%s\n", head);
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!strcmp(reason_action(i), action))
			print_reason(i);
}

static void print_all(void)
{
	print_actions("drop", "Dropped:");
	print_actions("tx", "\nAnswered:");
	print_actions("pass", "\nPassed:");
}

static void print_one(enum weir_reason reason)
{
	static const char *const actions[][2] = {
		{ "pass", "such packets pass" }, { "drop", "such packets are dropped" },
		{ "tx", "such packets are answered by weir" },
	};
	const struct reason_text *text = reason_text(reason);
	const char *action = "";

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(actions[i][0], reason_action(reason)))
			action = actions[i][1];
	printf("%s: %s\n", reason_name(reason), action);
	print_wrapped(stdout, text->meaning, 0, 0);
	if (text->more)
		print_wrapped(stdout, text->more, 0, 0);
	print_wrapped(stdout, text->remedy, printf("What to do:"), 0);
}

enum outcome cmd_show_reasons(const struct call *call)
{
	struct words words = call->words;
	const char *name = take_value(&words);
	enum weir_reason reason = name ? reason_find(name) : WEIR_REASON_MAX;
	char err[ERR_LEN], quoted[PREFIX_QUOTE];
	json_t *list;

	if (no_more_words(&words, err))
		return usage(call, "%s", err);
	if (name && reason == WEIR_REASON_MAX) {
		prefix_quote(name, strlen(name), quoted);
		return usage(call, "there is no reason %s; `weir show reasons` lists them", quoted);
	}
	if (!call->json && name)
		print_one(reason);
	else if (!call->json)
		print_all();
	list = json_array();
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!name || i == (int)reason)
			json_array_append_new(list, reason_json(i));
	return print_json(call, json_pack("{s:o}", "reasons", list));
}
