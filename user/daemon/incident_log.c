// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/incident_files.h"
#include "user/daemon/incident_log.h"
#include "user/daemon/worker.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/incident_phase.h"
#include "user/model/incident_sample.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/incident_read.h"
#include "user/state/listen.h"

#define LOOK_NS		NS_PER_S
#define POLL_MS		50
#define WRITE_EVERY_NS	(5 * NS_PER_S)	/* of the record, while a flood lasts */
#define SAMPLED_FIRST	5	/* seconds that are sampled, from a flood's begin on */
#define SAMPLED_OF	4	/* then one second of so many, chosen at random */
#define SAMPLES_LEAST	200	/* before a line names the kind */
#define BITS_PER_BYTE	8

struct incident_log {
	struct worker worker;
	pthread_mutex_t lock;	/* of the next three */
	struct phase_rules rules;
	uint64_t keep, age_ns;	/* keep 0: off */
	/* ---- of the thread alone ---- */
	struct phase_rules with;	/* the rules of this look */
	struct phase phase;
	struct incident now;	/* of a flood, or of what may become one */
	struct incident_sample sample;
	struct incident_counters window;	/* grown in the last one */
	bool has_read;		/* now.raw is of these maps, and not of a moment long ago */
	bool suspecting;	/* now is of what may become a flood */
	bool resuming;		/* now is of a daemon before this one */
	bool has_tail;		/* the first quiet window is counted */
	bool told;		/* a line has named the kind */
	uint32_t slices;	/* seconds that were sampled */
	uint64_t next_write_ns;
	/* of the flood before */
	enum incident_kind before;
	uint64_t before_ended_ns, before_hold_ns;	/* 0: there was none */
	struct incident_files *files;
};

/* ---- lines ---- */

static void tell_begin(const struct incident_log *log)
{
	log_line(LOG_WARNING, "incident %llu began: %llu packets a second are turned away, %llu in calm "
		 "times; `weir incidents %llu` shows what it is", (unsigned long long)log->now.number,
		 (unsigned long long)log->now.peak_pps, (unsigned long long)log->now.calm_pps,
		 (unsigned long long)log->now.number);
}

static void tell_kind(struct incident_log *log)
{
	char title[INCIDENT_TITLE];

	if (log->told || log->now.samples < SAMPLES_LEAST || log->now.kind == INCIDENT_UNCLEAR)
		return;
	log->told = true;
	incident_title(&log->now, title);
	log_line(LOG_WARNING, "incident %llu is %s (%s)", (unsigned long long)log->now.number, title,
		 incident_kind_name(log->now.kind));
}

static void tell_end(const struct incident *incident)
{
	char lasted[FORMAT_LEN], title[INCIDENT_TITLE];

	incident_title(incident, title);
	format_duration((incident->lasted_ms + 999) / 1000, lasted);
	log_line(LOG_NOTICE, "incident %llu %s after %s: %s, %llu packets turned away, at most %llu a "
		 "second; `weir incidents report %llu` writes a report",
		 (unsigned long long)incident->number, incident->cut_off ? "was cut off" : "ended",
		 lasted, title,
		 (unsigned long long)incident_turned_away(&incident->counted).packets,
		 (unsigned long long)incident->peak_pps, (unsigned long long)incident->number);
}

/* ---- the record ---- */

/*
 * Times of day are counted back from the present one by the clock that does not jump: when the time
 * of day is set during a flood, its begin is right all the same.
 */
static void set_times(struct incident_log *log, uint64_t now)
{
	struct incident *incident = &log->now;
	uint64_t unix_s = time(NULL), ago_s = (now - incident->began_ns) / NS_PER_S;

	incident->loud_ns = log->phase.loud_ns;
	incident->lasted_ms = (incident->loud_ns - incident->began_ns) / NS_PER_MS;
	incident->begin_unix_s = unix_s > ago_s ? unix_s - ago_s : 0;
	incident->end_unix_s = incident->active ? unix_s :
			       incident->begin_unix_s + incident->lasted_ms / 1000;
}

static void update(struct incident_log *log, uint64_t now)
{
	log->now.pulses = log->phase.pulses;
	set_times(log, now);
	incident_sample_tell(&log->sample, &log->now);
	log->phase.hold_ns = phase_hold(log->now.kind, log->now.began_ns, log->before,
					log->before_ended_ns, log->before_hold_ns);
}

static void write_if_due(struct incident_log *log, uint64_t now)
{
	if (now < log->next_write_ns)
		return;
	incident_files_write(log->files, &log->now);
	log->next_write_ns = now + WRITE_EVERY_NS;
}

