/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Samples what passes for ten seconds of each minute, and keeps for a week how much sources sent,
 * without their addresses. A thread does it: the main loop sleeps for longer than a ring of samples
 * lasts. For the other fifty seconds packets do not pay for a reader.
 */
#ifndef WEIR_DAEMON_TRAFFIC_LOG_H
#define WEIR_DAEMON_TRAFFIC_LOG_H

#include "user/model/config.h"
#include "user/model/traffic_week.h"

struct traffic_log;

/* Reads what the file has, and starts the thread. NULL with @err: out of memory, or no thread. */
struct traffic_log *traffic_log_start(const struct config *config, char *err);
/* The settings file was read again. */
void traffic_log_configure(struct traffic_log *log, const struct config *config);
/* Writes the file, ends the thread and frees @log, which may be NULL. */
void traffic_log_stop(struct traffic_log *log);

/* 0, or -errno with @err, and @week is empty: -ENOENT where no daemon has kept anything. */
int traffic_log_read(const char *file, struct traffic_week *week, char *err);

#endif
