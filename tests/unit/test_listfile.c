// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/listfile.h"

#define COUNT(array)  (sizeof(array) / sizeof(*(array)))
#define IPSUM_BYTES   1952079 /* of the one version of IPsum of which the entries are known here */
#define IPSUM_ENTRIES 120430
#define SPEED_LINES   1000000
#define LONG_LINE     (1 << 20)

struct list_case {
	const char *what;
	const char *data;
	enum list_format format;
	const char *holds; /* the prefixes, in the order of prefixes_at() */
	struct list_report report;
};

/* The prefixes of a set as one line of text. */
static void join(const struct prefixes *set, char *text, size_t room)
{
	char one[PREFIX_STRLEN];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		prefix_format_short(&prefix, one);
		len += snprintf(text + len, len < room ? room - len : 0, "%s%s", i ? " " : "", one);
	}
}

static void check_report(struct check *check, const char *what, const struct list_report *is,
			 const struct list_report *should)
{
	const struct {
		const char *name;
		size_t is, should;
	} counts[] = {
		{ "lines", is->lines, should->lines },
		{ "entries", is->entries, should->entries },
		{ "ranges", is->ranges, should->ranges },
		{ "duplicates", is->duplicates, should->duplicates },
		{ "comments", is->comments, should->comments },
		{ "ignored", is->ignored, should->ignored },
		{ "host_bits", is->host_bits, should->host_bits },
		{ "host_bits_line", is->host_bits_line, should->host_bits_line },
		{ "declared", is->declared, should->declared },
	};

	for (size_t i = 0; i < COUNT(counts); i++)
		CHECK(check, counts[i].is == counts[i].should, "%s: %s %zu, not %zu", what,
		      counts[i].name, counts[i].is, counts[i].should);
}

