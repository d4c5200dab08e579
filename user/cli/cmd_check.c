// SPDX-License-Identifier: GPL-2.0-only
/* weir check: what the data path would decide for a packet now, and by which rule. */
#include <errno.h>
#include <jansson.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>

#include "bpf/pure/class.h"
#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/host/tcp.h"
#include "user/model/drop_words.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/icmp_types.h"
#include "user/model/parse.h"
#include "user/model/policy.h"
#include "user/model/probe.h"
#include "user/model/reasons.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/model/tiers.h"
#include "user/state/cookie_clock.h"
#include "user/state/device.h"
#include "user/state/known.h"
#include "user/state/lists.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"
#include "user/state/verdict.h"

struct question {
	struct prefix address, to;	/* to: where the packet goes, if that was said */
	struct packet_kind kind;
	bool given, proto, destination;	/* the address, the protocol, to */
	const char *dport, *sport, *icmp_type;	/* as given; NULL: it was not */
	struct icmp_types types;	/* of icmp_type */
	struct probe_details details;
	enum weir_tier tier;	/* of the source, as far as the table of known sources tells it */
};

/* What the rules are that a reason comes from. */
struct context {
	const struct maps *maps;
	const struct settings *settings;
	const struct question *q;
	uint32_t limit, budget;		/* indices; 0: none */
	const struct weir_syn_rule *cookies;	/* in force for this service; NULL: none */
	uint32_t dns;			/* the index of its DNS rule; 0: none */
	uint32_t drop;			/* the drop rule, where the verdict names that reason */
};

#define RULE_LEN	640	/* what decides, in words */

static int set_address(void *into, const char *value, char *err)
{
	struct question *q = into;

	q->given = true;
	return parse_address(value, &q->address, err);
}

