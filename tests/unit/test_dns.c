// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf/pure/dns.h: which messages are queries that are answered with "truncated", and every byte of
 * the answer. What is expected is worked out here in other words, straight from the RFCs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/dns.h"
#include "tests/unit/check.h"

#define RANDOM_MESSAGES	2000000

static struct check check;

/* ---- messages ---- */

struct bytes {
	uint8_t at[9000];
	uint32_t len;
};

static void add(struct bytes *to, const void *bytes, uint32_t len)
{
	memcpy(to->at + to->len, bytes, len);
	to->len += len;
}

static void add16(struct bytes *to, uint32_t value)
{
	add(to, (uint8_t[]){ value >> 8, value }, 2);
}

static void add_header(struct bytes *to, uint16_t flags, uint16_t additionals)
{
	add16(to, 0xbeef);
	add16(to, flags);
	add16(to, 1);
	add16(to, 0);
	add16(to, 0);
	add16(to, additionals);
}

static void add_label(struct bytes *to, uint8_t size)
{
	add(to, &size, 1);
	for (uint8_t i = 0; i < size; i++)
		add(to, &(uint8_t){ 'a' + i % 26 }, 1);
}

static void add_question(struct bytes *to, const char *name)
{
	for (const char *dot; *name; name = dot + (*dot == '.')) {
		uint8_t size;

		dot = strchrnul(name, '.');
		size = dot - name;
		add(to, &size, 1);
		add(to, name, size);
	}
	add(to, "", 1);
	add16(to, 1);
	add16(to, 1);
}

/* Without options; @size: how many bytes of them are said to follow. */
static void add_opt(struct bytes *to, uint16_t udp, uint8_t rcode, uint8_t version, uint16_t flags,
		    uint16_t size)
{
	add(to, "\0\0\51", 3);
	add16(to, udp);
	add(to, (uint8_t[]){ rcode, version }, 2);
	add16(to, flags);
	add16(to, size);
}

static void add_option(struct bytes *to, uint16_t code, uint16_t size, uint8_t fill)
{
	add16(to, code);
	add16(to, size);
	memset(to->at + to->len, fill, size);
	to->len += size;
}

/* ---- what is expected ---- */

static uint32_t word(const struct bytes *from, uint32_t at)
{
	return from->at[at] << 8 | from->at[at + 1];
}

/* The end of the question; 0: its name is not well formed. */
static uint32_t question_end(const struct bytes *asked)
{
	uint32_t at = 12;

	while (at < asked->len && asked->at[at]) {
		if (asked->at[at] > 63)
			return 0;
		at += asked->at[at] + 1;
	}
	return at + 5 <= asked->len && at + 1 - 12 <= 255 ? at + 5 : 0;
}

/* The first cookie, if it is one of the first eight options and has the server's half. */
static void expect_cookie(const struct bytes *asked, uint32_t at, uint32_t end, struct bytes *wanted)
{
	for (int i = 0; i < 8 && at + 4 <= end && at + 4 + word(asked, at + 2) <= end; i++) {
		uint32_t size = word(asked, at + 2);

		if (word(asked, at) == 10) {
			if (size >= 16 && size <= 40)
				add(wanted, asked->at + at, 4 + size);
			return;
		}
		at += 4 + size;
	}
}

/* Whether it is to be answered, and with what. */
static bool expect(const struct bytes *asked, struct bytes *wanted)
{
	uint32_t end, opt_end;
	struct bytes cookie = { 0 };

	wanted->len = 0;
	if (asked->len < 17 || asked->at[2] & 0x80 || asked->at[2] >> 3 & 15 || word(asked, 4) != 1 ||
	    word(asked, 6) || word(asked, 8) || word(asked, 10) > 1)
		return false;
	end = question_end(asked);
	if (!end)
		return false;
	add(wanted, asked->at, 2);
	add(wanted, (uint8_t[]){ 0x82 | (asked->at[2] & 1),
				(asked->at[2] & 1) << 7 | (asked->at[3] & 0x10) }, 2);
	add(wanted, asked->at + 4, end - 4);
	if (!word(asked, 10))
		return true;
	if (end + 11 > asked->len || asked->at[end] || word(asked, end + 1) != 41 ||
	    asked->at[end + 6])
		return false;
	opt_end = end + 11 + word(asked, end + 9);
	if (opt_end > asked->len)
		return false;
	expect_cookie(asked, end + 11, opt_end > 512 ? 512 : opt_end, &cookie);
	add_opt(wanted, 1232, 0, 0, asked->at[end + 7] & 0x80 ? 0x8000 : 0, cookie.len);
	add(wanted, cookie.at, cookie.len);
	return true;
}

/* ---- the comparison ---- */

