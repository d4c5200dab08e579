// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/calm_keeper.h"
#include "user/daemon/rule_finder.h"
#include "user/daemon/worker.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/host/servers.h"
#include "user/model/drop_rules.h"
#include "user/model/explain_packet.h"
#include "user/model/explain_propose.h"
#include "user/model/policy.h"
#include "user/model/reasons.h"
#include "user/model/rule_guard.h"
#include "user/model/rule_spec.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/judgements.h"
#include "user/state/known.h"
#include "user/state/listen.h"
#include "user/state/loss_watch.h"
#include "user/state/pressure.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

#define LISTEN_NS	(1 * NS_PER_S)
#define LISTEN_MOST_NS	(3 * NS_PER_S)	/* where few packets come */
#define FLOOD_WANTED	1000		/* packets that end listening after LISTEN_NS */
#define EVENTS_PER_S	8000
#define POLL_MS		50
#define RULES_A_LOOK	2
#define REMARK_NS	(600 * NS_PER_S)	/* between two lines on why no rule was found */
#define OTHER_NS	(60 * NS_PER_S)		/* where the second is for another reason */
#define PORT_DNS	53
#define PORT_TIME	123

/* What a search needs, 8 MiB: made at the first flood, and kept. */
struct room {
	struct explain *explain;
	struct calm *calm;
	struct explain_against against;
	struct explain_packet flood[EXPLAIN_PACKETS];
	uint8_t slot[EXPLAIN_PACKETS];
	uint32_t count;
	uint64_t flood_reasons;		/* a bit for each: packets of the flood */
	struct explain_result result;
	struct rule_found found[RULES_FOUND];
	uint32_t found_count;
};

static struct {
	struct worker worker;
	bool running;
	struct rule_judge_rules rules;
	/* Of the thread alone, which does not run where these are used otherwise: */
	struct rule_judge *judge;
	struct room *room;
	struct known known;
	uint64_t maps_seed;	/* whose judgements the judge knows; 0: none */
	uint64_t judgement;	/* the number of the last one that it knows */
	uint64_t spared;	/* packets of known sources that rules matched, at the last look */
	uint64_t turned_away, looked_ns;	/* at the last look */
	uint64_t pps;			/* packets turned away a second, of late */
	char remark[24];		/* how the last remark began */
	uint64_t remark_ns;		/* when it was logged; 0: never */
	uint64_t put_off_ns;		/* when rules without room may be told again */
	struct weir_device device[WEIR_DEVICES];	/* by slot, at the last look */
} finder;

/* ---- the log ---- */

static void log_judgement(const struct weir_judgement *judgement)
{
	char why[JUDGEMENT_TEXT], subject[JUDGEMENT_SUBJECT], command[JUDGEMENT_COMMAND] = "";

	judgement_explain(judgement, why, sizeof(why));
	judgement_command(judgement, command);
	log_line(judgement->kind == WEIR_RULE ? LOG_WARNING : LOG_NOTICE, "%s %s: %s%s%s",
		 judgement_name(judgement->kind), judgement_subject(judgement, subject), why,
		 *command ? "; " : "", command);
}

/* Why there is no rule, now and then: a flood must not flood the log. Another reason comes sooner. */
static void remark(int level, const char *text)
{
	bool same = !strncmp(text, finder.remark, sizeof(finder.remark) - 1);
	uint64_t now = now_ns();

	if (finder.remark_ns && now < finder.remark_ns + (same ? REMARK_NS : OTHER_NS))
		return;
	snprintf(finder.remark, sizeof(finder.remark), "%s", text);
	finder.remark_ns = now;
	log_line(level, "rules: %s", text);
}

static void note_put_off(uint32_t put_off)
{
	if (!put_off || now_ns() < finder.put_off_ns)
		return;
	finder.put_off_ns = now_ns() + REMARK_NS;
	log_line(LOG_WARNING, "rules: there is no room for %u rules that were found: auto_rules.most "
		 "is reached, or fewer than %d of the %d places for rules are free; limits and "
		 "budgets hold", put_off, RULE_ROOM + 1, WEIR_RULES);
}

/* ---- what was decided before ---- */

static int learn(const struct maps *maps, bool all, char *err)
{
	struct weir_judgement *list;
	uint64_t now = now_ns();
	size_t count;
	int rc;

	if (!all && !judgements_reached(maps, finder.judgement + 1))
		return 0;
	rc = judgements_read(maps, WEIR_JUDGEMENTS, &list, &count, err);
	for (size_t i = 0; i < count && !rc; i++) {
		if (list[i].number <= finder.judgement)
			continue;
		rule_judge_remember(finder.judge, &list[i], time(NULL), now);
		if (!all && judgement_is_of_rule(list[i].kind))
			log_judgement(&list[i]);
		finder.judgement = list[i].number;
	}
	free(list);
	return rc;
}

