// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <yaml.h>

#include "user/model/config.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/guard.h"
#include "user/model/listfile.h"
#include "user/model/parse.h"
#include "user/model/prefix.h"
#include "user/model/text.h"
#include "user/model/units.h"

#define FILE_MOST	65536	/* bytes of a settings file */
#define DEPTH_MOST	8	/* of lists and mappings in each other; the keys need three */
#define NUMBER_MOST	1000000000
#define YEAR_S		(366ULL * 86400)

#define IN(field)	offsetof(struct config, field)
#define OF_LIST(field)	offsetof(struct config_list, field)

const struct config_key config_keys[] = {
	{ "", "mode", CONFIG_MODE, IN(judge.enforce), 0, 0, "judge",
	  "`judge`: log and record what would be banned, without banning it. `enforce`: ban" },
	{ "", "rules", CONFIG_RULES, IN(rules.mode), 0, 0, "off",
	  "whether drop rules are looked for in a flood. `suggest`: they are told. `auto`: with "
	  "`mode: enforce` sure ones are put in force for a while; with `mode: judge` it is `suggest`" },
	{ "", "window", CONFIG_DURATION, IN(window_ns), 1, 60, "1s",
	  "how often the counters are read: the length of the window of every judgement" },
	{ "", "undo", CONFIG_DURATION, IN(judge.undo_ns), 1, YEAR_S, "1h",
	  "for how long a prefix is not banned again after an operator has undone its ban" },
	{ "", "remember", CONFIG_DURATION, IN(judge.remember_ns), 1, YEAR_S, "24h",
	  "for how long after its end a ban counts as a strike; each strike doubles the next ban" },
	{ "", "most_bans", CONFIG_NUMBER, IN(judge.most_bans), 1, 1000000, "100000",
	  "how many bans there may be at a time; if more are due, those that drop the least end" },

	{ "sources", "windows", CONFIG_NUMBER, IN(judge.source.windows), 1, 1000, "3",
	  "for how many windows in a row a source must be over its limit to be banned" },
	{ "sources", "times", CONFIG_NUMBER, IN(judge.source.times), 2, NUMBER_MOST, "2",
	  "over its limit means: it sends at least this many times what the limit lets through" },
	{ "sources", "least", CONFIG_NUMBER, IN(judge.source.least_pps), 1, NUMBER_MOST, "50",
	  "and at least this many of its packets are dropped, in packets per second" },
	{ "sources", "span", CONFIG_DURATION, IN(judge.source.span_ns), 0, 86400, "10m",
	  "over how long drops are added up, whether in a row or not; `off`: they are not" },
	{ "sources", "excess", CONFIG_NUMBER, IN(judge.source.excess_percent), 1, 100000, "80",
	  "a source is banned when in the span `least` of its packets per second are dropped on "
	  "average, and in all this many percent of what its limit lets through in the span" },
	{ "sources", "ban", CONFIG_DURATION, IN(judge.source.first_ban_ns), 1, YEAR_S, "1m",
	  "how long the first ban of a source lasts; each further ban is twice as long" },
	{ "sources", "longest", CONFIG_DURATION, IN(judge.source.longest_ban_ns), 1, YEAR_S, "1h",
	  "the longest ban of a source" },

	{ "networks", "sources", CONFIG_NUMBER, IN(judge.network.sources), 2, NUMBER_MOST, "16",
	  "a /24 or /48 is banned when this many of its sources are banned or would be; it is "
	  "spared if as many of its sources are proven, or as many as misbehave if that is more" },
	{ "networks", "windows", CONFIG_NUMBER, IN(judge.network.windows), 1, 1000, "5",
	  "or when for this many windows in a row budgets drop far more of it than its share" },
	{ "networks", "times", CONFIG_NUMBER, IN(judge.network.times), 1, NUMBER_MOST, "10",
	  "far more means: at least this many times the share that each network has at the time" },
	{ "networks", "least", CONFIG_NUMBER, IN(judge.network.least_pps), 1, NUMBER_MOST, "1000",
	  "and at least this many dropped packets per second" },
	{ "networks", "share", CONFIG_NUMBER, IN(judge.network.share_permille), 0, 1000, "5",
	  "and at least this part of all packets that budgets drop, in thousandths" },
	{ "networks", "ban", CONFIG_DURATION, IN(judge.network.first_ban_ns), 1, YEAR_S, "1m",
	  "how long the first ban of a network lasts; proven sources in it still pass" },
	{ "networks", "longest", CONFIG_DURATION, IN(judge.network.longest_ban_ns), 1, YEAR_S,
	  "10m", "the longest ban of a network" },

	{ "auto_rules", "every", CONFIG_DURATION, IN(rules.every_ns), 1, 60, "2s",
	  "how often the daemon looks whether there is a flood, and then for rules" },
	{ "auto_rules", "least", CONFIG_NUMBER, IN(rules.least_pps), 1, NUMBER_MOST, "500",
	  "it is one when a budget is under pressure, or packets find no room in an interface's "
	  "receive ring, and this many packets per second are turned away, or lost" },
	{ "auto_rules", "most", CONFIG_NUMBER, IN(rules.most), 1, 16, "8",
	  "how many rules of the daemon there may be at a time" },
	{ "auto_rules", "ttl", CONFIG_DURATION, IN(rules.first_ns), 1, 3600, "1m",
	  "how long a rule is in force the first time; each time after that twice as long" },
	{ "auto_rules", "longest", CONFIG_DURATION, IN(rules.longest_ns), 1, 86400, "1h",
	  "the longest time that a rule is in force" },

	{ "lists", "watch", CONFIG_FLAG, IN(watch), 0, 0, "yes",
	  "whether a list is loaded again when its file changes, even a list loaded by hand" },
	{ "lists", "settle", CONFIG_DURATION, IN(settle_ns), 1, 3600, "2s",
	  "for how long a changed file must stay the same before it is read" },
	{ "lists.load", "name", CONFIG_LIST_NAME, OF_LIST(name), 0, 0, NULL,
	  "a list to load at the start, as `weir list load` does" },
	{ "lists.load", "file", CONFIG_STRING, OF_LIST(file), 0, 0, NULL,
	  "its file, an absolute path; a download should write another one and rename it" },
	{ "lists.load", "format", CONFIG_LIST_FORMAT, OF_LIST(format), 0, 0, "auto",
	  "auto, plain, ipsum, ndjson, ipset or nft" },
	{ "lists.load", "skip_bad", CONFIG_FLAG, OF_LIST(skip_bad), 0, 0, "no",
	  "whether lines that are not a prefix are left out, instead of refusing the file" },
	{ "lists.load", "force", CONFIG_GUARDS, OF_LIST(force), 0, 0, "[]",
	  "the guards to overrule: own, allow, size, coverage" },
	{ "lists.load", "every", CONFIG_DURATION, OF_LIST(every_ns), 0, YEAR_S, "off",
	  "how often it is read again, for files on NFS: the kernel does not report their changes" },

	{ "state", "known", CONFIG_STRING, IN(known_file), 0, 0, "/var/lib/weir/known",
	  "the file that keeps known sources over a reboot; \"\": none" },
	{ "state", "settings", CONFIG_STRING, IN(settings_file), 0, 0, "/var/lib/weir/settings",
	  "the file that keeps limits, budgets, lists, allow and block entries over a reboot, as "
	  "`weir save` writes them; \"\": none" },
	{ "state", "traffic", CONFIG_STRING, IN(traffic_file), 0, 0, "/var/lib/weir/traffic",
	  "the file that keeps how much sources sent within a week, without their addresses, for "
	  "`weir suggest`; \"\": none, and no samples are taken" },
	{ "state", "every", CONFIG_DURATION, IN(save_every_ns), 1, YEAR_S, "5m",
	  "how often these files are written; they are also written when the daemon stops" },

	{ "state", "calm", CONFIG_STRING, IN(calm_file), 0, 0, "/var/lib/weir/calm",
	  "the calm sample that `weir explain` compares floods with, a file for each interface: "
	  "FILE.INTERFACE; \"\": none is kept" },
	{ "state", "calm_every", CONFIG_DURATION, IN(calm_every_ns), 1, 86400, "1m",
	  "how long the daemon waits after it has listened to calm packets for two seconds" },

	{ "log", "drops", CONFIG_DURATION, IN(log_drops_ns), 0, 86400, "10s",
	  "how often a line says what was dropped since, if anything was; `off`: never" },

	{ "incidents", "keep", CONFIG_NUMBER, IN(incident_keep), 0, 10000, "100",
	  "how many records of floods are kept in /var/lib/weir/incidents; 0: none are written" },
	{ "incidents", "age", CONFIG_DURATION, IN(incident_age_ns), 1, YEAR_S, "90d",
	  "for how long: records name sources, by address" },
	{ "incidents", "least", CONFIG_NUMBER, IN(incident_least_pps), 1, NUMBER_MOST, "1000",
	  "a flood is at least this many packets per second that are turned away" },
	{ "incidents", "times", CONFIG_NUMBER, IN(incident_times), 2, 1000, "3",
	  "and at least this many times what is turned away in calm times" },

	{ "http", "address", CONFIG_ADDRESS, IN(http_address), 0, 0, "127.0.0.1",
	  "the address at which the page and the metrics are served" },
	{ "http", "port", CONFIG_NUMBER, IN(http_port), 0, 65535, "9108",
	  "the TCP port of the page and the metrics; 0: they are not served there" },
	{ "http", "socket", CONFIG_SOCKET, IN(http_socket), 0, 0, "",
	  "the path of a Unix socket at which they are served as well; \"\": none" },
	{ "http", "socket_group", CONFIG_STRING, IN(http_socket_group), 0, 0, "",
	  "the group whose members may use the socket; \"\": only root and the daemon's user" },
	{ 0 },
};

