/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a test program reports to scripts/run-tests: one line for each group of checks, and exit
 * status 1 when any line is "not ok":
 *
 *	ok - WHAT (FIGURES)
 *	not ok - WHAT: WHY
 *	skip - WHAT: WHY
 *
 *	struct check check = { 0 };
 *
 *	CHECK(&check, sum == 3, "the sum is %d", sum);
 *	check_done(&check, "sums", "%d of them", count);
 *	return check_exit(&check);
 */
#ifndef WEIR_TESTS_CHECK_H
#define WEIR_TESTS_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct check {
	unsigned int failed; /* checks of this group */
	unsigned int bad;    /* groups so far */
	char why[512];	     /* the first failed check of this group */
};

static inline __attribute__((format(printf, 6, 7))) bool check_that(struct check *check, bool holds,
								    const char *file, int line,
								    const char *condition,
								    const char *format, ...)
{
	int len;
	va_list args;

	if (holds || check->failed++)
		return holds;
	len = snprintf(check->why, sizeof(check->why), "%s:%d: %s: ", file, line, condition);
	if (len >= 0 && (size_t)len < sizeof(check->why)) {
		va_start(args, format);
		vsnprintf(check->why + len, sizeof(check->why) - len, format, args);
		va_end(args);
	}
	return false;
}

/* Notes a failure unless @condition holds; the rest formats the values. Returns @condition. */
#define CHECK(check, condition, ...)                                                               \
	check_that(check, condition, __FILE__, __LINE__, #condition, __VA_ARGS__)

/* Ends a group of checks and prints its line; the rest formats the figures. */
static inline __attribute__((format(printf, 3, 4))) void
check_done(struct check *check, const char *what, const char *format, ...)
{
	va_list args;

	if (check->failed) {
		printf("not ok - %s: %s (%u checks failed)\n", what, check->why, check->failed);
		check->failed = 0;
		check->bad++;
		return;
	}
	printf("ok - %s (", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts(")");
	fflush(stdout);
}

static inline void check_skip(const char *what, const char *why)
{
	printf("skip - %s: %s\n", what, why);
}

static inline int check_exit(const struct check *check)
{
	return check->bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline double check_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* The seed of random numbers, 1 or what WEIR_SEED says. A test that uses it prints it. */
static inline unsigned long long check_seed(void)
{
	const char *text = getenv("WEIR_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

/* splitmix64 (Vigna, public domain): 64 random bits from any state. */
static inline unsigned long long check_random(unsigned long long *state)
{
	unsigned long long x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif
