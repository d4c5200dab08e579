// SPDX-License-Identifier: GPL-2.0-only
/* The guards: what may be blocked, allowed or loaded as a list, and by which word. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/guard.h"

static struct prefix at(const char *text)
{
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err)) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	return prefix;
}

/* Adds the prefixes of @text, which blanks separate. */
static void add(struct prefixes *set, const char *text)
{
	char copy[512], *word, *rest = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " "))) {
		struct prefix prefix = at(word);

		if (prefixes_add(set, &prefix))
			exit(1);
	}
	prefixes_sort(set, NULL);
}

static void put(struct entries *entries, const char *text, uint8_t origin)
{
	struct weir_entry value = { .origin = origin };
	struct prefix prefix = at(text);

	if (entries_put(entries, &prefix, &value) < 0)
		exit(1);
}

static uint8_t found_in(const char *list, const char *was)
{
	struct prefixes set = { 0 }, before = { 0 }, own = { 0 };
	struct settings settings = { 0 };
	struct guard_notes notes = { 0 };
	struct guard guard = { 0 };

	add(&set, list);
	add(&own, "203.0.113.7 2001:db8::7 10.1.2.3 100.64.0.7 172.16.0.7 192.168.0.7 fd00::7");
	if (was)
		add(&before, was);
	guard_leave_out(&set, &own, &notes);
	guard_list(&guard, &set, was ? &before : NULL, &settings, &own, &notes);
	prefixes_free(&set);
	prefixes_free(&before);
	prefixes_free(&own);
	return guard.found;
}

