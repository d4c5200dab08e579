// SPDX-License-Identifier: GPL-2.0-only
/* weir save, weir restore: the settings as commands, one a line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/command.h"
#include "user/cli/cookie_sysctls.h"
#include "user/cli/list_words.h"
#include "user/cli/resolver_guard.h"
#include "user/cli/ssh_guard.h"
#include "user/host/addresses.h"
#include "user/host/clock.h"
#include "user/host/link_speed.h"
#include "user/model/drop_rules.h"
#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/policy.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/list_keep.h"
#include "user/state/list_load.h"
#include "user/state/list_maps.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"
#include "user/state/snapshot.h"

#define WORDS_MAX	64
#define LINE_MAX_LEN	4096
#define LINE_TEXT	(CLASS_LEN + 256)	/* the longest limit or budget fits */
#define FILE_MOST	(256U << 20)	/* bytes */
#define ANSWER_NS	(20 * NS_PER_S)	/* a file that takes longer is on a file system that hangs */
#define ANSWERS_NS	(60 * NS_PER_S)

/* ---- save ---- */

/*
 * Control characters are refused where they would be stored, but maps that an older version filled
 * may have some. They are written escaped: a line feed here would make the file unreadable.
 */
static void print_quoted(const char *stored)
{
	char escaped[4 * sizeof(((struct list_change *)0)->file)];
	const char *text = text_escape(stored, escaped, sizeof(escaped));

	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void save_entries(const struct entries *entries, const char *object, uint64_t now)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->at[i];
		char text[PREFIX_STRLEN], ttl[FORMAT_LEN];

		if (entry->value.origin != WEIR_BY_OPERATOR)
			continue;
		prefix_format(&entry->prefix, text);
		printf("%s add %s", object, text);
		if (entry->value.until_ns) {
			format_duration(seconds_until(entry->value.until_ns, now), ttl);
			printf(" ttl %s", ttl);
		}
		if (*entry->value.comment) {
			char comment[WEIR_COMMENT];

			memcpy(comment, entry->value.comment, sizeof(comment));
			text_make_plain(comment);	/* escaped it might be too long */
			printf(" comment ");
			print_quoted(comment);
		}
		/* The entry is in force already, so the guards have been passed or overruled. */
		printf(strcmp(object, "block") ? "\n" : " force\n");
	}
}

static void save_budget(const struct weir_policy *policy, uint32_t index)
{
	const struct weir_budget_spec *spec = &policy->budget_spec[index];
	char words[LINE_TEXT];

	if (!spec->limit.used)
		return;
	format_budget(&spec->limit, words, sizeof(words));
	printf("budget set %s %s\n", spec->name, words);
}

/* With `force`: when the rules are restored at boot, the service may not listen yet. */
static void save_syn(const struct weir_syn_rule *rule)
{
	char words[256];

	if (!rule->used)
		return;
	format_syn(rule, words, sizeof(words));
	printf("syn protect %s force\n", words);
}

/* With `force`, for the same reason. */
static void save_dns(const struct weir_dns_rule *rule)
{
	char words[256];

	if (!rule->used)
		return;
	format_dns(rule, words, sizeof(words));
	printf("dns protect %s force\n", words);
}

/* With `force`: the rule is in force already, so the guards of the line were passed or overruled. */
static void save_rule(const struct weir_rule_spec *spec, uint64_t now)
{
	char match[RULE_TEXT], action[RULE_TEXT], ttl[FORMAT_LEN];

	if (!rule_is_used(spec) || spec->origin != WEIR_BY_OPERATOR)
		return;
	format_rule_match(spec, match);
	format_rule_action(spec, action);
	printf("drop add %s %s%s%s", spec->name, match, *action ? " " : "", action);
	if (spec->until_ns) {
		format_duration(seconds_until(spec->until_ns, now), ttl);
		printf(" ttl %s", ttl);
	}
	printf(" force\n");
}

