// SPDX-License-Identifier: GPL-2.0-only
/*
 * From limits and budgets to the tables of the data path.
 *
 * A pattern is a distinct class of packets that some spec selects, whatever its prefix: "syn dport
 * 443". There may be overlapping ones. A packet class is a set of packets that match exactly the
 * same patterns, so that the limits treat them alike; class_of_port and its siblings give every
 * packet its class by one or two loads. A row of limit_of has, for the packets from one source
 * prefix, the limit of each class; budget_of has the budget of each class, a row for each
 * destination.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/class.h"
#include "user/model/dns_rules.h"
#include "user/model/error.h"
#include "user/model/policy_match.h"
#include "user/model/prefix.h"
#include "user/model/syn_rules.h"

#define PATTERNS_MAX	(WEIR_LIMITS + WEIR_BUDGETS)
#define PORTS		65536
#define NETWORK_BITS	16	/* WEIR_NETWORKS */
#define ROW_FREE	255	/* prefixlen of a row that no limit uses */

struct compile {
	struct weir_policy *policy;
	const struct weir_limit_spec *pattern[PATTERNS_MAX];	/* the first spec that has it */
	uint32_t patterns;
	uint16_t pattern_of[WEIR_LIMITS];	/* by limit: index of its pattern */
	uint16_t pattern_of_budget[WEIR_BUDGETS];
	/* by packet class: a bit for each pattern that matches */
	uint64_t matched[WEIR_CLASSES][PATTERNS_MAX / 64];
};

/* ---- packet classes ---- */

/* The index of the spec's pattern, a new one if no earlier spec has the same. */
static uint16_t pattern_for(struct compile *c, const struct weir_limit_spec *spec)
{
	uint32_t n = 0;

	while (n < c->patterns && !match_same_class(c->pattern[n], spec))
		n++;
	if (n == c->patterns)
		c->pattern[c->patterns++] = spec;
	return n;
}

static void collect_patterns(struct compile *c)
{
	const struct weir_policy *policy = c->policy;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used)
			c->pattern_of[i] = pattern_for(c, &policy->spec[i]);
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used)
			c->pattern_of_budget[i] = pattern_for(c, &policy->budget_spec[i].limit);
}

static bool class_matches(const struct compile *c, uint32_t class, uint32_t pattern)
{
	return c->matched[class][pattern / 64] >> pattern % 64 & 1;
}

/*
 * The class of such packets, a new one if no class matches the same patterns. Returns the class,
 * or -ENOSPC with @err.
 */
static int class_for(struct compile *c, const struct packet_kind *kind, char *err)
{
	struct weir_policy *policy = c->policy;
	uint64_t bits[PATTERNS_MAX / 64] = { 0 };

	for (uint32_t n = 0; n < c->patterns; n++)
		if (match_has(c->pattern[n], kind))
			bits[n / 64] |= 1ULL << n % 64;
	for (uint32_t i = 0; i < policy->classes; i++)
		if (!memcmp(c->matched[i], bits, sizeof(bits)))
			return i;
	if (policy->classes == WEIR_CLASSES)
		return fail(err, ENOSPC, "the limits divide packets into more than %u classes; "
			    "use fewer different ports or ranges", WEIR_CLASSES);
	memcpy(c->matched[policy->classes], bits, sizeof(bits));
	return policy->classes++;
}

/*
 * Fills the table of one kind of packet by destination port. A class can only change at a port
 * where some range begins or has just ended. Returns 0, or a negative errno with @err.
 */
static int class_ports(struct compile *c, enum weir_port_kind table, char *err)
{
	struct packet_kind kind = {
		.proto = table == WEIR_PORT_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.what = table == WEIR_PORT_SYN ? WEIR_SYN : WEIR_ANY_PACKET,
	};
	uint8_t *starts = calloc(PORTS + 1, 1);	/* another class may start at this port */
	int class = 0;

	if (!starts)
		return fail(err, ENOMEM, "out of memory");
	starts[0] = 1;
	for (uint32_t n = 0; n < c->patterns; n++) {
		if (!c->pattern[n]->dport_first)
			continue;
		starts[c->pattern[n]->dport_first] = 1;
		starts[c->pattern[n]->dport_last + 1] = 1;
	}
	for (uint32_t port = 0; port < PORTS && class >= 0; port++) {
		kind.dport = port;
		if (starts[port])
			class = class_for(c, &kind, err);
		c->policy->class_of_port[table][port] = class;
	}
	free(starts);
	return class < 0 ? class : 0;
}

/* The same by protocol number, for packets of kind @what. ICMPv6 has the class of ICMP. */
static int class_protos(struct compile *c, uint8_t what, uint16_t *table, char *err)
{
	for (uint32_t proto = 0; proto < 256; proto++) {
		struct packet_kind kind = {
			.proto = proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : proto,
			.what = what,
		};
		int class = class_for(c, &kind, err);

		if (class < 0)
			return class;
		table[proto] = class;
	}
	return 0;
}

/* ---- rows of source prefixes ---- */

