// SPDX-License-Identifier: GPL-2.0-only
/* From limits and budgets to the tables of the data path. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/policy_match.h"
#include "user/model/prefix.h"
#include "user/model/syn_rules.h"

/* ---- classes and rows ---- */

/* One distinct class of the specs, and the packet classes in which it matches. */
struct pattern {
	const struct weir_limit_spec *spec;
};

#define PATTERNS_MAX	(WEIR_LIMITS + WEIR_BUDGETS)

struct compile {
	struct weir_policy *policy;
	struct pattern pattern[PATTERNS_MAX];
	uint32_t patterns;
	uint16_t pattern_of[WEIR_LIMITS];	/* of each limit */
	uint16_t pattern_of_budget[WEIR_BUDGETS];
	/* of each packet class: the patterns that match, a bit each */
	uint64_t matched[WEIR_CLASSES][PATTERNS_MAX / 64];
};

static uint16_t pattern_for(struct compile *c, const struct weir_limit_spec *spec)
{
	uint32_t n = 0;

	while (n < c->patterns && !match_same_class(c->pattern[n].spec, spec))
		n++;
	if (n == c->patterns)
		c->pattern[c->patterns++].spec = spec;
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

/* The class of such packets, a new one if no class has the same patterns. */
static int class_for(struct compile *c, const struct packet_kind *kind, char *err)
{
	struct weir_policy *policy = c->policy;
	uint64_t bits[PATTERNS_MAX / 64] = { 0 };

	for (uint32_t n = 0; n < c->patterns; n++)
		if (match_has(c->pattern[n].spec, kind))
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

static int class_ports(struct compile *c, enum weir_port_kind table, char *err)
{
	struct packet_kind kind = {
		.proto = table == WEIR_PORT_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.what = table == WEIR_PORT_SYN ? WEIR_SYN : WEIR_ANY_PACKET,
	};
	uint8_t *starts = calloc(65537, 1);	/* a class may start at this port */
	int class = 0;

	if (!starts)
		return fail(err, ENOMEM, "out of memory");
	starts[0] = 1;
	for (uint32_t n = 0; n < c->patterns; n++) {
		if (!c->pattern[n].spec->dport_first)
			continue;
		starts[c->pattern[n].spec->dport_first] = 1;
		starts[c->pattern[n].spec->dport_last + 1] = 1;
	}
	for (uint32_t port = 0; port < 65536 && class >= 0; port++) {
		kind.dport = port;
		if (starts[port])
			class = class_for(c, &kind, err);
		c->policy->class_of_port[table][port] = class;
	}
	free(starts);
	return class < 0 ? class : 0;
}

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

/* Scope 0 is everybody. Returns the row, or WEIR_SCOPES when there is none. */
static uint32_t scope_of(const struct weir_policy *policy, const struct weir_prefix *from)
{
	uint32_t row = 0;

	while (row < policy->scopes && !match_same_prefix(&policy->scope[row], from))
		row++;
	return row < policy->scopes ? row : WEIR_SCOPES;
}

#define SCOPE_FREE	255	/* prefixlen of a row that is not in use */

/* Drops the rows that no limit names any more, and gives each new source one. */
static int assign_scopes(struct weir_policy *policy, char *err)
{
	uint8_t used[WEIR_SCOPES] = { 1 };
	uint32_t row;

	if (!policy->scopes)
		policy->scopes = 1;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		row = policy->spec[i].used ? scope_of(policy, &policy->spec[i].from) : WEIR_SCOPES;
		if (row < WEIR_SCOPES)
			used[row] = 1;
	}
	for (row = 0; row < policy->scopes; row++)
		if (!used[row])
			policy->scope[row].prefixlen = SCOPE_FREE;
	for (uint32_t i = 1; i < WEIR_LIMITS; i++) {
		if (!policy->spec[i].used || scope_of(policy, &policy->spec[i].from) < WEIR_SCOPES)
			continue;
		for (row = 1; row < policy->scopes; row++)
			if (policy->scope[row].prefixlen == SCOPE_FREE)
				break;
		if (row == WEIR_SCOPES)
			return fail(err, ENOSPC, "limits for more than %u source prefixes",
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

/* The row of the longest scope that covers @row's, itself excluded. */
static uint32_t parent_of(const struct weir_policy *policy, uint32_t row)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < policy->scopes; i++) {
		if (i == row || policy->scope[i].prefixlen == SCOPE_FREE ||
		    policy->scope[i].prefixlen >= policy->scope[row].prefixlen)
			continue;
		if (policy->scope[i].prefixlen > policy->scope[best].prefixlen &&
		    covers(&policy->scope[i], &policy->scope[row]))
			best = i;
	}
	return best;
}

/* Where a limit of this row is for the class, it stands before the inherited. */
static void fill_row(struct compile *c, uint32_t row, const uint32_t *limits, uint32_t count)
{
	struct weir_policy *policy = c->policy;
	uint16_t own[WEIR_CLASSES] = { 0 };

	for (uint32_t n = 0; n < count; n++) {
		uint32_t pattern = c->pattern_of[limits[n]];

		if (!match_same_prefix(&policy->spec[limits[n]].from, &policy->scope[row]))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++) {
			if (!class_matches(c, class, pattern))
				continue;
			if (!own[class] || match_order(&policy->spec[limits[n]],
							   &policy->spec[own[class]]) < 0)
				own[class] = limits[n];
		}
	}
	for (uint32_t class = 0; class < policy->classes; class++)
		if (own[class])
			policy->limit_of[row][class] = own[class];
}

static int by_prefixlen(const void *a, const void *b, void *policy)
{
	const struct weir_prefix *scope = ((struct weir_policy *)policy)->scope;

	return (int)scope[*(const uint32_t *)a].prefixlen - (int)scope[*(const uint32_t *)b].prefixlen;
}

/* Shorter prefixes first, so that each row can start as its parent's. */
static void fill_rows(struct compile *c)
{
	struct weir_policy *policy = c->policy;
	uint32_t order[WEIR_SCOPES], limits[WEIR_LIMITS], count = 0, rows = 0;

	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used)
			limits[count++] = i;
	for (uint32_t row = 0; row < policy->scopes; row++)
		if (policy->scope[row].prefixlen != SCOPE_FREE)
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

/* Each destination once, the longest first; returns how many, -ENOSPC with @err. */
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
		return fail(err, ENOSPC, "budgets for more than %d destinations",
			    WEIR_DESTINATIONS - 1);
	qsort(to, count, sizeof(*to), longer_first);
	return count;
}

