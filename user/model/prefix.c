// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/prefix.h"

void prefix_to_key(const struct prefix *prefix, struct weir_prefix *key)
{
	uint64_t hi = htobe64(prefix->hi), lo = htobe64(prefix->lo);

	key->prefixlen = prefix->length;
	memcpy(key->addr, &hi, 8);
	memcpy(key->addr + 8, &lo, 8);
}

void prefix_from_key(const struct weir_prefix *key, struct prefix *prefix)
{
	uint64_t hi, lo;

	memcpy(&hi, key->addr, 8);
	memcpy(&lo, key->addr + 8, 8);
	*prefix = (struct prefix){ be64toh(hi), be64toh(lo), key->prefixlen };
}

/* A word with the first @bits set; 0 and less is none, 64 and more is all. */
static uint64_t leading(int bits)
{
	return bits <= 0 ? 0 : bits >= 64 ? ~0ULL : ~0ULL << (64 - bits);
}

bool prefix_mask(struct prefix *prefix)
{
	uint64_t hi = prefix->hi & leading(prefix->length);
	uint64_t lo = prefix->lo & leading(prefix->length - 64);
	bool host_bits = hi != prefix->hi || lo != prefix->lo;

	prefix->hi = hi;
	prefix->lo = lo;
	return host_bits;
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->length <= inner->length &&
	       !((outer->hi ^ inner->hi) & leading(outer->length)) &&
	       !((outer->lo ^ inner->lo) & leading(outer->length - 64));
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return (int)a->length - (int)b->length;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The decimal number at @*at, of at most three digits: enough for all that has
 * a name here. Returns how many digits stand there, 4 for too many.
 */
static size_t scan_number(const char **at, const char *end, uint32_t *number)
{
	const char *first = *at;

	for (*number = 0; *at < end && is_digit(**at); ++*at) {
		if (*at - first == 3)
			return 4;
		*number = *number * 10 + (**at - '0');
	}
	return *at - first;
}

/* Four octets at @*at. Returns the reason why not, or NULL. */
static const char *scan_v4(const char **at, const char *end, uint32_t *addr)
{
	uint32_t octet;
	size_t digits;

	*addr = 0;
	for (int i = 0; i < 4; i++) {
		const char *first;

		if (i && (*at == end || *(*at)++ != '.'))
			return "an IPv4 address has four octets";
		first = *at;
		digits = scan_number(at, end, &octet);
		if (!digits)
			return i ? "an IPv4 address has four octets" : "neither IPv4 nor IPv6";
		if (digits > 3 || octet > 255)
			return "an IPv4 octet is 0..255";
		if (digits > 1 && *first == '0')
			return "an IPv4 octet has no leading zero";
		*addr = *addr << 8 | octet;
	}
	return NULL;
}

/* As scan_v4(); the address ends at the first '/' or at @end. */
static const char *scan_v6(const char **at, const char *end, struct prefix *prefix)
{
	const char *slash = memchr(*at, '/', end - *at);
	size_t len = (slash ? slash : end) - *at;
	char text[INET6_ADDRSTRLEN];
	struct weir_prefix key;

	if (memchr(*at, '%', len))
		return "a zone (%...) is no part of an address here";
	if (len >= sizeof(text))
		return "not an IPv6 address";
	memcpy(text, *at, len);
	text[len] = '\0';
	if (strlen(text) != len || inet_pton(AF_INET6, text, key.addr) != 1)
		return "not an IPv6 address";
	key.prefixlen = 128;
	prefix_from_key(&key, prefix);
	*at += len;
	return NULL;
}

/* What follows an address: nothing, or a slash and the length up to @most. */
static const char *scan_length(const char *at, const char *end, uint32_t most, uint32_t *length)
{
	const char *first;
	size_t digits;

	*length = most;
	if (at == end)
		return NULL;
	if (*at++ != '/')
		return at[-1] == '-' ? "a range, not a prefix" : "something follows the address";
	first = at;
	digits = scan_number(&at, end, length);
	if (!digits)
		return "a prefix length is a decimal number";
	if (at < end && *at == '.')
		return "a prefix length is a number, not a netmask";
	if (digits > 3 || *length > most)
		return most == 32 ? "IPv4 prefix length is 0..32" : "IPv6 prefix length is 0..128";
	if (at < end)
		return "something follows the prefix length";
	return digits > 1 && *first == '0' ? "a prefix length has no leading zero" : NULL;
}

int prefix_scan(const char *text, size_t len, struct prefix *prefix, bool *host_bits,
		const char **why)
{
	const char *at = text, *end = text + len;
	bool v6 = memchr(text, ':', len), masked;
	uint32_t addr = 0, length;

	*why = !len ? "empty" : v6 ? scan_v6(&at, end, prefix) : scan_v4(&at, end, &addr);
	if (!*why)
		*why = scan_length(at, end, v6 ? 128 : 32, &length);
	if (*why)
		return -EINVAL;
	if (v6)
		prefix->length = length;
	else
		*prefix = prefix_v4(addr, length);
	masked = prefix_mask(prefix);
	if (host_bits)
		*host_bits = masked;
	return 0;
}

int prefix_parse(const char *text, struct prefix *prefix, bool *host_bits, char *err)
{
	char quoted[PREFIX_QUOTE];
	const char *why;

	if (!prefix_scan(text, strlen(text), prefix, host_bits, &why))
		return 0;
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: %s", quoted, why);
}

/* Writes @number and returns where it ends; no NUL. */
static char *put_number(char *at, uint32_t number)
{
	if (number >= 100)
		*at++ = '0' + number / 100;
	if (number >= 10)
		*at++ = '0' + number / 10 % 10;
	*at++ = '0' + number % 10;
	return at;
}

static char *put_address(char *at, const struct prefix *prefix)
{
	struct weir_prefix key;

	if (prefix_is_v4(prefix)) {
		for (int shift = 24; shift >= 0; shift -= 8) {
			at = put_number(at, prefix->lo >> shift & 255);
			*at++ = '.';
		}
		return at - 1;
	}
	prefix_to_key(prefix, &key);
	inet_ntop(AF_INET6, key.addr, at, INET6_ADDRSTRLEN);
	return at + strlen(at);
}

void prefix_format(const struct prefix *prefix, char text[PREFIX_STRLEN])
{
	char *at = put_address(text, prefix);

	*at++ = '/';
	at = put_number(at, prefix->length - (prefix_is_v4(prefix) ? 96 : 0));
	*at = '\0';
}

void prefix_format_short(const struct prefix *prefix, char text[PREFIX_STRLEN])
{
	if (prefix->length == 128)
		*put_address(text, prefix) = '\0';
	else
		prefix_format(prefix, text);
}

void prefix_quote(const char *text, size_t len, char quoted[PREFIX_QUOTE])
{
	static const char hex[] = "0123456789abcdef";
	/* what ends it: "..." and a quote and NUL, or one byte escaped before them */
	char *at = quoted, *last = quoted + PREFIX_QUOTE - sizeof("...\"") - 4;
	size_t i;

	*at++ = '"';
	for (i = 0; i < len && at <= last; i++) {
		unsigned char c = text[i];

		if (c >= ' ' && c <= '~') {
			*at++ = c;
		} else if (c == '\t') {
			*at++ = '\\';
			*at++ = 't';
		} else {
			*at++ = '\\';
			*at++ = 'x';
			*at++ = hex[c >> 4];
			*at++ = hex[c & 15];
		}
	}
	strcpy(at, i < len ? "...\"" : "\"");
}

/* Room for @more prefixes of a family; doubling keeps the cost of an addition constant. */
static int reserve(struct prefixes *set, enum prefix_family family, size_t more)
{
	size_t *room = family == PREFIX_V4 ? &set->v4_room : &set->v6_room;
	size_t size = family == PREFIX_V4 ? sizeof(*set->v4) : sizeof(*set->v6);
	size_t count = prefixes_in(set, family), wanted;
	void *grown;

	if (more <= *room - count)
		return 0;
	wanted = *room < 32 ? 64 : *room * 2;
	if (wanted < count + more)
		wanted = count + more;
	grown = reallocarray(family == PREFIX_V4 ? (void *)set->v4 : set->v6, wanted, size);
	if (!grown)
		return -ENOMEM;
	if (family == PREFIX_V4)
		set->v4 = grown;
	else
		set->v6 = grown;
	*room = wanted;
	return 0;
}

/* Inverse of prefixes_get(). */
static void put(struct prefixes *set, enum prefix_family family, size_t index,
		const struct prefix *prefix)
{
	if (family == PREFIX_V4)
		set->v4[index] = (prefix->lo & 0xffffffff) << 8 | (prefix->length - 96);
	else
		set->v6[index] = *prefix;
}

int prefixes_add(struct prefixes *set, const struct prefix *prefix)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;

	if (reserve(set, family, 1))
		return -ENOMEM;
	put(set, family, family == PREFIX_V4 ? set->v4_count++ : set->v6_count++, prefix);
	return 0;
}

