// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "user/model/guard.h"

#define TENFOLD		10
#define PART		64		/* a 64th of the Internet is too much */
#define LONG_V4		8		/* shorter prefixes are too much */
#define LONG_V6		16
/* Fewer addresses than this (a /22) and /64s (a /32) may become ten times as many. */
#define FEW_V4		1024
#define FEW_V6		(1ULL << 32)
/* IANA has given the registries about a dozen /12s of 2000::/3. In /64s. */
#define UNICAST_V6	(12ULL << 52)

/* ---- words ---- */

static const struct {
	uint8_t bit;
	const char *name;
	bool of_lists;
} guards[] = {
	{ WEIR_GUARD_OWN, "own", true }, { WEIR_GUARD_ALLOW, "allow", true },
	{ WEIR_GUARD_BLOCK, "block", false }, { WEIR_GUARD_SIZE, "size", true },
	{ WEIR_GUARD_COVERAGE, "coverage", true }, { WEIR_GUARD_SSH, "ssh", false },
};

#define GUARDS	(sizeof(guards) / sizeof(*guards))

int guard_words(uint8_t *force, char *err)
{
	char text[GUARD_TEXT];

	if (*force && !(*force & WEIR_GUARD_ALL))
		return fail(err, EINVAL, "a guard stands behind `force`, as in `%s`",
			    guard_format(*force, text) + 1);
	if (*force != WEIR_GUARD_ALL)
		*force &= ~WEIR_GUARD_ALL;
	return 0;
}

const char *guard_format(uint8_t force, char text[GUARD_TEXT])
{
	size_t length = snprintf(text, GUARD_TEXT, "%s", force ? " force" : "");

	for (size_t i = 0; i < GUARDS && !(force & WEIR_GUARD_ALL); i++)
		if (force & guards[i].bit)
			length += snprintf(text + length, GUARD_TEXT - length, " %s",
					   guards[i].name);
	return text;
}

uint8_t guard_find(const char *name)
{
	for (size_t i = 0; i < GUARDS; i++)
		if (guards[i].of_lists && !strcmp(name, guards[i].name))
			return guards[i].bit;
	return 0;
}

/* ---- objections ---- */

static __attribute__((format(printf, 3, 4))) void object(struct guard *guard, uint8_t bit,
							 const char *format, ...)
{
	va_list args;

	guard->found |= bit;
	if (guard->passed & (WEIR_GUARD_ALL | bit) || guard->why[0])
		return;
	va_start(args, format);
	vsnprintf(guard->why, sizeof(guard->why), format, args);
	va_end(args);
}

int guard_verdict(const struct guard *guard, char *err)
{
	char words[GUARD_TEXT];

	if (!guard->why[0])
		return 0;
	guard_format((guard->found | guard->passed) & ~WEIR_GUARD_ALL, words);
	return fail(err, EPERM, "%.170s; say `%s` if you mean it", guard->why, words + 1);
}

uint8_t guard_kept(const struct guard *guard)
{
	return (guard->passed == WEIR_GUARD_ALL ? guard->found : guard->passed) & ~WEIR_GUARD_SSH;
}

/* ---- ranges that are no part of the Internet ---- */

#define V4(a, b, length)	{ 0, 0xffffULL << 32 | (a) << 24 | (b) << 16, 96 + (length) }

/* RFC 6890, and 224.0.0.0/3: no packet from the Internet has a right to such a source. */
static const struct special {
	struct prefix prefix;
	bool is_private;	/* its hosts are behind routers, and a list may be meant for some */
} special[] = {
	{ V4(0U, 0U, 8), false }, { V4(10U, 0U, 8), true }, { V4(100U, 64U, 10), true },
	{ V4(127U, 0U, 8), false }, { V4(169U, 254U, 16), false }, { V4(172U, 16U, 12), true },
	{ V4(192U, 168U, 16), true }, { V4(224U, 0U, 3), false },
	{ { 0, 0, 128 }, false }, { { 0, 1, 128 }, false }, { { 0xfc00ULL << 48, 0, 7 }, true },
	{ { 0xfe80ULL << 48, 0, 10 }, false }, { { 0xfec0ULL << 48, 0, 10 }, true },
	{ { 0xff00ULL << 48, 0, 8 }, false },
};

