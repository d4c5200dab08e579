// SPDX-License-Identifier: GPL-2.0-only
/* weir allow, weir block: prefixes that the operator names. */
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/guard.h"
#include "user/model/parse.h"
#include "user/model/table.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/lists.h"
#include "user/state/session.h"

#define BAN_NS	(3600 * NS_PER_S)	/* of `ban`, where nothing else is said */

/* ---- add, del, flush ---- */

struct source_words {
	struct prefixes prefixes;
	bool ssh;			/* the peers of SSH sessions, too */
	uint64_t ttl_ns;		/* 0: for good */
	char comment[WEIR_COMMENT];
	uint8_t force;			/* enum weir_guard */
};

static int set_comment(void *into, const char *text, char *err)
{
	struct source_words *w = into;

	if (strlen(text) >= sizeof(w->comment))
		return fail(err, EINVAL, "comment \"%.20s...\": at most %zu bytes", text,
			    sizeof(w->comment) - 1);
	if (!is_utf8(text))
		return fail(err, EINVAL, "comment: this is no UTF-8");
	if (!text_is_plain(text))
		return fail(err, EINVAL, "comment: control characters are not allowed");
	snprintf(w->comment, sizeof(w->comment), "%s", text);
	return 0;
}

static int add_prefix(void *into, const char *value, char *err)
{
	struct source_words *w = into;
	struct prefix prefix;
	int rc = parse_prefix(value, &prefix, err);

	if (rc)
		return rc;
	return prefixes_add(&w->prefixes, &prefix) ? fail(err, ENOMEM, "out of memory") : 0;
}

#define FORCE_WORD	WORD_BIT("force", struct source_words, force, WEIR_GUARD_ALL)
#define COMMENT_WORD	{ "comment", "a text", set_comment }
#define PREFIX_WORDS	{ "", NULL, add_prefix, .often = true }

static const struct word block_words[] = {
	WORD_DURATION("ttl", "a duration such as 10m", struct source_words, ttl_ns),
	GUARD_WORDS_BLOCK(struct source_words, force),
	COMMENT_WORD,
	PREFIX_WORDS,
	{ 0 },
};
static const struct word allow_words[] = {
	WORD_FLAG("ssh", struct source_words, ssh),
	GUARD_WORDS_ALLOW(struct source_words, force),
	COMMENT_WORD,
	PREFIX_WORDS,
	{ 0 },
};
static int set_ttl_once(void *into, const char *value, char *err)
{
	struct source_words *w = into;

	if (w->ttl_ns)
		return fail(err, EINVAL, "%s: there is a duration already", value);
	return parse_duration(value, &w->ttl_ns, err);
}

/* A duration may stand alone: no prefix is one. */
static int add_prefix_or_ttl(void *into, const char *value, char *err)
{
	char ignored[ERR_LEN];
	uint64_t ns;

	return parse_duration(value, &ns, ignored) ? add_prefix(into, value, err) :
						     set_ttl_once(into, value, err);
}

static const struct word ban_words[] = {
	{ "ttl", "a duration such as 10m", set_ttl_once },
	GUARD_WORDS_BLOCK(struct source_words, force),
	COMMENT_WORD,
	{ "", NULL, add_prefix_or_ttl, .often = true },
	{ 0 },
};
static const struct word del_words[] = { FORCE_WORD, PREFIX_WORDS, { 0 } };
static const struct word flush_words[] = { FORCE_WORD, { 0 } };
static const struct word prefix_words[] = { PREFIX_WORDS, { 0 } };

/* -EINVAL for wrong words, or -ENOMEM; @w is empty then. */
static int parse_sources(struct words *words, const struct word *table, struct source_words *w,
			 char *err)
{
	int rc;

	*w = (struct source_words){ 0 };
	rc = take_words(words, table, w, err);
	if (!rc)
		rc = guard_words(&w->force, err);
	if (!rc && !prefixes_count(&w->prefixes) && !w->ssh)
		rc = fail(err, EINVAL, "a prefix is needed, such as 198.51.100.7 or 2001:db8::/32");
	if (rc)
		prefixes_free(&w->prefixes);
	return rc;
}

