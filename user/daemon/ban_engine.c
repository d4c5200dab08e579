// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/ban_engine.h"
#include "user/host/addresses.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/policy.h"
#include "user/model/reasons.h"
#include "user/model/rule_judge.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/judgements.h"
#include "user/state/known.h"
#include "user/state/hints.h"
#include "user/state/listen.h"
#include "user/state/networks.h"
#include "user/state/offences.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

#define LINES_MOST		50	/* lines in one window; the other judgements are counted */
#define RECORDS_MOST		512	/* records of judgements in one window */
#define PUT_OFF_EVERY_NS	(60 * NS_PER_S)	/* lines on bans for which there is no room */
#define EXPIRE_EVERY_NS		(10 * NS_PER_S)	/* ended bans have no effect, but take room */
#define COUNT_ONE_BY_ONE	(1U << 16)	/* addresses; else all known sources are read */

/* Packets dropped by all devices, by reason. */
struct drops {
	uint64_t packets[WEIR_REASON_MAX];
};

/* A limit by its serial, as the keys of buckets name it. */
struct limit_by_serial {
	uint32_t serial;
	const struct weir_limit *limit;	/* in the mapped policy: valid during one look */
	uint64_t pps;			/* 0: a limit of bits */
};

struct ban_engine {
	struct judge *judge;
	bool started;			/* the judge has learnt what was decided before */
	struct drops drops;		/* at the last look */
	struct drops logged;		/* when the last line about drops was logged */
	uint64_t logged_ns, expire_ns;
	uint64_t put_off_ns;		/* when bans that are put off may be logged again */
	uint64_t looked_ns;		/* when the present window began; 0: the first look */
	uint64_t judgement;		/* the number of the last judgement that the judge knows */
	struct limit_by_serial limits[WEIR_LIMITS];
	size_t limit_count;
	const struct limit_by_serial *last;	/* found last: most sources have the same limit */
};

struct ban_engine *ban_engine_new(void)
{
	struct ban_engine *engine = calloc(1, sizeof(*engine));
	struct hash_seed seed;

	if (!engine)
		return NULL;
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		engine->judge = judge_new(&seed);
	if (engine->judge)
		return engine;
	free(engine);
	return NULL;
}

void ban_engine_free(struct ban_engine *engine)
{
	if (!engine)
		return;
	judge_free(engine->judge);
	free(engine);
}

/* ---- earlier judgements ---- */

static void log_judgement(const struct weir_judgement *judgement)
{
	int level = judgement->kind == WEIR_BAN_SOURCE || judgement->kind == WEIR_BAN_NETWORK ?
			    LOG_WARNING : LOG_NOTICE;
	char text[PREFIX_STRLEN], why[JUDGEMENT_TEXT];
	struct prefix prefix;

	prefix_from_key(&judgement->prefix, &prefix);
	prefix_format(&prefix, text);
	judgement_explain(judgement, why, sizeof(why));
	log_line(level, "%s %s: %s", judgement_name(judgement->kind), text, why);
}

/*
 * Gives the judge the judgements that it does not know: bans that an operator has undone since, or
 * with @all everything in the ring.
 */
static int learn(struct ban_engine *engine, const struct maps *maps, bool all, char *err)
{
	struct weir_judgement *list;
	uint64_t now = now_ns();
	size_t count;
	int rc;

	if (!all && !judgements_reached(maps, engine->judgement + 1))
		return 0;
	rc = judgements_read(maps, WEIR_JUDGEMENTS, &list, &count, err);
	for (size_t i = 0; i < count && !rc; i++) {
		if (list[i].number <= engine->judgement)
			continue;
		if (judge_remember(engine->judge, &list[i], time(NULL), now))
			rc = fail(err, ENOMEM, "out of memory");
		if (!all && !judgement_is_of_rule(list[i].kind))	/* rule_finder.c logs these */
			log_judgement(&list[i]);
		engine->judgement = list[i].number;
	}
	free(list);
	return rc;
}

/* The ring has strikes and undone bans, the block entries have the bans that still run. */
static int start(struct ban_engine *engine, const struct maps *maps, char *err)
{
	struct settings settings;
	int rc = learn(engine, maps, true, err);

	if (rc)
		return rc;
	rc = maps_read_settings(maps, &settings, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < settings.block.count && !rc; i++)
		if (settings.block.at[i].value.origin == WEIR_BY_DAEMON &&
		    judge_remember_ban(engine->judge, &settings.block.at[i]))
			rc = fail(err, ENOMEM, "out of memory");
	settings_free(&settings);
	engine->started = !rc;
	return rc;
}

/* ---- reading the counters of a window ---- */