#define KEYS		((sizeof(config_keys) / sizeof(*config_keys)) - 1)
#define SECTIONS_MOST	16
#define GUARDS_MOST	16	/* words of a `force` */

/* ---- values ---- */

static int set_number(const struct config_key *key, const char *text, uint64_t *value, char *err)
{
	return parse_number(text, key->name, key->least, key->most, value, err);
}

static int set_duration(const struct config_key *key, const char *text, uint64_t *ns, char *err)
{
	char longest[FORMAT_LEN];

	if (!key->least && !strcmp(text, "off")) {
		*ns = 0;
		return 0;
	}
	if (parse_duration(text, ns, err))
		return -EINVAL;
	format_duration(key->most, longest);
	return *ns <= key->most * NS_PER_S ? 0 : fail(err, EINVAL, "%s: at most %s", text, longest);
}

static int set_choice(const char *text, const char *no, const char *yes, bool *value, char *err)
{
	char quoted[PREFIX_QUOTE];

	*value = !strcmp(text, yes);
	if (*value || !strcmp(text, no))
		return 0;
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: %s or %s", quoted, yes, no);
}

/* `monitor`, an older name of `judge`, is accepted, and noted so that the log can say so. */
static int set_mode(const char *text, struct config *config, char *err)
{
	config->mode_was_monitor = !strcmp(text, "monitor");
	if (config->mode_was_monitor)
		text = "judge";
	return set_choice(text, "judge", "enforce", &config->judge.enforce, err);
}

