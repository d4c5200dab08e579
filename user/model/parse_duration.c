// SPDX-License-Identifier: GPL-2.0-only
/* Durations: as people write them, and as cscli (3h59m46s) and systemd (1h 30min) print them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/model/decimal.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/units.h"

#define DURATION_MAX	(3650 * 86400ULL)	/* seconds */
#define DURATION_LEN	64			/* of a word that can be one */

static const struct {
	const char *word;
	uint32_t seconds;
} units[] = {
	{ "s", 1 }, { "sec", 1 }, { "secs", 1 }, { "second", 1 }, { "seconds", 1 },
	{ "m", 60 }, { "min", 60 }, { "mins", 60 }, { "minute", 60 }, { "minutes", 60 },
	{ "h", 3600 }, { "hr", 3600 }, { "hour", 3600 }, { "hours", 3600 },
	{ "d", 86400 }, { "day", 86400 }, { "days", 86400 },
	{ "w", 604800 }, { "week", 604800 }, { "weeks", 604800 },
};

/* The seconds of the unit that begins @word, and its length; 0: none. */
static uint32_t read_unit(const char *word, int *length)
{
	for (*length = 0; isalpha((unsigned char)word[*length]); ++*length)
		;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strlen(units[i].word) == (size_t)*length &&
		    !strncmp(units[i].word, word, *length))
			return units[i].seconds;
	return 0;
}

enum reading { READ, NO_DURATION, NO_UNIT, NO_ORDER, TOO_LONG };

/*
 * Sums the parts of @word, the largest unit first. @unit: of the last part that has one. A fraction
 * of a second counts as a whole one, other fractions must be whole seconds.
 */
static enum reading read_parts(const char *word, uint64_t *seconds, uint32_t *unit)
{
	*seconds = 0;
	*unit = UINT32_MAX;
	for (bool first = true; first || *word; first = false) {
		struct decimal number;
		uint32_t before = *unit;
		uint64_t part;
		int length;

		if (!first)
			word += strspn(word, " ");
		length = decimal_read(word, &number);
		if (!length)
			return NO_DURATION;
		word += length;
		if (!*word)
			return NO_UNIT;
		*unit = read_unit(word, &length);
		if (!*unit)
			return NO_DURATION;
		word += length;
		if (*unit >= before)
			return NO_ORDER;
		if (!(*unit == 1 ? decimal_times_up : decimal_times)(&number, *unit, &part))
			return NO_DURATION;
		if (__builtin_add_overflow(*seconds, part, seconds))
			return TOO_LONG;
	}
	return READ;
}

/* "60 what? 60s or 60m"; behind minutes, only seconds can follow. */
static int ask_unit(const char *word, uint32_t unit, char *err)
{
	int tail = strlen(word);

	while (tail && (isdigit((unsigned char)word[tail - 1]) || word[tail - 1] == '.'))
		tail--;
	if (unit <= 1)
		return fail(err, EINVAL, "\"%s\": %s what? Nothing follows seconds", word, word + tail);
	if (unit <= 60)
		return fail(err, EINVAL, "\"%s\": %s what? %ss", word, word + tail, word);
	return fail(err, EINVAL, "\"%s\": %s what? %ss or %sm", word, word + tail, word, word);
}

static int not_a_duration(const char *word, char *err)
{
	char low[DURATION_LEN];
	uint64_t seconds;
	uint32_t unit;
	size_t i;

	for (i = 0; word[i] && i + 1 < sizeof(low); i++)
		low[i] = tolower((unsigned char)word[i]);
	low[i] = '\0';
	if (!word[i] && read_parts(low, &seconds, &unit) == READ)
		return fail(err, EINVAL, "\"%s\": units of time are in lower case; did you mean %s?",
			    word, low);
	return fail(err, EINVAL, "\"%s\": not a duration such as 30s, 10m, 2h, 7d or 1h30m", word);
}

int parse_duration(const char *word, uint64_t *ns, char *err)
{
	uint64_t seconds;
	uint32_t unit;

	switch (read_parts(word, &seconds, &unit)) {
	case READ:
		break;
	case NO_UNIT:
		return ask_unit(word, unit, err);
	case NO_ORDER:
		return fail(err, EINVAL, "\"%s\": the largest unit comes first, and each once, such as "
			    "1h30m", word);
	case TOO_LONG:
		seconds = UINT64_MAX;
		break;
	case NO_DURATION:
		return not_a_duration(word, err);
	}
	if (seconds < 1 || seconds > DURATION_MAX)
		return fail(err, EINVAL, "duration \"%s\": from 1s to 3650d", word);
	*ns = seconds * NS_PER_S;
	return 0;
}
