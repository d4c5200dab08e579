// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/drop_rules.h"
#include "user/model/explain_propose.h"
#include "user/model/rule_judge.h"
#include "user/model/rule_spec.h"
#include "user/model/units.h"

#define NAME_START	"auto-"
#define MEMORIES	128
#define SOURCES		16	/* known sources whose packets are counted, of each rule */
#define IDLE_LOOKS	5	/* in which a rule drops nothing before it gives way */
#define COMPARED	2048	/* packets of a flood by which two rules are compared */
#define HALF		0.5
#define STRIKES_MOST	32
#define MILLION		1000000.0

enum memory_state {
	FREE,
	PAST,		/* neither in force nor just said */
	SAID,		/* told, and not told again before @until_ns */
	OPEN,		/* in force by what is remembered; rule_judge_adopt() finds it, or it ended */
	IN_FORCE,
};

struct rule_hit {
	uint64_t hi, lo;	/* the source; of IPv6 its /64 */
	uint64_t samples, packets;	/* that were heard; that these stand for */
};

struct memory {
	enum memory_state state;
	struct weir_rule_spec spec;
	struct explain_rule rule;
	bool comparable;	/* @rule says the same as @spec */
	uint8_t strikes;	/* times that it was put before */
	uint64_t ttl_ns, until_ns;
	uint64_t last_ns;	/* when its state changed last */
	uint64_t barred_ns;	/* until then it is not put again, nor one like it */
	double flood, bound;
	uint64_t dropped;	/* packets, as counted last */
	uint32_t idle;		/* looks in a row in which it dropped nothing */
	struct rule_hit hit[SOURCES];
};

struct rule_judge {
	struct rule_judge_rules rules;
	struct memory memory[MEMORIES];
	uint32_t number;	/* of the last name */
	struct rule_pressure before;
	bool looked;
};

struct rule_judge *rule_judge_new(void)
{
	return calloc(1, sizeof(struct rule_judge));
}

void rule_judge_free(struct rule_judge *judge)
{
	free(judge);
}

void rule_judge_set_rules(struct rule_judge *judge, const struct rule_judge_rules *rules)
{
	judge->rules = *rules;
}

bool rule_name_is_auto(const char *name)
{
	const char *digits = name + strlen(NAME_START);

	return !strncmp(name, NAME_START, strlen(NAME_START)) && *digits &&
	       !digits[strspn(digits, "0123456789")];
}

bool judgement_is_of_rule(uint8_t kind)
{
	return kind >= WEIR_RULE && kind <= WEIR_RULE_UNDONE;
}

/* ---- what is remembered ---- */

static bool is_own(const struct weir_rule_spec *spec)
{
	return rule_is_used(spec) && spec->origin == WEIR_BY_DAEMON && rule_name_is_auto(spec->name);
}

/* Whether both match the same packets, whatever their names. */
static bool same_match(const struct weir_rule_spec *a, const struct weir_rule_spec *b)
{
	struct weir_rule_spec x = *a, y = *b;

	memset(x.name, 0, sizeof(x.name));
	memset(y.name, 0, sizeof(y.name));
	x.origin = y.origin = WEIR_BY_DAEMON;
	return rule_same(&x, &y);
}

static struct memory *find_same(struct rule_judge *judge, const struct weir_rule_spec *spec)
{
	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++)
		if (m->state != FREE && same_match(&m->spec, spec))
			return m;
	return NULL;
}

/* The higher, the more it is worth keeping. */
static int worth(const struct memory *memory, uint64_t now_ns)
{
	switch (memory->state) {
	case FREE:
		return 0;
	case IN_FORCE:
	case OPEN:
		return 3;
	default:
		return memory->barred_ns > now_ns ? 2 : 1;
	}
}

/* A free place, or that of what matters least and is the oldest. Those in force are fewer. */
static struct memory *make_place(struct rule_judge *judge, const struct weir_rule_spec *spec,
				 uint64_t now_ns)
{
	struct memory *least = judge->memory;

	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++) {
		int more = worth(m, now_ns) - worth(least, now_ns);

		if (more < 0 || (!more && m->last_ns < least->last_ns))
			least = m;
	}
	*least = (struct memory){ .spec = *spec };
	least->comparable = rule_spec_explain(spec, &least->rule);
	return least;
}

static uint64_t ago(uint64_t now_ns, uint64_t now_unix_s, uint64_t unix_s)
{
	uint64_t past_ns = now_unix_s > unix_s ? (now_unix_s - unix_s) * NS_PER_S : 0;

	return past_ns < now_ns ? now_ns - past_ns : 1;
}

