// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bucket.h"
#include "user/error.h"
#include "user/policy.h"
#include "user/syn.h"

#define BURST_TICKS_MAX	(30 * 86400 * WEIR_TICKS_PER_S)
#define FRAME_BYTES	1514	/* a full Ethernet frame without FCS */
/*
 * The coarse clock stands still for up to 10 ms (CONFIG_HZ=100). A source that keeps
 * to its rate then seems to owe that much, and must still be below half its burst.
 */
#define COARSE_TICKS	(WEIR_TICKS_PER_S / 50)

/* ---- which packets a limit is for ---- */

static bool same_class(const struct weir_limit_spec *a, const struct weir_limit_spec *b)
{
	return a->what == b->what && a->any_proto == b->any_proto &&
	       (a->any_proto || a->proto == b->proto) && a->dport_first == b->dport_first &&
	       a->dport_last == b->dport_last;
}

static bool same_source(const struct weir_prefix *a, const struct weir_prefix *b)
{
	return a->prefixlen == b->prefixlen && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

static bool matches(const struct weir_limit_spec *spec, const struct packet_kind *kind)
{
	if (spec->what != WEIR_ANY_PACKET && spec->what != kind->what)
		return false;
	if (!spec->any_proto && spec->proto != kind->proto)
		return false;
	if (!spec->dport_first)
		return true;
	return kind->what != WEIR_FRAGMENT && kind->dport >= spec->dport_first &&
	       kind->dport <= spec->dport_last;
}

/*
 * The more particular class first: what the packet does (syn, fragment) before
 * where it goes, the narrower range of ports before the wider, and a protocol
 * before any. Of two ranges as narrow, the lower one.
 */
static int more_particular(const struct weir_limit_spec *a, const struct weir_limit_spec *b)
{
	int width_a = a->dport_first ? a->dport_last - a->dport_first : 65536;
	int width_b = b->dport_first ? b->dport_last - b->dport_first : 65536;

	if ((a->what != WEIR_ANY_PACKET) != (b->what != WEIR_ANY_PACKET))
		return a->what != WEIR_ANY_PACKET ? -1 : 1;
	if (width_a != width_b)
		return width_a < width_b ? -1 : 1;
	if (a->any_proto != b->any_proto)
		return a->any_proto ? 1 : -1;
	if (a->dport_first != b->dport_first)
		return a->dport_first < b->dport_first ? -1 : 1;
	if (a->what != b->what)
		return a->what < b->what ? -1 : 1;
	return a->proto - b->proto;
}

int policy_order(const struct weir_policy *policy, const uint32_t *a, const uint32_t *b)
{
	const struct weir_limit_spec *x = &policy->spec[*a], *y = &policy->spec[*b];
	int order = memcmp(x->from.addr, y->from.addr, sizeof(x->from.addr));

	if (x->from.prefixlen == 0 || y->from.prefixlen == 0)
		order = (x->from.prefixlen != 0) - (y->from.prefixlen != 0);
	if (!order)
		order = (x->from.prefixlen > y->from.prefixlen) -
			(x->from.prefixlen < y->from.prefixlen);
	return order ? order : more_particular(x, y);
}

uint32_t policy_find(const struct weir_policy *policy, const struct weir_limit_spec *spec)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (policy->spec[i].used && same_source(&policy->spec[i].from, &spec->from) &&
		    same_class(&policy->spec[i], spec))
			return i;
	return 0;
}

/* ---- from rates to ticks ---- */

static int fill_bursts(struct weir_limit_spec *spec, char *err)
{
	if (spec->rate_packets && !spec->burst_packets)
		spec->burst_packets = spec->rate_packets >= 20 ? spec->rate_packets / 10 : 2;
	if (spec->rate_bits_per_s && !spec->burst_bits) {
		spec->burst_bits = spec->rate_bits_per_s / 10;
		if (spec->burst_bits < 65536 * 8)
			spec->burst_bits = 65536 * 8;
	}
	if (spec->burst_packets && !spec->rate_packets)
		return fail(err, EINVAL, "burst %llu: a burst of packets needs a rate of packets",
			    (unsigned long long)spec->burst_packets);
	if (spec->burst_bits && !spec->rate_bits_per_s)
		return fail(err, EINVAL, "burst %llubit: a burst of bits needs a rate of bits",
			    (unsigned long long)spec->burst_bits);
	if (spec->burst_bits && spec->burst_bits < FRAME_BYTES * 8)
		return fail(err, EINVAL, "burst %llubit: no full frame would ever pass; at least %dbit",
			    (unsigned long long)spec->burst_bits, FRAME_BYTES * 8);
	return 0;
}

