/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map of the program. weir.h and tool.h describe what stands in each and which side writes
 * it. A new map is also added to WEIR_MAPS in user/state/maps.h, so that the tool pins it.
 *
 * Arrays of cache lines are mmapable although few of them are mapped: only then do their values begin
 * on a page. Otherwise they begin behind struct bpf_array, at no multiple of 64 bytes, and each of
 * their lines lies in two of the processor's.
 */
#ifndef WEIR_BPF_MAPS_H
#define WEIR_BPF_MAPS_H

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

#include "bpf/pure/compiler.h"
#include "bpf/pure/dns.h"
#include "bpf/pure/rule_view.h"
#include "bpf/tool.h"
#include "bpf/weir.h"

/* ---- what tools read first ---- */

/* The ABI of the maps, and the secret that keys the gate and other hashes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_meta);
} meta SEC(".maps");

/* The attached devices; the program does not read it, only its own slot of counters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_DEVICES);
	__type(key, __u32);
	__type(value, struct weir_device);
} devices SEC(".maps");

/* Packets and bytes by reason, for each device and CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_DEVICES);
	__type(key, __u32);
	__type(value, struct weir_counters);
} counters SEC(".maps");

/* ---- settings ---- */

/* The side of the settings in force, and which of its maps may hold something for a source. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_hints);
} hints SEC(".maps");

/*
 * The two sides of allow, block, hosts, scopes, policy and blockset. Inner maps are declared
 * by the sizes of their keys and values: clang 14 names their types in BTF without
 * describing them.
 */
#define SIDE_MAP(name, inner_type, inner_key, inner_value, inner_flags, inner_max) \
	struct {                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                          \
		__uint(max_entries, WEIR_SIDES);                                   \
		__type(key, __u32);                                                \
		__array(values, struct {                                           \
			__uint(type, inner_type);                                  \
			__uint(map_flags, inner_flags);                            \
			__uint(max_entries, inner_max);                            \
			__uint(key_size, sizeof(inner_key));                       \
			__uint(value_size, sizeof(inner_value));                   \
		});                                                                \
	} name SEC(".maps");
WEIR_SIDE_MAPS(SIDE_MAP)
#undef SIDE_MAP

/* ---- limits ---- */

/* Upper bounds on the debt of every source, so that most need no bucket. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_GATE_LINES);
	__type(key, __u32);
	__type(value, struct weir_gate_line);
} gate SEC(".maps");

/* The exact debt of the sources near or over their limit. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_BUCKETS);
	__type(key, struct weir_bucket_key);
	__type(value, struct weir_bucket);
} buckets SEC(".maps");

/* ---- budgets ---- */

/* The debt of each budget, and the shares that it gives to networks under pressure. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_BUDGETS);
	__type(key, __u32);
	__type(value, struct weir_budget_state);
} budgets SEC(".maps");

/* What each CPU has taken from a budget and not yet used, and its counters. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_BUDGETS);
	__type(key, __u32);
	__type(value, struct weir_spending);
} spending SEC(".maps");

/* ---- drop rules ---- */

/* The debt of each rule that has a rate. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_RULES);
	__type(key, __u32);
	__type(value, struct weir_rule_bucket);
} rule_buckets SEC(".maps");

/* What each rule counted, and what each CPU has in hand of its rate. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_RULES);
	__type(key, __u32);
	__type(value, struct weir_rule_count);
} rule_counts SEC(".maps");

/* What rules look at in a packet, and the rules that may match it: one for each CPU, not pinned. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rule_view);
} rule_scratch SEC(".maps");

/* What all budgets and all answers with cookies share: pressure, and the debt of the answers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_common);
} common SEC(".maps");

/* Known sources: those that proved to be there, or were seen to behave in calm times. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * WEIR_KNOWN_LINES);
	__type(key, __u32);
	__type(value, struct weir_known_line);
} known SEC(".maps");

/* A Bloom filter in front of known, small enough for the cache. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_FILTER_LINES);
	__type(key, __u32);
	__type(value, struct weir_filter_line);
} known_filter SEC(".maps");

/* Known sources that exceeded their limit on a connection of their own. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_OFFENCES);
	__type(key, __u64);
	__type(value, struct weir_offence);
} offences SEC(".maps");

/* Sources that came within the last minute, noted under pressure only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_SEEN_CELLS);
	__type(key, __u32);
	__type(value, __u32);
} seen SEC(".maps");

/* What each network used of its shares, and the networks with the most drops. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_NETWORKS);
	__type(key, __u32);
	__type(value, struct weir_network);
} networks SEC(".maps");

/* ---- SYN cookies ---- */

/* How many SYNs were let through to each service that cookies protect, as a TAT. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_BEATS);
	__type(key, struct weir_service);
	__type(value, __u64);
} beats SEC(".maps");

/* SYNs that were dropped in the last seconds because a core had no time to answer them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_ASKED_LINES);
	__type(key, __u32);
	__type(value, struct weir_asked_line);
} asked SEC(".maps");

/* What SYNs take of each core's time, and what each CPU has in hand for answers. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_core_time);
} core_time SEC(".maps");

/* The headers of a SYN, then of the answer to it. */
struct syn_headers {
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
		__u32 ip_word[10];
	};
	union {
		struct tcphdr tcp;
		__u8 tcp_byte[84];	/* 60, and room for a length that is masked */
		__u32 tcp_word[21];
	};
};

/* One SYN's headers on each CPU, too large for the stack; the tool does not pin it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct syn_headers);
} scratch SEC(".maps");

/* ---- DNS ---- */

/* A query over UDP, then the answer to it. */
struct dns_headers {
	struct syn_headers ip;		/* its IP header */
	struct udphdr udp;		/* the message follows */
	struct dns_message message;
	struct dns_query query;
	__u32 len;			/* of the answer, UDP header included */
};

/* One query on each CPU, too large for the stack; the tool does not pin it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_headers);
} dns_scratch SEC(".maps");

/* ---- frames of the link ---- */

/* The debt of each device for ARP, neighbour discovery and what is not IP. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_DEVICES);
	__type(key, __u32);
	__type(value, struct weir_link);
} links SEC(".maps");

/* The debt of each neighbour for the same, and which neighbours were seen in calm times. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_NEIGHBOUR_LINES);
	__type(key, __u32);
	__type(value, struct weir_neighbours);
} neighbours SEC(".maps");

/* ---- for the tool ---- */

/* The readers of events: which packets each wants to see, and how few of them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_LISTENERS);
	__type(key, __u32);
	__type(value, struct weir_listener);
} listeners SEC(".maps");

/* A ring of events for each reader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_LISTENERS);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, WEIR_RING_BYTES);
	});
} events SEC(".maps");

/* The daemon's decisions; the program does not read it, and only creates it with the others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_JUDGEMENTS);
	__type(key, __u32);
	__type(value, struct weir_judgement);
} judgements SEC(".maps");

/* ---- entries of maps with one entry ---- */

static __always_inline struct weir_common *common_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&common, &zero);
}

static __always_inline struct weir_core_time *cpu_time(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&core_time, &zero);
}

static __always_inline struct syn_headers *scratch_headers(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline struct rule_view *scratch_view(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rule_scratch, &zero);
}

static __always_inline struct dns_headers *scratch_query(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dns_scratch, &zero);
}

#endif
