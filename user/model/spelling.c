// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "user/model/spelling.h"

#define LETTERS		32	/* longer words are not compared: no word of a command is as long */
#define SHORT_WORD	4	/* letters, in which one mistake is the most */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * The number of letters to change, add, remove or swap with their neighbour, which makes @b of @a
 * (optimal string alignment). Three rows of the table are enough: a swap looks back by two.
 */
static unsigned int mistakes(const char *a, const char *b)
{
	unsigned int rows[3][LETTERS + 1], *before = rows[0], *above = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

			row[j] = least(above[j - 1] + (x != y), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_len];
}

void spelling_try(struct spelling *spelling, const char *candidate)
{
	size_t len = strlen(spelling->word), other = strlen(candidate);
	unsigned int most = len <= SHORT_WORD ? 1 : 2, distance, badness;

	if (len < 2 || len > LETTERS || other > LETTERS)
		return;
	distance = mistakes(spelling->word, candidate);
	badness = 2 * distance;
	if (distance > 1 && !strncasecmp(spelling->word, candidate, len)) {
		distance = 1;
		badness = 3;	/* worse than one mistake, better than two */
	}
	if (distance > most || distance >= other || (spelling->best && badness >= spelling->badness))
		return;
	spelling->best = candidate;
	spelling->badness = badness;
}
