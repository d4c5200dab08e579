// SPDX-License-Identifier: GPL-2.0-only
/*
 * From limits and budgets to the tables of the data path.
 *
 * A pattern is a distinct class of packets that some spec selects, whatever its prefix: "syn dport
 * 443". There may be overlapping ones. A packet class is a set of packets that match exactly the
 * same patterns, so that the limits treat them alike; class_of_port and its siblings give every
 * packet its class by one or two loads. Where a pattern names source ports, the tables by destination
 * port have the class by all but that, and class_of_sport has the rest: two loads more. Where one names
 * types of ICMP, class_of_icmp has the class of each type, and other packets pay nothing for it. A row
 * of limit_of has, for
 * the packets from one source prefix, the limit of each class; budget_of has the budget of each
 * class, a row for each destination.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/class.h"
#include "user/model/dns_rules.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/policy_match.h"
#include "user/model/port_set.h"
#include "user/model/prefix.h"
#include "user/model/syn_rules.h"

#define PATTERNS_MAX	(WEIR_LIMITS + WEIR_BUDGETS)
#define PORTS		65536
#define NETWORK_BITS	16	/* WEIR_NETWORKS */
#define ROW_FREE	255	/* prefixlen of a row that no limit uses */

/* A bit for each pattern. */
struct pattern_set {
	uint64_t bits[PATTERNS_MAX / 64];
};

/* By packet class: the patterns that match. */
struct class_table {
	struct pattern_set matched[WEIR_CLASSES];
	uint32_t count;
};

struct compile {
	struct weir_policy *policy;
	const struct weir_limit_spec *pattern[PATTERNS_MAX];	/* the first spec that has it */
	uint32_t patterns;
	uint16_t pattern_of[WEIR_LIMITS];	/* by limit: index of its pattern */
	uint16_t pattern_of_budget[WEIR_BUDGETS];
	struct class_table base;	/* of packets by all but their source port */
	struct class_table all;
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
	return c->all.matched[class].bits[pattern / 64] >> pattern % 64 & 1;
}

static void set_pattern(struct pattern_set *set, uint32_t pattern)
{
	set->bits[pattern / 64] |= 1ULL << pattern % 64;
}

/* The class that matches just @set, a new one if there is none. -ENOSPC with @err. */
static int class_of_set(struct class_table *table, const struct pattern_set *set, char *err)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (!memcmp(&table->matched[i], set, sizeof(*set)))
			return i;
	if (table->count == WEIR_CLASSES)
		return fail(err, ENOSPC, "the limits divide packets into more than %u classes; "
			    "use fewer different ports or ranges", WEIR_CLASSES);
	table->matched[table->count] = *set;
	return table->count++;
}

/*
 * The class of such packets by all but their source port, a new one if no class matches the same
 * patterns. Returns the class, or -ENOSPC with @err.
 */
