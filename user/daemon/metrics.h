/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All metrics, read at one moment and written in Prometheus' text format or as OpenMetrics, for
 * `weir metrics` and for the HTTP server. No source address is a label, since their number has no
 * bound.
 */
#ifndef WEIR_DAEMON_METRICS_H
#define WEIR_DAEMON_METRICS_H

#include <stdbool.h>

#define METRICS_TYPE_TEXT	"text/plain; version=0.0.4; charset=utf-8"
#define METRICS_TYPE_OPEN	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * The metrics as text, which the caller frees; NULL with @err. Where weir is not in use they say
 * so: a scrape that fails would look like a broken host.
 */
char *metrics_text(bool open_metrics, char *err);

#endif
