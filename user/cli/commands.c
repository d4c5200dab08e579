// SPDX-License-Identifier: GPL-2.0-only
/* The table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/command.h"
#include "user/cli/grammar.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/spelling.h"
#include "user/model/text.h"

#define PACKET_MATCH "[proto tcp|udp|icmp|N|any] [syn|fragment] [dport N[-M],...] [sport N[-M],...] " \
		     "[icmp-type TYPE]"
#define LIMIT_MATCH "[from PREFIX] " PACKET_MATCH

/*
 * The grammar of the tool in one place: the command line, `help`, `restore`, the completion and the
 * test of the man page use it.
 */
const struct command commands[] = {
	{ "attach", NULL, "dev IF [mode native|skb|auto] [link R|off] [monitor] [try 60s] [force]",
	  "attach weir to an interface, or replace its program there without a gap; `dev` may be "
	  "left out",
	  .run = cmd_attach,
	  .examples = { "weir attach eth0 monitor", "weir attach eth0 try 60s" } },
	{ "confirm", NULL, "[dev IF]",
	  "keep what was attached with `try`, which otherwise ends automatically",
	  .run = cmd_confirm,
	  .examples = { "weir confirm", "weir confirm eth0" } },
	{ "detach", NULL, "dev IF | all [keep]",
	  "detach it; with the last interface the settings are removed too, unless `keep`",
	  .run = cmd_detach,
	  .examples = { "weir detach eth0 keep", "weir detach all" } },
	{ "limit", "set", LIMIT_MATCH " rate R [rate R] [burst B] [per BITS] [force]",
	  "limit each source; R is a rate such as 1000pps, 100/min, 20/h or 50mbit",
	  .edit = edit_limit_set, .needs = MAKES_MAPS,
	  .examples = { "weir limit set syn rate 100/min",
			"weir limit set from 198.51.100.0/24 proto udp rate 200pps burst 400" } },
	{ "limit", "show", "", "the limits in force", .run = cmd_limit_show,
	  .examples = { "weir limit show", "weir -p limit show" } },
	{ "limit", "del", LIMIT_MATCH " [force]", "remove one limit",
	  .edit = edit_limit_del, .needs = NEEDS_MAPS,
	  .examples = { "weir limit del syn", "weir limit del from 198.51.100.0/24 proto udp" } },
	{ "limit", "flush", "", "remove all limits",
	  .edit = edit_limit_flush, .needs = NEEDS_MAPS,
	  .examples = { "weir limit flush", "weir save > before.weir && weir limit flush" } },
	{ "suggest", NULL, "[seconds S] [dev IF]",
	  "what sources send, by class, and limits that none of them would run into: from what the "
	  "daemon has kept, or from 60 seconds of traffic", .run = cmd_suggest,
	  .examples = { "weir suggest", "weir suggest seconds 5" } },
	{ "budget", "set", "NAME [to PREFIX] " PACKET_MATCH
			   " rate R [rate R] [burst B] [force]",
	  "limit what all sources together send to a service; when it is used up, known sources "
	  "pass first", .edit = edit_budget_set, .needs = MAKES_MAPS,
	  .examples = { "weir budget set web proto tcp dport 443 rate 200mbit",
			"weir budget set dns proto udp dport 53 rate 20kpps" } },
	{ "budget", "show", "", "the budgets, and how much of each is used",
	  .run = cmd_budget_show,
	  .examples = { "weir budget show", "weir -p budget show" } },
	{ "budget", "del", "NAME", "remove one budget",
	  .edit = edit_budget_del, .needs = NEEDS_MAPS,
	  .examples = { "weir budget del web", "weir -q budget del dns" } },
	{ "preset", "reflection", "[apply]",
	  "limits and a budget for what reflectors send, which leave this host's own DNS and time "
	  "servers alone; prints them, or sets all of them or none",
	  .run = cmd_preset_reflection,
	  .examples = { "weir preset reflection", "weir preset reflection apply" } },
	{ "syn", "protect", "dport N[-M] [to PREFIX] [always|when-over-budget] [set-sysctl] [force]",
	  "answer SYNs to a service of this host with cookies that its kernel accepts",
	  .edit = edit_syn_protect, .needs = MAKES_MAPS,
	  .examples = { "weir syn protect dport 443 always set-sysctl",
			"weir syn protect dport 80 to 192.0.2.1 always" } },
	{ "syn", "share", "PERCENT%|default",
	  "the part of each core's time that cookies may take, 30% by default",
	  .edit = edit_syn_share, .needs = MAKES_MAPS,
	  .examples = { "weir syn share 20%", "weir syn share default" } },
	{ "syn", "show", "", "the services that cookies protect", .run = cmd_syn_show,
	  .examples = { "weir syn show", "weir -p syn show" } },
	{ "syn", "del", "dport N[-M]", "no longer answer SYNs to this service",
	  .edit = edit_syn_del, .needs = NEEDS_MAPS,
	  .examples = { "weir syn del dport 443", "weir syn del dport 8000-8010" } },
	{ "dns", "protect", "[to PREFIX] [dport N] [always|when-over-budget] [force]",
	  "answer DNS queries over UDP of sources that are not proven with \"truncated\", so that "
	  "real resolvers come by TCP; the port is 53 unless told otherwise",
	  .edit = edit_dns_protect, .needs = MAKES_MAPS,
	  .examples = { "weir dns protect", "weir dns protect to 192.0.2.1 always" } },
	{ "dns", "show", "", "the DNS services that are protected", .run = cmd_dns_show,
	  .examples = { "weir dns show", "weir -p dns show" } },
	{ "dns", "del", "[to PREFIX] [dport N]", "no longer answer queries to this service",
	  .edit = edit_dns_del, .needs = NEEDS_MAPS,
	  .examples = { "weir dns del", "weir dns del to 192.0.2.1" } },
	{ "drop", "add", "NAME [proto tcp|udp|icmp|N|any] [from PREFIX] [to PREFIX] "
			 "[sport N[-M],...] [dport N[-M],...] [length N[-M]] [ip-ttl N[-M]] "
			 "[flags FLAGS/MASK] [icmp-type TYPE] [fragment] [payload OFFSET HEX[/MASK]] "
			 "[l4 OFFSET HEX[/MASK]] [rate R] [ttl 10m] [spare known|proven|none] "
			 "[monitor] [force]",
	  "drop the packets that meet all conditions, or what exceeds a rate of all sources "
	  "together; sources that are spared, known ones by default, pass",
	  .edit = edit_drop_add, .needs = MAKES_MAPS,
	  .examples = { "weir drop add ntp proto udp sport 123 length 468",
			"weir drop add query proto udp dport 27015 payload 0 ffffffff ttl 10m monitor" } },
	{ "drop", "show", "", "the drop rules, and what each of them dropped and spared",
	  .run = cmd_drop_show,
	  .examples = { "weir drop show", "weir -p drop show" } },
	{ "drop", "del", "NAME", "remove one rule", .edit = edit_drop_del, .needs = NEEDS_MAPS,
	  .examples = { "weir drop del ntp", "weir -q drop del query" } },
	{ "drop", "flush", "", "remove all rules", .edit = edit_drop_flush,
	  .needs = NEEDS_MAPS,
	  .examples = { "weir drop flush", "weir save > before.weir && weir drop flush" } },
	{ "known", "show", "[ADDRESS...]",
	  "the number of known sources by tier, or the tier of these addresses",
	  .run = cmd_known_show,
	  .examples = { "weir known show", "weir known show 203.0.113.10" } },
	{ "known", "import", "FILE|- [as seen]",
	  "vouch for the sources in the file, one a line; all of them or none",
	  .run = cmd_known_import,
	  .examples = { "weir known import customers.txt",
			"weir known import visitors.txt as seen" } },
	{ "known", "export", "FILE|-", "write all proven sources, one a line",
	  .run = cmd_known_export,
	  .examples = { "weir known export customers.txt", "weir known export - | head" } },
	{ "known", "flush", "", "forget all known sources", .run = cmd_known_flush,
	  .examples = { "weir known flush", "weir known export before.txt && weir known flush" } },
	{ "allow", "add", "PREFIX...|ssh [comment TEXT] [force [block] [coverage]]",
	  "sources that always pass; `ssh`: those of the present SSH sessions",
	  .edit = edit_allow_add, .needs = MAKES_MAPS,
	  .examples = { "weir allow add ssh",
			"weir allow add 203.0.113.10 comment \"my office\"" } },
	{ "allow", "del", "PREFIX... [force]", "remove entries",
	  .edit = edit_allow_del, .needs = NEEDS_MAPS,
	  .examples = { "weir allow del 203.0.113.10", "weir allow del 2001:db8:1::/48" } },
	{ "allow", "show", "", "the allowed sources", .run = cmd_allow_show,
	  .examples = { "weir allow show", "weir -p allow show" } },
	{ "allow", "test", "PREFIX...", "exit status 0: all are allowed, 1: not all",
	  .run = cmd_allow_test,
	  .examples = { "weir allow test 203.0.113.10",
			"weir allow test 203.0.113.10 && echo allowed" } },
	{ "allow", "flush", "[force]", "remove all allow entries",
	  .edit = edit_allow_flush, .needs = NEEDS_MAPS,
	  .examples = { "weir allow flush", "weir save > before.weir && weir allow flush" } },
	{ "block", "add", "PREFIX... [ttl 10m] [comment TEXT] [force [own] [allow] [coverage] [ssh]]",
	  "sources that never pass, permanently or for a time",
	  .edit = edit_block_add, .needs = MAKES_MAPS,
	  .examples = { "weir block add 198.51.100.0/24",
			"weir block add 198.51.100.7 ttl 10m comment \"scanning\"" } },
	{ "block", "del", "PREFIX...", "remove entries, bans included",
	  .edit = edit_block_del, .needs = NEEDS_MAPS,
	  .examples = { "weir block del 198.51.100.7",
			"weir block del 198.51.100.8 2001:db8:bad::/48" } },
	{ "block", "show", "", "the blocked sources", .run = cmd_block_show,
	  .examples = { "weir block show", "weir -p block show" } },
	{ "block", "test", "PREFIX...",
	  "looks in the entries and in all lists; exit status 0: all are blocked, 1: not all",
	  .run = cmd_block_test,
	  .examples = { "weir block test 198.51.100.7",
			"weir block test 198.51.100.7 && echo blocked" } },
	{ "block", "flush", "", "remove all block entries, bans included",
	  .edit = edit_block_flush, .needs = NEEDS_MAPS,
	  .examples = { "weir block flush", "weir save > before.weir && weir block flush" } },
	{ "ban", NULL, "PREFIX... [[ttl] 10m] [comment TEXT] [force [own] [allow] [coverage] [ssh]]",
	  "the same as `block add` with a ttl, which is 1h unless told otherwise",
	  .edit = edit_ban, .needs = MAKES_MAPS, .stands_for = "block add",
	  .examples = { "weir ban 198.51.100.7", "weir ban 198.51.100.7 198.51.100.64/26 10m" } },
	{ "unban", NULL, "PREFIX...", "the same as `block del`",
	  .edit = edit_block_del, .needs = NEEDS_MAPS, .stands_for = "block del",
	  .examples = { "weir unban 198.51.100.7", "weir unban 198.51.100.8 2001:db8:bad::/48" } },
	{ "list", "load", "NAME file F [format auto|plain|ipsum|ndjson|ipset|nft] [skip-bad] "
			  "[force [own] [allow] [size] [coverage] [ssh]]",
	  "load a blocklist, or its next generation", .run = cmd_list_load,
	  .examples = { "weir list load drop file drop.txt",
			"weir list load feed file feed.json format ndjson skip-bad" } },
	{ "list", "show", "", "the lists that are loaded", .run = cmd_list_show,
	  .examples = { "weir list show", "weir -p list show" } },
	{ "list", "diff", "NAME [file F]", "the changes from the previous generation, or to a file",
	  .run = cmd_list_diff,
	  .examples = { "weir list diff drop", "weir list diff drop file drop.txt" } },
	{ "list", "rollback", "NAME [force]", "return to the previous generation",
	  .run = cmd_list_rollback,
	  .examples = { "weir list rollback drop",
			"weir list diff drop && weir list rollback drop" } },
	{ "list", "del", "NAME", "remove a list", .run = cmd_list_del,
	  .examples = { "weir list del drop", "weir -q list del drop" } },
	{ "check", NULL, "ADDRESS [proto P] [syn|fragment] [dport N] [sport N] [to ADDRESS] "
			 "[length N] [ip-ttl N] [flags FLAGS] [icmp-type TYPE] [payload HEX]",
	  "what would happen to such a packet now, and which rule decides", .run = cmd_check,
	  .examples = { "weir check 198.51.100.7",
			"weir check 198.51.100.7 proto tcp syn dport 443" } },
	{ "save", NULL, "", "the operator's settings, as commands", .run = cmd_save,
	  .examples = { "weir save", "weir save > settings.weir" } },
	{ "restore", NULL, "FILE|- [check] [force [ssh]]",
	  "replace all settings by those of the file, or change nothing",
	  .run = cmd_restore,
	  .examples = { "weir restore settings.weir", "weir save | weir restore - check" } },
	{ "show", "status", "", "the interfaces, what is set, and what of it is at work",
	  .run = cmd_show_status,
	  .examples = { "weir show status", "weir -p show status" } },
	{ "show", "stats", "[dev IF] [rates]",
	  "packets and bytes by reason; on a terminal, or with `rates`, also packets per second",
	  .run = cmd_show_stats,
	  .examples = { "weir show stats", "weir -p show stats dev eth0 rates" } },
	{ "show", "reasons", "[REASON]", "what each reason means, and what to do about it",
	  .run = cmd_show_reasons,
	  .examples = { "weir show reasons", "weir show reasons network-share" } },
	{ "show", "sources", "[all] [top N] [seconds S]",
	  "the sources near or over their limit, worst first; `all`: those that send most, under "
	  "their limit too, from samples of three seconds", .run = cmd_show_sources,
	  .examples = { "weir show sources top 100", "weir show sources all seconds 1" } },
	{ "show", "source", "ADDRESS", "the buckets of one source", .run = cmd_show_source,
	  .examples = { "weir show source 198.51.100.7", "weir -p show source 198.51.100.7" } },
	{ "show", "bans", "", "the bans: blocks for a time, with origin and reason",
	  .run = cmd_show_bans,
	  .examples = { "weir show bans", "weir -p show bans" } },
	{ "ban-log", NULL, "[last N]", "the daemon's judgements, with the evidence",
	  .run = cmd_ban_log,
	  .examples = { "weir ban-log", "weir ban-log last 100" } },
	{ "daemon", "check", "[config FILE]",
	  "check the daemon's settings file, and show the settings in force",
	  .run = cmd_daemon_check,
	  .examples = { "weir daemon check", "weir daemon check config weir.yaml" } },
	{ "daemon", NULL, "[config FILE] [judge]",
	  "keep lists up to date, judge sources, and ban them if the settings say `mode: enforce`; "
	  "in the foreground. `judge`: ban nothing, only record judgements",
	  .run = cmd_daemon,
	  .examples = { "weir daemon judge", "weir daemon config weir.yaml" } },
	{ "show", "networks", "[top N]",
	  "the networks of newcomers from which budgets dropped most, worst first",
	  .run = cmd_show_networks,
	  .examples = { "weir show networks", "weir show networks top 100" } },
	{ "show", "health", "", "how full the tables are, and the state of the daemon",
	  .run = cmd_show_health,
	  .examples = { "weir show health", "weir -p show health" } },
	{ "show", "known", "[ADDRESS...]", "the same as `known show`", .run = cmd_known_show,
	  .examples = { "weir show known", "weir show known 203.0.113.10" } },
	{ "events", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S]",
	  "dropped packets, judgements and bans as they happen, until interrupted",
	  .run = cmd_events,
	  .examples = { "weir events count 10",
			"weir events reason rate-limit from 198.51.100.0/24 seconds 1" } },
	{ "incidents", NULL, "[N]",
	  "the floods that the daemon has recorded, or what is known of one", .run = cmd_incidents,
	  .examples = { "weir incidents", "weir incidents 12" } },
	{ "incidents", "report", "N",
	  "a report on one, to be mailed: when, what was attacked, from where, what was done",
	  .run = cmd_incidents_report,
	  .examples = { "weir incidents report 12", "weir incidents report 12 > report.txt" } },
	{ "metrics", NULL, "[openmetrics]",
	  "the metrics for Prometheus, as node_exporter's textfile collector reads them",
	  .run = cmd_metrics,
	  .examples = { "weir metrics",
			"weir metrics > weir.prom.new && mv weir.prom.new weir.prom" } },
	{ "capture", NULL, "[reason R]... [from PREFIX] [passed] [count N] [seconds S] write FILE|-",
	  "samples of dropped packets with their reasons, as pcapng", .run = cmd_capture,
	  .examples = { "weir capture count 1000 write drops.pcapng",
			"weir capture reason rate-limit seconds 1 write - > drops.pcapng" } },
	{ "explain", NULL, "[dev IF] [seconds S] [to PREFIX] [proto P] [calm FILE]",
	  "what the packets that are turned away have in common, and drop rules that match them and "
	  "no calm traffic", .run = cmd_explain,
	  .examples = { "weir explain seconds 1", "weir explain seconds 2 proto udp" } },
	{ "doctor", NULL, "[dev IF]",
	  "looks at drivers, queues, sysctls, memory and weir itself for what costs packets, and says "
	  "what mends it; exit status 1: something is bad", .run = cmd_doctor,
	  .examples = { "weir doctor", "weir doctor dev eth0" } },
	{ "top", NULL, "", "rates by reason, budgets, and the sources dropped most, on a terminal",
	  .run = cmd_top,
	  .examples = { "weir top" } },
	{ "help", NULL, "[OBJECT [VERB] | all]",
	  "the commands, or the words and examples of those of one object",
	  .run = cmd_help,
	  .examples = { "weir help limit", "weir help list load" } },
	{ "version", NULL, "", "the version of this tool, and of the maps that it understands (ABI)",
	  .run = cmd_version,
	  .examples = { "weir version", "weir -j version" } },
	{ 0 },
};