/* ---- carrying out ---- */

static void take_away(struct weir_policy *policy, const char *name)
{
	uint32_t slot = rule_find(policy, name);

	if (slot != NO_RULE && policy->rule_spec[slot].origin == WEIR_BY_DAEMON)
		rule_remove(policy, slot);
}

/* Makes the settings what was decided. 1: they changed; 0; or -errno with @err. */
static int apply(struct settings *is, const struct rule_decisions *decisions, char *err)
{
	int changed = 0;

	for (uint32_t i = 0; i < decisions->count; i++) {
		const struct rule_decision *decision = &decisions->at[i];
		struct weir_rule_spec spec = decision->spec;
		int rc = 0;

		switch (decision->about.kind) {
		case WEIR_RULE:
			spec.added_unix_s = time(NULL);
			rc = rule_set(is->policy, &spec, err);
			changed = 1;
			break;
		case WEIR_RULE_WITHDRAWN:
		case WEIR_RULE_GAVE_WAY:
		case WEIR_RULE_OFF:
			take_away(is->policy, spec.name);
			changed = 1;
			break;
		default:
			break;
		}
		if (rc < 0)
			return rc;
	}
	return changed;
}

static int record(const struct maps *maps, const struct rule_decisions *decisions, char *err)
{
	struct weir_judgement list[RULE_DECISIONS];
	int rc;

	for (uint32_t i = 0; i < decisions->count; i++) {
		list[i] = decisions->at[i].about;
		log_judgement(&list[i]);
	}
	rc = judgements_append(maps, list, decisions->count, err);
	if (!rc && decisions->count)
		finder.judgement = list[decisions->count - 1].number;
	return rc;
}

static int carry_out(struct maps *maps, const struct settings *was, struct settings *is,
		     bool expired, const struct rule_decisions *decisions, char *err)
{
	int rc = apply(is, decisions, err);

	if (rc > 0 || (!rc && expired)) {
		rc = policy_compile(is->policy, err);
		if (!rc)
			rc = maps_write_settings(maps, was, is, false, err);
	}
	if (rc) {
		rule_judge_take_back(finder.judge, decisions);
		return rc;
	}
	note_put_off(decisions->put_off);
	return record(maps, decisions, err);
}

/* The servers whose answers no rule of the daemon may drop: without those that are allowed. */
static void read_guarded(const struct settings *settings, struct rule_guarded *guarded)
{
	struct servers dns, times;
	uint64_t now = now_ns();

	*guarded = (struct rule_guarded){ 0 };
	read_resolvers(&dns);
	read_time_servers(&times);
	guarded->dns_unknown = dns.local || dns.names || dns.too_many;
	guarded->time_unknown = times.names || times.too_many;
	for (size_t i = 0; i < dns.count + times.count; i++) {
		bool is_dns = i < dns.count;
		const struct prefix *at = is_dns ? &dns.at[i] : &times.at[i - dns.count];

		if (guarded->count == GUARDED_MOST || entries_cover(&settings->allow, at, now))
			continue;
		guarded->server[guarded->count].address = *at;
		guarded->server[guarded->count++].port = is_dns ? PORT_DNS : PORT_TIME;
	}
}

static void guard_found(const struct settings *settings)
{
	struct rule_guarded guarded;
	char why[ERR_LEN];

	if (!finder.room || !finder.room->found_count)
		return;
	read_guarded(settings, &guarded);
	for (uint32_t i = 0; i < finder.room->found_count; i++) {
		struct rule_found *found = &finder.room->found[i];

		if (!found->sure || rule_is_permitted(&found->spec, &guarded, why))
			continue;
		found->sure = false;
		snprintf(found->doubt, sizeof(found->doubt), "%s", why);
	}
}

/* Decides by @was, the settings under the writers' lock. @start: the judge has just been made. */
static int decide(struct maps *maps, const struct settings *was, bool start, char *err)
{
	struct rule_decisions decisions = { 0 };
	struct room *room = finder.room;
	struct settings is = { 0 };
	uint64_t now = now_ns();
	bool expired;
	int rc;

	if (settings_copy(&is, was))
		return fail(err, ENOMEM, "out of memory");
	expired = rules_expire(is.policy, now) > 0;
	if (start) {
		rule_judge_adopt(finder.judge, is.policy, now);
		rule_judge_settle(finder.judge, now, &decisions);
	}
	rule_judge_watch(finder.judge, is.policy, now, &decisions);
	if (room && room->found_count) {
		struct rule_flood flood = { room->flood, room->count, finder.pps,
					    room->against.packet, room->against.count };

		guard_found(was);
		rule_judge_consider(finder.judge, room->found, room->found_count, &flood, is.policy,
				    now, &decisions);
	}
	rc = carry_out(maps, was, &is, expired, &decisions, err);
	settings_free(&is);
	return rc;
}