static int fill_ticks(struct weir_limit *limit, const struct weir_limit_spec *spec, char *err)
{
	unsigned __int128 burst, byte_burst;

	limit->cost = limit->byte_cost = 0;
	if (spec->rate_packets)
		limit->cost = (spec->per_s * WEIR_TICKS_PER_S + spec->rate_packets / 2) /
			      spec->rate_packets;
	if (spec->rate_bits_per_s)
		limit->byte_cost = (8 * WEIR_TICKS_PER_S << WEIR_BYTE_COST_SHIFT) /
				   spec->rate_bits_per_s;
	burst = (unsigned __int128)limit->cost * spec->burst_packets;
	byte_burst = (unsigned __int128)limit->byte_cost * (spec->burst_bits / 8) >>
		     WEIR_BYTE_COST_SHIFT;
	if (burst > BURST_TICKS_MAX || byte_burst > BURST_TICKS_MAX)
		return fail(err, ERANGE, "the burst is more than 30 days of the rate");

	limit->burst = burst;
	limit->byte_burst = byte_burst;
	limit->cap = burst > byte_burst ? burst : byte_burst;
	limit->half = limit->cap / 2;
	if (limit->cost && limit->byte_cost)
		limit->half = (burst < byte_burst ? burst : byte_burst) / 2;
	limit->coarse = 2 * limit->half >= COARSE_TICKS;
	return 0;
}

/*
 * Those without a bucket may owe up to half the old burst, and the gate counts
 * it in ticks of the old rate. Where that is more under the new rate or burst,
 * nobody is taken to owe less until it has drained.
 */
static uint64_t floor_after(const struct weir_limit *was, const struct weir_limit *is, uint64_t now)
{
	uint64_t owed = was->half, packets, bytes;

	if (was->floor > now && was->floor - now > owed)
		owed = was->floor - now;
	packets = was->cost && is->cost ? debt_rescale(owed, was->cost, is->cost) : 0;
	bytes = was->byte_cost && is->byte_cost ?
			debt_rescale(owed, was->byte_cost, is->byte_cost) : 0;
	if (packets <= owed && bytes <= owed && owed <= is->half)
		return was->floor > now ? was->floor : 0;
	owed = packets > bytes ? packets : bytes;
	return now + (owed < is->cap ? owed : is->cap);
}

static uint32_t free_slot(const struct weir_policy *policy)
{
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		if (!policy->spec[i].used)
			return i;
	return 0;
}

int policy_set(struct weir_policy *policy, const struct weir_limit_spec *wanted, uint8_t v4_bits,
	       uint8_t v6_bits, uint64_t now, char *err)
{
	struct weir_limit_spec spec = *wanted;
	struct weir_limit limit = { .v4_bits = v4_bits, .v6_bits = v6_bits };
	uint32_t index = policy_find(policy, wanted);
	struct weir_limit *was = &policy->limit[index];
	int rc;

	spec.used = 1;
	rc = fill_bursts(&spec, err);
	if (!rc)
		rc = fill_ticks(&limit, &spec, err);
	if (rc)
		return rc;

	if (index) {
		if (!memcmp(&policy->spec[index], &spec, sizeof(spec)) &&
		    was->v4_bits == v4_bits && was->v6_bits == v6_bits)
			return 0;
		limit.serial = was->serial;
		limit.floor = floor_after(was, &limit, now);
	} else {
		index = free_slot(policy);
		if (!index)
			return fail(err, ENOSPC, "there are %u limits already; remove one first",
				    WEIR_LIMITS - 1);
		limit.serial = ++policy->next_serial;
	}
	policy->limit[index] = limit;
	policy->spec[index] = spec;
	return 1;
}

/* ---- budgets ---- */

/*
 * The clock of budgets is coarse, and first-seen sources may use a quarter of the
 * burst: that quarter must last from one step of the clock to the next, and
 * hold a packet.
 */
#define BUDGET_BURST_TICKS	(WEIR_TICKS_PER_S / 25)
#define BUDGET_BURST_PACKETS	8
#define BUDGET_BURST_BITS	(4 * FRAME_BYTES * 8)

static int check_budget_burst(const struct weir_limit *limit, const struct weir_limit_spec *spec,
			      char *err)
{
	if ((limit->cost && limit->burst < BUDGET_BURST_TICKS) ||
	    (limit->byte_cost && limit->byte_burst < BUDGET_BURST_TICKS))
		return fail(err, EINVAL, "the burst of a budget must be at least 40 ms of its rate");
	if (spec->rate_packets && spec->burst_packets < BUDGET_BURST_PACKETS)
		return fail(err, EINVAL, "burst %llu: of a budget, at least %d packets",
			    (unsigned long long)spec->burst_packets, BUDGET_BURST_PACKETS);
	if (spec->rate_bits_per_s && spec->burst_bits < BUDGET_BURST_BITS)
		return fail(err, EINVAL, "burst %llubit: of a budget, at least %dbit",
			    (unsigned long long)spec->burst_bits, BUDGET_BURST_BITS);
	return 0;
}