/*
 * Other words for the same. They are understood on the command line alone: `save` writes, and files
 * for `restore` have, the words of the table above. "*" is every object that has the second verb.
 */
const struct alias aliases[] = {
	{ "monitor", NULL, "events", NULL },	/* its former name */
	{ "show", "limit", "limit", "show" }, { "show", "limits", "limit", "show" },
	{ "show", "budget", "budget", "show" }, { "show", "budgets", "budget", "show" },
	{ "show", "allow", "allow", "show" },
	{ "show", "block", "block", "show" }, { "show", "blocks", "block", "show" },
	{ "show", "list", "list", "show" }, { "show", "lists", "list", "show" },
	{ "show", "syn", "syn", "show" }, { "show", "dns", "dns", "show" },
	{ "show", "drop", "drop", "show" }, { "show", "rules", "drop", "show" },
	{ "*", "rm", "*", "del" }, { "*", "remove", "*", "del" }, { "*", "delete", "*", "del" },
	{ "*", "list", "*", "show" },
	{ "*", "add", "*", "set" }, { "*", "set", "*", "add" },
	{ "*", "add", "*", "protect" }, { "*", "set", "*", "protect" }, { "*", "add", "*", "load" },
	{ 0 },
};

/* ---- look-up ---- */

/* @verb NULL: looks for the command that is its object alone. */
static const struct command *look_up(const char *object, const char *verb)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object) && !command->verb == !verb &&
		    (!verb || !strcmp(command->verb, verb)))
			return command;
	return NULL;
}

