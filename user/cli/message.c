// SPDX-License-Identifier: GPL-2.0-only
/* Messages to the operator, on standard error. */
#include <stdarg.h>
#include <stdio.h>

#include "user/cli/command.h"

enum outcome usage(const struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "weir: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\nusage:\n");
	va_end(args);
	print_command(stderr, call->command);
	return USAGE;
}

enum outcome failed(const struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (call->failure) {
		vsnprintf(call->failure, ERR_LEN, format, args);
	} else {
		fprintf(stderr, "weir: ");
		vfprintf(stderr, format, args);
		fprintf(stderr, "\n");
	}
	va_end(args);
	return FAILED;
}

void remark(const struct call *call, const char *format, ...)
{
	va_list args;

	if (call->quiet)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}
