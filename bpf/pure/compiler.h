/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where compiler and verifier disagree. A check or a mask that the compiler
 * proves superfluous is removed, and then the verifier, which knows less (each
 * kernel a little more), refuses the access behind it. Pure.
 */
#ifndef WEIR_BPF_PURE_COMPILER_H
#define WEIR_BPF_PURE_COMPILER_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/*
 * A function that the verifier proves by itself, once, whatever its callers know:
 * it takes the result for any number. Weak, so that clang does too: from 22 on it
 * infers the range of the results from the body, and removes the callers' checks.
 */
#ifdef __bpf__
#undef __noinline
#define __noinline __attribute__((noinline, weak))
#endif

/* @x, of which the compiler knows nothing from here on. */
static __always_inline __u32 weir_opaque(__u32 x)
{
	asm volatile("" : "+r"(x));
	return x;
}

#endif
