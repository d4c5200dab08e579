// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "user/model/incident_phase.h"

#define SUSPECT_NS	(10 * NS_PER_S)	/* between two loud windows of one flood, at its begin */
#define ENOUGH_NS	(2 * NS_PER_S)	/* a loud window of this length needs no second one */
#define PULSE_NS	(2 * NS_PER_S)	/* quiet for so long, and loud again: a pulse */
/*
 * How slowly calm follows, in seconds. Down it is fast. Up it is slow: a flood that grows slowly, to raise
 * the bar, needs hours for a factor of ten. What lasts for about a day is no flood any more,
 * but how things are.
 */
#define FALL_S		600.0
#define RISE_S		3600.0
#define RISE_IN_FLOOD_S	86400.0

static void follow(struct phase *phase, double pps, double seconds)
{
	double constant = phase->active ? RISE_IN_FLOOD_S : pps > phase->calm_pps ? RISE_S : FALL_S;

	phase->calm_pps += (pps - phase->calm_pps) * (1 - exp(-seconds / constant));
}

static double loud_from(const struct phase *phase, const struct phase_rules *rules)
{
	double by_calm = rules->times * phase->calm_pps;

	return by_calm > rules->least_pps ? by_calm : rules->least_pps;
}

static void begin(struct phase *phase, uint64_t from_ns, uint64_t to_ns)
{
	bool first = !phase->suspect_to_ns;

	phase->active = true;
	phase->began_ns = first ? from_ns : phase->suspect_from_ns;
	phase->loud_ns = to_ns;
	phase->pulses = !first && from_ns >= phase->suspect_to_ns + PULSE_NS;
	phase->hold_ns = 0;
	phase->suspect_to_ns = 0;
}

static enum phase_step look_calm(struct phase *phase, bool loud, uint64_t from_ns, uint64_t to_ns,
				 uint64_t pps)
{
	if (phase->suspect_to_ns && from_ns > phase->suspect_to_ns + SUSPECT_NS)
		phase->suspect_to_ns = 0;
	if (!loud)
		return phase->suspect_to_ns ? PHASE_SUSPECT : PHASE_CALM;
	if (!phase->suspect_to_ns)
		phase->peak_pps = 0;
	phase->peak_pps = pps > phase->peak_pps ? pps : phase->peak_pps;
	if (phase->suspect_to_ns || to_ns - from_ns >= ENOUGH_NS) {
		begin(phase, from_ns, to_ns);
		return PHASE_BEGAN;
	}
	phase->suspect_from_ns = from_ns;
	phase->suspect_to_ns = to_ns;
	return PHASE_SUSPECT;
}

static enum phase_step look_flooded(struct phase *phase, bool goes_on, uint64_t from_ns,
				    uint64_t to_ns, uint64_t pps)
{
	uint64_t hold_ns = phase->hold_ns ? phase->hold_ns : PHASE_HOLD_NS;

	if (goes_on) {
		phase->pulses += from_ns >= phase->loud_ns + PULSE_NS;
		phase->loud_ns = to_ns;
		phase->peak_pps = pps > phase->peak_pps ? pps : phase->peak_pps;
		return PHASE_LOUD;
	}
	if (to_ns < phase->loud_ns + hold_ns)
		return PHASE_PAUSE;
	phase->active = false;
	return PHASE_ENDED;
}

enum phase_step phase_look(struct phase *phase, const struct phase_rules *rules, uint64_t from_ns,
			   uint64_t to_ns, uint64_t packets)
{
	double seconds, pps, bar = loud_from(phase, rules);
	enum phase_step step;

	if (to_ns <= from_ns)
		return phase->active ? PHASE_PAUSE : PHASE_CALM;
	seconds = (double)(to_ns - from_ns) / NS_PER_S;
	pps = packets / seconds;
	if (phase->active)
		step = look_flooded(phase, pps >= bar / 2, from_ns, to_ns, pps);
	else
		step = look_calm(phase, pps >= bar, from_ns, to_ns, pps);
	if (step == PHASE_CALM || step == PHASE_LOUD || step == PHASE_PAUSE)
		follow(phase, pps, seconds);
	return step;
}

uint64_t phase_hold(enum incident_kind kind, uint64_t began_ns, enum incident_kind before,
		    uint64_t before_ended_ns, uint64_t before_hold_ns)
{
	uint64_t hold_ns;

	if (!before_hold_ns || kind != before || began_ns > before_ended_ns + PHASE_SOON_NS +
							       before_hold_ns)
		return PHASE_HOLD_NS;
	hold_ns = 2 * before_hold_ns;
	return hold_ns < PHASE_HOLD_MOST_NS ? hold_ns : PHASE_HOLD_MOST_NS;
}
