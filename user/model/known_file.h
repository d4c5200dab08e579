/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of `known export`: a plain list whose first line, a comment, names the version of the
 * format. It holds proven sources only; a source that is proven for long has the comment "long".
 * Pure.
 */
#ifndef WEIR_MODEL_KNOWN_FILE_H
#define WEIR_MODEL_KNOWN_FILE_H

#include "user/model/prefixes.h"

#define KNOWN_FILE_VERSION	2
#define KNOWN_FILE_HEAD		"# weir known sources, version "
#define KNOWN_FILE_LONG		"# long"

/*
 * The version that the text names in its first line. 0: none. Exports of before had no such line,
 * and sources in them that had only been seen.
 */
unsigned int known_file_version(const char *data, size_t len);

/*
 * Reads @data: all of its sources go to @all, those that are proven for long to @lasting, too. A
 * file without a version may be any list, and has none of those. Returns 0, or a negative errno
 * with @err; @name is used in messages.
 */
int known_file_read(const char *name, const char *data, size_t len, struct prefixes *all,
		    struct prefixes *lasting, char *err);

#endif
