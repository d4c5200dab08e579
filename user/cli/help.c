// SPDX-License-Identifier: GPL-2.0-only
/* weir help, weir version: what the tables of commands.c say. */
#include <stdio.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/table.h"

#define HELP_INDENT	8
#define GRAMMAR_INDENT	10
#define WHAT_INDENT	12

/* The objects by subject. What an object without verbs does, its own row of commands[] says. */
static const struct {
	const char *title, *object, *what;
} overview[] = {
	{ "Interfaces", "attach", "put weir on an interface, or replace its program there" },
	{ "", "confirm", "keep what was attached with `try`" },
	{ "", "detach", "take weir off an interface, or off all" },
	{ "Rates", "limit", "what each source may send" },
	{ "", "budget", "what all sources together may send to a service" },
	{ "", "suggest", "what sources send, and limits that would touch none" },
	{ "", "preset", "limits for the floods of reflectors" },
	{ "", "syn", "services whose SYNs are answered with cookies" },
	{ "", "dns", "DNS services whose queries are answered with \"truncated\"" },
	{ "", "drop", "packets that are dropped for what they look like" },
	{ "Sources", "allow", "sources that always pass" },
	{ "", "block", "sources that never pass" },
	{ "", "ban", "the same as `block add` for a time" }, { "", "unban" },
	{ "", "list", "blocklists from files" },
	{ "", "known", "sources that pass first where a budget is used up" },
	{ "Looking", "show", "" }, { "", "check" },
	{ "", "top", "rates, budgets and the worst sources, on a terminal" },
	{ "", "events", "dropped packets, judgements and bans as they happen" },
	{ "", "capture" }, { "", "ban-log" },
	{ "", "explain", "what a flood has in common, and drop rules that match it" },
	{ "", "doctor", "what on this machine costs packets, and what mends it" },
	{ "", "incidents", "floods that were recorded, and reports on them" },
	{ "", "metrics", "the metrics for Prometheus, as text" },
	{ "Settings", "save" }, { "", "restore" },
	{ "", "daemon", "judge sources, ban them if told to, keep lists up to date" },
	{ "", "help" }, { "", "version" },
	{ 0 },
};

void print_command(FILE *to, const struct command *command)
{
	int at = fprintf(to, "  weir %s%s%s", command->object, command->verb ? " " : "",
			 command->verb ? command->verb : "");

	/* A name that ends where the next lines begin needs its blank all the same. */
	print_wrapped(to, command->words, at == GRAMMAR_INDENT ? at + 1 : at, GRAMMAR_INDENT);
}

static const char usage_line[] = "usage: weir [-j|--json] [-p|--pretty] [-q|--quiet] [-v|--verbose] "
				 "COMMAND ...\n";
static const char exit_lines[] =
	"Exit status: 0 done, 1 failed, 2 wrong usage; 3: restored, but not each list\n"
	"from its file.\n";

/* ---- in short ---- */

/* What the object is for, and its verbs. */
static void print_object(FILE *to, const char *object, const char *what)
{
	char text[512];
	size_t length = snprintf(text, sizeof(text), "%s", what ? what : "");
	const char *between = length ? ": " : "";

	for (const struct command *command = commands; command->object; command++) {
		if (strcmp(command->object, object))
			continue;
		if (!command->verb && !what)
			length = snprintf(text, sizeof(text), "%s", command->help);
		else if (command->verb && length < sizeof(text))
			length += snprintf(text + length, sizeof(text) - length, "%s%s", between,
					   command->verb);
		between = ", ";
	}
	print_wrapped(to, text, fprintf(to, "  %-*s", WHAT_INDENT - 2, object), WHAT_INDENT);
}

void print_usage(FILE *to)
{
	fprintf(to, "%s`weir help` lists the commands\n", usage_line);
}

