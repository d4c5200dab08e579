// SPDX-License-Identifier: GPL-2.0-only
/* The table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/command.h"
#include "user/model/error.h"
#include "user/model/table.h"
#include "user/model/text.h"

#define HELP_INDENT	8
#define GRAMMAR_INDENT	10

/* Former names of objects: understood everywhere, listed nowhere. */
static const struct {
	const char *name, *object;
} aliases[] = { { "monitor", "events" } };

#define PACKET_MATCH "[proto tcp|udp|icmp|N|any] [syn|fragment] [dport N[-M]] [sport N[-M]]"
#define LIMIT_MATCH "[from PREFIX] " PACKET_MATCH

/*
 * The grammar of the tool in one place: the command line, `help`, `restore`, the completion and the
 * test of the man page use it.
 */
const struct command commands[] = {
	{ "attach", NULL, "dev IF [mode native|skb|auto] [link R|off] [monitor] [try 60s] [force]",
	  "attach weir to an interface, or replace its program there without a gap",
	  .run = cmd_attach },
	{ "confirm", NULL, "[dev IF]",
	  "keep what was attached with `try`, which otherwise ends automatically",
	  .run = cmd_confirm },
	{ "detach", NULL, "dev IF | all [keep]",
	  "detach it; with the last interface the settings are removed too, unless `keep`",
	  .run = cmd_detach },
	{ "limit", "set", LIMIT_MATCH " rate R [rate R] [burst B] [per BITS] [force]",
	  "limit each source; R is a rate such as 1000pps, 100/min, 20/h or 50mbit",
	  .edit = edit_limit_set, .needs = MAKES_MAPS },
	{ "limit", "show", "", "the limits in force", .run = cmd_limit_show },
	{ "limit", "del", LIMIT_MATCH " [force]", "remove one limit",
	  .edit = edit_limit_del, .needs = NEEDS_MAPS },
	{ "limit", "flush", "", "remove all limits",
	  .edit = edit_limit_flush, .needs = NEEDS_MAPS },
	{ "suggest", NULL, "[seconds S] [dev IF]",
	  "what sources send, by class, and limits that none of them would run into: from what the "
	  "daemon has kept, or from 60 seconds of traffic", .run = cmd_suggest },
	{ "budget", "set", "NAME [to PREFIX] " PACKET_MATCH
			   " rate R [rate R] [burst B] [force]",
	  "limit what all sources together send to a service; when it is used up, known sources "
	  "pass first", .edit = edit_budget_set, .needs = MAKES_MAPS },
	{ "budget", "show", "", "the budgets, and how much of each is used",
	  .run = cmd_budget_show },
	{ "budget", "del", "NAME", "remove one budget",
	  .edit = edit_budget_del, .needs = NEEDS_MAPS },
	{ "syn", "protect", "dport N[-M] [to PREFIX] [always|when-over-budget] [set-sysctl] [force]",
	  "answer SYNs to a service of this host with cookies that its kernel accepts",
	  .edit = edit_syn_protect, .needs = MAKES_MAPS },
	{ "syn", "share", "PERCENT%|default",
	  "the part of each core's time that cookies may take, 30% by default",
	  .edit = edit_syn_share, .needs = MAKES_MAPS },
	{ "syn", "show", "", "the services that cookies protect", .run = cmd_syn_show },
	{ "syn", "del", "dport N[-M]", "no longer answer SYNs to this service",
	  .edit = edit_syn_del, .needs = NEEDS_MAPS },
	{ "dns", "protect", "[to PREFIX] [dport N] [always|when-over-budget] [force]",
	  "answer DNS queries over UDP of sources that are not proven with \"truncated\", so that "
	  "real resolvers come by TCP; the port is 53 unless told otherwise",
	  .edit = edit_dns_protect, .needs = MAKES_MAPS },
	{ "dns", "show", "", "the DNS services that are protected", .run = cmd_dns_show },
	{ "dns", "del", "[to PREFIX] [dport N]", "no longer answer queries to this service",
	  .edit = edit_dns_del, .needs = NEEDS_MAPS },
	{ "known", "show", "[ADDRESS...]",
	  "the number of known sources by tier, or the tier of these addresses",
	  .run = cmd_known_show },
	{ "known", "import", "FILE|- [as seen]",
	  "vouch for the sources in the file, one a line; all of them or none",
	  .run = cmd_known_import },
	{ "known", "export", "FILE|-", "write all proven sources, one a line",
	  .run = cmd_known_export },
	{ "known", "flush", "", "forget all known sources", .run = cmd_known_flush },
	{ "allow", "add", "PREFIX...|ssh [comment TEXT] [force [block] [coverage]]",
	  "sources that always pass; `ssh`: those of the present SSH sessions",
	  .edit = edit_allow_add, .needs = MAKES_MAPS },
	{ "allow", "del", "PREFIX... [force]", "remove entries",
	  .edit = edit_allow_del, .needs = NEEDS_MAPS },
	{ "allow", "show", "", "the allowed sources", .run = cmd_allow_show },
	{ "allow", "test", "PREFIX...", "exit status 0: all are allowed, 1: not all",
	  .run = cmd_allow_test },
	{ "allow", "flush", "[force]", "remove all allow entries",
	  .edit = edit_allow_flush, .needs = NEEDS_MAPS },
	{ "block", "add", "PREFIX... [ttl 10m] [comment TEXT] [force [own] [allow] [coverage] [ssh]]",
	  "sources that never pass, permanently or for a time",
	  .edit = edit_block_add, .needs = MAKES_MAPS },
	{ "block", "del", "PREFIX...", "remove entries, bans included",
	  .edit = edit_block_del, .needs = NEEDS_MAPS },
	{ "block", "show", "", "the blocked sources", .run = cmd_block_show },
	{ "block", "test", "PREFIX...",
	  "looks in the entries and in all lists; exit status 0: all are blocked, 1: not all",
	  .run = cmd_block_test },
	{ "block", "flush", "", "remove all block entries, bans included",
	  .edit = edit_block_flush, .needs = NEEDS_MAPS },
	{ "list", "load", "NAME file F [format auto|plain|ipsum|ndjson|ipset|nft] [skip-bad] "
			  "[force [own] [allow] [size] [coverage] [ssh]]",
	  "load a blocklist, or its next generation", .run = cmd_list_load },
	{ "list", "show", "", "the lists that are loaded", .run = cmd_list_show },
	{ "list", "diff", "NAME [file F]", "the changes from the previous generation, or to a file",
	  .run = cmd_list_diff },
	{ "list", "rollback", "NAME [force]", "return to the previous generation",
	  .run = cmd_list_rollback },
	{ "list", "del", "NAME", "remove a list", .run = cmd_list_del },
	{ "check", NULL, "ADDRESS [proto P] [syn|fragment] [dport N] [sport N] [to ADDRESS]",
	  "what would happen to such a packet now, and which rule decides", .run = cmd_check },
	{ "save", NULL, "", "the operator's settings, as commands", .run = cmd_save },
	{ "restore", NULL, "FILE|- [check] [force [ssh]]",
	  "replace all settings by those of the file, or change nothing",
	  .run = cmd_restore },
	{ "show", "status", "", "the interfaces, what is set, and what of it is at work",
	  .run = cmd_show_status },
	{ "show", "stats", "[dev IF] [rates]",
	  "packets and bytes by reason; on a terminal, or with `rates`, also packets per second",
	  .run = cmd_show_stats },
	{ "show", "reasons", "[REASON]", "what each reason means, and what to do about it",
	  .run = cmd_show_reasons },
	{ "show", "sources", "[all] [top N] [seconds S]",
	  "the sources near or over their limit, worst first; `all`: those that send most, under "
	  "their limit too, from samples of three seconds", .run = cmd_show_sources },
	{ "show", "source", "ADDRESS", "the buckets of one source", .run = cmd_show_source },
	{ "show", "bans", "", "the bans: blocks for a time, with origin and reason",
	  .run = cmd_show_bans },
	{ "ban-log", NULL, "[last N]", "the daemon's judgements, with the evidence",
	  .run = cmd_ban_log },
	{ "daemon", "check", "[config FILE]",
	  "check the daemon's settings file, and show the settings in force",
	  .run = cmd_daemon_check },
	{ "daemon", NULL, "[config FILE] [judge]",
	  "ban automatically and keep lists up to date, in the foreground; `judge`: ban nothing, "
	  "only record judgements",
	  .run = cmd_daemon },
	{ "show", "networks", "[top N]",
	  "the networks of newcomers from which budgets dropped most, worst first",
	  .run = cmd_show_networks },
	{ "show", "health", "", "how full the tables are, and the state of the daemon",
	  .run = cmd_show_health },
	{ "show", "known", "[ADDRESS...]", "the same as `known show`", .run = cmd_known_show },
	{ "events", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S]",
	  "dropped packets, judgements and bans as they happen, until interrupted",
	  .run = cmd_events },
	{ "metrics", NULL, "[openmetrics]",
	  "the metrics for Prometheus, as node_exporter's textfile collector reads them",
	  .run = cmd_metrics },
	{ "capture", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S] write FILE|-",
	  "samples of dropped packets with their reasons, as pcapng", .run = cmd_capture },
	{ "explain", NULL, "[dev IF] [seconds S] [to PREFIX] [proto P] [calm FILE]",
	  "what the packets that are turned away have in common, and drop rules that match them and "
	  "no calm traffic", .run = cmd_explain },
	{ "top", NULL, "", "rates by reason, budgets, and the sources dropped most, on a terminal",
	  .run = cmd_top },
	{ 0 },
};