static int by_serial(const void *a, const void *b)
{
	const struct limit_by_serial *x = a, *y = b;

	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static void note_limits(struct ban_engine *engine, const struct weir_policy *policy)
{
	engine->limit_count = 0;
	engine->last = NULL;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		const struct weir_limit_spec *spec = &policy->spec[i];

		if (!spec->used)
			continue;
		engine->limits[engine->limit_count++] = (struct limit_by_serial){
			.serial = policy->limit[i].serial, .limit = &policy->limit[i],
			.pps = spec->rate_packets && spec->per_s ?
				       (spec->rate_packets + spec->per_s - 1) / spec->per_s : 0,
		};
	}
	qsort(engine->limits, engine->limit_count, sizeof(*engine->limits), by_serial);
}

static int see_bucket(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
		      void *arg)
{
	struct ban_engine *engine = arg;
	struct judge_source source = { .key = *key, .passed = bucket->passed,
				       .dropped = bucket->dropped,
				       .dropped_bytes = bucket->dropped_bytes };
	struct prefix address = { .hi = key->hi, .lo = key->lo, .length = 128 };
	struct limit_by_serial wanted = { .serial = key->serial };

	if (!bucket->dropped)
		return 0;
	if (!engine->last || engine->last->serial != key->serial)
		engine->last = bsearch(&wanted, engine->limits, engine->limit_count,
				     sizeof(*engine->limits), by_serial);
	if (!engine->last)	/* the limit has been removed */
		return 0;
	source.limit_pps = engine->last->pps;
	source.cost = engine->last->limit->cost;
	source.byte_cost = engine->last->limit->byte_cost;
	source.prefix = limit_source(engine->last->limit, &address);
	return judge_source(engine->judge, &source);
}

static uint64_t network_share(const struct maps *maps, const struct weir_policy *policy,
			      uint64_t since_ns)
{
	struct weir_budget_state states[WEIR_BUDGETS];
	struct weir_spending sum;
	size_t count = 0;

	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used &&
		    !maps_read_budget(maps, i, &states[count], &sum))
			count++;
	return judge_network_share(states, count, since_ns);
}

struct network_look {
	struct judge *judge;
	uint64_t share_pps;
};

static int see_network(const struct network *network, void *arg)
{
	const struct network_look *look = arg;
	struct judge_network seen = { .line = network->line, .prefix = network->prefix,
				      .dropped = network->dropped, .share_pps = look->share_pps };

	return judge_network(look->judge, &seen);
}

static int see_networks(struct ban_engine *engine, const struct maps *maps,
			const struct weir_policy *policy, uint64_t since_ns, char *err)
{
	struct network_look look = { engine->judge, network_share(maps, policy, since_ns) };
	int rc = networks_each(maps, see_network, &look);

	return rc ? fail(err, -rc, "cannot read the table of networks: %s", strerror(-rc)) : 0;
}

static int count_drops(const struct maps *maps, struct drops *drops)
{
	struct weir_counters sum;
	int rc = devices_sum(maps, &sum);

	if (rc)
		return rc;
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		drops->packets[i] = strcmp(reason_action(i), "drop") ? 0 : sum.reason[i].packets;
	return 0;
}

/* A counter begins again at 0 when its device is attached for the first time. */
static uint64_t increase(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static void log_drops(struct ban_engine *engine, const struct config *config)
{
	char text[512] = "", seconds[FORMAT_LEN];
	uint64_t now = now_ns(), all = 0;
	size_t at = 0;

	/* Half a window early rather than half a window late. */
	if (!config->log_drops_ns ||
	    now + config->window_ns / 2 < engine->logged_ns + config->log_drops_ns)
		return;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		uint64_t packets = increase(engine->logged.packets[i], engine->drops.packets[i]);

		all += packets;
		if (packets && at < sizeof(text))
			at += snprintf(text + at, sizeof(text) - at, "%s%s %llu", at ? ", " : "",
				       reason_name(i), (unsigned long long)packets);
	}
	format_duration((now - engine->logged_ns + NS_PER_S / 2) / NS_PER_S, seconds);
	if (all && engine->logged_ns)
		log_line(LOG_INFO, "dropped %llu packets in %s: %s", (unsigned long long)all,
			 seconds, text);
	engine->logged = engine->drops;
	engine->logged_ns = now;
}

/* ---- questions of the judge ---- */

static enum weir_tier tier_of(void *ctx, const struct prefix *source)
{
	return known_tier_of(ctx, source);
}

struct inside {
	const struct prefix *prefix;
	uint64_t count;
};

static int count_inside(const struct prefix *source, enum weir_tier tier, void *arg)
{
	struct inside *inside = arg;

	inside->count += tier >= WEIR_PROVEN && prefix_covers(inside->prefix, source);
	return 0;
}

