// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/obstacles.h"
#include "user/model/prefix.h"
#include "user/model/text.h"

#define CHAINS_MOST	1024
#define WORDS_MOST	128

/* Whether a packet from outside comes to a chain, and by which hook first. */
enum reach { REACH_NONE, REACH_PREROUTING, REACH_INPUT };

/* What a rule does to the connections of a cookie. */
enum harm { HARM_NONE, HARM_NAT, HARM_NEW_SYN, HARM_INVALID };

static const char *const harms[] = {
	[HARM_NAT] = "sends these connections to another socket",
	[HARM_NEW_SYN] = "wants a SYN first, but a cookie's connection begins with an ACK",
	[HARM_INVALID] = "drops a cookie's ACK as invalid (nf_conntrack_tcp_loose is 0)",
};

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

/* Whether the ports of the rule and these have one in common. */
static bool ports_meet(const struct weir_syn_rule *rule, long first, long last)
{
	return first <= rule->last && last >= rule->first;
}

/* Whether a destination may be one of the rule's. A text that is no prefix counts as one. */
static bool address_meets(const struct weir_syn_rule *rule, const char *text)
{
	struct prefix to, is;
	char err[256];

	prefix_from_key(&rule->to, &to);
	if (!rule->to.prefixlen || prefix_parse(text, &is, NULL, err))
		return true;
	return prefix_covers(&is, &to) || prefix_covers(&to, &is);
}

/* ---- nftables ---- */

struct nft_chain {
	const char *family, *table, *name;
	enum reach reach;
};