static int save_lists(char *err)
{
	struct list_info *infos;
	size_t count;
	int rc = lists_read(&infos, &count, err);

	for (size_t i = 0; i < count; i++) {
		char force[GUARD_TEXT];

		printf("list load %s file ", infos[i].name);
		print_quoted(infos[i].current.file);
		if (infos[i].current.format != LIST_AUTO)
			printf(" format %s", list_format_name(infos[i].current.format));
		printf("%s%s\n", infos[i].current.skip_bad ? " skip-bad" : "",
		       guard_format(infos[i].current.force, force));
	}
	free(infos);
	return rc;
}

enum outcome cmd_save(const struct call *call)
{
	uint32_t order[WEIR_LIMITS];
	uint64_t now = now_ns();
	struct settings settings;
	char err[ERR_LEN], words[LINE_TEXT];
	size_t limits;
	int rc;

	(void)call;
	if (read_settings(&settings, err))
		return failed(call, "%s", err);
	printf("# weir settings; `weir restore FILE` sets exactly these\n");
	limits = limits_in_order(settings.policy, order);
	for (size_t i = 0; i < limits; i++) {
		format_limit(&settings.policy->spec[order[i]], &settings.policy->limit[order[i]],
			     words, sizeof(words));
		printf("limit set %s\n", words);
	}
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		save_budget(settings.policy, i);
	for (uint32_t i = 1; i < WEIR_SYN_RULES; i++)
		save_syn(&settings.policy->syn_rule[i]);
	if (settings.policy->syn_share)
		printf("syn share %u%%\n", settings.policy->syn_share);
	for (uint32_t i = 1; i < WEIR_DNS_RULES; i++)
		save_dns(&settings.policy->dns_rule[i]);
	rules_expire(settings.policy, now);
	for (uint32_t i = 0; i < WEIR_RULES; i++)
		save_rule(&settings.policy->rule_spec[i], now);
	entries_expire(&settings.block, now);
	save_entries(&settings.allow, "allow", now);
	save_entries(&settings.block, "block", now);
	settings_free(&settings);
	rc = save_lists(err);
	if (rc)
		return failed(call, "%s", err);
	return DONE;
}

/* ---- restore: reading the file ---- */

/* The content of a file: settings that start empty, and changes of lists. */
struct script {
	const char *name;
	struct settings settings;
	struct prefixes own;
	struct list_change *lists;
	char (*why)[ERR_LEN];	/* why the file of each list cannot be used; "": it was read */
	size_t list_count;
	bool lists_differ;	/* a list is in force with something else than its file has */
	uint64_t now_ns, now_unix_s;
	bool set_sysctls;	/* a line asks for it */
	uint8_t force;		/* enum weir_guard, of the command itself: only the session's */
	bool check_only;
};

/*
 * Splits @line in place into words, which blanks separate. Within "quotes" a backslash stands
 * before a quote or a backslash; # begins a comment. Returns the number of words, or -EINVAL
 * with @err.
 */
static int split_words(char *line, char *words[WORDS_MAX + 1], char *err)
{
	char *from = line, *to = line;
	int count = 0;

	for (;;) {
		bool quoted = false;

		from += strspn(from, " \t\r\n");
		if (!*from || *from == '#')
			break;
		if (count == WORDS_MAX)
			return fail(err, EINVAL, "more than %d words", WORDS_MAX);
		words[count++] = to;
		for (; *from && (quoted || !strchr(" \t\r\n", *from)); from++) {
			if (*from == '"')
				quoted = !quoted;
			else
				*to++ = *from == '\\' && quoted && from[1] ? *++from : *from;
		}
		if (quoted)
			return fail(err, EINVAL, "a quote is not closed");
		if (*from)
			from++;
		*to++ = '\0';
	}
	words[count] = NULL;
	return count;
}

static int add_list(struct script *script, struct words *words, char *err)
{
	struct list_change *more;

	more = reallocarray(script->lists, script->list_count + 1, sizeof(*more));
	if (!more)
		return fail(err, ENOMEM, "out of memory");
	script->lists = more;
	if (parse_list_load(words, &more[script->list_count], err))
		return -EINVAL;
	for (size_t i = 0; i < script->list_count; i++)
		if (!strcmp(more[i].name, more[script->list_count].name))
			return fail(err, EINVAL, "list %s is loaded twice", more[i].name);
	if (++script->list_count > LISTS_MAX)
		return fail(err, EINVAL, "more than %d lists", LISTS_MAX);
	return 0;
}

