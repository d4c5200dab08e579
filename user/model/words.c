// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/spelling.h"
#include "user/model/words.h"

#define NOT_A_WORD	"is not a word of this command"

bool take_word(struct words *words, const char *word)
{
	if (!*words->next || strcmp(*words->next, word))
		return false;
	words->next++;
	return true;
}

char *take_value(struct words *words)
{
	return *words->next ? *words->next++ : NULL;
}

static int refuse_word(const char *word, const char *why, char *err)
{
	char quoted[PREFIX_QUOTE];

	prefix_quote(word, strlen(word), quoted);
	return fail(err, EINVAL, "%s %s", quoted, why);
}

int no_more_words(const struct words *words, char *err)
{
	return *words->next ? refuse_word(*words->next, NOT_A_WORD, err) : 0;
}

/* ---- what was meant ---- */

static bool is_proto(const char *word)
{
	char ignored[ERR_LEN];
	uint8_t proto;
	bool any;

	return isalpha((unsigned char)*word) && !parse_proto(word, &proto, &any, ignored);
}

static bool is_rate(const char *word)
{
	char ignored[ERR_LEN];
	struct rate rate;

	return !parse_rate(word, &rate, ignored);
}

static bool is_duration(const char *word)
{
	char ignored[ERR_LEN];
	uint64_t ns;

	return !parse_duration(word, &ns, ignored);
}

static bool is_port(const char *word)
{
	char ignored[ERR_LEN];
	uint16_t first, last;

	return !parse_ports("port", word, 0, &first, &last, ignored);
}

static bool is_prefix(const char *word)
{
	char ignored[ERR_LEN];
	struct prefix prefix;

	return !parse_prefix(word, &prefix, ignored);
}

/* Values that say by themselves behind which word they belong. */
static const struct {
	const char *name;
	bool (*fits)(const char *value);
} values[] = {
	{ "proto", is_proto }, { "rate", is_rate }, { "ttl", is_duration }, { "try", is_duration },
	{ "dport", is_port }, { "from", is_prefix }, { "to", is_prefix },
};

static bool has_word(const struct word *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name) && *name)
			return true;
	return false;
}

/* The word of @table that @word resembles; NULL: none. */
static const char *resembling(const struct word *table, const char *word)
{
	struct spelling spelling = { .word = word };

	for (; table->name; table++)
		spelling_try(&spelling, table->name);
	return spelling.best;
}

/* Writes what @word, which is none of @table, was probably meant to be; false: no idea. */
static bool guess_word(const struct word *table, const char *word, char guess[PREFIX_QUOTE])
{
	const char *best = resembling(table, word);

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (!has_word(table, values[i].name) || !values[i].fits(word))
			continue;
		snprintf(guess, PREFIX_QUOTE, "%s %.40s", values[i].name, word);
		return true;
	}
	if (best)
		snprintf(guess, PREFIX_QUOTE, "%s", best);
	return best;
}

static int refuse_unknown(const struct word *table, const char *word, const char *why, char *err)
{
	char guess[PREFIX_QUOTE], text[2 * PREFIX_QUOTE];

	if (!guess_word(table, word, guess))
		return refuse_word(word, why, err);
	snprintf(text, sizeof(text), "%s; did you mean \"%s\"?", why, guess);
	return refuse_word(word, text, err);
}

/* ---- reading ---- */

/* The row of @table for @word, or NULL. */
static const struct word *find_word(const struct word *table, const char *word)
{
	const struct word *any = NULL;

	for (; table->name; table++) {
		if (!*table->name)
			any = table;
		else if (!strcmp(table->name, word))
			return table;
	}
	return any;
}

/*
 * A text that stands behind its name or, in the row of the name "", without it. Where two words
 * claim to be it, one of them is a mistake: rather the one that resembles another word.
 */
static int set_text(const struct word *table, const struct word *row, const char **at,
		    const char *value, char *err)
{
	char guess[PREFIX_QUOTE], had[PREFIX_QUOTE], text[PREFIX_QUOTE + 32];

	if (!*at) {
		*at = value;
		return 0;
	}
	if (!guess_word(table, value, guess) && guess_word(table, *at, guess))
		value = *at;
	if (guess_word(table, value, guess))
		return refuse_unknown(table, value, NOT_A_WORD, err);
	prefix_quote(*at, strlen(*at), had);
	snprintf(text, sizeof(text), "is too much beside %s", had);
	return refuse_word(*row->name ? row->name : value, text, err);
}

static int set_word(const struct word *table, const struct word *row, void *into,
		    const char *value, char *err)
{
	void *at = (char *)into + row->offset;

	switch (row->kind) {
	case WORD_PARSED:
		return row->set(into, value, err);
	case WORD_FLAG:
		*(bool *)at = true;
		return 0;
	case WORD_BIT:
		*(uint8_t *)at |= row->most;
		return 0;
	case WORD_TEXT:
		return set_text(table, row, at, value, err);
	case WORD_NUMBER:
		return parse_number(value, row->name, row->least, row->most, at, err);
	case WORD_DURATION:
		return parse_duration(value, at, err);
	}
	return fail(err, EINVAL, "%s: a word of no kind", row->name);
}

int take_words(struct words *words, const struct word *table, void *into, char *err)
{
	uint64_t seen = 0;	/* a bit for each row */

	while (*words->next) {
		const struct word *row = find_word(table, *words->next);
		const char *word, *value;
		uint64_t bit;
		int rc;

		if (!row)
			return refuse_unknown(table, *words->next, NOT_A_WORD, err);
		bit = 1ULL << (row - table);
		word = value = take_value(words);
		if (seen & bit && !row->often)
			return *row->name ? refuse_word(word, "is given twice", err) :
					    refuse_unknown(table, word, "is one word too many", err);
		seen |= bit;
		if (row->value && !(value = take_value(words)))
			return fail(err, EINVAL, "%s needs %s", word, row->value);
		rc = set_word(table, row, into, value, err);
		if (rc == -EINVAL && !*row->name && resembling(table, word))
			return refuse_unknown(table, word, NOT_A_WORD, err);
		if (rc)
			return rc;
	}
	return 0;
}

int take_count(struct words *words, const char *name, uint64_t most, uint64_t *count, char *err)
{
	struct word table[] = {
		{ .name = name, .value = "a number", .kind = WORD_NUMBER, .least = 1, .most = most },
		{ 0 },
	};

	return take_words(words, table, count, err);
}

int take_interface(struct words *words, const char **name, char *err)
{
	static const struct word table[] = {
		{ .name = "dev", .value = "an interface", .kind = WORD_TEXT },
		{ .name = "", .kind = WORD_TEXT, .often = true },
		{ 0 },
	};

	return take_words(words, table, name, err);
}
