// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any text as a rate, a burst, a duration and ports: what is taken is written in its one form, and
 * that reads back as the same value; what is refused has a message.
 */
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/units.h"

#define WANT(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_rate(const char *word, char *err)
{
	struct rate rate, again;
	char text[FORMAT_LEN];

	if (parse_rate(word, &rate, err)) {
		WANT(*err);
		return;
	}
	WANT(!rate.packets != !rate.bits_per_s);
	if (rate.packets)
		format_packet_rate(rate.packets, rate.per_s, text);
	else
		format_bits(rate.bits_per_s, text);
	WANT(!parse_rate(text, &again, err));
	WANT(!memcmp(&rate, &again, sizeof(rate)));
}

static void try_burst(const char *word, char *err)
{
	struct burst burst, again;
	char text[FORMAT_LEN];

	if (parse_burst(word, &burst, err)) {
		WANT(*err);
		return;
	}
	WANT(!burst.packets != !burst.bits);
	if (!burst.bits)
		return;
	format_bits(burst.bits, text);
	WANT(!parse_burst(text, &again, err) && again.bits == burst.bits);
}

static void try_duration(const char *word, char *err)
{
	char text[FORMAT_LEN];
	uint64_t ns, again;

	if (parse_duration(word, &ns, err)) {
		WANT(*err);
		return;
	}
	WANT(ns && ns % NS_PER_S == 0);
	format_duration(ns / NS_PER_S, text);
	WANT(!parse_duration(text, &again, err) && ns == again);
	format_left(ns / NS_PER_S, text);
	WANT(!parse_duration(text, &again, err) && again <= ns);
}

/* Every name of four letters is a service. */
static bool look_up(const char *name, struct service *service)
{
	*service = (struct service){ .tcp = 1 + (uint8_t)name[0], .udp = 1 + (uint8_t)name[1] };
	return strlen(name) == 4;
}

static void try_ports(const char *word, char *err)
{
	uint16_t first, last;

	for (int proto = 0; proto < 20; proto++) {
		*err = '\0';
		if (parse_ports("dport", word, proto, &first, &last, err))
			WANT(*err);
		else
			WANT(first && first <= last);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(const char *word, char *err) = {
		try_rate, try_burst, try_duration, try_ports,
	};
	char *word = malloc(size + 1), err[ERR_LEN];

	memcpy(word, data, size);
	word[size] = '\0';
	parse_services_with(look_up);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		*err = '\0';
		tries[i](word, err);
	}
	free(word);
	return 0;
}
