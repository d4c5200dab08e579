// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "user/model/error.h"
#include "user/model/icmp_types.h"
#include "user/model/parse.h"

#define BOTH(name, v4, v6)	{ name, { (v4) + 1, (v6) + 1 } }
#define ONLY_V4(name, v4)	{ name, { (v4) + 1, 0 } }
#define ONLY_V6(name, v6)	{ name, { 0, (v6) + 1 } }

/* The names are those of nft. */
static const struct {
	const char *name;
	struct icmp_types types;
} messages[] = {
	BOTH("echo-reply", 0, 129),
	BOTH("destination-unreachable", 3, 1),
	ONLY_V4("source-quench", 4),
	BOTH("redirect", 5, 137),
	BOTH("echo-request", 8, 128),
	BOTH("router-advertisement", 9, 134),
	BOTH("router-solicitation", 10, 133),
	BOTH("time-exceeded", 11, 3),
	BOTH("parameter-problem", 12, 4),
	ONLY_V4("timestamp-request", 13),
	ONLY_V4("timestamp-reply", 14),
	ONLY_V4("info-request", 15),
	ONLY_V4("info-reply", 16),
	ONLY_V4("address-mask-request", 17),
	ONLY_V4("address-mask-reply", 18),
	ONLY_V6("packet-too-big", 2),
	ONLY_V6("mld-listener-query", 130),
	ONLY_V6("mld-listener-report", 131),
	ONLY_V6("mld-listener-done", 132),
	ONLY_V6("nd-neighbor-solicit", 135),
	ONLY_V6("nd-neighbor-advert", 136),
	ONLY_V6("router-renumbering", 138),
	ONLY_V6("ind-neighbor-solicit", 141),
	ONLY_V6("ind-neighbor-advert", 142),
	ONLY_V6("mld2-listener-report", 143),
};

#define MESSAGES	(sizeof(messages) / sizeof(*messages))

/* Other words that people know for a message. */
static const struct {
	const char *word, *name;
} synonyms[] = {
	{ "unreachable", "destination-unreachable" }, { "ping", "echo-request" },
	{ "pong", "echo-reply" }, { "mld-listener-reduction", "mld-listener-done" },
	{ "nd-router-solicit", "router-solicitation" }, { "nd-router-advert", "router-advertisement" },
	{ "nd-redirect", "redirect" },
};

int icmp_types_parse(const char *word, struct icmp_types *types, char *err)
{
	const char *name = word;
	uint64_t number;

	for (size_t i = 0; i < sizeof(synonyms) / sizeof(*synonyms); i++)
		if (!strcasecmp(word, synonyms[i].word))
			name = synonyms[i].name;
	for (size_t i = 0; i < MESSAGES; i++)
		if (!strcasecmp(name, messages[i].name)) {
			*types = messages[i].types;
			return 0;
		}
	if (parse_number(word, "icmp-type", 0, 255, &number, err))
		return fail(err, EINVAL, "icmp-type \"%.40s\": a number 0..255, or a name such as "
			    "echo-request", word);
	*types = (struct icmp_types){ number + 1, number + 1 };
	return 0;
}

void icmp_types_format(struct icmp_types types, char text[ICMP_TYPE_TEXT])
{
	for (size_t i = 0; i < MESSAGES; i++)
		if (messages[i].types.v4 == types.v4 && messages[i].types.v6 == types.v6) {
			snprintf(text, ICMP_TYPE_TEXT, "%s", messages[i].name);
			return;
		}
	snprintf(text, ICMP_TYPE_TEXT, "%d", types.v4 - 1);
}

bool icmp_type_differs(struct icmp_types types, const char **v4, const char **v6)
{
	*v4 = *v6 = NULL;
	for (size_t i = 0; i < MESSAGES; i++) {
		if (messages[i].types.v4 && messages[i].types.v4 == types.v4)
			*v4 = messages[i].name;
		if (messages[i].types.v6 && messages[i].types.v6 == types.v6)
			*v6 = messages[i].name;
	}
	return *v4 && *v6 && *v4 != *v6;
}

const char *icmp_type_name(unsigned int n)
{
	return n < MESSAGES ? messages[n].name : NULL;
}
