// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/known_line.h"
#include "bpf/pure/bucket.h"
#include "user/host/clock.h"
#include "user/state/census.h"

#define BATCH		4096
#define KNOWN_SHARE	256
#define GATE_SHARE	16

/* ---- buckets ---- */

/*
 * Counts the entries of the hash from chain @first to its end. The position in a batch look-up
 * of a hash is the number of the next chain: not documented, but so since Linux 5.6, and a
 * test compares the estimate with a full count.
 */
static int count_from(int fd, uint32_t first, struct weir_bucket_key *keys,
		      struct weir_bucket *values, uint64_t *seen)
{
	uint32_t position = first, count;

	*seen = 0;
	for (;;) {
		int rc;

		count = BATCH;
		rc = bpf_map_lookup_batch(fd, &position, &position, keys, values, &count, NULL);
		if (rc && errno != ENOENT)
			return -errno;
		*seen += count;
		if (rc)
			return 0;
	}
}

/* Counts the end of the table, and a larger part of it where that holds too few entries. */
int census_buckets(const struct maps *maps, struct census *census)
{
	static const struct {
		uint32_t share, enough;
	} steps[] = { { 256, 1024 }, { 32, 256 }, { 1, 0 } };
	struct weir_bucket_key *keys = calloc(BATCH, sizeof(*keys));
	struct weir_bucket *values = calloc(BATCH, sizeof(*values));
	struct bpf_map_info info = { 0 };
	uint32_t chains = 1;
	uint64_t seen = 0;
	int rc = keys && values ? map_info(maps->fd[MAP_buckets], &info) : -ENOMEM;

	while (!rc && chains < info.max_entries)	/* the kernel rounds up to a power of two */
		chains *= 2;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && !rc; i++) {
		rc = count_from(maps->fd[MAP_buckets], chains - chains / steps[i].share, keys,
				values, &seen);
		*census = (struct census){ seen * steps[i].share, info.max_entries };
		if (seen >= steps[i].enough)
			break;
	}
	free(keys);
	free(values);
	return rc;
}

/* ---- known sources ---- */

/* Counts the sources in one line of both generations; one that was carried over counts once. */
static void count_known_in(const struct weir_known_line *line, uint8_t epoch, bool odd,
			   uint64_t of_tier[WEIR_TIERS])
{
	const struct weir_known_line *now = &line[odd], *before = &line[!odd];

	for (int i = 0; i < WEIR_KNOWN_SLOTS; i++) {
		if (now->epoch == epoch && now->key[i])
			of_tier[known_tier(now->state[i] & 15,
					   known_rank(before, epoch - 1, now->key[i]))]++;
		if (before->epoch == (uint8_t)(epoch - 1) && before->key[i] &&
		    known_rank(now, epoch, before->key[i]) < 0)
			of_tier[known_tier(-1, before->state[i] & 15)]++;
	}
}

/* Reads the first @wanted elements of an array map. */
static int read_array(int fd, uint32_t wanted, void *values)
{
	uint32_t *keys = calloc(wanted, sizeof(*keys)), position, count = wanted;
	int rc = 0;

	if (!keys)
		return -ENOMEM;
	if (bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL) &&
	    errno != ENOENT)
		rc = -errno;
	else if (count != wanted)
		rc = -EIO;
	free(keys);
	return rc;
}

int census_known(const struct maps *maps, struct census *census, uint64_t of_tier[WEIR_TIERS])
{
	uint32_t wanted = WEIR_KNOWN_LINES / KNOWN_SHARE;
	struct weir_known_line *lines = calloc(2 * wanted, sizeof(*lines));
	uint64_t minute = known_minute(now_ns(), maps->meta.minute_shift);
	int rc = lines ? read_array(maps->fd[MAP_known], 2 * wanted, lines) : -ENOMEM;

	memset(of_tier, 0, WEIR_TIERS * sizeof(*of_tier));
	for (uint32_t i = 0; i < wanted && !rc; i++)
		count_known_in(&lines[2 * i], known_epoch(minute), minute >> WEIR_EPOCH_SHIFT & 1,
			       of_tier);
	*census = (struct census){ .capacity = WEIR_KNOWN_LINES * WEIR_KNOWN_SLOTS };
	for (int tier = 0; tier < WEIR_TIERS; tier++) {
		of_tier[tier] = tier < WEIR_SEEN ? 0 : of_tier[tier] * KNOWN_SHARE;
		census->entries += of_tier[tier];
	}
	free(lines);
	return rc;
}

/* ---- gate ---- */

int census_gate(const struct maps *maps, double *share)
{
	uint32_t wanted = WEIR_GATE_LINES / GATE_SHARE, owing = 0;
	struct weir_gate_line *lines = calloc(wanted, sizeof(*lines));
	uint64_t now = now_ns() << WEIR_TICK_SHIFT;
	int rc = lines ? read_array(maps->fd[MAP_gate], wanted, lines) : -ENOMEM;

	for (uint32_t i = 0; i < wanted && !rc; i++)
		for (int cell = 0; cell < WEIR_GATE_CELLS; cell++)
			owing += lines[i].tat[cell] > now;
	*share = (double)owing / (wanted * WEIR_GATE_CELLS);
	free(lines);
	return rc;
}
