// SPDX-License-Identifier: GPL-2.0-only
/* The file of known sources: its version, and which of its sources are proven for long. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/error.h"
#include "user/model/known_file.h"

static struct check check;

static int read_text(const char *text, struct prefixes *all, struct prefixes *lasting, char *err)
{
	*all = *lasting = (struct prefixes){ 0 };
	return known_file_read("f", text, strlen(text), all, lasting, err);
}

static void test_version(void)
{
	static const struct {
		const char *text;
		unsigned int version;
	} cases[] = {
		{ "", 0 }, { "198.51.100.1\n", 0 }, { "# weir known sources\n", 0 },
		{ "# weir known sources, version ", 0 }, { "# weir known sources, version 2", 2 },
		{ "# weir known sources, version 2\n", 2 }, { "# weir known sources, version 2x\n", 0 },
		{ "\n# weir known sources, version 2\n", 0 },
		{ "# weir known sources, version 99\n198.51.100.1\n", 99 },
		{ "# weir known sources, version 99999999999999\n", 0 },
	};
	size_t count = sizeof(cases) / sizeof(*cases);

	for (size_t i = 0; i < count; i++) {
		unsigned int version = known_file_version(cases[i].text, strlen(cases[i].text));

		CHECK(&check, version == cases[i].version, "%s: %u", cases[i].text, version);
	}
	check_done(&check, "the version of a file of known sources", "%zu files", count);
}

static void test_read(void)
{
	static const struct {
		const char *text;
		int rc;
		size_t all, lasting;
	} cases[] = {
		{ "# weir known sources, version 2\n198.51.100.1\n198.51.100.2 # long\n"
		  "2001:db8:1::/64 # long\n", 0, 3, 2 },
		{ "# weir known sources, version 2\n198.51.100.1 # long\r\n198.51.100.2 # long", 0, 2, 2 },
		{ "# weir known sources, version 2\n# long\n198.51.100.1 # longer\n", 0, 1, 0 },
		{ "# weir known sources, version 2\n", 0, 0, 0 },
		{ "# weir known sources, version 2\n198.51.100.1 long\n", -1, 0, 0 },
		{ "# weir known sources, version 3\n198.51.100.1\n", -1, 0, 0 },
		{ "198.51.100.1 # long\n198.51.100.2\n", 0, 2, 0 },	/* no version: any list */
		{ "198.51.100.1\nno address\n", -1, 0, 0 },
	};
	size_t count = sizeof(cases) / sizeof(*cases);

	for (size_t i = 0; i < count; i++) {
		struct prefixes all, lasting;
		char err[ERR_LEN] = "";
		int rc = read_text(cases[i].text, &all, &lasting, err);

		CHECK(&check, (rc < 0) == (cases[i].rc < 0) && (rc == 0) == (*err == '\0'),
		      "case %zu: %d %s", i, rc, err);
		CHECK(&check, rc || (prefixes_count(&all) == cases[i].all &&
				     prefixes_count(&lasting) == cases[i].lasting),
		      "case %zu: %zu and %zu", i, prefixes_count(&all), prefixes_count(&lasting));
		prefixes_free(&all);
		prefixes_free(&lasting);
	}
	check_done(&check, "files of known sources are read, or refused", "%zu files", count);
}

int main(void)
{
	test_version();
	test_read();
	return check_exit(&check);
}
