// SPDX-License-Identifier: GPL-2.0-only
/* weir check: the data path's decision for one packet, made here from the same maps. */
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/pure/bucket.h"
#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/state/block_set.h"
#include "user/state/budgets.h"
#include "user/state/known.h"
#include "user/state/lists.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

struct question {
	struct prefix address, to;	/* to: where the packet goes, if that was said */
	struct packet_kind kind;
	bool given, proto;	/* the address, the protocol */
	bool known;		/* the source is a known one */
};

struct answer {
	enum weir_reason reason;
	char rule[256];		/* what decides, as a person would say it */
};

static int set_address(void *into, const char *value, char *err)
{
	struct question *q = into;

	q->given = true;
	return parse_address(value, &q->address, err);
}

static int set_to(void *into, const char *value, char *err)
{
	struct question *q = into;

	return parse_address(value, &q->to, err);
}

static int set_proto(void *into, const char *value, char *err)
{
	struct question *q = into;
	bool any;

	if (parse_proto(value, &q->kind.proto, &any, err))
		return -EINVAL;
	q->proto = true;
	return any ? fail(err, EINVAL, "proto any: a packet has one protocol") : 0;
}

static int set_what(void *into, const char *word, char *err)
{
	struct question *q = into;

	if (q->kind.what != WEIR_ANY_PACKET)
		return fail(err, EINVAL, "\"%s\": one of syn and fragment", word);
	q->kind.what = !strcmp(word, "syn") ? WEIR_SYN : WEIR_FRAGMENT;
	return 0;
}

static int set_dport(void *into, const char *value, char *err)
{
	struct question *q = into;
	uint16_t last;

	if (parse_ports(value, &q->kind.dport, &last, err))
		return -EINVAL;
	return last == q->kind.dport ? 0 : fail(err, EINVAL, "dport \"%s\": a packet has one port",
						value);
}

static int parse_question(struct words words, struct question *q, char *err)
{
	static const struct word table[] = {
		{ "proto", "a protocol", set_proto },
		{ "syn", NULL, set_what },
		{ "fragment", NULL, set_what },
		{ "dport", "a port", set_dport },
		{ "to", "an address", set_to },
		{ "", NULL, set_address },
		{ 0 },
	};
	int rc;

	*q = (struct question){ 0 };
	rc = take_words(&words, table, q, err);
	if (rc)
		return rc;
	if (!q->given)
		return fail(err, EINVAL, "check needs an address");
	if (!q->proto)	/* what most servers serve */
		q->kind.proto = IPPROTO_TCP;
	if (q->kind.what == WEIR_SYN && q->kind.proto != IPPROTO_TCP)
		return fail(err, EINVAL, "syn: only TCP has connections to open");
	if (q->kind.what == WEIR_FRAGMENT && q->kind.dport)
		return fail(err, EINVAL, "fragment: a later fragment carries no port");
	if (q->kind.dport && q->kind.proto != IPPROTO_TCP && q->kind.proto != IPPROTO_UDP)
		return fail(err, EINVAL, "dport: only tcp and udp have ports here");
	return 0;
}

static bool check_block_entries(const struct entries *block, const struct question *q,
				struct answer *answer)
{
	const struct entry *last = NULL;
	char text[PREFIX_STRLEN];
	uint64_t now = now_ns();

	for (size_t i = 0; i < block->count; i++) {
		const struct entry *entry = &block->at[i];

		if (!prefix_covers(&entry->prefix, &q->address) ||
		    (entry->value.until_ns && entry->value.until_ns <= now) ||
		    (entry->value.spare_known && q->known))
			continue;
		if (!last || !entry->value.until_ns ||
		    (last->value.until_ns && entry->value.until_ns > last->value.until_ns))
			last = entry;
	}
	if (!last)
		return false;
	prefix_format(&last->prefix, text);
	answer->reason = last->value.until_ns ? WEIR_DROP_BAN : WEIR_DROP_BLOCK;
	if (last->value.until_ns)
		snprintf(answer->rule, sizeof(answer->rule), "block %s, for %llu s more%s%s", text,
			 (unsigned long long)((last->value.until_ns - now) / 1000000000ULL),
			 *last->value.comment ? ": " : "", last->value.comment);
	else
		snprintf(answer->rule, sizeof(answer->rule), "block %s%s%s", text,
			 *last->value.comment ? ": " : "", last->value.comment);
	return true;
}

/* As check_limits() of the data path would judge a packet of no size, charging nothing. */
static enum weir_reason judge(const struct maps *maps, const struct weir_limit *limit,
			      const struct question *q)
{
	struct weir_bucket_key key = { .hi = q->address.hi, .lo = q->address.lo,
				       .serial = limit->serial };
	struct weir_gate_line line = { 0 };
	struct weir_bucket bucket = { 0 };
	struct gate_place place;
	uint64_t now = now_ns() << WEIR_TICK_SHIFT, bound, debt, least;

	if (prefix_is_v4(&q->address))
		key.lo &= ~(0xffffffffULL >> (limit->v4_bits & 31)) | (limit->v4_bits > 31 ? ~0ULL : 0);
	else
		weir_mask(&key.hi, &key.lo, limit->v6_bits);
	place = gate_place(&key, maps->meta.seed);
	maps_read_gate(maps, place.line, &line);
	bound = line.tat[place.a] < line.tat[place.b] ? line.tat[place.a] : line.tat[place.b];
	if (bound < limit->floor)
		bound = limit->floor;
	bound = bound > now ? bound - now : 0;
	if (bound + limit->cost <= limit->half)
		return WEIR_PASS_LIMIT;

	least = gate_least(bound, limit->half, limit->floor, now);
	if (maps_read_bucket(maps, &key, &bucket))
		bucket = (struct weir_bucket){ .cost = limit->cost, .byte_cost = limit->byte_cost };
	debt = bucket.tat > now ? debt_rescale(bucket.tat - now, bucket.cost, limit->cost) : 0;
	if (limit->cost && (debt > least ? debt : least) + limit->cost > limit->burst)
		return WEIR_DROP_RATE;
	debt = bucket.byte_tat > now ?
		       debt_rescale(bucket.byte_tat - now, bucket.byte_cost, limit->byte_cost) : 0;
	if (limit->byte_cost && (debt > least ? debt : least) > limit->byte_burst)
		return WEIR_DROP_RATE;
	return WEIR_PASS_LIMIT;
}

