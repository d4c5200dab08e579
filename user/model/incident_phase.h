/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a flood begins and ends, from how many packets a second are turned away. Pure: time is an
 * argument, and windows may be of any length, so that a daemon that was away goes on as well.
 *
 * A window is loud when at least max(least, times * calm) packets a second are turned away. Two
 * loud windows within ten seconds, or one of two seconds, begin a flood; it began with the first of
 * them. A flood goes on in windows of half of that (hysteresis), and ends when none was for the
 * hold, ten seconds.
 */
#ifndef WEIR_MODEL_INCIDENT_PHASE_H
#define WEIR_MODEL_INCIDENT_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/model/incident.h"
#include "user/model/units.h"

#define PHASE_HOLD_NS		(10 * NS_PER_S)
#define PHASE_HOLD_MOST_NS	(640 * NS_PER_S)
#define PHASE_SOON_NS		(60 * NS_PER_S)	/* a flood of the same kind: see phase_hold() */

struct phase_rules {
	uint64_t least_pps;
	uint64_t times;
};

enum phase_step {
	PHASE_CALM,
	PHASE_SUSPECT,		/* loud, and not for long enough */
	PHASE_BEGAN,
	PHASE_LOUD,		/* of a flood */
	PHASE_PAUSE,		/* in a flood; it may be its end */
	PHASE_ENDED,		/* it ended at loud_ns */
};

struct phase {
	double calm_pps;	/* turned away in calm times, slowly following */
	bool active;
	uint64_t suspect_from_ns, suspect_to_ns;	/* a loud window before; to 0: none */
	uint64_t began_ns;
	uint64_t loud_ns;	/* when its last loud window ended */
	uint64_t pulses;
	uint64_t peak_pps;	/* of a window */
	uint64_t hold_ns;	/* 0: PHASE_HOLD_NS */
};

/* One window, of @packets turned away between @from_ns and @to_ns of a clock that does not jump. */
enum phase_step phase_look(struct phase *phase, const struct phase_rules *rules, uint64_t from_ns,
			   uint64_t to_ns, uint64_t packets);

/*
 * How long a flood must be quiet to have ended, by that which ended before it: a sender that sends
 * in pulses longer apart than the hold makes few incidents of many pulses, since each that is of
 * the kind of one that ended less than a minute before is waited for twice as long.
 */
uint64_t phase_hold(enum incident_kind kind, uint64_t began_ns, enum incident_kind before,
		    uint64_t before_ended_ns, uint64_t before_hold_ns);

#endif
