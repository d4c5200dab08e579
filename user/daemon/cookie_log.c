// SPDX-License-Identifier: GPL-2.0-only
#include <syslog.h>

#include "user/daemon/cookie_log.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/units.h"
#include "user/state/cookie_watch.h"

#define AGAIN_NS	(60 * NS_PER_S)

void cookie_log_look(struct cookie_log *log, const struct maps *maps)
{
	char text[COOKIE_COMPLAINT];
	uint64_t now = now_ns();
	bool complaint;

	cookie_watch_look(maps);
	complaint = cookie_watch_complaint(&maps->hints->cookie_watch, text);
	if (complaint && (!log->complaining || now - log->said_ns >= AGAIN_NS)) {
		log_line(LOG_ERR, "SYN cookies: %s", text);
		log->said_ns = now;
	} else if (!complaint && log->complaining) {
		log_line(LOG_NOTICE, "SYN cookies: those that come back become connections again, or none "
			 "came back lately");
	}
	log->complaining = complaint;
}