static void print_overview(FILE *to)
{
	fputs(usage_line, to);
	for (size_t i = 0; overview[i].object; i++) {
		if (*overview[i].title)
			fprintf(to, "%s\n", overview[i].title);
		print_object(to, overview[i].object, overview[i].what);
	}
	fprintf(to, "`weir help OBJECT` has the words of its commands, and examples; `weir help all`\n"
		    "has the words of all. Options may stand anywhere; `--` ends them.\n");
	fputs(exit_lines, to);
}

/* ---- in full ---- */

static void print_help_text(const struct command *command)
{
	if (*command->help)
		print_wrapped(stdout, command->help, printf("%*s", HELP_INDENT, ""), HELP_INDENT);
}

/* "  weir OTHER = weir COMMAND": the completion reads these lines, and those of the commands. */
static void print_same(const struct alias *alias)
{
	bool any = !strcmp(alias->object, "*");

	for (const struct command *command = commands; command->object; command++)
		if (command == alias_of(alias, any ? command->object : alias->object))
			printf("  weir %s%s%s = weir %s%s%s\n", any ? command->object : alias->object,
			       alias->verb ? " " : "", alias->verb ? alias->verb : "",
			       command->object, command->verb ? " " : "",
			       command->verb ? command->verb : "");
}

static void print_all(void)
{
	printf("%s\n", usage_line);
	for (const struct command *command = commands; command->object; command++) {
		print_command(stdout, command);
		print_help_text(command);
	}
	printf("\nOther words for the same, on the command line alone:\n");
	for (const struct alias *alias = aliases; alias->object; alias++)
		print_same(alias);
	printf("\n%s", exit_lines);
}

static void print_examples(const struct command *command)
{
	for (size_t i = 0; i < sizeof(command->examples) / sizeof(*command->examples); i++)
		if (command->examples[i])
			printf("%*s$ %s\n", HELP_INDENT, "", command->examples[i]);
}

/* The other words that mean @command. */
static void print_aliases(const struct command *command)
{
	char text[512] = "the same:";
	size_t length = strlen(text);

	for (const struct alias *alias = aliases; alias->object; alias++) {
		bool any = !strcmp(alias->object, "*");
		const char *object = any ? command->object : alias->object;

		if (alias_of(alias, object) == command && length < sizeof(text))
			length += snprintf(text + length, sizeof(text) - length, "%s `weir %s%s%s`",
					   text[length - 1] == ':' ? "" : ",", object,
					   alias->verb ? " " : "", alias->verb ? alias->verb : "");
	}
	if (text[length - 1] != ':')
		print_wrapped(stdout, text, printf("%*s", HELP_INDENT, ""), HELP_INDENT);
}

static void print_in_full(const struct command *command)
{
	print_command(stdout, command);
	print_help_text(command);
	print_aliases(command);
	print_examples(command);
}

/* The commands of @object, or the one that @words name; false: there are none. */
static bool print_help_of(const struct words *words)
{
	struct words rest = *words;
	char ignored[ERR_LEN];
	const struct command *one = find_command(&rest, ignored);
	bool any = false;

	if (one && (one->verb || strcmp(one->object, *words->next))) {
		print_in_full(one);
		return true;
	}
	for (const struct command *command = commands; command->object; command++) {
		if (strcmp(command->object, *words->next))
			continue;
		print_in_full(command);
		any = true;
	}
	return any;
}

enum outcome cmd_help(const struct call *call)
{
	const struct words *words = &call->words;

	if (!*words->next)
		print_overview(stdout);
	else if (!strcmp(*words->next, "all") && !words->next[1])
		print_all();
	else if (!print_help_of(words))
		return unknown_command(words);
	return DONE;
}

enum outcome cmd_version(const struct call *call)
{
	if (!call->json)
		printf("weir %s (ABI %d)\n", WEIR_VERSION, WEIR_ABI);
	return print_json(call, json_pack("{s:s, s:i}", "version", WEIR_VERSION, "abi", WEIR_ABI));
}
