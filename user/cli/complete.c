// SPDX-License-Identifier: GPL-2.0-only
/*
 * `weir complete WORD...`: the words that may stand in the place of the last WORD, for the
 * completions of bash, zsh and fish (packaging/). Not in `weir help`, since no person types it.
 * They follow from the table of commands and from what exists now, so no completion can drift from
 * what the tool understands.
 *
 * A line for each word: the word, and behind a tab what it is, where that helps. ":files" stands
 * for the names of files. The shell chooses those that begin with what was typed, and quotes them.
 */
#include <ctype.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/complete.h"
#include "user/host/incident_store.h"
#include "user/model/drop_rules.h"
#include "user/model/format.h"
#include "user/model/icmp_types.h"
#include "user/model/reasons.h"
#include "user/state/device.h"
#include "user/state/lists.h"
#include "user/state/session.h"

#define TOKENS		64	/* of a grammar */
#define TOKEN_LEN	64
#define TYPED_MOST	256
#define INCIDENTS_OFFERED	20
#define FILES		":files"

/* ---- the grammar of a command ---- */

/*
 * What may stand behind a command. A literal word stands alone, or @value follows it. Without a
 * literal @value is a place for any word of that kind, such as PREFIX.
 */
struct token {
	char literal[TOKEN_LEN], value[TOKEN_LEN];
	bool often;
};

struct grammar {
	struct token at[TOKENS];
	size_t count;
};

static void add_token(struct grammar *grammar, const char *literal, int length, const char *value,
		      bool often)
{
	struct token *token = &grammar->at[grammar->count];

	if (grammar->count == TOKENS)
		return;
	grammar->count++;
	token->often = often;
	snprintf(token->literal, TOKEN_LEN, "%.*s", length, literal);
	snprintf(token->value, TOKEN_LEN, "%s", value);
}

/* Copies the next word of a grammar without its brackets; @closed: its group ends behind it. */
static const char *next_word(const char *words, char word[TOKEN_LEN], bool *closed, bool *often)
{
	size_t length, used = 0;

	words += strspn(words, " ");
	length = strcspn(words, " ");
	*closed = memchr(words, ']', length) != NULL;
	*often = false;
	for (size_t i = 0; i < length && used + 1 < TOKEN_LEN; i++) {
		if (words[i] == '[' && used)	/* N[-M] */
			break;
		if (words[i] != '[' && words[i] != ']' && words[i] != '.')
			word[used++] = words[i];
		*often |= words[i] == '.';
	}
	*often |= length && words[length - 1] == '.';
	word[used] = '\0';
	return words + length;
}

static bool is_literal(const char *word)
{
	return islower((unsigned char)*word) && strspn(word, "abcdefghijklmnopqrstuvwxyz-") ==
	       strlen(word);
}

/* `native|skb|auto` behind `mode` are its values, `syn|fragment` alone are words. */
static bool is_value(const char *word)
{
	return *word && (isupper((unsigned char)*word) || isdigit((unsigned char)*word) ||
			 (strchr(word, '|') && strcmp(word, "|")));
}

static void add_alternatives(struct grammar *grammar, const char *word)
{
	while (*word) {
		int length = strcspn(word, "|");

		if (islower((unsigned char)*word))
			add_token(grammar, word, length, "", false);
		word += length;
		word += *word == '|';
	}
}

static void read_grammar(const char *words, struct grammar *grammar)
{
	char word[TOKEN_LEN], value[TOKEN_LEN];
	bool closed, often, value_closed, value_often;

	*grammar = (struct grammar){ 0 };
	while (*words) {
		const char *behind;

		words = next_word(words, word, &closed, &often);
		behind = next_word(words, value, &value_closed, &value_often);
		if (is_literal(word) && !closed && is_value(value)) {
			add_token(grammar, word, strlen(word), value, value_often);
			words = behind;
		} else if (islower((unsigned char)*word)) {
			add_alternatives(grammar, word);
		} else if (isupper((unsigned char)*word)) {
			add_token(grammar, "", 0, word, often);
			add_alternatives(grammar, word);
		}
	}
}

/* ---- what was typed ---- */

