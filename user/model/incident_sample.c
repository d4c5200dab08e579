// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/incident_sample.h"
#include "user/model/reflectors.h"

#define DNS_PORT	53
#define LISTED_PERMILLE	5	/* of what was sampled: less says nothing of the flood */
#define LISTED_HITS	2	/* one sample may be of any address */
#define V4_NETWORK	120	/* /24 */
#define V6_SOURCE	64
#define V6_NETWORK	48

static enum incident_class class_of(const struct weir_event *event)
{
	if (event->what == WEIR_FRAGMENT)
		return INCIDENT_CLASS_FRAGMENT;
	switch (event->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return INCIDENT_CLASS_ICMP;
	case IPPROTO_TCP:
		return event->what == WEIR_SYN ? INCIDENT_CLASS_SYN : INCIDENT_CLASS_TCP;
	case IPPROTO_UDP:
		return event->dport == DNS_PORT ? INCIDENT_CLASS_DNS :
		       is_reflector(event->sport) ? INCIDENT_CLASS_REFLECTED : INCIDENT_CLASS_UDP;
	default:
		return INCIDENT_CLASS_OTHER;
	}
}

/* ---- tables ---- */

static bool same_key(const struct incident_item *a, const struct incident_item *b)
{
	return a->prefix.lo == b->prefix.lo && a->prefix.hi == b->prefix.hi &&
	       a->prefix.length == b->prefix.length && a->port == b->port && a->proto == b->proto;
}

static void put(struct sample_table *table, const struct incident_item *key, uint64_t weight)
{
	struct sample_item *least = table->at, *item;

	for (uint32_t i = 0; i < table->count; i++) {
		item = &table->at[i];
		if (same_key(&item->of, key)) {
			item->of.sampled += weight;
			item->hits++;
			return;
		}
		if (item->of.sampled < least->of.sampled)
			least = item;
	}
	item = table->count < INCIDENT_ITEMS ? &table->at[table->count++] : least;
	*item = (struct sample_item){ .of = *key, .of_others = item->of.sampled, .hits = 1 };
	item->of.sampled = item->of_others + weight;
}

static void put_address(struct sample_table *table, uint64_t hi, uint64_t lo, uint8_t v4_length,
			uint8_t v6_length, uint64_t weight)
{
	struct incident_item key = { .prefix = { hi, lo, 128 } };

	key.prefix.length = prefix_is_v4(&key.prefix) ? v4_length : v6_length;
	prefix_mask(&key.prefix);
	put(table, &key, weight);
}

static void put_port(struct sample_table *table, const struct weir_event *event, uint16_t port)
{
	struct incident_item key = { .proto = event->proto, .port = port };

	put(table, &key, event->weight);
}

/* ---- how many sources ---- */