int prefixes_append(struct prefixes *set, const struct prefixes *more)
{
	if (reserve(set, PREFIX_V4, more->v4_count) || reserve(set, PREFIX_V6, more->v6_count))
		return -ENOMEM;
	if (more->v4_count)
		memcpy(set->v4 + set->v4_count, more->v4, more->v4_count * sizeof(*set->v4));
	if (more->v6_count)
		memcpy(set->v6 + set->v6_count, more->v6, more->v6_count * sizeof(*set->v6));
	set->v4_count += more->v4_count;
	set->v6_count += more->v6_count;
	return 0;
}

void prefixes_free(struct prefixes *set)
{
	free(set->v4);
	free(set->v6);
	*set = (struct prefixes){ 0 };
}

/*
 * Radix sort, least digit first: 40 bits in four digits, so that the result
 * ends up where it began.
 */
#define RADIX_BITS   10
#define RADIX_DIGITS 4

static size_t digit_of(uint64_t word, int digit)
{
	return word >> digit * RADIX_BITS & ((1 << RADIX_BITS) - 1);
}

static int sort_v4(uint64_t *word, size_t count)
{
	size_t place[RADIX_DIGITS][1 << RADIX_BITS] = { 0 };
	uint64_t *from = word, *to, *spare;

	to = spare = reallocarray(NULL, count, sizeof(*word));
	if (!spare)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (int digit = 0; digit < RADIX_DIGITS; digit++)
			place[digit][digit_of(word[i], digit)]++;
	for (int digit = 0; digit < RADIX_DIGITS; digit++) {
		size_t next = 0, here;

		for (int i = 0; i < 1 << RADIX_BITS; i++) {
			here = place[digit][i];
			place[digit][i] = next;
			next += here;
		}
		for (size_t i = 0; i < count; i++)
			to[place[digit][digit_of(from[i], digit)]++] = from[i];
		spare = from;
		from = to;
		to = spare;
	}
	free(to);
	return 0;
}

