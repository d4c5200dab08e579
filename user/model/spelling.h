/* SPDX-License-Identifier: GPL-2.0-only */
/* What a word that is unknown was probably meant to be. For messages alone: no guess is acted on. */
#ifndef WEIR_MODEL_SPELLING_H
#define WEIR_MODEL_SPELLING_H

/* The candidate nearest to a word, so far. Begins as { .word = WORD }. */
struct spelling {
	const char *word;
	const char *best;	/* NULL: none is near enough */
	unsigned int badness;	/* of best */
};

/*
 * Compares with one more candidate. Near enough is: one letter wrong, missing, too many, or two
 * swapped in words of up to four letters, and two such mistakes in longer ones; a difference in
 * case alone; and a beginning of two letters or more. Of several equally near the first is kept.
 */
void spelling_try(struct spelling *spelling, const char *candidate);

#endif
