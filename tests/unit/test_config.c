// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's settings file is read, and mistakes in it are refused with their line. */
#include <string.h>
#include <time.h>

#include "tests/unit/check.h"
#include "user/model/config.h"
#include "user/model/guard.h"
#include "user/model/error.h"

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define S		1000000000ULL
#define EXAMPLE		"examples/weir.yaml"

static int parse(const char *text, struct config *config, char *err)
{
	err[0] = '\0';
	return config_parse("f", text, strlen(text), config, err);
}

static void test_defaults(struct check *check)
{
	static const char *const nothing[] = { "", "# no more than this\n", "sources:\n",
					       "sources:\n  # windows: 4\nlog:\n" };
	struct config config, defaults;
	char err[ERR_LEN];

	config_defaults(&defaults);
	CHECK(check, !defaults.judge.enforce && defaults.window_ns == S &&
	      defaults.judge.source.windows == 3 && defaults.judge.source.longest_ban_ns == 3600 * S &&
	      !strcmp(defaults.known_file, "/var/lib/weir/known") && defaults.http_port == 9108,
	      "the defaults are others");
	for (size_t i = 0; i < COUNT(nothing); i++) {
		memset(&config, 0xff, sizeof(config));
		CHECK(check, !parse(nothing[i], &config, err), "\"%s\": %s", nothing[i], err);
		CHECK(check, !memcmp(&config.judge, &defaults.judge, sizeof(config.judge)),
		      "\"%s\" is not the defaults", nothing[i]);
	}
	check_done(check, "defaults", "%zu files that say nothing", COUNT(nothing));
}

static void test_values(struct check *check)
{
	static const char text[] =
		"mode: enforce\n"
		"window: 2s\n"
		"sources: {windows: 7, longest: 2h}\n"
		"networks:\n"
		"    share: 0\n"
		"lists:\n"
		"  watch: no\n"
		"  load:\n"
		"  - name: drop\n"
		"    file: /srv/drop.txt\n"
		"    every: 6h\n"
		"  - {name: mine, file: '/srv/my list', skip_bad: yes, format: ipset,\n"
		"     force: [own, coverage]}\n"
		"state:\n"
		"  known: \"\"\n"
		"log: {drops: off}\n"
		"http: {address: '::1', port: 0, socket: /run/weir/http, socket_group: adm}\n";
	struct config c;
	char err[ERR_LEN];

	CHECK(check, !parse(text, &c, err), "%s", err);
	CHECK(check, c.judge.enforce && c.window_ns == 2 * S && c.judge.source.windows == 7 &&
	      c.judge.source.longest_ban_ns == 7200 * S && !c.judge.network.share_permille, "scalars");
	CHECK(check, c.judge.source.times == 2 && c.settle_ns == 2 * S, "what was not said");
	CHECK(check, !c.watch && c.list_count == 2 && !strcmp(c.lists[0].name, "drop") &&
	      c.lists[0].every_ns == 6 * 3600 * S && !c.lists[0].skip_bad &&
	      !strcmp(c.lists[0].format, "auto") && c.lists[1].skip_bad &&
	      !strcmp(c.lists[1].file, "/srv/my list") && !c.lists[1].every_ns && !c.lists[0].force &&
	      c.lists[1].force == (WEIR_GUARD_OWN | WEIR_GUARD_COVERAGE), "lists");
	CHECK(check, !c.known_file[0] && c.settings_file[0] && !c.log_drops_ns && !c.http_port, "off");
	CHECK(check, !strcmp(c.http_address, "::1") && !strcmp(c.http_socket, "/run/weir/http") &&
	      !strcmp(c.http_socket_group, "adm"), "http");
	CHECK(check, !c.mode_was_monitor && !parse("mode: monitor\n", &c, err) && !c.judge.enforce &&
	      c.mode_was_monitor, "the older name of mode judge");
	check_done(check, "values", "both ways to write a mapping; an older name of a mode");
}

