/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's HTTP server, in threads of its own: /metrics for Prometheus, the
 * page, and under /api what the read commands print with -j. It only answers
 * GET and HEAD and changes nothing.
 */
#ifndef WEIR_DAEMON_HTTP_H
#define WEIR_DAEMON_HTTP_H

#include <jansson.h>
#include <stdint.h>

/*
 * What a read command prints with -j: @line is its words with single spaces between. 0 with
 * *@answer, or -errno with @err.
 */
typedef int http_answer(const char *line, json_t **answer, char *err);

/* @address: of this host, IPv4 or IPv6. 0, or -errno with @err. Once at a time. */
int http_start(const char *address, uint16_t port, http_answer *answer, char *err);
/* Waits for the answers in hand. May be called when nothing was started. */
void http_stop(void);

#endif
