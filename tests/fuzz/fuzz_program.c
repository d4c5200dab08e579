// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole program over any frame, with anything in the maps: as `weir check` runs it
 * (user/state/dry_run.c), over elements that are made here. The program must stay within its
 * memory, end with one reason, and leave the frame alone unless it answers. An answer must be
 * well formed and not longer than the SYN.
 *
 *	u8 switches (and the policy), socket, flags, first_lost, seed, hints, entries, pokes
 *	pokes (at most 7), 8 bytes each: what is written over the content of an element
 *		u8 map, u8 kind, u16 offset, s32 value
 *	the frame
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/pure/hash.h"
#include "user/model/blockset.h"
#include "user/model/dns_rules.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/model/syn_rules.h"

/* From the @first_lost-th on, each swap is lost to another CPU; 255: none is. */
static unsigned int swaps, first_lost;

#define weir_swap(address, old, new)                                                             \
	(swaps++ >= first_lost ? ~(old) : __sync_val_compare_and_swap(address, old, new))

#include "user/state/dry_run.c"

#define NOW_NS		1000000000000000ULL	/* of a machine that is up for 11 days */
#define MS		1000000LL
#define POLICIES	4
#define ELEMENTS	96
#define POKES		7
#define FRAME_ALIGN	2	/* where a driver puts it: the IP header is aligned */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

struct poke {
	uint8_t map, kind;
	uint16_t offset;
	int32_t value;
};

enum { COOKIE = 1, NO_COOKIE = 2, FULL = 4, READERS = 8, NO_EVENT = 16, AGAIN = 32, NOT_AGAIN = 64,
       NO_SIDE = 128 };

/* Of the first byte, whose low bits name the policy. */
enum { BARE = 4, LINK_LIMIT = 8, MONITOR = 16, TRIAL = 32 };

static struct {
	uint8_t switches, socket, flags, seed, hints, entries;
	unsigned int pokes;
	struct poke poke[POKES];
} input;

/* ---- what the kernel would be asked for ---- */

int tcp_state(bool ipv6, const void *source, __be16 sport, const void *to, __be16 dport)
{
	(void)ipv6, (void)source, (void)sport, (void)to, (void)dport;
	abort();	/* the input says */
}

/* ---- settings, made once ---- */

static struct weir_policy *policies[POLICIES];
static struct weir_hints *all_hints;
static struct weir_line *set_lines;
static size_t set_count;

static void add_limit(struct weir_policy *to, struct weir_limit_spec spec, uint64_t packets,
		      uint64_t bits, uint64_t burst)
{
	char err[ERR_LEN];

	spec.per_s = 1;
	spec.rate_packets = packets;
	spec.burst_packets = packets ? burst : 0;
	spec.rate_bits_per_s = bits;
	spec.burst_bits = bits ? 20000 : 0;
	must(policy_set(to, &spec, 24, 56, 0, err) >= 0);
}

static void add_budget(struct weir_policy *to, const char *name, struct weir_limit_spec spec,
		       const char *where)
{
	struct prefix prefix;
	char err[ERR_LEN];

	spec.per_s = 1;
	spec.rate_packets = 100;
	if (where) {
		must(!prefix_parse(where, &prefix, NULL, err));
		prefix_to_key(&prefix, &spec.from);
		spec.rate_bits_per_s = 1000000;
	}
	must(budget_set(to, name, &spec, err) >= 0);
}

static void add_rule(struct weir_policy *to, uint16_t first, uint16_t last, bool always)
{
	struct weir_syn_rule rule = { .first = first, .last = last, .always = always,
				      .timestamps = 1, .ecn = 1, .wscale = 7 };
	char err[ERR_LEN];

	must(syn_set(to, &rule, err) >= 0);
}

static void add_dns(struct weir_policy *to, uint16_t port, bool always)
{
	struct weir_dns_rule rule = { .port = port, .always = always };
	char err[ERR_LEN];

	must(dns_set(to, &rule, err) >= 0);
}