const struct command *alias_of(const struct alias *alias, const char *object)
{
	bool any = !strcmp(alias->object, "*");

	if (!any && strcmp(alias->object, object))
		return NULL;
	if (any && look_up(object, alias->verb))
		return NULL;
	return look_up(any ? object : alias->to_object, alias->to_verb);
}

static const struct command *resolve(const char *object, const char *verb)
{
	const struct command *command = look_up(object, verb);

	for (const struct alias *alias = aliases; alias->object && !command; alias++)
		if (!alias->verb == !verb && (!verb || !strcmp(alias->verb, verb)))
			command = alias_of(alias, object);
	return command;
}

static bool is_object(const char *object)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object))
			return true;
	return false;
}

/* Reads what names a command; the typed words in full. NULL: they name none, and none is read. */
static const struct command *take_command(struct words *words)
{
	const char *object = words->next[0];
	const char *verb = object ? words->next[1] : NULL;
	const struct command *command = verb ? resolve(object, verb) : NULL;

	if (command) {
		words->next += 2;
		return command;
	}
	command = object ? resolve(object, NULL) : NULL;
	words->next += !!command;
	return command;
}

/* ---- what was meant ---- */

static const char *guess_object(const char *object)
{
	struct spelling spelling = { .word = object };

	for (const struct command *command = commands; command->object; command++)
		spelling_try(&spelling, command->object);
	return spelling.best;
}

