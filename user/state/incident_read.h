/* SPDX-License-Identifier: GPL-2.0-only */
/* The counters of the maps that the record of an incident is made of. */
#ifndef WEIR_STATE_INCIDENT_READ_H
#define WEIR_STATE_INCIDENT_READ_H

#include "user/model/incident.h"
#include "user/state/maps.h"

/* All of them, cumulative: some 0.2 ms. 0, or -errno with @err. */
int incident_read(const struct maps *maps, struct incident_counters *counters, char *err);

/* The number of the newest judgement of the daemon; 0: there is none. */
uint64_t incident_newest_judgement(const struct maps *maps);
/* Adds the judgements behind incident->judgement to what was done. */
void incident_read_judgements(const struct maps *maps, struct incident *incident);

#endif
