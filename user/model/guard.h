/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guards: what must not be blocked or allowed by mistake. Each has a word behind `force` that
 * overrules it, and a bit (enum weir_guard); a bare `force` overrules all of them.
 */
#ifndef WEIR_MODEL_GUARD_H
#define WEIR_MODEL_GUARD_H

#include "bpf/tool.h"
#include "user/model/error.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/* The words of `force`, for a table of words; guard_words() must follow. */
#define GUARD_WORDS_COVERAGE(type, member) \
	WORD_BIT("force", type, member, WEIR_GUARD_ALL), \
	WORD_BIT("coverage", type, member, WEIR_GUARD_COVERAGE)
#define GUARD_WORDS_BLOCK(type, member) \
	GUARD_WORDS_COVERAGE(type, member), \
	WORD_BIT("own", type, member, WEIR_GUARD_OWN), \
	WORD_BIT("ssh", type, member, WEIR_GUARD_SSH), \
	WORD_BIT("allow", type, member, WEIR_GUARD_ALLOW)
#define GUARD_WORDS_LIST(type, member) \
	GUARD_WORDS_BLOCK(type, member), \
	WORD_BIT("size", type, member, WEIR_GUARD_SIZE)
#define GUARD_WORDS_ALLOW(type, member) \
	GUARD_WORDS_COVERAGE(type, member), \
	WORD_BIT("block", type, member, WEIR_GUARD_BLOCK)

/*
 * After reading the words: with guards named behind it, `force` means only those. -EINVAL with
 * @err for a guard without `force`.
 */
int guard_words(uint8_t *force, char *err);
/* " force own size", or "". */
#define GUARD_TEXT	64
const char *guard_format(uint8_t force, char text[GUARD_TEXT]);
/* The bit of a guard that lists have; 0: there is no such guard. */
uint8_t guard_find(const char *name);

/* The guards in the course of one command. */
struct guard {
	uint8_t passed;		/* those that the operator overrules */
	uint8_t found;		/* those that object, overruled or not */
	char why[ERR_LEN];	/* the first objection that is not overruled */
	char remark[ERR_LEN];	/* what is no objection, but worth saying; "": nothing */
};

/* 0, or -EPERM with @err: the objection, and the words that overrule it and all others. */
int guard_verdict(const struct guard *guard, char *err);
/* What is kept of `force`: the guards that were named, or of a bare one those that objected. */
uint8_t guard_kept(const struct guard *guard);

/*
 * Whether @prefix may be blocked: not if it is more than a /8 (IPv6: /16), covers an address in
 * @own (this host's) or an allow entry, or lies in an allow entry, where it has no effect.
 */
void guard_block(struct guard *guard, const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own);
/*
 * Whether @prefix may be allowed: not if it is more than a /8 (IPv6: /16), or covers a block entry
 * of the operator, which then has no effect. One of exactly this prefix is a remark.
 */
void guard_allow(struct guard *guard, const struct prefix *prefix, const struct settings *settings);

/* How much of the Internet prefixes cover, without private, multicast and other special ranges. */
struct span {
	uint64_t v4;		/* addresses */
	uint64_t v6;		/* /64s */
	struct prefix last4, last6;	/* that were counted */
};

/* In the order of prefix_cmp(). One that an earlier one covers counts no second time. */
void span_add(struct span *span, const struct prefix *prefix);
/* Of the entries that the operator made. */
void span_of_entries(const struct entries *entries, struct span *span);
/*
 * Whether entries that spanned @before may span @after: not if that is more than 1/64 of the
 * Internet, and @added, what a command adds, makes it so or is as much alone.
 */
void guard_span(struct guard *guard, const char *object, const struct span *before,
		const struct span *added, const struct span *after);

/* What a guard does about a list without refusing it, for remarks. */
struct guard_notes {
	size_t left_out;
	struct prefix left_out_first[3];
	size_t allowed;			/* allow entries that the list covers */
	struct prefix first_allowed;
};

/*
 * Removes from the sorted @set what many published lists have and what may be needed here:
 * loopback, link-local and multicast networks, and of private ranges what covers an address in
 * @own.
 */
void guard_leave_out(struct prefixes *set, const struct prefixes *own, struct guard_notes *notes);
/*
 * Whether a list may be @set: not if a prefix is more than a /8 (IPv6: /16), if all of them cover
 * more than 1/64 of the Internet or an address in @own, or if prefixes or addresses are ten times
 * as many or as few as in @was (NULL: the list is new). Both sets are sorted.
 */
void guard_list(struct guard *guard, const struct prefixes *set, const struct prefixes *was,
		const struct settings *settings, const struct prefixes *own,
		struct guard_notes *notes);
/* The notes as text; false: there is no remark @number, which counts from 0. */
bool guard_note(const struct guard_notes *notes, size_t number, char text[ERR_LEN]);

#endif
