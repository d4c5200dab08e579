// SPDX-License-Identifier: GPL-2.0-only
/* The words behind a command: each kind of word, and what is refused. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/limit_words.h"
#include "user/model/words.h"

struct read {
	bool force;
	const char *file;
	uint64_t count, ttl_ns;
	int prefixes;
};

static int add_prefix(void *into, const char *value, char *err)
{
	struct read *read = into;

	(void)err;
	read->prefixes += value[0] == 'p';
	return 0;
}

static const struct word table[] = {
	WORD_FLAG("force", struct read, force),
	WORD_TEXT("file", "a path", struct read, file),
	WORD_NUMBER("count", struct read, count, 1, 10),
	WORD_DURATION("ttl", "a duration", struct read, ttl_ns),
	{ "", NULL, add_prefix, .often = true },
	{ 0 },
};

static int read_line(char *line, struct read *read, char *err)
{
	char *list[16] = { NULL }, *rest = NULL;
	struct words words = { list };
	int rc;

	for (size_t i = 0; i < 15; i++)
		if (!(list[i] = strtok_r(i ? NULL : line, " ", &rest)))
			break;
	rc = take_words(&words, table, read, err);
	return rc ? rc : no_more_words(&words, err);
}

static void test_kinds(struct check *check)
{
	char line[] = "p1 count 7 p2 file force force ttl 2m", err[ERR_LEN] = "";
	struct read read = { 0 };
	int rc = read_line(line, &read, err);

	CHECK(check, !rc && read.force && read.count == 7 && read.prefixes == 2 &&
	      read.file && !strcmp(read.file, "force") && read.ttl_ns == 120000000000ULL,
	      "%d %s: force %d count %d prefixes %d file %s", rc, err, read.force, (int)read.count,
	      read.prefixes, read.file ? read.file : "none");
	check_done(check, "each kind of word", "flag, text, number, duration, parsed");
}

static void test_refusals(struct check *check)
{
	static const struct {
		const char *line, *named;
	} wrong[] = {
		{ "force force", "\"force\" is given twice" }, { "file", "file needs a path" },
		{ "count 0", "count" }, { "count 11", "count" }, { "count x", "count" },
		{ "count", "count needs a number" }, { "ttl x", "x" },
		{ "file a file b", "\"file\" is given twice" },
	};
	size_t count = sizeof(wrong) / sizeof(*wrong);

	for (size_t i = 0; i < count; i++) {
		char line[64], err[ERR_LEN] = "";
		struct read read = { 0 };
		int rc;

		snprintf(line, sizeof(line), "%s", wrong[i].line);
		rc = read_line(line, &read, err);
		CHECK(check, rc < 0 && strstr(err, wrong[i].named), "%s: %d \"%s\"", wrong[i].line, rc,
		      err);
	}
	check_done(check, "wrong words are refused and named", "%zu lines", count);
}

/* Each use of the words of a limit refuses the words of the others. */
static void test_limit_uses(struct check *check)
{
	static const struct {
		enum limit_use use;
		char *words[5];
		bool right;
	} lines[] = {
		{ LIMIT_TO_SET, { "rate", "1pps", "per", "24" }, true },
		{ LIMIT_TO_SET, { "rate", "1pps", "to", "10.0.0.1" }, false },
		{ LIMIT_TO_FIND, { "from", "10.0.0.1", "syn" }, true },
		{ LIMIT_TO_FIND, { "rate", "1pps" }, false },
		{ LIMIT_TO_FIND, { "per", "24" }, false },
		{ BUDGET_TO_SET, { "to", "10.0.0.1", "rate", "1pps" }, true },
		{ BUDGET_TO_SET, { "rate", "1pps", "from", "10.0.0.1" }, false },
		{ BUDGET_TO_SET, { "rate", "1pps", "per", "24" }, false },
	};
	size_t count = sizeof(lines) / sizeof(*lines);

	for (size_t i = 0; i < count; i++) {
		struct words words = { (char **)lines[i].words };
		struct limit_words w;
		char err[ERR_LEN] = "";
		int rc = parse_limit_words(&words, lines[i].use, &w, err);

		CHECK(check, !rc == lines[i].right, "line %zu, %s: %d %s", i, lines[i].words[0], rc, err);
	}
	check_done(check, "set, find and budget have words of their own", "%zu lines", count);
}

int main(void)
{
	struct check check = { 0 };

	test_kinds(&check);
	test_refusals(&check);
	test_limit_uses(&check);
	return check_exit(&check);
}