/* The row of a source prefix, or WEIR_SCOPES when it has none. Row 0 is that of any source. */
static uint32_t row_of(const struct weir_policy *policy, const struct weir_prefix *from)
{
	uint32_t row = 0;

	while (row < policy->scopes && !match_same_prefix(&policy->scope[row], from))
		row++;
	return row < policy->scopes ? row : WEIR_SCOPES;
}

/*
 * Frees the rows that no limit uses any more, then gives each new source prefix a row. All others
 * keep theirs. Returns 0, or -ENOSPC with @err.
 */
static int assign_rows(struct weir_policy *policy, char *err)
{
	uint8_t used[WEIR_SCOPES] = { 1 };
	uint32_t row;

	if (!policy->scopes)
		policy->scopes = 1;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		row = policy->spec[i].used ? row_of(policy, &policy->spec[i].from) : WEIR_SCOPES;
		if (row < WEIR_SCOPES)
			used[row] = 1;
	}
	for (row = 0; row < policy->scopes; row++)
		if (!used[row])
			policy->scope[row].prefixlen = ROW_FREE;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		if (!policy->spec[i].used || row_of(policy, &policy->spec[i].from) < WEIR_SCOPES)
			continue;
		for (row = 1; row < policy->scopes; row++)
			if (policy->scope[row].prefixlen == ROW_FREE)
				break;
		if (row == WEIR_SCOPES)
			return fail(err, ENOSPC, "there are limits for more than %u source prefixes",
				    WEIR_SCOPES - 1);
		if (row == policy->scopes)
			policy->scopes++;
		policy->scope[row] = policy->spec[i].from;
	}
	return 0;
}

static bool covers(const struct weir_prefix *a, const struct weir_prefix *b)
{
	struct prefix x, y;

	prefix_from_key(a, &x);
	prefix_from_key(b, &y);
	return prefix_covers(&x, &y);
}

/* The row of the longest source prefix that covers that of @row and is shorter; 0 covers all. */
static uint32_t parent_of(const struct weir_policy *policy, uint32_t row)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < policy->scopes; i++) {
		if (i == row || policy->scope[i].prefixlen == ROW_FREE ||
		    policy->scope[i].prefixlen >= policy->scope[row].prefixlen)
			continue;
		if (policy->scope[i].prefixlen > policy->scope[best].prefixlen &&
		    covers(&policy->scope[i], &policy->scope[row]))
			best = i;
	}
	return best;
}

/*
 * Sets the row's limit of each class to the most specific limit of its own source prefix. Where
 * that has none for the class, the limit stays that the row inherited.
 */
static void fill_row(struct compile *c, uint32_t row, const uint32_t *limits, uint32_t count)
{
	struct weir_policy *policy = c->policy;
	uint16_t best[WEIR_CLASSES] = { 0 };

	for (uint32_t n = 0; n < count; n++) {
		uint32_t pattern = c->pattern_of[limits[n]];

		if (!match_same_prefix(&policy->spec[limits[n]].from, &policy->scope[row]))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++) {
			if (!class_matches(c, class, pattern))
				continue;
			if (!best[class] || match_order(&policy->spec[limits[n]],
							&policy->spec[best[class]]) < 0)
				best[class] = limits[n];
		}
	}
	for (uint32_t class = 0; class < policy->classes; class++)
		if (best[class])
			policy->limit_of[row][class] = best[class];
}

static int by_prefixlen(const void *a, const void *b, void *policy)
{
	const struct weir_prefix *scope = ((struct weir_policy *)policy)->scope;

	return (int)scope[*(const uint32_t *)a].prefixlen - (int)scope[*(const uint32_t *)b].prefixlen;
}

/*
 * A row starts as a copy of its parent, that of the next shorter prefix that covers it; so rows of
 * shorter prefixes are filled first.
 */
static void fill_rows(struct compile *c)
{
	struct weir_policy *policy = c->policy;
	uint32_t order[WEIR_SCOPES], limits[WEIR_LIMITS], count = 0, rows = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used)
			limits[count++] = i;
	for (uint32_t row = 0; row < policy->scopes; row++)
		if (policy->scope[row].prefixlen != ROW_FREE)
			order[rows++] = row;
	qsort_r(order, rows, sizeof(*order), by_prefixlen, policy);
	memset(policy->limit_of, 0, sizeof(policy->limit_of));
	for (uint32_t n = 0; n < rows; n++) {
		uint32_t row = order[n];

		if (row)
			memcpy(policy->limit_of[row], policy->limit_of[parent_of(policy, row)],
			       sizeof(policy->limit_of[row]));
		fill_row(c, row, limits, count);
	}
	policy->active = count;
}

/* ---- destinations of budgets ---- */

static int longer_first(const void *a, const void *b)
{
	const struct weir_prefix *x = *(const struct weir_prefix *const *)a;
	const struct weir_prefix *y = *(const struct weir_prefix *const *)b;

	return (int)y->prefixlen - (int)x->prefixlen;
}

/*
 * Sets @to to each destination once, the longest first, without "any". Returns how many there
 * are, or -ENOSPC with @err.
 */