/* What may become a flood: from the window before on, since the first one may have begun in it. */
static void suspect(struct incident_log *log, const struct maps *maps)
{
	struct incident_counters raw = log->now.raw;
	uint64_t read_ns = log->now.read_ns, maps_made_s = log->now.maps_made_s;

	log->now = (struct incident){ .raw = raw, .read_ns = read_ns, .maps_made_s = maps_made_s,
				      .calm_pps = log->phase.calm_pps, .counted = log->window,
				      .judgement = incident_newest_judgement(maps) };
	log->sample = (struct incident_sample){ 0 };
	log->suspecting = true;
	log->told = false;
	log->slices = 0;
}

static void begin(struct incident_log *log, uint64_t now)
{
	log->suspecting = false;
	log->has_tail = false;
	log->now.active = true;
	log->now.number = incident_files_begin(log->files);
	log->now.began_ns = log->phase.began_ns;
	log->next_write_ns = now;
	update(log, now);
	tell_begin(log);
}

static void finish(struct incident_log *log, uint64_t now, bool cut_off)
{
	log->now.active = false;
	log->now.cut_off = cut_off;
	if (!cut_off)
		update(log, now);
	log->before = log->now.kind;
	log->before_ended_ns = now;
	log->before_hold_ns = log->phase.hold_ns ? log->phase.hold_ns : PHASE_HOLD_NS;
	log->phase.active = false;
	tell_end(&log->now);
	incident_files_end(log->files, &log->now);
	log->suspecting = log->resuming = false;
}

/* ---- windows ---- */

static void note_peak(struct incident_log *log, uint64_t from_ns, uint64_t to_ns)
{
	struct weir_count grown = incident_turned_away(&log->window);
	double seconds = (double)(to_ns - from_ns) / NS_PER_S;
	uint64_t bits_per_s = grown.bytes * BITS_PER_BYTE / seconds;

	if (bits_per_s > log->now.peak_bits_per_s)
		log->now.peak_bits_per_s = bits_per_s;
	log->now.peak_pps = log->phase.peak_pps;
}

static void go_on(struct incident_log *log)
{
	incident_sum(&log->now.counted, &log->now.pending);
	incident_sum(&log->now.counted, &log->window);
	log->now.pending = (struct incident_counters){ 0 };
	log->has_tail = false;
}

/* A flood ends somewhere in its first quiet window; what follows counts if it goes on. */
static void pause(struct incident_log *log)
{
	incident_sum(log->has_tail ? &log->now.pending : &log->now.counted, &log->window);
	log->has_tail = true;
}

static void step(struct incident_log *log, const struct maps *maps, uint64_t from_ns, uint64_t now,
		 const struct incident_counters *window)
{
	enum phase_step to = phase_look(&log->phase, &log->with, from_ns, now,
					incident_turned_away(window).packets);

	if ((to == PHASE_SUSPECT || to == PHASE_BEGAN) && !log->suspecting)
		suspect(log, maps);
	log->window = *window;
	switch (to) {
	case PHASE_CALM:
		log->suspecting = false;
		return;
	case PHASE_SUSPECT:
	case PHASE_BEGAN:
	case PHASE_LOUD:
		go_on(log);
		note_peak(log, from_ns, now);
		if (to == PHASE_BEGAN)
			begin(log, now);
		break;
	case PHASE_PAUSE:
		pause(log);
		break;
	case PHASE_ENDED:
		if (!log->has_tail)
			pause(log);
		break;
	}
	if (to == PHASE_SUSPECT)
		return;
	incident_read_judgements(maps, &log->now);
	if (to == PHASE_ENDED) {
		finish(log, now, false);
		return;
	}
	update(log, now);
	tell_kind(log);
	write_if_due(log, now);
}

/* A record of a daemon that was killed, of these maps: its counters have gone on. */
static void resume(struct incident_log *log, uint64_t maps_made_s, uint64_t now)
{
	struct incident *incident = &log->now;

	log->has_read = incident->maps_made_s == maps_made_s && incident->read_ns <= now &&
			incident->loud_ns <= incident->read_ns &&
			incident->began_ns <= incident->loud_ns;
	if (!log->has_read) {
		finish(log, now, true);
		return;
	}
	log->resuming = false;
	log->told = true;
	log->phase.active = true;
	log->phase.began_ns = incident->began_ns;
	log->phase.loud_ns = incident->loud_ns;
	log->phase.pulses = incident->pulses;
	log->phase.peak_pps = incident->peak_pps;
	incident_sample_resume(&log->sample, incident);
	log->slices = SAMPLED_FIRST;
	log->has_tail = incident_turned_away(&incident->pending).packets > 0;
	log_line(LOG_INFO, "incident %llu goes on: a daemon before this one wrote it",
		 (unsigned long long)incident->number);
}