static int set_to(void *into, const char *value, char *err)
{
	struct question *q = into;

	q->destination = true;
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

/* A port once the protocol is known: the name of a service depends on it. */
static int parse_port(const char *word, const char *given, uint8_t proto, uint16_t *port, char *err)
{
	uint16_t last;

	if (!given)
		return 0;
	if (parse_ports(word, given, proto, port, &last, err))
		return -EINVAL;
	return last == *port ? 0 : fail(err, EINVAL, "%s \"%.40s\": a packet has one such port", word,
					given);
}

static int set_length(void *into, const char *value, char *err)
{
	struct question *q = into;
	uint16_t last;

	if (parse_range(value, "length", 20, PROBE_MTU, &q->details.length, &last, err))
		return -EINVAL;
	return last == q->details.length ? 0 : fail(err, EINVAL, "length \"%s\": a packet has one "
						    "length", value);
}

static int set_ip_ttl(void *into, const char *value, char *err)
{
	struct question *q = into;
	uint64_t ttl;

	q->details.has_ttl = true;
	if (parse_number(value, "ip-ttl", 0, 255, &ttl, err))
		return -EINVAL;
	q->details.ttl = ttl;
	return 0;
}

static int set_flags(void *into, const char *value, char *err)
{
	struct question *q = into;

	q->details.has_flags = true;
	return parse_tcp_flags(value, strlen(value), &q->details.flags, err);
}

static int set_icmp_type(void *into, const char *value, char *err)
{
	struct question *q = into;

	q->icmp_type = value;
	return icmp_types_parse(value, &q->types, err);
}

static int set_payload(void *into, const char *value, char *err)
{
	struct question *q = into;
	size_t digits = strlen(value);

	if (!digits || digits % 2 || digits > 2 * sizeof(q->details.payload) ||
	    value[strspn(value, "0123456789abcdefABCDEF")])
		return fail(err, EINVAL, "payload \"%.40s\": the first bytes as hexadecimal digits, two "
			    "each, at most %zu bytes", value, sizeof(q->details.payload));
	for (size_t i = 0; i < digits; i += 2)
		if (sscanf(value + i, "%2hhx", &q->details.payload[i / 2]) != 1)
			return -EINVAL;
	q->details.payload_len = digits / 2;
	return 0;
}

/* The type of an ICMP message, in the family of its address. */
static int find_icmp_type(struct question *q, char *err)
{
	bool ipv4 = prefix_is_v4(&q->address);
	struct icmp_types types = { ICMP_ECHO + 1, ICMP6_ECHO_REQUEST + 1 };
	uint16_t type;

	if (q->icmp_type)
		types = q->types;
	type = ipv4 ? types.v4 : types.v6;
	if (!type)
		return fail(err, EINVAL, "icmp-type %.40s: %s has no such message", q->icmp_type,
			    ipv4 ? "IPv4" : "IPv6");
	q->details.has_type = q->icmp_type != NULL;
	q->details.icmp_type = type - 1;
	if (q->kind.proto == IPPROTO_ICMP && q->kind.what != WEIR_FRAGMENT)
		*(ipv4 ? &q->kind.icmp4 : &q->kind.icmp6) = type;
	return 0;
}

/* What the packet cannot have. */
static int check_details(struct question *q, char *err)
{
	const struct probe_details *details = &q->details;
	uint32_t least = probe_least(&q->address, &q->kind, details);

	if (q->kind.what == WEIR_FRAGMENT &&
	    (details->has_flags || details->has_type || details->payload_len))
		return fail(err, EINVAL, "fragment: a later fragment carries no flags, ICMP type or "
			    "payload of its own");
	if (details->has_flags && (q->kind.proto != IPPROTO_TCP || q->kind.what == WEIR_SYN))
		return fail(err, EINVAL, "flags: only tcp has them, and `syn` says them already");
	if (details->has_type && q->kind.proto != IPPROTO_ICMP)
		return fail(err, EINVAL, "icmp-type: only icmp has it");
	if (details->length && details->length < least)
		return fail(err, EINVAL, "length %u: with its headers and payload such a packet has at "
			    "least %u bytes", details->length, least);
	if (details->has_flags && (details->flags & (TH_SYN | TH_ACK)) == TH_SYN)
		q->kind.what = WEIR_SYN;
	return 0;
}

static int parse_question(struct words words, struct question *q, char *err)
{
	static const struct word table[] = {
		{ "proto", "a protocol", set_proto },
		{ "syn", NULL, set_what },
		{ "fragment", NULL, set_what },
		WORD_TEXT("dport", "a port", struct question, dport),
		WORD_TEXT("sport", "a port", struct question, sport),
		{ "to", "an address", set_to },
		{ "length", "the length of the IP packet", set_length },
		{ "ip-ttl", "the TTL of the packet", set_ip_ttl },
		{ "flags", "TCP flags such as syn,ack", set_flags },
		{ "icmp-type", "a type", set_icmp_type },
		{ "payload", "hexadecimal digits", set_payload },
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
		q->kind.proto = q->icmp_type ? IPPROTO_ICMP : IPPROTO_TCP;
	if (parse_port("dport", q->dport, q->kind.proto, &q->kind.dport, err) ||
	    parse_port("sport", q->sport, q->kind.proto, &q->kind.sport, err))
		return -EINVAL;
	if (q->kind.what == WEIR_SYN && q->kind.proto != IPPROTO_TCP)
		return fail(err, EINVAL, "syn: only TCP has connections to open");
	if (q->kind.what == WEIR_FRAGMENT && (q->kind.dport || q->kind.sport))
		return fail(err, EINVAL, "fragment: a later fragment carries no port");
	if ((q->kind.dport || q->kind.sport) && q->kind.proto != IPPROTO_TCP &&
	    q->kind.proto != IPPROTO_UDP)
		return fail(err, EINVAL, "%s: only tcp and udp have ports here",
			    q->kind.dport ? "dport" : "sport");
	if (!q->destination && prefix_is_v4(&q->address))
		q->to = prefix_v4(0, 32);	/* of no rule but those for all of IPv4 */
	if (prefix_is_v4(&q->address) != prefix_is_v4(&q->to))
		return fail(err, EINVAL, "to: both addresses must be IPv4, or both IPv6");
	return find_icmp_type(q, err) ? -EINVAL : check_details(q, err);
}

/* ---- asking ---- */

/* Whether a device that weir is on is in this network namespace: then its sockets are ours. */
static bool sockets_are_here(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (device_read(maps, slot, &device) && device.netns == own_netns())
			return true;
	return false;
}

/* A socket bound to an address is found only where that was said. */
static bool is_any_socket(const struct maps *maps, const struct question *q)
{
	static const uint8_t any[16];

	if (q->kind.proto != IPPROTO_TCP || !sockets_are_here(maps))
		return true;
	return !q->destination &&
	       tcp_state(!prefix_is_v4(&q->address), any, 0, any, htons(q->kind.dport)) !=
		       TCP_LISTEN;
}

/* A datagram to a DNS service is a query: what else goes there is rare, and not answered. */
static int ask(struct context *context, struct verdict *verdict, char *err)
{
	const struct question *q = context->q;
	struct verdict_question question = {
		.cpu = -1,
		.any_connection = q->kind.what != WEIR_SYN,
		.any_socket = is_any_socket(context->maps, q),
		.any_cookie = true,
		.any_sequence = true,
	};
	struct cookie_clock clock;
	uint8_t frame[PROBE_ROOM];
	struct copies copies;
	int rc;

	question.any_clock = q->kind.what == WEIR_SYN && cookie_clock_read(&clock);
	question.frame = frame;
	question.size = context->dns && !q->details.payload_len ?
				probe_query(frame, &q->address, &q->to, &q->kind) :
				probe_detailed(frame, &q->address, &q->to, &q->kind, &q->details);
	copies_open(&copies, context->maps);
	rc = verdict_of(&copies, &question, verdict, err);
	copies_close(&copies);
	context->drop = verdict->rule;
	return rc;
}

/* ---- the rule, in words ---- */

/* Of the entries that hold the source the one that does so for longest. */
static void describe_block(const struct context *context, char rule[RULE_LEN])
{
	const struct entries *block = &context->settings->block;
	const struct entry *last = NULL;
	char text[PREFIX_STRLEN], duration[FORMAT_LEN], left[FORMAT_LEN + 16] = "";
	uint64_t now = now_ns();

	for (size_t i = 0; i < block->count; i++) {
		const struct entry *entry = &block->at[i];

		if (!prefix_covers(&entry->prefix, &context->q->address) ||
		    (entry->value.until_ns && entry->value.until_ns <= now) ||
		    (entry->value.until_ns && entry->value.spare_known && context->q->tier >= WEIR_SEEN))
			continue;
		if (!last || !entry->value.until_ns ||
		    (last->value.until_ns && entry->value.until_ns > last->value.until_ns))
			last = entry;
	}
	if (!last)
		return;
	prefix_format(&last->prefix, text);
	if (last->value.until_ns) {
		format_left(seconds_until(last->value.until_ns, now), duration);
		snprintf(left, sizeof(left), ", for %s more", duration);
	}
	snprintf(rule, RULE_LEN, "block %s%s%s%s", text, left, *last->value.comment ? ": " : "",
		 last->value.comment);
}

static void describe_allow(const struct context *context, char rule[RULE_LEN])
{
	const struct entries *allow = &context->settings->allow;
	const struct entry *entry = entries_cover(allow, &context->q->address, 0);
	char text[PREFIX_STRLEN] = "?";

	if (entry)
		prefix_format(&entry->prefix, text);
	snprintf(rule, RULE_LEN, "allow %s", text);
}

static void describe_list(const struct context *context, char rule[RULE_LEN])
{
	char list[WEIR_NAME_LEN];

	snprintf(rule, RULE_LEN, "list %s",
		 list_that_covers(&context->q->address, list) ? list : "?");
}

static void describe_limit(const struct context *context, char rule[RULE_LEN])
{
	const struct weir_policy *policy = context->settings->policy;
	char words[RULE_LEN - sizeof("limit ")];

	format_limit(&policy->spec[context->limit], &policy->limit[context->limit], words,
		     sizeof(words));
	snprintf(rule, RULE_LEN, "limit %s", words);
}

static const char *tier_word(enum weir_tier tier)
{
	return tier < WEIR_SEEN ? "newcomer" : tier_name(tier);
}

static void describe_tier(enum weir_tier tier, char rule[RULE_LEN])
{
	static const char *const effects[WEIR_TIERS] = {
		[WEIR_FIRST_SEEN] = "comes after all known sources, within the share of its network",
		[WEIR_RETURNING] = "comes after all known sources, within the share of its network",
		[WEIR_SEEN] = "comes before newcomers and after proven sources",
		[WEIR_PROVEN] = "comes before sources without proof",
		[WEIR_LONG] = "comes first",
	};

	snprintf(rule, RULE_LEN, "a source of the tier %s %s", tier_word(tier), effects[tier]);
}

/* What that means, the line behind the answer says. */
static void describe_budget(const struct context *context, char rule[RULE_LEN])
{
	snprintf(rule, RULE_LEN, "budget %s is used up; the source %s",
		 context->settings->policy->budget_spec[context->budget].name,
		 tier_meaning(context->q->tier));
}

static void describe_cookies(const struct context *context, const char *effect, char rule[RULE_LEN])
{
	char words[128] = "?";

	if (context->cookies)
		format_syn(context->cookies, words, sizeof(words));
	snprintf(rule, RULE_LEN, "syn protect %s%s", words, effect);
}

static void describe_dns(const struct context *context, const char *effect, char rule[RULE_LEN])
{
	char words[128] = "?";

	if (context->dns)
		format_dns(&context->settings->policy->dns_rule[context->dns], words, sizeof(words));
	snprintf(rule, RULE_LEN, "dns protect %s: a query, %s", words, effect);
}

static void describe_drop(const struct context *context, char rule[RULE_LEN])
{
	const struct weir_rule_spec *spec =
		&context->settings->policy->rule_spec[context->drop % WEIR_RULES];
	char match[RULE_TEXT];

	format_rule_match(spec, match);
	snprintf(rule, RULE_LEN, "drop %s: %.200s", spec->name, match);
}

static void describe(const struct context *context, enum weir_reason reason, char rule[RULE_LEN])
{
	*rule = '\0';
	switch (reason) {
	case WEIR_CONTINUE:
		snprintf(rule, RULE_LEN, "no limit is set for it");
		break;
	case WEIR_PASS_ALLOW:
		describe_allow(context, rule);
		break;
	case WEIR_DROP_BLOCK:
	case WEIR_DROP_BAN:
		describe_block(context, rule);
		break;
	case WEIR_DROP_RULE:
		describe_drop(context, rule);
		break;
	case WEIR_DROP_LIST:
		describe_list(context, rule);
		break;
	case WEIR_PASS_LIMIT:
	case WEIR_DROP_RATE:
	case WEIR_DROP_CONTENDED:
	case WEIR_DROP_TABLE_FULL:
		describe_limit(context, rule);
		break;
	case WEIR_PASS_NEWCOMER:
		if (!context->cookies || context->q->kind.what != WEIR_SYN)
			describe_budget(context, rule);
		else
			describe_cookies(context, ": its listener must send a cookie itself",
					 rule);
		break;
	case WEIR_PASS_KNOWN:
	case WEIR_DROP_SHED:
	case WEIR_DROP_SHARE:
	case WEIR_DROP_BUDGET:
		describe_budget(context, rule);
		break;
	case WEIR_DROP_COOKIES:
		describe_cookies(context, ": the source had all its answers", rule);
		break;
	case WEIR_DROP_FIRST_SYN:
	case WEIR_DROP_FIRST_ACK:
		describe_cookies(context, ": the cores are short of time", rule);
		break;
	case WEIR_DROP_STRAY_ACK:
		describe_cookies(context, ": it belongs to no connection", rule);
		break;
	case WEIR_TX_COOKIE:
	case WEIR_PASS_COOKIE:
	case WEIR_DROP_NO_ANSWER:
		describe_cookies(context, "", rule);
		break;
	case WEIR_TX_DNS:
		describe_dns(context, "whose source is not proven", rule);
		break;
	case WEIR_DROP_DNS:
		describe_dns(context, "for which its source, or the core, has no answer left", rule);
		break;
	default:
		snprintf(rule, RULE_LEN, "the packet itself");
	}
}

/* A rule that answers only under pressure is none without it. */
static void find_cookies(struct context *context)
{
	const struct weir_policy *policy = context->settings->policy;
	const struct question *q = context->q;
	struct packet_kind syn = { IPPROTO_TCP, WEIR_SYN, q->kind.dport, q->kind.sport };
	uint32_t budget = budget_lookup(policy, &q->to, &syn);
	struct weir_budget_state state;
	struct weir_spending spending;

	if (q->kind.proto != IPPROTO_TCP)
		return;
	context->cookies = syn_rule(policy, q->to.hi, q->to.lo, q->kind.dport);
	if (!context->cookies || context->cookies->always)
		return;
	if (!budget || maps_read_budget(context->maps, budget, &state, &spending) ||
	    !is_pressed_for_syn(&state, now_ns()))
		context->cookies = NULL;
}

static void find_rules(struct context *context)
{
	const struct weir_policy *policy = context->settings->policy;
	const struct question *q = context->q;

	context->limit = policy_lookup(policy, &q->address, &q->kind);
	context->budget = budget_lookup(policy, &q->to, &q->kind);
	find_cookies(context);
	if (q->kind.proto == IPPROTO_UDP && q->kind.what == WEIR_ANY_PACKET)
		context->dns = find_dns_rule(policy, q->to.hi, q->to.lo, q->kind.dport);
}

/* ---- the answer ---- */

/* On what it depends that the reason is another one. */
static void describe_condition(const struct question *q, uint8_t depends, char *text, size_t size)
{
	const struct { uint8_t bit; const char *words; } conditions[] = {
		{ VERDICT_SOCKET, q->kind.what == WEIR_SYN ? "nothing listens there" :
							     "it belongs to no connection" },
		{ VERDICT_COOKIE, "it acknowledges a cookie" },
		{ VERDICT_CLOCK, "its listener has sent no cookie in the last minute" },
		{ VERDICT_AGAIN, "it was dropped seconds ago and is sent again" },
		{ VERDICT_CPU, "another CPU takes it" },
	};
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < sizeof(conditions) / sizeof(*conditions); i++)
		if (depends & conditions[i].bit && len < size)
			len += snprintf(text + len, size - len, "%s%s", len ? ", and " : "",
					conditions[i].words);
}

static json_t *others_json(const struct context *context, const struct verdict *verdict)
{
	char rule[RULE_LEN], condition[128];
	json_t *others = json_array();

	for (int reason = 0; reason < WEIR_REASON_MAX; reason++) {
		if (reason == (int)verdict->reason || !(verdict->possible >> reason & 1))
			continue;
		describe(context, reason, rule);
		describe_condition(context->q, verdict->depends[reason], condition,
				   sizeof(condition));
		json_array_append_new(others, json_pack("{s:s, s:s, s:s, s:s}", "if", condition,
							"action", reason_action(reason), "reason",
							reason_name(reason), "rule", rule));
	}
	return others;
}

static void print_others(json_t *others)
{
	const char *condition, *action, *reason, *rule;
	char text[RULE_LEN + 256];
	json_t *each;
	size_t i;

	json_array_foreach(others, i, each) {
		if (json_unpack(each, "{s:s, s:s, s:s, s:s}", "if", &condition, "action", &action,
				"reason", &reason, "rule", &rule))
			continue;
		snprintf(text, sizeof(text), "or, if %s: %s, %s (%s)", condition, action, reason,
			 rule);
		print_wrapped(stdout, text, 0, 0);
	}
}

/* What budgets would do with the source, where one counts for the packet. */
static void print_tier(const struct context *context)
{
	char rule[RULE_LEN], text[RULE_LEN + 256];

	if (!context->budget)
		return;
	describe_tier(context->q->tier, rule);
	snprintf(text, sizeof(text), "while budget %s is used up, %s",
		 context->settings->policy->budget_spec[context->budget].name, rule);
	print_wrapped(stdout, text, 0, 4);
}

static enum outcome answer(const struct call *call, const struct context *context,
			   const struct verdict *verdict)
{
	char address[PREFIX_STRLEN], rule[RULE_LEN], text[RULE_LEN + 256];
	json_t *others = others_json(context, verdict), *root;

	describe(context, verdict->reason, rule);
	prefix_format_short(&context->q->address, address);
	snprintf(text, sizeof(text), "%s: %s, %s (%s)", address, reason_action(verdict->reason),
		 reason_name(verdict->reason), rule);
	if (!call->json) {
		print_wrapped(stdout, text, 0, 0);
		print_others(others);
		print_tier(context);
	}
	root = json_pack("{s:s, s:s, s:s, s:s, s:s}", "address", address, "tier",
			 tier_word(context->q->tier),
			 "action", reason_action(verdict->reason),
			 "reason", reason_name(verdict->reason), "rule", rule);
	if (json_array_size(others))
		json_object_set(root, "or", others);
	json_decref(others);
	return print_json(call, root);
}

static int ask_known(const struct maps *maps, struct question *q, char *err)
{
	struct known known;
	int rc = known_open(maps, &known, err);

	if (rc)
		return rc;
	q->tier = known_tier_of(&known, &q->address);
	known_close(&known);
	return 0;
}

enum outcome cmd_check(const struct call *call)
{
	struct settings settings;
	struct question question;
	struct verdict verdict;
	enum outcome outcome;
	char err[ERR_LEN];
	struct maps maps;

	if (parse_question(call->words, &question, err))
		return usage(call, "%s", err);
	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	if (ask_known(&maps, &question, err) || maps_read_settings(&maps, &settings, err)) {
		outcome = failed(call, "%s", err);
	} else {
		struct context context = { .maps = &maps, .settings = &settings, .q = &question };

		find_rules(&context);
		outcome = ask(&context, &verdict, err) ? failed(call, "%s", err) :
							 answer(call, &context, &verdict);
		settings_free(&settings);
	}
	maps_close(&maps);
	return outcome;
}
