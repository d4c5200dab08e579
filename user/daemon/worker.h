/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread beside the daemon's loop, which sleeps between its looks and ends when it is told to. */
#ifndef WEIR_DAEMON_WORKER_H
#define WEIR_DAEMON_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
};

/* Returns 0, or an error number: no thread runs, and there is nothing to stop. */
int worker_start(struct worker *worker, void *(*run)(void *arg), void *arg);
/* Tells the thread to end, and waits until it has. */
void worker_stop(struct worker *worker);

/* For the thread: whether it is to end; and waiting until @until_ns (CLOCK_MONOTONIC), or that. */
bool worker_is_stopping(struct worker *worker);
/* False: the thread is to end. */
bool worker_sleep_until(struct worker *worker, uint64_t until_ns);

#endif