static const struct list_case good[] = {
	{ .what = "addresses and networks",
	  .data = "192.0.2.1\n198.51.100.0/24\n2001:db8::1\n2001:db8:1::/48\n",
	  .format = LIST_PLAIN,
	  .holds = "192.0.2.1 198.51.100.0/24 2001:db8::1 2001:db8:1::/48",
	  .report = { .lines = 4, .entries = 4 } },
	{ .what = "FireHOL's netset",
	  .data = "#\n# firehol_level1\n#\n# Maintainer: nobody\n\n0.0.0.0/8\n1.10.16.0/20\n",
	  .format = LIST_PLAIN,
	  .holds = "0.0.0.0/8 1.10.16.0/20",
	  .report = { .lines = 7, .entries = 2, .comments = 4 } },
	{ .what = "Spamhaus DROP text",
	  .data = "; Spamhaus DROP List 2024/01/01\n; Expires: never\n1.10.16.0/20 ; SBL256894\n"
		  "1.19.0.0/16 ; SBL434604\n",
	  .format = LIST_PLAIN,
	  .holds = "1.10.16.0/20 1.19.0.0/16",
	  .report = { .lines = 4, .entries = 2, .comments = 4 } },
	{ .what = "comments close to their entry",
	  .data = "192.0.2.1# x\n192.0.2.2;y\n192.0.2.3 #\n\t# indented\n",
	  .format = LIST_PLAIN,
	  .holds = "192.0.2.1 192.0.2.2 192.0.2.3",
	  .report = { .lines = 4, .entries = 3, .comments = 4 } },
	{ .what = "trailing blanks, as in EDROP",
	  .data = "2.56.247.0/24 \n2a12:2640::/29 \n 192.0.2.1\t\n",
	  .format = LIST_PLAIN,
	  .holds = "2.56.247.0/24 192.0.2.1 2a12:2640::/29",
	  .report = { .lines = 3, .entries = 3 } },
	{ .what = "CRLF, byte order mark, no final newline",
	  .data = "\xef\xbb\xbf# \xf0\x9f\xa7\xb1 a list\r\n192.0.2.1\r\n\r\n198.51.100.0/24",
	  .format = LIST_PLAIN,
	  .holds = "192.0.2.1 198.51.100.0/24",
	  .report = { .lines = 4, .entries = 2, .comments = 1 } },
	{ .what = "a comment that ends within a character",
	  .data = "192.0.2.1 # \xf0\x9f",
	  .format = LIST_PLAIN,
	  .holds = "192.0.2.1",
	  .report = { .lines = 1, .entries = 1, .comments = 1 } },
	{ .what = "duplicates and host bits",
	  .data = "192.0.2.0/24\n192.0.2.1/24\n192.0.2.0/24\n2001:db8::1/32\n192.0.2.1\n",
	  .format = LIST_PLAIN,
	  .holds = "192.0.2.0/24 192.0.2.1 2001:db8::/32",
	  .report = { .lines = 5,
		      .entries = 5,
		      .duplicates = 2,
		      .host_bits = 2,
		      .host_bits_line = 2 } },
	{ .what = "everything",
	  .data = "0.0.0.0/0\n::/0\n",
	  .format = LIST_PLAIN,
	  .holds = "0.0.0.0/0 ::/0",
	  .report = { .lines = 2, .entries = 2 } },
	{ .what = "IPsum",
	  .data = "# IPsum Threat Intelligence Feed\n#\n# IP\tnumber of (black)lists\n#\n"
		  "192.0.2.7\t10\n192.0.2.1\t9\n192.0.2.9\t1\n",
	  .format = LIST_IPSUM,
	  .holds = "192.0.2.1 192.0.2.7 192.0.2.9",
	  .report = { .lines = 7, .entries = 3, .comments = 4 } },
	{ .what = "Spamhaus NDJSON",
	  .data = "{\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n"
		  "{\"cidr\":\"2a06:e480::/29\",\"sblid\":\"SBL303641\",\"rir\":\"ripencc\"}\n"
		  "{\"type\":\"metadata\",\"timestamp\":1728000000,\"size\":99,\"records\":2}\n",
	  .format = LIST_NDJSON,
	  .holds = "1.10.16.0/20 2a06:e480::/29",
	  .report = { .lines = 3, .entries = 2, .comments = 1, .declared = 2 } },
	{ .what = "ipset save, two sets",
	  .data = "create h hash:ip family inet hashsize 1024 maxelem 65536 timeout 300 counters "
		  "comment bucketsize 12 initval 0x2b562e63\n"
		  "add h 192.0.2.4 timeout 19 packets 0 bytes 0 comment \"a nomatch b\"\n"
		  "add h 192.0.2.5\n"
		  "create n hash:net family inet6 hashsize 1024 maxelem 65536 bucketsize 12\n"
		  "add n 2001:db8::/32 -exist\nadd -! n 2001:db9::/32\nflush x\n",
	  .format = LIST_IPSET,
	  .holds = "192.0.2.4 192.0.2.5 2001:db8::/32 2001:db9::/32",
	  .report = { .lines = 7, .entries = 4, .ignored = 1 } },
	{ .what = "ipset with a range",
	  .data = "# by hand\nadd x 192.0.2.1-192.0.2.6\n",
	  .format = LIST_IPSET,
	  .holds = "192.0.2.1 192.0.2.2/31 192.0.2.4/31 192.0.2.6",
	  .report = { .lines = 2, .entries = 1, .ranges = 1, .comments = 1 } },
	{ .what = "nft list set",
	  .data = "table inet t {\n\tset a {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
		  "\t\tauto-merge\n\t\telements = { 192.0.2.4, 10.0.0.0/8,\n"
		  "\t\t\t     198.51.100.5-198.51.100.6 }\n\t}\n}\n",
	  .format = LIST_NFT,
	  .holds = "10.0.0.0/8 192.0.2.4 198.51.100.5 198.51.100.6",
	  .report = { .lines = 9, .entries = 3, .ranges = 1 } },
	{ .what = "nft with timeouts, counters and comments, two sets",
	  .data = "table inet t {\n\tset b { # handle 3\n\t\ttype ipv4_addr\n"
		  "\t\tflags dynamic,timeout\n\t\ttimeout 1h\n"
		  "\t\telements = { 192.0.2.4 timeout 10m expires 9m59s996ms "
		  "comment \"he, llo }\", 192.0.2.5 expires 59m59s996ms }\n\t}\n\n"
		  "\tset c {\n\t\ttype ipv6_addr\n\t\tflags interval\n\t\tcounter\n"
		  "\t\telements = { 2001:db8::/32 counter packets 0 bytes 0,\n"
		  "\t\t\t     fe80::1-fe80::3 counter packets 0 bytes 0 }\n\t}\n"
		  "\tset elements {\n\t\ttype ipv4_addr\n\t}\n}\n",
	  .format = LIST_NFT,
	  .holds = "192.0.2.4 192.0.2.5 2001:db8::/32 fe80::1 fe80::2/127",
	  .report = { .lines = 19, .entries = 4, .ranges = 1, .ignored = 4, .comments = 1 } },
	{ .what = "a file for nft -f",
	  .data = "#!/usr/sbin/nft -f\nflush set inet t s\ndefine bad = { 192.0.2.1, 192.0.2.2, }\n"
		  "define port = 22\nadd element inet t s { 192.0.2.3 }\n"
		  "add set inet t s { type ipv4_addr; elements = { 192.0.2.4 }; }\n",
	  .format = LIST_NFT,
	  .holds = "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4",
	  .report = { .lines = 6, .entries = 4, .comments = 1 } },
};

