// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "user/cli/grammar.h"

#define BETWEEN	" []|"

/* What follows @word in the grammar; NULL: the grammar has no such word. */
static const char *find(const char *grammar, const char *word)
{
	size_t length = strlen(word);

	if (!islower((unsigned char)*word))
		return NULL;
	while (*grammar) {
		size_t token;

		grammar += strspn(grammar, BETWEEN);
		token = strcspn(grammar, BETWEEN);
		if (token == length && !strncmp(grammar, word, length))
			return grammar + token;
		grammar += token;
	}
	return NULL;
}

bool grammar_has(const char *grammar, const char *word)
{
	return find(grammar, word);
}

bool grammar_has_value(const char *grammar, const char *word)
{
	const char *behind = find(grammar, word);

	return behind && *behind == ' ' &&
	       (isupper((unsigned char)behind[1]) || isdigit((unsigned char)behind[1]));
}

bool grammar_begins_with_address(const char *grammar)
{
	grammar += *grammar == '[';
	return !strncmp(grammar, "PREFIX", strlen("PREFIX")) ||
	       !strncmp(grammar, "ADDRESS", strlen("ADDRESS"));
}