/* Conditions of all kinds that seldom hold, so that other packets meet the stages behind. */
static void add_drops(struct weir_policy *to)
{
	const uint32_t all = WEIR_MATCH_SPORT | WEIR_MATCH_PROTO;
	struct weir_rule_spec spec = { .match = all, .proto = IPPROTO_UDP, .per_s = 1,
				       .sport = { { 123, 123 } } };
	char err[ERR_LEN];

	for (int i = 0; i < 6; i++) {
		snprintf(spec.name, sizeof(spec.name), "r%d", i);
		spec.match = i == 1 ? all | WEIR_MATCH_PAYLOAD : i == 2 ? all | WEIR_MATCH_L4 :
			     i == 3 ? all | WEIR_MATCH_FROM : i == 4 ? all | WEIR_MATCH_TO : all;
		spec.payload = (struct weir_rule_bytes){ 0x17, 0xff, 0, i == 1, 0 };
		spec.l4 = (struct weir_rule_bytes){ 0x0017, 0xffff, 6, i == 2 ? 2 : 0, 0 };
		spec.from.prefixlen = spec.to.prefixlen = 4;
		spec.monitor = i == 0;
		spec.spare = i % 3;
		spec.rate_packets = i == 5 ? 100 : 0;
		spec.until_ns = i == 4 ? NOW_NS - MS : 0;
		must(rule_set(to, &spec, err) >= 0);
	}
}

/* 0: nothing; 1: limits, budgets and drop rules; 2: cookies, DNS and a budget; 3: all of it. */
static void fill_policy(struct weir_policy *to, int number)
{
	char err[ERR_LEN];

	to->next_serial = 1;
	if (number & 1) {
		add_limit(to, (struct weir_limit_spec){ .any_proto = 1 }, 100, 0, 100);
		add_limit(to, (struct weir_limit_spec){ .proto = IPPROTO_UDP }, 1, 0, 1);
		add_limit(to, (struct weir_limit_spec){ .proto = IPPROTO_ICMP }, 0, 10000, 0);
		add_limit(to, (struct weir_limit_spec){ .any_proto = 1, .what = WEIR_FRAGMENT }, 2,
			  10000, 2);
		add_limit(to, (struct weir_limit_spec){ .any_proto = 1, .sport_first = 53,
							.sport_last = 1023 }, 3, 0, 3);
		add_limit(to, (struct weir_limit_spec){ .proto = IPPROTO_ICMP, .icmp4 = 8 + 1,
							.icmp6 = 128 + 1 }, 2, 0, 2);
		add_budget(to, "a", (struct weir_limit_spec){ .any_proto = 1 }, NULL);
		add_budget(to, "b", (struct weir_limit_spec){ .proto = IPPROTO_TCP },
			   "198.51.100.0/24");
		add_drops(to);
		add_budget(to, "d", (struct weir_limit_spec){ .proto = IPPROTO_TCP,
			   .what = WEIR_SYN, .dport_first = 8000, .dport_last = 8000,
			   .sport_first = 1024, .sport_last = 2047 }, NULL);
	}
	if (number & 2) {
		add_rule(to, 80, 80, true);
		add_rule(to, 8000, 8010, false);
		add_dns(to, 53, true);
		add_dns(to, 54, false);
		add_budget(to, "c", (struct weir_limit_spec){ .proto = IPPROTO_TCP,
							      .what = WEIR_SYN }, NULL);
	}
	must(!policy_compile(to, err));
	syn_compile(to);
	dns_compile(to);
}

static struct weir_line *take_lines(void *ctx, size_t lines)
{
	(void)ctx;
	set_count = lines;
	set_lines = calloc(lines, sizeof(*set_lines));
	must(set_lines);
	return set_lines;
}

static void make_set(void)
{
	static const char *const blocked[] = { "192.0.2.7", "192.0.2.128/25", "10.0.0.0/9",
					       "2001:db8:0:7::/64", "2001:db9::/32" };
	struct prefixes set = { 0 };
	struct prefix prefix;
	char err[ERR_LEN];

	for (size_t i = 0; i < sizeof(blocked) / sizeof(*blocked); i++)
		must(!prefix_parse(blocked[i], &prefix, NULL, err) && !prefixes_add(&set, &prefix));
	must(!prefixes_merge(&set) && !blockset_compile(&set, 1, 1, take_lines, NULL, err));
	prefixes_free(&set);
}