static int collect_destinations(const struct weir_policy *policy,
				const struct weir_prefix *to[WEIR_BUDGETS], char *err)
{
	int count = 0;

	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_limit_spec *spec = &policy->budget_spec[i].limit;
		int n = 0;

		if (!spec->used || prefix_key_is_any(&spec->from))
			continue;
		while (n < count && !match_same_prefix(to[n], &spec->from))
			n++;
		if (n == count)
			to[count++] = &spec->from;
	}
	if (count >= WEIR_DESTINATIONS)
		return fail(err, ENOSPC, "there are budgets for more than %d destinations",
			    WEIR_DESTINATIONS - 1);
	qsort(to, count, sizeof(*to), longer_first);
	return count;
}

/* As fill_row(), for the budgets of one destination. */
static void fill_budget_row(struct compile *c, uint32_t row, const struct weir_prefix *to)
{
	struct weir_policy *policy = c->policy;
	uint8_t best[WEIR_CLASSES] = { 0 };

	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_limit_spec *spec = &policy->budget_spec[i].limit;

		if (!spec->used || !match_same_prefix(&spec->from, to))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++)
			if (class_matches(c, class, c->pattern_of_budget[i]) &&
			    (!best[class] ||
			     match_order(spec, &policy->budget_spec[best[class]].limit) < 0))
				best[class] = i;
	}
	for (uint32_t class = 0; class < policy->classes; class++)
		if (best[class])
			policy->budget_of[row][class] = best[class];
}

_Static_assert(WEIR_NETWORKS == 1U << NETWORK_BITS, "lines of networks");

/*
 * Counts the budgets and gives each as many lines of the map networks as the others, so that none
 * can disturb the shares of another.
 */
static void divide_networks(struct weir_policy *policy)
{
	policy->budgets = 0;
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used)
			policy->budget[i].serial = policy->budgets++;
	policy->network_bits = NETWORK_BITS;
	while (WEIR_NETWORKS >> policy->network_bits < policy->budgets)
		policy->network_bits--;
}

/*
 * Fills the table of destinations, which the data path searches in order: the first that covers an
 * address must be the longest. As in fill_rows(), a row starts as a copy of its parent. Returns 0,
 * or -ENOSPC with @err.
 */
static int fill_destinations(struct compile *c, char *err)
{
	static const struct weir_prefix any;
	const struct weir_prefix *to[WEIR_BUDGETS];
	struct weir_policy *policy = c->policy;
	int count = collect_destinations(policy, to, err);

	if (count < 0)
		return count;
	memset(policy->destination, 0, sizeof(policy->destination));
	memset(policy->budget_of, 0, sizeof(policy->budget_of));
	divide_networks(policy);
	policy->destinations = count + 1;
	fill_budget_row(c, 0, &any);
	for (int n = count - 1; n >= 0; n--) {
		int parent = n + 1;

		while (parent < count && !covers(to[parent], to[n]))
			parent++;
		memcpy(policy->budget_of[n + 1], policy->budget_of[parent < count ? parent + 1 : 0],
		       sizeof(policy->budget_of[0]));
		fill_budget_row(c, n + 1, to[n]);
		policy->destination[n + 1] = prefix_destination(to[n]);
	}
	return 0;
}

uint32_t budget_lookup(const struct weir_policy *policy, const struct prefix *to,
		       const struct packet_kind *kind)
{
	return budget_in_row(policy, find_destination(policy, to->hi, to->lo),
			     class_of(policy, kind->what, kind->proto, kind->dport));
}

int policy_compile(struct weir_policy *policy, char *err)
{
	struct compile *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return fail(err, ENOMEM, "out of memory");
	c->policy = policy;
	policy->classes = 0;
	rc = assign_rows(policy, err);
	if (rc)
		goto out_free;
	collect_patterns(c);
	for (int table = 0; table < WEIR_PORT_KINDS && !rc; table++)
		rc = class_ports(c, table, err);
	if (!rc)
		rc = class_protos(c, WEIR_ANY_PACKET, policy->class_of_proto, err);
	if (!rc)
		rc = class_protos(c, WEIR_FRAGMENT, policy->class_of_fragment, err);
	if (!rc)
		fill_rows(c);
	if (!rc)
		rc = fill_destinations(c, err);
	if (!rc) {
		syn_compile(policy);
		dns_compile(policy);
	}
out_free:
	free(c);
	return rc;
}

uint32_t policy_lookup(const struct weir_policy *policy, const struct prefix *source,
		       const struct packet_kind *kind)
{
	struct weir_prefix key;
	uint32_t row = 0;

	prefix_to_key(source, &key);
	for (uint32_t i = 1; i < policy->scopes; i++)
		if (policy->scope[i].prefixlen != ROW_FREE && covers(&policy->scope[i], &key) &&
		    policy->scope[i].prefixlen > policy->scope[row].prefixlen)
			row = i;
	return limit_index(policy, row, class_of(policy, kind->what, kind->proto, kind->dport));
}
