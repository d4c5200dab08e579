/* SPDX-License-Identifier: GPL-2.0-only */
/* Mixing and masking addresses of 128 bits. Pure. */
#ifndef WEIR_BPF_PURE_HASH_H
#define WEIR_BPF_PURE_HASH_H

#include <linux/types.h>

#include "bpf/pure/compiler.h"

/* 64-bit finalizer of MurmurHash3 (Appleby, public domain). */
static __always_inline __u64 weir_mix(__u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/* Index into weir_hints.v6 of the first 32 address bits. No secret: it is no defence. */
static __always_inline __u32 weir_hint_v6(__u32 top)
{
	return (top * 0x9e3779b1U) >> 16;
}

/* The first @bits of 128 in two words; @bits 0..128. */
static __always_inline void weir_mask(__u64 *hi, __u64 *lo, __u32 bits)
{
	if (bits == 0)
		*hi = *lo = 0;
	else if (bits <= 64) {
		*hi &= ~0ULL << (64 - bits);
		*lo = 0;
	} else if (bits < 128)
		*lo &= ~0ULL << (128 - bits);
}

#endif
