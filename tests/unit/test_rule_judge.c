// SPDX-License-Identifier: GPL-2.0-only
/* Which drop rules the daemon puts in force, for how long, and when it withdraws them. */
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/explain_traffic.h"
#include "user/model/drop_rules.h"
#include "user/model/explain_propose.h"
#include "user/model/rule_judge.h"
#include "user/model/rule_spec.h"
#include "user/model/units.h"

#define S(seconds)	((uint64_t)(seconds) * NS_PER_S)
#define BEGIN		S(100000)
#define UNIX		1700000000ULL
#define IDLE_LOOKS	5	/* in which a rule drops nothing before it gives way */
#define CALM		10000
#define GAME		"proto udp dport 27015 payload 0 fefd0900"

static struct check check;
static struct traffic traffic;
static struct weir_policy policy;
static struct explain_packet packets[EXPLAIN_PACKETS], calm_packets[CALM];

/* A judge, the rules in force, and what it decided, as the finder carries it out. */
struct bench {
	struct rule_judge *judge;
	struct rule_judge_rules rules;
	struct rule_decisions said;
	struct weir_judgement ring[1024];
	uint32_t judged;
	uint64_t now;
};
static struct bench bench;

static void begin_judge(void)
{
	bench.judge = rule_judge_new();
	rule_judge_set_rules(bench.judge, &bench.rules);
}

static void begin(enum rules_mode mode)
{
	memset(&policy, 0, sizeof(policy));
	rule_judge_free(bench.judge);
	bench = (struct bench){
		.now = BEGIN,
		.rules = { .mode = mode, .every_ns = S(2), .least_pps = 500, .most = 4,
			   .first_ns = S(60), .longest_ns = S(3600), .undo_ns = S(600),
			   .remember_ns = S(86400) },
	};
	begin_judge();
}

/* Does what the finder does with decisions. Returns how many are of @kind. */
static uint32_t carry_out(uint8_t kind)
{
	uint32_t count = 0;
	char err[ERR_LEN];

	for (uint32_t i = 0; i < bench.said.count; i++) {
		const struct rule_decision *d = &bench.said.at[i];
		uint32_t slot = rule_find(&policy, d->spec.name);

		count += d->about.kind == kind;
		bench.ring[bench.judged] = d->about;
		bench.ring[bench.judged].unix_s = UNIX + (bench.now - BEGIN) / NS_PER_S;
		bench.ring[bench.judged].number = bench.judged + 1;
		bench.judged++;
		if (d->about.kind == WEIR_RULE)
			CHECK(&check, rule_set(&policy, &d->spec, err) == 1, "%s", err);
		else if (d->about.kind != WEIR_WOULD_RULE && slot != NO_RULE)
			rule_remove(&policy, slot);
	}
	return count;
}

/* Time passes; what has ended is removed, as the daemon does it. Returns how many are of @kind. */
static uint32_t pass(uint64_t seconds, uint8_t kind)
{
	bench.now += S(seconds);
	bench.said = (struct rule_decisions){ 0 };
	rules_expire(&policy, bench.now);
	rule_judge_watch(bench.judge, &policy, bench.now, &bench.said);
	return carry_out(kind);
}

static struct rule_found found_of(const char *match, bool sure)
{
	struct rule_found found = { .flood = 0.98, .bound = 0.0006, .sure = sure };
	char text[256], err[ERR_LEN];

	snprintf(text, sizeof(text), "found %s", match);
	if (rule_spec_read(text, &found.spec, err) ||
	    !rule_spec_explain(&found.spec, &found.rule))
		CHECK(&check, false, "%s: %s", match, err);
	memset(found.spec.name, 0, sizeof(found.spec.name));
	if (!sure)
		strcpy(found.doubt, "a doubt");
	return found;
}

/* A look in which this rule is found in a flood of @make. Returns how many judgements are @kind. */
static uint32_t look(const char *match, bool sure, struct explain_packet (*make)(struct traffic *t),
		     uint8_t kind)
{
	struct rule_found found = found_of(match, sure);
	struct rule_flood flood = { packets, 1000, 5000, calm_packets, CALM };

	for (size_t i = 0; i < flood.count; i++)
		packets[i] = make(&traffic);
	bench.said = (struct rule_decisions){ 0 };
	rule_judge_consider(bench.judge, &found, 1, &flood, &policy, bench.now, &bench.said);
	return carry_out(kind);
}

static const struct weir_judgement *last(void)
{
	return &bench.ring[bench.judged - 1];
}

static uint32_t rules_in_force(void)
{
	return rules_count(&policy, bench.now).rules;
}

