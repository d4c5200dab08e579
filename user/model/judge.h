/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides which sources and networks to ban and for how long, from the counters of the data path,
 * window by window. Pure: no maps, no clock, no log; the ban engine (daemon/ban_engine.c) brings
 * what it asks for and carries out what it decides.
 *
 *	judge_begin(judge, now_ns);
 *	judge_offence(judge, ...);	for every element of the map `offences`
 *	judge_source(judge, ...);	for every source that had packets dropped
 *	judge_network(judge, ...);	for every line of the map `networks` that is in use
 *	judge_end(judge, &world, &decisions);
 */
#ifndef WEIR_MODEL_JUDGE_H
#define WEIR_MODEL_JUDGE_H

#include "bpf/tool.h"
#include "user/model/hash_table.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/* Documented with their units in model/config.c. */
struct judge_rules {
	bool enforce;			/* false: mode `judge`, which bans nothing */
	uint64_t undo_ns, remember_ns;
	uint64_t most_bans;
	struct {
		uint64_t windows, times, least_pps, first_ban_ns, longest_ban_ns;
		uint64_t span_ns, excess_percent;	/* span 0: drops are not added up */
	} source;
	struct {
		uint64_t windows, sources, times, least_pps, share_permille;
		uint64_t first_ban_ns, longest_ban_ns;
	} network;
};

/* A source as its limit counts it. The counters begin when its bucket is made. */
struct judge_source {
	struct weir_bucket_key key;
	struct prefix prefix;
	uint64_t passed, dropped;	/* packets */
	uint64_t dropped_bytes;
	uint64_t limit_pps;		/* 0: the limit is one of bits */
	uint64_t cost, byte_cost;	/* as in struct weir_limit */
};

/* A line of the map `networks`: what budgets dropped of a /24 or /48. */
struct judge_network {
	uint32_t line;			/* below WEIR_NETWORKS */
	struct prefix prefix;
	uint64_t dropped;		/* packets, at least */
	uint64_t share_pps;		/* what each network may have now; 0: not known, no ban */
};

/* What else a decision depends on. */
struct judge_world {
	const struct entries *allow;		/* sorted */
	const struct entries *block;		/* sorted, without those that have ended */
	const struct prefixes *host_addresses;	/* this host's addresses and gateways; merged */
	const struct prefixes *host_networks;	/* the networks that these are in; merged */
	/*
	 * The tier of a source; how many sources of a prefix are WEIR_PROVEN or better. A tier
	 * below that follows from packets whose source may have been forged, and so may a network
	 * full of such sources.
	 */
	enum weir_tier (*tier_of)(void *ctx, const struct prefix *source);
	uint64_t (*count_proven)(void *ctx, const struct prefix *prefix);
	void *ctx;
	uint64_t dropped;		/* by all devices in this window, for whatever reason */
	uint64_t turned_away;		/* of those, by budgets */
};

struct decision {
	struct weir_judgement about;	/* complete but for its number and date */
	struct prefix prefix;
	uint64_t ttl_ns;		/* 0: no ban */
	uint64_t weight;		/* packets dropped in the last window */
};

/* By weight, the largest first; then the bans that gave way (WEIR_GAVE_WAY). */
struct decisions {
	struct decision *at;
	size_t count, room;
	uint64_t put_off;		/* bans for which there was no room */
	uint64_t gave_way;		/* bans that end now, for worse offenders */
	/*
	 * Bans of the daemon in networks that are banned now, which end no later than those: their
	 * entries go, in the same transaction.
	 */
	struct prefix *replaced;
	size_t replaced_count, replaced_room;
};

struct judge;

/* @seed: random, so that no sender can choose sources that collide in the judge's tables. */
struct judge *judge_new(const struct hash_seed *seed);
void judge_free(struct judge *judge);
/* Copies @rules. They may change at any time. */
void judge_set_rules(struct judge *judge, const struct judge_rules *rules);
/*
 * After a start: what was decided before, oldest first (strikes, bans that run, bans that the
 * operator has undone). The judge's own decisions need not be given back to it. @now_unix_s and
 * @now_ns are the same moment.
 */
int judge_remember(struct judge *judge, const struct weir_judgement *judgement, uint64_t now_unix_s,
		   uint64_t now_ns);
/* After a start: a ban that runs. Its strikes are in the entry. */
int judge_remember_ban(struct judge *judge, const struct entry *entry);

void judge_begin(struct judge *judge, uint64_t now_ns);
/* These return 0 or -ENOMEM. */
/*
 * @source: an IPv4 /32 or an IPv6 /64; @packets: as the map `offences` has it, a counter. All of a
 * window before its sources.
 */
int judge_offence(struct judge *judge, const struct prefix *source, uint64_t packets);
int judge_source(struct judge *judge, const struct judge_source *source);
int judge_network(struct judge *judge, const struct judge_network *network);
/*
 * The share for judge_network(), in packets a second, from the @states of all budgets: the largest
 * that any budget which was under pressure since @since_ns gives a network. 0: none was.
 *
 * A line of the map `networks` does not say which budget dropped the packets. A network far beyond
 * the largest share is far beyond its own; compared with the smallest, a network that only exceeded
 * a generous budget would be banned by the share of a tight one. Only a budget under pressure
 * drops, so the shares of the others say nothing: they are as their last shortage left them, which
 * is up to the whole budget, and would hide every flood against a smaller one.
 */
uint64_t judge_network_share(const struct weir_budget_state *states, size_t count,
			     uint64_t since_ns);
/* Whether there are suspects for judge_end(). */
bool judge_is_due(const struct judge *judge);
/* Adds to @decisions, which the caller frees with decisions_free(). 0 or -ENOMEM. */
int judge_end(struct judge *judge, const struct judge_world *world, struct decisions *decisions);
void decisions_free(struct decisions *decisions);

/* @decisions could not be carried out, and have to be made again. */
void judge_take_back(struct judge *judge, const struct decisions *decisions);

/* The /24 or /48 that @source is in. */
struct prefix judge_network_of(const struct prefix *source);

#endif
