/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text in columns, for a terminal of 80 columns, written to stdout. Behind a cell that is too
 * long for its column, the row continues on the next line, in the column of the next cell: no
 * text is cut, and figures stay below each other.
 */
#ifndef WEIR_MODEL_TABLE_H
#define WEIR_MODEL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "user/model/format.h"

#define TABLE_WIDTH	80	/* columns of the terminal */

struct column {
	const char *head;
	int width;		/* 0, only in the last column: the rest of the line */
	bool right;		/* aligned to the right, as figures are */
};

/*
 * An array of columns ends with an empty one. A row takes one `const char *` in UTF-8 for each
 * column; an empty text leaves its cell blank.
 */
void table_head(const struct column *columns);
void table_row(const struct column *columns, ...);

/* Writes @count in decimal for a cell; returns @text. */
const char *table_count(uint64_t count, char text[FORMAT_LEN]);
/* The same with a comma before each three digits: 1,234,567. */
const char *table_grouped(uint64_t count, char text[FORMAT_LEN]);
/* "1.5 GB", "999 B": four digits at most, rounded down. */
const char *table_bytes(uint64_t bytes, char text[FORMAT_LEN]);

/*
 * Prints @text to a line of which @at columns are printed already, breaks it between words at
 * TABLE_WIDTH and continues at column @indent. A text in square brackets is not broken; a word longer
 * than a line is, behind its commas.
 */
void print_wrapped(FILE *to, const char *text, int at, int indent);

#endif