/* ---- when to look ---- */

static bool pressed(uint64_t seconds, uint64_t turned_away, uint64_t lost, uint32_t budgets)
{
	static struct rule_pressure sum = { .lost = 1000000 };

	bench.now += S(seconds);
	sum.now_ns = bench.now;
	sum.turned_away += turned_away;
	sum.lost += lost;
	sum.budgets = budgets;
	return rule_judge_is_pressed(bench.judge, &sum);
}

static void test_pressure(void)
{
	begin(RULES_AUTO);
	CHECK(&check, !pressed(2, 100000, 0, 1), "the first look only takes note");
	CHECK(&check, pressed(2, 1000, 0, 1), "500 a second of a pressed budget");
	CHECK(&check, !pressed(2, 999, 0, 1), "fewer than `least`");
	CHECK(&check, !pressed(2, 100000, 0, 0), "limits of sources alone, no budget");
	CHECK(&check, pressed(2, 0, 1000, 0), "the ring loses 500 a second");
	CHECK(&check, !pressed(2, 0, 999, 0), "the ring loses fewer");
	CHECK(&check, !pressed(2, 0, -5000, 0), "a counter that wrapped");
	begin(RULES_OFF);
	CHECK(&check, !pressed(2, 0, 0, 1) && !pressed(2, 100000, 0, 1), "off");
	check_done(&check, "a flood is a budget under pressure, or a ring that loses packets",
		   "8 looks");
}

/* ---- the life of a rule ---- */

static void test_life(void)
{
	uint64_t ttl = 60;
	uint32_t times = 0;

	begin(RULES_AUTO);
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1, "put");
	CHECK(&check, !strcmp(policy.rule_spec[0].name, "auto-1") &&
	      policy.rule_spec[0].origin == WEIR_BY_DAEMON &&
	      policy.rule_spec[0].spare == WEIR_SPARE_KNOWN &&
	      policy.rule_spec[0].until_ns == BEGIN + S(60), "%s", policy.rule_spec[0].name);
	CHECK(&check, last()->flood_millionths == 980000 && last()->calm_millionths == 600 &&
	      last()->seen_pps == 5000 && !strcmp(last()->text, "auto-1 " GAME), "%s", last()->text);
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE) && !bench.said.count,
	      "it is in force already");
	CHECK(&check, !look(GAME " length 44-400", true, fixed_bytes, WEIR_RULE),
	      "one that drops the same packets");
	while (ttl < 3600) {
		CHECK(&check, !pass(ttl - 1, WEIR_RULE_ENDED), "before its end");
		CHECK(&check, pass(1, WEIR_RULE_ENDED) == 1 && !rules_in_force(), "its end");
		CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1, "again");
		times++;
		ttl = 2 * ttl < 3600 ? 2 * ttl : 3600;
		CHECK(&check, last()->ttl_s == ttl && last()->strikes == times,
		      "%u s, strikes %u", (unsigned int)last()->ttl_s, last()->strikes);
	}
	pass(3600, WEIR_RULE_ENDED);
	bench.now += S(2 * 86400);
	look(GAME, true, fixed_bytes, WEIR_RULE);
	CHECK(&check, last()->ttl_s == 60 && !last()->strikes, "forgotten: %u s",
	      (unsigned int)last()->ttl_s);
	check_done(&check, "a rule lasts twice as long each time, and no longer than `longest`",
		   "%u times, 60 s to 3600 s, 60 s again two days later", times);
}

static void test_modes(void)
{
	begin(RULES_SUGGEST);
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_WOULD_RULE) == 1 && !rules_in_force(),
	      "suggest puts nothing");
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_WOULD_RULE), "told once");
	bench.now += S(61);
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_WOULD_RULE) == 1 && last()->ttl_s == 120,
	      "told again after its time, and then for twice as long");
	begin(RULES_AUTO);
	CHECK(&check, look(GAME, false, fixed_bytes, WEIR_WOULD_RULE) == 1 && !rules_in_force() &&
	      !strcmp(last()->why, "a doubt"), "one that is not sure");
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1, "it became sure");
	bench.rules.mode = RULES_SUGGEST;
	rule_judge_set_rules(bench.judge, &bench.rules);
	CHECK(&check, rule_judge_is_due(bench.judge, &policy, bench.now) &&
	      pass(0, WEIR_RULE_OFF) == 1 && !rules_in_force(), "no longer auto");
	check_done(&check, "what is not sure is told and not put in force", "2 modes");
}

/* ---- undone, withdrawn ---- */

