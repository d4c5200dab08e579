/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A try: weir on an interface until a deadline, and for good only when somebody
 * confirms who can still do so. Three things end one: the program itself, which
 * from the deadline on does what its fallback says; a process that no session
 * takes with it, which then takes the program off; and every later attach,
 * detach or confirm, which finishes what that process could not.
 */
#ifndef WEIR_STATE_TRY_H
#define WEIR_STATE_TRY_H

#include "user/host/clock.h"
#include "user/state/maps.h"

static inline bool try_is_over(const struct weir_device *device)
{
	return device->try_until_ns && device->try_until_ns <= now_ns();
}

/* "off the interface", "to monitor mode", ... for messages; and one word for JSON. */
const char *try_fallback_text(const struct weir_device *device);
const char *try_fallback_word(const struct weir_device *device);

/* Starts the process that ends the try in @slot. 0, or -errno with @err. */
int try_watch(uint32_t slot, const struct weir_device *device, char *err);

/* For good: swaps in a program without deadline. 0, or -errno with @err. */
int try_confirm(struct maps *maps, uint32_t slot, struct weir_device *device, char *err);

/* Back to what was before. 0, or -errno with @err; settings stay. */
int try_go_back(struct maps *maps, uint32_t slot, struct weir_device *device, char *err);

/* Goes back on every interface of this network namespace whose time is over. */
void try_settle(struct maps *maps);

#endif
