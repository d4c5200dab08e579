/* SPDX-License-Identifier: GPL-2.0-only */
/* Units of time. */
#ifndef WEIR_MODEL_UNITS_H
#define WEIR_MODEL_UNITS_H

#include <stdint.h>

#define NS_PER_MS	1000000ULL
#define NS_PER_S	1000000000ULL

/* Seconds from @now_ns to @until_ns, a part of one counted as a whole; 0 when it is over. */
static inline uint64_t seconds_until(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns > now_ns ? (until_ns - now_ns + NS_PER_S - 1) / NS_PER_S : 0;
}

#endif
