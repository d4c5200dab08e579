// SPDX-License-Identifier: GPL-2.0-only
/* weir known: the sources that pass first when a budget is used up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/pure/known_line.h"
#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/known_file.h"
#include "user/model/parse.h"
#include "user/model/table.h"
#include "user/model/tiers.h"
#include "user/model/words.h"
#include "user/state/known.h"
#include "user/state/session.h"
#include "user/state/tables.h"

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

/* Until when the source keeps its tier if no more is heard of it. */
static uint64_t lasts_s(const struct known *known, const struct known_source *source)
{
	bool now = source->tier >= WEIR_PROVEN ? source->proven_now : source->seen_now;

	return known_generation_left_s(known) + (now ? known_generation_s(known) : 0);
}

static json_t *source_json(const struct known *known, const char *text,
			   const struct known_source *source)
{
	bool is_known = source->tier >= WEIR_SEEN;
	json_t *json = json_pack("{s:s, s:b, s:s}", "source", text, "known", is_known, "tier",
				 is_known ? tier_name(source->tier) : "none");

	if (!is_known)
		return json;
	json_object_set_new(json, "seen", json_string(source->seen_now ? "present" : "previous"));
	if (source->tier >= WEIR_PROVEN)
		json_object_set_new(json, "proof", json_string(source->proven_now ? "present" :
									"previous"));
	json_object_set_new(json, "lasts_seconds", json_integer(lasts_s(known, source)));
	return json;
}

/* In whole hours, or minutes of a short time. @up: 1 to round up. */
static void format_roughly(uint64_t seconds, int up, char text[FORMAT_LEN])
{
	unsigned int unit = seconds >= 7200 ? 3600 : 60;

	format_duration((seconds / unit + up) * unit, text);
}

static void print_source_tier(const struct known *known, const char *text,
			      const struct known_source *source)
{
	char less[FORMAT_LEN], more[FORMAT_LEN], lasts[FORMAT_LEN], proof[FORMAT_LEN + 64] = "";
	char line[512];

	if (source->tier < WEIR_SEEN) {
		printf("%s: not known\n", text);
		return;
	}
	format_roughly(known_generation_age_s(known), 1, less);
	format_roughly(known_generation_age_s(known), 0, more);
	format_roughly(lasts_s(known, source), 0, lasts);
	if (source->tier >= WEIR_PROVEN)
		snprintf(proof, sizeof(proof), ", proof given %s than %s ago",
			 source->proven_now ? "less" : "more", source->proven_now ? less : more);
	snprintf(line, sizeof(line), "%s: known, %s: it %s; last seen %s than %s ago%s; this counts "
		 "for %s more", text, tier_name(source->tier), tier_meaning(source->tier),
		 source->seen_now ? "less" : "more", source->seen_now ? less : more, proof, lasts);
	print_wrapped(stdout, line, 0, 4);
}

static enum outcome show_addresses(const struct call *call, const struct known *known)
{
	enum outcome outcome = DONE;
	json_t *list = json_array();
	struct known_source source;
	struct prefix address;
	char err[ERR_LEN];

	for (char **words = call->words.next; *words; words++) {
		if (parse_prefix(*words, &address, err)) {
			json_decref(list);
			return usage(call, "%s", err);
		}
		if (address.length != 128 && (prefix_is_v4(&address) || address.length < 64)) {
			json_decref(list);
			return usage(call, "%s: not an address and not an IPv6 /64", *words);
		}
		source = known_look_up(known, &address);
		outcome = source.tier >= WEIR_SEEN ? outcome : FAILED;
		json_array_append_new(list, source_json(known, *words, &source));
		if (!call->json)
			print_source_tier(known, *words, &source);
	}
	print_json(call, json_pack("{s:o}", "sources", list));
	return outcome;
}

