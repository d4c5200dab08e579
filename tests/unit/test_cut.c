// SPDX-License-Identifier: GPL-2.0-only
/* Which settings cut off an interactive connection. */
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/cut.h"
#include "user/model/error.h"
#include "user/model/limit_words.h"

static struct prefix prefix(const char *text)
{
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	prefix_parse(text, &prefix, NULL, err);
	return prefix;
}

/* Whether a limit or budget of these words cuts off a connection to port 22 from 192.0.2.2. */
static bool cut_by(const char *line, bool budget, bool allowed)
{
	const struct connection connection = { prefix("192.0.2.2"), prefix("192.0.2.1"), 22, 40000 };
	struct weir_entry entry = { 0 };
	struct limit_words w;
	struct settings settings;
	char text[200], *at[20], rule[CUT_RULE], err[ERR_LEN];
	struct words words = { at };
	struct prefix peer = prefix("192.0.2.2");
	size_t count = 0;
	bool cut;

	if (settings_init(&settings))
		return false;
	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		at[count++] = word;
	at[count] = NULL;
	if (allowed)
		entries_put(&settings.allow, &peer, &entry);
	if (parse_limit_words(&words, budget ? BUDGET_TO_SET : LIMIT_TO_SET, &w, err) ||
	    (budget ? budget_set(settings.policy, "b", &w.spec, err) :
		      policy_set(settings.policy, &w.spec, w.v4_bits, w.v6_bits, 0, err)) < 0 ||
	    policy_compile(settings.policy, err))
		fprintf(stderr, "%s: %s\n", line, err);
	cut = settings_cut(&settings, &connection, 0, rule);
	settings_free(&settings);
	return cut;
}

int main(void)
{
	static const char *const slow[] = {
		"rate 19pps", "rate 1pps", "rate 1199/min", "rate 71999/h", "rate 63kbit",
		"rate 1kpps rate 1kbit", "from 192.0.2.0/24 rate 1pps", "dport 22 rate 1pps",
		"dport 1-1000 rate 1pps", "proto tcp rate 1pps", "sport 40000 rate 1pps",
		"dport 22 sport 1024-65535 rate 1pps",
	};
	static const char *const harmless[] = {
		"rate 20pps", "rate 1200/min", "rate 72000/h", "rate 64kbit", "from 192.0.2.3 rate 1pps",
		"dport 23 rate 1pps", "proto udp rate 1pps", "syn rate 1pps", "fragment rate 1pps",
		"from 2001:db8::/32 rate 1pps", "sport 22 rate 1pps", "dport 22 sport 1-1023 rate 1pps",
	};
	struct check check = { 0 };

	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++) {
		CHECK(&check, cut_by(slow[i], false, false), "%s does not", slow[i]);
		CHECK(&check, !cut_by(slow[i], false, true), "%s does though it is allowed", slow[i]);
	}
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		CHECK(&check, !cut_by(harmless[i], false, false), "%s does", harmless[i]);
	CHECK(&check, cut_by("rate 10pps", true, false) && cut_by("to 192.0.2.1 rate 10pps", true, false) &&
	      !cut_by("to 192.0.2.9 rate 10pps", true, false) && !cut_by("rate 1kpps", true, false),
	      "budgets");
	check_done(&check, "what cuts off a connection", "%zu limits that do, %zu that do not",
		   sizeof(slow) / sizeof(*slow), sizeof(harmless) / sizeof(*harmless));
	return check_exit(&check);
}
