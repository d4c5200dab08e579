/* SPDX-License-Identifier: GPL-2.0-only */
/* What a service tells systemd, by sd_notify(3)'s protocol; nothing without systemd. */
#ifndef WEIR_HOST_NOTIFY_H
#define WEIR_HOST_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=..." */
void notify(const char *state);
/* "RELOADING=1", with the time that it wants. */
void notify_reloading(void);
/* How often WATCHDOG=1 is due at the latest, half of what systemd waits; 0: never. */
uint64_t notify_watchdog_ns(void);

#endif