static json_t *count_json(const struct known_count *count, const struct weir_common *common)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "known", (json_int_t)known_count_all(count),
			 "long", (json_int_t)count->of_tier[WEIR_LONG],
			 "proven", (json_int_t)count->of_tier[WEIR_PROVEN],
			 "seen", (json_int_t)count->of_tier[WEIR_SEEN],
			 "learning", (json_int_t)count->learning,
			 "room", (json_int_t)WEIR_KNOWN_LINES * WEIR_KNOWN_SLOTS,
			 "put_off", (json_int_t)common->seen_put_off,
			 "no_room", (json_int_t)common->known_full);
}

static void print_counts(const struct known_count *count, const struct weir_common *common)
{
	static const struct column columns[] = {
		{ "KNOWN", 16 }, { "SOURCES", 12, true }, { "", 0 }, { 0 },
	};
	char number[FORMAT_LEN];

	table_head(columns);
	for (int tier = WEIR_LONG; tier >= WEIR_SEEN; tier--)
		table_row(columns, tier_name(tier), table_count(count->of_tier[tier], number),
			  tier == WEIR_LONG ? "proved themselves in two generations" :
			  tier == WEIR_PROVEN ? "proved that they receive what is sent to them" :
			  "behaved; packets in their name can be forged");
	table_row(columns, "all", table_count(known_count_all(count), number), "");
	printf("being learnt: %llu, room for %u\n", (unsigned long long)count->learning,
	       WEIR_KNOWN_LINES * WEIR_KNOWN_SLOTS);
	if (common->seen_put_off)
		printf("put off: %llu times, since more than eight sources a second would have "
		       "become known\nwithout proof\n", (unsigned long long)common->seen_put_off);
	if (common->known_full)
		printf("no room: %llu times for a proof, the source's line being full of proven "
		       "ones\n", (unsigned long long)common->known_full);
}

static enum outcome show_counts(const struct call *call, const struct maps *maps,
				const struct known *known)
{
	struct weir_common common;
	struct known_count count;
	int rc = maps_read_common(maps, &common);

	if (rc)
		return failed(call, "cannot read what was put off: %s", strerror(-rc));
	known_count(known, &count);
	if (!call->json)
		print_counts(&count, &common);
	return print_json(call, count_json(&count, &common));
}

enum outcome cmd_known_show(const struct call *call)
{
	enum outcome outcome;
	struct known known;
	struct maps maps;
	char err[ERR_LEN];

	if (open_known(&maps, &known, MAPS_READ, err))
		return failed(call, "%s", err);
	outcome = *call->words.next ? show_addresses(call, &known) :
				      show_counts(call, &maps, &known);
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

/* What an import makes known. */
struct import {
	struct prefixes sources;
	struct prefixes lasting;	/* of these, proven for long */
	enum weir_tier tier;		/* that the others get */
	size_t added, full;		/* full: sources for which the table has no room */
	size_t shared;			/* sources without a key of their own, see has_known_key() */
};

static int read_sources(const char *name, struct import *import, char *err)
{
	bool from_stdin = !strcmp(name, "-");
	FILE *file = from_stdin ? stdin : fopen(name, "re");
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
	     known_file_read(from_stdin ? "standard input" : name, data, size, &import->sources,
			     &import->lasting, err);
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

/* Makes every source in the prefix known. Cannot fail but for room: the table is mapped. */
static void add_prefix(struct known *known, const struct prefix *prefix, enum weir_tier tier,
		       struct import *import)
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
			import->shared++;
		else if (known_add(known, &each, tier))
			import->added++;
		else
			import->full++;
	}
}

/* Those that are proven for long come first: they displace others, and keep their tier. */
static void add_all(struct known *known, struct import *import)
{
	struct import again = { 0 };	/* they are among all sources, and counted there */

	for (size_t i = 0; i < prefixes_count(&import->lasting); i++) {
		struct prefix prefix = prefixes_at(&import->lasting, i);

		add_prefix(known, &prefix, import->tier >= WEIR_PROVEN ? WEIR_LONG : import->tier,
			   &again);
	}
	for (size_t i = 0; i < prefixes_count(&import->sources); i++) {
		struct prefix prefix = prefixes_at(&import->sources, i);

		add_prefix(known, &prefix, import->tier, import);
	}
}

