/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where compiler and verifier disagree. The compiler removes a check or a mask that it can prove
 * superfluous; the verifier, which knows less (a little more with each kernel), then refuses the
 * access behind it. Pure: nothing here needs BPF.
 */
#ifndef WEIR_BPF_PURE_COMPILER_H
#define WEIR_BPF_PURE_COMPILER_H

#include <linux/types.h>

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

/*
 * A function that the verifier proves once and by itself, for any arguments; its callers must
 * reckon with any result. Weak, so that clang reckons with any result, too: from clang 22 on it
 * infers the range of the result from the body and removes the callers' checks.
 */
#undef __noinline
#define __noinline __attribute__((noinline, weak))

/* @x as a value of which the compiler knows nothing. */
static __always_inline __u32 weir_opaque(__u32 x)
{
	asm volatile("" : "+r"(x));
	return x;
}

/* One register for @pointer, and not one for each field that is used behind it. */
#define weir_one_register(pointer) asm volatile("" : "+r"(pointer))

/* The compiler loads again what it needs of memory from here on, and need not keep it till then. */
static __always_inline void weir_forget(void)
{
	asm volatile("" : : : "memory");
}

#endif