/* As `undo` of bans, but at least twice the time that the rule would have had. */
static uint64_t undo_time(const struct rule_judge *judge, const struct memory *memory)
{
	return 2 * memory->ttl_ns > judge->rules.undo_ns ? 2 * memory->ttl_ns :
							   judge->rules.undo_ns;
}

static void end(struct rule_judge *judge, struct memory *memory, uint8_t kind, uint64_t at_ns)
{
	memory->state = PAST;
	memory->last_ns = at_ns;
	if (kind == WEIR_RULE_WITHDRAWN)
		memory->barred_ns = at_ns + 2 * memory->ttl_ns;
	if (kind == WEIR_RULE_UNDONE)
		memory->barred_ns = at_ns + undo_time(judge, memory);
}

static void note_number(struct rule_judge *judge, const char *name)
{
	unsigned long number = rule_name_is_auto(name) ?
				       strtoul(name + strlen(NAME_START), NULL, 10) : 0;

	if (number > judge->number && number < 1000000)
		judge->number = number;
}

void rule_judge_remember(struct rule_judge *judge, const struct weir_judgement *judgement,
			 uint64_t now_unix_s, uint64_t now_ns)
{
	uint64_t at_ns = ago(now_ns, now_unix_s, judgement->unix_s);
	struct weir_rule_spec spec;
	struct memory *memory;
	char ignored[ERR_LEN];

	if (!judgement_is_of_rule(judgement->kind) ||
	    rule_spec_read(judgement->text, &spec, ignored))
		return;
	note_number(judge, spec.name);
	memory = find_same(judge, &spec);
	if (!memory)
		memory = make_place(judge, &spec, now_ns);
	if (judgement->kind != WEIR_RULE && judgement->kind != WEIR_WOULD_RULE) {
		end(judge, memory, judgement->kind, at_ns);
		return;
	}
	memory->state = judgement->kind == WEIR_RULE ? OPEN : SAID;
	memcpy(memory->spec.name, spec.name, sizeof(spec.name));
	memory->strikes = judgement->strikes;
	memory->ttl_ns = judgement->ttl_s * NS_PER_S;
	memory->until_ns = at_ns + memory->ttl_ns;
	memory->last_ns = at_ns;
	memory->flood = judgement->flood_millionths / MILLION;
	memory->bound = judgement->calm_millionths / MILLION;
}

void rule_judge_adopt(struct rule_judge *judge, const struct weir_policy *policy, uint64_t now_ns)
{
	for (uint32_t i = 0; i < WEIR_RULES; i++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[i];
		struct memory *memory;

		if (!is_own(spec))
			continue;
		note_number(judge, spec->name);
		memory = find_same(judge, spec);
		if (!memory) {
			memory = make_place(judge, spec, now_ns);
			memory->ttl_ns = spec->until_ns > now_ns ? spec->until_ns - now_ns : 0;
		}
		memory->state = IN_FORCE;
		memory->spec = *spec;
		memory->until_ns = spec->until_ns;
		memory->last_ns = now_ns;
	}
}

/* ---- pressure ---- */

bool rule_judge_is_pressed(struct rule_judge *judge, const struct rule_pressure *now)
{
	const struct rule_pressure *was = &judge->before;
	uint64_t turned = now->turned_away > was->turned_away ?
				  now->turned_away - was->turned_away : 0;
	uint64_t lost = now->lost > was->lost ? now->lost - was->lost : 0;
	uint64_t ns = now->now_ns - was->now_ns, least;
	bool looked = judge->looked && ns;

	judge->before = *now;
	judge->looked = true;
	if (!looked || judge->rules.mode == RULES_OFF)
		return false;
	least = (double)judge->rules.least_pps * ns / NS_PER_S;
	return (now->budgets && turned >= least) || lost >= least;
}

/* ---- the rules in force ---- */

bool rule_judge_has_rules(const struct rule_judge *judge)
{
	for (uint32_t i = 0; i < MEMORIES; i++)
		if (judge->memory[i].state == IN_FORCE)
			return true;
	return false;
}

static void count_hit(struct memory *memory, uint64_t hi, uint64_t lo, uint64_t weight)
{
	struct rule_hit *least = memory->hit;

	for (struct rule_hit *hit = memory->hit; hit < memory->hit + SOURCES; hit++) {
		if (hit->samples && hit->hi == hi && hit->lo == lo) {
			hit->samples++;
			hit->packets += weight;
			return;
		}
		if (hit->samples < least->samples)
			least = hit;
	}
	*least = (struct rule_hit){ hi, lo, 1, weight };
}