static void test_good(struct check *check)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		struct list_options forced = { .format = good[i].format };
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "", text[512];

		CHECK(check,
		      !list_read("x", good[i].data, strlen(good[i].data), NULL, &set, &report, err),
		      "%s: %s", good[i].what, err);
		join(&set, text, sizeof(text));
		CHECK(check, !strcmp(text, good[i].holds), "%s: %s", good[i].what, text);
		CHECK(check, report.format == good[i].format, "%s: %s", good[i].what,
		      list_format_name(report.format));
		CHECK(check, report.v4 == set.v4_count && report.v6 == set.v6_count, "%s",
		      good[i].what);
		check_report(check, good[i].what, &report, &good[i].report);
		CHECK(check,
		      !list_read("x", good[i].data, strlen(good[i].data), &forced, &set, &report,
				 err),
		      "%s, of named format: %s", good[i].what, err);
		check_report(check, good[i].what, &report, &good[i].report);
		prefixes_free(&set);
	}
	check_done(check, "lists are read", "%zu texts", COUNT(good));
}

static const struct {
	const char *data, *err;
} bad[] = {
	{ "192.0.2.1\nfoo\n", "x:2: \"foo\" is not an address or a prefix (neither IPv4 nor IPv6)" },
	{ "192.0.2.1\n10.0.0.0/33\n",
	  "x:2: \"10.0.0.0/33\" is not an address or a prefix (IPv4 prefix length is 0..32)" },
	{ "192.0.2.1 192.0.2.2\n", "x:1: \"192.0.2.1 192.0.2.2\" is not an address or a prefix "
				   "(something follows that is not a comment)" },
	{ "192.0.2.1\n192.0.2.2\t7\n", "x:2: \"192.0.2.2\\t7\" is not an address or a prefix "
				       "(something follows that is not a comment)" },
	{ "192.0.2.1-192.0.2.9\n",
	  "x:1: \"192.0.2.1-192.0.2.9\" is not an address or a prefix (a range, not a prefix)" },
	{ "192.0.2.1\t3\n192.0.2.2\t7x\n", "x:2: \"192.0.2.2\\t7x\" is not an address or a prefix "
					   "(something follows that is not a comment)" },
	{ "\x1b[31m\n", "x:1: \"\\x1b[31m\" is not an address or a prefix (neither IPv4 nor IPv6)" },
	{ "192.0.2.\xf0\x9f",
	  "x:1: \"192.0.2.\\xf0\\x9f\" is not an address or a prefix (an IPv4 address has four octets)" },
	{ "<!DOCTYPE html>\n<title>503</title>\n",
	  "x:1: \"<!DOCTYPE\" is not an address or a prefix (this is a web page or XML, not a list)" },
	{ "\x1f\x8b\x08\n", "x:1: \"\\x1f\\x8b\\x08\" is not an address or a prefix (the file is "
			    "compressed; unpack it first)" },
	{ "\xff\xfe"
	  "1.\n",
	  "x:1: \"\\xff\\xfe1.\" is not an address or a prefix (the file is UTF-16; convert it to "
	  "UTF-8)" },
	{ "Name: h\nType: hash:ip\n",
	  "x:1: \"Name:\" is not an address or a prefix (this is from ipset list; use ipset save)" },
	{ "{\"cidr\":\"1.2.3.4/33\"}\n",
	  "x:1: \"1.2.3.4/33\" is not an address or a prefix (IPv4 prefix length is 0..32)" },
	{ "{\"cidr\":\"1.2.3.4\"}\n{\"cidr\":\"1.2",
	  "x:2: \"{\"cidr\":\"1.2\" is not an address or a prefix (each line must be a JSON object)" },
	{ "{\"asn\":1234}\n",
	  "x:1: \"{\"asn\":1234}\" is not an address or a prefix (an object without \"cidr\")" },
	{ "{\"nftables\": []}\n", "x:1: JSON of nft is not read; leave out its -j" },
	{ "add x 192.0.2.1,tcp:80\n",
	  "x:1: \"192.0.2.1,tcp:80\" is not an address or a prefix "
	  "(members with a port, interface or second address are not read)" },
	{ "add x 192.0.2.0/24 nomatch\n",
	  "x:1: nomatch makes an exception, which a list of prefixes cannot have" },
	{ "create x hash:ip netmask 24\nadd x 192.0.2.0\n",
	  "x:1: a set with a netmask is not read: its members are addresses, but stand for "
	  "networks" },
	{ "add x\n", "x:1: \"add x\" is not an address or a prefix (add needs a set and an entry)" },
	{ "create x list:set size 8\nadd x other\n",
	  "x:2: \"other\" is not an address or a prefix (neither IPv4 nor IPv6)" },
	{ "add x 1.2.3.4\nswap a b\n",
	  "x:2: \"swap a b\" is not an address or a prefix (not a line of ipset save)" },
	{ "add x 192.0.2.9-192.0.2.1\n",
	  "x:1: \"192.0.2.9-192.0.2.1\" is not an address or a prefix (the range runs backwards)" },
	{ "add x 192.0.2.9-::1\n",
	  "x:1: \"192.0.2.9-::1\" is not an address or a prefix (a range of two families)" },
	{ "add x 192.0.2.0/30-192.0.3.0\n",
	  "x:1: \"192.0.2.0/30-192.0.3.0\" is not an address or a prefix "
	  "(a range goes from address to address)" },
	{ "add x ::fffe:ffff:ffff-::1:0:0:0\n",
	  "x:1: \"::fffe:ffff:ffff-::1:0:0:0\" is not an address or a prefix "
	  "(a range of IPv6 that contains all of IPv4)" },
	{ "table inet t {\n\tset a {\n\t\telements = { 192.0.2.1,\n\t\t\tfoo }\n}\n}\n",
	  "x:4: \"foo\" is not an address or a prefix (neither IPv4 nor IPv6)" },
	{ "table inet t {\n\tset a {\n\t\telements = { 192.0.2.1,\n",
	  "x:3: the file ends within the elements: it is cut short" },
	{ "table inet t {\n\tset a {\n\t\telements =\n",
	  "x:3: elements must be in braces; was the file cut short?" },
	{ "table inet t {\n\tmap m {\n\t\telements = { 192.0.2.1 : drop }\n\t}\n}\n",
	  "x:3: maps, and elements of several parts, are not read" },
	{ "table inet t {\n\tset m {\n\t\telements = { 192.0.2.1 . 80 }\n\t}\n}\n",
	  "x:3: maps, and elements of several parts, are not read" },
	{ "elements = { 192.0.2.1 - 192.0.2.3 }", "x:1: a range must be written without blanks" },
	{ "elements = { { 192.0.2.1 } }",
	  "x:1: \"{\" is not an address or a prefix (not an element of a set)" },
};