/* The command of @object whose verb resembles @verb. */
static const struct command *guess_by_spelling(const char *object, const char *verb)
{
	struct spelling spelling = { .word = verb };

	for (const struct command *command = commands; command->object; command++)
		if (command->verb && !strcmp(command->object, object))
			spelling_try(&spelling, command->verb);
	for (const struct alias *alias = aliases; alias->object; alias++)
		if (alias->verb && alias_of(alias, object))
			spelling_try(&spelling, alias->verb);
	return spelling.best ? resolve(object, spelling.best) : NULL;
}

/* The command of @object, its verb left out, among whose words is @word. */
static const struct command *guess_by_words(const char *object, const char *word)
{
	char ignored[ERR_LEN];
	struct prefix prefix;
	bool is_prefix = !parse_prefix(word, &prefix, ignored);

	for (const struct command *command = commands; command->object; command++) {
		if (!command->verb || strcmp(command->object, object))
			continue;
		if (is_prefix ? grammar_begins_with_address(command->words) :
				grammar_has(command->words, word))
			return command;
	}
	return NULL;
}

/* Writes the sentence about a verb that @object lacks; returns the command that is guessed. */
static const struct command *explain_verb(const char *object, const char *verb, char *err)
{
	const struct command *guess = guess_by_spelling(object, verb);
	char quoted[PREFIX_QUOTE];
	bool is_word = !guess;

	prefix_quote(verb, strlen(verb), quoted);
	if (!guess)
		guess = guess_by_words(object, verb);
	if (guess)
		fail(err, ENOENT, "%s has no verb %s; did you mean `weir %s %s%s%.50s`?", object, quoted,
		     guess->object, guess->verb, is_word ? " " : "", is_word ? verb : "");
	else
		fail(err, ENOENT, "%s has no verb %s", object, quoted);
	return guess;
}

