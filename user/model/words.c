// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/words.h"

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
	return *words->next ? refuse_word(*words->next, "is not a word of this command", err) : 0;
}

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

static int set_word(const struct word *row, void *into, const char *value, char *err)
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
		*(const char **)at = value;
		return 0;
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
			return no_more_words(words, err);
		bit = 1ULL << (row - table);
		word = value = take_value(words);
		if (seen & bit && !row->often)
			return refuse_word(word, *row->name ? "is given twice" : "is one word too many",
					   err);
		seen |= bit;
		if (row->value && !(value = take_value(words)))
			return fail(err, EINVAL, "%s needs %s", word, row->value);
		rc = set_word(row, into, value, err);
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
		{ .name = "dev", .value = "an interface", .kind = WORD_TEXT }, { 0 },
	};

	return take_words(words, table, name, err);
}