static void test_lists(struct check *check)
{
	static const struct {
		const char *list, *was;
		uint8_t found;
	} rows[] = {
		{ "198.51.100.0/24 2001:db8:1::/48", NULL, 0 },
		{ "0.0.0.0/0", NULL, WEIR_GUARD_COVERAGE | WEIR_GUARD_OWN },
		{ "::/0", NULL, WEIR_GUARD_COVERAGE | WEIR_GUARD_OWN },
		{ "8.0.0.0/8", NULL, 0 }, { "8.0.0.0/7", NULL, WEIR_GUARD_COVERAGE },
		{ "2a00::/16", NULL, 0 }, { "2a00::/15", NULL, WEIR_GUARD_COVERAGE },
		/* Three /8s are less than a 64th of what is in use, four are more. */
		{ "8.0.0.0/8 11.0.0.0/8 20.0.0.0/8", NULL, 0 },
		{ "8.0.0.0/8 11.0.0.0/8 20.0.0.0/8 30.0.0.0/8", NULL, WEIR_GUARD_COVERAGE },
		{ "8.0.0.0/8 8.0.0.0/9 8.128.0.0/9 8.1.0.0/16 11.0.0.0/8 20.0.0.0/8", NULL, 0 },
		{ "2a00::/16 2a01::/16 2a02::/16", NULL, 0 },
		{ "2a00::/16 2a01::/16 2a02::/16 2a03::/32", NULL, WEIR_GUARD_COVERAGE },
		/* Not the Internet: left out. */
		{ "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 "
		  "192.168.0.0/16 224.0.0.0/3 fc00::/7 fe80::/10 ff00::/8 ::1", NULL, 0 },
		{ "203.0.113.0/24", NULL, WEIR_GUARD_OWN }, { "2001:db8::/64", NULL, WEIR_GUARD_OWN },
		{ "203.0.113.0/30 203.0.113.8/29", NULL, 0 }, { "10.2.0.0/16", NULL, 0 },
		/* Ten times as many, or as few: prefixes, addresses, /64s. */
		{ "9.0.0.1 9.0.0.2 9.0.0.3 9.0.0.4 9.0.0.5 9.0.0.6 9.0.0.7 9.0.0.8 9.0.0.9", "9.0.0.1", 0 },
		{ "9.0.0.1 9.0.0.2 9.0.0.3 9.0.0.4 9.0.0.5 9.0.0.6 9.0.0.7 9.0.0.8 9.0.0.9 9.0.0.10",
		  "9.0.0.1", WEIR_GUARD_SIZE },
		{ "9.0.0.0/16 8.0.0.0/19", "9.0.0.0/20 8.0.0.0/20", 0 },
		{ "9.0.0.0/16 8.0.0.0/16", "9.0.0.0/20 8.0.0.0/20", WEIR_GUARD_SIZE },
		{ "9.0.0.0/20 8.0.0.0/20", "9.0.0.0/16 8.0.0.0/16", WEIR_GUARD_SIZE },
		{ "9.0.0.0/24 8.0.0.1", "9.0.0.1 8.0.0.1", 0 },	/* small by any measure */
		{ "9.0.0.0/22 8.0.0.1", "9.0.0.1 8.0.0.1", WEIR_GUARD_SIZE },
		{ "2a00:1::/28", "2a00:1::/32", WEIR_GUARD_SIZE },
		{ "2a00:1::/30", "2a00:1::/32", 0 },
		{ "2a00:1::/48", "2a00:1::/64", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t found = found_in(rows[i].list, rows[i].was);

		CHECK(check, found == rows[i].found, "%s after %s: %#x, not %#x", rows[i].list,
		      rows[i].was ? rows[i].was : "nothing", found, rows[i].found);
	}
	check_done(check, "lists", "%zu of them: the guards that object", sizeof(rows) / sizeof(*rows));
}

/* 733 prefixes, none shorter than /8, that leave out little but what would have been noticed. */
static void test_nearly_everything(struct check *check)
{
	struct prefixes set = { 0 }, own = { 0 };
	struct settings settings = { 0 };
	struct guard_notes notes = { 0 };
	struct guard guard = { 0 };
	char err[ERR_LEN] = "";
	struct prefix address = at("203.0.113.7");

	add(&own, "203.0.113.7");
	for (uint32_t top = 1; top < 224; top++) {
		struct prefix prefix = prefix_v4(top << 24, 8);

		if (!prefix_covers(&prefix, &address) && prefixes_add(&set, &prefix))
			exit(1);
	}
	for (int length = 9; length <= 32; length++) {
		struct prefix prefix = prefix_v4(address.lo ^ 1U << (32 - length), length);

		prefix_mask(&prefix);
		if (prefixes_add(&set, &prefix))
			exit(1);
	}
	prefixes_sort(&set, NULL);
	guard_leave_out(&set, &own, &notes);
	guard_list(&guard, &set, NULL, &settings, &own, &notes);
	CHECK(check, guard.found == WEIR_GUARD_COVERAGE, "%#x", guard.found);
	CHECK(check, guard_verdict(&guard, err) == -EPERM && strstr(err, "100.0 % of the IPv4") == NULL &&
	      strstr(err, "force coverage"), "%s", err);
	check_done(check, "nearly everything", "%s", err);
	prefixes_free(&set);
	prefixes_free(&own);
}

static void test_left_out(struct check *check)
{
	struct guard_notes notes = { 0 };
	struct prefixes set = { 0 }, wanted = { 0 }, own = { 0 };
	char note[ERR_LEN];
	bool same = true;

	/* What only touches or covers a range stays, and in a private one what is not the host's. */
	add(&own, "10.1.2.3 fd00::7");
	add(&set, "10.0.0.0/8 10.1.2.0/24 9.0.0.0/8 11.0.0.0/8 8.0.0.0/6 127.0.0.1 192.168.0.0/16 "
		  "10.1.2.4 10.2.0.0/16 192.168.3.0/24 fd00::/32 224.0.0.0/4 172.32.0.0/16 fe80::1 "
		  "2001:db8::/32 fd00::/8 fd00:1::/32");
	add(&wanted, "9.0.0.0/8 11.0.0.0/8 8.0.0.0/6 10.1.2.4 10.2.0.0/16 192.168.0.0/16 192.168.3.0/24 "
		     "172.32.0.0/16 2001:db8::/32 fd00:1::/32");
	guard_leave_out(&set, &own, &notes);
	for (size_t i = 0; i < prefixes_count(&wanted); i++) {
		struct prefix prefix = prefixes_at(&wanted, i);

		same &= prefixes_has(&set, &prefix);
	}
	CHECK(check, same && prefixes_count(&set) == prefixes_count(&wanted) && notes.left_out == 7,
	      "%zu stay, %zu are left out", prefixes_count(&set), notes.left_out);
	CHECK(check, guard_note(&notes, 0, note) && strstr(note, "7 prefixes") &&
	      strstr(note, "10.0.0.0/8") && strstr(note, "force own"), "%s", note);
	CHECK(check, !guard_note(&notes, 1, note), "a second note: %s", note);
	check_done(check, "left out", "%s", note);
	prefixes_free(&set);
	prefixes_free(&wanted);
	prefixes_free(&own);
}

static uint8_t found_for(const struct settings *settings, const char *text, bool block)
{
	struct prefixes own = { 0 };
	struct prefix prefix = at(text);
	struct guard guard = { 0 };

	add(&own, "203.0.113.7 2001:db8::7");
	if (block)
		guard_block(&guard, &prefix, settings, &own);
	else
		guard_allow(&guard, &prefix, settings);
	prefixes_free(&own);
	return guard.found;
}

static void test_entries(struct check *check)
{
	static const struct {
		bool block;
		const char *prefix;
		uint8_t found;
	} rows[] = {
		{ true, "192.0.2.0/24", 0 }, { true, "0.0.0.0/1", WEIR_GUARD_COVERAGE },
		{ true, "203.0.113.0/24", WEIR_GUARD_OWN },
		{ true, "198.51.100.0/24", WEIR_GUARD_ALLOW },	/* covers an allow entry */
		{ true, "198.51.100.7", WEIR_GUARD_ALLOW },
		{ true, "198.51.101.64/26", WEIR_GUARD_ALLOW },	/* lies in one */
		{ true, "10.0.0.0/8", 0 }, { true, "224.0.0.0/3", 0 },
		{ false, "198.51.100.0/24", 0 }, { false, "10.0.0.0/8", 0 },
		{ false, "0.0.0.0/0", WEIR_GUARD_COVERAGE | WEIR_GUARD_BLOCK },
		{ false, "2000::/3", WEIR_GUARD_COVERAGE }, { false, "128.0.0.0/1", WEIR_GUARD_COVERAGE |
									      WEIR_GUARD_BLOCK },
		{ false, "192.0.0.0/7", WEIR_GUARD_COVERAGE }, { false, "192.0.0.0/8", 0 },
		{ false, "192.88.99.0/24", 0 },	/* covers a ban of the daemon */
		{ false, "198.18.0.0/15", WEIR_GUARD_BLOCK }, { false, "198.18.5.0/24", 0 },	/* a remark */
		{ false, "198.18.5.7", 0 },	/* an exception from a block entry */
		{ false, "fc00::/7", 0 },
	};
	struct settings settings = { 0 };

	put(&settings.allow, "198.51.100.7", WEIR_BY_OPERATOR);
	put(&settings.allow, "198.51.101.0/24", WEIR_BY_OPERATOR);
	put(&settings.block, "198.18.5.0/24", WEIR_BY_OPERATOR);
	put(&settings.block, "192.88.99.7", WEIR_BY_DAEMON);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t found = found_for(&settings, rows[i].prefix, rows[i].block);

		CHECK(check, found == rows[i].found, "%s %s: %#x, not %#x",
		      rows[i].block ? "block" : "allow", rows[i].prefix, found, rows[i].found);
	}
	entries_free(&settings.allow);
	entries_free(&settings.block);
	check_done(check, "entries", "%zu of them: the guards that object",
		   sizeof(rows) / sizeof(*rows));
}