static int class_for(struct compile *c, const struct packet_kind *kind, char *err)
{
	struct pattern_set set = { 0 };

	for (uint32_t n = 0; n < c->patterns; n++)
		if (match_but_sport(c->pattern[n], kind))
			set_pattern(&set, n);
	return class_of_set(&c->base, &set, err);
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
	for (uint32_t n = 0; n < c->patterns; n++)
		port_set_edges(c->pattern[n]->dport, starts);
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

/* The class of the messages of ICMP, or of ICMPv6, that have this type plus 1. */
static int class_icmp_type(struct compile *c, uint16_t icmp4, uint16_t icmp6, char *err)
{
	struct packet_kind kind = { .proto = IPPROTO_ICMP, .icmp4 = icmp4, .icmp6 = icmp6 };
	int class = class_for(c, &kind, err);

	if (class >= 0)
		c->policy->class_of_icmp[icmp6 != 0][(icmp4 | icmp6) - 1] = class;
	return class < 0 ? class : 0;
}

/* By type, where a pattern names one: those that none names have the class of their protocol. */
static int class_icmp(struct compile *c, char *err)
{
	struct weir_policy *policy = c->policy;
	int rc = 0;

	policy->icmp_types = 0;
	for (uint32_t type = 0; type < 256; type++)
		policy->class_of_icmp[0][type] = policy->class_of_icmp[1][type] =
			policy->class_of_proto[IPPROTO_ICMP];
	for (uint32_t n = 0; n < c->patterns && !rc; n++) {
		const struct weir_limit_spec *spec = c->pattern[n];

		policy->icmp_types |= spec->icmp4 || spec->icmp6;
		if (spec->icmp4)
			rc = class_icmp_type(c, spec->icmp4, 0, err);
		if (spec->icmp6 && !rc)
			rc = class_icmp_type(c, 0, spec->icmp6, err);
	}
	return rc;
}

/* ---- source ports ---- */

/* The patterns that the source port is in, with those for which it does not matter. */
static struct pattern_set patterns_from(const struct compile *c, uint16_t sport)
{
	struct pattern_set set = { 0 };

	for (uint32_t n = 0; n < c->patterns; n++)
		if (match_sport(c->pattern[n], sport))
			set_pattern(&set, n);
	return set;
}

/*
 * Gives each source port its group: the ports that are in the same patterns. Port 0, which no
 * pattern names, is of group 0. Sets @sets to their patterns. Returns how many groups there are, or
 * a negative errno with @err.
 */
static int group_sports(struct compile *c, struct pattern_set sets[WEIR_SPORT_GROUPS], char *err)
{
	uint8_t *starts = calloc(PORTS + 1, 1);	/* another group may start at this port */
	int groups = 0, group = 0;

	if (!starts)
		return fail(err, ENOMEM, "out of memory");
	starts[0] = 1;
	for (uint32_t n = 0; n < c->patterns; n++)
		port_set_edges(c->pattern[n]->sport, starts);
	for (uint32_t port = 0; port < PORTS && groups <= WEIR_SPORT_GROUPS; port++) {
		struct pattern_set set;

		if (starts[port]) {
			set = patterns_from(c, port);
			for (group = 0; group < groups; group++)
				if (!memcmp(&sets[group], &set, sizeof(set)))
					break;
			if (group == WEIR_SPORT_GROUPS)
				groups++;	/* one too many */
			else if (group == groups)
				sets[groups++] = set;
		}
		c->policy->sport_group[port] = group;
	}
	free(starts);
	if (groups > WEIR_SPORT_GROUPS)
		return fail(err, ENOSPC, "the limits divide source ports into more than %u groups; "
			    "use fewer different ports or ranges", WEIR_SPORT_GROUPS);
	return groups;
}

/* Sets the classes of packets of each class so far, by the group of their source port. */
static int class_sports(struct compile *c, char *err)
{
	struct pattern_set *sets = calloc(WEIR_SPORT_GROUPS, sizeof(*sets));
	int groups = sets ? group_sports(c, sets, err) : fail(err, ENOMEM, "out of memory");
	int class = 0;

	for (int group = 0; group < groups && class >= 0; group++) {
		for (uint32_t base = 0; base < c->base.count && class >= 0; base++) {
			struct pattern_set set = c->base.matched[base];

			for (size_t i = 0; i < sizeof(set.bits) / sizeof(set.bits[0]); i++)
				set.bits[i] &= sets[group].bits[i];
			class = class_of_set(&c->all, &set, err);
			c->policy->class_of_sport[group][base] = class;
		}
	}
	free(sets);
	if (groups < 0 || class < 0)
		return groups < 0 ? groups : class;
	c->policy->sport_groups = groups;
	return 0;
}

static bool any_sport(const struct compile *c)
{
	for (uint32_t n = 0; n < c->patterns; n++)
		if (c->pattern[n]->sport_first)
			return true;
	return false;
}

/* The tables of packets without ports have the class by all: that of no source port. */
static void class_without_sport(struct weir_policy *policy)
{
	const uint16_t *class_of = policy->class_of_sport[0];

	for (uint32_t i = 0; i < 256; i++) {
		policy->class_of_proto[i] = class_of[policy->class_of_proto[i]];
		policy->class_of_fragment[i] = class_of[policy->class_of_fragment[i]];
		for (uint32_t ipv6 = 0; ipv6 < 2; ipv6++)
			policy->class_of_icmp[ipv6][i] = class_of[policy->class_of_icmp[ipv6][i]];
	}
}

/* From the classes by all but the source port to those by all. Without source ports: the same. */
static int finish_classes(struct compile *c, char *err)
{
	struct weir_policy *policy = c->policy;
	int rc = 0;

	policy->sport_groups = 0;
	memset(policy->sport_group, 0, sizeof(policy->sport_group));
	memset(policy->class_of_sport, 0, sizeof(policy->class_of_sport));
	if (any_sport(c))
		rc = class_sports(c, err);
	else
		c->all = c->base;
	if (!rc && policy->sport_groups)
		class_without_sport(policy);
	policy->classes = c->all.count;
	return rc;
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

/* The class of such packets, as the data path finds it. */
static uint32_t class_of_kind(const struct weir_policy *policy, const struct packet_kind *kind)
{
	uint32_t class = class_of(policy, kind->what, kind->proto, kind->dport);
	uint16_t type = kind->icmp4 ? kind->icmp4 : kind->icmp6;

	if (class_has_ports(kind->what, kind->proto))
		return class_with_sport(policy, class, kind->sport);
	if (policy->icmp_types && type && kind->what != WEIR_FRAGMENT)
		return class_of_icmp(policy, kind->icmp6 != 0, type - 1);
	return class;
}

uint32_t budget_lookup(const struct weir_policy *policy, const struct prefix *to,
		       const struct packet_kind *kind)
{
	return budget_in_row(policy, find_destination(policy, to->hi, to->lo),
			     class_of_kind(policy, kind));
}

int policy_compile(struct weir_policy *policy, char *err)
{
	struct compile *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return fail(err, ENOMEM, "out of memory");
	c->policy = policy;
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
		rc = class_icmp(c, err);
	if (!rc)
		rc = finish_classes(c, err);
	if (!rc)
		fill_rows(c);
	if (!rc)
		rc = fill_destinations(c, err);
	if (!rc) {
		syn_compile(policy);
		dns_compile(policy);
		rc = rules_compile(policy, err);
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
	return limit_index(policy, row, class_of_kind(policy, kind));
}
