/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads published lists of addresses and prefixes, in any of several formats. The caller has read
 * the file into memory.
 */
#ifndef WEIR_MODEL_LISTFILE_H
#define WEIR_MODEL_LISTFILE_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

#define LIST_BYTES_MOST		(64U << 20)	/* of a file */
#define LIST_LINE_MOST		(64U << 10)	/* bytes of a line, but not of LIST_NFT */
#define LIST_PREFIXES_MOST	(8U << 20)	/* a line with a range becomes up to 254 of them */

enum list_format {
	LIST_AUTO,	/* detected from the first line that is neither blank nor a comment */
	LIST_PLAIN,	/* one entry a line; '#' or ';' starts a comment: FireHOL, Spamhaus' text */
	LIST_IPSUM,	/* the same, with a blank and a number behind each entry */
	LIST_NDJSON,	/* Spamhaus: {"cidr":"192.0.2.0/24",...}, one object a line */
	LIST_IPSET,	/* `ipset save`: the add lines of sets of addresses or networks */
	LIST_NFT,	/* `nft list set`, or a file for `nft -f`: the elements of all sets */
	LIST_FORMATS,
};

struct list_options {
	enum list_format format;
	bool allow_empty;	/* accept a list without an entry */
	/*
	 * Skip and count lines that are not an entry, instead of refusing the list; @err then
	 * has the message about the first of them. LIST_NFT, in which entries are not bound to
	 * lines, is always strict.
	 */
	bool skip_bad;
	bool unquoted;		/* messages must not quote the file: not every user can read it */
	/* May be NULL. Called after about every MiB and at the end, with sizes in bytes. */
	void (*progress)(void *ctx, size_t done, size_t total);
	void *ctx;
};

/* What was read. All counts are of this file alone. */
struct list_report {
	enum list_format format;	/* never LIST_AUTO */
	size_t lines;
	size_t entries;		/* as written in the file; a range counts once */
	size_t ranges;		/* those of them that are ranges, "first-last" */
	size_t v4, v6;		/* prefixes, without duplicates */
	size_t duplicates;	/* prefixes that were removed because they occurred before */
	size_t comments;	/* whole lines, and comments behind entries */
	size_t ignored;		/* entries followed by words that are ignored here, such as timeout,
				 * counter or comment "..." */
	size_t host_bits;	/* entries with bits behind their length, which were cleared */
	size_t host_bits_line;	/* the line of the first of those; 0: none */
	size_t bad;		/* lines that were skipped, see skip_bad */
	size_t declared;	/* entries that the list itself declares (metadata of NDJSON); 0: none.
				 * Where it differs from entries, the file was cut short, or is made
				 * of several. */
};

/*
 * Adds the prefixes of the @len bytes at @data to @set: sorted and without duplicates if @set was
 * empty, else appended. @name is used in messages. @options may be NULL, which is as all zero.
 * Returns 0, or with @err -EINVAL ("NAME:LINE: ...": not a list), -ENODATA (a list without an
 * entry), -E2BIG (more than LIST_PREFIXES_MOST) or -ENOMEM; @set is then as it was.
 */
int list_read(const char *name, const char *data, size_t len, const struct list_options *options,
	      struct prefixes *set, struct list_report *report, char *err);

/* "auto", "plain", "ipsum", "ndjson", "ipset" or "nft". */
const char *list_format_name(enum list_format format);
/* Sets @format to the format of that name. Returns false when there is none. */
bool list_format_find(const char *name, enum list_format *format);

#endif
