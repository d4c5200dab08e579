// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/port_set.h"

#define GIVEN_MOST	64	/* ports and ranges in a word, before those that touch are merged */
#define ELEMENT_LEN	40

static int by_first(const void *a, const void *b)
{
	const struct weir_ports *x = a, *y = b;

	return x->first - y->first;
}

/* Merges ranges that overlap or follow each other. Returns how many are left. */
static size_t merge(struct weir_ports *ranges, size_t count)
{
	size_t kept = 0;

	qsort(ranges, count, sizeof(*ranges), by_first);
	for (size_t i = 0; i < count; i++) {
		struct weir_ports *before = kept ? &ranges[kept - 1] : NULL;

		if (!before || ranges[i].first > before->last + 1)
			ranges[kept++] = ranges[i];
		else if (ranges[i].last > before->last)
			before->last = ranges[i].last;
	}
	return kept;
}

/* One port, range or service, of @len characters. */
static int parse_element(const char *at, size_t len, const char *name, uint8_t proto,
			 struct weir_ports *range, char *err)
{
	char element[ELEMENT_LEN];

	if (len >= sizeof(element))
		return fail(err, EINVAL, "%s \"%.40s\": not a port of 1..65535 or a range such as "
			    "1000-2000", name, at);
	snprintf(element, sizeof(element), "%.*s", (int)len, at);
	return parse_ports(name, element, proto, &range->first, &range->last, err) ? -EINVAL : 0;
}

int port_set_parse(const char *word, const char *name, uint8_t proto,
		   struct weir_ports set[WEIR_PORT_RANGES], char *err)
{
	struct weir_ports given[GIVEN_MOST];
	size_t count = 0, len;

	for (const char *at = word;; at += len + 1) {
		len = strcspn(at, ",");
		if (count == GIVEN_MOST)
			return fail(err, EINVAL, "%s \"%.40s...\": more than %d ports and ranges", name,
				    word, GIVEN_MOST);
		if (parse_element(at, len, name, proto, &given[count++], err))
			return -EINVAL;
		if (!at[len])
			break;
	}
	count = merge(given, count);
	if (count > WEIR_PORT_RANGES)
		return fail(err, EINVAL, "%s \"%.40s...\": %zu ranges that do not touch; %d at most can "
			    "stand together", name, word, count, WEIR_PORT_RANGES);
	memset(set, 0, WEIR_PORT_RANGES * sizeof(*set));
	memcpy(set, given, count * sizeof(*set));
	return 0;
}

bool port_set_has(const struct weir_ports set[WEIR_PORT_RANGES], uint16_t port)
{
	for (int i = 0; i < WEIR_PORT_RANGES && set[i].first; i++)
		if (port >= set[i].first && port <= set[i].last)
			return true;
	return !set[0].first;
}

uint32_t port_set_count(const struct weir_ports set[WEIR_PORT_RANGES])
{
	uint32_t count = 0;

	for (int i = 0; i < WEIR_PORT_RANGES && set[i].first; i++)
		count += set[i].last - set[i].first + 1;
	return count ? count : 65536;
}

int port_set_order(const struct weir_ports a[WEIR_PORT_RANGES],
		   const struct weir_ports b[WEIR_PORT_RANGES])
{
	for (int i = 0; i < WEIR_PORT_RANGES; i++) {
		if (a[i].first != b[i].first)
			return a[i].first - b[i].first;
		if (a[i].last != b[i].last)
			return a[i].last - b[i].last;
	}
	return 0;
}

void port_set_edges(const struct weir_ports set[WEIR_PORT_RANGES], uint8_t *starts)
{
	for (int i = 0; i < WEIR_PORT_RANGES && set[i].first; i++) {
		starts[set[i].first] = 1;
		starts[set[i].last + 1] = 1;
	}
}

void port_set_format(const struct weir_ports set[WEIR_PORT_RANGES], char text[PORT_SET_TEXT])
{
	size_t used = 0;

	*text = '\0';
	for (int i = 0; i < WEIR_PORT_RANGES && set[i].first; i++) {
		const char *comma = i ? "," : "";

		if (set[i].first == set[i].last)
			used += snprintf(text + used, PORT_SET_TEXT - used, "%s%u", comma,
					 set[i].first);
		else
			used += snprintf(text + used, PORT_SET_TEXT - used, "%s%u-%u", comma,
					 set[i].first, set[i].last);
	}
}