/* Adds the peers of SSH sessions to the words, and a comment that says what they are. */
static int add_ssh(const struct edit *edit, struct source_words *w, char *err)
{
	size_t given = prefixes_count(&w->prefixes);
	int rc;

	if (!edit->ssh_peers)
		return fail(err, ENOENT, "`allow add ssh` can only be typed: in a file, sessions of the "
			    "past are meant");
	rc = edit->ssh_peers(&w->prefixes);
	if (rc)
		return fail(err, -rc, "cannot read the TCP connections of this host: %s",
			    strerror(-rc));
	if (prefixes_count(&w->prefixes) == given)
		return fail(err, ENOENT, "there is no SSH session to this host");
	if (!*w->comment)
		snprintf(w->comment, sizeof(w->comment), "ssh");
	return 0;
}

/* The guards of all entries together, once those of the command are among them. */
static int guard_all(struct guard *guard, const struct entries *entries, bool block,
		     const struct span *before, struct prefixes *added, char *err)
{
	struct span alone = { 0 }, after;

	if (prefixes_sort(added, NULL))
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < prefixes_count(added); i++) {
		struct prefix prefix = prefixes_at(added, i);

		span_add(&alone, &prefix);
	}
	span_of_entries(entries, &after);
	guard_span(guard, block ? "block" : "allow", before, &alone, &after);
	return guard_verdict(guard, err);
}

/* How an entry is added: which entries, by which words, and for how long where they do not say. */
struct adding {
	bool block;
	const struct word *table;
	uint64_t ttl_ns;
};

/* Puts all of @w's prefixes into @entries. Returns how many are new, or -errno with @err. */
static ssize_t put_sources(struct edit *edit, struct entries *entries, const struct source_words *w,
			   bool block, struct guard *guard)
{
	ssize_t added = 0;

	for (size_t i = 0; i < prefixes_count(&w->prefixes); i++) {
		struct prefix prefix = prefixes_at(&w->prefixes, i);
		struct weir_entry value = { .until_ns = w->ttl_ns ? edit->now_ns + w->ttl_ns : 0,
					    .added_unix_s = edit->now_unix_s };
		int rc;

		snprintf(value.comment, sizeof(value.comment), "%s", w->comment);
		if (block)
			guard_block(guard, &prefix, edit->settings, edit->own);
		else
			guard_allow(guard, &prefix, edit->settings);
		rc = entries_put(entries, &prefix, &value);
		if (rc < 0)
			return rc == -ENOMEM ? fail(edit->err, ENOMEM, "out of memory") : rc;
		added += rc > 0;
	}
	return added;
}

/* The prefix, without the length of a single address, or how many there are. */
static void format_sources(const struct prefixes *prefixes, char what[PREFIX_STRLEN + 64])
{
	struct prefix first = prefixes_at(prefixes, 0);

	if (prefixes_count(prefixes) == 1)
		prefix_format_short(&first, what);
	else
		snprintf(what, PREFIX_STRLEN + 64, "%zu prefixes", prefixes_count(prefixes));
}

/* "blocked for 10m: 198.51.100.7", or a number where there are several. */
static void say_added(struct edit *edit, const struct source_words *w, bool block, size_t added)
{
	size_t count = prefixes_count(&w->prefixes);
	char what[PREFIX_STRLEN + 64], ttl[FORMAT_LEN] = "", old[64] = "";

	format_sources(&w->prefixes, what);
	if (w->ttl_ns)
		format_duration(w->ttl_ns / NS_PER_S, ttl);
	if (added < count && count == 1)
		snprintf(old, sizeof(old), ", which was there already");
	else if (added < count)
		snprintf(old, sizeof(old), ", of which %zu %s there already", count - added,
			 count - added == 1 ? "was" : "were");
	snprintf(edit->said, sizeof(edit->said), "%s%s%s: %s%s", block ? "blocked" : "allowed",
		 *ttl ? " for " : "", ttl, what, old);
}

static enum outcome add_sources(struct edit *edit, struct entries *entries,
				const struct adding *adding)
{
	struct source_words w;
	struct guard guard = { 0 };
	struct span before;
	ssize_t added = 0;
	int rc = parse_sources(&edit->words, adding->table, &w, edit->err);

	if (rc)
		return outcome_of_value(rc);
	if (!w.ttl_ns)
		w.ttl_ns = adding->ttl_ns;
	if (w.ssh)
		rc = add_ssh(edit, &w, edit->err);
	edit->force = w.force & (WEIR_GUARD_ALL | WEIR_GUARD_SSH);
	guard.passed = edit->unguarded && !adding->block ? WEIR_GUARD_ALL : w.force;
	span_of_entries(entries, &before);
	if (!rc)
		added = put_sources(edit, entries, &w, adding->block, &guard);
	if (!rc && added >= 0)
		say_added(edit, &w, adding->block, added);
	if (!rc && added >= 0)
		rc = guard_all(&guard, entries, adding->block, &before, &w.prefixes, edit->err);
	prefixes_free(&w.prefixes);
	if (rc || added < 0)
		return FAILED;
	edit->changed = true;
	snprintf(edit->note, sizeof(edit->note), "%.180s", guard.remark);
	return DONE;
}

