/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of incidents, as the daemon keeps them: numbers, how many are kept and for how long,
 * and what cannot be written now. Of the thread of incident_log.h alone.
 */
#ifndef WEIR_DAEMON_INCIDENT_FILES_H
#define WEIR_DAEMON_INCIDENT_FILES_H

#include "user/model/incident.h"

struct incident_files;

/*
 * Reads what there is. @active: the record of a daemon before this one, if it has not ended. NULL:
 * out of memory.
 */
struct incident_files *incident_files_open(struct incident *active);
/* Tries once more to write what could not be written. NULL is fine. */
void incident_files_free(struct incident_files *files);
/* Packets a second that were turned away in calm times. */
uint64_t incident_files_calm(const struct incident_files *files);

/* Returns the number of a new incident. */
uint64_t incident_files_begin(struct incident_files *files);
/* Writes the record of one that lasts; a failure is logged once a minute, and tried again. */
void incident_files_write(struct incident_files *files, const struct incident *incident);
/* The same for one that has ended: it is kept in memory until it can be written. */
void incident_files_end(struct incident_files *files, const struct incident *incident);
/* To be called once a second: removes what is too much or too old, writes what waits. */
void incident_files_look(struct incident_files *files, uint64_t keep, uint64_t age_ns,
			 uint64_t calm_pps);

#endif
