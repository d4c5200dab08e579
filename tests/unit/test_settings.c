// SPDX-License-Identifier: GPL-2.0-only
/* Entries that cover one another: when a block ends, and whether it spares known sources. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/settings.h"

#define ROUNDS	2000

static void put(struct entries *entries, const char *text, uint64_t until_ns, bool spare)
{
	struct weir_entry value = { .until_ns = until_ns, .spare_known = spare };
	struct prefix prefix;
	char err[ERR_LEN];

	if (!prefix_parse(text, &prefix, NULL, err))
		entries_put(entries, &prefix, &value);
}

static const struct weir_entry *at(const struct entries *entries, const char *text)
{
	struct prefix prefix;
	char err[ERR_LEN];

	prefix_parse(text, &prefix, NULL, err);
	return &entries_find(entries, &prefix)->value;
}

static void test_spare(struct check *check)
{
	struct entries e = { 0 };

	put(&e, "192.0.2.0/24", 100, true);		/* set by the daemon */
	put(&e, "192.0.2.0/28", 50, false);		/* set by the operator, inside it */
	put(&e, "192.0.2.7", 200, true);		/* inside both */
	put(&e, "192.0.2.128/25", 300, true);
	put(&e, "198.51.100.0/24", 0, false);		/* permanent */
	put(&e, "198.51.100.0/28", 100, true);
	entries_resolve(&e);
	CHECK(check, at(&e, "192.0.2.0/24")->effective_spare, "an entry without others around it");
	CHECK(check, !at(&e, "192.0.2.0/28")->effective_spare, "the entry itself does not spare");
	CHECK(check, !at(&e, "192.0.2.7")->effective_spare, "the operator's ban around it does not spare");
	CHECK(check, at(&e, "192.0.2.128/25")->effective_spare &&
	      at(&e, "192.0.2.128/25")->effective_ns == 300, "both entries spare");
	CHECK(check, !at(&e, "198.51.100.0/28")->effective_spare &&
	      !at(&e, "198.51.100.0/28")->effective_ns, "inside a permanent entry");
	entries_expire(&e, 60);
	entries_resolve(&e);
	CHECK(check, at(&e, "192.0.2.7")->effective_spare, "the operator's ban has ended");
	free(e.at);
	check_done(check, "bans that spare known sources", "pass only where all covering entries do");
}

/* Compared with the definition, entry by entry, on random nested prefixes. */
static void test_random(struct check *check)
{
	unsigned long long state = check_seed();
	size_t compared = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct entries e = { 0 };

		for (int i = 0; i < 12; i++) {
			uint64_t r = check_random(&state);
			struct prefix prefix = prefix_v4(0xc0000200 | (r & 0xff), 24 + r % 9);
			struct weir_entry value = { .until_ns = r >> 8 & 3,
						    .spare_known = r >> 16 & 1 };

			if (r >> 24 & 1)	/* prefixes of IPv6 that enclose these, or lie near */
				prefix = (struct prefix){ 0, prefix.lo ^ (r >> 25 & 1ULL) << 48,
							  60 + (r >> 32) % 36 };
			prefix_mask(&prefix);
			entries_put(&e, &prefix, &value);
		}
		entries_resolve(&e);
		for (size_t i = 0; i < e.count; i++, compared++) {
			bool spare = true, for_good = false;
			uint64_t end = 0;

			for (size_t n = 0; n < e.count; n++) {
				const struct weir_entry *value = &e.at[n].value;

				if (!prefix_covers(&e.at[n].prefix, &e.at[i].prefix))
					continue;
				spare &= value->spare_known;
				for_good |= !value->until_ns;
				if (value->until_ns > end)
					end = value->until_ns;
			}
			CHECK(check, e.at[i].value.effective_spare == spare &&
			      e.at[i].value.effective_ns == (for_good ? 0 : end),
			      "round %d, entry %zu", round, i);
		}
		free(e.at);
	}
	check_done(check, "entries compared with the definition", "%zu compared", compared);
}

