/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's HTTP server, in threads of its own: /metrics for Prometheus, the web page, and under
 * /api what the read commands print with -j. It answers GET and HEAD only, and changes nothing.
 */
#ifndef WEIR_DAEMON_HTTP_H
#define WEIR_DAEMON_HTTP_H

#include <jansson.h>

#include "user/model/config.h"

/*
 * Runs a read command as with -j. @line: its words, separated by single spaces. 0 with *@answer, or
 * -errno with @err.
 */
typedef int http_answer(const char *line, json_t **answer, char *err);

/*
 * Listens where @config says: a port, a Unix socket, or both. 0, or -errno with @err. There is one
 * server at a time.
 */
int http_start(const struct config *config, http_answer *answer, char *err);
/* Waits for the requests that are being answered. Does nothing if there is no server. */
void http_stop(void);

#endif
