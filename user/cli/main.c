// SPDX-License-Identifier: GPL-2.0-only
/* The tool: a table of commands, and what is common to all of them. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/state/datapath.h"
#include "user/model/error.h"
#include "user/state/judgements.h"
#include "user/model/policy.h"
#include "user/model/table.h"

#define HELP_INDENT	8
#define GRAMMAR_INDENT	10

#define LIMIT_MATCH "[from PREFIX] [proto tcp|udp|icmp|N|any] [syn|fragment] [dport N[-M]]"

/* The one place for the grammar: what is called, helped with and understood by `restore`. */
static const struct command commands[] = {
	{ "attach", NULL, "dev IF [mode native|skb|auto] [monitor] [try 60s]",
	  "put weir on an interface; on a running one, swap it without a gap", .run = cmd_attach },
	{ "confirm", NULL, "[dev IF]", "keep what was attached with `try`; unconfirmed it ends by itself",
	  .run = cmd_confirm },
	{ "detach", NULL, "dev IF | all [keep]",
	  "take it off; with the last one settings go too, unless `keep`", .run = cmd_detach },
	{ "limit", "set", LIMIT_MATCH " rate R [rate R] [burst B] [per BITS]",
	  "limit each source; R as 1000pps, 100/min, 20/h or 50mbit",
	  .edit = edit_limit_set, .needs = MAKES_MAPS },
	{ "limit", "show", "", "the limits in force", .run = cmd_limit_show },
	{ "limit", "del", LIMIT_MATCH, "remove one limit",
	  .edit = edit_limit_del, .needs = NEEDS_MAPS },
	{ "limit", "flush", "", "remove all limits",
	  .edit = edit_limit_flush, .needs = NEEDS_MAPS },
	{ "budget", "set", "NAME [to PREFIX] [proto tcp|udp|icmp|N|any] [syn|fragment] [dport N[-M]] "
			   "rate R [rate R] [burst B]",
	  "what all sources together may send to a service; when it is used up, known sources "
	  "go first", .edit = edit_budget_set, .needs = MAKES_MAPS },
	{ "budget", "show", "", "", .run = cmd_budget_show },
	{ "budget", "del", "NAME", "", .edit = edit_budget_del, .needs = NEEDS_MAPS },
	{ "syn", "protect", "dport N[-M] [to PREFIX] [always|when-over-budget] [set-sysctl] [force]",
	  "answer SYNs to a service of this host by the kernel's cookies",
	  .edit = edit_syn_protect, .needs = MAKES_MAPS },
	{ "syn", "show", "", "", .run = cmd_syn_show },
	{ "syn", "del", "dport N[-M]", "", .edit = edit_syn_del, .needs = NEEDS_MAPS },
	{ "known", "show", "[ADDRESS...]", "how many sources are known, or whether these are",
	  .run = cmd_known_show },
	{ "known", "import", "FILE|-", "make known who stands in the file, one a line",
	  .run = cmd_known_import },
	{ "known", "export", "FILE|-", "write all known sources, one a line",
	  .run = cmd_known_export },
	{ "known", "flush", "", "forget them all", .run = cmd_known_flush },
	{ "allow", "add", "PREFIX... [comment TEXT]", "sources that always pass",
	  .edit = edit_allow_add, .needs = MAKES_MAPS },
	{ "allow", "del", "PREFIX...", "", .edit = edit_allow_del, .needs = NEEDS_MAPS },
	{ "allow", "show", "", "", .run = cmd_allow_show },
	{ "allow", "test", "PREFIX...", "exit 0: all allowed, 1: not", .run = cmd_allow_test },
	{ "allow", "flush", "", "", .edit = edit_allow_flush, .needs = NEEDS_MAPS },
	{ "block", "add", "PREFIX... [ttl 10m] [comment TEXT] [force]",
	  "sources that never pass, for good or for a while",
	  .edit = edit_block_add, .needs = MAKES_MAPS },
	{ "block", "del", "PREFIX...", "", .edit = edit_block_del, .needs = NEEDS_MAPS },
	{ "block", "show", "", "", .run = cmd_block_show },
	{ "block", "test", "PREFIX...", "asks the entries and every list; exit 0: all blocked, 1: not",
	  .run = cmd_block_test },
	{ "block", "flush", "", "", .edit = edit_block_flush, .needs = NEEDS_MAPS },
	{ "list", "load", "NAME file F [format auto|plain|ipsum|ndjson|ipset|nft] [skip-bad] [force]",
	  "load a blocklist, or its next generation", .run = cmd_list_load },
	{ "list", "show", "", "", .run = cmd_list_show },
	{ "list", "diff", "NAME [file F]", "from the previous generation, or to a file",
	  .run = cmd_list_diff },
	{ "list", "rollback", "NAME", "back to the previous generation", .run = cmd_list_rollback },
	{ "list", "del", "NAME", "", .run = cmd_list_del },
	{ "check", NULL, "ADDRESS [proto P] [syn|fragment] [dport N] [to ADDRESS]",
	  "what would happen to such a packet now, and by which rule", .run = cmd_check },
	{ "save", NULL, "", "all that a person set, as commands", .run = cmd_save },
	{ "restore", NULL, "FILE|- [check]", "set exactly what the file says, or nothing",
	  .run = cmd_restore },
	{ "show", "status", "", "what is attached and what is set", .run = cmd_show_status },
	{ "show", "stats", "[dev IF]", "packets and bytes by reason", .run = cmd_show_stats },
	{ "show", "sources", "[top N]", "the sources near or over their limit, worst first",
	  .run = cmd_show_sources },
	{ "show", "source", "ADDRESS", "what weir knows of one source", .run = cmd_show_source },
	{ "show", "bans", "", "what is blocked for a while, by whom and why", .run = cmd_show_bans },
	{ "ban-log", NULL, "[last N]", "what the daemon judged, with the evidence",
	  .run = cmd_ban_log },
	{ "daemon", "check", "[config FILE]", "whether its settings file is right, and what holds",
	  .run = cmd_daemon_check },
	{ "daemon", NULL, "[config FILE] [monitor]",
	  "ban by itself, keep lists in step; in the foreground, `monitor`: only judge",
	  .run = cmd_daemon },
	{ "show", "networks", "[top N]", "of whose newcomers budgets turned most away, worst first",
	  .run = cmd_show_networks },
	{ "show", "health", "", "how full the tables are, how the daemon does",
	  .run = cmd_show_health },
	{ "show", "known", "[ADDRESS...]", "as `known show`", .run = cmd_known_show },
	{ "monitor", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S]",
	  "dropped packets, judgements and bans as they happen, until interrupted",
	  .run = cmd_monitor },
	{ "metrics", NULL, "[openmetrics]", "for Prometheus, by node_exporter's textfile collector",
	  .run = cmd_metrics },
	{ "capture", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S] write FILE|-",
	  "samples of dropped packets, with the reason of each, as pcapng", .run = cmd_capture },
	{ "top", NULL, "", "rates by reason, budgets, and who is dropped most, on a terminal",
	  .run = cmd_top },
	{ 0 },
};

