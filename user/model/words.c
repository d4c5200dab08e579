// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/prefix.h"
#include "user/model/words.h"

bool take_word(char ***words, const char *word)
{
	if (!**words || strcmp(**words, word))
		return false;
	++*words;
	return true;
}

char *take_value(char ***words)
{
	return **words ? *(*words)++ : NULL;
}

static int refuse_word(const char *word, const char *why, char *err)
{
	char quoted[PREFIX_QUOTE];

	prefix_quote(word, strlen(word), quoted);
	return fail(err, EINVAL, "%s %s", quoted, why);
}

int no_more_words(char **words, char *err)
{
	return *words ? refuse_word(*words, "is not a word of this command", err) : 0;
}

/* Its index in @table; -1: it is none of them. */
static int find_word(const struct word *table, const char *word)
{
	int any = -1;

	for (int i = 0; table[i].name; i++) {
		if (!*table[i].name)
			any = i;
		else if (!strcmp(table[i].name, word))
			return i;
	}
	return any;
}

int take_words(char ***words, const struct word *table, void *into, char *err)
{
	uint64_t seen = 0;

	while (**words) {
		int i = find_word(table, **words), rc;
		const char *word, *value;

		if (i < 0)
			return no_more_words(*words, err);
		word = value = take_value(words);
		if (seen >> i & 1 && !table[i].often)
			return refuse_word(word, *table[i].name ? "is given twice" :
					   "is one word too many", err);
		seen |= 1ULL << i;
		if (table[i].value && !(value = take_value(words)))
			return fail(err, EINVAL, "%s needs %s", word, table[i].value);
		rc = table[i].set(into, value, err);
		if (rc)
			return rc;
	}
	return 0;
}
