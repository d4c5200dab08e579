// SPDX-License-Identifier: GPL-2.0-only
/*
 * A record as JSON, and back. The folder is the daemon's: what stands in a file may be anything, so
 * each number is checked, and each name and prefix is read by the parser of such words.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/incident.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"

#define VERSION	1

/* The numbers of a record that stand alone: key, field. */
#define NUMBERS(N)                                                                        \
	N("number", number) N("begin", begin_unix_s) N("end", end_unix_s)                 \
	N("lasted_ms", lasted_ms) N("calm_packets_per_s", calm_pps)                       \
	N("peak_packets_per_s", peak_pps) N("peak_bits_per_s", peak_bits_per_s)           \
	N("pulses", pulses) N("samples", samples) N("sampled_packets", sampled)           \
	N("pairs_counted", pair_count) N("sources_banned", source_bans)                   \
	N("networks_banned", network_bans) N("would_ban", would_bans) N("spared", spared)

/* Those of one that is active. */
#define RESUME(N)                                                                         \
	N("maps_made", maps_made_s) N("began_ns", began_ns) N("loud_ns", loud_ns)         \
	N("read_ns", read_ns) N("judgement", judgement)

#define FIELD(key, field) { key, offsetof(struct incident, field) },
static const struct number {
	const char *key;
	size_t offset;
} numbers[] = { NUMBERS(FIELD) }, resume[] = { RESUME(FIELD) };

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

/* ---- writing ---- */

static void put_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer(value < INCIDENT_VALUE_MOST ? value :
								INCIDENT_VALUE_MOST));
}

static void put_numbers(json_t *object, const struct number *of, size_t count,
			const struct incident *incident)
{
	for (size_t i = 0; i < count; i++)
		put_number(object, of[i].key,
			   *(const uint64_t *)((const char *)incident + of[i].offset));
}

