// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sources and networks from which packets are dropped. A source with a bucket is counted there
 * exactly; it is found by a search of all buckets, or sooner by samples of its dropped packets.
 * Networks are counted in their table. All other sources (blocked, banned, shed, malformed) are
 * estimated from the samples.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "bpf/pure/address.h"
#include "user/cli/top/top.h"
#include "user/host/clock.h"
#include "user/model/policy.h"
#include "user/model/tallies.h"
#include "user/model/units.h"
#include "user/state/networks.h"
#include "user/state/tables.h"

#define SEARCH_NS	NS_PER_S
#define SEARCH_SHARE	50		/* a search takes at most 1/50 of the time */
#define MEMORY_MIN	(1U << 16)
#define MEMORY_MAX	(1U << 22)
#define SAMPLES_MIN	3		/* with fewer of one source the estimate is useless */
#define RECENT_NS	(10 * NS_PER_S)

/* A bucket that is read every time. */
struct candidate {
	struct weir_bucket_key key;
	uint64_t passed, dropped, read_ns;
	uint64_t active_ns;		/* when a packet of it was last counted */
	double dropped_pps, passed_pps;
	uint64_t score;			/* in the search that found it */
};

/* A bucket's counters in the last search. Of buckets that share a cell the last one stays. */
struct remembered {
	uint32_t tag, passed, dropped;
};

struct seen_network {
	uint64_t key, dropped;
};

struct top_sources {
	struct candidate found[2 * TOP_ROWS];	/* by the present search */
	size_t found_count;
	struct candidate candidate[TOP_ROWS];	/* sorted by key */
	size_t candidates;
	uint64_t least_score;			/* a bucket must exceed it to be taken */
	struct remembered *memory;
	uint32_t memory_size;			/* a power of two */
	uint64_t buckets, next_search_ns;

	struct tallies tallies;
	struct hash_seed seed;

	struct seen_network *network;		/* WEIR_NETWORKS of them */
	uint64_t networks_ns;
};

struct top_sources *top_sources_new(void)
{
	struct top_sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return NULL;
	sources->network = calloc(WEIR_NETWORKS, sizeof(*sources->network));
	if (!sources->network ||
	    getrandom(&sources->seed, sizeof(sources->seed), 0) != sizeof(sources->seed)) {
		free(sources->network);
		free(sources);
		return NULL;
	}
	tallies_init(&sources->tallies, &sources->seed, now_ns());
	return sources;
}

void top_sources_free(struct top_sources *sources)
{
	if (!sources)
		return;
	tallies_free(&sources->tallies);
	free(sources->memory);
	free(sources->network);
	free(sources);
}

uint64_t top_bucket_count(const struct top_sources *sources)
{
	return sources->buckets;
}

/* ---- searching the buckets ---- */

static int best_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->score < y->score) - (x->score > y->score);
}

static int by_key(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* One drop since the last search counts more than any number of packets that passed. */
static uint64_t score_of(struct top_sources *sources, const struct weir_bucket_key *key,
			 const struct weir_bucket *bucket)
{
	struct hash_key place = { key->hi, key->lo, key->serial };
	uint64_t hash = hash_of_key(&sources->seed, &place);
	struct remembered *cell = &sources->memory[hash & (sources->memory_size - 1)];
	uint32_t tag = hash >> 32, dropped = bucket->dropped, passed = bucket->passed;

	if (cell->tag == tag) {
		dropped -= cell->dropped;
		passed -= cell->passed;
	}
	*cell = (struct remembered){ tag, bucket->passed, bucket->dropped };
	return (uint64_t)dropped << 32 | passed;
}

static int look_at(const struct weir_bucket_key *key, const struct weir_bucket *bucket, void *arg)
{
	struct top_sources *sources = arg;
	uint64_t score = score_of(sources, key, bucket);

	sources->buckets++;
	if (score <= sources->least_score)
		return 0;
	sources->found[sources->found_count++] = (struct candidate){
		.key = *key, .passed = bucket->passed, .dropped = bucket->dropped,
		.read_ns = now_ns(), .score = score };
	if (sources->found_count < 2 * TOP_ROWS)
		return 0;
	qsort(sources->found, sources->found_count, sizeof(*sources->found), best_first);
	sources->found_count = TOP_ROWS;
	sources->least_score = sources->found[TOP_ROWS - 1].score;
	return 0;
}

/* Makes room for twice as many cells as there were buckets. */
static int size_memory(struct top_sources *sources)
{
	uint32_t size = MEMORY_MIN;

	while (size < MEMORY_MAX && size < 2 * sources->buckets)
		size *= 2;
	if (size <= sources->memory_size)
		return 0;
	free(sources->memory);
	sources->memory = calloc(size, sizeof(*sources->memory));
	sources->memory_size = sources->memory ? size : 0;
	return sources->memory ? 0 : -1;
}

static struct candidate *find_candidate(struct candidate *in, size_t count,
					const struct candidate *like)
{
	return bsearch(like, in, count, sizeof(*in), by_key);
}

/* A candidate found again keeps its rates; one not found keeps its place for RECENT_NS. */
static void take_found(struct top_sources *sources)
{
	struct candidate *found = sources->found;
	size_t count, all;

	qsort(found, sources->found_count, sizeof(*found), best_first);
	all = count = sources->found_count < TOP_ROWS ? sources->found_count : TOP_ROWS;
	qsort(found, count, sizeof(*found), by_key);
	for (size_t i = 0; i < sources->candidates; i++) {
		const struct candidate *known = &sources->candidate[i];
		struct candidate *again = find_candidate(found, count, known);

		if (again)
			*again = *known;
		else if (all < TOP_ROWS && now_ns() - known->active_ns < RECENT_NS)
			found[all++] = *known;
	}
	qsort(found, all, sizeof(*found), by_key);
	memcpy(sources->candidate, found, all * sizeof(*found));
	sources->candidates = all;
}

/* CPU time of this thread. */
static uint64_t spent_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return spent.tv_sec * NS_PER_S + spent.tv_nsec;
}

