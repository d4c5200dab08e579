/* SPDX-License-Identifier: GPL-2.0-only */
/* How a function says why it failed: the text into @err, the code as its result. */
#ifndef WEIR_MODEL_ERROR_H
#define WEIR_MODEL_ERROR_H

#include <stdarg.h>
#include <stdio.h>

#include "user/model/prefix.h"

/* @err: ERR_LEN bytes. @code: an errno, positive. Returns -code. */
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
