/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Listening to the verdicts of the data path: packets become events in a ring of the reader,
 * sampled so that a flood costs neither the data path nor the reader much.
 */
#ifndef WEIR_STATE_LISTEN_H
#define WEIR_STATE_LISTEN_H

#include "user/state/maps.h"

struct wanted {
	uint64_t reasons;	/* a bit for each enum weir_reason */
	bool from_given;	/* false: @from does not matter */
	struct prefix from;
	uint32_t events_per_s;	/* about the most that the data path sends; 0: 1000 */
};

struct listen_totals {
	uint64_t packets;	/* that matched: samples times their weight, lost ones too */
	uint64_t events;	/* that @each was called for */
	uint64_t lost;		/* events for which the ring had no room */
};

struct listener;
typedef void (*listen_each)(const struct weir_event *event, void *arg);

/*
 * Takes a slot; @maps, opened for reading, must stay open until listen_close().
 * 0, or -errno with @err: -EBUSY when all slots are taken.
 */
int listen_open(struct listener **listener, struct maps *maps, const struct wanted *wanted,
		listen_each each, void *arg, char *err);
/*
 * Waits up to @wait_ms for events and calls @each for all that there are. To be called
 * several times a second at least, since this also adjusts the sampling. 0, -EINTR after a
 * signal, or -errno.
 */
int listen_poll(struct listener *listener, int wait_ms);
/* Gives the slot back. NULL is fine. */
struct listen_totals listen_close(struct listener *listener);

/* Frees the slots of readers that were killed. @maps: opened for writing. In listeners.c. */
void listen_reap(struct maps *maps);

#endif