/* What @prefix is not: an entry. */
static int refuse_missing(const struct edit *edit, const struct entries *entries,
			  const struct prefix *prefix, const char *object, char *err)
{
	const struct entry *covering = entries_cover(entries, prefix, edit->now_ns);
	char text[PREFIX_STRLEN], cover[PREFIX_STRLEN];

	prefix_format(prefix, text);
	if (!covering)
		return fail(err, ENOENT, "%s is not a %s entry; `weir %s show` lists them", text, object,
			    object);
	prefix_format(&covering->prefix, cover);
	return fail(err, ENOENT, "%s is not a %s entry, but inside %s", text, object, cover);
}

/* What was removed, and where an entry around it goes on, that one. */
static void say_removed(struct edit *edit, const struct entries *entries,
			const struct prefixes *removed, const char *object)
{
	char what[PREFIX_STRLEN + 64], cover[PREFIX_STRLEN];
	struct prefix first = prefixes_at(removed, 0);
	const struct entry *covering = entries_cover(entries, &first, edit->now_ns);

	format_sources(removed, what);
	snprintf(edit->said, sizeof(edit->said), "removed from %s: %s", object, what);
	if (prefixes_count(removed) > 1 || !covering)
		return;
	prefix_format(&covering->prefix, cover);
	snprintf(edit->note, sizeof(edit->note), "%s is still inside the %s entry %s", what, object,
		 cover);
}

static enum outcome del_sources(struct edit *edit, struct entries *entries, const char *object)
{
	struct source_words w;
	int rc = parse_sources(&edit->words, del_words, &w, edit->err);

	if (rc)
		return outcome_of_value(rc);
	edit->force = w.force;
	for (size_t i = 0; i < prefixes_count(&w.prefixes) && !rc; i++) {
		struct prefix prefix = prefixes_at(&w.prefixes, i);

		if (!entries_remove(entries, &prefix))
			rc = refuse_missing(edit, entries, &prefix, object, edit->err);
	}
	if (!rc)
		say_removed(edit, entries, &w.prefixes, object);
	prefixes_free(&w.prefixes);
	edit->changed = !rc;
	return rc ? FAILED : DONE;
}

static enum outcome flush_sources(struct edit *edit, struct entries *entries)
{
	struct source_words w = { 0 };

	if (take_words(&edit->words, flush_words, &w, edit->err))
		return USAGE;
	edit->force = w.force;
	edit->changed = entries->count > 0;
	snprintf(edit->said, sizeof(edit->said), "%zu entries removed", entries->count);
	entries->count = 0;
	return DONE;
}

enum outcome edit_allow_add(struct edit *edit)
{
	static const struct adding adding = { false, allow_words };

	return add_sources(edit, &edit->settings->allow, &adding);
}

enum outcome edit_allow_del(struct edit *edit)
{
	return del_sources(edit, &edit->settings->allow, "allow");
}

enum outcome edit_allow_flush(struct edit *edit)
{
	return flush_sources(edit, &edit->settings->allow);
}

enum outcome edit_block_add(struct edit *edit)
{
	static const struct adding adding = { true, block_words };

	return add_sources(edit, &edit->settings->block, &adding);
}

enum outcome edit_ban(struct edit *edit)
{
	static const struct adding adding = { true, ban_words, BAN_NS };

	return add_sources(edit, &edit->settings->block, &adding);
}

enum outcome edit_block_del(struct edit *edit)
{
	return del_sources(edit, &edit->settings->block, "block");
}

enum outcome edit_block_flush(struct edit *edit)
{
	return flush_sources(edit, &edit->settings->block);
}

/* ---- show ---- */

