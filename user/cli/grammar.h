/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The grammar of a command's words, as the table of commands has it: capitals and what begins with a
 * digit are values, all else is a word; [ ] is optional, | is "or", ... repeats.
 */
#ifndef WEIR_CLI_GRAMMAR_H
#define WEIR_CLI_GRAMMAR_H

#include <stdbool.h>

/* Whether @word is one of the words, not of the values. */
bool grammar_has(const char *grammar, const char *word);
/* Whether a value follows @word. */
bool grammar_has_value(const char *grammar, const char *word);
/* Whether an address or a prefix may come first. */
bool grammar_begins_with_address(const char *grammar);

#endif