static bool compare(const char *what, const struct bytes *asked)
{
	/* Of the exact size, for the sanitizer. */
	struct dns_message *message = malloc(sizeof(*message));
	uint32_t len = asked->len < DNS_READ ? asked->len : DNS_READ, made = 0;
	struct dns_query query;
	struct bytes wanted;
	bool is, should = expect(asked, &wanted);

	/* What is left of an earlier packet lies behind it. */
	memset(message, 0xa5, sizeof(*message));
	memcpy(message, asked->at, len);
	is = dns_is_query(message, &query, len, asked->len);
	CHECK(&check, is == should, "%s: a query: %d, expected %d", what, is, should);
	CHECK(&check, !memcmp(message, asked->at, len), "%s: reading has changed it", what);
	if (is) {
		made = dns_make_truncated(message, &query);
		CHECK(&check, made == wanted.len && !memcmp(message, wanted.at, made),
		      "%s: %u bytes, expected %u", what, made, wanted.len);
		CHECK(&check, made <= asked->len && made <= DNS_ANSWER_MAX,
		      "%s: an answer of %u bytes for %u", what, made, asked->len);
		CHECK(&check, !message->byte[made] && !message->byte[made + 1] &&
		      !message->byte[made + 2], "%s: what follows is not 0", what);
		CHECK(&check, message->byte[2] & 0x80, "%s: not a response", what);
	}
	free(message);
	return is;
}

/* ---- tables ---- */

static const struct {
	const char *what, *name;
	uint16_t flags;
	bool opt, dnssec;
	struct { uint16_t code, size; } options[9];
	bool is;
} messages[] = {
	{ "a stub's query", "example.com", 0x0100, .is = true },
	{ "a resolver's query", "example.com", 0, true, true, .is = true },
	{ "mixed case", "eXaMpLe.CoM", 0, true, true, .is = true },
	{ "the root", "", 0, true, .is = true },
	{ "CD", "example.com", 0x0110, true, true, .is = true },
	{ "AD and RA and Z in a query", "example.com", 0x01e0, true, .is = true },
	{ "TC in a query", "example.com", 0x0200, .is = true },
	{ "a client's cookie", "example.com", 0x0120, true, false, { { 10, 8 } }, true },
	{ "both cookies", "example.com", 0, true, true, { { 10, 24 } }, true },
	{ "the longest cookie", "example.com", 0, true, true, { { 10, 40 } }, true },
	{ "the shortest cookie", "example.com", 0, true, true, { { 10, 16 } }, true },
	{ "a cookie that is too long", "example.com", 0, true, true, { { 10, 41 } }, true },
	{ "a cookie that is too short", "example.com", 0, true, true, { { 10, 15 } }, true },
	{ "two cookies", "example.com", 0, true, true, { { 10, 8 }, { 10, 24 } }, true },
	{ "a cookie behind others", "example.com", 0, true, true,
	  { { 3, 0 }, { 8, 7 }, { 10, 24 } }, true },
	{ "a cookie as the eighth", "a", 0, true, true,
	  { { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 10, 24 } }, true },
	{ "a cookie as the ninth", "a", 0, true, true,
	  { { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 }, { 3, 0 },
	    { 10, 24 } }, true },
	{ "padding to 468 bytes", "example.com", 0, true, true, { { 10, 24 }, { 12, 396 } }, true },
	{ "a cookie behind long padding", "a", 0, true, true, { { 12, 600 }, { 10, 24 } }, true },
	{ "a response", "example.com", 0x8180, true, .is = false },
	{ "a truncated answer", "example.com", 0x8300, .is = false },
	{ "STATUS", "example.com", 2 << 11, .is = false },
	{ "NOTIFY", "example.com", 4 << 11, .is = false },
	{ "UPDATE", "example.com", 5 << 11, .is = false },
};

static void test_messages(void)
{
	uint32_t count = sizeof(messages) / sizeof(*messages);

	for (uint32_t i = 0; i < count; i++) {
		struct bytes asked = { 0 }, options = { 0 };
		bool is;

		for (int n = 0; n < 9 && messages[i].options[n].code; n++)
			add_option(&options, messages[i].options[n].code,
				   messages[i].options[n].size, 0xc0 + n);
		add_header(&asked, messages[i].flags, messages[i].opt);
		add_question(&asked, messages[i].name);
		if (messages[i].opt)
			add_opt(&asked, 4096, 0, 0, messages[i].dnssec ? 0x8000 : 0, options.len);
		add(&asked, options.at, options.len);
		is = compare(messages[i].what, &asked);
		CHECK(&check, is == messages[i].is, "%s: a query: %d", messages[i].what, is);
		/* Cut off anywhere, it is as the other words say, too. */
		while (asked.len--)
			compare(messages[i].what, &asked);
	}
	check_done(&check, "queries and what is none", "%u messages, and each cut off at every byte",
		   count);
}