/* The budgets of this destination before what the row has already. */
static void fill_budget_row(struct compile *c, uint32_t row, const struct weir_prefix *to)
{
	struct weir_policy *policy = c->policy;
	uint8_t own[WEIR_CLASSES] = { 0 };

	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		const struct weir_limit_spec *spec = &policy->budget_spec[i].limit;

		if (!spec->used || !match_same_prefix(&spec->from, to))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++)
			if (class_matches(c, class, c->pattern_of_budget[i]) &&
			    (!own[class] ||
			     match_order(spec, &policy->budget_spec[own[class]].limit) < 0))
				own[class] = i;
	}
	for (uint32_t class = 0; class < policy->classes; class++)
		if (own[class])
			policy->budget_of[row][class] = own[class];
}

/* The shortest first, so that each row can start as that of the next shorter which covers it. */
static int fill_destinations(struct compile *c, char *err)
{
	static const struct weir_prefix everywhere;
	const struct weir_prefix *to[WEIR_BUDGETS];
	struct weir_policy *policy = c->policy;
	int count = collect_destinations(policy, to, err);

	if (count < 0)
		return count;
	memset(policy->destination, 0, sizeof(policy->destination));
	memset(policy->budget_of, 0, sizeof(policy->budget_of));
	policy->budgets = 0;
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		policy->budgets += policy->budget_spec[i].limit.used;
	policy->destinations = count + 1;
	fill_budget_row(c, 0, &everywhere);
	for (int n = count - 1; n >= 0; n--) {
		struct prefix prefix, mask = { .hi = ~0ULL, .lo = ~0ULL };
		int parent = n + 1;

		while (parent < count && !covers(to[parent], to[n]))
			parent++;
		memcpy(policy->budget_of[n + 1], policy->budget_of[parent < count ? parent + 1 : 0],
		       sizeof(policy->budget_of[0]));
		fill_budget_row(c, n + 1, to[n]);
		prefix_from_key(to[n], &prefix);
		mask.length = prefix.length;
		prefix_mask(&mask);
		policy->destination[n + 1] = (struct weir_destination){ prefix.hi, prefix.lo,
									mask.hi, mask.lo };
	}
	return 0;
}

static uint32_t class_of(const struct weir_policy *policy, const struct packet_kind *kind)
{
	if (kind->what == WEIR_FRAGMENT)
		return policy->class_of_fragment[kind->proto];
	if (kind->proto == IPPROTO_TCP)
		return policy->class_of_port[kind->what == WEIR_SYN ? WEIR_PORT_SYN : WEIR_PORT_TCP]
					    [kind->dport];
	if (kind->proto == IPPROTO_UDP)
		return policy->class_of_port[WEIR_PORT_UDP][kind->dport];
	return policy->class_of_proto[kind->proto];
}

uint32_t budget_lookup(const struct weir_policy *policy, const struct prefix *to,
		       const struct packet_kind *kind)
{
	uint32_t row = 1;

	while (row < policy->destinations &&
	       ((to->hi & policy->destination[row].mask_hi) != policy->destination[row].hi ||
		(to->lo & policy->destination[row].mask_lo) != policy->destination[row].lo))
		row++;
	return policy->budget_of[row < policy->destinations ? row : 0][class_of(policy, kind)];
}

int policy_compile(struct weir_policy *policy, char *err)
{
	struct compile *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return fail(err, ENOMEM, "out of memory");
	c->policy = policy;
	policy->classes = 0;
	rc = assign_scopes(policy, err);
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
	if (!rc)
		syn_compile(policy);
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
		if (policy->scope[i].prefixlen != SCOPE_FREE && covers(&policy->scope[i], &key) &&
		    policy->scope[i].prefixlen > policy->scope[row].prefixlen)
			row = i;
	return policy->limit_of[row][class_of(policy, kind)];
}
