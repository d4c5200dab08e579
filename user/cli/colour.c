// SPDX-License-Identifier: GPL-2.0-only
#include <curses.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#include "user/cli/colour.h"

#define SEQUENCE	32

/* What to write to a terminal; empty strings where it has no colours. */
struct sequences {
	bool known;
	char red[SEQUENCE], yellow[SEQUENCE], normal[SEQUENCE];
};

static void copy(char to[SEQUENCE], const char *from)
{
	if (from && strlen(from) < SEQUENCE)
		strcpy(to, from);
}

/* Of the terminal that terminfo describes as TERM; what curses has of its own stays as it was. */
static void ask_terminfo(int fd, struct sequences *s)
{
	TERMINAL *before = set_curterm(NULL);
	char *set_colour, *normal;
	int found;

	if (setupterm(NULL, fd, &found) == OK) {
		set_colour = tigetstr("setaf");
		normal = tigetstr("sgr0");
		if (tigetnum("colors") >= 8 && set_colour && set_colour != (char *)-1 && normal &&
		    normal != (char *)-1) {
			copy(s->red, tparm(set_colour, (long)COLOR_RED, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 0L));
			copy(s->yellow, tparm(set_colour, (long)COLOR_YELLOW, 0L, 0L, 0L, 0L, 0L, 0L,
					      0L, 0L));
			copy(s->normal, normal);
		}
		del_curterm(set_curterm(NULL));
	}
	set_curterm(before);
}

static const struct sequences *sequences_of(FILE *to)
{
	static struct sequences of_stream[2];
	struct sequences *s = &of_stream[to == stderr];
	const char *refused = getenv("NO_COLOR");

	if (s->known)
		return s;
	s->known = true;
	if (!(refused && *refused) && isatty(fileno(to)))
		ask_terminfo(fileno(to), s);
	return s;
}

void colour_begin(FILE *to, enum colour colour)
{
	const struct sequences *s = sequences_of(to);

	if (colour != COLOUR_NONE)
		fputs(colour == COLOUR_RED ? s->red : s->yellow, to);
}

void colour_end(FILE *to, enum colour colour)
{
	if (colour != COLOUR_NONE)
		fputs(sequences_of(to)->normal, to);
}
