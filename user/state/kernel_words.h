/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own words for a refused netlink request (the extended acknowledgement). libbpf prints
 * them in a line of its log and does not return them.
 */
#ifndef WEIR_STATE_KERNEL_WORDS_H
#define WEIR_STATE_KERNEL_WORDS_H

/* Before a request. */
void kernel_words_clear(void);
/* Takes the words out of a line of libbpf's log, if that line has them. */
void kernel_words_note(const char *line);
/* Behind a message: ": Cannot attach when an upper device already has a program", or "". */
const char *kernel_words(void);

#endif