static int run_line(struct script *script, char **line, char *err)
{
	const char *object = line[0], *verb = line[1] ? line[1] : "";
	struct words words = { line };
	const struct command *command = find_setting(&words, err);
	struct edit edit = { .settings = &script->settings, .own = &script->own,
			     .now_ns = script->now_ns, .now_unix_s = script->now_unix_s,
			     .set_sysctls = script->set_sysctls, .unguarded = true };
	enum outcome outcome;

	if (!command || check_no_words(command, &words, err))
		return -EINVAL;
	if (command->run == cmd_list_load)
		return add_list(script, &words, err);
	if (!command->edit)
		return fail(err, EINVAL, "\"%s %s\" is not a command that sets something", object,
			    verb);
	edit.words = words;
	outcome = command->edit(&edit);
	script->set_sysctls = edit.set_sysctls;
	return outcome == DONE ? 0 : fail(err, EINVAL, "%s", edit.err);
}

/* An older version accepted comments that are refused today; its files are to be readable. */
static void mend_comments(char **words)
{
	for (; words[0] && words[1]; words++)
		if (!strcmp(words[0], "comment"))
			text_make_plain(words[1]);
}

static int read_line(struct script *script, char *line, size_t length, char *err)
{
	char *words[WORDS_MAX + 1] = { NULL }, **first = words;
	int rc;

	if (strlen(line) != length)
		return fail(err, EINVAL, "a NUL byte: this is not a text file");
	if (length > LINE_MAX_LEN)
		return fail(err, EINVAL, "a line of more than %d bytes", LINE_MAX_LEN);
	rc = split_words(line, words, err);
	if (rc > 0)
		mend_comments(words);
	if (words[0] && words[1] && !strcmp(words[0], "weir"))
		first++;	/* as a shell has it: what `preset` prints */
	return rc > 0 ? run_line(script, first, err) : rc;
}

/*
 * A line and its length as getline() gives them, but no longer than LINE_MAX_LEN + 1 bytes: that
 * is enough to see that it is too long. -1 at the end.
 */
static ssize_t next_line(FILE *file, char line[LINE_MAX_LEN + 2])
{
	size_t length = 0;
	int c;

	while (length <= LINE_MAX_LEN && (c = getc_unlocked(file)) != EOF) {
		line[length++] = c;
		if (c == '\n')
			break;
	}
	line[length] = '\0';
	return length ? (ssize_t)length : -1;
}

static int read_script(struct script *script, FILE *file, char *err)
{
	char line[LINE_MAX_LEN + 2], why[ERR_LEN];
	size_t number = 0, bytes = 0;
	ssize_t length;
	int rc = 0;

	while (!rc && (length = next_line(file, line)) >= 0) {
		number++;
		bytes += length;
		rc = bytes > FILE_MOST ? fail(why, EFBIG, "more than %u MiB", FILE_MOST >> 20) :
					 read_line(script, line, length, why);
		if (rc)
			fail(err, -rc, "%s:%zu: %.180s", script->name, number, why);
	}
	return rc || !ferror(file) ? rc : fail(err, EIO, "cannot read %s: %s", script->name,
					       strerror(errno));
}

/*
 * Without the lock: some of the files may be slow to read, and a broken one stops nothing. At boot
 * the network waits for this, so all files together get ANSWERS_NS more than it takes to read them.
 */
static int read_lists(struct script *script, char *err)
{
	uint64_t patience = ANSWERS_NS;
	struct list_report report;

	script->why = calloc(script->list_count + 1, sizeof(*script->why));
	if (!script->why)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < script->list_count; i++) {
		uint64_t most = patience < ANSWER_NS ? patience : ANSWER_NS;
		pid_t left;		/* it ends when its file system answers, or with this host */
		int rc = list_read_file_within(&script->lists[i], most, &left, &report,
					       script->why[i]);

		if (!rc)
			script->why[i][0] = '\0';
		if (rc == -ETIMEDOUT)
			patience -= most;
	}
	return 0;
}

/* ---- restore: from what is to what the file says ---- */