static const char *const rules_modes[] = { "off", "suggest", "auto" };

static int set_rules(const char *text, uint8_t *mode, char *err)
{
	char quoted[PREFIX_QUOTE];

	for (uint8_t i = RULES_OFF; i <= RULES_AUTO; i++) {
		if (strcmp(text, rules_modes[i]))
			continue;
		*mode = i;
		return 0;
	}
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: off, suggest or auto", quoted);
}

static int set_string(const char *text, char *value, size_t size, char *err)
{
	if (strlen(text) >= size)
		return fail(err, EINVAL, "longer than %zu bytes", size - 1);
	if (!text_is_plain(text))
		return fail(err, EINVAL, "control characters are not allowed");
	strcpy(value, text);
	return 0;
}

static int set_address(const char *text, char *value, char *err)
{
	unsigned char address[sizeof(struct in6_addr)];
	char quoted[PREFIX_QUOTE];

	if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)
		return set_string(text, value, CONFIG_TEXT, err);
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: not an IPv4 or IPv6 address", quoted);
}

static int set_socket(const char *text, char *value, char *err)
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (*text && *text != '/')
		return fail(err, EINVAL, "an absolute path is needed");
	if (strlen(text) > most)
		return fail(err, EINVAL, "longer than %zu bytes, the most of a Unix socket", most);
	return set_string(text, value, CONFIG_TEXT, err);
}