struct typed {
	const char *at[TYPED_MOST + 1];	/* the words before the one in question, without options */
	size_t count;
	const char *last;
};

static bool is_in_value_place(const struct typed *typed, size_t from, const struct grammar *grammar,
			      const struct token **of)
{
	*of = NULL;
	for (size_t i = from; i < typed->count; i++) {
		if (*of) {
			*of = NULL;
			continue;
		}
		for (size_t j = 0; j < grammar->count; j++)
			if (*grammar->at[j].value && !strcmp(grammar->at[j].literal, typed->at[i]))
				*of = &grammar->at[j];
	}
	return *of != NULL;
}

static size_t times_typed(const struct typed *typed, size_t from, const char *word)
{
	size_t times = 0;

	for (size_t i = from; i < typed->count; i++)
		times += !strcmp(typed->at[i], word);
	return times;
}

/* Words that are no literal of the grammar, nor the value behind one. */
static size_t count_places(const struct typed *typed, size_t from, const struct grammar *grammar)
{
	size_t places = 0;
	bool is_value_next = false;

	for (size_t i = from; i < typed->count; i++) {
		const struct token *token = NULL;

		for (size_t j = 0; j < grammar->count && !token; j++)
			if (*grammar->at[j].literal &&
			    !strcmp(grammar->at[j].literal, typed->at[i]))
				token = &grammar->at[j];
		places += !token && !is_value_next;
		is_value_next = !is_value_next && token && *token->value;
	}
	return places;
}

/* ---- what exists now ---- */

static void offer(const char *word, const char *about)
{
	printf("%s%s%s\n", word, about ? "\t" : "", about ? about : "");
}

static void offer_interfaces(void)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *each = all; each && each->if_index; each++)
		offer(each->if_name, "interface");
	if (all)
		if_freenameindex(all);
}

static void offer_attached(void)
{
	struct weir_device device;
	char ignored[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, ignored))
		return;
	for (uint32_t slot = 0; device_next(&maps, &slot, &device); slot++)
		offer(device.name, device.monitor ? "attached, monitor" : "attached");
	maps_close(&maps);
}

static void offer_lists(void)
{
	struct list_info *lists;
	char ignored[ERR_LEN];
	size_t count;

	if (lists_read(&lists, &count, ignored))
		return;
	for (size_t i = 0; i < count; i++)
		offer(lists[i].name, "list");
	free(lists);
}

/* The newest first, as many as a person looks through. */
static void offer_incidents(void)
{
	char ignored[ERR_LEN], text[FORMAT_LEN];
	uint64_t *numbers;
	size_t count;

	if (incident_store_list(&numbers, &count, ignored))
		return;
	for (size_t i = count; i-- > 0 && count - i <= INCIDENTS_OFFERED;) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)numbers[i]);
		offer(text, "incident");
	}
	free(numbers);
}

static void offer_budgets(const struct settings *settings)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (settings->policy->budget_spec[i].limit.used)
			offer(settings->policy->budget_spec[i].name, "budget");
}

static void offer_rules(const struct settings *settings)
{
	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (rule_is_used(&settings->policy->rule_spec[i]))
			offer(settings->policy->rule_spec[i].name, "drop rule");
}

static void offer_entries(const struct entries *entries)
{
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < entries->count; i++) {
		prefix_format(&entries->at[i].prefix, text);
		offer(text, *entries->at[i].value.comment ? entries->at[i].value.comment : NULL);
	}
}

static void offer_reasons(void)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		offer(reason_name(i), reason_text(i)->meaning);
}

/* ---- limits: only the words of those that exist and agree with what was typed ---- */

#define LIMIT_WORDS	16

/* Splits "from 192.0.2.0/24 syn dport 443" in place. */
static size_t split(char *text, char *words[LIMIT_WORDS])
{
	size_t count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(text, " ", &rest); word && count < LIMIT_WORDS;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	return count;
}

#define MATCH_LEN	(CLASS_LEN + PREFIX_STRLEN + 8)

