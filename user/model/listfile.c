// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "user/model/error.h"
#include "user/model/listfile.h"
#include "user/model/prefixes.h"

#define NAME_SHOWN	80	/* bytes of a file's name in a message, NUL included */
#define PROGRESS_BYTES	(1 << 20)

/* A part of the text, which is not NUL-terminated. */
struct span {
	const char *at, *end;
};

struct reader {
	const char *name;
	const char *data;
	size_t len;
	struct span rest;	/* what is still to be read */
	size_t line;		/* the number of the line that is being read, from 1 */
	const struct list_options *options;
	size_t progress;	/* bytes after which the next call of options->progress is due */
	struct prefixes set;
	struct list_report *report;
	char *err;
};

static const char *const format_names[] = {
	[LIST_AUTO] = "auto",	  [LIST_PLAIN] = "plain", [LIST_IPSUM] = "ipsum",
	[LIST_NDJSON] = "ndjson", [LIST_IPSET] = "ipset", [LIST_NFT] = "nft",
};
_Static_assert(sizeof(format_names) / sizeof(*format_names) == LIST_FORMATS, "a name for each");

const char *list_format_name(enum list_format format)
{
	return format_names[format];
}

bool list_format_find(const char *name, enum list_format *format)
{
	for (int i = 0; i < LIST_FORMATS; i++) {
		if (!strcmp(name, format_names[i])) {
			*format = i;
			return true;
		}
	}
	return false;
}

static size_t span_len(struct span span)
{
	return span.end - span.at;
}

static bool span_is(struct span span, const char *word)
{
	return span_len(span) == strlen(word) && !memcmp(span.at, word, span_len(span));
}

static bool span_starts(struct span span, const char *bytes)
{
	size_t len = strlen(bytes);

	return span_len(span) >= len && !memcmp(span.at, bytes, len);
}

/* Whether the character is a blank within a line. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(struct span *span)
{
	while (span->at < span->end && is_blank(*span->at))
		span->at++;
}

/* Sets @line to the next line, without its newline and the blanks around it. False at the end. */
static bool next_line(struct reader *reader, struct span *line)
{
	struct span *rest = &reader->rest;
	size_t done = rest->at - reader->data;

	if (done >= reader->progress && reader->options->progress) {
		reader->options->progress(reader->options->ctx, done, reader->len);
		reader->progress = done + PROGRESS_BYTES;
	}
	if (rest->at == rest->end)
		return false;
	reader->line++;
	line->at = rest->at;
	line->end = memchr(rest->at, '\n', span_len(*rest));
	if (!line->end)
		line->end = rest->end;
	rest->at = line->end + (line->end < rest->end);
	while (line->end > line->at && is_blank(line->end[-1]))
		line->end--;
	skip_blanks(line);
	return true;
}

/*
 * Takes the next word off a line. A word that starts with a quote also ends with one, as comments
 * of ipset do, or at the end of the line. Returns false when the line has no more words.
 */
static bool next_word(struct span *line, struct span *word)
{
	skip_blanks(line);
	if (line->at == line->end)
		return false;
	word->at = line->at;
	if (*line->at == '"') {
		const char *quote = memchr(line->at + 1, '"', span_len(*line) - 1);

		line->at = quote ? quote + 1 : line->end;
	} else {
		while (line->at < line->end && !is_blank(*line->at))
			line->at++;
	}
	word->end = line->at;
	return true;
}

/*
 * Copies a file's name into @shown, and of a long one only the end, by which files differ more
 * than by their folders. Returns @shown.
 */
static const char *shorten(const char *name, char shown[NAME_SHOWN])
{
	size_t len = strlen(name);

	if (len < NAME_SHOWN)
		strcpy(shown, name);
	else
		snprintf(shown, NAME_SHOWN, "...%s", name + len - (NAME_SHOWN - 4));
	return shown;
}

/* The name of a kind of file that is often given by mistake, known by its first bytes; or NULL. */
static const char *known_mistake(struct span text)
{
	if (span_starts(text, "<"))
		return "this is a web page or XML, not a list";
	if (span_starts(text, "\x1f\x8b") || span_starts(text, "\xfd\x37zXZ") ||
	    span_starts(text, "\x28\xb5\x2f\xfd") || span_starts(text, "BZh") ||
	    span_starts(text, "PK\x03\x04"))
		return "the file is compressed; unpack it first";
	if (span_starts(text, "\xff\xfe") || span_starts(text, "\xfe\xff"))
		return "the file is UTF-16; convert it to UTF-8";
	if (span_starts(text, "Name:"))
		return "this is from ipset list; use ipset save";
	return NULL;
}