static void check_limit(const struct maps *maps, const struct weir_policy *policy,
			const struct question *q, struct answer *answer)
{
	uint32_t index = policy_lookup(policy, &q->address, &q->kind);

	if (!index) {
		answer->reason = WEIR_CONTINUE;
		snprintf(answer->rule, sizeof(answer->rule), "no limit is set for it");
		return;
	}
	answer->reason = judge(maps, &policy->limit[index], q);
	snprintf(answer->rule, sizeof(answer->rule), "limit ");
	format_limit(&policy->spec[index], &policy->limit[index], answer->rule + 6,
		     sizeof(answer->rule) - 6);
}

/* As check_syn() of the data path. True: it is decided. */
static bool check_cookies(const struct weir_policy *policy, const struct question *q, bool pressed,
			  struct answer *answer)
{
	const struct weir_syn_rule *rule = &policy->syn_rule[policy->syn_rule_of[q->kind.dport]];
	char words[128];

	if (!rule->used || q->kind.what != WEIR_SYN || (!rule->always && (!pressed || q->known)) ||
	    (q->to.hi & rule->mask_hi) != rule->hi || (q->to.lo & rule->mask_lo) != rule->lo)
		return false;
	format_syn(rule, words, sizeof(words));
	answer->reason = WEIR_TX_COOKIE;
	snprintf(answer->rule, sizeof(answer->rule), "syn protect %s", words);
	return true;
}

/*
 * As spend_budget() of the data path. Of a newcomer under pressure it cannot be
 * said what luck and its network's share will do: here it passes while there is room.
 */
static void check_budget(const struct maps *maps, const struct weir_policy *policy,
			 const struct question *q, struct answer *answer)
{
	uint32_t index = budget_lookup(policy, &q->to, &q->kind);
	const char *name = policy->budget_spec[index].name;
	struct weir_budget_state state = { 0 };
	struct weir_spending spending;
	bool pressed;
	double used;

	if (index && maps_read_budget(maps, index, &state, &spending))
		return;
	pressed = index && budget_is_pressed(&state);
	if (check_cookies(policy, q, pressed, answer) || !pressed)
		return;
	used = budget_used(&policy->budget[index], &state);
	if (q->known) {
		answer->reason = used < 1 ? WEIR_PASS_KNOWN : WEIR_DROP_BUDGET;
		snprintf(answer->rule, sizeof(answer->rule), "budget %s is used up; the source is "
			 "known and goes first", name);
	} else {
		answer->reason = used < 0.5 ? WEIR_PASS_NEWCOMER : WEIR_DROP_SHED;
		snprintf(answer->rule, sizeof(answer->rule), "budget %s is used up; the source is "
			 "not known, and its network has a share of what is left", name);
	}
}

static void decide(const struct maps *maps, const struct settings *settings,
		   const struct question *q, struct answer *answer)
{
	char text[PREFIX_STRLEN], list[WEIR_NAME_LEN];
	const struct entry *entry = entries_cover(&settings->allow, &q->address, 0);

	if (entry) {
		prefix_format(&entry->prefix, text);
		answer->reason = WEIR_PASS_ALLOW;
		snprintf(answer->rule, sizeof(answer->rule), "allow %s", text);
		return;
	}
	if (check_block_entries(&settings->block, q, answer))
		return;
	if (block_set_has(maps, &q->address) > 0) {
		answer->reason = WEIR_DROP_LIST;
		snprintf(answer->rule, sizeof(answer->rule), "list %s",
			 list_that_covers(&q->address, list) ? list : "?");
		return;
	}
	check_limit(maps, settings->policy, q, answer);
	if (!strcmp(reason_action(answer->reason), "pass"))
		check_budget(maps, settings->policy, q, answer);
}

static int ask_known(const struct maps *maps, struct question *q, char *err)
{
	struct known known;
	int rc = known_open(maps, &known, err);

	if (rc)
		return rc;
	q->known = known_has(&known, &q->address);
	known_close(&known);
	return 0;
}

enum outcome cmd_check(const struct call *call)
{
	char address[PREFIX_STRLEN], err[ERR_LEN], text[512];
	struct answer answer = { 0 };
	struct settings settings;
	struct question question;
	struct maps maps;

	if (parse_question(call->words, &question, err))
		return usage(call, "%s", err);
	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	if (ask_known(&maps, &question, err) || maps_read_settings(&maps, &settings, err)) {
		maps_close(&maps);
		return failed(call, "%s", err);
	}
	decide(&maps, &settings, &question, &answer);
	settings_free(&settings);
	maps_close(&maps);
	prefix_format_short(&question.address, address);
	snprintf(text, sizeof(text), "%s: %s, %s (%s)", address, reason_action(answer.reason),
		 reason_name(answer.reason), answer.rule);
	if (!call->json)
		print_wrapped(stdout, text, 0, 0);
	return print_json(call, json_pack("{s:s, s:s, s:s, s:s}", "address", address, "action",
					  reason_action(answer.reason), "reason",
					  reason_name(answer.reason), "rule", answer.rule));
}
