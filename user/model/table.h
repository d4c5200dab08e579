/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text in columns, for a terminal of 80. A cell that is too long for its column
 * has the rest of its line to itself, and the next one goes on below, in its
 * own column: nothing is cut, and figures stay under each other.
 */
#ifndef WEIR_MODEL_TABLE_H
#define WEIR_MODEL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "user/model/format.h"

#define TABLE_WIDTH	80

struct column {
	const char *head;
	int width;		/* the last column may have 0: what is left */
	bool right;		/* figures */
};

/* A table of columns ends with an empty one; rows have one `const char *` for each. */
void table_head(const struct column *columns);
void table_row(const struct column *columns, ...);

/* A figure for a cell. */
const char *table_count(uint64_t count, char text[FORMAT_LEN]);

/*
 * @text, where @at columns of the line are printed already, broken between words
 * at 80 columns and going on at @indent; what stands in brackets stays together.
 */
void print_wrapped(FILE *to, const char *text, int at, int indent);

#endif
