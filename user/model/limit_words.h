/* SPDX-License-Identifier: GPL-2.0-only */
/* The words that select the packets of a limit or a budget, and its rates. */
#ifndef WEIR_MODEL_LIMIT_WORDS_H
#define WEIR_MODEL_LIMIT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/weir.h"
#include "user/model/words.h"

/* The values of the words; rates only for the uses that set something. */
struct limit_words {
	struct weir_limit_spec spec;	/* from: the source, or a budget's destination */
	bool from, proto;	/* were given; proto: and is not `any` */
	const char *dport, *sport;	/* as given: the name of a service depends on the protocol */
	const char *icmp_type;	/* as given; NULL: it was not */
	uint8_t per[2], pers;	/* as given */
	uint8_t v4_bits, v6_bits;
	bool force;		/* for the caller */
};

enum limit_use { LIMIT_TO_SET, LIMIT_TO_FIND, BUDGET_TO_SET };

/* Reads all @words; 0, or -EINVAL with @err. */
int parse_limit_words(struct words *words, enum limit_use use, struct limit_words *w, char *err);

#endif
