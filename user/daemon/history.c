// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/daemon/history.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/device.h"

#define SAMPLES		301	/* 300 rates are between them */
#define STEP_NS		NS_PER_S
#define BITS_PER_BYTE	8

/* Counters of all devices together. */
struct sample {
	uint64_t time_ns;	/* CLOCK_MONOTONIC */
	uint64_t unix_ms;
	uint64_t seen[WEIR_REASON_MAX];
	uint64_t monitored[WEIR_REASON_MAX];
	uint64_t passed_bytes, dropped_bytes;
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool running, stopping;
	struct sample at[SAMPLES];
	size_t count, next;
} history = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- taking samples ---- */

static void add_counters(struct sample *sample, const struct weir_counters *counters)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		bool drop = !strcmp(reason_action(i), "drop");
		uint64_t let = counters->monitored[i].bytes, all = counters->reason[i].bytes;

		sample->seen[i] += counters->reason[i].packets;
		sample->monitored[i] += counters->monitored[i].packets;
		sample->passed_bytes += drop ? let : all;
		sample->dropped_bytes += drop ? all - let : 0;
	}
}

static void take_sample(struct sample *sample)
{
	struct weir_counters counters;
	struct timespec now;
	char err[ERR_LEN];
	struct maps maps;

	clock_gettime(CLOCK_REALTIME, &now);
	*sample = (struct sample){ .time_ns = now_ns(),
				   .unix_ms = now.tv_sec * 1000ULL + now.tv_nsec / NS_PER_MS };
	if (maps_open(&maps, MAPS_READ, err))
		return;
	if (!devices_sum(&maps, &counters))
		add_counters(sample, &counters);
	maps_close(&maps);
}

static void *keep_history(void *arg)
{
	uint64_t next_ns = now_ns();
	struct sample sample;

	(void)arg;
	pthread_mutex_lock(&history.lock);
	while (!history.stopping) {
		struct timespec until;

		pthread_mutex_unlock(&history.lock);
		take_sample(&sample);
		pthread_mutex_lock(&history.lock);
		history.at[history.next] = sample;
		history.next = (history.next + 1) % SAMPLES;
		history.count += history.count < SAMPLES;
		next_ns += STEP_NS;
		if (next_ns < now_ns())		/* after a suspend missed samples are not made up for */
			next_ns = now_ns() + STEP_NS;
		until = (struct timespec){ next_ns / STEP_NS, next_ns % STEP_NS };
		while (!history.stopping &&
		       pthread_cond_timedwait(&history.stop, &history.lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&history.lock);
	return NULL;
}

int history_start(char *err)
{
	pthread_condattr_t attributes;
	int rc;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&history.stop, &attributes);
	pthread_condattr_destroy(&attributes);
	history.stopping = false;
	history.count = history.next = 0;
	rc = pthread_create(&history.thread, NULL, keep_history, NULL);
	history.running = !rc;
	return rc ? fail(err, rc, "cannot start a thread: %s", strerror(rc)) : 0;
}

void history_stop(void)
{
	if (!history.running)
		return;
	pthread_mutex_lock(&history.lock);
	history.stopping = true;
	pthread_cond_signal(&history.stop);
	pthread_mutex_unlock(&history.lock);
	pthread_join(history.thread, NULL);
	pthread_cond_destroy(&history.stop);
	history.running = false;
}

/* ---- as JSON ---- */

/* Sample @i, counted from the oldest. */
static const struct sample *sample_at(size_t i)
{
	return &history.at[(history.next + SAMPLES - history.count + i) % SAMPLES];
}

/* A sum of counters is less than before if a device was detached in between. */
static json_t *rate(uint64_t was, uint64_t is, const struct sample *from,
		    const struct sample *to)
{
	double seconds = (to->time_ns - from->time_ns) / 1e9;

	return json_integer(is > was && seconds > 0 ? (json_int_t)((is - was) / seconds + 0.5) : 0);
}

enum part { PASSED, DROPPED, WOULD_DROP };

static uint64_t part_of(const struct sample *sample, int reason, enum part part)
{
	switch (part) {
	case WOULD_DROP:
		return sample->monitored[reason];
	case DROPPED:
		return sample->seen[reason] - sample->monitored[reason];
	default:
		return sample->seen[reason];
	}
}

static void append_reason(json_t *reasons, int reason, enum part part, const char *action)
{
	json_t *rates = json_array();
	bool any = false;

	for (size_t i = 1; i < history.count; i++) {
		const struct sample *from = sample_at(i - 1), *to = sample_at(i);
		uint64_t was = part_of(from, reason, part), is = part_of(to, reason, part);

		any |= is > was;
		json_array_append_new(rates, rate(was, is, from, to));
	}
	if (any)
		json_array_append_new(reasons, json_pack("{s:s, s:s, s:O}", "reason",
							 reason_name(reason), "action", action,
							 "packets_per_s", rates));
	json_decref(rates);
}

json_t *history_json(void)
{
	json_t *times = json_array(), *reasons = json_array();
	json_t *passed = json_array(), *dropped = json_array();

	pthread_mutex_lock(&history.lock);
	for (size_t i = 1; i < history.count; i++) {
		const struct sample *from = sample_at(i - 1), *to = sample_at(i);

		json_array_append_new(times, json_integer(to->unix_ms));
		json_array_append_new(passed, rate(from->passed_bytes * BITS_PER_BYTE,
						   to->passed_bytes * BITS_PER_BYTE, from, to));
		json_array_append_new(dropped, rate(from->dropped_bytes * BITS_PER_BYTE,
						    to->dropped_bytes * BITS_PER_BYTE, from, to));
	}
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		if (strcmp(reason_action(i), "drop")) {
			append_reason(reasons, i, PASSED, "pass");
			continue;
		}
		append_reason(reasons, i, DROPPED, "drop");
		append_reason(reasons, i, WOULD_DROP, "would-drop");
	}
	pthread_mutex_unlock(&history.lock);
	return json_pack("{s:o, s:o, s:o, s:o}", "time_ms", times, "passed_bits_per_s", passed,
			 "dropped_bits_per_s", dropped, "reasons", reasons);
}
