/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a function reports why it failed: a sentence for the operator in @err, and a
 * negative errno as its result. This is the convention of every `char *err` in user/.
 */
#ifndef WEIR_MODEL_ERROR_H
#define WEIR_MODEL_ERROR_H

#include <stdarg.h>
#include <stdio.h>

#define ERR_LEN	256	/* bytes of every `char *err`, NUL included; longer text is cut */

/* Formats the message into @err (ERR_LEN bytes). @code: a positive errno. Returns -code. */
static inline __attribute__((format(printf, 3, 4))) int fail(char *err, int code,
							      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, ERR_LEN, format, args);
	va_end(args);
	return -code;
}

#endif
