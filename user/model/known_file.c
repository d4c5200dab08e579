// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/known_file.h"
#include "user/model/listfile.h"

#define VERSION_MOST	1000000

unsigned int known_file_version(const char *data, size_t len)
{
	size_t at = strlen(KNOWN_FILE_HEAD);
	unsigned int version = 0;

	if (len < at || memcmp(data, KNOWN_FILE_HEAD, at))
		return 0;
	for (; at < len && data[at] >= '0' && data[at] <= '9' && version < VERSION_MOST; at++)
		version = version * 10 + (data[at] - '0');
	return at == len || data[at] == '\n' ? version : 0;
}

static bool is_long(const char *line, size_t len)
{
	size_t word = strlen(KNOWN_FILE_LONG);

	while (len && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	return len > word && !memcmp(line + len - word, KNOWN_FILE_LONG, word);
}

/* Copies the lines that end with the comment for `long`, which is not more than there was. */
static size_t copy_long(const char *data, size_t len, char *lines)
{
	size_t copied = 0;

	for (const char *line = data, *end = data + len, *next; line < end; line = next) {
		const char *feed = memchr(line, '\n', end - line);

		next = feed ? feed + 1 : end;
		if (!is_long(line, (feed ? feed : end) - line))
			continue;
		memcpy(lines + copied, line, next - line);
		copied += next - line;
	}
	return copied;
}

static int read_long(const char *name, const char *data, size_t len, struct prefixes *lasting,
		     char *err)
{
	const struct list_options options = { .format = LIST_PLAIN, .allow_empty = true };
	struct list_report report;
	char *lines = malloc(len);
	int rc;

	if (!lines)
		return fail(err, ENOMEM, "out of memory");
	rc = list_read(name, lines, copy_long(data, len, lines), &options, lasting, &report, err);
	free(lines);
	return rc;
}

int known_file_read(const char *name, const char *data, size_t len, struct prefixes *all,
		    struct prefixes *lasting, char *err)
{
	unsigned int version = known_file_version(data, len);
	const struct list_options options = {
		.format = version ? LIST_PLAIN : LIST_AUTO,
		.allow_empty = version || !len,	/* an earlier weir knew no source */
	};
	struct list_report report;
	int rc;

	if (version > KNOWN_FILE_VERSION)
		return fail(err, EINVAL, "%.200s is of version %u of the format, which a later weir "
			    "wrote; this one reads up to version %u", name, version,
			    KNOWN_FILE_VERSION);
	rc = list_read(name, data, len, &options, all, &report, err);
	return rc || !version ? rc : read_long(name, data, len, lasting, err);
}