static void test_bad(struct check *check)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct prefix before = prefix_v4(1, 32);
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "";

		if (prefixes_add(&set, &before))
			abort();
		CHECK(check,
		      list_read("x", bad[i].data, strlen(bad[i].data), NULL, &set, &report, err) ==
			      -EINVAL,
		      "%s", bad[i].err);
		CHECK(check, !strcmp(err, bad[i].err), "%s, not %s", err, bad[i].err);
		CHECK(check, prefixes_count(&set) == 1, "%s: the set changed", bad[i].err);
		prefixes_free(&set);
	}
	check_done(check, "files that are not a list are refused, with file, line and reason", "%zu texts",
		   COUNT(bad));
}

static void test_empty(struct check *check)
{
	static const char *const texts[] = {
		"",
		"\n",
		"\r\n\r\n",
		"# nothing\n; at all\n",
		"\xef\xbb\xbf",
		"create x hash:ip family inet\n",
		"table inet t {\n\tset e {\n\t\ttype ipv4_addr\n\t}\n}\n",
		"{\"type\":\"metadata\",\"records\":0}\n",
	};
	const struct list_options allow = { .allow_empty = true };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "";

		CHECK(check,
		      list_read("x", texts[i], strlen(texts[i]), NULL, &set, &report, err) ==
			      -ENODATA,
		      "text %zu: %s", i, err);
		CHECK(check, !strncmp(err, "x: no address or prefix in its ", 31), "%s", err);
		CHECK(check,
		      !list_read("x", texts[i], strlen(texts[i]), &allow, &set, &report, err),
		      "text %zu: %s", i, err);
		CHECK(check, !prefixes_count(&set) && !report.entries, "text %zu", i);
		prefixes_free(&set);
	}
	check_done(check, "an empty list is refused unless it is allowed", "%zu texts",
		   COUNT(texts));
}

