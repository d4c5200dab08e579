/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring of judgements in the maps: what the daemon decided and why, and which bans the
 * operator removed. Appended to under the lock of writers only.
 */
#ifndef WEIR_STATE_JUDGEMENTS_H
#define WEIR_STATE_JUDGEMENTS_H

#include "user/state/maps.h"

/* The newest @most judgements, oldest first; the caller frees *@list. 0 or -errno with @err. */
int judgements_read(const struct maps *maps, uint64_t most, struct weir_judgement **list,
		    size_t *count, char *err);
/* What stands in the slot of @number, which may be an older or a newer one. 0 or -errno. */
int judgement_read(const struct maps *maps, uint64_t number, struct weir_judgement *judgement);
/*
 * Gives them numbers and the time, and appends them; of more than the ring holds, the last
 * ones. 0 or -errno with @err.
 */
int judgements_append(const struct maps *maps, struct weir_judgement *list, size_t count,
		      char *err);
/* Whether there is one with this number or a later one. */
bool judgements_reached(const struct maps *maps, uint64_t number);

/*
 * Records each ban and each drop rule of the daemon that is in @was but not in @is, as the operator
 * removed it.
 */
int judgements_note_undone(const struct maps *maps, const struct settings *was,
			   const struct settings *is, char *err);

const char *judgement_name(uint8_t kind);	/* "ban-source", "spared", ... */
#define JUDGEMENT_TEXT	512	/* room for every text of judgement_explain() */
/* The evidence in words, without the subject: "5210 pps where 1000 are allowed, ..." */
void judgement_explain(const struct weir_judgement *judgement, char *text, size_t size);
#define JUDGEMENT_SUBJECT	64
/* What it is about: a prefix, or the name of a drop rule. Returns @text. */
const char *judgement_subject(const struct weir_judgement *judgement,
			      char text[JUDGEMENT_SUBJECT]);
#define JUDGEMENT_COMMAND	192
/* "undo: " or "do: " and a command. False: there is none for such a judgement. */
bool judgement_command(const struct weir_judgement *judgement, char text[JUDGEMENT_COMMAND]);
/* The same, shorter, as the comment of a ban. */
void judgement_comment(const struct weir_judgement *judgement, char text[WEIR_COMMENT]);

#endif
