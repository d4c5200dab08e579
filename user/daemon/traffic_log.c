// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/traffic_log.h"
#include "user/daemon/worker.h"
#include "user/host/clock.h"
#include "user/host/file.h"
#include "user/host/log.h"
#include "user/host/write_file.h"
#include "user/model/error.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/listen.h"

#define FILE_MOST	(1 << 20)	/* the largest that a week can be is a quarter of it */
#define SAMPLING_NS	(10 * NS_PER_S)
#define MINUTE_NS	(60 * NS_PER_S)
#define POLL_MS		50
#define EVENTS_PER_S	10000		/* about 5 MB of samples, for a moment */
#define FLOOD_PART	4	/* a minute in which more than 1 of 4 packets are dropped is a flood */

struct traffic_log {
	struct worker worker;
	pthread_mutex_t lock;		/* of the next two */
	char file[CONFIG_TEXT];
	uint64_t every_ns;
	/* of the thread alone */
	struct traffic_week week;
	struct traffic_samples samples;
	bool changed, unwritable;	/* a file that could not be read is not overwritten */
	uint64_t next_write_ns;
};

/* ---- the file ---- */

int traffic_log_read(const char *file, struct traffic_week *week, char *err)
{
	struct file_text text = { 0 };
	int rc = file_read(file, FILE_MOST, &text, err);

	*week = (struct traffic_week){ 0 };
	if (!rc)
		rc = traffic_week_parse(file, text.data, text.size, week, err);
	file_text_free(&text);
	return rc;
}

static void write_file(struct traffic_log *log, const char *file)
{
	char *text = traffic_week_text(&log->week), err[ERR_LEN];
	int rc = text ? file_replace(file, text, strlen(text), 0600, err) :
			fail(err, ENOMEM, "cannot write %.180s: out of memory", file);

	if (rc)
		log_line(LOG_ERR, "%s; the file keeps its old content", err);
	free(text);
	log->changed = rc != 0;
}

static void write_if_due(struct traffic_log *log, const char *file, uint64_t every_ns, bool last)
{
	if (!log->changed || log->unwritable || !*file || (!last && now_ns() < log->next_write_ns))
		return;
	write_file(log, file);
	log->next_write_ns = now_ns() + every_ns;
}

/* ---- sampling ---- */

static void take_sample(const struct weir_event *event, void *arg)
{
	struct traffic_log *log = arg;
	struct traffic_sample sample;

	if (traffic_sample(event, &sample) && !sample.dropped)
		traffic_samples_put(&log->samples, &sample);
}

static void count_packets(const struct maps *maps, uint64_t *all, uint64_t *dropped)
{
	struct weir_counters counters;

	*all = *dropped = 0;
	if (devices_sum(maps, &counters))
		return;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		*all += counters.reason[i].packets;
		if (!strcmp(reason_action(i), "drop"))
			*dropped += counters.reason[i].packets;
	}
}

/* What passes during a flood is not what sources send in calm times. */
static bool was_flooded(const struct maps *maps, uint64_t all, uint64_t dropped)
{
	uint64_t all_now, dropped_now;

	count_packets(maps, &all_now, &dropped_now);
	return all_now > all && (dropped_now - dropped) * FLOOD_PART > all_now - all;
}

/* Samples for ten seconds. Where all slots of readers are taken, this minute is left out. */
static void sample(struct traffic_log *log)
{
	struct wanted wanted = { .reasons = traffic_reasons(), .events_per_s = EVENTS_PER_S };
	uint64_t end_ns = now_ns() + SAMPLING_NS, all, dropped;
	struct listener *listener;
	char ignored[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, ignored))
		return;
	count_packets(&maps, &all, &dropped);
	log->samples.count = 0;
	if (!listen_open(&listener, &maps, &wanted, take_sample, log, ignored)) {
		while (now_ns() < end_ns && !worker_is_stopping(&log->worker))
			listen_poll(listener, POLL_MS);
		listen_close(listener);
		if (!was_flooded(&maps, all, dropped)) {
			traffic_week_add(&log->week, time(NULL), &log->samples);
			log->changed = true;
		}
	}
	maps_close(&maps);
	traffic_samples_free(&log->samples);
}

static void *keep_traffic(void *arg)
{
	struct traffic_log *log = arg;
	char file[CONFIG_TEXT];
	uint64_t every_ns, next_ns = now_ns();

	do {
		pthread_mutex_lock(&log->lock);
		memcpy(file, log->file, sizeof(file));
		every_ns = log->every_ns;
		pthread_mutex_unlock(&log->lock);
		if (*file)
			sample(log);
		write_if_due(log, file, every_ns, worker_is_stopping(&log->worker));
		next_ns += MINUTE_NS;
		if (next_ns < now_ns())
			next_ns = now_ns() + MINUTE_NS - SAMPLING_NS;
	} while (worker_sleep_until(&log->worker, next_ns));
	write_if_due(log, file, every_ns, true);
	return NULL;
}

/* ---- the thread ---- */

void traffic_log_configure(struct traffic_log *log, const struct config *config)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	memcpy(log->file, config->traffic_file, sizeof(log->file));
	log->every_ns = config->save_every_ns;
	pthread_mutex_unlock(&log->lock);
}

static void read_file(struct traffic_log *log, const char *file)
{
	char err[ERR_LEN];
	int rc = *file ? traffic_log_read(file, &log->week, err) : -ENOENT;

	if (!rc || rc == -ENOENT)
		return;
	log->unwritable = true;
	log_line(LOG_ERR, "%s; until it is mended, `weir suggest` knows nothing of other days", err);
}

struct traffic_log *traffic_log_start(const struct config *config, char *err)
{
	struct traffic_log *log = calloc(1, sizeof(*log));
	int rc;

	if (!log) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&log->lock, NULL);
	traffic_log_configure(log, config);
	read_file(log, config->traffic_file);
	rc = worker_start(&log->worker, keep_traffic, log);
	if (!rc)
		return log;
	fail(err, rc, "cannot start a thread: %s", strerror(rc));
	free(log);
	return NULL;
}

void traffic_log_stop(struct traffic_log *log)
{
	if (!log)
		return;
	worker_stop(&log->worker);
	pthread_mutex_destroy(&log->lock);
	free(log);
}
