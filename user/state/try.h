/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A try: weir is on an interface until a deadline, and stays only if the operator, who must
 * still reach the host for it, confirms. Three things end a try: the program itself, which
 * from the deadline on acts as its fallback says; a process that outlives the session of the
 * operator and then detaches the program; and every later attach, detach or confirm, which
 * completes what that process could not do.
 */
#ifndef WEIR_STATE_TRY_H
#define WEIR_STATE_TRY_H

#include "user/host/clock.h"
#include "user/state/maps.h"

static inline bool try_is_over(const struct weir_device *device)
{
	return device->try_until_ns && device->try_until_ns <= now_ns();
}

/* What the try goes back to: for messages ("off the interface", ...), and one word for JSON. */
const char *try_fallback_text(const struct weir_device *device);
const char *try_fallback_word(const struct weir_device *device);

/* Starts the process that ends the try in @slot. 0, or -errno with @err. */
int try_watch(uint32_t slot, const struct weir_device *device, char *err);

/* Replaces the program by one without a deadline. 0, or -errno with @err. */
int try_confirm(struct maps *maps, uint32_t slot, struct weir_device *device, char *err);

/* Goes back to what was before the try; settings stay. 0, or -errno with @err. */
int try_go_back(struct maps *maps, uint32_t slot, struct weir_device *device, char *err);

/* Goes back on every interface of this network namespace with a try that is over. */
void try_settle(struct maps *maps);

#endif
