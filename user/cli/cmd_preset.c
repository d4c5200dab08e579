// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir preset reflection: limits for the source ports of known reflectors. What is printed is what
 * `apply` sets, line by line.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/command.h"
#include "user/cli/output.h"
#include "user/host/listening.h"
#include "user/host/servers.h"
#include "user/host/tcp.h"
#include "user/model/error.h"
#include "user/model/reflectors.h"

#define LINES_MOST	128
#define LINE_LEN	256
#define WORDS_MOST	24

/*
 * An answer in six seconds is more than a time server sends, and than a neighbour that is asked
 * now and then. What remains of a flood is that from each of its reflectors, however many packets
 * each of them sends.
 */
#define TIGHT		"rate 10/min burst 10"

struct preset {
	char line[LINES_MOST][LINE_LEN];	/* commands, and comments, which begin with # */
	size_t count;
};

static void __attribute__((format(printf, 2, 3)))
add(struct preset *preset, const char *format, ...)
{
	va_list args;

	if (preset->count == LINES_MOST)
		return;
	va_start(args, format);
	vsnprintf(preset->line[preset->count++], LINE_LEN, format, args);
	va_end(args);
}

static void tell_files(struct preset *preset, const char *what, const struct servers *servers)
{
	for (size_t i = 0; i < servers->files; i++) {
		const struct server_file *file = &servers->file[i];

		if (file->addresses || file->names)
			add(preset, "# %s: %s: %u by address, %u by name", file->path, what,
			    file->addresses, file->names);
	}
	if (!servers->count)
		add(preset, "# no address of %s was found", what);
}

static void add_for_each(struct preset *preset, const struct servers *servers, const char *words)
{
	char address[PREFIX_STRLEN];

	for (size_t i = 0; i < servers->count; i++) {
		prefix_format_short(&servers->at[i], address);
		add(preset, "weir limit set from %s %s", address, words);
	}
}

/*
 * Whether all that answers this host from port 53 is known by address. A server of names on this
 * host asks any server in the world.
 */
static bool are_all_resolvers_known(struct preset *preset, const struct servers *resolvers)
{
	static const struct prefix any;
	const char *why = NULL;

	if (resolvers->too_many)
		why = "there are too many DNS servers";
	else if (resolvers->names)
		why = "a DNS server is known by its name only";
	else if (resolvers->local || listens_on(OVER_UDP, &any, 53))
		why = "a DNS server on this host may ask any other";
	else if (!resolvers->count)
		why = "no DNS server of this host was found";
	if (why)
		add(preset, "# port 53 is left out: %s", why);
	return !why;
}

static void make_preset(struct preset *preset)
{
	const char *forwards = forwarding_cause();
	struct servers resolvers, times;
	char ports[REFLECTOR_PORTS];
	bool dns;

	preset->count = 0;
	read_resolvers(&resolvers);
	tell_files(preset, "DNS servers", &resolvers);
	if (forwards)
		add(preset, "# ports 53 and 123 are left out: this host forwards (%s), and other hosts' "
		    "answers would be limited", forwards);
	dns = !forwards && are_all_resolvers_known(preset, &resolvers);
	if (dns)
		add_for_each(preset, &resolvers, "proto udp sport 53 rate 2kpps burst 1000");
	add_for_each(preset, &resolvers, "proto udp fragment rate 1kpps burst 500");
	read_time_servers(&times);
	tell_files(preset, "time servers", &times);
	add_for_each(preset, &times, "proto udp sport 123 rate 20pps burst 20");
	add(preset, "# others, each source; leave out ports that this host asks often, as 161 for SNMP");
	reflector_ports(dns, !forwards, ports);
	add(preset, "weir limit set proto udp sport %s " TIGHT, ports);
	add(preset, "# later fragments, of which a reflector sends many for each question");
	add(preset, "weir limit set proto udp fragment rate 10pps burst 20");
	add(preset, "# all sources together; without 53 and 123, so that it never drops an answer of those");
	reflector_ports(false, false, ports);
	add(preset, "weir budget set reflectors proto udp sport %s rate 200pps", ports);
}

/* Splits in place; the words of this file have no quotes. */
static void split(char *line, char *words[WORDS_MOST + 1])
{
	char *left, *word = strtok_r(line, " ", &left);
	size_t count = 0;

	for (; word && count < WORDS_MOST; word = strtok_r(NULL, " ", &left))
		words[count++] = word;
	words[count] = NULL;
}

/* All of it is one change of the settings: it takes effect as a whole or not at all. */
static enum outcome edit_preset(struct edit *edit)
{
	char *words[WORDS_MOST + 1];
	struct preset preset;
	size_t set = 0;

	make_preset(&preset);
	for (size_t i = 0; i < preset.count; i++) {
		const struct command *command;
		enum outcome outcome;

		if (*preset.line[i] == '#')
			continue;
		split(preset.line[i], words);
		edit->words = (struct words){ words + 1 };
		command = find_command(&edit->words, edit->err);
		outcome = command ? command->edit(edit) : FAILED;
		if (outcome != DONE)
			return FAILED;
		set++;
	}
	snprintf(edit->said, ERR_LEN, "%zu limits and budgets are set; `weir limit show` and `weir "
		 "budget show` list them", set);
	return DONE;
}

static enum outcome print_preset(const struct call *call)
{
	json_t *lines = json_array(), *comments = json_array();
	struct preset preset;

	make_preset(&preset);
	for (size_t i = 0; i < preset.count; i++) {
		bool comment = *preset.line[i] == '#';

		if (!call->json)
			puts(preset.line[i]);
		json_array_append_new(comment ? comments : lines,
				      json_string(preset.line[i] + (comment ? 2 : 0)));
	}
	return print_json(call, json_pack("{s:o, s:o}", "commands", lines, "comments", comments));
}

enum outcome cmd_preset_reflection(const struct call *call)
{
	static const struct command apply = { "preset", "reflection", "[apply]", "",
					      .edit = edit_preset, .needs = MAKES_MAPS };
	struct call edit = *call;
	char err[ERR_LEN];

	if (!take_word(&edit.words, "apply"))
		return no_more_words(&edit.words, err) ? usage(call, "%s", err) :
							 print_preset(call);
	if (no_more_words(&edit.words, err))
		return usage(call, "%s", err);
	edit.command = &apply;
	return run_edit(&edit);
}
