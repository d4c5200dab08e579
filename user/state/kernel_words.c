// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user/state/kernel_words.h"

#define MARK	"Kernel error message: "

static char words[128];		/* with the ": " in front */

void kernel_words_clear(void)
{
	words[0] = '\0';
}

void kernel_words_note(const char *line)
{
	const char *at = strstr(line, MARK);

	if (!at)
		return;
	strcpy(words, ": ");
	strncat(words, at + strlen(MARK), sizeof(words) - strlen(words) - 1);
	words[strcspn(words, "\n")] = '\0';
}

const char *kernel_words(void)
{
	return words;
}