/* A limit of the same source and class keeps its serial, and with it its buckets. */
static int merge_limits(struct weir_policy *policy, const struct weir_policy *wanted, uint64_t now,
			char *err)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used && !policy_find(wanted, &policy->spec[i]))
			policy_remove(policy, i);
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		int rc = wanted->spec[i].used ?
				 policy_set(policy, &wanted->spec[i], wanted->limit[i].v4_bits,
					    wanted->limit[i].v6_bits, now << WEIR_TICK_SHIFT, err) : 0;

		if (rc < 0)
			return rc;
	}
	budgets_replace(policy, wanted);
	memcpy(policy->syn_rule, wanted->syn_rule, sizeof(policy->syn_rule));
	policy->syn_share = wanted->syn_share;
	memcpy(policy->dns_rule, wanted->dns_rule, sizeof(policy->dns_rule));
	rules_replace(policy, wanted);
	return policy_compile(policy, err);
}

/* Bans of the daemon are not part of the file, and stay. */
static int keep_bans(struct entries *wanted, const struct entries *was)
{
	int rc = 0;

	for (size_t i = 0; i < was->count && rc >= 0; i++)
		if (was->at[i].value.origin != WEIR_BY_OPERATOR &&
		    !entries_find(wanted, &was->at[i].prefix))
			rc = entries_put(wanted, &was->at[i].prefix, &was->at[i].value);
	return rc < 0 ? rc : 0;
}

/* An entry that exists keeps its date, and its end where the new one is within two seconds. */
static void keep_dates(struct entries *wanted, const struct entries *was)
{
	for (size_t i = 0; i < wanted->count; i++) {
		struct weir_entry *value = &wanted->at[i].value;
		const struct entry *old = entries_find(was, &wanted->at[i].prefix);
		uint64_t apart;

		if (!old)
			continue;
		value->added_unix_s = old->value.added_unix_s;
		apart = value->until_ns > old->value.until_ns ?
				value->until_ns - old->value.until_ns :
				old->value.until_ns - value->until_ns;
		if (value->until_ns && old->value.until_ns && apart <= 2 * NS_PER_S)
			value->until_ns = old->value.until_ns;
	}
}

static bool same_entries(const struct entries *a, const struct entries *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (prefix_cmp(&a->at[i].prefix, &b->at[i].prefix) ||
		    a->at[i].value.until_ns != b->at[i].value.until_ns ||
		    strcmp(a->at[i].value.comment, b->at[i].value.comment))
			return false;
	return true;
}

static bool same_settings(const struct settings *a, const struct settings *b)
{
	return same_entries(&a->allow, &b->allow) && same_entries(&a->block, &b->block) &&
	       policy_same(a->policy, b->policy);
}

/* Appends the removal of each list that is in force and not in the file. */
static int plan_removals(struct script *script, char *err)
{
	size_t wanted = script->list_count, count;
	struct list_change *more;
	struct list_info *infos;
	int rc = lists_read(&infos, &count, err);

	more = reallocarray(script->lists, wanted + count + 1, sizeof(*script->lists));
	if (!more) {
		free(infos);
		return fail(err, ENOMEM, "out of memory");
	}
	script->lists = more;
	for (size_t i = 0; i < count && !rc; i++) {
		bool stays = false;

		for (size_t n = 0; n < wanted; n++)
			stays |= !strcmp(script->lists[n].name, infos[i].name);
		if (stays)
			continue;
		script->lists[script->list_count] = (struct list_change){ .what = LIST_DEL };
		strcpy(script->lists[script->list_count++].name, infos[i].name);
	}
	free(infos);
	return rc;
}

/*
 * Whether list @i is to be loaded. A list whose file cannot be used must not keep limits and
 * entries from taking effect: something else is loaded for it, and the operator is told.
 */
static bool plan_list(const struct call *call, struct script *script, size_t i,
		      const struct settings *settings)
{
	struct list_change *change = &script->lists[i];
	char said[ERR_LEN], *why = script->why[i];
	int rc = *why ? -EIO : plan_list_load(change, settings, why);

	if (rc >= 0)
		return rc;
	script->lists_differ = true;
	rc = plan_list_instead(change, settings, why, said);
	warn(call, "%s", said);
	return rc;
}

