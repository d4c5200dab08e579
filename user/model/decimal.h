/* SPDX-License-Identifier: GPL-2.0-only */
/* Decimal numbers as they are typed, such as 1.5: exact, without floating point. */
#ifndef WEIR_MODEL_DECIMAL_H
#define WEIR_MODEL_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

/* mantissa / 10^decimals; zeros at the end of the fraction are left out. */
struct decimal {
	uint64_t mantissa;
	unsigned int decimals;
};

/*
 * Reads digits, and a point with digits behind it, from the start of @word. Returns how many
 * bytes it read; 0 where no number begins, or where it takes more than 64 bits.
 */
int decimal_read(const char *word, struct decimal *number);

/* Sets @product to @number * @factor. False where that is no whole number, or takes more bits. */
bool decimal_times(const struct decimal *number, uint64_t factor, uint64_t *product);
/* The same, rounded up to a whole number. False where it takes more than 64 bits. */
bool decimal_times_up(const struct decimal *number, uint64_t factor, uint64_t *product);

#endif