/* ---- words and messages ---- */

static void print_command(FILE *to, const struct command *command)
{
	int at = fprintf(to, "  weir %s%s%s", command->object, command->verb ? " " : "",
			 command->verb ? command->verb : "");

	print_wrapped(to, command->words, at, GRAMMAR_INDENT);
}

enum outcome usage(const struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "weir: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\nusage:\n");
	va_end(args);
	print_command(stderr, call->command);
	return USAGE;
}

/* Where the calling thread's failures are written to; NULL: to standard error. */
static __thread char *failure;

enum outcome failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (failure) {
		vsnprintf(failure, ERR_LEN, format, args);
		va_end(args);
		return FAILED;
	}
	fprintf(stderr, "weir: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	return FAILED;
}

void remark(const struct call *call, const char *format, ...)
{
	va_list args;

	if (call->quiet)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}

/* ---- changes of the settings ---- */

/* Against empty settings: whether the words are right can be told without any maps. */
static enum outcome rehearse(const struct command *command, char **words, char *said)
{
	static const struct prefixes nobody;
	struct edit edit = { .words = words, .own = &nobody };
	struct settings empty;
	enum outcome outcome;

	if (settings_init(&empty)) {
		fail(said, ENOMEM, "out of memory");
		return FAILED;
	}
	edit.settings = &empty;
	outcome = command->edit(&edit);
	settings_free(&empty);
	snprintf(said, ERR_LEN, "%s", edit.err);
	return outcome == USAGE ? USAGE : DONE;
}

static enum outcome edit_maps(const struct command *command, char **words, struct maps *maps,
			      const struct prefixes *own, char *said)
{
	struct settings was, is;
	struct edit edit = { .words = words, .settings = &is, .own = own, .now_ns = now_ns(),
			     .now_unix_s = time(NULL) };
	enum outcome outcome;

	if (maps_read_settings(maps, &was, said))
		return FAILED;
	if (settings_copy(&is, &was)) {
		settings_free(&was);
		fail(said, ENOMEM, "out of memory");
		return FAILED;
	}
	entries_expire(&is.block, edit.now_ns);
	outcome = command->edit(&edit);
	if (outcome == DONE && edit.changed &&
	    (policy_compile(is.policy, edit.err) ||
	     maps_write_settings(maps, &was, &is, false, edit.err) ||
	     judgements_note_undone(maps, &was, &is, edit.err)))
		outcome = FAILED;
	snprintf(said, ERR_LEN, "%s", outcome == DONE ? edit.said : edit.err);
	settings_free(&is);
	settings_free(&was);
	return outcome;
}

