/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calm sample: packets that passed while nothing was flooded, kept over weeks, to which floods
 * are compared. Bounded, and fair in three ways, so that a sender who comes before a flood cannot
 * make it look like the usual:
 *
 * - by hour of the week: a packet takes the place of one of the fullest hour;
 * - by network: at most CALM_OF_NETWORK packets of one /24 or /48;
 * - by evidence: known sources and strangers have a sample each.
 *
 * Of a source its network is kept, and the rest of its address as a keyed permutation, so that two
 * packets of one source are known to be of one source. Pure.
 */
#ifndef WEIR_MODEL_CALM_H
#define WEIR_MODEL_CALM_H

#include "user/model/explain.h"

#define CALM_PACKETS	EXPLAIN_PACKETS		/* of each sample */
#define CALM_OF_NETWORK	(CALM_PACKETS / 100)
#define CALM_HOURS	168			/* of a week */

enum calm_kind { CALM_KNOWN, CALM_STRANGERS, CALM_KINDS };

struct calm_sample {
	uint32_t count;
	struct explain_packet packet[CALM_PACKETS];
	uint32_t unix_minute[CALM_PACKETS];	/* when it came */
	/* Not saved: */
	uint64_t network[CALM_PACKETS];	/* calm_network() of each packet: all are searched for it */
	uint32_t of_hour[CALM_HOURS];
	uint32_t hour;			/* of the last packet */
	uint64_t offered;		/* packets in this hour */
};

struct calm {
	struct hash_seed secret;	/* of the permutation; in the file */
	uint64_t random;		/* state of the choice of places; not saved */
	struct calm_sample sample[CALM_KINDS];
};

/* A number for the /24 or /48 of a source. */
static inline uint64_t calm_network(const struct explain_packet *packet)
{
	if (!packet->hi && packet->lo >> 32 == 0xffff)
		return 1ULL << 63 | packet->lo >> 8;
	return packet->hi >> 16;
}

/* NULL: out of memory. 2.6 MiB. @secret, @random: random. */
struct calm *calm_new(const struct hash_seed *secret, uint64_t random);
void calm_free(struct calm *calm);
/* Offers a packet, with its whole address. */
void calm_offer(struct calm *calm, enum calm_kind kind, const struct explain_packet *packet,
		uint64_t unix_s);

/* What there is, for messages. */
struct calm_extent {
	uint64_t from_unix_s, to_unix_s;
	uint32_t hours;			/* of the week, that have packets */
	uint32_t networks;		/* different ones */
};
void calm_measure(const struct calm_sample *sample, struct calm_extent *extent);

/* ---- calm_file.c: the file's bytes ---- */

/* Its bytes, to be freed; NULL: out of memory. */
uint8_t *calm_write(const struct calm *calm, size_t *size);
/* 0, or -EINVAL with @err, and then @calm is empty. @name is for messages. */
int calm_read(const char *name, const uint8_t *data, size_t size, struct calm *calm, char *err);
#define CALM_FILE_MOST	(4U << 20)

#endif