struct nft {
	const struct weir_syn_rule *rule;
	bool loose;
	struct nft_chain chain[CHAINS_MOST];
	size_t count;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static struct nft_chain *find_chain(struct nft *nft, const json_t *rule, const char *name)
{
	for (size_t i = 0; i < nft->count; i++)
		if (!strcmp(nft->chain[i].name, name) &&
		    !strcmp(nft->chain[i].family, text_of(rule, "family")) &&
		    !strcmp(nft->chain[i].table, text_of(rule, "table")))
			return &nft->chain[i];
	return NULL;
}

/* Whether a family of chains sees packets to the service: inet both, ip and ip6 one of them. */
static bool family_meets(const struct weir_syn_rule *rule, const char *family)
{
	struct prefix to;

	prefix_from_key(&rule->to, &to);
	if (!strcmp(family, "ip"))
		return !rule->to.prefixlen || prefix_is_v4(&to);
	if (!strcmp(family, "ip6"))
		return !rule->to.prefixlen || !prefix_is_v4(&to);
	return !strcmp(family, "inet");
}

static void add_chain(struct nft *nft, const json_t *chain)
{
	const char *hook = text_of(chain, "hook");
	enum reach reach = !strcmp(hook, "prerouting") ? REACH_PREROUTING :
			   !strcmp(hook, "input") ? REACH_INPUT : REACH_NONE;

	if (nft->count < CHAINS_MOST && family_meets(nft->rule, text_of(chain, "family")))
		nft->chain[nft->count++] = (struct nft_chain){ text_of(chain, "family"),
			text_of(chain, "table"), text_of(chain, "name"), reach };
}

/* Calls @meets for a value, or for each of a set; true if it holds for one, or is not a constant. */
static bool any_value(const json_t *right, bool (*meets)(const json_t *, const struct nft *),
		      const struct nft *nft)
{
	const json_t *set = json_is_array(right) ? right : json_object_get(right, "set"), *each;
	size_t i;

	if (!json_is_array(set))
		return meets(right, nft);
	json_array_foreach(set, i, each)
		if (meets(each, nft))
			return true;
	return false;
}

static bool port_value(const json_t *value, const struct nft *nft)
{
	const json_t *range = json_object_get(value, "range");

	if (json_is_integer(value))
		return ports_meet(nft->rule, json_integer_value(value), json_integer_value(value));
	if (json_array_size(range) == 2)
		return ports_meet(nft->rule, json_integer_value(json_array_get(range, 0)),
				  json_integer_value(json_array_get(range, 1)));
	return true;	/* the name of a set, or a variable */
}

static bool proto_value(const json_t *value, const struct nft *nft)
{
	(void)nft;
	if (json_is_integer(value))
		return json_integer_value(value) == 6;
	return !json_is_string(value) || *json_string_value(value) == '@' ||
	       !strcmp(json_string_value(value), "tcp");
}

static bool address_value(const json_t *value, const struct nft *nft)
{
	const json_t *prefix = json_object_get(value, "prefix");
	char text[96];

	if (json_is_string(value))
		return address_meets(nft->rule, json_string_value(value));
	if (!prefix)
		return true;
	snprintf(text, sizeof(text), "%s/%d", text_of(prefix, "addr"),
		 (int)json_integer_value(json_object_get(prefix, "len")));
	return address_meets(nft->rule, text);
}

/* Whether a match can be true for a segment to the service. */
static bool match_meets(const struct nft *nft, const json_t *match)
{
	const json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
	const json_t *payload = json_object_get(left, "payload");
	const char *field = text_of(payload, "field"), *proto = text_of(payload, "protocol");
	bool is = strcmp(text_of(match, "op"), "!=");

	if (!strcmp(field, "dport")) {
		if (!strcmp(proto, "udp") || !strcmp(proto, "sctp") || !strcmp(proto, "dccp"))
			return false;
		/* Of "other than this port" only the rule of exactly that port is left out. */
		if (!is)
			return !json_is_integer(right) || nft->rule->first != nft->rule->last ||
			       json_integer_value(right) != nft->rule->first;
		return any_value(right, port_value, nft);
	}
	if (!is)
		return true;
	if (!strcmp(text_of(json_object_get(left, "meta"), "key"), "l4proto") ||
	    !strcmp(field, "protocol") || !strcmp(field, "nexthdr"))
		return any_value(right, proto_value, nft);
	if (!strcmp(field, "daddr"))
		return any_value(right, address_value, nft);
	return true;
}

static bool has_word(const json_t *right, const char *word)
{
	const json_t *set = json_is_array(right) ? right : json_object_get(right, "set"), *each;
	size_t i;

	if (json_is_string(right))
		return !strcmp(json_string_value(right), word);
	json_array_foreach(set, i, each)
		if (json_is_string(each) && !strcmp(json_string_value(each), word))
			return true;
	return false;
}

/* What is known of a rule when all its expressions were read. */
struct nft_rule {
	bool met;		/* by a segment to the service, as far as is understood */
	bool is_new, is_invalid, not_syn, drops, nat, invalid_map;
	const char *target;	/* chain to which it jumps; NULL: none */
};

static void read_match(const struct nft *nft, const json_t *match, struct nft_rule *is)
{
	const json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
	const json_t *flags = json_array_get(json_object_get(left, "&"), 0);
	bool equal = strcmp(text_of(match, "op"), "!=");

	is->met &= match_meets(nft, match);
	if (!strcmp(text_of(json_object_get(left, "ct"), "key"), "state")) {
		is->is_new |= equal && has_word(right, "new");
		is->is_invalid |= equal && has_word(right, "invalid");
	}
	if (!flags)
		flags = left;
	if (!strcmp(text_of(json_object_get(flags, "payload"), "field"), "flags"))
		is->not_syn |= !equal && has_word(right, "syn");
}

/* A map of states to verdicts. */
static bool drops_invalid(const json_t *vmap)
{
	const json_t *set = json_object_get(json_object_get(vmap, "data"), "set"), *pair;
	size_t i;

	if (strcmp(text_of(json_object_get(json_object_get(vmap, "key"), "ct"), "key"), "state"))
		return false;
	json_array_foreach(set, i, pair)
		if (has_word(json_array_get(pair, 0), "invalid") &&
		    json_object_get(json_array_get(pair, 1), "drop"))
			return true;
	return false;
}

static struct nft_rule read_rule(const struct nft *nft, const json_t *rule)
{
	static const char *const nat[] = { "dnat", "redirect", "tproxy", "synproxy", NULL };
	static const char *const xt[] = { "DNAT", "REDIRECT", "NETMAP", "TPROXY", "SYNPROXY", NULL };
	struct nft_rule is = { .met = true };
	const json_t *expr;
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, expr) {
		json_object_foreach((json_t *)expr, key, value) {
			if (!strcmp(key, "match"))
				read_match(nft, value, &is);
			else if (!strcmp(key, "jump") || !strcmp(key, "goto"))
				is.target = text_of(value, "target");
			else if (!strcmp(key, "drop") || !strcmp(key, "reject"))
				is.drops = true;
			else if (!strcmp(key, "vmap"))
				is.invalid_map |= drops_invalid(value);
			is.nat |= is_one_of(key, nat) ||
				  (!strcmp(key, "xt") && is_one_of(text_of(value, "name"), xt));
		}
	}
	return is;
}

