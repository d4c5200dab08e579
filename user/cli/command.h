/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface between the table of commands and the cmd_*.c files. */
#ifndef WEIR_CLI_COMMAND_H
#define WEIR_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "user/model/error.h"
#include "user/state/maps.h"
#include "user/model/words.h"

/* The exit status. INCOMPLETE: of restore, the settings are in force, but not each list's file. */
enum outcome { DONE = 0, FAILED = 1, USAGE = 2, INCOMPLETE = 3 };

struct command;

/* One call of the tool: the words behind the verb, and the options. */
struct call {
	const struct command *command;
	struct words words;
	bool json, pretty, quiet, verbose;
	json_t **answer;	/* where the JSON goes; NULL: to standard output */
	char *failure;		/* where the text of a failure goes, ERR_LEN; NULL: to stderr */
};

/*
 * A change of the settings, as a command or as a line of a file. An edit function changes
 * nothing but this struct and the settings in it, which are a copy: it may be called for a
 * rehearsal, or for a file whose next line is wrong. The caller (edit.c, or restore) writes the
 * maps, and sets the host's sysctls where an edit asks for that.
 */
struct edit {
	struct words words;
	struct settings *settings;
	const struct prefixes *own;	/* addresses of this host */
	int (*ssh_peers)(struct prefixes *peers);	/* NULL: no host is to be asked */
	uint64_t (*fastest_link)(void);	/* the same; asked by the first limit that is set, once */
	uint64_t now_ns;	/* CLOCK_MONOTONIC */
	uint64_t now_unix_s;
	bool set_sysctls;	/* ask for cookie_sysctls_set(); set already: an earlier line did */
	bool changed;
	bool force;		/* even if it cuts off an SSH session */
	bool unguarded;		/* allow entries of a saved file, which older versions wrote without
				 * `force` */
	char said[ERR_LEN];	/* what was done, in a line: printed when the edit succeeds */
	char note[ERR_LEN];	/* what the operator should know beside; "": nothing */
	char err[ERR_LEN];
};

enum needs {
	NEEDS_NOTHING,
	NEEDS_MAPS,		/* an error where weir is not in use */
	MAKES_MAPS,		/* made where they do not exist */
};

struct command {
	const char *object, *verb;	/* verb NULL: the command is the object alone */
	const char *words;		/* grammar of the words that follow; "": none may */
	const char *help;
	enum outcome (*run)(const struct call *call);
	enum outcome (*edit)(struct edit *edit);	/* instead of run */
	enum needs needs;		/* of an edit */
	const char *examples[2];	/* for a shell; tests/system/test_help.py runs each */
	const char *stands_for;		/* the command that files have instead of this one; NULL: this */
};

/* Other words for a command; verb and to_verb NULL: the object alone. */
struct alias {
	const char *object, *verb, *to_object, *to_verb;
};