static int add_to_table(struct import *import, char *err)
{
	struct known known;
	struct maps maps;
	int rc = open_maps(&maps, MAPS_CREATE, err);

	if (rc)
		return rc;
	rc = known_open(&maps, &known, err);
	if (!rc) {
		add_all(&known, import);
		known_close(&known);
	}
	close_maps(&maps, !rc);
	return rc;
}

static void report_import(const struct call *call, const struct import *import)
{
	if (import->tier == WEIR_SEEN)
		tell(call, "%zu sources are known now, as seen: without proof", import->added);
	else
		tell(call, "%zu sources are known now, as proven%s", import->added,
		       import->full ? "" : "; they pass first when a budget is used up");
	if (import->full)
		remark(call, "%zu sources found no room: their lines of the table are full of "
		       "sources whose evidence is as good", import->full);
	if (import->shared)
		remark(call, "%zu link-local or unspecified sources are left out: all hosts of a link "
		       "have these in common", import->shared);
}

static int parse_import(struct words *words, char **name, struct import *import, char *err)
{
	*import = (struct import){ .tier = WEIR_PROVEN };
	*name = take_value(words);
	if (!*name)
		return fail(err, EINVAL, "known import needs a file, or - for standard input");
	if (take_word(words, "as")) {
		if (!take_word(words, "seen"))
			return fail(err, EINVAL, "as: \"seen\" must follow; without it, sources are "
				    "imported as proven");
		import->tier = WEIR_SEEN;
	}
	return no_more_words(words, err);
}

enum outcome cmd_known_import(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN], *name;
	struct import import;
	int rc;

	if (parse_import(&words, &name, &import, err))
		return usage(call, "%s", err);
	rc = read_sources(name, &import, err);
	if (!rc)
		rc = check_prefixes(&import.sources, err);
	if (!rc)
		rc = add_to_table(&import, err);
	prefixes_free(&import.sources);
	prefixes_free(&import.lasting);
	if (rc)
		return failed(call, "%s", err);
	report_import(call, &import);
	return DONE;
}

/* ---- export ---- */

static int print_source(const struct prefix *source, enum weir_tier tier, void *file)
{
	char text[PREFIX_STRLEN];

	if (tier < WEIR_PROVEN)
		return 0;
	prefix_format_short(source, text);
	return fprintf(file, "%s%s\n", text, tier == WEIR_LONG ? " " KNOWN_FILE_LONG : "") < 0 ?
	       -errno : 0;
}

static int print_sources(const struct known *known, FILE *file)
{
	if (fprintf(file, KNOWN_FILE_HEAD "%u\n", KNOWN_FILE_VERSION) < 0)
		return -errno;
	return known_each(known, print_source, file);
}

/* Written beside the file and renamed: a reader finds the old file or the complete new one. */
static int export_to(const struct known *known, const char *name, char *err)
{
	char aside[4096];
	FILE *file;
	int rc = 0;

	if (!strcmp(name, "-"))
		rc = print_sources(known, stdout);
	if (!strcmp(name, "-"))
		return rc ? fail(err, -rc, "cannot write to standard output: %s", strerror(-rc)) : 0;
	if (snprintf(aside, sizeof(aside), "%s.new", name) >= (int)sizeof(aside))
		return fail(err, ENAMETOOLONG, "the path %.60s... is too long", name);
	file = fopen(aside, "we");
	if (!file)
		return fail(err, errno, "cannot write %s: %s", aside, strerror(errno));
	rc = print_sources(known, file);
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
	tell(call, "no source is known any more; weir learns again");
	return DONE;
}
