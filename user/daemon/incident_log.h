/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes each flood to a record (model/incident.h). A thread of its own reads the counters once a
 * second, since a look of the ban engine takes seconds when millions of sources are over their
 * limit. It takes a reader's slot only while a flood lasts, for one second of four.
 */
#ifndef WEIR_DAEMON_INCIDENT_LOG_H
#define WEIR_DAEMON_INCIDENT_LOG_H

#include "user/model/config.h"

struct incident_log;

/* Goes on with the record of a daemon that was killed. NULL with @err: no memory, or no thread. */
struct incident_log *incident_log_start(const struct config *config, char *err);
/* The settings file was read again. */
void incident_log_configure(struct incident_log *log, const struct config *config);
/* Writes what is known of a flood that lasts, ends the thread and frees @log, which may be NULL. */
void incident_log_stop(struct incident_log *log);

#endif
