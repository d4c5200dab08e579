/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Colour on a terminal that has it, for what needs the eye: drops, warnings, errors. None where the
 * stream is no terminal, where NO_COLOR is set to anything, or where terminfo knows no colours of
 * the terminal (TERM=dumb).
 */
#ifndef WEIR_CLI_COLOUR_H
#define WEIR_CLI_COLOUR_H

#include <stdio.h>

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_YELLOW };

/* What is written to @to from here on, until colour_end(), has this colour. */
void colour_begin(FILE *to, enum colour colour);
void colour_end(FILE *to, enum colour colour);

#endif