static int set_format(const char *text, char *value, char *err)
{
	char quoted[PREFIX_QUOTE];
	enum list_format format;

	if (list_format_find(text, &format))
		return set_string(text, value, sizeof(((struct config_list *)0)->format), err);
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: auto, plain, ipsum, ndjson, ipset or nft", quoted);
}

/* Adds the guard that one item of the sequence names. */
static int set_guard(const char *text, uint8_t *guards, char *err)
{
	uint8_t bit = guard_find(text);
	char quoted[PREFIX_QUOTE];

	*guards |= bit;
	if (bit)
		return 0;
	prefix_quote(text, strlen(text), quoted);
	return fail(err, EINVAL, "%s: own, allow, size or coverage", quoted);
}

static int set_value(const struct config_key *key, const char *text, void *base, char *err)
{
	void *at = (char *)base + key->offset;

	switch (key->kind) {
	case CONFIG_NUMBER:
		return set_number(key, text, at, err);
	case CONFIG_DURATION:
		return set_duration(key, text, at, err);
	case CONFIG_FLAG:
		return set_choice(text, "no", "yes", at, err);
	case CONFIG_MODE:
		return set_mode(text, base, err);
	case CONFIG_RULES:
		return set_rules(text, at, err);
	case CONFIG_STRING:
		return set_string(text, at, CONFIG_TEXT, err);
	case CONFIG_ADDRESS:
		return set_address(text, at, err);
	case CONFIG_SOCKET:
		return set_socket(text, at, err);
	case CONFIG_LIST_NAME:
		return check_name("list", text, err) ? -EINVAL :
						    set_string(text, at, WEIR_NAME_LEN, err);
	case CONFIG_LIST_FORMAT:
		return set_format(text, at, err);
	case CONFIG_GUARDS:
		return strcmp(text, "[]") ? set_guard(text, at, err) : 0;
	}
	return fail(err, EINVAL, "unknown kind");
}

void config_format(const struct config_key *key, const void *base, char *text, size_t size)
{
	const void *at = (const char *)base + key->offset;
	char duration[FORMAT_LEN] = "off", guards[GUARD_TEXT];

	switch (key->kind) {
	case CONFIG_NUMBER:
		snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)at);
		break;
	case CONFIG_DURATION:
		if (*(const uint64_t *)at)
			format_duration(*(const uint64_t *)at / NS_PER_S, duration);
		snprintf(text, size, "%s", duration);
		break;
	case CONFIG_FLAG:
		snprintf(text, size, "%s", *(const bool *)at ? "yes" : "no");
		break;
	case CONFIG_MODE:
		snprintf(text, size, "%s", *(const bool *)at ? "enforce" : "judge");
		break;
	case CONFIG_RULES:
		snprintf(text, size, "%s", rules_modes[*(const uint8_t *)at]);
		break;
	case CONFIG_GUARDS:
		guard_format(*(const uint8_t *)at, guards);
		snprintf(text, size, "[%s]", *guards ? guards + strlen(" force ") : "");
		for (char *blank = text; (blank = strchr(blank, ' ')); blank++)
			*blank = ',';
		break;
	default:
		snprintf(text, size, "%s", *(const char *)at ? (const char *)at : "\"\"");
	}
}

