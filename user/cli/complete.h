/* SPDX-License-Identifier: GPL-2.0-only */
/* The words that a shell may offer. */
#ifndef WEIR_CLI_COMPLETE_H
#define WEIR_CLI_COMPLETE_H

#include "user/cli/command.h"

/* Prints what may stand in the place of the last of @words, which end with NULL. */
enum outcome complete(char **words);

#endif
