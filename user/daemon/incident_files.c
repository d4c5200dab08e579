// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/incident_files.h"
#include "user/host/clock.h"
#include "user/host/incident_store.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/units.h"

#define RETRY_NS	(5 * NS_PER_S)
#define COMPLAIN_NS	(60 * NS_PER_S)
#define SUMMARY_NS	(600 * NS_PER_S)	/* for the rate of calm times, which it holds */
#define AGE_LOOK_MOST_NS	(600 * NS_PER_S)
#define AGE_LOOKS	8	/* in the age of a record, at least */
#define JUMP_S		60	/* a time of day that is off by more was set */
#define WAITING_MOST	16
#define BROKEN_LINES	5	/* on files that are no records */

struct incident_files {
	struct incident_summary summary;
	struct incident_brief *briefs;	/* of records that have ended, by number */
	size_t count, room;
	struct incident *waiting[WAITING_MOST];	/* ended, and not written */
	size_t waiting_count;
	bool summary_waits;
	uint64_t retry_ns, complain_ns, summary_ns;
	uint64_t age_look_ns, aged_ns, aged_unix_s;	/* of the last look at ages; 0: there was none */
};

static void complain(struct incident_files *files, const char *err)
{
	if (now_ns() < files->complain_ns)
		return;
	files->complain_ns = now_ns() + COMPLAIN_NS;
	log_line(LOG_ERR, "%s; what is known of incidents stays in memory, and is written when that is "
		 "possible", err);
}

static void write_summary(struct incident_files *files)
{
	char err[ERR_LEN];
	int rc = incident_store_write_summary(&files->summary, err);

	files->summary_waits = rc != 0;
	files->summary_ns = now_ns() + SUMMARY_NS;
	if (rc)
		complain(files, err);
}

/* ---- what there is ---- */

