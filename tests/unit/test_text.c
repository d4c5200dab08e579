// SPDX-License-Identifier: GPL-2.0-only
/* Text of foreign origin: what is plain, and what is left of the rest. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/table.h"
#include "user/model/text.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct {
	const char *text, *escaped, *made_plain;	/* @escaped NULL: it is plain */
} cases[] = {
	{ "", NULL, "" },
	{ "/var/lib/a b", NULL, "/var/lib/a b" },
	{ "back\\slash \"quote\"", NULL, "back\\slash \"quote\"" },
	{ "Grüße, 你好 🧱", NULL, "Grüße, 你好 🧱" },
	{ "\xc2\xa0", NULL, "\xc2\xa0" },			/* the first after C1 */
	{ "\xf4\x8f\xbf\xbf", NULL, "\xf4\x8f\xbf\xbf" },	/* the last of Unicode */
	{ "a\nb", "a\\x0ab", "a?b" },
	{ "\x1b[31m", "\\x1b[31m", "?[31m" },
	{ "\x7f", "\\x7f", "?" },
	{ "a\xc2\x9b" "31m", "a\\xc2\\x9b31m", "a??31m" },	/* CSI of C1 */
	{ "a\xc2\x80", "a\\xc2\\x80", "a??" },
	{ "\xe2\x80\xae" "x", "\\xe2\\x80\\xaex", "???x" },	/* right to left from here */
	{ "\xe2\x81\xa9", "\\xe2\\x81\\xa9", "???" },
	{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8", "???" },		/* a line separator */
	{ "a\x9b", "a\\x9b", "a?" },				/* C1 as one byte */
	{ "\xc0\x8a", "\\xc0\\x8a", "??" },			/* a line feed, overlong */
	{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a", "???" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "???" },		/* a surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "????" },
	{ "\xf5\x80", "\\xf5\\x80", "??" },
	{ "x\xe4\xbd", "x\\xe4\\xbd", "x??" },			/* cut within a character */
	{ "\xe4\n\xbd", "\\xe4\\x0a\\xbd", "???" },
};

static char *printed(const char *text, void (*print)(FILE *, const char *))
{
	char *all = NULL;
	size_t size;
	FILE *to = open_memstream(&all, &size);

	print(to, text);
	fclose(to);
	return all;
}

static void test_cases(struct check *check)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *wanted = cases[i].escaped ? cases[i].escaped : cases[i].text;
		char escaped[256], plain[64], *stream = printed(cases[i].text, text_print);

		CHECK(check, text_is_plain(cases[i].text) == !cases[i].escaped, "case %zu", i);
		text_escape(cases[i].text, escaped, sizeof(escaped));
		CHECK(check, !strcmp(escaped, wanted), "case %zu: %s", i, escaped);
		CHECK(check, !strcmp(stream, wanted), "case %zu: %s", i, stream);
		CHECK(check, text_is_plain(escaped), "case %zu", i);
		strcpy(plain, cases[i].text);
		text_make_plain(plain);
		CHECK(check, !strcmp(plain, cases[i].made_plain), "case %zu: %s", i, plain);
		free(stream);
	}
	check_done(check, "control characters are refused, escaped, replaced", "%zu cases",
		   COUNT(cases));
}

/* However a text is cut, nothing is written behind the end, and no character is cut. */
static void test_room(struct check *check)
{
	const char *text = "a\x1b" "ü\xc2\x9b\xff" "b";
	char escaped[64], lines[] = "verifier:\n\tr1 = \x1b[2J\n", *all;

	for (size_t size = 1; size < 32; size++) {
		memset(escaped, '#', sizeof(escaped));
		text_escape(text, escaped, size);
		CHECK(check, strlen(escaped) < size && escaped[size] == '#' && text_is_plain(escaped),
		      "%zu: %s", size, escaped);
	}
	all = printed(lines, text_print_lines);
	CHECK(check, !strcmp(all, "verifier:\n\tr1 = \\x1b[2J\n"), "%s", all);
	free(all);
	check_done(check, "escaped text has its room", "%s", escaped);
}

int main(void)
{
	struct check check = { 0 };

	test_cases(&check);
	test_room(&check);
	return check_exit(&check);
}