static void limit_match(const struct weir_limit_spec *spec, char text[MATCH_LEN])
{
	char from[PREFIX_STRLEN], class[CLASS_LEN];
	bool any = prefix_key_is_any(&spec->from);

	format_end(&spec->from, from);
	format_class(spec, class);
	snprintf(text, MATCH_LEN, "%s%s %s", any ? "" : "from ", any ? "" : from,
		 strcmp(class, "all") ? class : "");
}

static bool agrees(const struct typed *typed, size_t from, char *const *words, size_t count)
{
	for (size_t i = from; i < typed->count; i++) {
		bool has = !strcmp(typed->at[i], "force");

		for (size_t j = 0; j < count && !has; j++)
			has = !strcmp(words[j], typed->at[i]);
		if (!has)
			return false;
	}
	return true;
}

/* @value_of: the word of which a value is wanted; NULL: the words themselves. */
static void offer_of_limit(const struct typed *typed, size_t from, char *const *words, size_t count,
			   const char *value_of)
{
	for (size_t i = 0; i < count; i++) {
		const char *before = i ? words[i - 1] : "";
		bool is_value = !strcmp(before, "from") || !strcmp(before, "proto") ||
				!strcmp(before, "dport") || !strcmp(before, "sport") ||
				!strcmp(before, "icmp-type");

		if (value_of ? !strcmp(before, value_of) :
			       !is_value && !times_typed(typed, from, words[i]))
			offer(words[i], NULL);
	}
}

/* False where there is no limit at all. */
static bool offer_of_limits(const struct settings *settings, const struct typed *typed, size_t from,
			    const char *value_of)
{
	bool any = false;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		const struct weir_limit_spec *spec = &settings->policy->spec[i];
		char text[MATCH_LEN], *words[LIMIT_WORDS];
		size_t count;

		if (!spec->used)
			continue;
		any = true;
		limit_match(spec, text);
		count = split(text, words);
		if (agrees(typed, from, words, count))
			offer_of_limit(typed, from, words, count, value_of);
	}
	return any;
}

/* ---- places and values ---- */

static bool is(const struct command *command, const char *object, const char *verb)
{
	return !strcmp(command->object, object) && command->verb && !strcmp(command->verb, verb);
}

/* What needs the settings in force. False where they have nothing of the kind. */
static bool offer_settings(const struct command *command, const struct typed *typed, size_t from,
			   const struct token *token)
{
	struct settings settings;
	char ignored[ERR_LEN];
	bool any = true;

	if (read_settings(&settings, ignored))
		return false;
	if (is(command, "block", "del") || !strcmp(command->object, "unban"))
		offer_entries(&settings.block);
	else if (is(command, "allow", "del"))
		offer_entries(&settings.allow);
	else if (is(command, "limit", "del"))
		any = offer_of_limits(&settings, typed, from, token ? token->literal : NULL);
	else if (!strcmp(command->object, "budget"))
		offer_budgets(&settings);
	else if (is(command, "drop", "del"))
		offer_rules(&settings);
	settings_free(&settings);
	return any;
}

static void offer_icmp_types(void)
{
	for (unsigned int n = 0; icmp_type_name(n); n++)
		offer(icmp_type_name(n), NULL);
}

static void offer_alternatives(const char *value)
{
	struct grammar grammar = { 0 };

	add_alternatives(&grammar, value);
	for (size_t i = 0; i < grammar.count; i++)
		offer(grammar.at[i].literal, NULL);
}

static bool begins(const char *kind, const char *with)
{
	return !strncmp(kind, with, strlen(with));
}

/* What may stand in the place of a value, or of a word without a name. */
static void offer_value(const struct command *command, const struct typed *typed, size_t from,
			const struct token *token)
{
	const char *kind = token->value;

	if (!strcmp(token->literal, "reason") || begins(kind, "REASON"))
		offer_reasons();
	else if (!strcmp(kind, "IF") && (!strcmp(command->object, "attach") ||
				       !strcmp(command->object, "doctor")))
		offer_interfaces();
	else if (!strcmp(kind, "IF"))
		offer_attached();
	else if (begins(kind, "FILE") || !strcmp(kind, "F"))
		puts(FILES);
	else if (!strcmp(kind, "NAME") && !strcmp(command->object, "list"))
		offer_lists();
	else if (!strcmp(kind, "N") && !strcmp(command->object, "incidents"))
		offer_incidents();
	else if (!strcmp(kind, "TYPE") && !is(command, "limit", "del"))
		offer_icmp_types();
	else if (!strcmp(kind, "P"))
		offer_alternatives("tcp|udp|icmp|sctp|gre|esp|ah|ipip|igmp");
	else if (!strcmp(kind, "NAME") || begins(kind, "PREFIX") || is(command, "limit", "del"))
		offer_settings(command, typed, from, token);
	else if (*token->literal)	/* those of a place are words of their own */
		offer_alternatives(kind);
}