static void test_words(struct check *check)
{
	struct guard guard = { .passed = WEIR_GUARD_COVERAGE };
	struct prefixes own = { 0 };
	struct settings settings = { 0 };
	struct prefix all = at("0.0.0.0/0");
	char err[ERR_LEN] = "", text[GUARD_TEXT];
	uint8_t bare = WEIR_GUARD_ALL, named = WEIR_GUARD_ALL | WEIR_GUARD_OWN, alone = WEIR_GUARD_SIZE;

	CHECK(check, !guard_words(&bare, err) && bare == WEIR_GUARD_ALL, "%#x: %s", bare, err);
	CHECK(check, !guard_words(&named, err) && named == WEIR_GUARD_OWN, "%#x: %s", named, err);
	CHECK(check, guard_words(&alone, err) == -EINVAL && strstr(err, "force size"), "%s", err);
	CHECK(check, !strcmp(guard_format(named, text), " force own"), "%s", text);
	CHECK(check, !strcmp(guard_format(bare, text), " force"), "%s", text);
	CHECK(check, !*guard_format(0, text), "%s", text);
	CHECK(check, !strcmp(guard_format(0x7e, text), " force own allow block size coverage ssh"), "%s",
	      text);

	/* One guard is overruled, the other is not: the words name both, so the next try succeeds. */
	add(&own, "203.0.113.7");
	guard_block(&guard, &all, &settings, &own);
	CHECK(check, guard_verdict(&guard, err) == -EPERM && strstr(err, "203.0.113.7") &&
	      strstr(err, "`force own coverage`"), "%s", err);
	guard = (struct guard){ .passed = WEIR_GUARD_ALL };
	guard_block(&guard, &all, &settings, &own);
	CHECK(check, !guard_verdict(&guard, err), "%s", err);
	CHECK(check, guard_kept(&guard) == (WEIR_GUARD_OWN | WEIR_GUARD_COVERAGE), "%#x",
	      guard_kept(&guard));
	check_done(check, "the words", "bare, named, and named in messages");
	prefixes_free(&own);
}

static void test_spans(struct check *check)
{
	struct span few = { .v4 = 1000 }, wide = { .v4 = 1ULL << 30 }, one = { .v4 = 1 }, wider = wide;
	struct guard guard = { 0 };

	wider.v4++;
	guard_span(&guard, "allow", &few, &one, &few);
	CHECK(check, !guard.found, "few: %s", guard.why);
	guard_span(&guard, "allow", &wide, &one, &wider);
	CHECK(check, !guard.found, "one more, after a wide one was forced: %s", guard.why);
	guard_span(&guard, "allow", &few, &one, &wide);
	CHECK(check, guard.found == WEIR_GUARD_COVERAGE, "the drop in the bucket");
	guard = (struct guard){ 0 };
	guard_span(&guard, "allow", &wide, &wide, &wider);
	CHECK(check, guard.found == WEIR_GUARD_COVERAGE, "a second wide one");
	check_done(check, "all entries together", "%s", guard.why);
}

int main(void)
{
	struct check check = { 0 };

	test_lists(&check);
	test_nearly_everything(&check);
	test_left_out(&check);
	test_entries(&check);
	test_words(&check);
	test_spans(&check);
	return check_exit(&check);
}
