// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "user/cli/list_words.h"
#include "user/model/error.h"
#include "user/model/parse.h"

#define FORMATS	"auto, plain, ipsum, ndjson, ipset or nft"

static int set_file(void *into, const char *value, char *err)
{
	struct list_change *change = into;

	if (!*value || strlen(value) >= sizeof(change->file))
		return fail(err, EINVAL, "file \"%.40s\": a path of 1 to %zu bytes", value,
			    sizeof(change->file) - 1);
	strcpy(change->file, value);
	return 0;
}

static int set_format(void *into, const char *value, char *err)
{
	struct list_change *change = into;

	if (list_format_find(value, &change->format))
		return 0;
	return fail(err, EINVAL, "format \"%.40s\": " FORMATS, value);
}

int parse_list_name(struct words *words, struct list_change *change, char *err)
{
	const char *name = take_value(words);

	if (!name)
		return fail(err, EINVAL, "a list's name is needed");
	if (check_name("list", name, err))
		return -EINVAL;
	strcpy(change->name, name);
	return 0;
}

#define FILE_WORD	{ "file", "a path", set_file }

static const struct word load_words[] = {
	GUARD_WORDS_LIST(struct list_change, force),
	WORD_FLAG("skip-bad", struct list_change, skip_bad),
	{ "format", FORMATS, set_format },
	FILE_WORD,
	{ 0 },
};
static const struct word diff_words[] = {
	{ "format", FORMATS, set_format },
	FILE_WORD,
	{ 0 },
};

int parse_list_load(struct words *words, struct list_change *change, char *err)
{
	int rc;

	*change = (struct list_change){ .what = LIST_LOAD };
	rc = parse_list_name(words, change, err);
	if (!rc)
		rc = take_words(words, load_words, change, err);
	if (!rc)
		rc = guard_words(&change->force, err);
	if (!rc && !change->file[0])
		rc = fail(err, EINVAL, "list load needs file F");
	return rc;
}

int parse_list_diff(struct words *words, struct list_change *change, char *err)
{
	int rc = parse_list_name(words, change, err);

	return rc ? rc : take_words(words, diff_words, change, err);
}