/* cmd_attach.c */
enum outcome cmd_attach(const struct call *call);
enum outcome cmd_confirm(const struct call *call);
enum outcome cmd_detach(const struct call *call);
/* No limit, no budget, no rule and no entry or list that blocks: weir only counts. */
bool nothing_is_set(const struct maps *maps, const struct settings *settings);
/* cmd_limit.c */
enum outcome edit_limit_set(struct edit *edit);
enum outcome edit_limit_del(struct edit *edit);
enum outcome edit_limit_flush(struct edit *edit);
enum outcome cmd_limit_show(const struct call *call);
/* cmd_budget.c */
enum outcome edit_budget_set(struct edit *edit);
enum outcome edit_budget_del(struct edit *edit);
enum outcome cmd_budget_show(const struct call *call);
/* cmd_preset.c */
enum outcome cmd_preset_reflection(const struct call *call);
/* cmd_syn.c */
enum outcome edit_syn_protect(struct edit *edit);
enum outcome edit_syn_del(struct edit *edit);
enum outcome edit_syn_share(struct edit *edit);
enum outcome cmd_syn_show(const struct call *call);
/* cmd_dns.c */
enum outcome edit_dns_protect(struct edit *edit);
enum outcome edit_dns_del(struct edit *edit);
enum outcome cmd_dns_show(const struct call *call);
/* cmd_drop.c */
enum outcome edit_drop_add(struct edit *edit);
enum outcome edit_drop_del(struct edit *edit);
enum outcome edit_drop_flush(struct edit *edit);
enum outcome cmd_drop_show(const struct call *call);
/* cmd_known.c */
enum outcome cmd_known_show(const struct call *call);
enum outcome cmd_known_import(const struct call *call);
enum outcome cmd_known_export(const struct call *call);
enum outcome cmd_known_flush(const struct call *call);
/* cmd_source.c */
enum outcome edit_allow_add(struct edit *edit);
enum outcome edit_allow_del(struct edit *edit);
enum outcome edit_allow_flush(struct edit *edit);
enum outcome edit_block_add(struct edit *edit);
enum outcome edit_ban(struct edit *edit);
enum outcome edit_block_del(struct edit *edit);
enum outcome edit_block_flush(struct edit *edit);
enum outcome cmd_allow_show(const struct call *call);
enum outcome cmd_allow_test(const struct call *call);
enum outcome cmd_block_show(const struct call *call);
enum outcome cmd_block_test(const struct call *call);
/* cmd_list.c */
enum outcome cmd_list_load(const struct call *call);
enum outcome cmd_list_show(const struct call *call);
enum outcome cmd_list_diff(const struct call *call);
enum outcome cmd_list_rollback(const struct call *call);
enum outcome cmd_list_del(const struct call *call);
/* cmd_suggest.c */
enum outcome cmd_suggest(const struct call *call);
/* cmd_sources.c */
enum outcome show_all_sources(const struct call *call, uint64_t top, uint64_t seconds);
/* cmd_daemon.c */
enum outcome cmd_daemon(const struct call *call);
enum outcome cmd_daemon_check(const struct call *call);
enum outcome cmd_show_bans(const struct call *call);
enum outcome cmd_ban_log(const struct call *call);
/* cmd_check.c, cmd_save.c */
enum outcome cmd_check(const struct call *call);
enum outcome cmd_save(const struct call *call);
enum outcome cmd_restore(const struct call *call);
/* cmd_health.c, cmd_metrics.c, cmd_network.c */
enum outcome cmd_show_health(const struct call *call);
enum outcome cmd_show_networks(const struct call *call);
enum outcome cmd_metrics(const struct call *call);
/* cmd_status.c, cmd_stats.c, cmd_reasons.c, cmd_show.c */
enum outcome cmd_show_status(const struct call *call);
enum outcome cmd_show_stats(const struct call *call);
enum outcome cmd_show_reasons(const struct call *call);
enum outcome cmd_show_sources(const struct call *call);
enum outcome cmd_show_source(const struct call *call);
/* cmd_events.c, cmd_capture.c */
enum outcome cmd_events(const struct call *call);
enum outcome cmd_capture(const struct call *call);
/* cmd_doctor.c */
enum outcome cmd_doctor(const struct call *call);
/* cmd_explain.c */
enum outcome cmd_explain(const struct call *call);
/* cmd_incidents.c */
enum outcome cmd_incidents(const struct call *call);
enum outcome cmd_incidents_report(const struct call *call);
/* top/cmd_top.c */
enum outcome cmd_top(const struct call *call);
/* help.c, cmd_summary.c */
enum outcome cmd_help(const struct call *call);
enum outcome cmd_version(const struct call *call);
enum outcome cmd_summary(const struct call *call);

/* ---- commands.c ---- */

/* Both end with an empty row. */
extern const struct command commands[];
extern const struct alias aliases[];

/* Reads the name of a command and returns its row. NULL with @err: there is no such command. */
const struct command *find_command(struct words *words, char *err);
/* The same for a line of a file, which has no aliases. */
const struct command *find_setting(struct words *words, char *err);
/* The command that @alias means when it is typed with @object; NULL: none. */
const struct command *alias_of(const struct alias *alias, const char *object);
/* -EINVAL with @err: the command takes no words, and some follow. */
int check_no_words(const struct command *command, const struct words *words, char *err);
/* Prints why @words name no command and what was probably meant; returns USAGE. */
enum outcome unknown_command(const struct words *words);

/* ---- help.c ---- */

/* The command's words. */
void print_command(FILE *to, const struct command *command);
/* The options. */
void print_usage(FILE *to);

/* ---- edit.c ---- */

/*
 * The outcome of a function that checks and sets a value: 0 or more is done; -EINVAL and -ERANGE
 * mean that the value is wrong, and so the usage; everything else failed.
 */
enum outcome outcome_of_value(int rc);
/* Runs @call's command, which changes settings. */
enum outcome run_edit(const struct call *call);
/* The remark that what was set acts on nothing yet, where weir is attached to no interface. */
void remark_unattached(const struct call *call);
/*
 * Runs a command that changes settings, as if it had been typed: @line from its object on,
 * ending with NULL. @said: the text that it would print, on success or on failure.
 */
enum outcome edit_by_words(char **line, char said[ERR_LEN]);

/* ---- main.c ---- */

/* See http_answer in user/daemon/http.h. */
int command_answer(const char *line, json_t **answer, char *err);

/* ---- message.c ---- */

/*
 * Print to stderr, behind the program's name, and return the outcome. usage() adds the grammar of
 * the command; failed() writes to call->failure instead where that is set.
 */
enum outcome usage(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum outcome failed(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What went wrong beside, to stderr. */
void warn(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What a command has done, to stdout, but with -j to stderr; nothing with -q. */
void tell(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A remark to stderr, unless -q. */
void remark(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
