// SPDX-License-Identifier: GPL-2.0-only
/* weir daemon, show bans, ban-log: automatic bans and their evidence. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/daemon/daemon.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/guard.h"
#include "user/model/parse.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/state/judgements.h"
#include "user/state/session.h"

#define LAST_DEFAULT	20
#define WORDS_INDENT	4

/* ---- daemon ---- */

#define CONFIG_WORD	WORD_TEXT("config", "a settings file", struct daemon_options, file)

static int set_former_judge(void *into, const char *value, char *err)
{
	struct daemon_options *options = into;

	(void)value, (void)err;
	log_line(LOG_NOTICE, "`weir daemon monitor` is called `weir daemon judge` now");
	options->judge_only = true;
	return 0;
}

static const struct word daemon_words[] = {
	CONFIG_WORD,
	WORD_FLAG("judge", struct daemon_options, judge_only),
	{ "monitor", .set = set_former_judge },
	{ 0 },
};
static const struct word check_words[] = { CONFIG_WORD, { 0 } };

enum outcome cmd_daemon(const struct call *call)
{
	struct daemon_options options = { .answer = command_answer };
	struct words words = call->words;
	char err[ERR_LEN];

	if (take_words(&words, daemon_words, &options, err))
		return usage(call, "%s", err);
	return daemon_run(&options, err) ? failed(call, "%s", err) : DONE;
}

static json_t *guards_json(uint8_t force)
{
	char text[GUARD_TEXT], *rest = text, *word;
	json_t *array = json_array();

	guard_format(force, text);
	while ((word = strsep(&rest, " ")))
		if (*word && strcmp(word, "force"))
			json_array_append_new(array, json_string(word));
	return array;
}

static json_t *value_json(const struct config_key *key, const void *base)
{
	const void *at = (const char *)base + key->offset;
	char text[CONFIG_TEXT + 4];

	switch (key->kind) {
	case CONFIG_NUMBER:
		return json_integer(*(const uint64_t *)at);
	case CONFIG_DURATION:
		return json_integer(*(const uint64_t *)at / NS_PER_S);
	case CONFIG_FLAG:
		return json_boolean(*(const bool *)at);
	case CONFIG_GUARDS:
		return guards_json(*(const uint8_t *)at);
	default:
		config_format(key, base, text, sizeof(text));
		return json_string(strcmp(text, "\"\"") ? text : "");
	}
}

static json_t *section_of(json_t *root, const char *name)
{
	json_t *section;

	if (!*name)
		return root;
	section = json_object_get(root, name);
	if (!section) {
		section = json_object();
		json_object_set_new(root, name, section);
	}
	return section;
}

/* The settings in force, defaults included; durations in seconds. */
static json_t *config_json(const struct config *config)
{
	json_t *root = json_object(), *load = json_array(), *one;

	for (size_t i = 0; i < config->list_count; i++)
		json_array_append_new(load, json_object());
	for (const struct config_key *key = config_keys; key->name; key++) {
		if (strcmp(key->section, "lists.load")) {
			json_object_set_new(section_of(root, key->section), key->name,
					    value_json(key, config));
			continue;
		}
		for (size_t i = 0; i < config->list_count; i++) {
			one = json_array_get(load, i);
			json_object_set_new(one, key->name, value_json(key, &config->lists[i]));
		}
	}
	json_object_set_new(section_of(root, "lists"), "load", load);
	return root;
}

static void print_config(const struct config *config)
{
	char text[CONFIG_TEXT + 4];

	for (const struct config_key *key = config_keys; key->name; key++) {
		if (!strcmp(key->section, "lists.load"))
			continue;
		config_format(key, config, text, sizeof(text));
		printf("%s%s%s: %s\n", key->section, *key->section ? "." : "", key->name, text);
	}
	for (size_t i = 0; i < config->list_count; i++)
		printf("list %s: %s\n", config->lists[i].name, config->lists[i].file);
}

enum outcome cmd_daemon_check(const struct call *call)
{
	struct daemon_options options = { 0 };
	struct words words = call->words;
	char err[ERR_LEN];
	struct config config;

	if (take_words(&words, check_words, &options, err))
		return usage(call, "%s", err);
	if (daemon_config(&options, &config, err))
		return failed(call, "%s", err);
	if (!call->json)
		print_config(&config);
	return print_json(call, config_json(&config));
}