static void test_inside(struct check *check)
{
	struct prefix wide, narrow, beside;
	struct entries e = { 0 };
	char err[ERR_LEN];

	put(&e, "192.0.2.64/26", 0, false);
	put(&e, "2001:db8::1", 0, false);
	prefix_parse("192.0.2.0/24", &wide, NULL, err);
	prefix_parse("192.0.2.64/27", &narrow, NULL, err);
	prefix_parse("192.0.2.0/26", &beside, NULL, err);
	CHECK(check, entries_inside(&e, &wide) == &e.at[0], "inside a wider one");
	CHECK(check, entries_inside(&e, &e.at[0].prefix) == &e.at[0], "itself");
	CHECK(check, !entries_inside(&e, &narrow), "a wider one is not inside");
	CHECK(check, !entries_inside(&e, &beside), "beside");
	/* ::/0 holds no address of IPv4, though the entry of IPv4 stands first. */
	prefix_parse("::/0", &wide, NULL, err);
	CHECK(check, entries_inside(&e, &wide) == &e.at[1], "an entry of IPv4 inside ::/0");
	prefix_parse("::/8", &wide, NULL, err);
	CHECK(check, !entries_inside(&e, &wide), "an entry of IPv4 inside ::/8");
	free(e.at);
	check_done(check, "entries inside a prefix", "6 cases");
}

struct walk {
	char text[512];
	int stop_at;
};

static int note_difference(const struct entry *was, const struct entry *is, void *arg)
{
	const struct entry *entry = is ? is : was;
	struct walk *walk = arg;
	size_t used = strlen(walk->text);
	char text[PREFIX_STRLEN];

	prefix_format_short(&entry->prefix, text);
	snprintf(walk->text + used, sizeof(walk->text) - used, "%s%s%s", used ? " " : "",
		 !was ? "+" : !is ? "-" : was->value.until_ns == is->value.until_ns ? "=" : "~", text);
	return walk->stop_at && !--walk->stop_at ? 7 : 0;
}

static void test_diff(struct check *check)
{
	struct entries none = { 0 }, was = { 0 }, is = { 0 };
	struct walk walk = { "" };

	put(&was, "192.0.2.1", 1, false);
	put(&was, "192.0.2.3", 1, false);
	put(&was, "192.0.2.4", 1, false);
	put(&is, "192.0.2.2", 1, false);
	put(&is, "192.0.2.3", 2, false);
	put(&is, "192.0.2.4", 1, false);
	put(&is, "2001:db8::/32", 1, false);
	CHECK(check, !entries_diff(&was, &is, note_difference, &walk) &&
	      !strcmp(walk.text, "-192.0.2.1 +192.0.2.2 ~192.0.2.3 =192.0.2.4 +2001:db8::/32"),
	      "%s", walk.text);
	walk = (struct walk){ "" };
	CHECK(check, !entries_diff(&none, &was, note_difference, &walk) &&
	      !strcmp(walk.text, "+192.0.2.1 +192.0.2.3 +192.0.2.4"), "%s", walk.text);
	walk = (struct walk){ "" };
	CHECK(check, !entries_diff(&was, &none, note_difference, &walk) &&
	      !strcmp(walk.text, "-192.0.2.1 -192.0.2.3 -192.0.2.4"), "%s", walk.text);
	walk = (struct walk){ .stop_at = 2 };
	CHECK(check, entries_diff(&was, &is, note_difference, &walk) == 7 &&
	      !strcmp(walk.text, "-192.0.2.1 +192.0.2.2"), "stops: %s", walk.text);
	free(was.at);
	free(is.at);
	check_done(check, "the difference of two sets of entries", "4 walks");
}

int main(void)
{
	struct check check = { 0 };

	test_spare(&check);
	test_random(&check);
	test_inside(&check);
	test_diff(&check);
	return check_exit(&check);
}