static int add_brief(struct incident_files *files, const struct incident *incident)
{
	struct incident_brief *more;

	if (files->count == files->room) {
		more = realloc(files->briefs, (files->room * 2 + 16) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		files->briefs = more;
		files->room = files->room * 2 + 16;
	}
	files->briefs[files->count++] = (struct incident_brief){
		.number = incident->number, .end_unix_s = incident->end_unix_s,
		.packets = incident_turned_away(&incident->counted).packets };
	return 0;
}

/* A record that says that it lasts, and is not the last one: its daemon did not live to end it. */
static void close_record(struct incident *incident)
{
	char err[ERR_LEN];

	incident->active = false;
	incident->cut_off = true;
	if (incident_store_write(incident, err))
		log_line(LOG_ERR, "%s", err);
}

static int read_all(struct incident_files *files, struct incident *active)
{
	struct incident *each = calloc(1, sizeof(*each));
	uint64_t *numbers = NULL;
	char err[ERR_LEN];
	size_t count = 0;
	int broken = 0, rc = each ? 0 : -ENOMEM;

	if (!rc && incident_store_list(&numbers, &count, err))
		log_line(LOG_ERR, "%s", err);
	for (size_t i = 0; i < count && !rc; i++) {
		if (numbers[i] > files->summary.last) {
			files->summary.last = numbers[i];
			files->summary_waits = true;
		}
		if (incident_store_read(numbers[i], each, err)) {
			if (broken++ < BROKEN_LINES)
				log_line(LOG_ERR, "%s; it is left alone", err);
			continue;
		}
		if (each->active && i == count - 1) {
			*active = *each;
			continue;
		}
		if (each->active)
			close_record(each);
		rc = add_brief(files, each);
	}
	free(numbers);
	free(each);
	return rc;
}

struct incident_files *incident_files_open(struct incident *active)
{
	struct incident_files *files = calloc(1, sizeof(*files));
	char err[ERR_LEN];
	int rc;

	if (!files)
		return NULL;
	incident_store_tidy();
	rc = incident_store_read_summary(&files->summary, err);
	if (rc && rc != -ENOENT)
		log_line(LOG_ERR, "%s; incidents are counted from 0 again", err);
	files->summary_ns = now_ns() + SUMMARY_NS;
	if (!read_all(files, active))
		return files;
	incident_files_free(files);
	return NULL;
}

uint64_t incident_files_calm(const struct incident_files *files)
{
	return files->summary.calm_pps;
}

/* ---- writing ---- */

static void write_waiting(struct incident_files *files)
{
	char err[ERR_LEN];

	files->retry_ns = now_ns() + RETRY_NS;
	while (files->waiting_count) {
		if (incident_store_write(files->waiting[0], err)) {
			complain(files, err);
			return;
		}
		free(files->waiting[0]);
		memmove(files->waiting, files->waiting + 1,
			--files->waiting_count * sizeof(*files->waiting));
	}
	if (files->summary_waits)
		write_summary(files);
}

void incident_files_free(struct incident_files *files)
{
	if (!files)
		return;
	write_waiting(files);
	for (size_t i = 0; i < files->waiting_count; i++)
		free(files->waiting[i]);
	free(files->briefs);
	free(files);
}

uint64_t incident_files_begin(struct incident_files *files)
{
	if (files->summary.last < INCIDENT_NUMBER_MOST)
		files->summary.last++;
	files->summary.active = files->summary.last;
	write_summary(files);
	return files->summary.last;
}

void incident_files_write(struct incident_files *files, const struct incident *incident)
{
	char err[ERR_LEN];

	if (incident_store_write(incident, err))
		complain(files, err);
}

/* The oldest gives way: memory has an end, too. */
static void let_wait(struct incident_files *files, const struct incident *incident)
{
	struct incident *copy = malloc(sizeof(*copy));

	if (!copy)
		return;
	*copy = *incident;
	if (files->waiting_count == WAITING_MOST) {
		log_line(LOG_ERR, "incident %llu is lost: its record could not be written",
			 (unsigned long long)files->waiting[0]->number);
		free(files->waiting[0]);
		memmove(files->waiting, files->waiting + 1,
			--files->waiting_count * sizeof(*files->waiting));
	}
	files->waiting[files->waiting_count++] = copy;
}

void incident_files_end(struct incident_files *files, const struct incident *incident)
{
	char err[ERR_LEN];

	files->summary.active = 0;
	files->summary.ended[incident->kind]++;
	if (incident_store_write(incident, err)) {
		complain(files, err);
		let_wait(files, incident);
	}
	if (add_brief(files, incident))
		log_line(LOG_ERR, "out of memory");
	write_summary(files);
}

/* ---- retention ---- */

/* True: one was removed. */
static bool remove_one(struct incident_files *files, uint64_t keep, uint64_t age_s, uint64_t unix_s)
{
	size_t at = incident_to_remove(files->briefs, files->count, keep, age_s, unix_s);
	char err[ERR_LEN];

	if (at == files->count)
		return false;
	if (incident_store_remove(files->briefs[at].number, err)) {
		complain(files, err);
		return false;
	}
	memmove(&files->briefs[at], &files->briefs[at + 1],
		(--files->count - at) * sizeof(*files->briefs));
	return true;
}

/*
 * Ages are looked at twice before a record goes: when the time of day was set in between, to a year
 * in the future for example, this look removes nothing.
 */
static bool time_is_steady(struct incident_files *files, uint64_t now, uint64_t unix_s)
{
	uint64_t passed_s = (now - files->aged_ns) / NS_PER_S, expected = files->aged_unix_s + passed_s;
	bool steady = files->aged_ns && unix_s + JUMP_S > expected && unix_s < expected + JUMP_S;

	files->aged_ns = now;
	files->aged_unix_s = unix_s;
	return steady;
}

static void remove_old(struct incident_files *files, uint64_t keep, uint64_t age_ns)
{
	uint64_t now = now_ns(), unix_s = time(NULL), every_ns = age_ns / AGE_LOOKS;

	if (now < files->age_look_ns)
		return;
	files->age_look_ns = now + (every_ns < AGE_LOOK_MOST_NS ? every_ns : AGE_LOOK_MOST_NS);
	if (!time_is_steady(files, now, unix_s))
		return;
	while (remove_one(files, keep, age_ns / NS_PER_S, unix_s))
		;
}

void incident_files_look(struct incident_files *files, uint64_t keep, uint64_t age_ns,
			 uint64_t calm_pps)
{
	files->summary.calm_pps = calm_pps;
	if (!keep)
		return;
	while (files->count > keep && remove_one(files, keep, UINT64_MAX, 0))
		;
	remove_old(files, keep, age_ns);
	if (now_ns() >= files->retry_ns && (files->waiting_count || files->summary_waits))
		write_waiting(files);
	if (now_ns() >= files->summary_ns)
		write_summary(files);
}
