// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/host/log.h"
#include "user/model/text.h"

#define LINE_MOST	1024	/* bytes, the newline included */

/* Each line is a single write, so that lines of several threads or processes do not mix. */
void log_line(int level, const char *format, ...)
{
	char line[LINE_MOST], text[LINE_MOST];
	int at = isatty(STDERR_FILENO) ? 0 : snprintf(line, sizeof(line), "<%d>", level);
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A line feed in the name of a file would begin a line of another level. */
	at += strlen(text_escape(text, line + at, sizeof(line) - at - 1));
	line[at] = '\n';
	if (write(STDERR_FILENO, line, at + 1) < 0)
		return;
}
