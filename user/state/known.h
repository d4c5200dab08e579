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
	unsigned int minute_shift;
};

int known_open(const struct maps *maps, struct known *known, char *err);
void known_close(struct known *known);

/* What the table tells of one source. */
struct known_source {
	enum weir_tier tier;
	bool seen_now;		/* in this generation; else it was last seen in the one before */
	bool proven_now;	/* the same of its last proof */
};
struct known_source known_look_up(const struct known *known, const struct prefix *address);
/* Since when the generation lasts, and until when; both in seconds from now. */
uint64_t known_generation_age_s(const struct known *known);
uint64_t known_generation_left_s(const struct known *known);
/* How long one lasts. */
uint64_t known_generation_s(const struct known *known);

/* The address's tier, of IPv6 that of its /64: WEIR_SEEN or above, or WEIR_FIRST_SEEN: not known. */
enum weir_tier known_tier_of(const struct known *known, const struct prefix *address);
/*
 * Puts it into @tier, from WEIR_SEEN on. False: its line has room for none but sources whose
 * evidence is as good.
 */
bool known_add(struct known *known, const struct prefix *address, enum weir_tier tier);
void known_flush(struct known *known);

struct known_count {
	uint64_t of_tier[WEIR_TIERS];	/* sources, from WEIR_SEEN on */
	uint64_t learning;	/* within their limits, but not for long enough yet */
};
void known_count(const struct known *known, struct known_count *count);
/* Known sources of all tiers. */
uint64_t known_count_all(const struct known_count *count);

/*
 * Calls @each for every known source, an IPv4 /32 or an IPv6 /64, in no order,
 * until it returns non-zero; returns that.
 */
int known_each(const struct known *known,
	       int (*each)(const struct prefix *source, enum weir_tier tier, void *arg),
	       void *arg);

#endif