/* Those of the keys of a list, if @list is given; else those of all other keys. */
static void set_defaults(struct config *config, struct config_list *list)
{
	char ignored[ERR_LEN];

	for (const struct config_key *key = config_keys; key->name; key++) {
		bool of_list = !strcmp(key->section, "lists.load");

		if (key->initial && of_list == !!list)
			set_value(key, key->initial, list ? (void *)list : config, ignored);
	}
}

void config_defaults(struct config *config)
{
	*config = (struct config){ 0 };
	set_defaults(config, NULL);
}

/* ---- line numbers ---- */

/*
 * libcyaml gives the line of the value before an unknown key, and no line at all for a value that
 * it has loaded. The line is therefore looked up in the document that libyaml makes of the file.
 */
struct document {
	yaml_document_t yaml;
	bool good;
};

static void document_open(struct document *document, const char *data, size_t size)
{
	yaml_parser_t parser;

	document->good = false;
	if (!yaml_parser_initialize(&parser))
		return;
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
	document->good = yaml_parser_load(&parser, &document->yaml);
	yaml_parser_delete(&parser);
}

static void document_close(struct document *document)
{
	if (document->good)
		yaml_document_delete(&document->yaml);
}

static bool is_scalar(const yaml_node_t *node, const char *text)
{
	return node && node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.length == strlen(text) &&
	       !memcmp(node->data.scalar.value, text, strlen(text));
}

/* The line of the first key @name at or after line @from; if there is none, @otherwise. */
static size_t line_of_name(struct document *document, const char *name, size_t from,
			   size_t otherwise)
{
	size_t best = 0;
	yaml_node_t *node;

	for (int i = 1; document->good && (node = yaml_document_get_node(&document->yaml, i)); i++) {
		if (node->type != YAML_MAPPING_NODE)
			continue;
		for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		     pair < node->data.mapping.pairs.top; pair++) {
			yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);

			if (is_scalar(key, name) && key->start_mark.line + 1 >= from &&
			    (!best || key->start_mark.line + 1 < best))
				best = key->start_mark.line + 1;
		}
	}
	return best ? best : otherwise;
}

static yaml_node_t *value_of(struct document *document, yaml_node_t *mapping, const char *name)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	     pair < mapping->data.mapping.pairs.top; pair++)
		if (is_scalar(yaml_document_get_node(&document->yaml, pair->key), name))
			return yaml_document_get_node(&document->yaml, pair->value);
	return NULL;
}

/* The line of a value; @index: of the list that it belongs to. 0: the file does not have it. */
static size_t line_of_key(struct document *document, const struct config_key *key, size_t index)
{
	yaml_node_t *node = document->good ? yaml_document_get_root_node(&document->yaml) : NULL;

	if (!strcmp(key->section, "lists.load")) {
		node = value_of(document, value_of(document, node, "lists"), "load");
		if (!node || node->type != YAML_SEQUENCE_NODE ||
		    node->data.sequence.items.start + index >= node->data.sequence.items.top)
			return 0;
		node = yaml_document_get_node(&document->yaml,
					      node->data.sequence.items.start[index]);
	} else if (*key->section) {
		node = value_of(document, node, key->section);
	}
	node = value_of(document, node, key->name);
	return node ? node->start_mark.line + 1 : 0;
}

/* ---- the schema for libcyaml, made from the table of keys ---- */

/* libcyaml fills these with the text of each value, by the index of its key in config_keys. */
struct raw_list {
	char *text[KEYS];
	char **guards;		/* the only key with a sequence */
	uint32_t guard_count;
};

struct raw_section {
	char *text[KEYS];
	struct raw_list *load;
	uint32_t load_count;
};

struct raw {
	char *text[KEYS];
	struct raw_section *section[SECTIONS_MOST];
};

struct schema {
	cyaml_schema_value_t top, list, guard;
	cyaml_schema_field_t fields[KEYS + SECTIONS_MOST + 1];
	cyaml_schema_field_t section_fields[SECTIONS_MOST][KEYS + 2];
	cyaml_schema_field_t list_fields[KEYS + 1];
	const char *sections[SECTIONS_MOST];
};