static void test_undone(void)
{
	struct weir_judgement undone = { .kind = WEIR_RULE_UNDONE, .text = "auto-1 " GAME };

	begin(RULES_AUTO);
	look(GAME, true, fixed_bytes, WEIR_RULE);
	rule_remove(&policy, 0);
	bench.now += S(10);
	undone.unix_s = UNIX + 10;
	rule_judge_remember(bench.judge, &undone, UNIX + 10, bench.now);
	CHECK(&check, !pass(0, WEIR_RULE_ENDED) && !bench.said.count, "nothing more is told of it");
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE) && !bench.said.count,
	      "not put again");
	CHECK(&check, !look("proto udp dport 27015 payload 0 fefd", true, fixed_bytes, WEIR_RULE),
	      "nor a wider one");
	CHECK(&check, !look(GAME " length 44-400", true, fixed_bytes, WEIR_RULE),
	      "nor a narrower one");
	CHECK(&check, look("proto udp sport 123 length 468", true, ntp, WEIR_RULE) == 1,
	      "one for another flood");
	pass(598, 0);
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE), "just before `undo` is over");
	pass(2, 0);
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1 && last()->ttl_s == 120,
	      "after that, for twice the time");
	rule_remove(&policy, rule_find(&policy, "auto-3"));
	CHECK(&check, pass(1, WEIR_RULE_UNDONE) == 1, "one that is gone without a word is undone");
	check_done(&check, "what a person removed is not put again, nor what drops the same",
		   "3 rules refused, 1 of another flood put");
}

static void hit(uint64_t source, uint64_t weight, uint32_t times)
{
	struct explain_packet packet = fixed_bytes(&traffic);

	packet.hi = 0;
	packet.lo = source;
	while (times--)
		rule_judge_hit(bench.judge, &packet, weight);
}

static void test_withdrawn(void)
{
	uint64_t barred = 0;
	uint32_t puts = 0;

	begin(RULES_AUTO);
	look(GAME, true, fixed_bytes, WEIR_RULE);
	for (uint32_t i = 0; i < 100000; i++)
		hit(V4(0x0a000000 + i), 64, 1);
	CHECK(&check, !rule_judge_is_due(bench.judge, &policy, bench.now),
	      "spoofed sources that are known by chance");
	hit(V4(0xc6336407), 1, RULE_HITS - 1);
	CHECK(&check, !rule_judge_is_due(bench.judge, &policy, bench.now), "four of one source");
	hit(V4(0xc6336407), 1, 1);
	CHECK(&check, pass(0, WEIR_RULE_WITHDRAWN) == 1 && !rules_in_force(), "the fifth");
	CHECK(&check, last()->prefix.prefixlen == 128 && last()->prefix.addr[12] == 198 &&
	      last()->prefix.addr[15] == 7, "which source it was");

	/* An attacker that forges that source does it again and again, for a day. */
	begin(RULES_AUTO);
	for (uint64_t s = 0; s < 86400; s += 2) {
		uint64_t before = bench.now;

		if (look(GAME, true, fixed_bytes, WEIR_RULE)) {
			puts++;
			hit(V4(0xc6336407), 1, RULE_HITS);
			barred = before;
		}
		pass(2, 0);
	}
	CHECK(&check, puts >= 10 && puts < 25 && barred, "%u times", puts);
	check_done(&check, "a rule that hits one known source again and again is withdrawn",
		   "100000 spoofed sources do not; forged for a day, it is put %u times", puts);
}

/* ---- attackers ---- */

/* Each look another flood, as one would send it that wants the daemon to flap. */
static void test_flapping(void)
{
	uint32_t most = 0, puts = 0, counts = 0;
	struct weir_rule_count counted[WEIR_RULES] = { { 0 } };

	begin(RULES_AUTO);
	look(GAME, true, fixed_bytes, WEIR_RULE);
	rule_remove(&policy, 0);
	pass(0, 0);
	CHECK(&check, bench.ring[1].kind == WEIR_RULE_UNDONE, "undone");
	for (uint32_t i = 0; i < 250; i++) {
		char match[64];

		snprintf(match, sizeof(match), "proto udp dport 27015 length %u", 100 + i);
		puts += look(match, true, ntp, WEIR_RULE);
		counts = rules_in_force();
		most = counts > most ? counts : most;
		pass(2, 0);
		rule_judge_count(bench.judge, &policy, counted, bench.now);
	}
	CHECK(&check, most == bench.rules.most, "%u at a time", most);
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE),
	      "what a person removed is not forgotten over that");
	CHECK(&check, puts <= 250 / IDLE_LOOKS * bench.rules.most + 4, "%u rules put", puts);
	check_done(&check, "a flood that changes in each look takes no more than `most` places",
		   "250 floods, %u rules put, at most %u at a time", puts, most);
}

