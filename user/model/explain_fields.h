/* SPDX-License-Identifier: GPL-2.0-only */
/* What a sample is made of: the most frequent values of each field, with their shares. Pure. */
#ifndef WEIR_MODEL_EXPLAIN_FIELDS_H
#define WEIR_MODEL_EXPLAIN_FIELDS_H

#include "user/model/explain.h"

#define EXPLAIN_SHOWN	3	/* values of a field */
#define EXPLAIN_SHARES	(EXPLAIN_FIELDS * EXPLAIN_SHOWN)

struct explain_share {
	struct explain_condition condition;	/* the value */
	double flood, calm;			/* shares of packets, by weight */
};

/*
 * The values that hold for 5 % of the flood at least, field by field, the greatest share first. Of
 * payloads the first four bytes, of sources the /24 or /48. Returns how many; 0 also when there is
 * no memory.
 */
uint32_t explain_shares(const struct explain_packet *flood, size_t flood_count,
			const struct explain_packet *calm, size_t calm_count,
			struct explain_share shares[EXPLAIN_SHARES]);
/* The share of the packets, by weight, that all conditions of a rule match. */
double explain_share_of(const struct explain_rule *rule, const struct explain_packet *packets,
			size_t count, uint32_t *hits);

#endif