static json_t *entry_json(const struct entry *entry, uint64_t now)
{
	char text[PREFIX_STRLEN];
	json_t *json;

	prefix_format(&entry->prefix, text);
	json = json_pack("{s:s, s:s, s:I}", "prefix", text, "comment", entry->value.comment, "added",
			 (json_int_t)entry->value.added_unix_s);
	if (entry->value.until_ns)
		json_object_set_new(json, "ttl_seconds", json_integer(
				    seconds_until(entry->value.until_ns, now)));
	return json;
}

static const struct column entry_columns[] = {
	{ "PREFIX", 23 }, { "TTL", 8, true }, { "COMMENT", 0 }, { 0 },
};

static void print_entry(const struct entry *entry, uint64_t now)
{
	char text[PREFIX_STRLEN], ttl[FORMAT_LEN] = "-";

	prefix_format(&entry->prefix, text);
	if (entry->value.until_ns)
		format_left(seconds_until(entry->value.until_ns, now), ttl);
	table_row(entry_columns, text, ttl, entry->value.comment);
}

static enum outcome show_entries(const struct call *call, const char *object, bool block)
{
	uint64_t now = now_ns();
	struct settings settings;
	struct entries *entries;
	json_t *list;
	char err[ERR_LEN];

	if (read_settings(&settings, err))
		return failed(call, "%s", err);
	list = json_array();
	entries = block ? &settings.block : &settings.allow;
	entries_expire(entries, now);
	if (!call->json && entries->count)
		table_head(entry_columns);
	for (size_t i = 0; i < entries->count; i++) {
		if (call->json)
			json_array_append_new(list, entry_json(&entries->at[i], now));
		else
			print_entry(&entries->at[i], now);
	}
	if (!call->json && !entries->count)
		remark(call, "no %s entries", object);
	settings_free(&settings);
	return print_json(call, json_pack("{s:o}", object, list));
}

enum outcome cmd_allow_show(const struct call *call)
{
	return show_entries(call, "allow", false);
}

enum outcome cmd_block_show(const struct call *call)
{
	return show_entries(call, "block", true);
}

/* ---- test ---- */

/* Finds the entry or the list that covers all of @prefix, as text in @by; false: none does. */
static bool find_cover(const struct settings *settings, const struct prefix *prefix, bool block,
		       char *by, size_t size)
{
	const struct entry *entry = entries_cover(block ? &settings->block : &settings->allow,
						  prefix, now_ns());
	char text[PREFIX_STRLEN], list[WEIR_NAME_LEN];

	if (entry) {
		prefix_format(&entry->prefix, text);
		snprintf(by, size, "%s", text);
		return true;
	}
	if (!block || !list_that_covers(prefix, list))
		return false;
	snprintf(by, size, "list %s", list);
	return true;
}

static enum outcome test_sources(const struct call *call, bool block)
{
	char text[PREFIX_STRLEN], by[PREFIX_STRLEN + WEIR_NAME_LEN] = "", err[ERR_LEN];
	const char *verb = block ? "blocked" : "allowed";
	char line[256];
	enum outcome outcome = DONE;
	struct words words = call->words;
	json_t *list;
	struct settings settings;
	struct source_words w;

	if (parse_sources(&words, prefix_words, &w, err))
		return usage(call, "%s", err);
	if (read_settings(&settings, err)) {
		prefixes_free(&w.prefixes);
		return failed(call, "%s", err);
	}
	list = json_array();
	for (size_t i = 0; i < prefixes_count(&w.prefixes); i++) {
		struct prefix prefix = prefixes_at(&w.prefixes, i);
		bool covered = find_cover(&settings, &prefix, block, by, sizeof(by));

		prefix_format(&prefix, text);
		if (!covered)
			outcome = FAILED;
		json_array_append_new(list, json_pack("{s:s, s:b, s:s?}", "prefix", text, verb,
						      covered, "by", covered ? by : NULL));
		snprintf(line, sizeof(line), covered ? "%s is %s by %s" : "%s is not %s", text, verb, by);
		if (!call->json && !call->quiet)
			print_wrapped(stdout, line, 0, 4);
	}
	prefixes_free(&w.prefixes);
	settings_free(&settings);
	return print_json(call, json_pack("{s:o}", "tested", list)) == DONE ? outcome : FAILED;
}

enum outcome cmd_allow_test(const struct call *call)
{
	return test_sources(call, false);
}

enum outcome cmd_block_test(const struct call *call)
{
	return test_sources(call, true);
}