static void add_field(cyaml_schema_field_t *fields, const cyaml_schema_field_t *field)
{
	while (fields->key)
		fields++;
	*fields = *field;
}

static void add_guards(struct schema *schema, const char *name)
{
	add_field(schema->list_fields, &(cyaml_schema_field_t){
		.key = name, .data_offset = offsetof(struct raw_list, guards),
		.count_offset = offsetof(struct raw_list, guard_count), .count_size = 4,
		.value = { .type = CYAML_SEQUENCE, .data_size = sizeof(char *),
			   .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			   .sequence = { .entry = &schema->guard, .min = 0, .max = GUARDS_MOST } } });
}

static void add_text(cyaml_schema_field_t *fields, size_t index, size_t offset)
{
	const struct config_key *key = &config_keys[index];

	add_field(fields, &(cyaml_schema_field_t){
		.key = key->name, .data_offset = offset + index * sizeof(char *),
		.value = { .type = CYAML_STRING, .data_size = 1,
			   .flags = CYAML_FLAG_POINTER |
				    (key->initial ? CYAML_FLAG_OPTIONAL : CYAML_FLAG_DEFAULT),
			   .string = { .min = 0, .max = CONFIG_TEXT } } });
}

/* Sections are numbered in the order of the table. */
static size_t section_number(const struct schema *schema, const char *name)
{
	size_t number = 0;

	while (schema->sections[number] && strcmp(schema->sections[number], name))
		number++;
	return number;
}

static void add_section(struct schema *schema, const char *name, size_t number)
{
	schema->sections[number] = name;
	add_field(schema->fields, &(cyaml_schema_field_t){
		.key = name,
		.data_offset = offsetof(struct raw, section) + number * sizeof(struct raw_section *),
		.value = { .type = CYAML_MAPPING, .data_size = sizeof(struct raw_section),
			   .flags = CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL,
			   .mapping = { .fields = schema->section_fields[number] } } });
}

static void make_schema(struct schema *schema)
{
	*schema = (struct schema){
		.top = { .type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER,
			 .data_size = sizeof(struct raw), .mapping = { .fields = schema->fields } },
		.list = { .type = CYAML_MAPPING, .flags = CYAML_FLAG_DEFAULT,
			  .data_size = sizeof(struct raw_list),
			  .mapping = { .fields = schema->list_fields } },
		.guard = { .type = CYAML_STRING, .data_size = 1, .flags = CYAML_FLAG_POINTER,
			   .string = { .min = 0, .max = CONFIG_TEXT } },
	};
	for (size_t i = 0; i < KEYS; i++) {
		const char *name = config_keys[i].section;
		size_t number;

		if (!*name) {
			add_text(schema->fields, i, 0);
		} else if (config_keys[i].kind == CONFIG_GUARDS) {
			add_guards(schema, config_keys[i].name);
		} else if (!strcmp(name, "lists.load")) {
			add_text(schema->list_fields, i, 0);
		} else {
			number = section_number(schema, name);
			if (!schema->sections[number])
				add_section(schema, name, number);
			add_text(schema->section_fields[number], i, 0);
		}
	}
	add_field(schema->section_fields[section_number(schema, "lists")], &(cyaml_schema_field_t){
		.key = "load", .data_offset = offsetof(struct raw_section, load),
		.count_offset = offsetof(struct raw_section, load_count), .count_size = 4,
		.value = { .type = CYAML_SEQUENCE, .data_size = sizeof(struct raw_list),
			   .flags = CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL,
			   .sequence = { .entry = &schema->list, .min = 0,
					 .max = CONFIG_LISTS } } });
}

/* ---- reading ---- */

/* The first error that libcyaml logs, and its line. */
struct complaint {
	char why[ERR_LEN];
	size_t line;
};