/* Names of every length up to one beyond the longest, and of up to 128 labels. */
static void test_names(void)
{
	uint32_t good = 0, bad = 0;

	for (uint32_t size = 1; size <= 63; size++) {
		for (uint32_t labels = 0; labels <= 130; labels++) {
			struct bytes asked = { 0 }, ignored;

			add_header(&asked, 0, 0);
			for (uint32_t i = 0; i < labels; i++)
				add_label(&asked, size);
			add(&asked, "\0\0\1\0\1", 5);
			if (compare("a name", &asked))
				good++;
			else
				bad++;
			CHECK(&check, (labels * (size + 1) + 1 <= 255) == expect(&asked, &ignored),
			      "%u labels of %u", labels, size);
		}
	}
	check_done(&check, "names up to 255 bytes", "%u accepted, %u refused", good, bad);
}

static void test_pointers(void)
{
	static const uint8_t ends[][2] = { { 0xc0, 12 }, { 0xc0, 0 }, { 0xff, 0xff }, { 0x40, 0 },
					   { 0x80, 1 } };

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct bytes asked = { 0 };

		add_header(&asked, 0x0100, 0);
		if (i)
			add_label(&asked, 3);
		add(&asked, ends[i], 2);
		add(&asked, "\0\1\0\1\0\0\0\0", 8);
		CHECK(&check, !compare("a pointer", &asked), "a name with %02x%02x is answered",
		      ends[i][0], ends[i][1]);
	}
	check_done(&check, "names with pointers and unknown labels are refused", "5 of them");
}

/* Records that are no OPT: TSIG behind it or alone, any other type, another version. */
static void test_records(void)
{
	static const struct { const char *what; uint16_t type, count; uint8_t version, name; } all[] = {
		{ "TSIG", 250, 1, 0, 0 }, { "SIG", 24, 1, 0, 0 }, { "A", 1, 1, 0, 0 },
		{ "OPT and one more", 41, 2, 0, 0 }, { "OPT, version 1", 41, 1, 1, 0 },
		{ "OPT, version 255", 41, 1, 255, 0 }, { "OPT with a name", 41, 1, 0, 1 },
		{ "OPT with a pointer", 41, 1, 0, 0xc0 }, { "many", 41, 65535, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct bytes asked = { 0 };

		add_header(&asked, 0, all[i].count);
		add_question(&asked, "example.com");
		add_opt(&asked, 1232, 0, all[i].version, 0, 0);
		asked.at[asked.len - 11] = all[i].name;
		asked.at[asked.len - 10] = all[i].type >> 8;
		asked.at[asked.len - 9] = all[i].type;
		CHECK(&check, !compare(all[i].what, &asked), "%s: it is answered", all[i].what);
	}
	for (uint32_t at = 4; at < 10; at++) {
		struct bytes asked = { 0 };

		add_header(&asked, 0, 0);
		add_question(&asked, "example.com");
		asked.at[at]++;
		CHECK(&check, !compare("counts", &asked), "a wrong count at %u is answered", at);
	}
	check_done(&check, "other records and counts are refused", "%zu records, 6 counts",
		   sizeof(all) / sizeof(*all));
}

/* Queries with some bytes changed, lengthened or cut off. */
static void test_random(void)
{
	uint32_t answered = 0;

	srandom(1);
	for (uint32_t i = 0; i < RANDOM_MESSAGES; i++) {
		struct bytes asked = { 0 };

		add_header(&asked, random() & 0x0130, random() % 4 ? 1 : 0);
		for (int n = random() % 5; n > 0; n--)
			add_label(&asked, 1 + random() % (random() % 8 ? 12 : 63));
		add(&asked, "\0\0\1\0\1", 5);
		if (asked.at[11])
			add_opt(&asked, random(), 0, 0, random(), 0);
		for (int n = random() % 4; asked.at[11] && n > 0; n--) {
			uint32_t was = asked.len;

			add_option(&asked, random() % 3 ? 10 : 8, random() % 44, random());
			asked.at[question_end(&asked) + 10] += asked.len - was;
		}
		for (int n = random() % 3; n > 0; n--)
			asked.at[random() % asked.len] = random() % 3 ? random() : random() % 64;
		if (!(random() % 8))
			asked.len = random() % (asked.len + 1);
		answered += compare("random", &asked);
	}
	CHECK(&check, answered > RANDOM_MESSAGES / 4, "only %u were queries", answered);
	check_done(&check, "random messages", "%u, of which %u were answered", RANDOM_MESSAGES, answered);
}

int main(void)
{
	test_messages();
	test_names();
	test_pointers();
	test_records();
	test_random();
	return check_exit(&check);
}