static void make_settings(void)
{
	for (int i = 0; i < POLICIES; i++) {
		policies[i] = calloc(1, sizeof(**policies));
		must(policies[i]);
		fill_policy(policies[i], i);
	}
	all_hints = calloc(1, sizeof(*all_hints));
	must(all_hints);
	make_set();
}

/* The switches of bpf/rodata.h are constants of the program: their page is made writable. */
static void set_switch(const volatile void *at, uint64_t value, size_t bytes)
{
	uintptr_t page = (uintptr_t)at & ~((uintptr_t)getpagesize() - 1);
	static uintptr_t writable;

	if (page != writable)
		must(!mprotect((void *)page, 2 * getpagesize(), PROT_READ | PROT_WRITE));
	writable = page;
	asm volatile("" : "+r"(at));	/* a store to a constant would be removed */
	memcpy((void *)at, &value, bytes);
}

#define SWITCH(name, value) set_switch(&name, value, sizeof(name))

static void set_switches(void)
{
	SWITCH(bare, !!(input.switches & BARE));
	SWITCH(link_cost, input.switches & LINK_LIMIT ? WEIR_TICKS_PER_S / 10000 : 0);
	SWITCH(monitor, !!(input.switches & MONITOR));
	SWITCH(try_until_ns, input.switches & TRIAL ? 1 : 0);
	SWITCH(monitor_after, !!(input.switches & TRIAL));
}

/* ---- elements: each in memory of its exact size ---- */

struct element {
	const struct map_view *view;
	uint8_t key[COPIES_KEY];
	uint8_t *value;
	bool shared;		/* one of make_settings(): large, so it is not made for each run */
};

static struct element elements[ELEMENTS];
static size_t element_count;

/* What pokes have changed of those, to be put back. */
static struct {
	uint8_t *at;
	uint64_t was;
	uint32_t bytes;
} undo[2 * WEIR_SIDES * POKES];
static size_t undo_count;

/* Sizes as bpf/maps.h and WEIR_SIDE_MAPS declare them. */
struct shape {
	uint32_t key, value, entries;
	bool sparse;		/* there may be no such element */
};

#define COUNT_OF(map) (sizeof(*(map).max_entries) / sizeof(int))
#define ARRAY_SHAPE(map) \
	case MAP_##map: return (struct shape){ sizeof(__u32), sizeof(*map.value), COUNT_OF(map) }
#define SIDE_SHAPE(name, type, key, value, flags, max) \
	case MAP_##name: return (struct shape){ sizeof(key), sizeof(value), UINT32_MAX, true };

static struct shape shape_of(const struct map_view *view)
{
	switch (view->outer) {
	ARRAY_SHAPE(meta);
	ARRAY_SHAPE(counters);
	ARRAY_SHAPE(gate);
	ARRAY_SHAPE(budgets);
	ARRAY_SHAPE(spending);
	ARRAY_SHAPE(common);
	ARRAY_SHAPE(known);
	ARRAY_SHAPE(known_filter);
	ARRAY_SHAPE(seen);
	ARRAY_SHAPE(networks);
	ARRAY_SHAPE(beats);
	ARRAY_SHAPE(asked);
	ARRAY_SHAPE(core_time);
	ARRAY_SHAPE(listeners);
	ARRAY_SHAPE(links);
	ARRAY_SHAPE(neighbours);
	ARRAY_SHAPE(rule_buckets);
	ARRAY_SHAPE(rule_counts);
	WEIR_SIDE_MAPS(SIDE_SHAPE)
	case MAP_hints:
		return (struct shape){ sizeof(__u32), sizeof(struct weir_hints), 1 };
	case MAP_offences:
		return (struct shape){ sizeof(__u64), sizeof(struct weir_offence), UINT32_MAX, true };
	case MAP_buckets:
		return (struct shape){ sizeof(struct weir_bucket_key), sizeof(struct weir_bucket),
				       UINT32_MAX, true };
	default:
		abort();	/* no map that the program looks into */
	}
}

static uint64_t mix_of(const struct map_view *view, const void *key, uint32_t size)
{
	uint64_t hash = input.seed + view->outer * 0x9e3779b97f4a7c15ULL;

	for (uint32_t i = 0; i < size; i++)
		hash = weir_mix(hash ^ ((const uint8_t *)key)[i]);
	return hash;
}