/* @from: where the words of @command begin. */
static void complete_words(const struct command *command, const struct typed *typed, size_t from)
{
	const struct token *of;
	struct grammar grammar;

	read_grammar(command->words, &grammar);
	if (is_in_value_place(typed, from, &grammar, &of)) {
		offer_value(command, typed, from, of);
		return;
	}
	if (is(command, "limit", "del") && offer_settings(command, typed, from, NULL)) {
		if (!times_typed(typed, from, "force"))
			offer("force", NULL);
		return;
	}
	for (size_t i = 0; i < grammar.count; i++) {
		const struct token *token = &grammar.at[i];
		size_t before = 0;

		for (size_t j = 0; j < i; j++)
			before += *token->literal && !strcmp(grammar.at[j].literal, token->literal);
		if (!*token->literal &&
		    (token->often || !count_places(typed, from, &grammar)))
			offer_value(command, typed, from, token);
		else if (!strcmp(token->value, "IF") && from == typed->count)
			offer_value(command, typed, from, token);	/* without its `dev` */
		if (*token->literal && (token->often ||
			 times_typed(typed, from, token->literal) == before))
			offer(token->literal, NULL);
	}
}

/* ---- commands ---- */

static bool has_several(const char *object)
{
	size_t rows = 0;

	for (const struct command *command = commands; command->object; command++)
		rows += !strcmp(command->object, object);
	return rows > 1;
}

static void offer_objects(void)
{
	for (const struct command *command = commands; command->object; command++) {
		bool seen = false;

		for (const struct command *other = commands; other < command && !seen; other++)
			seen = !strcmp(other->object, command->object);
		if (!seen)
			offer(command->object, has_several(command->object) ? NULL : command->help);
	}
}

static void offer_verbs(const char *object)
{
	for (const struct command *command = commands; command->object; command++)
		if (!strcmp(command->object, object) && command->verb)
			offer(command->verb, command->help);
	/* Of other words for a command only `show limits` and its like lead further. */
	for (const struct alias *alias = aliases; alias->object; alias++)
		if (!strcmp(alias->object, "show") && !strcmp(object, "show"))
			offer(alias->verb, alias_of(alias, object)->help);
}

static void complete_help(const struct typed *typed)
{
	if (typed->count == 1) {
		offer("all", NULL);
		offer_objects();
	} else if (typed->count == 2) {
		offer_verbs(typed->at[1]);
	}
}

static void offer_options(void)
{
	static const char *const options[] = {
		"--json", "--pretty", "--quiet", "--verbose", "--help", "--version",
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		offer(options[i], NULL);
}

static void read_typed(char **words, struct typed *typed)
{
	*typed = (struct typed){ .last = "" };
	for (; *words; words++) {
		typed->last = *words;
		if (words[1] && **words != '-' && typed->count < TYPED_MOST)
			typed->at[typed->count++] = *words;
	}
}

static void complete_command(const struct typed *typed)
{
	struct words words = { (char **)typed->at };
	const struct command *command;
	char ignored[ERR_LEN];

	if (typed->count == 1)
		offer_verbs(typed->at[0]);
	command = find_command(&words, ignored);
	if (command)
		complete_words(command, typed, words.next - (char **)typed->at);
}

enum outcome complete(char **words)
{
	struct typed typed;

	read_typed(words, &typed);
	if (*typed.last == '-')
		offer_options();
	else if (!typed.count)
		offer_objects();
	else if (!strcmp(typed.at[0], "help"))
		complete_help(&typed);
	else
		complete_command(&typed);
	return DONE;
}