#define SPECIALS	(sizeof(special) / sizeof(*special))

static const struct special *special_of(const struct prefix *prefix)
{
	for (size_t i = 0; i < SPECIALS; i++)
		if (prefix_covers(&special[i].prefix, prefix))
			return &special[i];
	return NULL;
}

static uint64_t addresses_of(const struct prefix *prefix)
{
	return 1ULL << (128 - prefix->length);
}

static uint64_t v4_in(const struct prefix *prefix)
{
	uint64_t addresses = addresses_of(prefix);

	for (size_t i = 0; i < SPECIALS; i++)
		if (prefix_is_v4(&special[i].prefix) && prefix_covers(prefix, &special[i].prefix))
			addresses -= addresses_of(&special[i].prefix);
	return addresses;
}

/* Only 2000::/3 is in use. Networks smaller than a /64 count for nothing. */
static uint64_t v6_in(const struct prefix *prefix)
{
	static const struct prefix unicast = { 0x2000ULL << 48, 0, 3 };

	if (prefix_covers(prefix, &unicast))
		return 1ULL << 61;
	return prefix_covers(&unicast, prefix) && prefix->length <= 64 ? 1ULL << (64 - prefix->length) :
									 0;
}

static uint64_t unicast_v4(void)
{
	struct prefix all = prefix_v4(0, 0);

	return v4_in(&all);
}

/* ---- how much ---- */

void span_add(struct span *span, const struct prefix *prefix)
{
	bool v4 = prefix_is_v4(prefix);
	struct prefix *last = v4 ? &span->last4 : &span->last6;

	/* Before the first one, @last is ::/0, which the length tells from a prefix that was counted. */
	if ((last->length || last->hi) && prefix_covers(last, prefix))
		return;
	*last = *prefix;
	if (special_of(prefix))
		return;
	if (v4)
		span->v4 += v4_in(prefix);
	else
		span->v6 += v6_in(prefix);
}

void span_of_entries(const struct entries *entries, struct span *span)
{
	*span = (struct span){ 0 };
	for (size_t i = 0; i < entries->count; i++)
		if (entries->at[i].value.origin == WEIR_BY_OPERATOR)
			span_add(span, &entries->at[i].prefix);
}

static void span_of_set(const struct prefixes *set, struct span *span)
{
	*span = (struct span){ 0 };
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		span_add(span, &prefix);
	}
}

static void object_to_span(struct guard *guard, const char *what, const struct span *span, bool v4)
{
	uint64_t permille = v4 ? span->v4 * 1000 / unicast_v4() : span->v6 / (UNICAST_V6 / 1000);

	object(guard, WEIR_GUARD_COVERAGE, "%s %llu.%llu %% of %s, which is more than 1/%d", what,
	       (unsigned long long)permille / 10, (unsigned long long)permille % 10,
	       v4 ? "the IPv4 Internet" : "the IPv6 space in use", PART);
}

static bool widens(uint64_t before, uint64_t added, uint64_t after, uint64_t most)
{
	return after > most && (before <= most || added > most);
}

void guard_span(struct guard *guard, const char *object, const struct span *before,
		const struct span *added, const struct span *after)
{
	char what[64];

	snprintf(what, sizeof(what), "the %s entries would cover", object);
	if (widens(before->v4, added->v4, after->v4, unicast_v4() / PART))
		object_to_span(guard, what, after, true);
	if (widens(before->v6, added->v6, after->v6, UNICAST_V6 / PART))
		object_to_span(guard, what, after, false);
}

static void guard_length(struct guard *guard, const struct prefix *prefix)
{
	bool v4 = prefix_is_v4(prefix);
	int length = prefix->length - (v4 ? 96 : 0), least = v4 ? LONG_V4 : LONG_V6;
	char text[PREFIX_STRLEN];

	if (length >= least || special_of(prefix))
		return;
	prefix_format(prefix, text);
	if (!length)
		object(guard, WEIR_GUARD_COVERAGE, "%s is every address", text);
	else
		object(guard, WEIR_GUARD_COVERAGE, "%s is shorter than /%d", text, least);
}

