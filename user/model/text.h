/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text of foreign origin: names of files and interfaces, comments, what a file or the kernel says.
 * A terminal obeys control characters, a line feed begins a new line of a settings file or of the
 * log. Such text is therefore refused where it would be stored, and escaped where it is printed.
 */
#ifndef WEIR_MODEL_TEXT_H
#define WEIR_MODEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Whether @text can be stored: valid UTF-8 without control characters, which are C0, DEL and C1
 * (U+0080 to U+009F), and without the marks that change the direction or the line of what follows
 * (U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069).
 */
bool text_is_plain(const char *text);

/*
 * Writes @from for a terminal or the log, cut at @size bytes, NUL included: each byte of what
 * text_is_plain() refuses as \xNN. Returns @to.
 */
char *text_escape(const char *from, char *to, size_t size);

/* Replaces each byte of what text_is_plain() refuses by a question mark. */
void text_make_plain(char *text);

/* As text_escape(), for text of any length, to a stream. */
void text_print(FILE *to, const char *text);
/* The same for text that has several lines, with tabs in them. */
void text_print_lines(FILE *to, const char *text);

#endif
