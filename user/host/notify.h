/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol of sd_notify(3), by which a service reports its state to systemd. Without
 * NOTIFY_SOCKET in the environment nothing is sent.
 */
#ifndef WEIR_HOST_NOTIFY_H
#define WEIR_HOST_NOTIFY_H

#include <stdint.h>

/* Sends @state: "READY=1", "STOPPING=1", "WATCHDOG=1" or "STATUS=...". Failures are ignored. */
void notify(const char *state);
/* Sends "RELOADING=1" with the time of now, which Type=notify-reload requires. */
void notify_reloading(void);
/*
 * The interval in ns at which "WATCHDOG=1" should be sent: half of the time after which systemd
 * would kill the service. 0: this process has no watchdog.
 */
uint64_t notify_watchdog_ns(void);

#endif