/* Nothing, times and debts about now, or any bytes. */
static void fill_value(uint8_t *value, uint32_t size, uint64_t random)
{
	uint64_t word;

	if (input.seed < 64)
		return;
	for (uint32_t at = 0; at + 8 <= size; at += 8) {
		random = weir_mix(random + at);
		if (random & 1)
			continue;
		if (input.seed >= 192)
			word = weir_mix(random);
		else if (random & 2)
			word = NOW_NS + (int8_t)(random >> 8) * 10 * MS;
		else
			word = (NOW_NS << WEIR_TICK_SHIFT) + (int64_t)(random >> 8) % (1LL << 36);
		memcpy(value + at, &word, 8);
	}
}

static void apply_pokes(uint32_t map, uint8_t *value, uint32_t size, bool shared)
{
	for (unsigned int i = 0; i < input.pokes; i++) {
		const struct poke *poke = &input.poke[i];
		uint64_t word = poke->value;
		uint32_t bytes = 8, at;

		if (poke->map % MAP_COUNT != map)
			continue;
		if (poke->kind % 4 == 0)
			bytes = 1;
		else if (poke->kind % 4 == 1)
			bytes = 4;
		else if (poke->kind % 4 == 2)
			word = NOW_NS + poke->value * MS;
		else
			word = (NOW_NS + poke->value * MS) << WEIR_TICK_SHIFT;
		if (bytes > size)
			bytes = size;
		at = (poke->offset * (poke->kind & 64 ? 64U : 1U)) % (size - bytes + 1);
		if (shared) {
			undo[undo_count].at = value + at;
			undo[undo_count].bytes = bytes;
			memcpy(&undo[undo_count++].was, value + at, bytes);
		}
		memcpy(value + at, &word, bytes);
	}
}

static struct element *new_element(const struct map_view *view, const void *key)
{
	struct element *element;

	must(element_count < ELEMENTS);
	element = &elements[element_count++];
	*element = (struct element){ .view = view };
	memcpy(element->key, key, shape_of(view).key);
	return element;
}

static void *share_element(const struct map_view *view, const void *key)
{
	struct element *element = new_element(view, key);

	element->shared = true;
	element->value = view->outer == MAP_hints ? (void *)all_hints :
						    policies[input.switches % POLICIES];
	apply_pokes(view->outer, element->value, shape_of(view).value, true);
	return element->value;
}

static void *add_element(const struct map_view *view, const void *key, const void *value)
{
	struct element *element = new_element(view, key);
	uint32_t size = shape_of(view).value;

	element->value = calloc(1, size);
	must(element->value);
	if (value)
		memcpy(element->value, value, size);
	return element->value;
}

static void *make_element(const struct map_view *view, const void *key, struct shape shape)
{
	uint64_t random = mix_of(view, key, shape.key);
	uint8_t *value;

	if (view->outer == MAP_policy || view->outer == MAP_hints)
		return share_element(view, key);
	if (shape.sparse && (random & 0xff) >= input.entries)
		return NULL;
	value = add_element(view, key, NULL);
	if (view->outer == MAP_blockset && !(input.seed & 1))
		memcpy(value, &set_lines[*(const uint32_t *)key], shape.value);
	else
		fill_value(value, shape.value, random);
	apply_pokes(view->outer, value, shape.value, false);
	return value;
}

/* What user/state/copies.c does with real maps. */
void *copies_find(struct copies *copies, struct map_view *view, const void *key)
{
	uint32_t index = *(const uint32_t *)key;
	struct shape shape;

	if (view >= copies->outer && view < copies->outer + MAP_COUNT) {
		bool is_side = false;

		if (view->outer == MAP_events)
			return view;
#define M(name, ...) is_side |= view->outer == MAP_##name;
		WEIR_SIDE_MAPS(M)
#undef M
		if (is_side)
			return index >= WEIR_SIDES || (input.flags & NO_SIDE && index) ? NULL :
			       &copies->inner[view->outer % (SIDE_MAPS * WEIR_SIDES)];
	}
	shape = shape_of(view);
	if (view->outer == MAP_policy)
		shape.entries = 1;
	if (view->outer == MAP_blockset)
		shape.entries = set_count;
	if (!shape.sparse || view->outer == MAP_policy || view->outer == MAP_blockset)
		if (index >= shape.entries)
			return NULL;
	for (size_t i = 0; i < element_count; i++)
		if (elements[i].view == view && !memcmp(elements[i].key, key, shape.key))
			return elements[i].value;
	return make_element(view, key, shape);
}