static uint64_t count_proven(void *ctx, const struct prefix *prefix)
{
	struct inside inside = { .prefix = prefix };
	uint64_t addresses = prefix_is_v4(prefix) ? 1ULL << (128 - prefix->length) : 0;

	if (!addresses || addresses > COUNT_ONE_BY_ONE) {
		known_each(ctx, count_inside, &inside);
		return inside.count;
	}
	for (uint64_t i = 0; i < addresses; i++) {
		struct prefix each = { .hi = prefix->hi, .lo = prefix->lo + i, .length = 128 };

		inside.count += known_tier_of(ctx, &each) >= WEIR_PROVEN;
	}
	return inside.count;
}

/* ---- carrying out decisions ---- */

static int by_prefix(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Those that gave way or were replaced; an operator's entry of the same prefix stays. */
static int remove_bans(struct entries *block, const struct decisions *decisions)
{
	size_t count = decisions->replaced_count, kept = 0;
	struct prefix *gone = calloc(count + decisions->gave_way + 1, sizeof(*gone));

	if (!gone)
		return -ENOMEM;
	if (count)
		memcpy(gone, decisions->replaced, count * sizeof(*gone));
	for (size_t i = 0; i < decisions->count; i++)
		if (decisions->at[i].about.kind == WEIR_GAVE_WAY)
			gone[count++] = decisions->at[i].prefix;
	qsort(gone, count, sizeof(*gone), by_prefix);
	for (size_t i = 0; i < block->count && count; i++) {
		const struct entry *entry = &block->at[i];

		if (entry->value.origin != WEIR_BY_DAEMON ||
		    !bsearch(&entry->prefix, gone, count, sizeof(*gone), by_prefix))
			block->at[kept++] = *entry;
	}
	if (count)
		block->count = kept;
	free(gone);
	return 0;
}

static int add_bans(struct settings *is, const struct decisions *decisions)
{
	uint64_t now = now_ns(), now_unix_s = time(NULL);
	int rc = remove_bans(&is->block, decisions);

	for (size_t i = 0; i < decisions->count && !rc; i++) {
		const struct decision *d = &decisions->at[i];
		struct weir_entry value = {
			.until_ns = now + d->ttl_ns, .added_unix_s = now_unix_s,
			.origin = WEIR_BY_DAEMON, .strikes = d->about.strikes,
			.spare_known = d->about.kind == WEIR_BAN_NETWORK,
		};

		if (d->about.kind != WEIR_BAN_SOURCE && d->about.kind != WEIR_BAN_NETWORK)
			continue;
		judgement_comment(&d->about, value.comment);
		rc = entries_append(&is->block, &d->prefix, &value);
	}
	entries_sort(&is->block);
	return rc;
}

/* The worst offenders have a line each, the others are counted: a flood must not flood the log. */
static int record(struct ban_engine *engine, const struct maps *maps,
		  const struct decisions *decisions, char *err)
{
	size_t count = decisions->count < RECORDS_MOST ? decisions->count : RECORDS_MOST;
	struct weir_judgement *list = calloc(count + 1, sizeof(*list));
	int rc;

	if (!list)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		list[i] = decisions->at[i].about;
		if (i < LINES_MOST)
			log_judgement(&list[i]);
	}
	if (decisions->count > LINES_MOST)
		log_line(LOG_WARNING, "and %zu more judgements at once; `weir show bans` and "
			 "`weir ban-log` list them", decisions->count - LINES_MOST);
	rc = judgements_append(maps, list, count, err);
	if (!rc && count)
		engine->judgement = list[count - 1].number;
	free(list);
	return rc;
}

/* A ban that stays due is put off in each window: a line a minute is enough. */
static void note_room(struct ban_engine *engine, const struct maps *maps,
		      const struct decisions *decisions)
{
	uint64_t now = now_ns();

	tally_bans(maps->hints, decisions->gave_way, decisions->put_off);
	if (decisions->gave_way)
		log_line(LOG_NOTICE, "most_bans is reached: %llu bans that dropped little ended, for "
			 "worse offenders", (unsigned long long)decisions->gave_way);
	if (decisions->replaced_count)
		log_line(LOG_INFO, "bans of networks replace %zu bans of sources in them",
			 decisions->replaced_count);
	if (decisions->put_off && now >= engine->put_off_ns) {
		engine->put_off_ns = now + PUT_OFF_EVERY_NS;
		log_line(LOG_WARNING, "most_bans is reached: %llu bans were not made, because those "
			 "that are in force drop as much; their limits hold the sources",
			 (unsigned long long)decisions->put_off);
	}
}

/* Removes what has ended. Returns how many drop rules, or -errno with @err. */
static int expire(struct settings *is, char *err)
{
	uint64_t now = now_ns();
	int ended = rules_expire(is->policy, now), rc = 0;

	entries_expire(&is->block, now);
	if (ended)
		rc = policy_compile(is->policy, err);
	return rc ? rc : ended;
}