void rule_judge_hit(struct rule_judge *judge, const struct explain_packet *packet, uint64_t weight)
{
	bool v4 = !packet->hi && packet->lo >> 32 == 0xffff;

	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++)
		if (m->state == IN_FORCE && m->comparable && explain_matches(&m->rule, packet))
			count_hit(m, packet->hi, v4 ? packet->lo : 0, weight);
}

static const struct rule_hit *worst_hit(const struct memory *memory)
{
	const struct rule_hit *most = memory->hit;

	for (uint32_t i = 1; i < SOURCES; i++)
		if (memory->hit[i].samples > most->samples)
			most = &memory->hit[i];
	return most;
}

void rule_judge_count(struct rule_judge *judge, const struct weir_policy *policy,
		      const struct weir_rule_count counts[WEIR_RULES], uint64_t now_ns)
{
	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++) {
		uint32_t slot;

		if (m->state != IN_FORCE)
			continue;
		slot = rule_find(policy, m->spec.name);
		if (slot == NO_RULE || !same_match(&policy->rule_spec[slot], &m->spec))
			continue;
		m->idle = counts[slot].packets == m->dropped && now_ns > m->last_ns ? m->idle + 1 : 0;
		m->dropped = counts[slot].packets;
	}
}

/* What has become of a rule in force; 0: nothing. */
static uint8_t fate(const struct rule_judge *judge, const struct memory *memory,
		    const struct weir_policy *policy, uint64_t now_ns)
{
	uint32_t slot = rule_find(policy, memory->spec.name);

	if (memory->until_ns <= now_ns)
		return WEIR_RULE_ENDED;
	if (slot == NO_RULE || !is_own(&policy->rule_spec[slot]))
		return WEIR_RULE_UNDONE;
	if (judge->rules.mode != RULES_AUTO)
		return WEIR_RULE_OFF;
	if (worst_hit(memory)->samples >= RULE_HITS)
		return WEIR_RULE_WITHDRAWN;
	return 0;
}

/* Appends a decision; NULL: there are too many, and it has to wait for the next look. */
static struct rule_decision *decide(struct rule_decisions *decisions, const struct memory *memory,
				    uint8_t kind)
{
	struct rule_decision *decision = &decisions->at[decisions->count];
	struct weir_judgement *about = &decision->about;

	if (decisions->count == RULE_DECISIONS)
		return NULL;
	decisions->count++;
	*decision = (struct rule_decision){ .spec = memory->spec };
	about->kind = kind;
	about->strikes = memory->strikes;
	about->ttl_s = memory->ttl_ns / NS_PER_S;
	about->packets = memory->dropped;
	about->flood_millionths = memory->flood * MILLION;
	about->calm_millionths = memory->bound * MILLION;
	rule_spec_write(&memory->spec, about->text, sizeof(about->text));
	return decision;
}

static void decide_end(struct rule_judge *judge, struct memory *memory, uint8_t kind,
		       uint64_t now_ns, struct rule_decisions *decisions)
{
	const struct rule_hit *hit = worst_hit(memory);
	struct rule_decision *decision = decide(decisions, memory, kind);
	struct prefix source = { hit->hi, hit->lo, 128 };

	if (!decision)
		return;
	if (kind == WEIR_RULE_WITHDRAWN) {
		source.length = !hit->hi && hit->lo >> 32 == 0xffff ? 128 : 64;
		prefix_to_key(&source, &decision->about.prefix);
		decision->about.seen_pps = hit->packets;
	}
	end(judge, memory, kind, now_ns);
}

bool rule_judge_is_due(const struct rule_judge *judge, const struct weir_policy *policy,
		       uint64_t now_ns)
{
	for (uint32_t i = 0; i < MEMORIES; i++)
		if (judge->memory[i].state == IN_FORCE &&
		    fate(judge, &judge->memory[i], policy, now_ns))
			return true;
	return false;
}

void rule_judge_watch(struct rule_judge *judge, const struct weir_policy *policy, uint64_t now_ns,
		      struct rule_decisions *decisions)
{
	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++) {
		uint8_t kind = m->state == IN_FORCE ? fate(judge, m, policy, now_ns) : 0;

		if (kind)
			decide_end(judge, m, kind, now_ns, decisions);
	}
}

void rule_judge_settle(struct rule_judge *judge, uint64_t now_ns, struct rule_decisions *decisions)
{
	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++)
		if (m->state == OPEN)
			decide_end(judge, m, m->until_ns <= now_ns ? WEIR_RULE_ENDED :
				   WEIR_RULE_UNDONE, now_ns, decisions);
}

