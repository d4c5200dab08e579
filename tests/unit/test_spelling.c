// SPDX-License-Identifier: GPL-2.0-only
/* What is near enough to a word to be meant by it. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/spelling.h"

static const char *const words[] = {
	"attach", "detach", "limit", "list", "status", "stats", "syn", "dns", "del", "monitor",
	"comment", "ban", "unban", "budget", "",
};

static const char *best(const char *word)
{
	struct spelling spelling = { .word = word };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		spelling_try(&spelling, words[i]);
	return spelling.best ? spelling.best : "none";
}

static void test_guesses(struct check *check)
{
	static const struct {
		const char *word, *meant;
	} cases[] = {
		{ "limt", "limit" }, { "lmiit", "limit" }, { "Limit", "limit" }, { "LIMIT", "limit" },
		{ "limitt", "limit" }, { "att", "attach" }, { "attahc", "attach" },
		{ "detahc", "detach" }, { "stat", "stats" }, { "stauts", "status" }, { "sny", "syn" },
		{ "sxy", "none" }, { "s", "none" }, { "", "none" }, { "montior", "monitor" },
		{ "coment", "comment" }, { "bna", "ban" }, { "frobnicate", "none" },
		{ "budegt", "budget" }, { "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "none" },
		{ "198.51.100.7", "none" }, { "\xc3\xa4\xc3\xb6", "none" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK(check, !strcmp(best(cases[i].word), cases[i].meant), "%s: %s, not %s",
		      cases[i].word, best(cases[i].word), cases[i].meant);
	check_done(check, "mistakes in words", "%zu words", sizeof(cases) / sizeof(*cases));
}

/* A word with one mistake of each kind at each place is still known, and no two are mixed up. */
static void test_one_mistake(struct check *check)
{
	const char *word = "comment";
	size_t length = strlen(word), tried = 0;
	char other[16];

	for (size_t i = 0; i < length; i++) {
		strcpy(other, word);
		other[i] = 'x';
		CHECK(check, !strcmp(best(other), word), "%s", other);
		memmove(other + i, word + i + 1, length - i);
		CHECK(check, !strcmp(best(other), word), "%s", other);
		strcpy(other, word);
		memmove(other + i + 1, word + i, length - i + 1);
		CHECK(check, !strcmp(best(other), word), "%s", other);
		strcpy(other, word);
		other[i] = word[i + 1 < length ? i + 1 : i];
		other[i + 1 < length ? i + 1 : i] = word[i];
		CHECK(check, !strcmp(best(other), word), "%s", other);
		tried += 4;
	}
	check_done(check, "a letter wrong, missing, twice, swapped", "%zu words", tried);
}

int main(void)
{
	struct check check = { 0 };

	test_guesses(&check);
	test_one_mistake(&check);
	return check_exit(&check);
}