static enum harm harm_of(const struct nft_rule *is, bool loose)
{
	if (!is->met)
		return HARM_NONE;
	if (is->nat)
		return HARM_NAT;
	if (is->drops && is->is_new && is->not_syn)
		return HARM_NEW_SYN;
	if (!loose && (is->invalid_map || (is->drops && is->is_invalid)))
		return HARM_INVALID;
	return HARM_NONE;
}

static const json_t *rule_at(const json_t *ruleset, size_t i)
{
	return json_object_get(json_array_get(ruleset, i), "rule");
}

/* Follows jumps until no further chain is reached. */
static void follow_jumps(struct nft *nft, const json_t *ruleset)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < json_array_size(ruleset); i++) {
			const json_t *rule = rule_at(ruleset, i);
			struct nft_chain *from = rule ? find_chain(nft, rule, text_of(rule, "chain")) :
							NULL, *to;
			struct nft_rule is;

			if (!from || from->reach == REACH_NONE)
				continue;
			is = read_rule(nft, rule);
			to = is.met && is.target ? find_chain(nft, rule, is.target) : NULL;
			if (!to || to->reach != REACH_NONE)
				continue;
			to->reach = from->reach;
			more = true;
		}
	}
}

static bool search_nft(struct nft *nft, const json_t *ruleset, char text[OBSTACLE_LEN])
{
	const json_t *each;
	size_t i;

	json_array_foreach(ruleset, i, each)
		if (json_object_get(each, "chain"))
			add_chain(nft, json_object_get(each, "chain"));
	follow_jumps(nft, ruleset);
	for (i = 0; i < json_array_size(ruleset); i++) {
		const json_t *rule = rule_at(ruleset, i);
		const struct nft_chain *chain = rule ? find_chain(nft, rule, text_of(rule, "chain")) :
						       NULL;
		struct nft_rule is;
		enum harm harm;

		if (!chain || chain->reach == REACH_NONE)
			continue;
		is = read_rule(nft, rule);
		harm = harm_of(&is, nft->loose);
		if (!harm)
			continue;
		snprintf(text, OBSTACLE_LEN, "nft table %.8s %.24s, chain %.24s, rule with handle %d: "
			 "it %s", chain->family, chain->table, chain->name,
			 (int)json_integer_value(json_object_get(rule, "handle")), harms[harm]);
		text_make_plain(text);
		return true;
	}
	return false;
}

bool obstacle_in_nft(const char *json, bool loose, const struct weir_syn_rule *rule,
		     char text[OBSTACLE_LEN])
{
	json_t *root = json_loads(json, 0, NULL);
	struct nft *nft = calloc(1, sizeof(*nft));
	bool found = false;

	if (root && nft) {
		nft->rule = rule;
		nft->loose = loose;
		found = search_nft(nft, json_object_get(root, "nftables"), text);
	}
	free(nft);
	json_decref(root);
	return found;
}

