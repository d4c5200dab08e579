/* SPDX-License-Identifier: GPL-2.0-only */
/* The steps of a hash that mixes by multiplying and shifting, backwards: to choose what it gives. */
#ifndef WEIR_TESTS_INVERT_H
#define WEIR_TESTS_INVERT_H

#include <stdint.h>

/* Of an odd number modulo 2^64, by Newton: each step doubles the number of right bits. */
static inline uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

/* The x of which x ^ x >> @shift is @y. */
static inline uint64_t unshift(uint64_t y, int shift)
{
	uint64_t x = y;

	for (int i = 0; i < 64 / shift + 1; i++)
		x = y ^ x >> shift;
	return x;
}

#endif