static json_t *names_json(const struct incident_name *names, size_t most)
{
	json_t *list = json_array();

	for (size_t i = 0; i < most; i++) {
		json_t *object;

		if (!*names[i].name || !names[i].packets)
			continue;
		object = json_pack("{s:s}", "name", names[i].name);
		put_number(object, "packets", names[i].packets);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *reason_json(const struct incident_counters *counters, int reason)
{
	json_t *object = json_pack("{s:s}", "reason", reason_name(reason));

	put_number(object, "packets", counters->reason[reason].packets);
	put_number(object, "bytes", counters->reason[reason].bytes);
	put_number(object, "let_through", counters->would[reason]);
	return object;
}

static json_t *counters_json(const struct incident_counters *counters)
{
	json_t *reasons = json_array(), *object = json_object();

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (counters->reason[i].packets)
			json_array_append_new(reasons, reason_json(counters, i));
	json_object_set_new(object, "reasons", reasons);
	json_object_set_new(object, "rules", names_json(counters->rule, WEIR_RULES));
	json_object_set_new(object, "budgets", names_json(counters->budget, WEIR_BUDGETS));
	put_number(object, "known_passed", counters->known_passed);
	put_number(object, "known_dropped", counters->known_dropped);
	put_number(object, "first_seen_dropped", counters->first_dropped);
	put_number(object, "returning_dropped", counters->returning_dropped);
	put_number(object, "strangers_passed", counters->strangers_passed);
	put_number(object, "connections", counters->connections);
	return object;
}

static bool has_prefix(enum incident_table table)
{
	return table < INCIDENT_DPORTS;
}

static json_t *item_json(enum incident_table table, const struct incident_item *item)
{
	char text[PREFIX_STRLEN];
	json_t *object = json_object();

	if (has_prefix(table)) {
		prefix_format(&item->prefix, text);
		json_object_set_new(object, "prefix", json_string(text));
	} else {
		put_number(object, "proto", item->proto);
		put_number(object, "port", item->port);
	}
	put_number(object, "sampled", item->sampled);
	return object;
}

static json_t *banned_json(const struct incident *incident)
{
	char text[PREFIX_STRLEN];
	json_t *list = json_array();

	for (uint32_t i = 0; i < incident->banned_count; i++) {
		prefix_format(&incident->banned[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* What is computed from the record, for readers of the JSON; it is not read again. */
static void put_sums(json_t *root, const struct incident *incident)
{
	struct weir_count turned_away = incident_turned_away(&incident->counted);
	bool at_least;

	put_number(root, "turned_away_packets", turned_away.packets);
	put_number(root, "turned_away_bytes", turned_away.bytes);
	put_number(root, "passed_packets", incident_passed(&incident->counted));
	put_number(root, "sources_estimated", incident_sources(incident, &at_least));
	json_object_set_new(root, "sources_are_more", json_boolean(at_least));
}

static json_t *resume_json(const struct incident *incident)
{
	json_t *object = json_object();

	put_numbers(object, resume, COUNT(resume), incident);
	json_object_set_new(object, "raw", counters_json(&incident->raw));
	json_object_set_new(object, "pending", counters_json(&incident->pending));
	return object;
}

json_t *incident_json(const struct incident *incident)
{
	json_t *root = json_object(), *classes = json_array();

	put_number(root, "version", VERSION);
	json_object_set_new(root, "active", json_boolean(incident->active));
	json_object_set_new(root, "cut_off", json_boolean(incident->cut_off));
	json_object_set_new(root, "kind", json_string(incident_kind_name(incident->kind)));
	put_numbers(root, numbers, COUNT(numbers), incident);
	put_sums(root, incident);
	json_object_set_new(root, "counted", counters_json(&incident->counted));
	for (int i = 0; i < INCIDENT_CLASSES; i++) {
		json_t *object = json_pack("{s:s}", "class", incident_class_name(i));

		put_number(object, "sampled", incident->of_class[i]);
		json_array_append_new(classes, object);
	}
	json_object_set_new(root, "classes", classes);
	for (int t = 0; t < INCIDENT_TABLES; t++) {
		json_t *list = json_array();

		for (uint32_t i = 0; i < incident->top_count[t]; i++)
			json_array_append_new(list, item_json(t, &incident->top[t][i]));
		json_object_set_new(root, incident_table_name(t), list);
	}
	json_object_set_new(root, "pairs", json_real(incident->pairs));
	json_object_set_new(root, "pairs_of_one_source", json_real(incident->same));
	json_object_set_new(root, "banned", banned_json(incident));
	return root;
}

char *incident_file_text(const struct incident *incident)
{
	json_t *root = incident_json(incident);
	char *text;

	if (incident->active)
		json_object_set_new(root, "resume", resume_json(incident));
	text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;

	json_decref(root);
	return text;
}

/* ---- reading ---- */

static int read_number(const json_t *object, const char *key, uint64_t most, uint64_t *number)
{
	const json_t *value = json_object_get(object, key);
	json_int_t read = json_integer_value(value);

	if (!json_is_integer(value) || read < 0 || (uint64_t)read > most)
		return -EINVAL;
	*number = read;
	return 0;
}

static int read_numbers(const json_t *object, const struct number *of, size_t count,
			struct incident *incident)
{
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++)
		rc = read_number(object, of[i].key, INCIDENT_VALUE_MOST,
				 (uint64_t *)((char *)incident + of[i].offset));
	return rc;
}

static int read_flag(const json_t *object, const char *key, bool *flag)
{
	const json_t *value = json_object_get(object, key);

	*flag = json_is_true(value);
	return json_is_boolean(value) ? 0 : -EINVAL;
}

static int read_real(const json_t *object, const char *key, double *real)
{
	const json_t *value = json_object_get(object, key);

	*real = json_real_value(value);
	return json_is_real(value) && isfinite(*real) && *real >= 0 ? 0 : -EINVAL;
}

static int read_names(const json_t *object, const char *key, struct incident_name *names, size_t most)
{
	const json_t *list = json_object_get(object, key);
	size_t count = json_array_size(list);
	char ignored[ERR_LEN];

	if (!json_is_array(list) || count > most)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		const json_t *each = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(each, "name"));

		if (!name || check_name("rule", name, ignored) ||
		    read_number(each, "packets", INCIDENT_VALUE_MOST, &names[i].packets))
			return -EINVAL;
		snprintf(names[i].name, sizeof(names->name), "%s", name);
	}
	return 0;
}

/* A reason that this version does not know is left out: the file may be of a later one. */
static int read_reasons(const json_t *object, struct incident_counters *counters)
{
	const json_t *list = json_object_get(object, "reasons");

	if (!json_is_array(list))
		return -EINVAL;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *each = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(each, "reason"));
		uint64_t packets, bytes, would;
		enum weir_reason reason;

		if (!name || read_number(each, "packets", INCIDENT_VALUE_MOST, &packets) ||
		    read_number(each, "bytes", INCIDENT_VALUE_MOST, &bytes) ||
		    read_number(each, "let_through", packets, &would))
			return -EINVAL;
		reason = reason_find(name);
		if (reason == WEIR_REASON_MAX)
			continue;
		counters->reason[reason] = (struct weir_count){ packets, bytes };
		counters->would[reason] = would;
	}
	return 0;
}

static int read_counters(const json_t *object, struct incident_counters *counters)
{
	if (read_reasons(object, counters) ||
	    read_names(object, "rules", counters->rule, WEIR_RULES) ||
	    read_names(object, "budgets", counters->budget, WEIR_BUDGETS) ||
	    read_number(object, "known_passed", INCIDENT_VALUE_MOST, &counters->known_passed) ||
	    read_number(object, "known_dropped", INCIDENT_VALUE_MOST, &counters->known_dropped) ||
	    read_number(object, "first_seen_dropped", INCIDENT_VALUE_MOST,
			&counters->first_dropped) ||
	    read_number(object, "returning_dropped", INCIDENT_VALUE_MOST,
			&counters->returning_dropped) ||
	    read_number(object, "strangers_passed", INCIDENT_VALUE_MOST,
			&counters->strangers_passed))
		return -EINVAL;
	return read_number(object, "connections", INCIDENT_VALUE_MOST, &counters->connections);
}

static int read_prefix(const json_t *value, struct prefix *prefix)
{
	const char *text = json_string_value(value);
	char ignored[ERR_LEN];

	return text ? parse_prefix(text, prefix, ignored) : -EINVAL;
}

static int read_item(enum incident_table table, const json_t *object, struct incident_item *item)
{
	uint64_t proto = 0, port = 0;

	if (read_number(object, "sampled", INCIDENT_VALUE_MOST, &item->sampled))
		return -EINVAL;
	if (has_prefix(table))
		return read_prefix(json_object_get(object, "prefix"), &item->prefix);
	if (read_number(object, "proto", UINT8_MAX, &proto) ||
	    read_number(object, "port", UINT16_MAX, &port))
		return -EINVAL;
	item->proto = proto;
	item->port = port;
	return 0;
}

static int read_tables(const json_t *root, struct incident *incident)
{
	int rc = 0;

	for (int t = 0; t < INCIDENT_TABLES && !rc; t++) {
		const json_t *list = json_object_get(root, incident_table_name(t));
		size_t count = json_array_size(list);

		if (!json_is_array(list) || count > INCIDENT_TOP)
			return -EINVAL;
		for (size_t i = 0; i < count && !rc; i++)
			rc = read_item(t, json_array_get(list, i), &incident->top[t][i]);
		incident->top_count[t] = count;
	}
	return rc;
}

static int read_banned(const json_t *root, struct incident *incident)
{
	const json_t *list = json_object_get(root, "banned");
	size_t count = json_array_size(list);
	int rc = 0;

	if (!json_is_array(list) || count > INCIDENT_TOP)
		return -EINVAL;
	for (size_t i = 0; i < count && !rc; i++)
		rc = read_prefix(json_array_get(list, i), &incident->banned[i]);
	incident->banned_count = count;
	return rc;
}

static int read_classes(const json_t *root, struct incident *incident)
{
	const json_t *classes = json_object_get(root, "classes");

	for (int i = 0; i < INCIDENT_CLASSES; i++) {
		const json_t *each = json_array_get(classes, i);
		const char *name = json_string_value(json_object_get(each, "class"));

		if (!name || strcmp(name, incident_class_name(i)) ||
		    read_number(each, "sampled", INCIDENT_VALUE_MOST, &incident->of_class[i]))
			return -EINVAL;
	}
	return 0;
}

static int read_resume(const json_t *root, struct incident *incident)
{
	const json_t *object = json_object_get(root, "resume");

	if (!incident->active)
		return 0;
	if (read_numbers(object, resume, COUNT(resume), incident) ||
	    read_counters(json_object_get(object, "raw"), &incident->raw))
		return -EINVAL;
	return read_counters(json_object_get(object, "pending"), &incident->pending);
}

static int read_incident(const json_t *root, struct incident *incident)
{
	const char *kind = json_string_value(json_object_get(root, "kind"));
	uint64_t version;

	if (read_number(root, "version", VERSION, &version) || !kind ||
	    read_flag(root, "active", &incident->active) ||
	    read_flag(root, "cut_off", &incident->cut_off) ||
	    read_numbers(root, numbers, COUNT(numbers), incident) ||
	    incident->number > INCIDENT_NUMBER_MOST ||
	    read_real(root, "pairs", &incident->pairs) ||
	    read_real(root, "pairs_of_one_source", &incident->same))
		return -EINVAL;
	incident->kind = incident_kind_find(kind);
	if (incident->kind == INCIDENT_KINDS)	/* of a later version */
		incident->kind = INCIDENT_UNCLEAR;
	if (read_counters(json_object_get(root, "counted"), &incident->counted) ||
	    read_classes(root, incident) || read_tables(root, incident) ||
	    read_banned(root, incident))
		return -EINVAL;
	return read_resume(root, incident);
}

int incident_file_parse(const char *name, const char *text, size_t size, struct incident *incident,
			char *err)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int rc;

	*incident = (struct incident){ 0 };
	if (!root)
		return fail(err, EINVAL, "%s:%d: not the record of an incident: %s", name,
			    error.line, error.text);
	rc = read_incident(root, incident);
	json_decref(root);
	if (!rc)
		return 0;
	*incident = (struct incident){ 0 };
	return fail(err, EINVAL, "%s is not the record of an incident; remove it", name);
}