/* Each line is up to 254 prefixes: 64 MiB of such lines would take gigabytes of memory. */
static void test_many_ranges(struct check *check)
{
	static const char wide[] = "add x 2001::1-3fff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\n";
	struct list_options ipset = { .format = LIST_IPSET };
	size_t lines = LIST_PREFIXES_MOST / 200, size = lines * (sizeof(wide) - 1);
	char err[ERR_LEN] = "", *data = malloc(size);
	struct prefixes set = { 0 };
	struct list_report report;
	int rc;

	for (size_t i = 0; i < lines; i++)
		memcpy(data + i * (sizeof(wide) - 1), wide, sizeof(wide) - 1);
	rc = list_read("x", data, size, &ipset, &set, &report, err);
	CHECK(check, rc == -E2BIG && strstr(err, "8388608 prefixes") && !prefixes_count(&set),
	      "%d: %s", rc, err);
	free(data);
	prefixes_free(&set);
	check_done(check, "ranges that become too many prefixes", "%zu lines, %zu bytes", lines, size);
}

/* Lines of a megabyte, NUL bytes, and a file name that is longer than a message. */
static void test_hostile(struct check *check)
{
	struct prefixes set = { 0 };
	struct list_report report;
	struct list_options lenient = { .skip_bad = true };
	char err[ERR_LEN] = "", name[2 * ERR_LEN], *data = malloc(LONG_LINE + 16);

	memset(data, '9', LONG_LINE);
	memset(name, 'n', sizeof(name));
	memcpy(name + sizeof(name) - 5, ".txt", 5);
	for (int format = LIST_AUTO; format < LIST_FORMATS; format++) {
		struct list_options forced = { .format = format };

		list_read(name, data, LONG_LINE, &forced, &set, &report, err);
		CHECK(check, !prefixes_count(&set), "a megabyte of digits");
		CHECK(check, format == LIST_NFT || (strstr(err, ".txt:1: ") && strlen(err) < 250),
		      "%s", err);
	}
	memset(data, ' ', LONG_LINE);
	memcpy(data + LONG_LINE, "192.0.2.1\n", 10);
	CHECK(check,
	      !list_read("x", data, LONG_LINE + 10, NULL, &set, &report, err) &&
		      prefixes_count(&set) == 1,
	      "a megabyte of blanks: %s", err);
	memset(data, '#', LONG_LINE);
	memcpy(data + LONG_LINE, "\n192.0.2.2\n", 11);
	CHECK(check, list_read("x", data, LONG_LINE + 11, NULL, &set, &report, err) == -EINVAL &&
	      strstr(err, "x:1: a line of more than 64 KiB"), "a megabyte of comment: %s", err);
	CHECK(check, !list_read("x", data, LONG_LINE + 11, &lenient, &set, &report, err) &&
	      prefixes_count(&set) == 2 && report.bad == 1, "the same, skip-bad: %s", err);
	memset(data, '{', LONG_LINE);
	CHECK(check, list_read("x", data, LONG_LINE, NULL, &set, &report, err) == -EINVAL,
	      "a megabyte of braces");
	CHECK(check,
	      list_read("x", "192.0.2.1\0\n", 11, NULL, &set, &report, err) == -EINVAL &&
		      !strncmp(err, "x:1: \"192.0.2.1\\x00\" is", 23),
	      "%s", err);
	CHECK(check, list_read("x", "\0\0\0\0", 4, NULL, &set, &report, err) == -EINVAL, "NULs");
	CHECK(check, list_read("x", NULL, 0, NULL, &set, &report, err) == -ENODATA, "no data");
	CHECK(check, prefixes_count(&set) == 2, "%zu", prefixes_count(&set));
	check_done(check, "long lines, long names and NUL", "%d bytes a line", LONG_LINE);
	prefixes_free(&set);
	free(data);
}

