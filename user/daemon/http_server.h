/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connections of the HTTP server and their thread: which clients have a place, and for how
 * long. libmicrohttpd reads the requests; what is answered is decided in http.c.
 */
#ifndef WEIR_DAEMON_HTTP_SERVER_H
#define WEIR_DAEMON_HTTP_SERVER_H

#include <microhttpd.h>
#include <stdbool.h>

/*
 * Serves the connections of two listening sockets, both not blocking, in a thread of its own that
 * also runs @handle. -1: there is no such socket. Closes both on failure and at the end. 0, or
 * -errno with @err. There is one server at a time.
 */
int http_server_start(int tcp, int local, MHD_AccessHandlerCallback handle, char *err);
/* Waits for the request that is being answered. Does nothing if there is no server. */
void http_server_stop(void);
/* Whether the connection came through the Unix socket. For @handle. */
bool http_server_is_local(struct MHD_Connection *connection);

#endif