static enum outcome do_edit(const struct command *command, char **words, char *said)
{
	enum outcome outcome = rehearse(command, words, said);
	struct prefixes own = { 0 };
	struct maps maps;

	if (outcome != DONE)
		return outcome;
	if (open_maps(&maps, command->needs == MAKES_MAPS ? MAPS_CREATE : MAPS_WRITE, said))
		return FAILED;
	if (own_addresses(&own)) {
		fail(said, EIO, "cannot read this host's addresses");
		outcome = FAILED;
	} else {
		outcome = edit_maps(command, words, &maps, &own, said);
	}
	prefixes_free(&own);
	close_maps(&maps, outcome);
	return outcome;
}

static enum outcome run_edit(const struct call *call)
{
	char said[ERR_LEN] = "";
	enum outcome outcome = do_edit(call->command, call->words, said);

	if (outcome == USAGE)
		return usage(call, "%s", said);
	if (outcome == FAILED)
		return failed("%s", said);
	if (said[0])
		remark(call, "%s", said);
	return DONE;
}

enum outcome edit_by_words(char **words, char said[ERR_LEN])
{
	const struct command *command = find_command(&words, said);

	return command && command->edit ? do_edit(command, words, said) : USAGE;
}

/* ---- the command line ---- */

static void print_help(FILE *to)
{
	fprintf(to, "usage: weir [-j|--json] [-p|--pretty] [-q|--quiet] [-v|--verbose] "
		    "COMMAND ...\n\n");
	for (const struct command *command = commands; command->object; command++) {
		print_command(to, command);
		if (*command->help)
			print_wrapped(to, command->help, fprintf(to, "%*s", HELP_INDENT, ""),
				      HELP_INDENT);
	}
	fprintf(to, "\nExit status: 0 done, 1 failed, 2 wrong usage.\n");
}

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
			call->words = help;
			return true;
		default:
			return false;
		}
	}
	call->words = argv + optind;
	return true;
}

static bool is_object(const char *object)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object))
			return true;
	return false;
}

/* Exact words only: a prefix that is unique today would break with tomorrow's command. */
const struct command *find_command(char ***words, char *err)
{
	const char *object = take_value(words), *verb = **words;
	char quoted[PREFIX_QUOTE];

	for (const struct command *command = commands; command->object; command++) {
		if (strcmp(command->object, object) ||
		    (command->verb && !take_word(words, command->verb)))
			continue;
		if (!*command->words && no_more_words(*words, err))
			return NULL;
		return command;
	}
	if (!is_object(object)) {
		prefix_quote(object, strlen(object), quoted);
		fail(err, ENOENT, "no command %s; `weir help` lists them", quoted);
	} else if (verb) {
		prefix_quote(verb, strlen(verb), quoted);
		fail(err, ENOENT, "%s has no verb %s", object, quoted);
	} else {
		fail(err, ENOENT, "%s needs a verb", object);
	}
	return NULL;
}

static enum outcome unknown_command(const char *object, const char *err)
{
	fprintf(stderr, "weir: %s\n", err);
	if (is_object(object))
		fprintf(stderr, "usage:\n");
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object))
			print_command(stderr, command);
	return USAGE;
}

static enum outcome run_command(struct call *call)
{
	const char *object = *call->words;
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
	struct call call = { .words = words, .json = true, .quiet = true, .answer = answer };
	enum outcome outcome;

	snprintf(copy, sizeof(copy), "%s", line);
	for (size_t i = 0; i < ANSWER_WORDS; i++)
		words[i] = strtok_r(i ? NULL : copy, " ", &rest);
	*answer = NULL;
	call.command = find_command(&call.words, err);
	if (!call.command || !call.command->run)
		return fail(err, EINVAL, "%s is no read command", line);
	failure = err;
	outcome = call.command->run(&call);
	failure = NULL;
	return outcome == DONE && *answer ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct call call = { 0 };
	enum outcome outcome;

	if (!parse_options(argc, argv, &call) || !*call.words) {
		print_help(stderr);
		return USAGE;
	}
	outcome = run_command(&call);
	/* On a full disk half an answer must not look like the whole. */
	if (fflush(stdout) || ferror(stdout))
		return failed("cannot write to standard output");
	return outcome;
}