/* Rules that match five calm packets in 10,000 each, one after another. */
static void test_together(void)
{
	char match[64];

	begin(RULES_AUTO);
	for (uint32_t i = 0; i < CALM; i++)
		calm_packets[i] = packet_of(V4(1), 17, 4000, i < 15 ? 1000 + i / 5 : 27015, 100, 60);
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(match, sizeof(match), "proto udp dport %u length 100", 1000 + i);
		CHECK(&check, look(match, true, ntp, i < 2 ? WEIR_RULE : WEIR_WOULD_RULE) == 1,
		      "rule %u", i + 1);
	}
	CHECK(&check, strstr(last()->why, "rules in force"), "%s", last()->why);
	CHECK(&check, look("proto udp sport 123 length 468", true, ntp, WEIR_RULE) == 1,
	      "one that matches no calm packet");
	memset(calm_packets, 0, sizeof(calm_packets));
	check_done(&check, "all rules together match at most 0.1 % of calm packets",
		   "2 of 3 rules with 5 of %u packets each are put", CALM);
}

static void test_room(void)
{
	struct weir_rule_spec spec = found_of("proto udp dport 9 length 99", true).spec;
	uint32_t operators = WEIR_RULES - RULE_ROOM;
	char err[ERR_LEN];

	begin(RULES_AUTO);
	for (uint32_t i = 0; i < operators; i++) {
		snprintf(spec.name, sizeof(spec.name), "auto-%u", i + 1);
		rule_set(&policy, &spec, err);
	}
	rule_judge_adopt(bench.judge, &policy, bench.now);
	CHECK(&check, !rule_judge_has_rules(bench.judge), "an operator's rule, whatever its name");
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE) && bench.said.put_off == 1,
	      "48 places are taken");
	rule_remove(&policy, 5);
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1, "47 are");
	CHECK(&check, rule_find(&policy, "auto-6") == 5 || rule_find(&policy, "auto-49") == 5,
	      "no name of the operator's");
	CHECK(&check, pass(61, WEIR_RULE_ENDED) == 1 && rules_in_force() == operators - 1,
	      "%u rules of the operator are left", rules_in_force());
	check_done(&check, "the last places are left to the operator, and so are rules of its name",
		   "%u rules of the operator", operators);
}

/* ---- restarts ---- */

static void test_restart(void)
{
	begin(RULES_AUTO);
	look(GAME, true, fixed_bytes, WEIR_RULE);
	pass(60, WEIR_RULE_ENDED);
	look(GAME, true, fixed_bytes, WEIR_RULE);	/* for 120 s */
	look("proto udp sport 123 length 468", true, ntp, WEIR_RULE);	/* for 60 s */
	rule_judge_free(bench.judge);
	begin_judge();
	bench.now += S(70);
	rules_expire(&policy, bench.now);
	for (uint32_t i = 0; i < bench.judged; i++)
		rule_judge_remember(bench.judge, &bench.ring[i], UNIX + (bench.now - BEGIN) / NS_PER_S,
				    bench.now);
	rule_judge_adopt(bench.judge, &policy, bench.now);
	bench.said = (struct rule_decisions){ 0 };
	rule_judge_settle(bench.judge, bench.now, &bench.said);
	CHECK(&check, carry_out(WEIR_RULE_ENDED) == 1 && bench.said.count == 1 &&
	      strstr(last()->text, "sport 123"), "what ended meanwhile");
	CHECK(&check, rule_judge_has_rules(bench.judge) &&
	      !look(GAME, true, fixed_bytes, WEIR_RULE), "its own rule is known, and not doubled");
	CHECK(&check, pass(50, WEIR_RULE_ENDED) == 1 && last()->ttl_s == 120, "its end");
	CHECK(&check, look(GAME, true, fixed_bytes, WEIR_RULE) == 1 && last()->ttl_s == 240 &&
	      last()->strikes == 2, "%u s", (unsigned int)last()->ttl_s);
	CHECK(&check, !strcmp(policy.rule_spec[0].name, "auto-4"), "a new name: %s",
	      policy.rule_spec[0].name);
	rule_judge_free(bench.judge);
	begin_judge();
	rule_judge_adopt(bench.judge, &policy, bench.now);
	CHECK(&check, !look(GAME, true, fixed_bytes, WEIR_RULE) && pass(240, WEIR_RULE_ENDED) == 1,
	      "known by name and origin alone");
	check_done(&check, "after a restart the judge knows its rules, strikes and ends",
		   "%u judgements remembered", bench.judged);
}

