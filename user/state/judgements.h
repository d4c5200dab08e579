/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of judgements in the maps: what the daemon decided and why, and what
 * a person undid. Appended to under the writers' lock only.
 */
#ifndef WEIR_STATE_JUDGEMENTS_H
#define WEIR_STATE_JUDGEMENTS_H

#include "user/state/maps.h"

/* The newest @most of them, oldest first; the caller frees *@list. 0 or -errno with @err. */
int judgements_read(const struct maps *maps, uint64_t most, struct weir_judgement **list,
		    size_t *count, char *err);
/* What stands in the slot of @number, which may be an older or a newer one. 0 or -errno. */
int judgement_read(const struct maps *maps, uint64_t number, struct weir_judgement *judgement);
/* Numbers and dates them, and appends; of more than the ring holds, the last ones. */
int judgements_append(const struct maps *maps, struct weir_judgement *list, size_t count, char *err);
/* Whether one of number @number or later is there. */
bool judgements_reached(const struct maps *maps, uint64_t number);

/* From @was to @is: records each of the daemon's bans that somebody took away. */
int judgements_note_undone(const struct maps *maps, const struct settings *was,
			   const struct settings *is, char *err);

const char *judgement_name(uint8_t kind);	/* "ban-source", "spared", ... */
/* The evidence in words, without the prefix: "5210 pps where 1000 are allowed, ..." */
void judgement_explain(const struct weir_judgement *judgement, char *text, size_t size);
/* The same for a ban's comment: at most WEIR_COMMENT bytes. */
void judgement_comment(const struct weir_judgement *judgement, char text[WEIR_COMMENT]);

#endif