/* ---- rules that were found ---- */

/* The share of what @a matches of the flood that @b matches as well. */
static double overlap(const struct explain_rule *a, const struct explain_rule *b,
		      const struct rule_flood *flood)
{
	size_t count = flood->count < COMPARED ? flood->count : COMPARED;
	double of_a = 0, of_both = 0;

	for (size_t i = 0; i < count; i++) {
		double weight = 1ULL << flood->packets[i].shift;

		if (!explain_matches(a, &flood->packets[i]))
			continue;
		of_a += weight;
		if (explain_matches(b, &flood->packets[i]))
			of_both += weight;
	}
	return of_a > 0 ? of_both / of_a : 0;
}

/* Whether @found drops mostly what the remembered rule drops. */
static bool is_within(const struct rule_found *found, const struct memory *memory,
		      const struct rule_flood *flood)
{
	return same_match(&found->spec, &memory->spec) ||
	       (memory->comparable && overlap(&found->rule, &memory->rule, flood) >= HALF);
}

/* Whether that is no news: it is in force, was just said, or must not be put for a while. */
static bool is_settled(const struct rule_judge *judge, const struct rule_found *found,
		       const struct rule_flood *flood, bool put, uint64_t now_ns)
{
	for (const struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++) {
		bool said = m->state == SAID && m->until_ns > now_ns && !put;

		if (m->state == FREE ||
		    !(m->state == IN_FORCE || m->barred_ns > now_ns || said))
			continue;
		if (is_within(found, m, flood))
			return true;
	}
	return false;
}

/* The one that was put or said before, for the same packets; NULL: it is new, or long ago. */
static struct memory *find_before(struct rule_judge *judge, const struct rule_found *found,
				  const struct rule_flood *flood, uint64_t now_ns)
{
	struct memory *same = find_same(judge, &found->spec);

	for (struct memory *m = judge->memory; !same && m < judge->memory + MEMORIES; m++)
		if ((m->state == PAST || m->state == SAID) && m->comparable &&
		    overlap(&found->rule, &m->rule, flood) >= HALF &&
		    overlap(&m->rule, &found->rule, flood) >= HALF)
			same = m;
	if (same && same->last_ns + same->ttl_ns + judge->rules.remember_ns < now_ns)
		same->strikes = same->ttl_ns = 0;
	return same;
}

static uint64_t ttl_for(const struct rule_judge *judge, uint8_t strikes)
{
	uint64_t ttl = judge->rules.first_ns;

	while (strikes-- && ttl < judge->rules.longest_ns)
		ttl *= 2;
	return ttl < judge->rules.longest_ns ? ttl : judge->rules.longest_ns;
}

static uint32_t in_force(const struct rule_judge *judge)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MEMORIES; i++)
		count += judge->memory[i].state == IN_FORCE;
	return count;
}

/*
 * Whether the rules in force and this one together match too many calm packets. Each alone is
 * bounded by the search, which does not know of the others.
 */
static bool is_too_much(const struct rule_judge *judge, const struct rule_found *found,
			const struct rule_flood *flood)
{
	size_t hits = 0;

	for (size_t i = 0; i < flood->calm_count; i++) {
		bool hit = explain_matches(&found->rule, &flood->calm[i]);

		for (const struct memory *m = judge->memory; !hit && m < judge->memory + MEMORIES; m++)
			hit = m->state == IN_FORCE && m->comparable &&
			      explain_matches(&m->rule, &flood->calm[i]);
		hits += hit;
	}
	return hits > flood->calm_count * EXPLAIN_CALM_MOST;
}

/* The one that has dropped nothing for the longest time. */
static struct memory *find_idle(struct rule_judge *judge)
{
	struct memory *idlest = NULL;

	for (struct memory *m = judge->memory; m < judge->memory + MEMORIES; m++)
		if (m->state == IN_FORCE && m->idle >= IDLE_LOOKS && (!idlest || m->idle > idlest->idle))
			idlest = m;
	return idlest;
}

/* @made: rules that this look puts; @ended: those that it takes away. */
static bool has_places(const struct weir_policy *policy, uint32_t made, uint32_t ended)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < WEIR_RULES; i++)
		used += rule_is_used(&policy->rule_spec[i]);
	return used + made < WEIR_RULES - RULE_ROOM + ended;
}

static void name_rule(struct rule_judge *judge, const struct weir_policy *policy,
		      struct weir_rule_spec *spec)
{
	do {
		snprintf(spec->name, sizeof(spec->name), NAME_START "%u", ++judge->number);
	} while (rule_find(policy, spec->name) != NO_RULE);
}