int copies_add(struct copies *copies, struct map_view *view, const void *key, const void *value)
{
	(void)copies;
	if (input.flags & FULL)
		return -1;
	add_element(view, key, value);
	return 0;
}

void copies_rewind(struct copies *copies)
{
	(void)copies;
}

static void forget_elements(void)
{
	while (undo_count > 0) {
		undo_count--;
		memcpy(undo[undo_count].at, &undo[undo_count].was, undo[undo_count].bytes);
	}
	for (size_t i = 0; i < element_count; i++)
		if (!elements[i].shared)
			free(elements[i].value);
	element_count = 0;
}

/* ---- a run ---- */

/* Where the IP header of an answer is. @type: its ethertype. */
static uint32_t answer_at(const struct dry_run *this, const uint8_t *was, __be16 *type)
{
	const struct ethhdr *eth = (const void *)this->frame;
	uint32_t at = bare ? 0 : sizeof(*eth);

	*type = !bare ? eth->h_proto : be16(*this->frame >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	while (*type == be16(ETH_P_8021Q) || *type == be16(ETH_P_8021AD)) {
		memcpy(type, this->frame + at + 2, 2);
		at += 4;
	}
	must(bare || !memcmp(this->frame + 12, was + 12, at - 12));
	return at;
}

/* A truncated answer: not longer than the query, and with right sums. */
static void check_truncated(const struct dry_run *this, const uint8_t *was)
{
	struct dns_headers answer = { 0 };
	uint32_t at, ip_len, len, was_len;
	struct syn_headers query;
	__be16 type;
	int ipv6;

	at = answer_at(this, was, &type);
	ipv6 = type == be16(ETH_P_IPV6);
	ip_len = ipv6 ? sizeof(query.v6) : sizeof(query.v4);
	memcpy(&query.v6, was + at, ip_len);
	memcpy(&answer.ip.v6, this->frame + at, ip_len);
	memcpy(&answer.udp, this->frame + at + ip_len, sizeof(answer.udp));
	len = be16(answer.udp.len);
	was_len = ipv6 ? ip_len + be16(query.v6.payload_len) : be16(query.v4.tot_len);
	must(len >= sizeof(answer.udp) + DNS_LEAST && ip_len + len <= was_len);
	must(len <= sizeof(answer.udp) + DNS_ANSWER_MAX && at + was_len <= this->size);
	memcpy(&answer.message, this->frame + at + ip_len + sizeof(answer.udp),
	       len - sizeof(answer.udp));
	must(answer.message.byte[2] & DNS_QR && answer.message.byte[2] & DNS_TC);
	must(ipv6 ? be16(answer.ip.v6.payload_len) == len && answer.ip.v6.nexthdr == IPPROTO_UDP :
		    answer.ip.v4.ihl == 5 && be16(answer.ip.v4.tot_len) == ip_len + len &&
			    !fold(ipv4_sum(&answer.ip)));
	must(answer.udp.check && udp_sum(&answer, ipv6, len) == 0xffff);
}

static void check_answer(const struct dry_run *this, const uint8_t *was)
{
	struct syn_headers headers;
	uint32_t at, len, ip_len;
	__be16 type;

	at = answer_at(this, was, &type);
	ip_len = type == be16(ETH_P_IPV6) ? sizeof(headers.v6) : sizeof(headers.v4);
	memcpy(&headers.v6, this->frame + at, ip_len);
	memcpy(&headers.tcp, this->frame + at + ip_len, sizeof(headers.tcp));
	len = headers.tcp.doff * 4;
	must(len >= sizeof(headers.tcp) && len <= TCP_HEADER_MAX && at + ip_len + len <= this->size);
	memcpy(headers.tcp_byte, this->frame + at + ip_len, len);
	must(headers.tcp.syn && headers.tcp.ack && !headers.tcp.rst && !headers.tcp.fin);
	if (ip_len == sizeof(headers.v4))
		must(headers.v4.ihl == 5 && be16(headers.v4.tot_len) == ip_len + len &&
		     !fold(ipv4_sum(&headers)));
	else
		must(be16(headers.v6.payload_len) == len);
	must(!tcp_sum(&headers, ip_len == sizeof(headers.v6), len));
}

static int action_for(enum weir_reason reason)
{
	static const uint8_t actions[] = {
#define R(id, name, action) XDP_##action,
		WEIR_REASONS(R)
#undef R
	};

	return actions[reason];
}

static void check_run(const struct dry_run *this, const struct weir_counters *before,
		      const uint8_t *was, int action)
{
	__u32 zero = 0;
	struct weir_counters *cpu = bpf_map_lookup_elem(&counters, &zero);
	int reason = WEIR_REASON_MAX;

	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		uint64_t packets = cpu->reason[i].packets - before->reason[i].packets;

		must(packets <= 1 && (!packets || reason == WEIR_REASON_MAX));
		must(cpu->reason[i].bytes - before->reason[i].bytes == packets * this->size);
		reason = packets ? i : reason;
	}
	must(reason < WEIR_REASON_MAX);
	must(action == (input.switches & (MONITOR | TRIAL) ? XDP_PASS : action_for(reason)));
	if (action == XDP_TX && reason == WEIR_TX_DNS)
		check_truncated(this, was);
	else if (action == XDP_TX)
		check_answer(this, was);
	else
		must(!memcmp(this->frame, was, this->size));
}

