/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of the daemon for the journal, on stderr. */
#ifndef WEIR_HOST_LOG_H
#define WEIR_HOST_LOG_H

/* A line with the syslog @level as <N> before it; bare where a person reads along. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