static void search_buckets(struct top_sources *sources, const struct maps *maps)
{
	uint64_t start = now_ns(), spent = spent_ns(), took;

	if (start < sources->next_search_ns || size_memory(sources))
		return;
	sources->buckets = sources->found_count = sources->least_score = 0;
	maps_each_bucket(maps, look_at, sources);
	take_found(sources);
	took = spent_ns() - spent;
	sources->next_search_ns = start + (took * SEARCH_SHARE > SEARCH_NS ? took * SEARCH_SHARE :
									     SEARCH_NS);
}

/* 0 where the counter went back: the bucket was displaced and created again. */
static double rate_of(uint64_t is, uint64_t was, double seconds)
{
	return seconds > 0 && is > was ? (is - was) / seconds : 0;
}

static void read_candidates(struct top_sources *sources, const struct maps *maps)
{
	size_t kept = 0;

	for (size_t i = 0; i < sources->candidates; i++) {
		struct candidate *each = &sources->candidate[i];
		struct weir_bucket bucket;
		uint64_t now = now_ns();
		double seconds = (now - each->read_ns) / (double)NS_PER_S;

		if (maps_read_bucket(maps, &each->key, &bucket))
			continue;
		each->dropped_pps = rate_of(bucket.dropped, each->dropped, seconds);
		each->passed_pps = rate_of(bucket.passed, each->passed, seconds);
		if (each->dropped_pps + each->passed_pps > 0)
			each->active_ns = now;
		each->dropped = bucket.dropped;
		each->passed = bucket.passed;
		each->read_ns = now;
		sources->candidate[kept++] = *each;
	}
	sources->candidates = kept;
}

static void add_candidate(const struct candidate *candidate, const struct weir_policy *policy,
			  struct top_rows *rows)
{
	uint32_t limit = policy_by_serial(policy, candidate->key.serial);
	struct prefix address = { candidate->key.hi, candidate->key.lo, 128 };
	struct top_row *row = &rows->at[rows->count++];

	*row = (struct top_row){ .prefix = limit_source(&policy->limit[limit], &address),
				 .reason = WEIR_DROP_RATE,
				 .dropped_pps = candidate->dropped_pps,
				 .passed_pps = candidate->passed_pps,
				 .dropped = candidate->dropped };
	if (limit)
		format_class(&policy->spec[limit], row->class);
}

/* ---- samples ---- */

static bool has_bucket(enum weir_reason reason)
{
	return reason == WEIR_DROP_RATE || reason == WEIR_DROP_CONTENDED;
}

/* An IPv6 source is a /64, unless a limit applies. Packets that are not IP have no source. */
void top_note_packet(struct top_sources *sources, const struct weir_event *event)
{
	uint64_t hi = event->hi;
	uint64_t lo = event->hi && !has_bucket(event->reason) ? 0 : event->lo;
	struct packet_kind kind = {
		.proto = event->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : event->proto,
		.what = event->what, .dport = event->dport, .sport = event->sport };

	*(is_mapped(event->hi, event->lo) ? &kind.icmp4 : &kind.icmp6) = event->icmp;

	if (hi || lo)
		tallies_note(&sources->tallies, hi, lo, event->reason, &kind, event->weight);
}

static int row_by_drops(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;

	if (x->dropped_pps != y->dropped_pps)
		return x->dropped_pps < y->dropped_pps ? 1 : -1;
	return (x->dropped < y->dropped) - (x->dropped > y->dropped);
}

/* When the table is full, only the worse half is kept. */
static void add_row(struct top_rows *rows, const struct top_row *row)
{
	if (rows->count == TOP_ROWS) {
		qsort(rows->at, rows->count, sizeof(*rows->at), row_by_drops);
		rows->count = TOP_ROWS / 2;
	}
	rows->at[rows->count++] = *row;
}

