// SPDX-License-Identifier: GPL-2.0-only
/* weir known: the sources that pass first when a budget is used up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/pure/known_line.h"
#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/listfile.h"
#include "user/model/parse.h"
#include "user/model/words.h"
#include "user/state/known.h"
#include "user/state/session.h"

#define IMPORT_MOST	(256U << 20)	/* bytes of a file */
#define EXPAND_V4	16	/* the shortest prefixes that an import expands */
#define EXPAND_V6	48

static int open_known(struct maps *maps, struct known *known, enum maps_use use, char *err)
{
	int rc = maps_open(maps, use, err);

	if (rc)
		return rc;
	rc = known_open(maps, known, err);
	if (rc)
		maps_close(maps);
	return rc;
}

static void close_known(struct maps *maps, struct known *known)
{
	known_close(known);
	maps_close(maps);
}

/* ---- show ---- */

static enum outcome show_addresses(const struct call *call, const struct known *known)
{
	enum outcome outcome = DONE;
	json_t *list = json_array();
	struct prefix address;
	char err[ERR_LEN];

	for (char **words = call->words.next; *words; words++) {
		bool is;

		if (parse_prefix(*words, &address, err)) {
			json_decref(list);
			return usage(call, "%s", err);
		}
		if (address.length != 128 && (prefix_is_v4(&address) || address.length < 64)) {
			json_decref(list);
			return usage(call, "%s: not an address and not an IPv6 /64", *words);
		}
		is = known_tier_of(known, &address) >= WEIR_SEEN;
		outcome = is ? outcome : FAILED;
		json_array_append_new(list, json_pack("{s:s, s:b}", "source", *words, "known", is));
		if (!call->json)
			printf("%s: %s\n", *words, is ? "known" : "not known");
	}
	print_json(call, json_pack("{s:o}", "sources", list));
	return outcome;
}

enum outcome cmd_known_show(const struct call *call)
{
	struct known_count count;
	enum outcome outcome;
	struct known known;
	struct maps maps;
	char err[ERR_LEN];

	if (open_known(&maps, &known, MAPS_READ, err))
		return failed(call, "%s", err);
	if (*call->words.next) {
		outcome = show_addresses(call, &known);
	} else {
		known_count(&known, &count);
		if (!call->json)
			printf("known sources %llu, being learnt %llu, capacity %u\n",
			       (unsigned long long)known_count_all(&count),
			       (unsigned long long)count.learning,
			       WEIR_KNOWN_LINES * WEIR_KNOWN_SLOTS);
		outcome = print_json(call, json_pack("{s:I, s:I, s:I}", "known",
						     (json_int_t)known_count_all(&count), "learning",
						     (json_int_t)count.learning, "room",
						     (json_int_t)WEIR_KNOWN_LINES *
						     WEIR_KNOWN_SLOTS));
	}
	close_known(&maps, &known);
	return outcome;
}

/* ---- import ---- */

/* Reads a file or standard input to its end; the caller frees the result. */
static char *read_all(FILE *file, size_t *size)
{
	size_t room = 1 << 20, got;
	char *data = malloc(room), *more;

	*size = 0;
	while (data && *size <= IMPORT_MOST && (got = fread(data + *size, 1, room - *size, file))) {
		*size += got;
		if (*size < room)
			continue;
		more = realloc(data, room *= 2);
		if (!more)
			free(data);
		data = more;
	}
	return data;
}

static int read_sources(const char *name, struct prefixes *set, char *err)
{
	bool from_stdin = !strcmp(name, "-");
	FILE *file = from_stdin ? stdin : fopen(name, "re");
	struct list_report report;
	size_t size;
	char *data;
	int rc;

	if (!file)
		return fail(err, errno, "cannot open %s: %s", name, strerror(errno));
	data = read_all(file, &size);
	rc = !data ? fail(err, ENOMEM, "out of memory") :
	     size > IMPORT_MOST ? fail(err, EFBIG, "%.200s is larger than %u MiB, which is the most",
				       name, IMPORT_MOST >> 20) :
	     ferror(file) ? fail(err, EIO, "cannot read %s", name) :
	     list_read(from_stdin ? "standard input" : name, data, size, NULL, set, &report, err);
	free(data);
	if (!from_stdin)
		fclose(file);
	return rc;
}

static int shortest_known(const struct prefix *prefix)
{
	return prefix_is_v4(prefix) ? 96 + EXPAND_V4 : EXPAND_V6;
}

/* Before anything is written: a file is imported as a whole or not at all. */
static int check_prefixes(const struct prefixes *set, char *err)
{
	char text[PREFIX_STRLEN];

	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		if (prefix.length >= shortest_known(&prefix))
			continue;
		prefix_format(&prefix, text);
		return fail(err, EINVAL, "%s is too wide: each of its addresses would become a known "
			    "source, which is possible from /%d on; nothing was imported", text,
			    prefix_is_v4(&prefix) ? EXPAND_V4 : EXPAND_V6);
	}
	return 0;
}