/* ---- iptables ---- */

struct ipt_chain {
	char name[32];
	enum reach reach;
};

struct ipt {
	const struct weir_syn_rule *rule;
	bool loose;
	struct ipt_chain chain[CHAINS_MOST];	/* of the present table */
	size_t count;
};

static struct ipt_chain *chain_named(struct ipt *ipt, const char *name)
{
	for (size_t i = 0; i < ipt->count; i++)
		if (!strcmp(ipt->chain[i].name, name))
			return &ipt->chain[i];
	return NULL;
}

static void note_chain(struct ipt *ipt, const char *name)
{
	struct ipt_chain *chain = &ipt->chain[ipt->count];

	if (ipt->count == CHAINS_MOST)
		return;
	ipt->count++;
	snprintf(chain->name, sizeof(chain->name), "%.*s", (int)strcspn(name, " \n"), name);
	chain->reach = !strcmp(chain->name, "PREROUTING") ? REACH_PREROUTING :
		       !strcmp(chain->name, "INPUT") ? REACH_INPUT : REACH_NONE;
}

/* "80", "80:90", "80,443,8000:8010" */
static bool ports_word_meets(const struct weir_syn_rule *rule, const char *word)
{
	while (*word) {
		char *end;
		long first = strtol(word, &end, 10), last = first;

		if (end == word)
			return true;
		if (*end == ':')
			last = strtol(end + 1, &end, 10);
		if (ports_meet(rule, first, last ? last : 65535))
			return true;
		word = *end ? end + 1 : end;
	}
	return false;
}

struct ipt_rule {
	char *word[WORDS_MOST + 1];
	bool met;
	bool is_new, is_invalid, not_syn;
	const char *target;	/* "": none */
};

static void read_option(const struct weir_syn_rule *rule, struct ipt_rule *is, bool not,
			const char *option, const char *value)
{
	if (!strcmp(option, "-p"))
		is->met &= not == (strcmp(value, "tcp") && strcmp(value, "6") && strcmp(value, "all"));
	else if (!strcmp(option, "--dport") || !strcmp(option, "--dports"))
		is->met &= not || ports_word_meets(rule, value);
	else if (!strcmp(option, "-d"))
		is->met &= not || address_meets(rule, value);
	else if (!strcmp(option, "-j") || !strcmp(option, "-g"))
		is->target = value;
	else if (!strcmp(option, "--ctstate") || !strcmp(option, "--state")) {
		is->is_new |= !not && strstr(value, "NEW");
		is->is_invalid |= !not && strstr(value, "INVALID");
	} else if (!strcmp(option, "--tcp-flags")) {
		is->not_syn |= not;
	}
}

/* @line: behind "-A CHAIN". It is cut into words. */
static struct ipt_rule read_line(const struct ipt *ipt, char *line)
{
	struct ipt_rule is = { .met = true, .target = "" };
	size_t count = 0;
	char *rest;

	for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MOST;
	     word = strtok_r(NULL, " \n", &rest))
		is.word[count++] = word;
	for (size_t i = 0; i + 1 < count; i++) {
		bool not = i && !strcmp(is.word[i - 1], "!");

		if (*is.word[i] == '-')
			read_option(ipt->rule, &is, not, is.word[i], is.word[i + 1]);
	}
	return is;
}

static enum harm harm_of_line(const struct ipt *ipt, const struct ipt_rule *is)
{
	static const char *const nat[] = { "DNAT", "REDIRECT", "NETMAP", "TPROXY", "SYNPROXY", NULL };
	bool drops = !strcmp(is->target, "DROP") || !strcmp(is->target, "REJECT");