/* Takes the writers' lock, and reads the settings under it. */
static int act(bool start, char *err)
{
	struct settings was;
	struct maps maps;
	int rc = maps_open(&maps, MAPS_WRITE, err);

	if (rc)
		return rc;
	rc = learn(&maps, start, err);
	if (!rc)
		rc = maps_read_settings(&maps, &was, err);
	if (!rc) {
		rc = decide(&maps, &was, start, err);
		settings_free(&was);
	}
	maps_close(&maps);
	return rc;
}

/* ---- the rules in force ---- */

/* Notes what they have counted. Sets @due: something is to be decided; @hit: known sources were hit. */
static int watch_rules(const struct maps *maps, bool *due, bool *hit, char *err)
{
	struct weir_rule_count *counts = calloc(WEIR_RULES, sizeof(*counts));
	const struct weir_policy *policy;
	uint64_t spared = 0;

	if (!counts)
		return fail(err, ENOMEM, "out of memory");
	policy = maps_map_policy(maps, err);
	if (!policy) {
		free(counts);
		return -EIO;
	}
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[i];

		if (!rule_is_used(spec) || spec->origin != WEIR_BY_DAEMON)
			continue;
		if (!maps_read_rule(maps, i, &counts[i]))
			spared += counts[i].spared;
	}
	rule_judge_count(finder.judge, policy, counts, now_ns());
	*due = rule_judge_is_due(finder.judge, policy, now_ns());
	*hit = spared > finder.spared && finder.rules.mode == RULES_AUTO;
	finder.spared = spared;
	maps_unmap_policy(policy);
	free(counts);
	return 0;
}

/* ---- listening ---- */

static void hear(const struct weir_event *event, void *arg)
{
	uint32_t slot = event->slot % WEIR_DEVICES;
	struct prefix source = { event->hi, event->lo, 128 };
	struct room *room = arg;
	struct explain_packet packet;

	if (event->snap > WEIR_SNAP || !*finder.device[slot].name ||
	    !explain_read_frame(event->data, event->snap, finder.device[slot].bare, event->weight, &packet))
		return;
	if (strcmp(reason_action(event->reason), "drop") &&
	    known_tier_of(&finder.known, &source) >= WEIR_SEEN)
		rule_judge_hit(finder.judge, &packet, event->weight);
	if (!(room->flood_reasons >> event->reason & 1) || room->count == EXPLAIN_PACKETS)
		return;
	room->slot[room->count] = slot;
	room->flood[room->count++] = packet;
}

static void free_room(struct room *room)
{
	if (!room)
		return;
	explain_free(room->explain);
	calm_free(room->calm);
	free(room);
}

static struct room *make_room(void)
{
	const struct hash_seed none = { { 0 } };
	struct room *room = calloc(1, sizeof(*room));

	if (!room)
		return NULL;
	room->explain = explain_new();
	room->calm = calm_new(&none, 0);
	if (room->explain && room->calm)
		return room;
	free_room(room);
	return NULL;
}

/* @reasons: whose packets are the flood's; @hits: whether packets that pass are to be heard, too. */
static int listen(struct maps *maps, uint64_t reasons, bool hits, char *err)
{
	uint64_t passing = reasons_of_action("pass") | reasons_of_action("tx"), began;
	struct wanted wanted = { .reasons = reasons | (hits ? passing : 0),
				 .events_per_s = EVENTS_PER_S };
	struct room *room = finder.room;
	struct listener *listener;
	int rc;

	room->count = room->found_count = 0;
	room->flood_reasons = reasons;
	rc = known_open(maps, &finder.known, err);
	if (rc)
		return rc;
	devices_by_slot(maps, finder.device);
	rc = listen_open(&listener, maps, &wanted, hear, room, err);
	if (!rc) {
		began = now_ns();
		while (!worker_is_stopping(&finder.worker) && !listen_poll(listener, POLL_MS)) {
			uint64_t past = now_ns() - began;
			bool enough = !reasons || room->count >= FLOOD_WANTED;

			if (past >= LISTEN_MOST_NS || room->count == EXPLAIN_PACKETS ||
			    (enough && past >= LISTEN_NS))
				break;
		}
		listen_close(listener);
	}
	known_close(&finder.known);
	return rc;
}

