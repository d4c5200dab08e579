// SPDX-License-Identifier: GPL-2.0-only
/* The tool: reads its options and runs one command. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/command.h"
#include "user/cli/complete.h"
#include "user/host/services.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/state/datapath.h"

static bool parse_options(int argc, char **argv, struct call *call)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },    { "pretty", no_argument, NULL, 'p' },
		{ "quiet", no_argument, NULL, 'q' },   { "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },    { 0 },
	};
	static char *help[] = { "help", NULL };
	int option;

	while ((option = getopt_long(argc, argv, "+jpqvh", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			call->json = true;
			break;
		case 'p':
			call->json = call->pretty = true;
			break;
		case 'q':
			call->quiet = true;
			break;
		case 'v':
			call->verbose = true;
			break;
		case 'h':
			call->words = (struct words){ help };
			return true;
		default:
			return false;
		}
	}
	call->words = (struct words){ argv + optind };
	return true;
}

static enum outcome run_command(struct call *call)
{
	const char *object = *call->words.next;
	char err[ERR_LEN];

	if (!strcmp(object, "help")) {
		print_help(stdout);
		return DONE;
	}
	call->command = find_command(&call->words, err);
	if (!call->command)
		return unknown_command(object, err);
	datapath_verbose(call->verbose);
	return call->command->edit ? run_edit(call) : call->command->run(call);
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
	if (!call.command || !call.command->run)
		return fail(err, EINVAL, "%s is not a read command", line);
	outcome = call.command->run(&call);
	return outcome == DONE && *answer ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	enum outcome outcome;

	parse_services_with(service_look_up_host);
	if (argc > 1 && !strcmp(argv[1], "complete"))
		return complete(argv + 2);
	if (!parse_options(argc, argv, &call) || !*call.words.next) {
		print_help(stderr);
		return USAGE;
	}
	outcome = run_command(&call);
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
