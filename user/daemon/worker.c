// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <time.h>

#include "user/daemon/worker.h"
#include "user/model/units.h"

static void destroy(struct worker *worker)
{
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
}

int worker_start(struct worker *worker, void *(*run)(void *arg), void *arg)
{
	pthread_condattr_t attributes;
	int rc;

	worker->stopping = false;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	rc = pthread_create(&worker->thread, NULL, run, arg);
	if (rc)
		destroy(worker);
	return rc;
}

void worker_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	destroy(worker);
}

bool worker_is_stopping(struct worker *worker)
{
	bool stopping;

	pthread_mutex_lock(&worker->lock);
	stopping = worker->stopping;
	pthread_mutex_unlock(&worker->lock);
	return stopping;
}

bool worker_sleep_until(struct worker *worker, uint64_t until_ns)
{
	struct timespec until = { until_ns / NS_PER_S, until_ns % NS_PER_S };
	bool stopping;

	pthread_mutex_lock(&worker->lock);
	while (!worker->stopping &&
	       pthread_cond_timedwait(&worker->wake, &worker->lock, &until) != ETIMEDOUT)
		;
	stopping = worker->stopping;
	pthread_mutex_unlock(&worker->lock);
	return !stopping;
}
