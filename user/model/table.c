// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/model/table.h"
#include "user/model/text.h"

#define CELL_LEN	1024
#define INDENT	4	/* of a cell that does not fit at its own column */

/*
 * The columns that @text takes on a terminal: characters of UTF-8, not bytes. Wide and combining
 * characters count as one.
 */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

/* How much of a longer text of ASCII goes on a line of @most columns: up to a comma or a blank. */
static int part_of(const char *text, int most)
{
	for (int len = most; len > 0; len--)
		if (text[len - 1] == ',' || text[len - 1] == ' ')
			return len;
	return most;
}

/*
 * @at: how many columns of the line are printed already. @start: where the cell's column begins.
 * Returns how many columns are printed then.
 */
static int print_cell(const struct column *column, const char *content, int at, int start)
{
	char shown[CELL_LEN];
	const char *text = text_escape(content, shown, sizeof(shown));
	int width = width_of(text), from = start;

	if (column->right && width < column->width)
		from += column->width - width;
	if (at && (from <= at || from + width > TABLE_WIDTH)) {
		putchar('\n');
		at = 0;
	}
	if (from && from + width > TABLE_WIDTH)
		from = INDENT;
	for (int most = TABLE_WIDTH - from, len; width > most; width -= len, text += len) {
		len = part_of(text, most);
		printf("%*s%.*s\n", from - at, "", len, text);
		at = 0;
		from = INDENT;
		most = TABLE_WIDTH - INDENT;
	}
	printf("%*s%s", from - at, "", text);
	return from + width;
}

void table_row(const struct column *columns, ...)
{
	int at = 0, start = 0;
	va_list cells;

	va_start(cells, columns);
	for (; columns->head; columns++) {
		const char *text = va_arg(cells, const char *);

		if (*text)
			at = print_cell(columns, text, at, start);
		start += columns->width + 1;
	}
	va_end(cells);
	putchar('\n');
}

void table_head(const struct column *columns)
{
	int at = 0, start = 0;

	for (; columns->head; columns++) {
		at = print_cell(columns, columns->head, at, start);
		start += columns->width + 1;
	}
	putchar('\n');
}

const char *table_count(uint64_t count, char text[FORMAT_LEN])
{
	snprintf(text, FORMAT_LEN, "%llu", (unsigned long long)count);
	return text;
}

const char *table_grouped(uint64_t count, char text[FORMAT_LEN])
{
	char digits[FORMAT_LEN];
	int length, used = 0;

	length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *table_bytes(uint64_t bytes, char text[FORMAT_LEN])
{
	static const char units[] = "kMGTPE";
	int unit = -1;

	if (bytes < 1000) {
		snprintf(text, FORMAT_LEN, "%llu B", (unsigned long long)bytes);
		return text;
	}
	for (; bytes >= 1000000; bytes /= 1000)
		unit++;
	snprintf(text, FORMAT_LEN, "%llu.%llu %cB", (unsigned long long)(bytes / 1000),
		 (unsigned long long)(bytes % 1000 / 100), units[unit + 1]);
	return text;
}

/* The bytes up to the next blank that is not in square brackets. */
static size_t token_length(const char *text)
{
	int depth = 0;
	size_t n;

	for (n = 0; text[n] && (depth || text[n] != ' '); n++)
		depth += (text[n] == '[') - (text[n] == ']');
	return n;
}

/* Returns how many columns it took. */
static int print_part(FILE *to, const char *text, size_t length)
{
	char part[CELL_LEN], shown[CELL_LEN];

	snprintf(part, sizeof(part), "%.*s", (int)length, text);
	fputs(text_escape(part, shown, sizeof(shown)), to);
	return width_of(shown);
}

void print_wrapped(FILE *to, const char *text, int at, int indent)
{
	while (*text) {
		int length = token_length(text);

		if (at > indent && at + 1 + length > TABLE_WIDTH) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			at += fprintf(to, " ");
		}
		while (at + length > TABLE_WIDTH) {	/* a set of ports goes on behind a comma */
			int part = part_of(text, TABLE_WIDTH - at);

			if (text[part - 1] != ',')
				break;
			print_part(to, text, part);
			fprintf(to, "\n%*s", indent, "");
			at = indent;
			text += part;
			length -= part;
		}
		at += print_part(to, text, length);
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}
