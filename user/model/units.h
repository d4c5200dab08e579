/* SPDX-License-Identifier: GPL-2.0-only */
/* Units of time and of memory, and rounding to them. */
#ifndef WEIR_MODEL_UNITS_H
#define WEIR_MODEL_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS	1000000ULL
#define NS_PER_S	1000000000ULL
#define PAGE_BYTES	4096UL

/* Seconds from @now_ns to @until_ns, rounded up; 0 when that moment has passed. */
static inline uint64_t seconds_until(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns > now_ns ? (until_ns - now_ns + NS_PER_S - 1) / NS_PER_S : 0;
}

/*
 * The bytes of as many whole pages of 4 KiB as hold @bytes: the size of the memory behind an
 * array map, for mmap() and munmap(). A kernel with larger pages rounds further by itself.
 */
static inline size_t round_to_pages(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

#endif