/* ---- entries ---- */

static void guard_own(struct guard *guard, const struct prefix *prefix,
		      const struct prefixes *own)
{
	char text[PREFIX_STRLEN], address[PREFIX_STRLEN];

	for (size_t i = 0; i < prefixes_count(own); i++) {
		struct prefix each = prefixes_at(own, i);

		if (!prefix_covers(prefix, &each))
			continue;
		prefix_format(prefix, text);
		prefix_format_short(&each, address);
		object(guard, WEIR_GUARD_OWN, "%s covers %s, an address of this host", text, address);
		return;
	}
}

void guard_block(struct guard *guard, const struct prefix *prefix, const struct settings *settings,
		 const struct prefixes *own)
{
	char text[PREFIX_STRLEN], other[PREFIX_STRLEN];

	guard_length(guard, prefix);
	guard_own(guard, prefix, own);
	prefix_format(prefix, text);
	for (size_t i = 0; i < settings->allow.count; i++) {
		const struct prefix *allow = &settings->allow.at[i].prefix;
		bool inside = prefix_covers(prefix, allow);

		if (!inside && !prefix_covers(allow, prefix))
			continue;
		prefix_format(allow, other);
		if (inside)
			object(guard, WEIR_GUARD_ALLOW, "%s covers %s, which is on the allow list and "
			       "would stay allowed", text, other);
		else
			object(guard, WEIR_GUARD_ALLOW, "%s lies in %s of the allow list, so blocking "
			       "it has no effect", text, other);
		return;
	}
}

void guard_allow(struct guard *guard, const struct prefix *prefix, const struct settings *settings)
{
	char text[PREFIX_STRLEN], other[PREFIX_STRLEN];

	guard_length(guard, prefix);
	for (size_t i = 0; i < settings->block.count; i++) {
		const struct entry *block = &settings->block.at[i];

		if (block->value.origin != WEIR_BY_OPERATOR ||
		    !prefix_covers(prefix, &block->prefix))
			continue;
		prefix_format(prefix, text);
		if (!prefix_cmp(prefix, &block->prefix)) {
			snprintf(guard->remark, sizeof(guard->remark), "%s is a block entry as well, "
				 "which has no effect any more", text);
			continue;
		}
		prefix_format(&block->prefix, other);
		object(guard, WEIR_GUARD_BLOCK, "%s covers the block entry %s, which would have no "
		       "effect any more", text, other);
		return;
	}
}

/* ---- lists ---- */

static bool is_left_out(const struct prefix *prefix, const struct prefixes *own)
{
	const struct special *range = special_of(prefix);

	if (!range)
		return false;
	if (!range->is_private)
		return true;
	for (size_t i = 0; i < prefixes_count(own); i++) {
		struct prefix address = prefixes_at(own, i);

		if (prefix_covers(prefix, &address))
			return true;
	}
	return false;
}

void guard_leave_out(struct prefixes *set, const struct prefixes *own, struct guard_notes *notes)
{
	size_t kept4 = 0, kept6 = 0, shown = sizeof(notes->left_out_first) / sizeof(struct prefix);

	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		if (!is_left_out(&prefix, own)) {
			if (i < set->v4_count)
				set->v4[kept4++] = set->v4[i];
			else
				set->v6[kept6++] = prefix;
			continue;
		}
		if (notes->left_out < shown)
			notes->left_out_first[notes->left_out] = prefix;
		notes->left_out++;
	}
	set->v4_count = kept4;
	set->v6_count = kept6;
}

/* The prefix of the sorted @set that covers @inner, the shortest if there are several. */
static bool find_cover(const struct prefixes *set, const struct prefix *inner,
		       struct prefix *cover)
{
	int shortest = prefix_is_v4(inner) ? 96 : 0;

	for (int length = shortest; length <= inner->length; length++) {
		*cover = (struct prefix){ .hi = inner->hi, .lo = inner->lo, .length = length };
		prefix_mask(cover);
		if (prefixes_has(set, cover))
			return true;
	}
	return false;
}