static void add_tallies(const struct top_sources *sources, struct top_rows *rows)
{
	double seconds = tallies_seconds(&sources->tallies, now_ns());

	for (size_t i = 0; i < sources->tallies.count; i++) {
		const struct tally *tally = &sources->tallies.at[i];
		uint32_t samples = tally_samples(tally);
		uint64_t weight = tally_weight(tally);
		struct top_row row = { .prefix = { tally->hi, tally->lo, tally->hi ? 64 : 128 },
				       .reason = tally->reason, .sampled = weight != samples,
				       .dropped_pps = weight / seconds, .dropped = tally->total };

		if (!has_bucket(tally->reason) && (samples >= SAMPLES_MIN || !row.sampled))
			add_row(rows, &row);
	}
}

/* Adds the bucket of a sampled source; the candidate with the lowest rate makes room. */
static void take_told(struct top_sources *sources, const struct maps *maps,
		      const struct weir_policy *policy, const struct tally *tally)
{
	struct prefix source = { tally->hi, tally->lo, 128 };
	const struct weir_limit *limit = &policy->limit[policy_lookup(policy, &source, &tally->kind)];
	struct candidate new = { .key.serial = limit->serial, .read_ns = now_ns(),
				 .active_ns = now_ns() };
	struct weir_bucket bucket;
	size_t at = 0;

	source = limit_source(limit, &source);
	new.key.hi = source.hi;
	new.key.lo = source.lo;
	if (find_candidate(sources->candidate, sources->candidates, &new) ||
	    maps_read_bucket(maps, &new.key, &bucket))
		return;
	new.passed = bucket.passed;
	new.dropped = bucket.dropped;
	if (sources->candidates < TOP_ROWS)
		at = sources->candidates++;
	else
		for (size_t i = 1; i < TOP_ROWS; i++)
			if (sources->candidate[i].dropped_pps < sources->candidate[at].dropped_pps)
				at = i;
	sources->candidate[at] = new;
	qsort(sources->candidate, sources->candidates, sizeof(new), by_key);
}

static void find_by_samples(struct top_sources *sources, const struct maps *maps,
			    const struct weir_policy *policy)
{
	for (size_t i = 0; i < sources->tallies.count; i++)
		if (has_bucket(sources->tallies.at[i].reason) &&
		    tally_samples(&sources->tallies.at[i]) >= SAMPLES_MIN)
			take_told(sources, maps, policy, &sources->tallies.at[i]);
}

void top_read_sources(struct top_sources *sources, const struct maps *maps,
		      const struct weir_policy *policy, struct top_rows *rows)
{
	read_candidates(sources, maps);
	search_buckets(sources, maps);
	find_by_samples(sources, maps, policy);
	rows->count = 0;
	for (size_t i = 0; i < sources->candidates; i++)
		add_candidate(&sources->candidate[i], policy, rows);
	add_tallies(sources, rows);
	tallies_next_slice(&sources->tallies, now_ns());
}

/* ---- networks ---- */

/* The reason, shed or share, of most sampled packets from the network. */
static enum weir_reason reason_of(const struct top_sources *sources, const struct prefix *network)
{
	uint64_t weight[WEIR_REASON_MAX] = { 0 };
	enum weir_reason most = WEIR_DROP_SHED;

	for (size_t i = 0; i < sources->tallies.count; i++) {
		const struct tally *tally = &sources->tallies.at[i];
		struct prefix source = { tally->hi, tally->lo, 128 };

		if (tally->reason != WEIR_DROP_SHED && tally->reason != WEIR_DROP_SHARE)
			continue;
		if (!prefix_covers(network, &source))
			continue;
		weight[tally->reason] += tally_weight(tally);
		if (weight[tally->reason] > weight[most])
			most = tally->reason;
	}
	return most;
}

struct network_look {
	struct seen_network *seen;	/* by line, at the last reading */
	struct top_rows *rows;
	uint64_t now;
	double seconds;			/* since then */
};

/* A line that another network has taken since the last reading counts from 0. */
static int look_at_network(const struct network *network, void *arg)
{
	const struct network_look *look = arg;
	struct seen_network *was = &look->seen[network->line];
	uint64_t before = was->key == network->key ? was->dropped : 0;
	struct top_row row = { .prefix = network->prefix, .dropped = network->dropped,
			       .reason = WEIR_DROP_SHED, .sampled = true };

	*was = (struct seen_network){ network->key, network->dropped };
	if (look->now > network->seen_ns + RECENT_NS)
		return 0;
	if (look->seconds > 0 && network->dropped > before)
		row.dropped_pps = (network->dropped - before) / look->seconds;
	add_row(look->rows, &row);
	return 0;
}

void top_read_networks(struct top_sources *sources, const struct maps *maps, struct top_rows *rows)
{
	struct network_look look = { sources->network, rows, .now = now_ns() };

	if (sources->networks_ns)
		look.seconds = (look.now - sources->networks_ns) / (double)NS_PER_S;
	rows->count = 0;
	if (networks_each(maps, look_at_network, &look))
		return;
	sources->networks_ns = look.now;
	qsort(rows->at, rows->count, sizeof(*rows->at), row_by_drops);
	for (size_t i = 0; i < rows->count && i < 64; i++)
		rows->at[i].reason = reason_of(sources, &rows->at[i].prefix);
}
