/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's log: lines on stderr, where systemd reads them for the journal. */
#ifndef WEIR_HOST_LOG_H
#define WEIR_HOST_LOG_H

/*
 * Writes one line, cut at 1023 bytes. @level: LOG_ERR, LOG_INFO, ... of <syslog.h>, written as
 * "<N>" in front (sd-daemon(3)) unless stderr is a terminal. May be called from any thread.
 */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
