/* SPDX-License-Identifier: GPL-2.0-only */
/* What the traffic tools share: how they fail, and their clock. */
#ifndef WEIR_TESTS_TOOL_H
#define WEIR_TESTS_TOOL_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

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

/* CLOCK_MONOTONIC, which BPF programs and other processes read, too. */
static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

#endif