static const struct command *explain_object(const char *object, const char *verb, char *err)
{
	const struct command *shown = resolve("show", object);
	const char *guess = shown ? NULL : guess_object(object);
	char quoted[PREFIX_QUOTE];

	prefix_quote(object, strlen(object), quoted);
	if (shown)
		fail(err, ENOENT, "there is no command %s; did you mean `weir %s %s`?", quoted,
		     shown->object, shown->verb);
	else if (guess)
		fail(err, ENOENT, "there is no command %s; did you mean \"%s\"?", quoted, guess);
	else
		fail(err, ENOENT, "there is no command %s; `weir help` lists them", quoted);
	if (guess)
		shown = verb ? resolve(guess, verb) : NULL;
	return shown ? : guess ? resolve(guess, NULL) : NULL;
}

/* Writes why @words name no command; returns the command that was probably meant, or NULL. */
static const struct command *explain(const struct words *words, char *err)
{
	const char *object = words->next[0], *verb = object ? words->next[1] : NULL;

	if (!object) {
		fail(err, ENOENT, "a command is needed");
		return NULL;
	}
	if (!is_object(object))
		return explain_object(object, verb, err);
	if (verb)
		return explain_verb(object, verb, err);
	fail(err, ENOENT, "%s needs a verb", object);
	return NULL;
}