static int judge_and_ban(struct ban_engine *engine, struct maps *maps, const struct settings *was,
			 struct settings *is, struct judge_world *world, char *err)
{
	struct decisions decisions = { 0 };
	int ended = expire(is, err);
	int rc = ended < 0 ? ended : learn(engine, maps, false, err);

	if (!rc && judge_end(engine->judge, world, &decisions))
		rc = fail(err, ENOMEM, "out of memory");
	if (!rc && add_bans(is, &decisions))
		rc = fail(err, ENOMEM, "out of memory");
	if (!rc && (is->block.count != was->block.count || ended || decisions.count))
		rc = maps_write_settings(maps, was, is, false, err);
	if (rc)
		judge_take_back(engine->judge, &decisions);
	else
		note_room(engine, maps, &decisions);
	if (!rc && decisions.count)
		rc = record(engine, maps, &decisions, err);
	decisions_free(&decisions);
	return rc;
}

static void sum_drops(const struct drops *before, const struct drops *now,
		      struct judge_world *world)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		world->dropped += increase(before->packets[i], now->packets[i]);
	world->turned_away =
		increase(before->packets[WEIR_DROP_SHED], now->packets[WEIR_DROP_SHED]) +
		increase(before->packets[WEIR_DROP_SHARE], now->packets[WEIR_DROP_SHARE]);
}

/* Decides by @was, the settings under the writers' lock. */
static int decide_and_ban(struct ban_engine *engine, struct maps *maps, const struct settings *was,
			  const struct drops *before, char *err)
{
	struct prefixes addresses = { 0 }, networks = { 0 };
	struct settings is = { 0 };
	struct known known = { 0 };
	struct judge_world world = {
		.allow = &is.allow, .block = &is.block, .host_addresses = &addresses,
		.host_networks = &networks, .tier_of = tier_of, .count_proven = count_proven,
		.ctx = &known,
	};
	int rc = 0;

	if (settings_copy(&is, was) || host_read(&addresses, &networks))
		rc = fail(err, ENOMEM, "out of memory");
	if (!rc)
		rc = known_open(maps, &known, err);
	if (!rc) {
		sum_drops(before, &engine->drops, &world);
		rc = judge_and_ban(engine, maps, was, &is, &world, err);
		known_close(&known);
	}
	settings_free(&is);
	prefixes_free(&addresses);
	prefixes_free(&networks);
	return rc;
}

/*
 * Takes the writers' lock and reads the settings again: an allow entry that was added a moment ago
 * must count.
 */
static int act(struct ban_engine *engine, const struct drops *before, char *err)
{
	struct settings was;
	struct maps maps;
	int rc = maps_open(&maps, MAPS_WRITE, err);

	if (rc)
		return rc;
	listen_reap(&maps);
	rc = maps_read_settings(&maps, &was, err);
	if (!rc) {
		rc = decide_and_ban(engine, &maps, &was, before, err);
		settings_free(&was);
	}
	maps_close(&maps);
	return rc;
}

/* ---- one look ---- */

static int see_offence(const struct prefix *source, uint64_t packets, void *arg)
{
	struct ban_engine *engine = arg;

	return judge_offence(engine->judge, source, packets);
}

/* Shows the judge the counters of the window that ends at @now. */
static int read_window(struct ban_engine *engine, const struct maps *maps, uint64_t now, char *err)
{
	const struct weir_policy *policy = maps_map_policy(maps, err);
	uint64_t began = engine->looked_ns;
	int rc;

	if (!policy)
		return -EIO;
	note_limits(engine, policy);
	rc = count_drops(maps, &engine->drops);
	if (!rc) {
		judge_begin(engine->judge, now);
		engine->looked_ns = now;
		rc = offences_each(maps, see_offence, engine);
	}
	if (!rc) {
		rc = maps_each_bucket(maps, see_bucket, engine);
	}
	if (rc)
		fail(err, -rc, "cannot read the counters and buckets: %s", strerror(-rc));
	else
		rc = see_networks(engine, maps, policy, began, err);
	maps_unmap_policy(policy);
	return rc;
}

int ban_engine_look(struct ban_engine *engine, const struct maps *maps,
		    const struct config *config, char *err)
{
	struct drops before = engine->drops;
	uint64_t now = now_ns();
	int rc = 0;

	judge_set_rules(engine->judge, &config->judge);
	if (!engine->started)
		rc = start(engine, maps, err);
	if (!rc)
		rc = learn(engine, maps, false, err);
	if (rc)
		return rc;
	rc = read_window(engine, maps, now, err);
	if (!rc && (judge_is_due(engine->judge) || now >= engine->expire_ns)) {
		engine->expire_ns = now + EXPIRE_EVERY_NS;
		rc = act(engine, &before, err);
	}
	log_drops(engine, config);
	return rc;
}
