/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether cookies that come back become connections. The program counts the cookies that it finds
 * right (cookie-ack), the kernel those that it takes (TcpExt SyncookiesRecv). What the program lets
 * through and the kernel does not count has met something else on its way: NAT, a conntrack rule, a
 * listener other than the one that was found, or a sysctl that was changed.
 *
 * The kernel's number has more in it: its own cookies, and those of proven sources, which the
 * program does not check. So what is counted as refused is never more than the truth, give or take
 * the few on their way at a look, and less by as many as came from proven sources meanwhile.
 *
 * Every command that reads these figures looks, and the daemon once in each window; what was found
 * is kept in the map hints, so each of them sees what all have found.
 */
#ifndef WEIR_STATE_COOKIE_WATCH_H
#define WEIR_STATE_COOKIE_WATCH_H

#include <stdbool.h>

#include "user/state/maps.h"

/* Compares the counters once more. Without a device in this network namespace nothing is done. */
void cookie_watch_look(const struct maps *maps);
/* The last two windows together, 10 to 20 s where somebody looks each second. */
struct cookie_recent {
	uint64_t returned, refused, overflows;
};
struct cookie_recent cookie_watch_recent(const struct weir_cookie_watch *watch);
#define COOKIE_COMPLAINT	512
/*
 * Whether a good part of the cookies that came back lately were refused, or found a full queue:
 * @text says what happened, and where to look. Else it is "".
 */
bool cookie_watch_complaint(const struct weir_cookie_watch *watch, char text[COOKIE_COMPLAINT]);
/* Looks, and copies what is known. 0, or -errno with @err: weir is not in use. */
int cookie_watch_read(struct weir_cookie_watch *watch, char *err);

#endif
