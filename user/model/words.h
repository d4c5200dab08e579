/* SPDX-License-Identifier: GPL-2.0-only */
/* The words behind a command: a table for each command, one loop for all. Pure. */
#ifndef WEIR_MODEL_WORDS_H
#define WEIR_MODEL_WORDS_H

#include <stdbool.h>

/* One that a command takes. A table of them ends with an empty one. */
struct word {
	const char *name;	/* "": whatever is no other word of the table */
	const char *value;	/* what must follow, for the message; NULL: it stands alone */
	/* @into: the command's own; @value: what followed, or the word that stands alone. */
	int (*set)(void *into, const char *value, char *err);
	bool often;		/* may come more than once */
};

/*
 * Takes all @words, in any order. Refuses what is not in @table, what comes
 * twice and what lacks its value: -EINVAL with an @err that names the word;
 * else 0, or what set() returned.
 */
int take_words(char ***words, const struct word *table, void *into, char *err);
/* -EINVAL when there are any. */
int no_more_words(char **words, char *err);

/* Steps over @word if it comes next. */
bool take_word(char ***words, const char *word);
/* The next word, stepped over; NULL when there is none. */
char *take_value(char ***words);


#endif