/* Every range within 64 addresses; those of IPv6 cross the border of the two words. */
static void test_ranges(struct check *check)
{
	size_t ranges = 0, pieces = 0;

	for (int pair = 0; pair < 2 * 64 * 64; pair++) {
		int first = pair >> 6 & 63, last = pair & 63;
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "", line[160];

		if (first > last)
			continue;
		if (pair >> 12)
			snprintf(line, sizeof(line),
				 "add x 2001:db8:0:%x:%x::-2001:db8:0:%x:%x:ffff:ffff:ffff\n",
				 first >> 2, first << 14 & 0xffff, last >> 2,
				 (last << 14 & 0xffff) | 0x3fff);
		else
			snprintf(line, sizeof(line), "add x 192.0.2.%d-192.0.2.%d\n", first, last);
		CHECK(check, !list_read("x", line, strlen(line), NULL, &set, &report, err), "%s",
		      err);
		for (int i = 0; i < 64; i++) {
			struct prefix one = prefix_v4(0xc0000200 + i, 32);

			if (pair >> 12)
				one = (struct prefix){ 0x20010db800000000ULL | i >> 2,
						       (uint64_t)i << 62, 66 };
			CHECK(check,
			      prefixes_cover(&set, &one) == (i >= first && i <= last) &&
				      prefixes_overlap(&set, &one, NULL) ==
					      (i >= first && i <= last),
			      "%d of %s", i, line);
		}
		ranges++;
		pieces += prefixes_count(&set);
		if (prefixes_merge(&set))
			abort();
		pieces -= prefixes_count(&set);
		prefixes_free(&set);
	}
	CHECK(check, !pieces, "%zu pieces more than needed", pieces);
	check_done(check, "ranges become the smallest set of prefixes", "%zu ranges", ranges);
}