/* ---- show bans ---- */

static uint64_t seconds_left(const struct entry *entry, uint64_t now)
{
	return seconds_until(entry->value.until_ns, now);
}

static json_t *ban_json(const struct entry *entry, const char *prefix, uint64_t now)
{
	char undo[PREFIX_STRLEN + 16];

	snprintf(undo, sizeof(undo), "weir block del %s", prefix);
	return json_pack("{s:s, s:s, s:I, s:i, s:b, s:I, s:s, s:s}", "prefix", prefix, "origin",
			 origin_name(entry->value.origin), "ttl_seconds",
			 (json_int_t)seconds_left(entry, now), "strikes", entry->value.strikes,
			 "spare_known", entry->value.spare_known, "added",
			 (json_int_t)entry->value.added_unix_s, "reason", entry->value.comment,
			 "undo", undo);
}

static void print_ban(const struct entry *entry, const char *prefix, uint64_t now)
{
	static const struct column columns[] = {
		{ "PREFIX", 19 }, { "BY", 8 }, { "LEFT", 8, true }, { "STRIKES", 7, true },
		{ "WHY", 0 }, { 0 },
	};
	char left[FORMAT_LEN], strikes[FORMAT_LEN];

	if (!entry) {
		table_head(columns);
		return;
	}
	format_left(seconds_left(entry, now), left);
	table_row(columns, prefix, origin_name(entry->value.origin), left,
		  table_count(entry->value.strikes, strikes), entry->value.comment);
}

enum outcome cmd_show_bans(const struct call *call)
{
	json_t *list = json_array();
	char text[PREFIX_STRLEN], err[ERR_LEN];
	struct settings settings;
	uint64_t now = now_ns();
	size_t count = 0;

	if (read_settings(&settings, err))
		return failed(call, "%s", err);
	entries_expire(&settings.block, now);
	for (size_t i = 0; i < settings.block.count; i++) {
		const struct entry *entry = &settings.block.at[i];

		if (!entry->value.until_ns)
			continue;
		prefix_format(&entry->prefix, text);
		if (call->json) {
			json_array_append_new(list, ban_json(entry, text, now));
		} else {
			if (!count)
				print_ban(NULL, NULL, now);
			print_ban(entry, text, now);
		}
		count++;
	}
	if (!call->json)
		remark(call, count ? "%zu bans; `weir block del PREFIX` undoes one" : "no bans",
		       count);
	settings_free(&settings);
	return print_json(call, json_pack("{s:o}", "bans", list));
}

/* ---- ban-log ---- */

static void print_judgement(const struct weir_judgement *j)
{
	char why[JUDGEMENT_TEXT], when[32], subject[JUDGEMENT_SUBJECT], command[JUDGEMENT_COMMAND];
	time_t seconds = j->unix_s;
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	judgement_explain(j, why, sizeof(why));
	printf("%s %s %s\n%*s", when, judgement_name(j->kind), judgement_subject(j, subject),
	       WORDS_INDENT, "");
	print_wrapped(stdout, why, WORDS_INDENT, WORDS_INDENT);
	if (judgement_command(j, command))
		printf("%*s%s\n", WORDS_INDENT, "", command);
}

enum outcome cmd_ban_log(const struct call *call)
{
	struct words words = call->words;
	uint64_t wanted = LAST_DEFAULT;
	char err[ERR_LEN];
	struct weir_judgement *judgements;
	json_t *list = json_array();
	struct maps maps;
	size_t count;
	int rc;

	if (take_count(&words, "last", WEIR_JUDGEMENTS, &wanted, err))
		return usage(call, "%s", err);
	rc = maps_open(&maps, MAPS_READ, err);
	if (rc)
		return failed(call, "%s", err);
	rc = judgements_read(&maps, wanted, &judgements, &count, err);
	maps_close(&maps);
	if (rc)
		return failed(call, "%s", err);
	for (size_t i = 0; i < count; i++)
		if (call->json)
			json_array_append_new(list, judgement_json(&judgements[i]));
		else
			print_judgement(&judgements[i]);
	if (!call->json && !count)
		remark(call, "no judgement has been made");
	free(judgements);
	return print_json(call, json_pack("{s:o}", "judgements", list));
}