/*
 * Returns -EINVAL with a message of the place, the text and the reason. Where lines are skipped,
 * the message about the first stays.
 */
static int refuse(struct reader *reader, struct span text, const char *why)
{
	char shown[NAME_SHOWN], quoted[PREFIX_QUOTE];
	const char *mistake = known_mistake(text);

	if (reader->report->bad)
		return -EINVAL;
	if (reader->options->unquoted)
		return fail(reader->err, EINVAL, "%s:%zu: not an address or a prefix (%s); the text "
			    "is not shown, since not every user can read the file",
			    shorten(reader->name, shown), reader->line, mistake ? mistake : why);
	prefix_quote(text.at, span_len(text), quoted);
	return fail(reader->err, EINVAL, "%s:%zu: %s is not an address or a prefix (%s)",
		    shorten(reader->name, shown), reader->line, quoted, mistake ? mistake : why);
}

/* The same for a reason that concerns more than one word. */
static int refuse_line(struct reader *reader, const char *why)
{
	char shown[NAME_SHOWN];

	if (reader->report->bad)
		return -EINVAL;
	return fail(reader->err, EINVAL, "%s:%zu: %s", shorten(reader->name, shown), reader->line,
		    why);
}

static int no_memory(struct reader *reader)
{
	char shown[NAME_SHOWN];

	return fail(reader->err, ENOMEM, "%s: no memory for its entries",
		    shorten(reader->name, shown));
}

static int put_prefix(struct reader *reader, const struct prefix *prefix)
{
	char shown[NAME_SHOWN];

	if (prefixes_count(&reader->set) >= LIST_PREFIXES_MOST)
		return fail(reader->err, E2BIG, "%s:%zu: more than %u prefixes, which is the most",
			    shorten(reader->name, shown), reader->line, LIST_PREFIXES_MOST);
	return prefixes_add(&reader->set, prefix) ? no_memory(reader) : 0;
}

static int add_prefix(struct reader *reader, struct span text)
{
	struct prefix prefix;
	bool host_bits;
	const char *why;
	int rc;

	if (prefix_scan(text.at, span_len(text), &prefix, &host_bits, &why))
		return refuse(reader, text, why);
	rc = put_prefix(reader, &prefix);
	if (rc)
		return rc;
	reader->report->entries++;
	if (host_bits && !reader->report->host_bits++)
		reader->report->host_bits_line = reader->line;
	return 0;
}

typedef unsigned __int128 address;

static address to_address(const struct prefix *prefix)
{
	return (address)prefix->hi << 64 | prefix->lo;
}

/*
 * Adds the smallest set of prefixes that make up the range from @first to @last: again and again
 * the largest prefix that starts at @first and does not reach beyond @last. For IPv6 that is at
 * most 254 of them.
 */
static int add_pieces(struct reader *reader, struct span text, address first, address last)
{
	bool v4 = first >> 32 == 0xffff;

	for (;;) {
		struct prefix piece = { first >> 64, first, 128 };
		address behind = 0;	/* the bits behind the piece's length, all set */
		int rc;

		while (piece.length && !(first & (behind << 1 | 1)) &&
		       last - first >= (behind << 1 | 1)) {
			behind = behind << 1 | 1;
			piece.length--;
		}
		if (prefix_is_v4(&piece) != v4)
			return refuse(reader, text, "a range of IPv6 that contains all of IPv4");
		rc = put_prefix(reader, &piece);
		if (rc)
			return rc;
		if (last - first == behind)
			return 0;
		first += behind + 1;
	}
}

/* Adds a range, "first-last", both included. @dash points to the dash in @text. */
static int add_range(struct reader *reader, struct span text, const char *dash)
{
	struct prefix first, last;
	const char *why;

	if (prefix_scan(text.at, dash - text.at, &first, NULL, &why) ||
	    prefix_scan(dash + 1, text.end - dash - 1, &last, NULL, &why))
		return refuse(reader, text, why);
	if (first.length != 128 || last.length != 128)
		return refuse(reader, text, "a range goes from address to address");
	if (prefix_is_v4(&first) != prefix_is_v4(&last))
		return refuse(reader, text, "a range of two families");
	if (prefix_cmp(&first, &last) > 0)
		return refuse(reader, text, "the range runs backwards");
	reader->report->entries++;
	reader->report->ranges++;
	return add_pieces(reader, text, to_address(&first), to_address(&last));
}

