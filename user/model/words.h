/* SPDX-License-Identifier: GPL-2.0-only */
/* The words behind a command: each command has a table of them, one loop reads all tables. Pure. */
#ifndef WEIR_MODEL_WORDS_H
#define WEIR_MODEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The words that are not read yet. The array ends with NULL. */
struct words {
	char **next;
};

/* What take_words() does with a word's value; see the macros below. */
enum word_kind {
	WORD_PARSED,		/* calls set() */
	WORD_FLAG,		/* bool: true, since the word stands there */
	WORD_BIT,		/* uint8_t: sets the bits of most */
	WORD_TEXT,		/* const char *, NULL before: the value itself */
	WORD_NUMBER,		/* uint64_t, from least to most */
	WORD_DURATION,		/* uint64_t, `10m` in nanoseconds */
};

/* A word that a command takes. A table of them ends with an empty one. */
struct word {
	const char *name;	/* "": any word that is no other one of the table */
	const char *value;	/* what must follow, for the message; NULL: the word stands alone */
	/* @into: the command's struct; @value: what followed, or the word that stands alone. */
	int (*set)(void *into, const char *value, char *err);
	bool often;		/* may stand there more than once */
	enum word_kind kind;
	size_t offset;		/* in the command's struct, of all kinds but WORD_PARSED */
	uint64_t least, most;
};

#define WORD_FLAG(name_, type, member) \
	{ .name = (name_), .kind = WORD_FLAG, .offset = offsetof(type, member) }
#define WORD_BIT(name_, type, member, bit_) \
	{ .name = (name_), .kind = WORD_BIT, .offset = offsetof(type, member), .most = (bit_) }
#define WORD_TEXT(name_, value_, type, member) \
	{ .name = (name_), .value = (value_), .kind = WORD_TEXT, .offset = offsetof(type, member) }
/* Two rows: `dev IF`, or any other word. */
#define WORD_INTERFACE(type, member) \
	WORD_TEXT("dev", "an interface", type, member), \
	{ .name = "", .kind = WORD_TEXT, .offset = offsetof(type, member), .often = true }
#define WORD_NUMBER(name_, type, member, least_, most_) \
	{ .name = (name_), .value = "a number", .kind = WORD_NUMBER, \
	  .offset = offsetof(type, member), .least = (least_), .most = (most_) }
#define WORD_DURATION(name_, value_, type, member) \
	{ .name = (name_), .value = (value_), .kind = WORD_DURATION, .offset = offsetof(type, member) }

/*
 * Reads all @words, in any order, into @into, the command's struct. A word that is not in @table,
 * that stands there twice or that lacks its value: -EINVAL with an @err that names it, and what was
 * probably meant. Else 0, or what set() returned.
 */
int take_words(struct words *words, const struct word *table, void *into, char *err);
/* The same for a command that takes @name and a value, or no words: the value stays as it was. */
int take_count(struct words *words, const char *name, uint64_t most, uint64_t *count, char *err);
/* `dev IF`, or the interface alone. */
int take_interface(struct words *words, const char **name, char *err);
/* -EINVAL with @err where any are left. */
int no_more_words(const struct words *words, char *err);

/* Whether @word comes next; it is read then. */
bool take_word(struct words *words, const char *word);
/* Reads the next word; NULL when there is none. */
char *take_value(struct words *words);

#endif
