/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon keeps of the traffic: a week, as a `struct traffic` for each day, without any
 * address, and its form in a file. Some 200 kB of memory, whatever the traffic.
 */
#ifndef WEIR_MODEL_TRAFFIC_WEEK_H
#define WEIR_MODEL_TRAFFIC_WEEK_H

#include "user/model/traffic_samples.h"

#define TRAFFIC_DAYS	8	/* the present one, and seven before it */

struct traffic_week {
	struct traffic day[TRAFFIC_DAYS];	/* by day since 1970, modulo TRAFFIC_DAYS */
};

/* Adds what was sampled in the minute that begins at @unix_s; forgets the day eight days ago. */
void traffic_week_add(struct traffic_week *week, uint64_t unix_s, struct traffic_samples *samples);
/* Sums the days up to @unix_s into @sum, which is empty. */
void traffic_week_sum(const struct traffic_week *week, uint64_t unix_s, struct traffic *sum);

/* The text of the file, allocated; NULL: out of memory. */
char *traffic_week_text(const struct traffic_week *week);
/* Reads that text; @name is for messages. 0, or -EINVAL with @err and an empty @week. */
int traffic_week_parse(const char *name, const char *text, size_t size, struct traffic_week *week,
		       char *err);

#endif