static void guard_list_entries(struct guard *guard, const struct prefixes *set,
			       const struct settings *settings, const struct prefixes *own,
			       struct guard_notes *notes)
{
	char text[PREFIX_STRLEN], other[PREFIX_STRLEN];
	struct prefix cover;

	for (size_t i = 0; i < prefixes_count(own); i++) {
		struct prefix address = prefixes_at(own, i);

		if (!find_cover(set, &address, &cover))
			continue;
		prefix_format(&cover, text);
		prefix_format_short(&address, other);
		object(guard, WEIR_GUARD_OWN, "%s covers %s, an address of this host", text, other);
	}
	for (size_t i = 0; i < settings->allow.count; i++)
		if (find_cover(set, &settings->allow.at[i].prefix, &cover) && !notes->allowed++)
			notes->first_allowed = settings->allow.at[i].prefix;
}

static bool is_tenfold(uint64_t was, uint64_t is, uint64_t few)
{
	return was && is && ((is >= few && is / TENFOLD >= was) ||
			     (was >= few && was / TENFOLD >= is));
}

/* A list that becomes ten times as large at once is most often a broken or a hostile download. */
static void guard_size(struct guard *guard, const struct prefixes *set, const struct span *span,
		       const struct prefixes *was)
{
	size_t before = prefixes_count(was), now = prefixes_count(set);
	uint8_t bits = WEIR_GUARD_SIZE;
	struct span old;

	if (is_tenfold(before, now, 0) || (before && !now))
		object(guard, bits, "it had %zu prefixes, its file has %zu: a tenfold change at once "
		       "is most often a broken download", before, now);
	if (guard->passed & WEIR_GUARD_COVERAGE)
		return;
	span_of_set(was, &old);
	if (is_tenfold(old.v4, span->v4, FEW_V4))
		object(guard, bits, "it covered %llu IPv4 addresses, its file covers %llu: a tenfold "
		       "change", (unsigned long long)old.v4, (unsigned long long)span->v4);
	if (is_tenfold(old.v6, span->v6, FEW_V6))
		object(guard, bits, "it covered %llu /64s of IPv6, its file covers %llu: a tenfold "
		       "change", (unsigned long long)old.v6, (unsigned long long)span->v6);
}

void guard_list(struct guard *guard, const struct prefixes *set, const struct prefixes *was,
		const struct settings *settings, const struct prefixes *own,
		struct guard_notes *notes)
{
	struct span span;

	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		guard_length(guard, &prefix);
	}
	guard_list_entries(guard, set, settings, own, notes);
	span_of_set(set, &span);
	if (span.v4 > unicast_v4() / PART)
		object_to_span(guard, "it covers", &span, true);
	if (span.v6 > UNICAST_V6 / PART)
		object_to_span(guard, "it covers", &span, false);
	if (was)
		guard_size(guard, set, &span, was);
}

static void format_left_out(const struct guard_notes *notes, char *text, size_t size)
{
	size_t shown = sizeof(notes->left_out_first) / sizeof(struct prefix), length = 0;
	char prefix[PREFIX_STRLEN];

	*text = '\0';
	for (size_t i = 0; i < notes->left_out && i < shown && length < size; i++) {
		prefix_format(&notes->left_out_first[i], prefix);
		length += snprintf(text + length, size - length, "%s%s", i ? ", " : "", prefix);
	}
	if (notes->left_out > shown && length < size)
		snprintf(text + length, size - length, ", ...");
}

bool guard_note(const struct guard_notes *notes, size_t number, char text[ERR_LEN])
{
	char prefix[PREFIX_STRLEN], some[3 * PREFIX_STRLEN];

	if (notes->left_out && !number--) {
		format_left_out(notes, some, sizeof(some));
		snprintf(text, ERR_LEN, "%zu prefixes of private, loopback, link-local or multicast "
			 "networks are left out (%.120s); `force own` keeps them", notes->left_out,
			 some);
		return true;
	}
	if (notes->allowed && !number) {
		prefix_format(&notes->first_allowed, prefix);
		snprintf(text, ERR_LEN, "%zu allow entries lie in it and stay allowed, such as %s",
			 notes->allowed, prefix);
		return true;
	}
	return false;
}