/* ---- searching ---- */

/* One interface is looked at: that from which most was turned away. Returns its slot. */
static uint32_t choose_device(struct room *room)
{
	uint64_t sum[WEIR_DEVICES] = { 0 };
	uint32_t kept = 0, best = 0;

	for (uint32_t i = 0; i < room->count; i++)
		sum[room->slot[i]] += 1ULL << room->flood[i].shift;
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (sum[slot] > sum[best])
			best = slot;
	for (uint32_t i = 0; i < room->count; i++)
		if (room->slot[i] == best)
			room->flood[kept++] = room->flood[i];
	room->count = kept;
	return best;
}

static void take_found(struct room *room, const struct explain_verdict *verdict)
{
	struct rule_found *found = &room->found[room->found_count];
	char text[EXPLAIN_TEXT + 8] = "found ", err[ERR_LEN];
	struct explain_proposal proposal;

	if (room->found_count == RULES_FOUND)
		return;
	explain_propose(verdict, room->calm, &room->against, &proposal);
	*found = (struct rule_found){ .rule = verdict->rule, .flood = verdict->flood,
				      .bound = verdict->bound, .sure = proposal.sure };
	memcpy(found->doubt, proposal.doubt, sizeof(found->doubt));
	rule_narrow_icmp(&found->rule, room->flood, room->count);
	explain_rule_text(&found->rule, text + strlen(text));
	if (rule_spec_read(text, &found->spec, err)) {
		remark(LOG_ERR, err);
		return;
	}
	memset(found->spec.name, 0, sizeof(found->spec.name));
	room->found_count++;
}

/* Why there are no rules; NULL: there are. */
static const char *shortcoming(const struct room *room)
{
	switch (room->result.end) {
	case EXPLAIN_TOO_FEW_FLOOD:
		return "too few packets of the flood were heard";
	case EXPLAIN_TOO_FEW_CALM:
		return "the calm sample is too small";
	case EXPLAIN_NOTHING:
		return "no rule tells what is turned away from calm traffic; limits and budgets hold";
	default:
		return NULL;
	}
}

static void find(struct room *room)
{
	struct explain_options options = { .rules = RULES_A_LOOK };
	const char *device = finder.device[choose_device(room)].name, *why;
	struct hash_seed seed;
	char text[ERR_LEN];

	if (calm_keeper_copy(device, room->calm)) {
		snprintf(text, sizeof(text), "there is no calm sample of %.16s yet", device);
		remark(LOG_INFO, text);
		return;
	}
	explain_take_against(room->calm, &room->against);
	if (room->against.count < EXPLAIN_CALM_LEAST) {
		explain_say_too_few(room->calm, &room->against, text);
		remark(LOG_INFO, text);
		return;
	}
	/* Which half a source is in must not be known to senders. */
	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		options.seed = &seed;
	explain_find(room->explain, room->against.packet, room->against.count, room->flood,
		     room->count, &options, &room->result);
	for (uint32_t i = 0; i < room->result.count; i++)
		take_found(room, &room->result.verdict[i]);
	why = shortcoming(room);
	if (why)
		remark(LOG_INFO, why);
}

/* ---- looks ---- */

static bool is_pressed(const struct maps *maps, bool *by_ring)
{
	struct rule_pressure seen = { .now_ns = now_ns() };
	struct weir_device device;
	struct pressure pressure;
	struct losses losses;
	uint64_t ns = seen.now_ns - finder.looked_ns;

	if (pressure_read(maps, &pressure))
		return false;
	loss_watch_look(maps);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		loss_watch_read(maps, slot, &device, &losses);
		seen.lost += losses_least(&losses.watch.all, losses.own);
	}
	seen.turned_away = pressure.turned_away;
	seen.budgets = pressure.budgets;
	if (ns && seen.turned_away >= finder.turned_away)
		finder.pps = (double)(seen.turned_away - finder.turned_away) * NS_PER_S / ns;
	finder.turned_away = seen.turned_away;
	finder.looked_ns = seen.now_ns;
	*by_ring = !seen.budgets;
	return rule_judge_is_pressed(finder.judge, &seen);
}

/* A judge for these maps: it knows what was decided before. */
static int begin(const struct maps *maps, char *err)
{
	int rc;

	if (finder.judge && finder.maps_seed == maps->meta.seed)
		return 0;
	rule_judge_free(finder.judge);
	finder.judge = rule_judge_new();
	finder.judgement = finder.spared = 0;
	if (!finder.judge)
		return fail(err, ENOMEM, "out of memory");
	rule_judge_set_rules(finder.judge, &finder.rules);
	rc = act(true, err);
	finder.maps_seed = rc ? 0 : maps->meta.seed;
	return rc;
}

