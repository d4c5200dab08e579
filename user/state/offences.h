/* SPDX-License-Identifier: GPL-2.0-only */
/* The sources of whose over-limit packets some belonged to connections of this host. */
#ifndef WEIR_STATE_OFFENCES_H
#define WEIR_STATE_OFFENCES_H

#include "user/model/prefix.h"
#include "user/state/maps.h"

/*
 * Calls @each for every source, an IPv4 /32 or an IPv6 /64, with the number of such packets so far,
 * as struct weir_offence counts them, until it returns non-zero; returns that, or -errno.
 */
int offences_each(const struct maps *maps,
		  int (*each)(const struct prefix *source, uint64_t packets, void *arg), void *arg);

#endif