void print_command(FILE *to, const struct command *command)
{
	int at = fprintf(to, "  weir %s%s%s", command->object, command->verb ? " " : "",
			 command->verb ? command->verb : "");

	print_wrapped(to, command->words, at, GRAMMAR_INDENT);
}

void print_help(FILE *to)
{
	fprintf(to, "usage: weir [-j|--json] [-p|--pretty] [-q|--quiet] [-v|--verbose] "
		    "COMMAND ...\n\n");
	for (const struct command *command = commands; command->object; command++) {
		print_command(to, command);
		if (*command->help)
			print_wrapped(to, command->help, fprintf(to, "%*s", HELP_INDENT, ""),
				      HELP_INDENT);
	}
	fprintf(to, "\nExit status: 0 done, 1 failed, 2 wrong usage; 3: restored, but not each list\n"
		"from its file.\n");
}

static const char *resolve_alias(const char *object)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		if (!strcmp(aliases[i].name, object))
			return aliases[i].object;
	return object;
}

/* @verb NULL: looks for the command that is its object alone. */
static const struct command *look_up(const char *object, const char *verb)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object) && !command->verb == !verb &&
		    (!verb || !strcmp(command->verb, verb)))
			return command;
	return NULL;
}

static bool is_object(const char *object)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object))
			return true;
	return false;
}

/* Exact words only: an abbreviation that is unique now may be ambiguous in the next version. */
const struct command *find_command(struct words *words, char *err)
{
	const char *object = resolve_alias(take_value(words)), *verb = *words->next;
	const struct command *command = verb ? look_up(object, verb) : NULL;
	char quoted[PREFIX_QUOTE];

	if (command)
		take_value(words);
	else
		command = look_up(object, NULL);
	if (command)
		return !*command->words && no_more_words(words, err) ? NULL : command;
	if (!is_object(object)) {
		prefix_quote(object, strlen(object), quoted);
		fail(err, ENOENT, "there is no command %s; `weir help` lists them", quoted);
	} else if (verb) {
		prefix_quote(verb, strlen(verb), quoted);
		fail(err, ENOENT, "%s has no verb %s", object, quoted);
	} else {
		fail(err, ENOENT, "%s needs a verb", object);
	}
	return NULL;
}

enum outcome unknown_command(const char *name, const char *err)
{
	const char *object = resolve_alias(name);

	fputs("weir: ", stderr);
	text_print(stderr, err);
	fputc('\n', stderr);
	if (is_object(object))
		fprintf(stderr, "usage:\n");
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object))
			print_command(stderr, command);
	return USAGE;
}