static int look_at(struct maps *maps, char *err)
{
	/* Where the ring loses packets, the flood is in all that comes and is not dropped for good. */
	uint64_t come = reasons_turned_away() | reasons_of_action("pass") | reasons_of_action("tx");
	bool due = false, hit = false, pressed, by_ring;
	int rc = begin(maps, err);

	if (!rc)
		rc = learn(maps, false, err);
	if (!rc && rule_judge_has_rules(finder.judge))
		rc = watch_rules(maps, &due, &hit, err);
	if (rc)
		return rc;
	pressed = is_pressed(maps, &by_ring);
	if ((pressed || hit) && !finder.room)
		finder.room = make_room();
	if ((pressed || hit) && !finder.room)
		return fail(err, ENOMEM, "out of memory");
	if (pressed || hit)
		rc = listen(maps, !pressed ? 0 : by_ring ? come : reasons_turned_away(), hit, err);
	if (!rc && pressed)
		find(finder.room);
	if (!rc && (due || hit || (finder.room && finder.room->found_count)))
		rc = act(false, err);
	if (finder.room)
		finder.room->found_count = 0;
	return rc;
}

static void look(void)
{
	char err[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, err)) {
		finder.maps_seed = 0;
		return;
	}
	if (look_at(&maps, err))
		remark(LOG_ERR, err);
	maps_close(&maps);
}

static void forget(void)
{
	rule_judge_free(finder.judge);
	finder.judge = NULL;
	finder.maps_seed = 0;
	free_room(finder.room);
	finder.room = NULL;
}

static void *keep(void *arg)
{
	uint64_t next_ns = now_ns();

	(void)arg;
	while (worker_sleep_until(&finder.worker, next_ns)) {
		look();
		next_ns = now_ns() + finder.rules.every_ns;
	}
	forget();
	return NULL;
}

/* ---- start and stop ---- */

void rule_finder_stop(void)
{
	if (!finder.running)
		return;
	worker_stop(&finder.worker);
	finder.running = false;
}

/* Whether there is any rule of a daemon: without the lock, which a look takes. */
static bool any_is_there(void)
{
	const struct weir_policy *policy;
	char ignored[ERR_LEN];
	struct maps maps;
	bool any = false;

	if (maps_open(&maps, MAPS_READ, ignored))
		return false;
	policy = maps_map_policy(&maps, ignored);
	for (uint32_t i = 0; policy && i < WEIR_RULES; i++)
		any |= rule_is_used(&policy->rule_spec[i]) &&
		       policy->rule_spec[i].origin == WEIR_BY_DAEMON;
	if (policy)
		maps_unmap_policy(policy);
	maps_close(&maps);
	return any;
}

/* In mode `judge` nothing is put in force. */
static struct rule_judge_rules rules_of(const struct config *config)
{
	struct rule_judge_rules rules;

	memset(&rules, 0, sizeof(rules));
	rules = config->rules;
	if (rules.mode == RULES_AUTO && !config->judge.enforce)
		rules.mode = RULES_SUGGEST;
	rules.undo_ns = config->judge.undo_ns;
	rules.remember_ns = config->judge.remember_ns;
	return rules;
}

static bool same_rules(const struct rule_judge_rules *a, const struct rule_judge_rules *b)
{
	return a->mode == b->mode && a->every_ns == b->every_ns && a->least_pps == b->least_pps &&
	       a->most == b->most && a->first_ns == b->first_ns && a->longest_ns == b->longest_ns &&
	       a->undo_ns == b->undo_ns && a->remember_ns == b->remember_ns;
}

void rule_finder_set(const struct config *config)
{
	struct rule_judge_rules rules = rules_of(config);
	int rc;

	if (finder.running && same_rules(&finder.rules, &rules))
		return;
	rule_finder_stop();
	finder.rules = rules;
	if (rules.mode == RULES_OFF) {
		if (any_is_there())
			look();	/* takes it away */
		forget();
		return;
	}
	rc = worker_start(&finder.worker, keep, NULL);
	finder.running = !rc;
	if (rc)
		log_line(LOG_ERR, "cannot start a thread: %s; no rules are looked for", strerror(rc));
	else
		log_line(LOG_INFO, rules.mode == RULES_AUTO ?
			 "rules auto: sure drop rules are put in force for a while" :
			 "rules suggest: drop rules that are found are told, and not put in force");
}