	if (!is->met)
		return HARM_NONE;
	if (is_one_of(is->target, nat))
		return HARM_NAT;
	if (drops && is->is_new && is->not_syn)
		return HARM_NEW_SYN;
	return drops && is->is_invalid && !ipt->loose ? HARM_INVALID : HARM_NONE;
}

/*
 * Reads the rules of one table once: follows jumps, or (@text) names the first that does harm. True
 * if there was one.
 */
static bool pass_table(struct ipt *ipt, const char *lines, const char *end, char text[OBSTACLE_LEN],
		       const char *program, const char *table)
{
	bool found = false;

	for (const char *line = lines; line < end && !found; line = strchr(line, '\n') + 1) {
		char copy[4096], chain[32];
		struct ipt_chain *from, *to;
		struct ipt_rule is;
		enum harm harm;
		int at = 0;

		if (!strchr(line, '\n'))
			break;
		if (sscanf(line, "-A %31s%n", chain, &at) != 1)
			continue;
		from = chain_named(ipt, chain);
		snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line + at, "\n"), line + at);
		if (!from || from->reach == REACH_NONE)
			continue;
		is = read_line(ipt, copy);
		to = is.met ? chain_named(ipt, is.target) : NULL;
		if (!text && to && to->reach == REACH_NONE) {
			to->reach = from->reach;
			found = true;
		}
		harm = text ? harm_of_line(ipt, &is) : HARM_NONE;
		if (harm) {
			snprintf(text, OBSTACLE_LEN, "%.20s, table %.16s, chain %.31s, a rule with -j "
				 "%.16s: it %s", program, table, chain, is.target, harms[harm]);
			text_make_plain(text);
			found = true;
		}
	}
	return found;
}

bool obstacle_in_iptables(const char *save, const char *program, bool loose,
			  const struct weir_syn_rule *rule, char text[OBSTACLE_LEN])
{
	struct ipt *ipt = calloc(1, sizeof(*ipt));
	const char *star = *save == '*' ? save : strstr(save, "\n*");
	bool found = false;

	for (; ipt && star && !found; star = strstr(star + 1, "\n*")) {
		const char *lines = star + (*star == '\n' ? 2 : 1), *end = strstr(lines, "\nCOMMIT");
		char table[32];

		if (!end)
			end = lines + strlen(lines);
		snprintf(table, sizeof(table), "%.*s", (int)strcspn(lines, "\n"), lines);
		*ipt = (struct ipt){ .rule = rule, .loose = loose };
		for (const char *line = strchr(lines, '\n'); line && line < end;
		     line = strchr(line + 1, '\n'))
			if (line[1] == ':')
				note_chain(ipt, line + 2);
		while (pass_table(ipt, lines, end, NULL, program, table))
			;
		found = pass_table(ipt, lines, end, text, program, table);
	}
	free(ipt);
	return found;
}

/* ---- IPVS ---- */

bool obstacle_in_ipvs(const char *services, const struct weir_syn_rule *rule,
		      char text[OBSTACLE_LEN])
{
	for (const char *line = services; line && *line; line = strchr(line, '\n')) {
		unsigned int port = 0;
		const char *colon;

		line += *line == '\n';
		if (strncmp(line, "TCP ", 4) && strncmp(line, "FWM ", 4))
			continue;
		/* TCP  C0000201:0050 rr, TCP  [2001:...]:0050 rr; a firewall mark has no port. */
		colon = line + strcspn(line, "\n");
		while (colon > line && *colon != ':')
			colon--;
		if (*line == 'T' && (sscanf(colon, ":%x", &port) != 1 || !ports_meet(rule, port, port)))
			continue;
		snprintf(text, OBSTACLE_LEN, "IPVS, service %.*s: it %s", (int)strcspn(line, "\n") > 60 ?
			 60 : (int)strcspn(line, "\n"), line, harms[HARM_NAT]);
		text_make_plain(text);
		return true;
	}
	return false;
}
