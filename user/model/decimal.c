// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>

#include "user/model/decimal.h"

#define DECIMALS_MOST	18	/* 10^18 is below 2^64 */

static bool add_digit(struct decimal *number, char digit)
{
	return !__builtin_mul_overflow(number->mantissa, 10, &number->mantissa) &&
	       !__builtin_add_overflow(number->mantissa, digit - '0', &number->mantissa);
}

int decimal_read(const char *word, struct decimal *number)
{
	int at = 0, end;

	*number = (struct decimal){ 0 };
	for (; isdigit((unsigned char)word[at]); at++)
		if (!add_digit(number, word[at]))
			return 0;
	if (!at || word[at] != '.' || !isdigit((unsigned char)word[at + 1]))
		return at;
	for (end = ++at; isdigit((unsigned char)word[end]); end++)
		;
	while (end > at && word[end - 1] == '0')
		end--;
	for (; at < end; at++)
		if (number->decimals++ == DECIMALS_MOST || !add_digit(number, word[at]))
			return 0;
	while (word[at] == '0')
		at++;
	return at;
}

/* Returns the rest of the division by 10^decimals; all of it as 128 bits, which cannot overflow. */
static uint64_t divide(const struct decimal *number, uint64_t factor, unsigned __int128 *quotient)
{
	unsigned __int128 product = (unsigned __int128)number->mantissa * factor;
	uint64_t scale = 1;

	for (unsigned int i = 0; i < number->decimals; i++)
		scale *= 10;
	*quotient = product / scale;
	return product % scale;
}

bool decimal_times(const struct decimal *number, uint64_t factor, uint64_t *product)
{
	unsigned __int128 quotient;
	uint64_t rest = divide(number, factor, &quotient);

	*product = quotient;
	return !rest && quotient <= UINT64_MAX;
}

bool decimal_times_up(const struct decimal *number, uint64_t factor, uint64_t *product)
{
	unsigned __int128 quotient;

	if (divide(number, factor, &quotient))
		quotient++;
	*product = quotient;
	return quotient <= UINT64_MAX;
}