/* What list @change holds when the settings are in force; one that stays may not have been read. */
static int guard_session_from_list(const struct maps *maps, const struct list_change *change,
				   const struct settings *was, const struct settings *is, char *err)
{
	struct prefixes in_force = { 0 };
	char ignored[ERR_LEN];
	int rc;

	if (change->what != LIST_LOAD || !maps)
		return 0;
	if (!prefixes_count(&change->set) && !change->instead &&
	    list_read_set(change->name, list_pin_in_force(change->name), &in_force, ignored))
		return 0;
	rc = ssh_guard_list(maps, was, is, change->name,
			    prefixes_count(&in_force) ? &in_force : &change->set, err);
	prefixes_free(&in_force);
	return rc;
}

/*
 * Leaves in @script->lists only what is to be done: loads that change something, removals. @cut is
 * what a list would do to an SSH session, or stays as it is.
 */
static int plan_lists(const struct call *call, const struct maps *maps, struct script *script,
		      const struct settings *was, const struct settings *is, char *cut, char *err)
{
	size_t kept = 0, loads = script->list_count;
	int rc = plan_removals(script, err);

	for (size_t i = 0; i < script->list_count && !rc; i++) {
		struct list_change *change = &script->lists[i];
		bool to_do = i >= loads || plan_list(call, script, i, is);
		struct list_change moved;

		if (!*cut)
			guard_session_from_list(maps, change, was, is, cut);
		if (!to_do) {
			prefixes_free(&change->set);
			continue;
		}
		moved = *change;
		change->set = (struct prefixes){ 0 };
		script->lists[kept++] = moved;
	}
	script->list_count = rc ? script->list_count : kept;
	return rc;
}

/* cookie_sysctls.h gives the reason for the order. */
static int write_settings(struct maps *maps, const struct script *script,
			  const struct settings *was, struct settings *is, int set_fd, char *err)
{
	struct cookie_sysctls before;
	int rc = script->set_sysctls ? cookie_sysctls_set(&before, err) : 0;

	if (rc)
		return rc;
	rc = maps_replace_settings(maps, was, is, set_fd, err);
	if (rc && script->set_sysctls)
		cookie_sysctls_put_back(&before, err);
	return rc;
}

static int commit(struct maps *maps, struct script *script, const struct settings *was,
		  struct settings *is, char *err)
{
	int set_fd = -1, rc = 0;

	if (script->list_count)
		rc = lists_prepare(maps, script->lists, script->list_count, &set_fd, err);
	if (!rc)
		rc = write_settings(maps, script, was, is, set_fd, err);
	if (set_fd >= 0)
		close(set_fd);
	if (rc) {
		char ignored[ERR_LEN];

		lists_recover(maps, ignored);
		return rc;
	}
	return script->list_count ? lists_finish(maps, script->lists, script->list_count, err) : 0;
}

static bool is_unchanged(const struct script *script, const struct settings *was,
			 const struct settings *is)
{
	return !script->list_count && same_settings(was, is) &&
	       (!script->set_sysctls || cookie_sysctls_ready());
}

/* @is: the settings in force, which become those of @script; lists are planned. */
static int plan(const struct call *call, const struct maps *maps, struct script *script,
		const struct settings *was, struct settings *is, char *cut, char *err)
{
	keep_dates(&script->settings.allow, &was->allow);
	keep_dates(&script->settings.block, &was->block);
	entries_swap(&is->allow, &script->settings.allow);
	entries_swap(&is->block, &script->settings.block);
	if (keep_bans(&is->block, &was->block))
		return fail(err, ENOMEM, "out of memory");
	if (merge_limits(is->policy, script->settings.policy, script->now_ns, err))
		return -EINVAL;
	if (maps)
		ssh_guard_rules(maps, was, is, cut);
	return plan_lists(call, maps, script, was, is, cut, err);
}

/* What `force` of the command would be needed for; "": nothing, or it was said. */
static void overrule(const struct script *script, const struct settings *was,
		     const struct settings *is, char *cut)
{
	if (script->force)
		*cut = '\0';
	if (!*cut && !(script->force & WEIR_GUARD_ALL))
		resolver_guard(was, is, cut);
}