/* ---- for the rest of the tool ---- */

/* Exact words only: an abbreviation that is unique now may be ambiguous in the next version. */
const struct command *find_command(struct words *words, char *err)
{
	const struct command *command = take_command(words);

	if (!command)
		explain(words, err);
	return command;
}

const struct command *find_setting(struct words *words, char *err)
{
	struct words typed = *words;
	const struct command *command = find_command(words, err);
	const char *verb = command && command->verb ? command->verb : "";

	if (!command)
		return NULL;
	if (command->stands_for)
		fail(err, EINVAL, "\"%s\" is for the command line; a file has `%s`", command->object,
		     command->stands_for);
	else if (command != look_up(typed.next[0], command->verb ? typed.next[1] : NULL))
		fail(err, EINVAL, "this word is for the command line; a file has `%s%s%s`",
		     command->object, *verb ? " " : "", verb);
	else
		return command;
	return NULL;
}

int check_no_words(const struct command *command, const struct words *words, char *err)
{
	return *command->words ? 0 : no_more_words(words, err);
}

enum outcome unknown_command(const struct words *words)
{
	char err[ERR_LEN];
	const struct command *guess = explain(words, err);

	fputs("weir: ", stderr);
	text_print(stderr, err);
	fputc('\n', stderr);
	if (guess || is_object(words->next[0]))
		fprintf(stderr, "usage:\n");
	for (const struct command *command = commands; command->object; command++)
		if (guess ? command == guess : !strcmp(command->object, words->next[0]))
			print_command(stderr, command);
	return USAGE;
}