static int add_entry(struct reader *reader, struct span text)
{
	const char *dash = memchr(text.at, '-', span_len(text));

	return dash ? add_range(reader, text, dash) : add_prefix(reader, text);
}

/* Skips the second column of IPsum, a number. Returns false when there is none. */
static bool skip_count(struct span *line)
{
	const char *first = line->at;

	while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
		line->at++;
	skip_blanks(line);
	return line->at > first;
}

static bool at_comment(struct span line)
{
	return line.at < line.end && (*line.at == '#' || *line.at == ';');
}

/* Reads a line of LIST_PLAIN or LIST_IPSUM. As all read_...() below: 0 or a negative errno. */
static int read_plain(struct reader *reader, struct span line)
{
	struct span behind = line, entry;
	int rc;

	while (behind.at < behind.end && !is_blank(*behind.at) && !at_comment(behind))
		behind.at++;
	entry = (struct span){ line.at, behind.at };
	if (span_len(entry)) {
		rc = add_prefix(reader, entry);
		if (rc)
			return rc;
	}
	skip_blanks(&behind);
	if (reader->report->format == LIST_IPSUM)
		skip_count(&behind);
	if (at_comment(behind))
		reader->report->comments++;
	else if (span_len(behind))
		return refuse(reader, line, "something follows that is not a comment");
	return 0;
}

static int read_object(struct reader *reader, struct span line, const json_t *object)
{
	const json_t *cidr = json_object_get(object, "cidr");
	const char *type = json_string_value(json_object_get(object, "type"));
	struct span text;

	if (json_is_string(cidr)) {
		text.at = json_string_value(cidr);
		text.end = text.at + json_string_length(cidr);
		return add_prefix(reader, text);
	}
	if (json_object_get(object, "nftables"))
		return refuse_line(reader, "JSON of nft is not read; leave out its -j");
	if (!type || strcmp(type, "metadata"))
		return refuse(reader, line, "an object without \"cidr\"");
	reader->report->comments++;
	if (json_integer_value(json_object_get(object, "records")) > 0)
		reader->report->declared += json_integer_value(json_object_get(object, "records"));
	return 0;
}

static int read_ndjson(struct reader *reader, struct span line)
{
	json_error_t error;
	json_t *object;
	int rc;

	if (!span_len(line))
		return 0;
	object = json_loadb(line.at, span_len(line), 0, &error);
	if (json_is_object(object))
		rc = read_object(reader, line, object);
	else
		rc = refuse(reader, line, "each line must be a JSON object");
	json_decref(object);
	return rc;
}

/* Reads the words behind the entry of an add line. */
static int read_ipset_options(struct reader *reader, struct span line)
{
	bool ignored = false;
	struct span word;

	while (next_word(&line, &word)) {
		if (span_is(word, "nomatch"))
			return refuse_line(reader, "nomatch makes an exception, which a list of "
						   "prefixes cannot have");
		if (!span_is(word, "-exist") && !span_is(word, "-!"))
			ignored = true;
	}
	reader->report->ignored += ignored;
	return 0;
}

/* Refuses sets with a netmask: there, a member that reads as an address stands for a network. */
static int read_ipset_create(struct reader *reader, struct span line)
{
	struct span word;

	while (next_word(&line, &word))
		if (span_is(word, "netmask") || span_is(word, "bitmask"))
			return refuse_line(reader, "a set with a netmask is not read: its members "
						   "are addresses, but stand for networks");
	return 0;
}

static int read_ipset(struct reader *reader, struct span line)
{
	struct span whole = line, verb, word;
	int rc;

	if (!next_word(&line, &verb) || at_comment(verb)) {
		reader->report->comments += span_len(whole) > 0;
		return 0;
	}
	if (span_is(verb, "create"))
		return read_ipset_create(reader, line);
	if (span_is(verb, "flush"))
		return 0;
	if (!span_is(verb, "add"))
		return refuse(reader, whole, "not a line of ipset save");
	do { /* the set's name */
		if (!next_word(&line, &word))
			return refuse(reader, whole, "add needs a set and an entry");
	} while (span_is(word, "-exist") || span_is(word, "-!"));
	if (!next_word(&line, &word))
		return refuse(reader, whole, "add needs a set and an entry");
	if (memchr(word.at, ',', span_len(word)))
		return refuse(reader, word,
			      "members with a port, interface or second address "
			      "are not read");
	rc = add_entry(reader, word);
	return rc ? rc : read_ipset_options(reader, line);
}

