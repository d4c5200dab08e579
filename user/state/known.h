/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of known sources (bpf/known.h), mapped into memory. The data path writes to it
 * meanwhile, so a walk does not show it as it was at one moment.
 */
#ifndef WEIR_STATE_KNOWN_H
#define WEIR_STATE_KNOWN_H

#include "user/state/maps.h"

struct known {
	struct weir_known_line *lines;
	struct weir_filter_line *filter;
	uint64_t seed, minute;
};

int known_open(const struct maps *maps, struct known *known, char *err);
void known_close(struct known *known);

/* Whether the address is known; of IPv6 its /64 is. */
bool known_has(const struct known *known, const struct prefix *address);
/* Makes it known. False: its line has no room but for known sources. */
bool known_add(struct known *known, const struct prefix *address);
void known_flush(struct known *known);

struct known_count {
	uint64_t known;		/* sources */
	uint64_t learning;	/* within their limits, but not for long enough yet */
};
void known_count(const struct known *known, struct known_count *count);

/*
 * Calls @each for every known source, an IPv4 /32 or an IPv6 /64, in no order,
 * until it returns non-zero; returns that.
 */
int known_each(const struct known *known,
	       int (*each)(const struct prefix *source, void *arg), void *arg);

#endif
