/* SPDX-License-Identifier: GPL-2.0-only */
/* Which ports the sockets of this network namespace listen on. */
#ifndef WEIR_HOST_LISTENING_H
#define WEIR_HOST_LISTENING_H

#include <stdbool.h>
#include <stdint.h>

#include "user/model/prefix.h"

enum transport { OVER_TCP, OVER_UDP };

/*
 * Whether a socket would take what is sent to @port of an address in @to; of length 0: any address
 * but those of the loopback, which no other host can reach.
 */
bool listens_on(enum transport transport, const struct prefix *to, uint16_t port);

/* Calls @each with the far end of each UDP socket that is connected to @port. */
void udp_peers(uint16_t port, void (*each)(const struct prefix *peer, void *arg), void *arg);

#endif
