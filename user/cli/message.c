// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the operator, on standard error but for what was done as asked. They name files,
 * interfaces and comments, so each of them is escaped as a whole.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/cli/colour.h"
#include "user/cli/command.h"
#include "user/model/text.h"

static void print_line(FILE *to, enum colour colour, const char *before, const char *format,
		       va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	colour_begin(to, colour);
	fputs(before, to);
	colour_end(to, colour);
	text_print(to, text ? text : "out of memory");
	fputc('\n', to);
	free(text);
}

enum outcome usage(const struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(stderr, COLOUR_RED, "weir: ", format, args);
	va_end(args);
	fprintf(stderr, "usage:\n");
	print_command(stderr, call->command);
	return USAGE;
}

enum outcome failed(const struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (call->failure)
		vsnprintf(call->failure, ERR_LEN, format, args);
	else
		print_line(stderr, COLOUR_RED, "weir: ", format, args);
	va_end(args);
	return FAILED;
}

void warn(const struct call *call, const char *format, ...)
{
	va_list args;

	(void)call;
	va_start(args, format);
	print_line(stderr, COLOUR_YELLOW, "weir: warning: ", format, args);
	va_end(args);
}

void tell(const struct call *call, const char *format, ...)
{
	va_list args;

	if (call->quiet)
		return;
	va_start(args, format);
	print_line(call->json ? stderr : stdout, COLOUR_NONE, "", format, args);
	va_end(args);
}

void remark(const struct call *call, const char *format, ...)
{
	va_list args;

	if (call->quiet)
		return;
	va_start(args, format);
	print_line(stderr, COLOUR_NONE, "", format, args);
	va_end(args);
}