static int read_lines(struct reader *reader, int (*read)(struct reader *, struct span))
{
	struct span line;
	int rc;

	while (next_line(reader, &line)) {
		struct list_report before = *reader->report;
		size_t v4 = reader->set.v4_count, v6 = reader->set.v6_count;

		rc = span_len(line) > LIST_LINE_MOST ? refuse_line(reader, "a line of more than 64 KiB") :
						       read(reader, line);
		if (rc == -EINVAL && reader->options->skip_bad) {
			/* part of a range may have been added before it was refused */
			*reader->report = before;
			reader->report->bad++;
			reader->set.v4_count = v4;
			reader->set.v6_count = v6;
		} else if (rc) {
			return rc;
		}
	}
	return 0;
}

/* A token of the text of nft. */
struct token {
	char kind;	/* one of { } , ; = as it is; '"' a string; 'w' any other word; 0 the end */
	struct span text;
};

struct nft {
	struct reader *reader;
	struct span line;	/* what is still to be read of the line */
	struct token token;
};

static bool is_nft_mark(char c)
{
	return c == '{' || c == '}' || c == ',' || c == ';' || c == '=';
}

/* Moves to the next token, beyond comments and ends of lines. Returns its kind. */
static char next_token(struct nft *nft)
{
	struct token *token = &nft->token;
	struct span *line = &nft->line;

	token->kind = 0;
	for (;;) {
		skip_blanks(line);
		if (line->at < line->end && *line->at == '#') {
			nft->reader->report->comments++;
			line->at = line->end;
		}
		if (line->at < line->end)
			break;
		if (!next_line(nft->reader, line))
			return 0;
	}
	if (*line->at == '"') {
		token->kind = '"';
		next_word(line, &token->text);
		return token->kind;
	}
	token->kind = is_nft_mark(*line->at) ? *line->at : 'w';
	token->text.at = line->at++;
	while (token->kind == 'w' && line->at < line->end && !is_blank(*line->at) &&
	       !is_nft_mark(*line->at) && *line->at != '"')
		line->at++;
	token->text.end = line->at;
	return token->kind;
}

/* Reads an element and the words behind it (timeout, comment), up to the next comma or brace. */
static int read_element(struct nft *nft)
{
	struct reader *reader = nft->reader;
	const struct span *text = &nft->token.text;
	bool ignored = false;
	int rc;

	rc = add_entry(reader, *text);
	if (rc)
		return rc;
	while (next_token(nft) == 'w' || nft->token.kind == '"') {
		if (span_is(*text, ".") || span_is(*text, ":"))
			return refuse_line(reader, "maps, and elements of several parts, are not "
						   "read");
		if (span_is(*text, "-"))
			return refuse_line(reader, "a range must be written without blanks");
		ignored = true;
	}
	reader->report->ignored += ignored;
	return 0;
}

/* Reads elements from the opening brace to behind the closing one. */
static int read_elements(struct nft *nft)
{
	int rc;

	next_token(nft);
	for (;;) {
		switch (nft->token.kind) {
		case 0:
			return refuse_line(nft->reader, "the file ends within the elements: it is "
							"cut short");
		case '}':
			next_token(nft);
			return 0;
		case ',':
			next_token(nft);
			break;
		case 'w':
			rc = read_element(nft);
			if (rc)
				return rc;
			break;
		default:
			return refuse(nft->reader, nft->token.text, "not an element of a set");
		}
	}
}

/*
 * Returns whether elements begin at this token, and if so moves to their opening brace:
 *	elements = {		in a set
 *	define NAME = {
 *	add element FAMILY TABLE SET {
 * If not, moves on by at least one token.
 */
static bool seek_elements(struct nft *nft)
{
	struct span word = nft->token.text;
	bool is_word = nft->token.kind == 'w';
	int between = 0;

	next_token(nft);
	if (is_word && span_is(word, "elements")) {
		if (nft->token.kind != '=')
			return false;
		next_token(nft);
		return true;
	}
	if (is_word && span_is(word, "define"))
		return next_token(nft) == '=' && next_token(nft) == '{';
	if (!is_word || !span_is(word, "element"))
		return false;
	for (; nft->token.kind == 'w'; between++)
		next_token(nft);
	return between && nft->token.kind == '{';
}