struct imported {
	size_t added, full;	/* full: sources for which the table has no room */
	size_t shared;		/* sources without a key of their own, see has_known_key() */
};

/* Makes every source in the prefix known. Cannot fail but for room: the table is mapped. */
static void add_prefix(struct known *known, const struct prefix *prefix, struct imported *imported)
{
	bool v4 = prefix_is_v4(prefix);
	int most = v4 ? 128 : 64;
	struct prefix each = *prefix;
	uint64_t count = prefix->length >= most ? 1 : 1ULL << (most - prefix->length);

	for (uint64_t i = 0; i < count; i++) {
		if (v4)
			each.lo = prefix->lo + i;
		else
			each.hi = prefix->hi + i;
		if (!has_known_key(each.hi, each.lo))
			imported->shared++;
		else if (known_add(known, &each, WEIR_PROVEN))
			imported->added++;
		else
			imported->full++;
	}
}

static int import(const struct prefixes *set, struct imported *imported, char *err)
{
	struct known known;
	struct maps maps;
	int rc = open_maps(&maps, MAPS_CREATE, err);

	if (rc)
		return rc;
	rc = known_open(&maps, &known, err);
	if (!rc) {
		for (size_t i = 0; i < prefixes_count(set); i++) {
			struct prefix prefix = prefixes_at(set, i);

			add_prefix(&known, &prefix, imported);
		}
		known_close(&known);
	}
	close_maps(&maps, !rc);
	return rc;
}

enum outcome cmd_known_import(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN], *name = take_value(&words);
	struct imported imported = { 0 };
	struct prefixes set = { 0 };
	int rc;

	if (!name)
		return usage(call, "known import needs a file, or - for standard input");
	if (no_more_words(&words, err))
		return usage(call, "%s", err);
	rc = read_sources(name, &set, err);
	if (!rc)
		rc = check_prefixes(&set, err);
	if (!rc)
		rc = import(&set, &imported, err);
	prefixes_free(&set);
	if (rc)
		return failed(call, "%s", err);
	remark(call, "%zu sources are known now%s", imported.added, imported.full ? "" : "; they pass "
	       "first when a budget is used up");
	if (imported.full)
		remark(call, "%zu sources found no room: their lines of the table are full of known "
		       "sources", imported.full);
	if (imported.shared)
		remark(call, "%zu link-local or unspecified sources are left out: all hosts of a link "
		       "have these in common", imported.shared);
	return DONE;
}

/* ---- export ---- */

static int print_source(const struct prefix *source, enum weir_tier tier, void *file)
{
	char text[PREFIX_STRLEN];

	if (tier < WEIR_PROVEN)
		return 0;
	prefix_format_short(source, text);
	return fprintf(file, "%s\n", text) < 0 ? -errno : 0;
}

/* Written beside the file and renamed: a reader finds the old file or the complete new one. */
static int export_to(const struct known *known, const char *name, char *err)
{
	char aside[4096];
	FILE *file;
	int rc = 0;

	if (!strcmp(name, "-"))
		rc = known_each(known, print_source, stdout);
	if (!strcmp(name, "-"))
		return rc ? fail(err, -rc, "cannot write to standard output: %s", strerror(-rc)) : 0;
	if (snprintf(aside, sizeof(aside), "%s.new", name) >= (int)sizeof(aside))
		return fail(err, ENAMETOOLONG, "the path %.60s... is too long", name);
	file = fopen(aside, "we");
	if (!file)
		return fail(err, errno, "cannot write %s: %s", aside, strerror(errno));
	rc = known_each(known, print_source, file);
	if (fflush(file) || fsync(fileno(file)))
		rc = -errno;
	if (fclose(file))
		rc = -errno;
	if (!rc && rename(aside, name))
		rc = -errno;
	if (rc) {
		unlink(aside);
		return fail(err, -rc, "cannot write %s: %s", name, strerror(-rc));
	}
	return 0;
}

enum outcome cmd_known_export(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN], *name = take_value(&words);
	struct known known;
	struct maps maps;
	int rc;

	if (!name)
		return usage(call, "known export needs a file, or - for standard output");
	if (no_more_words(&words, err))
		return usage(call, "%s", err);
	if (open_known(&maps, &known, MAPS_READ, err))
		return failed(call, "%s", err);
	rc = export_to(&known, name, err);
	close_known(&maps, &known);
	return rc ? failed(call, "%s", err) : DONE;
}

enum outcome cmd_known_flush(const struct call *call)
{
	struct known known;
	struct maps maps;
	char err[ERR_LEN];

	if (open_known(&maps, &known, MAPS_WRITE, err))
		return failed(call, "%s", err);
	known_flush(&known);
	close_known(&maps, &known);
	remark(call, "no source is known any more; weir learns again");
	return DONE;
}