static void read_and_step(struct incident_log *log, const struct maps *maps)
{
	struct incident_counters raw, window = { 0 };
	uint64_t now = now_ns(), from_ns;
	char err[ERR_LEN];

	if (incident_read(maps, &raw, err))	/* the main loop says why */
		return;
	if (log->resuming)
		resume(log, maps->meta.created_unix_s, now);
	else if (log->has_read && log->now.maps_made_s != maps->meta.created_unix_s) {
		if (log->phase.active)
			finish(log, now, true);
		log->has_read = false;
	}
	if (log->has_read)
		incident_grow(&window, &log->now.raw, &raw);
	from_ns = log->has_read ? log->now.read_ns : now;
	log->has_read = true;
	log->now.maps_made_s = maps->meta.created_unix_s;
	log->now.raw = raw;
	log->now.read_ns = now;
	step(log, maps, from_ns, now, &window);
}

static void look(struct incident_log *log)
{
	char ignored[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, ignored)) {
		if (log->phase.active)
			finish(log, now_ns(), true);
		log->has_read = log->suspecting = false;
		return;
	}
	read_and_step(log, &maps);
	maps_close(&maps);
}

/* ---- sampling ---- */

static void take_sample(const struct weir_event *event, void *arg)
{
	struct incident_log *log = arg;

	incident_sample_put(&log->sample, event);
}

/* At random: a sender that knew the second could pause in it. */
static bool is_sampled(struct incident_log *log)
{
	uint8_t random = 0;

	if (!log->suspecting && !log->phase.active)
		return false;
	if (log->slices < SAMPLED_FIRST)
		return true;
	return getrandom(&random, sizeof(random), 0) != sizeof(random) || !(random % SAMPLED_OF);
}

/* Where all slots of readers are taken, this second has no samples. */
static void sample_until(struct incident_log *log, uint64_t end_ns)
{
	struct wanted wanted = { .reasons = reasons_of_action("drop") | reasons_of_action("tx") };
	struct listener *listener;
	char ignored[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, ignored))
		return;
	if (!listen_open(&listener, &maps, &wanted, take_sample, log, ignored)) {
		while (now_ns() < end_ns && !worker_is_stopping(&log->worker))
			if (listen_poll(listener, POLL_MS))
				break;
		listen_close(listener);
		log->slices++;
	}
	maps_close(&maps);
}

/* ---- the thread ---- */

static void look_with_settings(struct incident_log *log)
{
	uint64_t keep, age_ns;

	pthread_mutex_lock(&log->lock);
	log->with = log->rules;
	keep = log->keep;
	age_ns = log->age_ns;
	pthread_mutex_unlock(&log->lock);
	if (keep) {
		look(log);
	} else {
		if (log->phase.active || log->resuming)
			finish(log, now_ns(), true);
		log->has_read = log->suspecting = false;
	}
	incident_files_look(log->files, keep, age_ns, log->phase.calm_pps);
}

static void *keep_incidents(void *arg)
{
	struct incident_log *log = arg;
	uint64_t next_ns = now_ns();

	do {
		look_with_settings(log);
		next_ns += LOOK_NS;
		if (next_ns < now_ns())		/* after a suspend */
			next_ns = now_ns() + LOOK_NS;
		if (is_sampled(log))
			sample_until(log, next_ns);
	} while (worker_sleep_until(&log->worker, next_ns));
	if (log->phase.active)
		incident_files_write(log->files, &log->now);
	return NULL;
}

void incident_log_configure(struct incident_log *log, const struct config *config)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->rules = (struct phase_rules){ config->incident_least_pps, config->incident_times };
	log->keep = config->incident_keep;
	log->age_ns = config->incident_age_ns;
	pthread_mutex_unlock(&log->lock);
}

static void free_log(struct incident_log *log)
{
	incident_files_free(log->files);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

struct incident_log *incident_log_start(const struct config *config, char *err)
{
	struct incident_log *log = calloc(1, sizeof(*log));
	int rc;

	if (!log) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&log->lock, NULL);
	incident_log_configure(log, config);
	log->files = incident_files_open(&log->now);
	if (!log->files) {
		fail(err, ENOMEM, "out of memory");
		free_log(log);
		return NULL;
	}
	log->resuming = log->now.active;
	log->phase.calm_pps = incident_files_calm(log->files);
	rc = worker_start(&log->worker, keep_incidents, log);
	if (!rc)
		return log;
	fail(err, rc, "cannot start a thread: %s", strerror(rc));
	free_log(log);
	return NULL;
}

void incident_log_stop(struct incident_log *log)
{
	if (!log)
		return;
	worker_stop(&log->worker);
	free_log(log);
}