/* Everything else than elements is skipped: types, flags, rules. */
static int read_nft(struct reader *reader)
{
	struct nft nft = { .reader = reader, .line = { reader->rest.at, reader->rest.at } };
	int rc;

	next_token(&nft);
	while (nft.token.kind) {
		if (!seek_elements(&nft))
			continue;
		if (nft.token.kind != '{')
			return refuse_line(reader, "elements must be in braces; was the file cut "
						   "short?");
		rc = read_elements(&nft);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * The format by the first words of a line; LIST_PLAIN when they are not those of ipset or nft. Both
 * have lines that start with add, create and flush.
 */
static enum list_format detect_command(struct span line)
{
	static const char *const nft[] = { "table", "set", "map", "elements", "define", "delete" };
	static const char *const nft_objects[] = { "element", "table", "set", "map", "ruleset" };
	struct span verb, object;

	if (!next_word(&line, &verb))
		return LIST_PLAIN;
	for (size_t i = 0; i < sizeof(nft) / sizeof(*nft); i++)
		if (span_is(verb, nft[i]))
			return LIST_NFT;
	if (!span_is(verb, "add") && !span_is(verb, "create") && !span_is(verb, "flush"))
		return LIST_PLAIN;
	if (next_word(&line, &object))
		for (size_t i = 0; i < sizeof(nft_objects) / sizeof(*nft_objects); i++)
			if (span_is(object, nft_objects[i]))
				return LIST_NFT;
	return LIST_IPSET;
}

/* Whether the line is an address, blanks and a number, and nothing else but a comment. */
static bool has_count(struct span line)
{
	struct span entry;

	if (!next_word(&line, &entry))
		return false;
	skip_blanks(&line);
	return skip_count(&line) && (!span_len(line) || at_comment(line));
}

/* The format of the list, by its first line that has an entry. */
static enum list_format detect(const struct reader *reader)
{
	struct reader probe = *reader;
	enum list_format format;
	struct span line;

	probe.progress = SIZE_MAX;
	do {
		if (!next_line(&probe, &line))
			return LIST_PLAIN;
	} while (!span_len(line) || at_comment(line));
	if (*line.at == '{')
		return LIST_NDJSON;
	format = detect_command(line);
	if (format == LIST_PLAIN && has_count(line))
		return LIST_IPSUM;
	return format;
}

/* Moves the prefixes that were read into @set, and completes the report. */
static int finish(struct reader *reader, struct prefixes *set)
{
	struct list_report *report = reader->report;
	char shown[NAME_SHOWN];

	report->lines = reader->line;
	if (reader->options->progress)
		reader->options->progress(reader->options->ctx, reader->len, reader->len);
	if (!report->entries && !reader->options->allow_empty)
		return fail(reader->err, ENODATA,
			    "%s: no address or prefix in its %zu lines; an empty list is almost "
			    "always a failed download",
			    shorten(reader->name, shown), report->lines);
	if (prefixes_sort(&reader->set, &report->duplicates))
		return no_memory(reader);
	report->v4 = reader->set.v4_count;
	report->v6 = reader->set.v6_count;
	if (prefixes_count(set))
		return prefixes_append(set, &reader->set) ? no_memory(reader) : 0;
	prefixes_free(set);
	*set = reader->set;
	reader->set = (struct prefixes){ 0 };
	return 0;
}

int list_read(const char *name, const char *data, size_t len, const struct list_options *options,
	      struct prefixes *set, struct list_report *report, char *err)
{
	static int (*const read[LIST_FORMATS])(struct reader *, struct span) = {
		[LIST_PLAIN] = read_plain,
		[LIST_IPSUM] = read_plain,
		[LIST_NDJSON] = read_ndjson,
		[LIST_IPSET] = read_ipset,
	};
	static const struct list_options defaults;
	struct reader reader = {
		.name = name,
		.data = data ? data : "",
		.len = len,
		.options = options ? options : &defaults,
		.report = report,
		.err = err,
	};
	int rc;

	*report = (struct list_report){ 0 };
	reader.rest = (struct span){ reader.data, reader.data + len };
	if (span_starts(reader.rest, "\xef\xbb\xbf")) /* UTF-8's byte order mark */
		reader.rest.at += 3;
	report->format = reader.options->format;
	if (report->format == LIST_AUTO)
		report->format = detect(&reader);
	if (report->format == LIST_NFT)
		rc = read_nft(&reader);
	else
		rc = read_lines(&reader, read[report->format]);
	if (!rc)
		rc = finish(&reader, set);
	prefixes_free(&reader.set);
	return rc;
}
