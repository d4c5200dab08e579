/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stack of the deepest chain of calls in a loaded program, as Linux 6.1 counts it: each frame
 * is rounded up to 32 bytes and takes 32 at least (check_max_stack_depth() of its verifier). Later
 * kernels round to 16 with a JIT, so a program that loads there may be refused by 6.1.
 *
 * The depth of each frame is what the verifier of this kernel says in its statistics, and the calls
 * are those in the instructions that libbpf loads.
 */
#ifndef WEIR_TESTS_STACK_DEPTH_H
#define WEIR_TESTS_STACK_DEPTH_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define STACK_FRAMES	256	/* functions of a program; the verifier's own bound */
#define STACK_ROUND	32
#define STACK_MOST	512	/* MAX_BPF_STACK */

struct stack {
	const struct bpf_insn *insns;
	size_t count;
	size_t start[STACK_FRAMES];	/* instruction with which each function begins */
	unsigned int depth[STACK_FRAMES];
	unsigned int deepest[STACK_FRAMES];	/* with what it calls; 0: not known yet */
	int next[STACK_FRAMES];		/* the function that it calls deepest; 0: none */
	int functions;
};

static inline bool stack_is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

/* The function that begins with instruction @at, or -1. */
static inline int stack_function_at(const struct stack *stack, size_t at)
{
	for (int i = 0; i < stack->functions; i++)
		if (stack->start[i] == at)
			return i;
	return -1;
}

static inline int stack_by_start(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return left < right ? -1 : left > right;
}

/* The functions in the order of the verifier: by their first instruction. */
static inline bool stack_find_functions(struct stack *stack)
{
	stack->functions = 1;
	for (size_t i = 0; i < stack->count; i++) {
		size_t to = i + stack->insns[i].imm + 1;

		if (!stack_is_call(&stack->insns[i]) || stack_function_at(stack, to) >= 0)
			continue;
		if (stack->functions == STACK_FRAMES)
			return false;
		stack->start[stack->functions++] = to;
	}
	qsort(stack->start, stack->functions, sizeof(stack->start[0]), stack_by_start);
	return true;
}

/* "stack depth 248+0+40", a number for each function. */
static inline bool stack_read_depths(struct stack *stack, const char *log)
{
	static const char title[] = "stack depth ";
	const char *at = strstr(log, title);
	char *end;

	if (!at)
		return false;
	at += sizeof(title) - 1;
	for (int i = 0; i < stack->functions; i++, at = end + 1) {
		stack->depth[i] = strtoul(at, &end, 10);
		if (end == at || *end != (i + 1 < stack->functions ? '+' : '\n'))
			return false;
	}
	return true;
}

static inline unsigned int stack_deepest(struct stack *stack, int function)
{
	size_t end = function + 1 < stack->functions ? stack->start[function + 1] : stack->count;
	unsigned int below = 0, own = stack->depth[function] ? stack->depth[function] : 1;

	if (stack->deepest[function])
		return stack->deepest[function];
	for (size_t i = stack->start[function]; i < end; i++) {
		unsigned int deep;
		int to;

		if (!stack_is_call(&stack->insns[i]))
			continue;
		to = stack_function_at(stack, i + stack->insns[i].imm + 1);
		deep = stack_deepest(stack, to);
		if (deep > below) {
			below = deep;
			stack->next[function] = to;
		}
	}
	stack->deepest[function] = (own + STACK_ROUND - 1) / STACK_ROUND * STACK_ROUND + below;
	return stack->deepest[function];
}

/* @log: of the load, with the verifier's statistics. Returns the bytes; 0: the log does not tell. */
static inline unsigned int stack_read(struct stack *stack, const struct bpf_program *program,
				      const char *log)
{
	memset(stack, 0, sizeof(*stack));
	stack->insns = bpf_program__insns(program);
	stack->count = bpf_program__insn_cnt(program);
	if (!stack_find_functions(stack) || !stack_read_depths(stack, log))
		return 0;
	return stack_deepest(stack, 0);
}

#endif
