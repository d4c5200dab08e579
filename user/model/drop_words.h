/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of `drop add`, read and written. */
#ifndef WEIR_MODEL_DROP_WORDS_H
#define WEIR_MODEL_DROP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/weir.h"
#include "user/model/words.h"

struct drop_words {
	struct weir_rule_spec spec;	/* without end and date */
	uint64_t ttl_ns;		/* 0: for good */
	bool force;
	struct words *words;		/* of conditions with two values */
	const char *sport, *dport;	/* as given: the name of a service depends on the protocol */
};

/* The name and all words behind it. 0, or -EINVAL with @err. */
int parse_drop_words(struct words *words, struct drop_words *w, char *err);

#define RULE_TEXT	832	/* bytes of a rule in words with two full sets of ports, NUL included */
/* The conditions: "proto udp sport 123 length 468". */
void format_rule_match(const struct weir_rule_spec *spec, char text[RULE_TEXT]);
/* What it does, behind the conditions: "rate 1000pps monitor spare proven", or "". */
void format_rule_action(const struct weir_rule_spec *spec, char text[RULE_TEXT]);

/* "syn,ack" into TCP_*; "none": 0. @which names the word in the message. 0, or -EINVAL with @err. */
int parse_tcp_flags(const char *text, size_t length, uint8_t *flags, char *err);
/* `N` or `N-M`, from @least to @most. */
int parse_range(const char *word, const char *what, uint64_t least, uint64_t most, uint16_t *first,
		uint16_t *last, char *err);

#endif