/* ---- the summary ---- */

char *incident_summary_text(const struct incident_summary *summary)
{
	json_t *root = json_object(), *ended = json_object();
	char *text;

	put_number(root, "version", VERSION);
	put_number(root, "last", summary->last);
	put_number(root, "active", summary->active);
	put_number(root, "calm_packets_per_s", summary->calm_pps);
	for (int i = 0; i < INCIDENT_KINDS; i++)
		put_number(ended, incident_kind_name(i), summary->ended[i]);
	json_object_set_new(root, "ended", ended);
	text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	return text;
}

static int read_summary(const json_t *root, struct incident_summary *summary)
{
	const json_t *ended = json_object_get(root, "ended");
	uint64_t version;
	int rc = 0;

	if (read_number(root, "version", VERSION, &version) ||
	    read_number(root, "last", INCIDENT_NUMBER_MOST, &summary->last) ||
	    read_number(root, "active", INCIDENT_NUMBER_MOST, &summary->active) ||
	    read_number(root, "calm_packets_per_s", INCIDENT_VALUE_MOST, &summary->calm_pps))
		return -EINVAL;
	for (int i = 0; i < INCIDENT_KINDS && !rc; i++)
		rc = read_number(ended, incident_kind_name(i), INCIDENT_VALUE_MOST,
				 &summary->ended[i]);
	return rc;
}

int incident_summary_parse(const char *name, const char *text, size_t size,
			   struct incident_summary *summary, char *err)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int rc;

	*summary = (struct incident_summary){ 0 };
	rc = root ? read_summary(root, summary) : -EINVAL;
	json_decref(root);
	if (!rc)
		return 0;
	*summary = (struct incident_summary){ 0 };
	return fail(err, EINVAL, "%s is not the summary of incidents; remove it", name);
}
