// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/traffic_week.h"

#define VERSION		1
#define DAY_S		86400
#define WEEK_S		(7 * DAY_S)

static const char *const names[] = { "syn", "tcp", "icmp", "fragment", "other", "udp" };

/* ---- the week ---- */

void traffic_week_add(struct traffic_week *week, uint64_t unix_s, struct traffic_samples *samples)
{
	struct traffic *day = &week->day[unix_s / DAY_S % TRAFFIC_DAYS];

	if (day->from_unix_s / DAY_S != unix_s / DAY_S)
		*day = (struct traffic){ .from_unix_s = unix_s };
	day->to_unix_s = unix_s;
	traffic_add(day, samples->at, samples->count);
}

/* A day of the future is one of before the clock was set. */
void traffic_week_sum(const struct traffic_week *week, uint64_t unix_s, struct traffic *sum)
{
	for (int i = 0; i < TRAFFIC_DAYS; i++) {
		const struct traffic *day = &week->day[i];

		if (day->to_unix_s <= unix_s && day->to_unix_s + WEEK_S >= unix_s)
			traffic_merge(sum, day);
	}
}

/* ---- writing: a need that no source has is left out ---- */

static json_t *steps_json(const uint32_t needs[TRAFFIC_STEPS])
{
	json_t *steps = json_array();

	for (int i = 0; i < TRAFFIC_STEPS; i++)
		if (needs[i])
			json_array_append_new(steps, json_pack("[i, I]", i, (json_int_t)needs[i]));
	return steps;
}

static json_t *class_json(const struct traffic *day, int class)
{
	const struct traffic_needs *needs = &day->of[class];
	int port = class < TRAFFIC_UDP_PORT ? 0 : day->port[class - TRAFFIC_UDP_PORT];

	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o}", "class",
			 class < TRAFFIC_UDP_PORT ? names[class] : "udp", "dport", port, "samples",
			 (json_int_t)needs->samples, "weight", (json_int_t)needs->weight, "bound",
			 (json_int_t)needs->bound, "packets", steps_json(needs->packets), "bits",
			 steps_json(needs->bits));
}

static json_t *day_json(const struct traffic *day)
{
	json_t *classes = json_array();

	for (int i = 0; i < TRAFFIC_CLASSES; i++)
		if (day->of[i].samples)
			json_array_append_new(classes, class_json(day, i));
	return json_pack("{s:I, s:I, s:I, s:o}", "from", (json_int_t)day->from_unix_s, "to",
			 (json_int_t)day->to_unix_s, "minutes", (json_int_t)day->minutes, "classes",
			 classes);
}

char *traffic_week_text(const struct traffic_week *week)
{
	json_t *days = json_array(), *root;
	char *text;

	for (int i = 0; i < TRAFFIC_DAYS; i++)
		if (week->day[i].minutes)
			json_array_append_new(days, day_json(&week->day[i]));
	root = json_pack("{s:i, s:o}", "version", VERSION, "days", days);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

/* ---- reading: each number is checked, since the file is not the reader's own ---- */

static int number_of(const json_t *object, const char *key, uint64_t most, uint64_t *number)
{
	const json_t *value = json_object_get(object, key);
	json_int_t read = json_integer_value(value);

	if (!json_is_integer(value) || read < 0 || (uint64_t)read > most)
		return -EINVAL;
	*number = read;
	return 0;
}

static int read_steps(const json_t *steps, uint32_t needs[TRAFFIC_STEPS])
{
	json_int_t step, count;
	json_t *pair;
	size_t i;

	if (!json_is_array(steps))
		return -EINVAL;
	json_array_foreach(steps, i, pair) {
		if (json_unpack(pair, "[I, I!]", &step, &count) || step < 0 ||
		    step >= TRAFFIC_STEPS || count < 0 || count > UINT32_MAX)
			return -EINVAL;
		needs[step] = count;
	}
	return 0;
}

/* The class that @object is for; -1: none, or one port too many. */
static int find_class(const json_t *object, struct traffic *day)
{
	const char *name = json_string_value(json_object_get(object, "class"));
	uint64_t dport;

	if (!name || number_of(object, "dport", UINT16_MAX, &dport))
		return -1;
	for (int i = 0; i < TRAFFIC_UDP_PORT && !dport; i++)
		if (!strcmp(name, names[i]))
			return i;
	for (int i = 0; i < TRAFFIC_PORTS && dport; i++) {
		if (day->port[i])
			continue;
		day->port[i] = dport;
		return TRAFFIC_UDP_PORT + i;
	}
	return -1;
}

static int read_class(const json_t *object, struct traffic *day)
{
	int class = find_class(object, day);
	uint64_t samples, weight, bound;
	struct traffic_needs *needs;

	if (class < 0 || number_of(object, "samples", INT64_MAX, &samples) ||
	    number_of(object, "weight", UINT32_MAX, &weight) ||
	    number_of(object, "bound", 1ULL << 40, &bound))
		return -EINVAL;
	needs = &day->of[class];
	needs->samples = samples;
	needs->weight = weight;
	needs->bound = bound;
	if (read_steps(json_object_get(object, "packets"), needs->packets))
		return -EINVAL;
	return read_steps(json_object_get(object, "bits"), needs->bits);
}

static int read_day(const json_t *object, struct traffic_week *week)
{
	const json_t *classes = json_object_get(object, "classes");
	uint64_t from, to, minutes;
	struct traffic *day;
	int rc = 0;

	if (number_of(object, "from", INT64_MAX, &from) || number_of(object, "to", INT64_MAX, &to) ||
	    number_of(object, "minutes", INT64_MAX, &minutes) || !json_is_array(classes))
		return -EINVAL;
	day = &week->day[from / DAY_S % TRAFFIC_DAYS];
	*day = (struct traffic){ .from_unix_s = from, .to_unix_s = to, .minutes = minutes };
	for (size_t i = 0; i < json_array_size(classes) && !rc; i++)
		rc = read_class(json_array_get(classes, i), day);
	return rc;
}

int traffic_week_parse(const char *name, const char *text, size_t size, struct traffic_week *week,
		       char *err)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error), *days;
	uint64_t version;
	int rc = 0;

	*week = (struct traffic_week){ 0 };
	if (!root)
		return fail(err, EINVAL, "%s:%d: %s", name, error.line, error.text);
	days = json_object_get(root, "days");
	if (number_of(root, "version", VERSION, &version) || !json_is_array(days))
		rc = -EINVAL;
	for (size_t i = 0; i < json_array_size(days) && !rc; i++)
		rc = read_day(json_array_get(days, i), week);
	json_decref(root);
	if (rc) {
		*week = (struct traffic_week){ 0 };
		fail(err, EINVAL, "%s is not what the daemon keeps of the traffic; remove it", name);
	}
	return rc;
}