static void run_frame(const uint8_t *data, size_t size)
{
	static struct weir_event event;
	static struct copies copies;
	struct dry_run this = { .copies = &copies, .size = size, .now_ns = NOW_NS,
				.coarse_ns = NOW_NS - NOW_NS % (4 * MS) };
	uint8_t *room = malloc(FRAME_ALIGN + size), *exact = room + FRAME_ALIGN;
	struct dry_frame frame = { exact, exact + size };
	struct weir_counters before;
	struct weir_hints *readers;
	__u32 zero = 0;
	int action;

	must(room);
	memcpy(exact, data, size);
	memcpy(this.frame, data, size);
	for (uint32_t i = 0; i < MAP_COUNT; i++)
		copies.outer[i] = (struct map_view){ .outer = i };
	for (uint32_t i = 0; i < MAP_COUNT; i++)
		copies.inner[i % (SIDE_MAPS * WEIR_SIDES)].outer = UINT32_MAX;
#define M(name, ...) copies.inner[MAP_##name % (SIDE_MAPS * WEIR_SIDES)].outer = MAP_##name;
	WEIR_SIDE_MAPS(M)
#undef M
	this.socket = input.socket % 13;
	this.cookie = input.flags & COOKIE;
	this.no_cookie = input.flags & NO_COOKIE;
	this.again = input.flags & AGAIN ? 1 : input.flags & NOT_AGAIN ? 0 : DRY_ASK;
	this.event = input.flags & NO_EVENT ? NULL : &event;
	run = &this;
	readers = bpf_map_lookup_elem(&hints, &zero);
	memset(readers->v4, input.hints, sizeof(readers->v4) + sizeof(readers->v6));
	readers->listeners = input.flags & READERS ? input.hints : 0;
	before = *(struct weir_counters *)bpf_map_lookup_elem(&counters, &zero);
	swaps = 0;
	set_switches();
	action = weir_ingress(&frame);
	check_run(&this, &before, data, action);
	forget_elements();
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!policies[0])
		make_settings();
	if (size < 8)
		return 0;
	input.switches = data[0];
	input.socket = data[1];
	input.flags = data[2];
	first_lost = data[3] == 255 ? ~0U : data[3];
	input.seed = data[4];
	input.hints = data[5];
	input.entries = data[6];
	input.pokes = data[7] % (POKES + 1);
	data += 8;
	size -= 8;
	if (size < input.pokes * sizeof(struct poke))
		return 0;
	memcpy(input.poke, data, input.pokes * sizeof(struct poke));
	data += input.pokes * sizeof(struct poke);
	size -= input.pokes * sizeof(struct poke);
	if (size < DRY_FRAME_MAX)
		run_frame(data, size);
	return 0;
}
