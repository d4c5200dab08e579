/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of `list`: what `list load` on the command line and in a file of `restore` says. */
#ifndef WEIR_CLI_LIST_WORDS_H
#define WEIR_CLI_LIST_WORDS_H

#include "user/model/words.h"
#include "user/state/lists.h"

/* All read words into @change: 0, or -EINVAL with @err. */
int parse_list_name(struct words *words, struct list_change *change, char *err);
/* NAME file F [format ...] [skip-bad] [force [GUARD...]], all words. */
int parse_list_load(struct words *words, struct list_change *change, char *err);
/* NAME [file F [format ...]], all words. */
int parse_list_diff(struct words *words, struct list_change *change, char *err);

#endif
