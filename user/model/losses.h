/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets that were lost before weir saw them: what the kernel's and the drivers' counters mean, and
 * how their growth is added up. Pure: the counters come in as arguments (user/state/loss_watch.h
 * reads them).
 *
 * Some drivers count what an XDP program drops as rx_dropped. Such drops are no losses, so they are
 * taken off where it is known that the driver counts them; the table in losses.c has what is known.
 * Where it is not known, rx_dropped is told and raises no alarm.
 */
#ifndef WEIR_MODEL_LOSSES_H
#define WEIR_MODEL_LOSSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"

/* What is known of rx_dropped of a driver, and of the packets that the program drops. */
enum own_drops {
	OWN_UNKNOWN,		/* it may count them; rx_dropped says nothing certain */
	OWN_APART,		/* it does not count them */
	OWN_STATISTIC,		/* it does, and has a statistic of them: they are taken off */
	OWN_PROGRAM,		/* it does, and has none: what weir dropped is taken off */
};
/* Without @native it is the kernel that runs the program, and does not count what it drops. */
enum own_drops losses_own(const char *driver, bool native);
/* "unknown", "apart", "statistic" or "program", for JSON */
const char *own_drops_name(enum own_drops own);
/* Whether the driver has statistics of losses that are known here. */
bool losses_has_statistics(const char *driver);

/* One reading of a device's counters, all since some moment in the past. */
struct loss_reading {
	uint64_t raw[WEIR_LOSSES];	/* packets, as the kernel and the driver count them */
	uint64_t own[WEIR_LOSSES];	/* of these, drops of the XDP program */
	uint64_t seen;			/* packets that the program saw */
};
/* Adds one of the driver's statistics, if it is one of losses or of what the program dropped. */
void losses_add_statistic(struct loss_reading *reading, const char *driver, const char *name,
			  uint64_t value);

/* Begins anew: what was counted so far is no loss of this attachment. */
void losses_begin(struct weir_loss_watch *watch, const struct loss_reading *reading,
		  uint64_t now_ns);
/*
 * Adds what has been lost since the last reading. A counter that fell (a driver may begin anew) is
 * taken as a new beginning.
 */
void losses_take(struct weir_loss_watch *watch, const struct loss_reading *reading,
		 uint64_t now_ns);

/* The last two windows together: 10 to 20 s where the daemon looks each second. */
struct weir_loss_count losses_recent(const struct weir_loss_watch *watch);
/*
 * How many packets were lost at least. The counters overlap, since a driver may count a packet in
 * several, so it is the largest of them, and not the sum. Ports that are idle on purpose
 * (nohandler) are no loss. @own: with OWN_UNKNOWN, rx_dropped is left out.
 */
uint64_t losses_least(const struct weir_loss_count *count, enum own_drops own);

/* The name of the counter as JSON and metrics have it, such as "missed". */
const char *loss_name(enum weir_loss loss);
/* "rx_missed_errors 12, rx_fifo_errors 3": those that are not 0. "" if all are. Returns @text. */
const char *losses_list(const struct weir_loss_count *count, char *text, size_t size);

#define LOSS_COMPLAINT	512
/*
 * Whether a good part of the packets was lost lately: at least 100, and one in a hundred. @text
 * says how many and where, and what helps; else it is "".
 */
bool losses_complaint(const struct weir_loss_watch *watch, enum own_drops own, const char *dev,
		      char text[LOSS_COMPLAINT]);

#endif
