/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What packets take at random, in the words of a command line: the generator and the players of the
 * laboratory share it, so that a flood can have the very distributions of the users' packets.
 */
#ifndef WEIR_TESTS_VALUES_H
#define WEIR_TESTS_VALUES_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"

#define VALUES		256	/* a random byte chooses one */
#define PATTERN_MOST	64	/* bytes */

/* Numbers of which each is taken as often as the others, within one time in VALUES. */
struct values {
	uint16_t at[VALUES];
	uint16_t least, most;
};

/* One "N" or "N-M" of a list, at *@text, which is moved behind it. */
static inline bool values_range(const char **text, uint64_t *from, uint64_t *to)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*from = *to = strtoull(*text, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return false;
		*to = strtoull(end + 1, &end, 10);
	}
	*text = *end == ',' ? end + 1 : end;
	return *from <= *to && (*end == ',' ? end[1] != '\0' : !*end);
}

/*
 * Reads "64", "47,52-55" and so on; a number that is named twice is taken twice as often. Of more
 * than VALUES numbers, those at even distances are taken. 0, or -EINVAL with @err.
 */
static inline int values_parse(const char *text, const char *name, uint64_t least, uint64_t most,
			       struct values *values, char *err)
{
	uint64_t from, to, count = 0, before = 0, next = 0;
	const char *at = text;

	do {
		if (!values_range(&at, &from, &to) || from < least || to > most)
			return fail(err, EINVAL, "%s \"%s\": numbers and ranges from %lu to %lu, such as "
				    "%lu,%lu-%lu", name, text, least, most, least, least + 1, most);
		count += to - from + 1;
	} while (*at);

	*values = (struct values){ .least = UINT16_MAX };
	for (at = text; *at; before += to - from + 1) {
		values_range(&at, &from, &to);
		for (; next < VALUES && next * count / VALUES < before + (to - from + 1); next++)
			values->at[next] = from + (next * count / VALUES - before);
	}
	for (next = 0; next < VALUES; next++) {
		if (values->at[next] < values->least)
			values->least = values->at[next];
		if (values->at[next] > values->most)
			values->most = values->at[next];
	}
	return 0;
}

/* The first bytes of a payload: a set bit of @random is drawn for each packet, and 0 in @fixed. */
struct pattern {
	uint8_t fixed[PATTERN_MOST], random[PATTERN_MOST];
	uint32_t len;		/* a multiple of 8 */
	bool varies;
};

/* Reads hexadecimal digits, of which a "." is four random bits. 0, or -EINVAL with @err. */
static inline int pattern_parse(const char *text, struct pattern *pattern, char *err)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(text);

	*pattern = (struct pattern){ .len = len / 2 };
	if (!len || len % 16 || len > 2 * PATTERN_MOST)
		return fail(err, EINVAL, "payload \"%s\": 16 digits for each 8 bytes, at most %u bytes",
			    text, PATTERN_MOST);
	for (size_t i = 0; i < len; i++) {
		const char *digit = strchr(digits, text[i]);
		unsigned int shift = i % 2 ? 0 : 4;

		if (text[i] != '.' && !digit)
			return fail(err, EINVAL, "payload \"%s\": not a digit of 0 to f, or \".\"", text);
		if (text[i] == '.')
			pattern->random[i / 2] |= 0xf << shift;
		else
			pattern->fixed[i / 2] |= (digit - digits) << shift;
		pattern->varies |= text[i] == '.';
	}
	return 0;
}

#endif