static void test_take_back(void)
{
	struct rule_found found = found_of(GAME, true);
	struct rule_flood flood = { packets, 0, 1, calm_packets, CALM };

	begin(RULES_AUTO);
	rule_judge_consider(bench.judge, &found, 1, &flood, &policy, bench.now, &bench.said);
	rule_judge_take_back(bench.judge, &bench.said);
	CHECK(&check, !rule_judge_has_rules(bench.judge) && look(GAME, true, fixed_bytes, WEIR_RULE) == 1 &&
	      last()->ttl_s == 60, "a put that failed");
	hit(V4(0xc6336407), 1, RULE_HITS);
	bench.said = (struct rule_decisions){ 0 };
	rule_judge_watch(bench.judge, &policy, bench.now, &bench.said);
	rule_judge_take_back(bench.judge, &bench.said);
	CHECK(&check, pass(0, WEIR_RULE_WITHDRAWN) == 1, "a withdrawal that failed");
	check_done(&check, "what could not be carried out is decided again", "2 decisions");
}

/* ---- poisoned calm samples ---- */

static struct calm *calm;
static struct explain_against against;

/* What becomes of a flood with the same four bytes if @poison of 10,000 calm packets are like it. */
static uint8_t fate_of_poisoned(struct explain *explain, uint32_t poison, enum calm_kind kind,
				double *bound)
{
	struct explain_result result;
	struct explain_proposal proposal;
	uint32_t put = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		bool bad = i * poison / 10000 != (i + 1) * poison / 10000;

		calm->sample[CALM_KNOWN].packet[i] = game(&traffic);
		calm->sample[CALM_STRANGERS].packet[i] = game(&traffic);
		if (bad) {
			calm->sample[kind].packet[i] = fixed_bytes(&traffic);
			put++;
		}
		packets[i] = fixed_bytes(&traffic);
	}
	calm->sample[CALM_KNOWN].count = calm->sample[CALM_STRANGERS].count = 10000;
	CHECK(&check, put == poison, "%u poisoned", put);
	explain_take_against(calm, &against);
	explain_find(explain, against.packet, against.count, packets, 10000,
		     &(struct explain_options){ 0 }, &result);
	if (!result.count)
		return 0;
	explain_propose(&result.verdict[0], calm, &against, &proposal);
	*bound = result.verdict[0].bound;
	begin(RULES_AUTO);
	look(proposal.match, proposal.sure, fixed_bytes, WEIR_RULE);
	return bench.judged ? last()->kind : 0;
}

static void test_poisoned(void)
{
	struct explain *explain = explain_new();
	const struct hash_seed none = { { 0 } };
	double bound = 0, of_two = 0;
	uint8_t clean, two, hundred, stranger;

	calm = calm_new(&none, 0);
	if (!explain || !calm)
		exit(EXIT_FAILURE);
	traffic_begin(&traffic, 34, PEOPLE);
	clean = fate_of_poisoned(explain, 0, CALM_KNOWN, &bound);
	two = fate_of_poisoned(explain, 2, CALM_KNOWN, &of_two);
	hundred = fate_of_poisoned(explain, 100, CALM_KNOWN, &bound);
	stranger = fate_of_poisoned(explain, 2, CALM_STRANGERS, &bound);
	CHECK(&check, clean == WEIR_RULE, "clean: %u", clean);
	CHECK(&check, (two == WEIR_RULE && of_two <= EXPLAIN_CALM_MOST) || two == WEIR_WOULD_RULE,
	      "0.02 %%: %u, bound %g", two, of_two);
	CHECK(&check, !hundred, "1 %%: %u", hundred);
	CHECK(&check, stranger == WEIR_WOULD_RULE, "0.02 %% of strangers: %u", stranger);
	check_done(&check, "a poisoned calm sample keeps rules from being put, and puts none",
		   "clean: put; 0.02 %% of known sources' packets: %s; 1 %%: none; 0.02 %% of "
		   "strangers': told", two == WEIR_RULE ? "put" : "told");
	calm_free(calm);
	explain_free(explain);
}

int main(void)
{
	traffic_begin(&traffic, check_seed(), PEOPLE);
	test_pressure();
	test_life();
	test_modes();
	test_undone();
	test_withdrawn();
	test_flapping();
	test_together();
	test_room();
	test_restart();
	test_take_back();
	test_poisoned();
	rule_judge_free(bench.judge);
	return check_exit(&check);
}
