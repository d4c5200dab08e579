// SPDX-License-Identifier: GPL-2.0-only
/* The tool: reads its options and runs one command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/command.h"
#include "user/cli/complete.h"
#include "user/cli/grammar.h"
#include "user/host/services.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/prefix.h"
#include "user/state/datapath.h"

/* What the options say, and the words that are left. */
struct line {
	struct call *call;
	char **words;
	size_t count;
	bool help, version;
};

static const struct {
	char letter;
	const char *name;
} options[] = {
	{ 'j', "json" }, { 'p', "pretty" }, { 'q', "quiet" }, { 'v', "verbose" }, { 'h', "help" },
	{ 'V', "version" },
};

static void set_option(struct line *line, char letter)
{
	struct call *call = line->call;

	call->json |= letter == 'j' || letter == 'p';
	call->pretty |= letter == 'p';
	call->quiet |= letter == 'q';
	call->verbose |= letter == 'v';
	line->help |= letter == 'h';
	line->version |= letter == 'V';
}

/* Reads `-j`, `-jq` or `--json`; false: @word is none of these, and nothing was set. */
static bool take_option(struct line *line, const char *word)
{
	char letters[sizeof(options) / sizeof(*options) + 1] = "";

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		letters[i] = options[i].letter;
		if (word[1] != '-' || strcmp(word + 2, options[i].name))
			continue;
		set_option(line, options[i].letter);
		return true;
	}
	if (!word[1] || strspn(word + 1, letters) != strlen(word + 1))
		return false;
	for (const char *letter = word + 1; *letter; letter++)
		set_option(line, *letter);
	return true;
}

/* Whether what comes next is the value of a word, such as a comment "-j". */
static bool is_value_next(const struct line *line)
{
	struct words words = { line->words };
	const struct command *command;
	char ignored[ERR_LEN];

	line->words[line->count] = NULL;
	command = line->count ? find_command(&words, ignored) : NULL;
	return command && *words.next &&
	       grammar_has_value(command->words, line->words[line->count - 1]);
}

/*
 * Options may stand anywhere, and leave @argv. What begins with a dash and is no option, such as the
 * rate -5pps, is a word of the command, which refuses it by name.
 */
static int read_line(int argc, char **argv, struct line *line, char *err)
{
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		char *word = argv[i], quoted[PREFIX_QUOTE];

		if (!ended && word[0] == '-' && word[1] && !is_value_next(line)) {
			ended = !strcmp(word, "--");
			if (ended || take_option(line, word))
				continue;
			prefix_quote(word, strlen(word), quoted);
			if (!line->count)
				return fail(err, EINVAL, "there is no option %s", quoted);
		}
		line->words[line->count++] = word;
	}
	line->words[line->count] = NULL;
	return 0;
}

static enum outcome run_command(struct call *call)
{
	struct words typed = call->words;
	char err[ERR_LEN];

	call->command = find_command(&call->words, err);
	if (!call->command)
		return unknown_command(&typed);
	if (check_no_words(call->command, &call->words, err))
		return usage(call, "%s", err);
	datapath_verbose(call->verbose);
	return call->command->edit ? run_edit(call) : call->command->run(call);
}

/* `limit help` is understood as `help limit` is. */
static bool asks_for_help(const struct line *line)
{
	return line->help || (line->count == 2 && !strcmp(line->words[1], "help"));
}

static enum outcome run_line(struct line *line)
{
	struct call *call = line->call;

	call->words = (struct words){ line->words };
	if (line->version)
		return cmd_version(call);
	if (asks_for_help(line)) {
		/* Of what was typed only the command counts here. */
		if (line->count > 1 && !line->help)
			line->words[1] = NULL;
		return cmd_help(call);
	}
	return line->count ? run_command(call) : cmd_summary(call);
}

#define ANSWER_WORDS	8
#define ANSWER_LINE	64

int command_answer(const char *line, json_t **answer, char *err)
{
	char copy[ANSWER_LINE], *words[ANSWER_WORDS + 1] = { 0 }, *rest = NULL;
	struct call call = { .words = { words }, .json = true, .quiet = true, .answer = answer,
			     .failure = err };
	enum outcome outcome;

	snprintf(copy, sizeof(copy), "%s", line);
	for (size_t i = 0; i < ANSWER_WORDS; i++)
		words[i] = strtok_r(i ? NULL : copy, " ", &rest);
	*answer = NULL;
	call.command = find_command(&call.words, err);
	if (!call.command || !call.command->run || check_no_words(call.command, &call.words, err))
		return fail(err, EINVAL, "%s is not a read command", line);
	outcome = call.command->run(&call);
	return outcome == DONE && *answer ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	struct line line = { .call = &call, .words = argv + 1 };
	enum outcome outcome;
	char err[ERR_LEN];

	if (argc < 1)	/* then there is no room for the end of the words either */
		return USAGE;
	parse_services_with(service_look_up_host);
	if (argc > 1 && !strcmp(argv[1], "complete"))
		return complete(argv + 2);
	if (read_line(argc, argv, &line, err)) {
		failed(&call, "%s", err);
		print_usage(stderr);
		return USAGE;
	}
	outcome = run_line(&line);
	/*
	 * On a full disk an incomplete answer must not end with success. What could not be written
	 * earlier is still in the buffer, so that this tells the reason once more.
	 */
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && outcome == DONE)
		return failed(&call, "cannot write to standard output%s%s", errno ? ": " : "",
			      errno ? strerror(errno) : "");
	return outcome;
}