static void complain(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	struct complaint *complaint = ctx;
	char text[ERR_LEN];
	const char *line;

	if (level < CYAML_LOG_WARNING)	/* the only warning: more than one document */
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	line = strstr(text, "(line: ");
	if (line && !complaint->line)
		complaint->line = strtoul(line + strlen("(line: "), NULL, 10);
	if (!complaint->why[0] && !line && !strstr(text, "Backtrace:"))
		snprintf(complaint->why, sizeof(complaint->why), "%.200s",
			 !strncmp(text, "Load: ", 6) ? text + 6 : text);
}

/* The key at the end of a complaint that begins with @what; NULL: it begins otherwise. */
static const char *key_after(const char *complaint, const char *what)
{
	return strncmp(complaint, what, strlen(what)) ? NULL : complaint + strlen(what);
}

static int refuse_yaml(const char *name, struct document *document, cyaml_err_t error,
		       const struct complaint *complaint, char *err)
{
	const char *unknown = key_after(complaint->why, "Unexpected key: "),
		   *twice = key_after(complaint->why, "Mapping field already seen: "),
		   *key = unknown ? unknown : twice;
	size_t line = complaint->line ? complaint->line : 1;
	char quoted[PREFIX_QUOTE];

	if (!key)
		return fail(err, EINVAL, "%.80s:%zu: %.150s", name, line,
			    complaint->why[0] ? complaint->why : cyaml_strerror(error));
	prefix_quote(key, strlen(key), quoted);
	return fail(err, EINVAL, "%.120s:%zu: %s %s", name,
		    line_of_name(document, key, twice ? line + 1 : line, line),
		    unknown ? "no such key belongs here:" : "this key is there twice:", quoted);
}

/* Sets in @base the values that the file gives for one section, or for list @index. */
static int set_given(const char *name, struct document *document, char *const text[KEYS],
		     size_t index, void *base, char *err)
{
	char why[ERR_LEN];

	for (size_t i = 0; i < KEYS; i++)
		if (text[i] && set_value(&config_keys[i], text[i], base, why))
			return fail(err, EINVAL, "%.80s:%zu: %s: %.120s", name,
				    line_of_key(document, &config_keys[i], index),
				    config_keys[i].name, why);
	return 0;
}

static int set_guards(const char *name, struct document *document, const struct raw_list *raw,
		      size_t index, struct config_list *list, char *err)
{
	const struct config_key *key = config_keys;
	char why[ERR_LEN];

	while (key->kind != CONFIG_GUARDS)
		key++;
	for (uint32_t i = 0; i < raw->guard_count; i++)
		if (set_value(key, raw->guards[i], list, why))
			return fail(err, EINVAL, "%.80s:%zu: %s: %.120s", name,
				    line_of_key(document, key, index), key->name, why);
	return 0;
}

static int set_lists(const char *name, struct document *document, const struct raw_section *raw,
		     struct config *config, char *err)
{
	for (uint32_t i = 0; i < raw->load_count; i++) {
		struct config_list *list = &config->lists[i];
		const struct config_key *key = config_keys;

		*list = (struct config_list){ 0 };
		set_defaults(config, list);
		if (set_given(name, document, raw->load[i].text, i, list, err) ||
		    set_guards(name, document, &raw->load[i], i, list, err))
			return -EINVAL;
		while (key->offset != OF_LIST(file) || strcmp(key->section, "lists.load"))
			key++;
		if (list->file[0] != '/')
			return fail(err, EINVAL, "%.80s:%zu: file: an absolute path is needed", name,
				    line_of_key(document, key, i));
		for (uint32_t n = 0; n < i; n++)
			if (!strcmp(list->name, config->lists[n].name))
				return fail(err, EINVAL, "%.80s:%zu: list %s is there twice", name,
					    line_of_key(document, key, i), list->name);
	}
	config->list_count = raw->load_count;
	return 0;
}

static int set_all(const char *name, struct document *document, const struct raw *raw,
		   struct config *config, char *err)
{
	int rc = set_given(name, document, raw->text, 0, config, err);