static void test_refused(struct check *check)
{
	static const struct {
		const char *text, *line, *about;
	} bad[] = {
		{ "mode: enforce\nsources:\n  windows: 3\n  widnows: 4\n", "f:4:", "widnows" },
		{ "foo: 1\n", "f:1:", "foo" },
		{ "\n\nnetworks:\n\n  foo: 1\n", "f:5:", "foo" },
		{ "window: 1s\nlists:\n  load:\n  - name: a\n    file: /a\n  - name: b\n"
		  "    flie: /b\n", "f:7:", "flie" },
		{ "mode: on\n", "f:1:", "\"on\"" },
		{ "window: 1s\nwindow: 2s\n", "f:2:", "window" },
		{ "sources:\n  windows: -1\n", "f:2:", "windows" },
		{ "sources:\n  windows: 0\n", "f:2:", "windows" },
		{ "sources:\n  times: 1\n", "f:2:", "times" },
		{ "sources:\n  ban: 60\n", "f:2:", "60" },
		{ "sources:\n  ban: 2h\n", "f", "longer than longest" },
		{ "rules: on\n", "f:1:", "off, suggest or auto" },
		{ "rules: auto\nstate:\n  calm: \"\"\n", "f", "names no file" },
		{ "auto_rules:\n  most: 17\n", "f:2:", "17" },
		{ "auto_rules:\n  ttl: 10m\n  longest: 5m\n", "f", "longer than longest" },
		{ "sources: 3\n", "f:1:", "" },
		{ "window: [1s]\n", "f:1:", "" },
		{ "window: 2m\n", "f:1:", "1m" },
		{ "http:\n  port: 65536\n", "f:2:", "port" },
		{ "http:\n  address: localhost\n", "f:2:", "localhost" },
		{ "http:\n  address: 127.0.0.1:80\n", "f:2:", "not an IPv4 or IPv6 address" },
		{ "http:\n  address: \"\"\n", "f:2:", "not an IPv4 or IPv6 address" },
		{ "http:\n  socket: weir/http\n", "f:2:", "absolute" },
		{ "http:\n  socket: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", "f:2:", "107" },
		{ "lists:\n  load:\n  - {name: A b, file: /a}\n", "f:3:", "list name" },
		{ "lists:\n  load:\n  - {name: ../a, file: /a}\n", "f:3:", "list name" },
		{ "lists:\n  load:\n  - {name: a, file: /a, format: csv}\n", "f:3:", "csv" },
		{ "window: [[[[[[[[[[1s]]]]]]]]]]\n", "f:1:", "nested" },
		{ "lists:\n  load:\n  - name: a\n", "f:3:", "file" },
		{ "lists:\n  load:\n  - {name: a, file: a}\n", "f:3:", "absolute" },
		{ "lists:\n  load:\n  - {name: a, file: /a}\n  - {name: a, file: /b}\n", "f:4:",
		  "twice" },
		{ "lists:\n  load:\n  - name: a\n    file: /a\n    force: [own, block]\n",
		  "f:5:", "\"block\"" },
		{ "lists:\n  load:\n  - {name: a, file: /a, force: own}\n", "f:3:", "" },
		{ "window: 1s\n\tmode: judge\n", "f:", "tab" },
		{ "window: 1s\n---\nfoo: 1\n", "f:", "document" },
		{ "window: &x 1s\nundo: *x\n", "f:2:", "" },
		{ "- a\n", "f:1:", "" },
		{ "window: \"\xff\"\n", "f:", "" },
	};
	struct config config, before;
	char err[ERR_LEN];

	config_defaults(&config);
	config.window_ns = 12345;
	before = config;
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK(check, parse(bad[i].text, &config, err), "taken: %s", bad[i].text);
		CHECK(check, !strncmp(err, bad[i].line, strlen(bad[i].line)), "not %s: %s",
		      bad[i].line, err);
		CHECK(check, strstr(err, bad[i].about), "\"%s\" is not in: %s", bad[i].about, err);
	}
	CHECK(check, !memcmp(&config, &before, sizeof(config)), "a refused file changed something");
	check_done(check, "refused", "%zu files, each with its line", COUNT(bad));
}

/*
 * Files that are made to take long. Without bounds the deepest took more than 15 s; the second is
 * what libyaml alone may be slow with in the size that is read.
 */
static void test_hostile(struct check *check)
{
	static const struct {
		char fill;
		size_t size;
		const char *about;
	} files[] = {
		{ '[', 500000, "larger than 64 KiB" }, { '[', 65536, "nested" },
		{ '{', 65536, "nested" }, { '-', 65537, "larger than 64 KiB" },
	};
	static char text[500000];
	struct config config;
	char err[ERR_LEN];
	clock_t began = clock();

	config_defaults(&config);
	for (size_t i = 0; i < COUNT(files); i++) {
		memset(text, files[i].fill, files[i].size);
		CHECK(check, config_parse("f", text, files[i].size, &config, err), "%zu of %c are taken",
		      files[i].size, files[i].fill);
		CHECK(check, strstr(err, files[i].about), "\"%s\" is not in: %s", files[i].about, err);
	}
	/* Blocks: each level is a line of its own, with one more blank. */
	for (size_t i = 0, at = 0; i < 300; i++)
		at += snprintf(text + at, sizeof(text) - at, "%*s-\n", (int)i, "");
	CHECK(check, config_parse("f", text, strlen(text), &config, err) && strstr(err, "f:9: "),
	      "deep blocks: %s", err);
	CHECK(check, clock() - began < 5 * CLOCKS_PER_SEC, "%.1f s of CPU time",
	      (double)(clock() - began) / CLOCKS_PER_SEC);
	check_done(check, "hostile files", "%zu files, %.3f s of CPU time", COUNT(files) + 1,
		   (double)(clock() - began) / CLOCKS_PER_SEC);
}

/* The table of keys and the example that ships agree. */
static void test_example(struct check *check)
{
	struct config config, defaults;
	char err[ERR_LEN], said[CONFIG_TEXT], should[CONFIG_TEXT], line[128];
	FILE *file = fopen(EXAMPLE, "re");
	static char text[1 << 16];
	size_t keys = 0;

	if (!file) {
		check_skip("the example", EXAMPLE " is not in this folder");
		return;
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	config_defaults(&defaults);
	CHECK(check, !config_read(EXAMPLE, &config, err), "%s", err);
	for (const struct config_key *key = config_keys; key->name; key++, keys++) {
		snprintf(line, sizeof(line), "%s:", key->name);
		CHECK(check, strstr(text, line), "%s is not in it", key->name);
		CHECK(check, key->help[0] && (!key->initial || strlen(key->initial) < sizeof(said)),
		      "%s has no help", key->name);
		if (!strcmp(key->section, "lists.load") || key->kind == CONFIG_MODE)
			continue;
		config_format(key, &config, said, sizeof(said));
		config_format(key, &defaults, should, sizeof(should));
		CHECK(check, !strcmp(said, should), "%s: %s in the example, %s by default", key->name,
		      said, should);
	}
	check_done(check, "the example", "%zu keys, all there, with their defaults", keys);
}

int main(void)
{
	struct check check = { 0 };

	test_defaults(&check);
	test_values(&check);
	test_refused(&check);
	test_hostile(&check);
	test_example(&check);
	return check_exit(&check);
}
