// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "user/model/calm.h"

#define MINUTE_S	60
#define HOUR_S		3600
#define NETWORK_V4	24
#define NETWORK_V6	48

struct calm *calm_new(const struct hash_seed *secret, uint64_t random)
{
	struct calm *calm = calloc(1, sizeof(*calm));

	if (calm) {
		calm->secret = *secret;
		calm->random = random;
	}
	return calm;
}

void calm_free(struct calm *calm)
{
	free(calm);
}

/* splitmix64 (Vigna), below @below. */
static uint32_t choose(struct calm *calm, uint32_t below)
{
	uint64_t x = calm->random += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return ((x ^ x >> 31) >> 32) * below >> 32;
}

/* ---- sources ---- */

static bool is_v4(const struct explain_packet *packet)
{
	return !packet->hi && packet->lo >> 32 == 0xffff;
}

static struct prefix network_of(const struct explain_packet *packet)
{
	struct prefix network = { packet->hi, packet->lo,
				  is_v4(packet) ? 96 + NETWORK_V4 : NETWORK_V6 };

	prefix_mask(&network);
	return network;
}

/*
 * Hosts of a network are exchanged with each other by the secret: multiplying by an odd number and
 * adding permutes. Of IPv6 a source is a /64.
 */
static void hide_source(const struct calm *calm, struct explain_packet *packet)
{
	struct prefix network = network_of(packet);
	struct hash_key key = { network.hi, network.lo, network.length };
	uint64_t hash = hash_of_key(&calm->secret, &key);
	uint64_t host = is_v4(packet) ? packet->lo & 0xff : packet->hi & 0xffff;
	uint64_t most = is_v4(packet) ? 0xff : 0xffff;

	host = (host * (hash | 1) + (hash >> 32)) & most;
	packet->hi = network.hi | (is_v4(packet) ? 0 : host);
	packet->lo = network.lo | (network.length > 96 ? host : 0);
}

/* ---- places ---- */

static uint32_t hour_of_minute(uint32_t unix_minute)
{
	return unix_minute / MINUTE_S % CALM_HOURS;
}

static void put_at(struct calm_sample *sample, uint32_t at, const struct explain_packet *packet,
		   uint32_t unix_minute)
{
	if (at == sample->count)
		sample->count++;
	else
		sample->of_hour[hour_of_minute(sample->unix_minute[at])]--;
	sample->packet[at] = *packet;
	sample->network[at] = calm_network(packet);
	sample->unix_minute[at] = unix_minute;
	sample->of_hour[hour_of_minute(unix_minute)]++;
}

static uint32_t fullest_hour(const struct calm_sample *sample)
{
	uint32_t fullest = 0;

	for (uint32_t hour = 1; hour < CALM_HOURS; hour++)
		if (sample->of_hour[hour] > sample->of_hour[fullest])
			fullest = hour;
	return fullest;
}

/* A packet of that hour by chance. It has one at least. */
static uint32_t any_of_hour(struct calm *calm, const struct calm_sample *sample, uint32_t hour)
{
	uint32_t left = choose(calm, sample->of_hour[hour]);

	for (uint32_t i = 0; i < sample->count; i++)
		if (hour_of_minute(sample->unix_minute[i]) == hour && !left--)
			return i;
	return 0;
}

/* The packets of this network, and by chance one of them. */
static uint32_t any_of_network(struct calm *calm, const struct calm_sample *sample,
			       uint64_t network, uint32_t *count)
{
	uint32_t chosen = 0;

	*count = 0;
	for (uint32_t i = 0; i < sample->count; i++)
		if (sample->network[i] == network && !choose(calm, ++*count))
			chosen = i;
	return chosen;
}

/*
 * Within an hour each packet has the same chance to stay (Vitter's algorithm R, 1985), as far as
 * the hour has no more places to gain from others.
 */
static uint32_t find_place(struct calm *calm, struct calm_sample *sample, uint32_t hour)
{
	uint32_t fullest;

	if (sample->count < CALM_PACKETS)
		return sample->count;
	fullest = fullest_hour(sample);
	if (sample->of_hour[hour] < sample->of_hour[fullest])
		return any_of_hour(calm, sample, fullest);
	if (choose(calm, sample->offered < UINT32_MAX ? sample->offered : UINT32_MAX) >=
	    sample->of_hour[hour])
		return CALM_PACKETS;
	return any_of_hour(calm, sample, hour);
}

void calm_offer(struct calm *calm, enum calm_kind kind, const struct explain_packet *packet,
		uint64_t unix_s)
{
	struct calm_sample *sample = &calm->sample[kind];
	uint32_t minute = unix_s / MINUTE_S, hour = hour_of_minute(minute), same, at;
	struct explain_packet hidden = *packet;

	if (hour != sample->hour) {
		sample->hour = hour;
		sample->offered = sample->of_hour[hour];
	}
	sample->offered++;
	at = any_of_network(calm, sample, calm_network(packet), &same);
	if (same < CALM_OF_NETWORK)
		at = find_place(calm, sample, hour);
	else if (choose(calm, 2))	/* a new one for an old one of its network, by chance */
		return;
	if (at >= CALM_PACKETS)
		return;
	hide_source(calm, &hidden);
	put_at(sample, at, &hidden, minute);
}

/* ---- what there is ---- */

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint32_t count_networks(const struct calm_sample *sample)
{
	uint64_t *networks = malloc(sizeof(sample->network));
	uint32_t count = 0;

	if (!networks)
		return 0;
	memcpy(networks, sample->network, sizeof(sample->network));
	qsort(networks, sample->count, sizeof(*networks), by_number);
	for (uint32_t i = 0; i < sample->count; i++)
		count += !i || networks[i - 1] != networks[i];
	free(networks);
	return count;
}

void calm_measure(const struct calm_sample *sample, struct calm_extent *extent)
{
	uint32_t first = UINT32_MAX, last = 0;

	*extent = (struct calm_extent){ .networks = count_networks(sample) };
	for (uint32_t i = 0; i < sample->count; i++) {
		first = sample->unix_minute[i] < first ? sample->unix_minute[i] : first;
		last = sample->unix_minute[i] > last ? sample->unix_minute[i] : last;
	}
	for (uint32_t hour = 0; hour < CALM_HOURS; hour++)
		extent->hours += sample->of_hour[hour] > 0;
	if (!sample->count)
		return;
	extent->from_unix_s = (uint64_t)first * MINUTE_S;
	extent->to_unix_s = (uint64_t)last * MINUTE_S;
}
