/* SPDX-License-Identifier: GPL-2.0-only */
/* What the traffic tools share: how they fail. */
#ifndef WEIR_TESTS_TOOL_H
#define WEIR_TESTS_TOOL_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "user/host/clock.h"

#define NS_PER_S 1000000000LL

enum outcome { DONE, FAILED, USAGE };

static inline __attribute__((format(printf, 1, 2))) enum outcome failed(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	return FAILED;
}

#endif