static int by_source(const void *a, const void *b)
{
	const struct sample_source *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

struct pairs {
	double all, same;	/* by weight, each pair twice */
	uint64_t count;
};

/* Of all pairs of samples in the block, those whose two have one source. */
static struct pairs count_pairs(struct incident_sample *sample)
{
	double all = 0, squares = 0, of_one = 0, squares_of_one = 0;
	const struct sample_source *at = sample->block;
	uint64_t count = sample->block_count;
	struct pairs pairs = { .count = count ? count * (count - 1) / 2 : 0 };

	qsort(sample->block, count, sizeof(*sample->block), by_source);
	for (uint64_t i = 0; i < count; i++) {
		double weight = at[i].weight;

		if (i && by_source(&at[i - 1], &at[i])) {
			pairs.same += of_one * of_one - squares_of_one;
			of_one = squares_of_one = 0;
		}
		of_one += weight;
		squares_of_one += weight * weight;
		all += weight;
		squares += weight * weight;
	}
	pairs.same += of_one * of_one - squares_of_one;
	pairs.all = all * all - squares;
	return pairs;
}

static void end_block(struct incident_sample *sample)
{
	struct pairs pairs = count_pairs(sample);

	sample->pairs += pairs.all;
	sample->same += pairs.same;
	sample->pair_count += pairs.count;
	sample->block_count = 0;
}

/* ---- for the daemon ---- */

void incident_sample_put(struct incident_sample *sample, const struct weir_event *event)
{
	struct sample_source *source = &sample->block[sample->block_count];
	uint64_t weight = event->weight;

	sample->samples++;
	sample->sampled += weight;
	sample->of_class[class_of(event)] += weight;
	if (!event->hi && !event->lo)	/* no IP packet */
		return;
	put_address(&sample->table[INCIDENT_SOURCES], event->hi, event->lo, 128, V6_SOURCE, weight);
	put_address(&sample->table[INCIDENT_NETWORKS], event->hi, event->lo, V4_NETWORK, V6_NETWORK,
		    weight);
	put_address(&sample->table[INCIDENT_TARGETS], event->to_hi, event->to_lo, 128, 128, weight);
	if (event->dport)
		put_port(&sample->table[INCIDENT_DPORTS], event, event->dport);
	if (event->sport)
		put_port(&sample->table[INCIDENT_SPORTS], event, event->sport);
	*source = (struct sample_source){ event->hi, event->lo, weight };
	if (event->hi || event->lo >> 32 != 0xffff)
		source->lo = 0;
	if (++sample->block_count == INCIDENT_BLOCK)
		end_block(sample);
}

static int most_first(const void *a, const void *b)
{
	const struct incident_item *x = a, *y = b;

	if (x->sampled != y->sampled)
		return x->sampled < y->sampled ? 1 : -1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return prefix_cmp(&x->prefix, &y->prefix);
}

/* The items that are certain to have a part of the flood, the largest first. */
static void tell_table(const struct sample_table *table, uint64_t sampled, struct incident *incident,
		       enum incident_table which)
{
	struct incident_item found[INCIDENT_ITEMS];
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct sample_item *item = &table->at[i];
		uint64_t certain = item->of.sampled - item->of_others;

		if (item->hits < LISTED_HITS ||
		    incident_permille(certain, sampled) < LISTED_PERMILLE)
			continue;
		found[count] = item->of;
		found[count++].sampled = certain;
	}
	qsort(found, count, sizeof(*found), most_first);
	incident->top_count[which] = count < INCIDENT_TOP ? count : INCIDENT_TOP;
	memset(incident->top[which], 0, sizeof(incident->top[which]));
	memcpy(incident->top[which], found, incident->top_count[which] * sizeof(*found));
}

void incident_sample_tell(struct incident_sample *sample, struct incident *incident)
{
	struct pairs pairs = count_pairs(sample);

	incident->samples = sample->samples;
	incident->sampled = sample->sampled;
	memcpy(incident->of_class, sample->of_class, sizeof(incident->of_class));
	for (int i = 0; i < INCIDENT_TABLES; i++)
		tell_table(&sample->table[i], sample->sampled, incident, i);
	incident->pairs = sample->pairs + pairs.all;
	incident->same = sample->same + pairs.same;
	incident->pair_count = sample->pair_count + pairs.count;
	incident->kind = incident_kind_of(incident);
}

void incident_sample_resume(struct incident_sample *sample, const struct incident *incident)
{
	*sample = (struct incident_sample){
		.samples = incident->samples, .sampled = incident->sampled,
		.pairs = incident->pairs, .same = incident->same,
		.pair_count = incident->pair_count,
	};
	memcpy(sample->of_class, incident->of_class, sizeof(sample->of_class));
	for (int i = 0; i < INCIDENT_TABLES; i++) {
		for (uint32_t k = 0; k < incident->top_count[i]; k++)
			sample->table[i].at[k] = (struct sample_item){
				.of = incident->top[i][k], .hits = LISTED_HITS };
		sample->table[i].count = incident->top_count[i];
	}
}
