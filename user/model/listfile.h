/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a list of addresses and prefixes as people publish them. Pure: the
 * caller has the file in memory.
 */
#ifndef WEIR_MODEL_LISTFILE_H
#define WEIR_MODEL_LISTFILE_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

enum list_format {
	LIST_AUTO,   /* by the first line that is neither blank nor a comment */
	LIST_PLAIN,  /* one a line; '#' or ';' start a comment: FireHOL, Spamhaus DROP text */
	LIST_IPSUM,  /* the same, with a blank and a number behind each */
	LIST_NDJSON, /* Spamhaus: {"cidr":"192.0.2.0/24",...} a line */
	LIST_IPSET,  /* `ipset save`: add lines of sets of addresses or networks */
	LIST_NFT,    /* `nft list set` and files for `nft -f`: the elements */
	LIST_FORMATS,
};

struct list_options {
	enum list_format format;
	bool allow_empty; /* a list without an entry is no error */
	/*
	 * A line that is no prefix is left out and counted, with the first one's
	 * message in @err: for the operator who would rather have the rest.
	 * LIST_NFT has no lines, and is always strict.
	 */
	bool skip_bad;
	/* If set, called now and then, and at the end; bytes. */
	void (*progress)(void *ctx, size_t done, size_t total);
	void *ctx;
};

/* What was read. All counts are of this file alone. */
struct list_report {
	enum list_format format; /* never LIST_AUTO */
	size_t lines;
	size_t entries; /* as they stand there; a range is one */
	size_t ranges;	/* of those, "first-last" */
	size_t v4, v6;	/* prefixes, each once */
	size_t duplicates;
	size_t comments;       /* whole lines and behind entries */
	size_t ignored;	       /* entries with something behind that means nothing here:
				* timeout, counter, comment "..." */
	size_t host_bits;      /* entries with bits behind their length, now cleared */
	size_t host_bits_line; /* of the first of those; 0: none */
	size_t bad;	       /* lines left out, see skip_bad */
	size_t declared;       /* entries that the list says it has (NDJSON metadata); 0: unsaid.
				* Another number than entries: cut short, or put together. */
};

/*
 * Adds the list's prefixes to @set, sorted and each once if @set was empty.
 * @name stands in messages. @options may be NULL: all zero.
 * Returns 0; -EINVAL with "NAME:LINE: ..." for what is no list, -ENODATA for a
 * list without an entry, -ENOMEM; @set is then as it was, @err says why.
 */
int list_read(const char *name, const char *data, size_t len, const struct list_options *options,
	      struct prefixes *set, struct list_report *report, char *err);

/* "auto", "plain", "ipsum", "ndjson", "ipset", "nft". */
const char *list_format_name(enum list_format format);
/* Returns false when there is no format of that name. */
bool list_format_find(const char *name, enum list_format *format);

#endif
