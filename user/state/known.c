// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/pure/known_line.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/known.h"

#define LINES	(2 * WEIR_KNOWN_LINES)
#define FILTER	(WEIR_FILTER_LINES * sizeof(struct weir_filter_line))

int known_open(const struct maps *maps, struct known *known, char *err)
{
	void *filter, *at = mmap(NULL, LINES * sizeof(*known->lines), PROT_READ | PROT_WRITE,
				 MAP_SHARED, maps->fd[MAP_known], 0);
	int rc;

	if (at == MAP_FAILED)
		return fail(err, errno, "cannot map the table of known sources into memory: %s",
			    strerror(errno));
	filter = mmap(NULL, FILTER, PROT_READ | PROT_WRITE, MAP_SHARED,
		      maps->fd[MAP_known_filter], 0);
	if (filter == MAP_FAILED) {
		rc = fail(err, errno, "cannot map the filter of known sources into memory: %s",
			  strerror(errno));
		munmap(at, LINES * sizeof(*known->lines));
		return rc;
	}
	*known = (struct known){ .lines = at, .filter = filter, .seed = maps->meta.seed,
				 .minute_shift = maps->meta.minute_shift,
				 .minute = known_minute(now_ns(), maps->meta.minute_shift) };
	return 0;
}

void known_close(struct known *known)
{
	munmap(known->lines, LINES * sizeof(*known->lines));
	munmap(known->filter, FILTER);
	known->lines = NULL;
}

static struct weir_known_line *line_of(const struct known *known, uint64_t key, uint64_t minute)
{
	return &known->lines[known_index(known_hash(key, known->seed), minute)];
}

/* -1: the source is not in the generation of @minute. */
static int rank_at(const struct known *known, uint64_t key, uint64_t minute)
{
	return known_rank(line_of(known, key, minute), known_epoch(minute), key);
}

static enum weir_tier tier_of_key(const struct known *known, uint64_t key)
{
	return known_tier(rank_at(known, key, known->minute),
			  rank_at(known, key, known->minute - KNOWN_BEFORE));
}

enum weir_tier known_tier_of(const struct known *known, const struct prefix *address)
{
	uint64_t key = known_key(address->hi, address->lo), hash = known_hash(key, known->seed);
	const struct weir_filter_line *filter = &known->filter[filter_index(hash)];

	if (!has_known_key(address->hi, address->lo))
		return WEIR_FIRST_SEEN;
	if (!filter_has(filter, hash, known->minute) &&
	    !filter_has(filter, hash, known->minute - KNOWN_BEFORE))
		return WEIR_FIRST_SEEN;
	return tier_of_key(known, key);
}

struct known_source known_look_up(const struct known *known, const struct prefix *address)
{
	struct known_source source = { .tier = known_tier_of(known, address) };
	int rank = rank_at(known, known_key(address->hi, address->lo), known->minute);

	source.seen_now = rank >= 0;
	source.proven_now = rank >= WEIR_RANK_PROVEN;
	return source;
}

static uint64_t minutes_s(const struct known *known, uint64_t minutes)
{
	return (minutes << known->minute_shift) / NS_PER_S;
}

uint64_t known_generation_age_s(const struct known *known)
{
	return minutes_s(known, known->minute % KNOWN_BEFORE);
}

uint64_t known_generation_left_s(const struct known *known)
{
	return minutes_s(known, KNOWN_BEFORE - known->minute % KNOWN_BEFORE);
}

uint64_t known_generation_s(const struct known *known)
{
	return minutes_s(known, KNOWN_BEFORE);
}

bool known_add(struct known *known, const struct prefix *address, enum weir_tier tier)
{
	uint64_t key = known_key(address->hi, address->lo), hash = known_hash(key, known->seed);
	int before = tier == WEIR_LONG ? WEIR_KNOWN_SCORE | WEIR_RANK_PROVEN : WEIR_KNOWN_SCORE;

	if (!has_known_key(address->hi, address->lo))
		return false;
	if (tier > WEIR_SEEN)
		known_make_room(line_of(known, key, known->minute), key,
				known_epoch(known->minute));
	if (known_note(line_of(known, key, known->minute), key, known->minute, before,
		       tier == WEIR_SEEN ? KNOWN_GOOD : KNOWN_PROOF) < 0)
		return false;
	filter_note(&known->filter[filter_index(hash)], hash, known->minute);
	return true;
}

void known_flush(struct known *known)
{
	memset(known->lines, 0, LINES * sizeof(*known->lines));
	memset(known->filter, 0, FILTER);
}

/* Skips entries of the previous generation that are also in the present one. */
static bool counts(const struct known *known, uint32_t index, uint64_t key)
{
	bool present = (index & 1) == (known->minute >> WEIR_EPOCH_SHIFT & 1);
	uint8_t epoch = known_epoch(present ? known->minute : known->minute - KNOWN_BEFORE);

	return key && known->lines[index].epoch == epoch &&
	       (present || rank_at(known, key, known->minute) < 0);
}

static int each_key(const struct known *known, int (*each)(uint64_t key, enum weir_tier tier,
							   int rank, void *arg), void *arg)
{
	int rc = 0;

	for (uint32_t index = 0; index < LINES && !rc; index++) {
		const struct weir_known_line *line = &known->lines[index];

		for (int i = 0; i < WEIR_KNOWN_SLOTS && !rc; i++) {
			uint64_t key = __atomic_load_n(&line->key[i], __ATOMIC_RELAXED);

			if (counts(known, index, key))
				rc = each(key, tier_of_key(known, key), line->state[i] & 15, arg);
		}
	}
	return rc;
}

static int count_one(uint64_t key, enum weir_tier tier, int rank, void *arg)
{
	struct known_count *count = arg;

	(void)key;
	if (tier >= WEIR_SEEN)
		count->of_tier[tier]++;
	else
		count->learning += rank > 0;
	return 0;
}

void known_count(const struct known *known, struct known_count *count)
{
	*count = (struct known_count){ 0 };
	each_key(known, count_one, count);
}

uint64_t known_count_all(const struct known_count *count)
{
	uint64_t all = 0;

	for (int tier = WEIR_SEEN; tier < WEIR_TIERS; tier++)
		all += count->of_tier[tier];
	return all;
}

struct visit {
	int (*each)(const struct prefix *source, enum weir_tier tier, void *arg);
	void *arg;
};

static int visit_known(uint64_t key, enum weir_tier tier, int rank, void *arg)
{
	struct visit *visit = arg;
	struct prefix source = { .hi = key, .length = 64 };

	(void)rank;
	if (tier < WEIR_SEEN)
		return 0;
	if (known_key_is_v4(key))
		source = prefix_v4(key, 32);
	return visit->each(&source, tier, visit->arg);
}

int known_each(const struct known *known,
	       int (*each)(const struct prefix *source, enum weir_tier tier, void *arg), void *arg)
{
	struct visit visit = { each, arg };

	return each_key(known, visit_known, &visit);
}
