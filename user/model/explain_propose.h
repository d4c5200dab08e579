/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From what the search found (explain.h) to proposals: which calm packets a flood is compared with,
 * whether a rule is sure, and why not. `weir explain` prints them, the daemon acts upon them. Pure.
 */
#ifndef WEIR_MODEL_EXPLAIN_PROPOSE_H
#define WEIR_MODEL_EXPLAIN_PROPOSE_H

#include "bpf/weir.h"
#include "user/model/calm.h"
#include "user/model/error.h"
#include "user/model/explain_text.h"

/* What a flood is compared with. */
struct explain_against {
	struct explain_packet packet[EXPLAIN_PACKETS];
	uint32_t count;
	bool of_strangers;	/* known sources alone were too few: their packets came, too */
};
/* Known sources first; strangers only where those are too few. */
void explain_take_against(const struct calm *calm, struct explain_against *against);
/* Why there are no rules, where @against has fewer packets than EXPLAIN_CALM_LEAST. */
void explain_say_too_few(const struct calm *calm, const struct explain_against *against,
			 char text[ERR_LEN]);

/* A rule as it is proposed. */
struct explain_proposal {
	const struct explain_verdict *verdict;
	char match[EXPLAIN_TEXT];	/* the words behind `drop add NAME` */
	uint32_t stranger_hits;		/* calm packets of strangers that it matches */
	bool sure;
	char doubt[ERR_LEN];		/* why it is not sure; "": it is */
};
void explain_propose(const struct explain_verdict *verdict, const struct calm *calm,
		     const struct explain_against *against, struct explain_proposal *proposal);

/*
 * The name under which a rule is proposed, "udp-123-1a2b3c": the same for the same @match, another
 * one for another, since `drop add` would replace it.
 */
void explain_name(const struct explain_rule *rule, const char *match, char name[WEIR_NAME_LEN]);

#endif