static int cmp_v6(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static bool is_sorted(const struct prefixes *set, enum prefix_family family)
{
	struct prefix last, next;

	for (size_t i = 1; i < prefixes_in(set, family); i++) {
		last = prefixes_get(set, family, i - 1);
		next = prefixes_get(set, family, i);
		if (prefix_cmp(&last, &next) > 0)
			return false;
	}
	return true;
}

static void set_count(struct prefixes *set, enum prefix_family family, size_t count)
{
	if (family == PREFIX_V4)
		set->v4_count = count;
	else
		set->v6_count = count;
}

/* Drops neighbours that are equal. */
static size_t dedupe(struct prefixes *set, enum prefix_family family)
{
	size_t count = prefixes_in(set, family), kept = 0;
	struct prefix last, next;

	for (size_t i = 0; i < count; i++) {
		next = prefixes_get(set, family, i);
		if (i && !prefix_cmp(&last, &next))
			continue;
		put(set, family, kept++, &next);
		last = next;
	}
	set_count(set, family, kept);
	return count - kept;
}

int prefixes_sort(struct prefixes *set, size_t *duplicates)
{
	size_t dropped;

	if (!is_sorted(set, PREFIX_V4) && sort_v4(set->v4, set->v4_count))
		return -ENOMEM;
	if (!is_sorted(set, PREFIX_V6))
		qsort(set->v6, set->v6_count, sizeof(*set->v6), cmp_v6);
	dropped = dedupe(set, PREFIX_V4) + dedupe(set, PREFIX_V6);
	if (duplicates)
		*duplicates = dropped;
	return 0;
}

/* Whether two disjoint prefixes are the halves of one; @b becomes that one. */
static bool join(const struct prefix *a, struct prefix *b)
{
	struct prefix whole = *b;

	if (a->length != b->length || !whole.length)
		return false;
	whole.length--;
	prefix_mask(&whole);
	if (!prefix_covers(&whole, a))
		return false;
	*b = whole;
	return true;
}

/*
 * In order, a prefix either stands in the last one kept, or is disjoint from
 * all that were; and only the last one kept can be its other half.
 */
static void merge(struct prefixes *set, enum prefix_family family)
{
	size_t count = prefixes_in(set, family), kept = 0;
	struct prefix last, next;

	for (size_t i = 0; i < count; i++) {
		next = prefixes_get(set, family, i);
		if (kept) {
			last = prefixes_get(set, family, kept - 1);
			if (prefix_covers(&last, &next))
				continue;
		}
		while (kept && join(&last, &next)) {
			kept--;
			if (kept)
				last = prefixes_get(set, family, kept - 1);
		}
		put(set, family, kept++, &next);
	}
	set_count(set, family, kept);
}

int prefixes_merge(struct prefixes *set)
{
	int rc = prefixes_sort(set, NULL);

	if (rc)
		return rc;
	merge(set, PREFIX_V4);
	merge(set, PREFIX_V6);
	return 0;
}

bool prefixes_are_disjoint(const struct prefixes *set)
{
	for (int family = PREFIX_V4; family <= PREFIX_V6; family++) {
		struct prefix last, next;

		for (size_t i = 1; i < prefixes_in(set, family); i++) {
			last = prefixes_get(set, family, i - 1);
			next = prefixes_get(set, family, i);
			if (prefix_cmp(&last, &next) >= 0 || prefix_covers(&last, &next))
				return false;
		}
	}
	return true;
}

/* How many of a sorted set come before @prefix. */
static size_t rank(const struct prefixes *set, enum prefix_family family,
		   const struct prefix *prefix)
{
	size_t low = 0, high = prefixes_in(set, family);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct prefix here = prefixes_get(set, family, mid);

		if (prefix_cmp(&here, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool prefixes_has(const struct prefixes *set, const struct prefix *prefix)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;
	size_t at = rank(set, family, prefix);
	struct prefix found;

	if (at == prefixes_in(set, family))
		return false;
	found = prefixes_get(set, family, at);
	return !prefix_cmp(&found, prefix);
}

/*
 * In a merged set, what overlaps @prefix is the one before it if that covers
 * it, or the one from it on if it covers that.
 */
bool prefixes_overlap(const struct prefixes *set, const struct prefix *prefix, struct prefix *which)
{
	enum prefix_family family = prefix_is_v4(prefix) ? PREFIX_V4 : PREFIX_V6;
	size_t at = rank(set, family, prefix);
	struct prefix found;

	if (at < prefixes_in(set, family)) {
		found = prefixes_get(set, family, at);
		if (prefix_covers(prefix, &found))
			goto out_found;
	}
	if (!at)
		return false;
	found = prefixes_get(set, family, at - 1);
	if (!prefix_covers(&found, prefix))
		return false;
out_found:
	if (which)
		*which = found;
	return true;
}

/* Halves were joined, so only one prefix can hold all of @prefix. */
bool prefixes_cover(const struct prefixes *set, const struct prefix *prefix)
{
	struct prefix found;

	return prefixes_overlap(set, prefix, &found) && prefix_covers(&found, prefix);
}

static int diff(const struct prefixes *from, const struct prefixes *to, enum prefix_family family,
		struct prefixes *added, struct prefixes *removed)
{
	size_t i = 0, j = 0, m = prefixes_in(from, family), n = prefixes_in(to, family);
	struct prefix old, new;
	int order;

	while (i < m || j < n) {
		if (i < m)
			old = prefixes_get(from, family, i);
		if (j < n)
			new = prefixes_get(to, family, j);
		order = i == m ? 1 : j == n ? -1 : prefix_cmp(&old, &new);
		if (order < 0 && removed && prefixes_add(removed, &old))
			return -ENOMEM;
		if (order > 0 && added && prefixes_add(added, &new))
			return -ENOMEM;
		i += order <= 0;
		j += order >= 0;
	}
	return 0;
}

int prefixes_diff(const struct prefixes *from, const struct prefixes *to, struct prefixes *added,
		  struct prefixes *removed)
{
	int rc = diff(from, to, PREFIX_V4, added, removed);

	return rc ? rc : diff(from, to, PREFIX_V6, added, removed);
}

size_t prefixes_words(const struct prefixes *set)
{
	return set->v4_count + set->v6_count * PREFIXES_V6_WORDS;
}

void prefixes_pack(const struct prefixes *set, uint64_t *words)
{
	if (set->v4_count)
		memcpy(words, set->v4, set->v4_count * sizeof(*words));
	words += set->v4_count;
	for (size_t i = 0; i < set->v6_count; i++) {
		*words++ = set->v6[i].hi;
		*words++ = set->v6[i].lo;
		*words++ = set->v6[i].length;
	}
}

/* A prefix of words that may be anything; false when no prefix has them. */
static bool unpack_v4(uint64_t word, struct prefix *prefix)
{
	if (word >> 40 || (word & 255) > 32)
		return false;
	*prefix = prefix_v4(word >> 8, word & 255);
	return !prefix_mask(prefix);
}

static bool unpack_v6(const uint64_t *word, struct prefix *prefix)
{
	if (word[2] > 128)
		return false;
	*prefix = (struct prefix){ word[0], word[1], word[2] };
	return !prefix_mask(prefix) && !prefix_is_v4(prefix);
}

int prefixes_unpack(struct prefixes *set, const uint64_t *words, size_t v4_count, size_t v6_count)
{
	const struct prefixes before = *set;
	struct prefix last, next;

	if (reserve(set, PREFIX_V4, v4_count) || reserve(set, PREFIX_V6, v6_count))
		return -ENOMEM;
	for (size_t i = 0; i < v4_count; i++, last = next) {
		if (!unpack_v4(words[i], &next) || (i && prefix_cmp(&last, &next) >= 0))
			goto out_broken;
		put(set, PREFIX_V4, set->v4_count++, &next);
	}
	words += v4_count;
	for (size_t i = 0; i < v6_count; i++, last = next) {
		if (!unpack_v6(words + i * PREFIXES_V6_WORDS, &next) ||
		    (i && prefix_cmp(&last, &next) >= 0))
			goto out_broken;
		put(set, PREFIX_V6, set->v6_count++, &next);
	}
	return 0;

out_broken:
	set->v4_count = before.v4_count;
	set->v6_count = before.v6_count;
	return -EINVAL;
}