/* The ranges that take the most prefixes, and all addresses. */
static void test_range_ends(struct check *check)
{
	static const struct {
		const char *range;
		size_t pieces;
	} cases[] = {
		{ "0.0.0.0-255.255.255.255", 1 },
		{ "0.0.0.1-255.255.255.254", 62 },
		{ "255.255.255.255-255.255.255.255", 1 },
		{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1 },
		{ "8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 127 },
		{ "4000::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 127 + 126 },
		{ "::ffff:192.0.2.0-::ffff:192.0.2.255", 1 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "", line[160];

		snprintf(line, sizeof(line), "elements = { %s }", cases[i].range);
		CHECK(check, !list_read("x", line, strlen(line), NULL, &set, &report, err), "%s",
		      err);
		CHECK(check, prefixes_count(&set) == cases[i].pieces, "%s: %zu, not %zu",
		      cases[i].range, prefixes_count(&set), cases[i].pieces);
		prefixes_free(&set);
	}
	check_done(check, "ranges at the first and last addresses", "%zu ranges", COUNT(cases));
}

/* Two bad lines among good ones, in each format that has lines. */
static void test_skip_bad(struct check *check)
{
	static const struct {
		const char *data, *err;
	} cases[] = {
		{ "192.0.2.1\nfoo\n192.0.2.2 bar\n192.0.2.3\n",
		  "x:2: \"foo\" is not an address or a prefix (neither IPv4 nor IPv6)" },
		{ "192.0.2.1\t1\n192.0.2.256\t1\n\t1\n192.0.2.3\t1\n",
		  "x:2: \"192.0.2.256\" is not an address or a prefix (an IPv4 octet is 0..255)" },
		{ "{\"cidr\":\"192.0.2.1\"}\n{}\n{\n{\"cidr\":\"192.0.2.3\"}\n",
		  "x:2: \"{}\" is not an address or a prefix (an object without \"cidr\")" },
		{ "add x 192.0.2.1\nadd x 192.0.2.4 nomatch\nadd x y\nadd x 192.0.2.3\n",
		  "x:2: nomatch makes an exception, which a list of prefixes cannot have" },
	};
	const struct list_options options = { .skip_bad = true };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefixes set = { 0 };
		struct list_report report;
		char err[ERR_LEN] = "", text[128];

		CHECK(check,
		      !list_read("x", cases[i].data, strlen(cases[i].data), &options, &set, &report,
				 err),
		      "%s", err);
		CHECK(check, report.bad == 2 && report.entries == 2, "%zu bad, %zu entries",
		      report.bad, report.entries);
		CHECK(check, !strcmp(err, cases[i].err), "%s, not %s", err, cases[i].err);
		join(&set, text, sizeof(text));
		CHECK(check, !strcmp(text, "192.0.2.1 192.0.2.3"), "%s: %s", cases[i].data, text);
		prefixes_free(&set);
	}
	check_done(check, "bad lines are skipped with skip_bad", "%zu texts",
		   COUNT(cases));
}

static void test_several(struct check *check)
{
	struct prefixes set = { 0 };
	struct list_report report;
	char err[ERR_LEN] = "", text[128];

	CHECK(check, !list_read("x", "192.0.2.9\n", 10, NULL, &set, &report, err), "%s", err);
	CHECK(check, !list_read("y", "192.0.2.1\n::1\n", 14, NULL, &set, &report, err), "%s", err);
	CHECK(check, report.v4 == 1 && report.v6 == 1, "the report counts more than its own list");
	join(&set, text, sizeof(text));
	CHECK(check, !strcmp(text, "192.0.2.9 192.0.2.1 ::1"), "%s", text);
	check_done(check, "several lists into one set", "2 lists");
	prefixes_free(&set);
}

static void test_names(struct check *check)
{
	enum list_format format;

	for (int i = 0; i < LIST_FORMATS; i++)
		CHECK(check, list_format_find(list_format_name(i), &format) && (int)format == i,
		      "%s", list_format_name(i));
	CHECK(check, !list_format_find("nf", &format), "part of a name is accepted");
	check_done(check, "names of formats", "%d", LIST_FORMATS);
}

struct seen {
	size_t calls, last, total;
	bool backwards;
};

static void note_progress(void *ctx, size_t done, size_t total)
{
	struct seen *seen = ctx;

	seen->backwards |= done < seen->last || done > total;
	seen->calls++;
	seen->last = done;
	seen->total = total;
}

/* Mixed as blocklists are: mostly /32 and /24 of IPv4, and a quarter of IPv6. */
static size_t write_mixed(char *data, unsigned long long *state)
{
	char *at = data, text[PREFIX_STRLEN];
	struct prefix prefix;

	for (int i = 0; i < SPEED_LINES; i++) {
		if (i % 4) {
			prefix = prefix_v4(check_random(state), i % 10 < 7 ? 32 : 24);
		} else {
			prefix.hi = 0x2000000000000000ULL | check_random(state) >> 3;
			prefix.lo = check_random(state);
			prefix.length = i % 3 ? 64 : 128;
		}
		prefix_mask(&prefix);
		prefix_format_short(&prefix, text);
		at += sprintf(at, "%s\n", text);
	}
	return at - data;
}

static void test_speed(struct check *check)
{
	char *data = malloc((size_t)SPEED_LINES * PREFIX_STRLEN), err[ERR_LEN] = "";
	unsigned long long state = check_seed();
	struct prefixes set = { 0 };
	struct list_report report;
	struct seen seen = { 0 };
	struct list_options options = { .progress = note_progress, .ctx = &seen };
	double start;
	size_t len;

	len = write_mixed(data, &state);
	start = check_seconds();
	CHECK(check, !list_read("x", data, len, &options, &set, &report, err), "%s", err);
	start = check_seconds() - start;
	CHECK(check, report.entries == SPEED_LINES, "%zu", report.entries);
	CHECK(check, seen.calls > 2 && !seen.backwards && seen.last == len && seen.total == len,
	      "progress: %zu calls, to %zu of %zu", seen.calls, seen.last, seen.total);
	check_done(check, "a million mixed lines",
		   "%.3f s, %zu bytes, %zu prefixes, %zu calls of progress", start, len,
		   prefixes_count(&set), seen.calls);
	prefixes_free(&set);
	free(data);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	long end = 0;

	if (!file)
		return NULL;
	if (!fseek(file, 0, SEEK_END) && (end = ftell(file)) >= 0 && !fseek(file, 0, SEEK_SET))
		data = malloc(end + 1);
	*len = data ? fread(data, 1, end, file) : 0;
	fclose(file);
	return data;
}

/* Counts lines that are neither blank nor a comment, in another way than the reader does. */
static size_t entry_lines(const char *data, size_t len)
{
	bool fresh = true;
	size_t lines = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			fresh = true;
		} else if (fresh && !strchr(" \t\r", data[i])) {
			lines += !strchr("#;", data[i]);
			fresh = false;
		}
	}
	return lines;
}