/* @maps NULL: weir is not in use; possible only with @script->check_only. */
static enum outcome apply_script(const struct call *call, struct maps *maps, struct script *script)
{
	char err[ERR_LEN], cut[ERR_LEN] = "";
	struct settings was, is = { 0 };
	enum outcome outcome = DONE;
	int rc;

	if (maps ? maps_read_settings(maps, &was, err) : settings_init(&was))
		return failed(call, "%s", maps ? err : "out of memory");
	entries_expire(&was.block, script->now_ns);
	rules_expire(was.policy, script->now_ns);
	if (settings_copy(&is, &was)) {
		settings_free(&was);
		return failed(call, "out of memory");
	}
	policy_fit_gate(is.policy, fastest_link(), script->now_ns << WEIR_TICK_SHIFT);
	rc = plan(call, maps, script, &was, &is, cut, err);
	if (!rc)
		overrule(script, &was, &is, cut);
	if (rc) {
		outcome = failed(call, "%s", err);
	} else if (script->check_only) {
		if (*cut)
			warn(call, "to restore it asks for `force`: %s", cut);
		remark(call, "%s is right; nothing was changed", script->name);
	} else if (is_unchanged(script, &was, &is)) {
		remark(call, "unchanged");
	} else if (*cut) {
		outcome = failed(call, "%s: %s", script->name, cut);
	} else if (commit(maps, script, &was, &is, err)) {
		outcome = failed(call, "%s", err);
	} else {
		remark(call, "restored from %s", script->name);
	}
	settings_free(&was);
	settings_free(&is);
	return outcome;
}

static void script_free(struct script *script)
{
	for (size_t i = 0; i < script->list_count; i++)
		prefixes_free(&script->lists[i].set);
	free(script->lists);
	free(script->why);
	prefixes_free(&script->own);
	settings_free(&script->settings);
}

/* The words behind the file. */
static int take_restore_words(struct words *words, struct script *script, char *err)
{
	static const struct word restore_words[] = {
		WORD_FLAG("check", struct script, check_only),
		WORD_BIT("force", struct script, force, WEIR_GUARD_ALL),
		WORD_BIT("ssh", struct script, force, WEIR_GUARD_SSH),
		{ 0 },
	};

	return take_words(words, restore_words, script, err) ? : guard_words(&script->force, err);
}

enum outcome cmd_restore(const struct call *call)
{
	struct script script = { .now_ns = now_ns(), .now_unix_s = time(NULL) };
	struct words words = call->words;
	char err[ERR_LEN], *name = take_value(&words);
	enum outcome outcome = FAILED;
	struct maps maps;
	FILE *file;
	int rc;

	if (!name)
		return usage(call, "restore needs a file, or - for standard input");
	if (take_restore_words(&words, &script, err))
		return usage(call, "%s", err);
	script.name = strcmp(name, "-") ? name : "standard input";
	file = strcmp(name, "-") ? fopen(name, "re") : stdin;
	if (!file)
		return failed(call, "cannot open %s: %s", name, strerror(errno));
	rc = settings_init(&script.settings) || own_addresses(&script.own) ?
		     fail(err, ENOMEM, "out of memory") : read_script(&script, file, err);
	if (file != stdin)
		fclose(file);
	if (!rc)
		rc = read_lists(&script, err);
	if (!rc)
		rc = open_maps(&maps, script.check_only ? MAPS_WRITE : MAPS_CREATE, err);
	if (rc == -ENOENT && script.check_only) {
		outcome = apply_script(call, NULL, &script);
	} else if (rc) {
		failed(call, "%s", err);
	} else {
		outcome = apply_script(call, &maps, &script);
		close_maps(&maps, outcome == DONE);
	}
	if (outcome == DONE && !script.check_only &&
	    lists_keep(script.lists, script.list_count, err))
		warn(call, "%s", err);
	if (outcome == DONE && !script.check_only)
		unlink(ALARM_FILE);
	if (outcome == DONE && script.lists_differ)
		outcome = INCOMPLETE;
	script_free(&script);
	return outcome;
}