	for (size_t s = 0; s < SECTIONS_MOST && !rc; s++) {
		if (!raw->section[s])
			continue;
		rc = set_given(name, document, raw->section[s]->text, 0, config, err);
		if (!rc && raw->section[s]->load_count)
			rc = set_lists(name, document, raw->section[s], config, err);
	}
	return rc;
}

static int check_together(const char *name, const struct config *config, char *err)
{
	if (config->judge.source.first_ban_ns > config->judge.source.longest_ban_ns)
		return fail(err, EINVAL, "%.150s: sources: ban is longer than longest", name);
	if (config->judge.network.first_ban_ns > config->judge.network.longest_ban_ns)
		return fail(err, EINVAL, "%.150s: networks: ban is longer than longest", name);
	if (config->rules.first_ns > config->rules.longest_ns)
		return fail(err, EINVAL, "%.150s: auto_rules: ttl is longer than longest", name);
	if (config->rules.mode != RULES_OFF && !*config->calm_file)
		return fail(err, EINVAL, "%.150s: rules: needs a calm sample to compare floods with; "
			    "state: calm names no file", name);
	return 0;
}

/*
 * The time that libyaml takes for a token grows with the depth, and both it and libcyaml recurse or
 * allocate for each level. Deep nesting is therefore refused by its events, before anything else
 * reads the file. What is not YAML at all passes here, and is refused with libcyaml's reason.
 */
static int check_depth(const char *name, const char *data, size_t size, char *err)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	unsigned int depth = 0;
	yaml_parser_t parser;
	yaml_event_t event;
	size_t line = 0;

	if (!yaml_parser_initialize(&parser))
		return fail(err, ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
	while (depth <= DEPTH_MOST && type != YAML_STREAM_END_EVENT &&
	       yaml_parser_parse(&parser, &event)) {
		type = event.type;
		line = event.start_mark.line + 1;
		depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
		depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return depth <= DEPTH_MOST ? 0 : fail(err, EINVAL, "%.120s:%zu: lists and mappings are nested "
					      "deeper than %d levels", name, line, DEPTH_MOST);
}

int config_parse(const char *name, const char *data, size_t size, struct config *config, char *err)
{
	struct complaint complaint = { 0 };
	cyaml_config_t cyaml = { .log_fn = complain, .log_ctx = &complaint, .mem_fn = cyaml_mem,
				 .log_level = CYAML_LOG_WARNING, .flags = CYAML_CFG_NO_ALIAS };
	struct config wanted;
	struct document document;
	struct schema schema;
	struct raw *raw = NULL;
	cyaml_err_t error;
	int rc = 0;

	if (size > FILE_MOST)
		return fail(err, EFBIG, "settings file %.150s is larger than %d KiB", name,
			    FILE_MOST >> 10);
	if (check_depth(name, data, size, err))
		return -EINVAL;
	make_schema(&schema);
	config_defaults(&wanted);
	document_open(&document, data, size);
	error = cyaml_load_data((const uint8_t *)data, size, &cyaml, &schema.top,
				(cyaml_data_t **)&raw, NULL);
	if (error != CYAML_OK || complaint.why[0])
		rc = refuse_yaml(name, &document, error, &complaint, err);
	else if (raw)
		rc = set_all(name, &document, raw, &wanted, err);
	if (!rc)
		rc = check_together(name, &wanted, err);
	cyaml_free(&cyaml, &schema.top, raw, 0);
	document_close(&document);
	if (!rc)
		*config = wanted;
	return rc;
}

int config_read(const char *file, struct config *config, char *err)
{
	FILE *stream = fopen(file, "re");
	char *data = malloc(FILE_MOST + 1);
	size_t size = 0;
	int rc;

	if (!stream)
		rc = fail(err, errno, "cannot open settings file %s: %s", file, strerror(errno));
	else if (!data)
		rc = fail(err, ENOMEM, "out of memory");
	else if ((size = fread(data, 1, FILE_MOST + 1, stream)), ferror(stream))
		rc = fail(err, EIO, "cannot read settings file %s", file);
	else
		rc = config_parse(file, data, size, config, err);
	free(data);
	if (stream)
		fclose(stream);
	return rc;
}