uint32_t budget_find(const struct weir_policy *policy, const char *name)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used && !strcmp(policy->budget_spec[i].name, name))
			return i;
	return 0;
}

/* Another budget for the very same packets: one of the two would never be asked. */
static uint32_t same_budget(const struct weir_policy *policy, const struct weir_limit_spec *spec,
			    uint32_t but)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (i != but && policy->budget_spec[i].limit.used &&
		    same_source(&policy->budget_spec[i].limit.from, &spec->from) &&
		    same_class(&policy->budget_spec[i].limit, spec))
			return i;
	return 0;
}

static uint32_t free_budget(const struct weir_policy *policy)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (!policy->budget_spec[i].limit.used)
			return i;
	return 0;
}

int budget_set(struct weir_policy *policy, const char *name, const struct weir_limit_spec *wanted,
	       char *err)
{
	struct weir_budget_spec spec = { .limit = *wanted };
	uint32_t index = budget_find(policy, name), twin;
	struct weir_limit limit = { 0 };
	int rc;

	spec.limit.used = 1;
	snprintf(spec.name, sizeof(spec.name), "%s", name);
	if (spec.limit.rate_packets && !spec.limit.burst_packets &&
	    spec.limit.rate_packets / 10 < BUDGET_BURST_PACKETS)
		spec.limit.burst_packets = BUDGET_BURST_PACKETS;
	rc = fill_bursts(&spec.limit, err);
	if (!rc)
		rc = fill_ticks(&limit, &spec.limit, err);
	if (!rc)
		rc = check_budget_burst(&limit, &spec.limit, err);
	if (rc)
		return rc;
	twin = same_budget(policy, &spec.limit, index);
	if (twin)
		return fail(err, EEXIST, "budget %s is for the same packets already",
			    policy->budget_spec[twin].name);
	if (index && !memcmp(&policy->budget_spec[index], &spec, sizeof(spec)))
		return 0;
	if (!index)
		index = free_budget(policy);
	if (!index)
		return fail(err, ENOSPC, "there are %u budgets already; remove one first",
			    WEIR_BUDGETS - 1);
	policy->budget[index] = limit;
	policy->budget_spec[index] = spec;
	return 1;
}

void budget_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->budget[index], 0, sizeof(policy->budget[index]));
	memset(&policy->budget_spec[index], 0, sizeof(policy->budget_spec[index]));
}

void budgets_replace(struct weir_policy *policy, const struct weir_policy *wanted)
{
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++)
		if (policy->budget_spec[i].limit.used &&
		    !budget_find(wanted, policy->budget_spec[i].name))
			budget_remove(policy, i);
	for (uint32_t i = 1; i < WEIR_BUDGETS; i++) {
		uint32_t slot = budget_find(policy, wanted->budget_spec[i].name);

		if (!wanted->budget_spec[i].limit.used)
			continue;
		if (!slot)
			slot = free_budget(policy);	/* there is one: they have as many */
		policy->budget[slot] = wanted->budget[i];
		policy->budget_spec[slot] = wanted->budget_spec[i];
	}
}

void policy_remove(struct weir_policy *policy, uint32_t index)
{
	memset(&policy->limit[index], 0, sizeof(policy->limit[index]));
	memset(&policy->spec[index], 0, sizeof(policy->spec[index]));
}

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

	while (n < c->patterns && !same_class(c->pattern[n].spec, spec))
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
		if (matches(c->pattern[n].spec, kind))
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

	while (row < policy->scopes && !same_source(&policy->scope[row], from))
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

		if (!same_source(&policy->spec[limits[n]].from, &policy->scope[row]))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++) {
			if (!class_matches(c, class, pattern))
				continue;
			if (!own[class] || more_particular(&policy->spec[limits[n]],
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

		if (!spec->used || spec->from.prefixlen == 0)
			continue;
		while (n < count && !same_source(to[n], &spec->from))
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

		if (!spec->used || !same_source(&spec->from, to))
			continue;
		for (uint32_t class = 0; class < policy->classes; class++)
			if (class_matches(c, class, c->pattern_of_budget[i]) &&
			    (!own[class] ||
			     more_particular(spec, &policy->budget_spec[own[class]].limit) < 0))
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