/* Published lists have mistakes: such a list is refused, and then read with skip_bad. */
static void test_real(struct check *check, const char *path, const char *name)
{
	const struct list_options lenient = { .skip_bad = true };
	struct prefixes set = { 0 }, merged = { 0 };
	struct list_report report = { 0 };
	char err[ERR_LEN] = "", what[300];
	size_t len = 0;
	char *data = read_file(path, &len);
	int strict;

	CHECK(check, data, "%s cannot be read", path);
	strict = list_read(name, data, len, NULL, &set, &report, err);
	if (strict == -EINVAL)
		CHECK(check,
		      !prefixes_count(&set) &&
			      !list_read(name, data, len, &lenient, &set, &report, err) &&
			      report.bad,
		      "%s", err);
	else
		CHECK(check, !strict, "%s", err);
	CHECK(check, report.entries + report.bad == entry_lines(data, len),
	      "%zu entries in %zu lines", report.entries, entry_lines(data, len));
	if (len == IPSUM_BYTES)
		CHECK(check, report.entries == IPSUM_ENTRIES, "IPsum: %zu", report.entries);
	if (prefixes_append(&merged, &set) || prefixes_merge(&merged))
		abort();
	snprintf(what, sizeof(what), "the published list %s", name);
	check_done(check, what,
		   "%s, %zu entries, IPv4 %zu, IPv6 %zu, %zu duplicates, %zu comments, "
		   "%zu host bits, merged %zu%s%s",
		   list_format_name(report.format), report.entries, report.v4, report.v6,
		   report.duplicates, report.comments, report.host_bits, prefixes_count(&merged),
		   strict ? ", refused for " : "", strict ? err : "");
	prefixes_free(&set);
	prefixes_free(&merged);
	free(data);
}

/* Reads all lists in a folder and in those below it. Returns how many. */
static int test_folder(struct check *check, const char *folder, int depth)
{
	static const char *const suffixes[] = { ".txt", ".ipset", ".netset", ".json", ".nft" };
	struct dirent **entries;
	int count, lists = 0;

	count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name, *suffix = strrchr(name, '.');
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, name);
		if (name[0] != '.' && !suffix && depth < 3)
			lists += test_folder(check, path, depth + 1);
		for (size_t j = 0; name[0] != '.' && suffix && j < COUNT(suffixes); j++) {
			if (strcmp(suffix, suffixes[j]))
				continue;
			test_real(check, path, name);
			lists++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return lists;
}

int main(void)
{
	const char *folder = getenv("WEIR_DATA");
	struct check check = { 0 };

	test_good(&check);
	test_bad(&check);
	test_empty(&check);
	test_hostile(&check);
	test_many_ranges(&check);
	test_ranges(&check);
	test_range_ends(&check);
	test_skip_bad(&check);
	test_several(&check);
	test_names(&check);
	test_speed(&check);
	if (!folder || !test_folder(&check, folder, 0))
		check_skip("the real lists", "WEIR_DATA names no folder with lists");
	return check_exit(&check);
}
