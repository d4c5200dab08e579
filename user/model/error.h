/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a function reports why it failed: a sentence for the operator in @err, and a
 * negative errno as its result. This is the convention of every `char *err` in user/.
 */
#ifndef WEIR_MODEL_ERROR_H
#define WEIR_MODEL_ERROR_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define ERR_LEN	256	/* bytes of every `char *err`, NUL included; longer text is cut */

/*
 * A failure must not look like success: -errno, or -EIO where that is 0. As a subtraction, which
 * clang's analyzer follows, and a minus sign it does not.
 */
static inline int neg_errno(void)
{
	int code = 0 - errno;

	return code < 0 ? code : -EIO;
}

static inline __attribute__((format(printf, 2, 3))) void fail_text(char *err, const char *format,
								    ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, ERR_LEN, format, args);
	va_end(args);
}

/*
 * Formats the message into @err (ERR_LEN bytes). @code: a positive errno. The value is -code, and
 * never 0. A macro, since the analyzer does not look into functions with variable arguments.
 */
#define fail(err, code, ...)                                    \
	({                                                      \
		int fail_code = 0 - (code);                     \
								\
		fail_text(err, __VA_ARGS__);                    \
		fail_code < 0 ? fail_code : -EIO;               \
	})

#endif