/* Makes the memory of a rule that is put or said now. */
static struct memory *remember_found(struct rule_judge *judge, const struct rule_found *found,
				     struct memory *before, uint64_t now_ns)
{
	uint8_t strikes = before && before->ttl_ns ? before->strikes + 1 : 0;
	struct memory *memory = before;

	if (!memory)
		memory = make_place(judge, &found->spec, now_ns);
	*memory = (struct memory){
		.spec = found->spec, .rule = found->rule, .comparable = true,
		.strikes = strikes < STRIKES_MOST ? strikes : STRIKES_MOST,
		.last_ns = now_ns, .flood = found->flood, .bound = found->bound,
	};
	memory->ttl_ns = ttl_for(judge, memory->strikes);
	memory->until_ns = now_ns + memory->ttl_ns;
	return memory;
}

static void put(struct rule_judge *judge, const struct rule_found *found, struct memory *before,
		const struct rule_flood *flood, const struct weir_policy *policy, uint64_t now_ns,
		struct rule_decisions *decisions)
{
	struct memory *memory = remember_found(judge, found, before, now_ns);
	struct rule_decision *decision;

	name_rule(judge, policy, &memory->spec);
	memory->state = IN_FORCE;
	memory->spec.until_ns = memory->until_ns;
	memory->spec.origin = WEIR_BY_DAEMON;
	memory->spec.spare = WEIR_SPARE_KNOWN;
	decision = decide(decisions, memory, WEIR_RULE);
	if (decision)
		decision->about.seen_pps = flood->pps;
}

static void say(struct rule_judge *judge, const struct rule_found *found, const char *doubt,
		struct memory *before, const struct rule_flood *flood, uint64_t now_ns,
		struct rule_decisions *decisions)
{
	struct memory *memory = remember_found(judge, found, before, now_ns);
	struct rule_decision *decision;
	char match[EXPLAIN_TEXT];

	explain_rule_text(&found->rule, match);
	explain_name(&found->rule, match, memory->spec.name);
	memory->state = SAID;
	decision = decide(decisions, memory, WEIR_WOULD_RULE);
	if (!decision)
		return;
	decision->about.seen_pps = flood->pps;
	snprintf(decision->about.why, sizeof(decision->about.why), "%s", doubt);
}

void rule_judge_consider(struct rule_judge *judge, const struct rule_found *found, size_t count,
			 const struct rule_flood *flood, const struct weir_policy *policy,
			 uint64_t now_ns, struct rule_decisions *decisions)
{
	uint32_t made = 0, ended = 0;

	for (size_t i = 0; i < count; i++) {
		bool much = is_too_much(judge, &found[i], flood);
		bool sure = judge->rules.mode == RULES_AUTO && found[i].sure && !much;
		struct memory *before, *idle;

		if (judge->rules.mode == RULES_OFF || decisions->count + 2 > RULE_DECISIONS ||
		    is_settled(judge, &found[i], flood, sure, now_ns))
			continue;
		before = find_before(judge, &found[i], flood, now_ns);
		if (!sure) {
			say(judge, &found[i], found[i].sure && much ?
			    "with the rules in force it matches too much of calm traffic" :
			    found[i].doubt, before, flood, now_ns, decisions);
			continue;
		}
		idle = in_force(judge) >= judge->rules.most || !has_places(policy, made, ended) ?
			       find_idle(judge) : NULL;
		if (idle) {
			decide_end(judge, idle, WEIR_RULE_GAVE_WAY, now_ns, decisions);
			ended++;
		}
		if (in_force(judge) >= judge->rules.most || !has_places(policy, made, ended)) {
			decisions->put_off++;
			continue;
		}
		put(judge, &found[i], before, flood, policy, now_ns, decisions);
		made++;
	}
}

void rule_judge_take_back(struct rule_judge *judge, const struct rule_decisions *decisions)
{
	for (uint32_t i = 0; i < decisions->count; i++) {
		const struct rule_decision *decision = &decisions->at[i];
		struct memory *memory = find_same(judge, &decision->spec);

		if (!memory)
			continue;
		memory->barred_ns = 0;
		if (decision->about.kind != WEIR_RULE && decision->about.kind != WEIR_WOULD_RULE) {
			memory->state = IN_FORCE;
			continue;
		}
		memory->state = memory->strikes ? PAST : FREE;	/* it will be found again */
		memory->strikes -= !!memory->strikes;
	}
}
