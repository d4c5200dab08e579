// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "user/model/error.h"
#include "user/state/slots.h"

#define THREADS_MOST	16

static void *write_one(void *arg)
{
	struct slot_write *write = arg;
	int rc = write->fd < 0 ? bpf_map_delete_elem(write->outer, &write->slot) :
				 bpf_map_update_elem(write->outer, &write->slot, &write->fd, BPF_ANY);

	write->rc = rc ? neg_errno() : 0;
	return NULL;
}

/* The last one in this thread, and so is each for which there is no other. */
void slots_write(struct slot_write *writes, size_t count)
{
	pthread_t threads[THREADS_MOST];
	size_t started = 0, next = 0;
	sigset_t all, was;

	/* A signal is for the thread that waits for one. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	while (next + 1 < count && started < THREADS_MOST &&
	       !pthread_create(&threads[started], NULL, write_one, &writes[next])) {
		started++;
		next++;
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	for (; next < count; next++)
		write_one(&writes[next]);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}
