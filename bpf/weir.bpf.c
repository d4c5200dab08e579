// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir: the data path. The maps, and a packet's journey through them.
 *
 * Each stage answers with a reason, or with WEIR_CONTINUE to hand the packet on
 * to the next; conclude() turns the reason into an action. Cheap and certain
 * stages come first.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/pure/compiler.h"
#include "bpf/pure/packet.h"

/* Set by the tool before it loads the program, one program for each device. */
const volatile __u32 device_slot;	/* index into devices and counters */
const volatile __u8 monitor;		/* 1: count what would drop, drop nothing */
const volatile __u64 try_until_ns;	/* 0: for good; from then on it is monitor_after that counts */
const volatile __u8 monitor_after;
const volatile __u16 mtu = 1500;	/* of the device, when the program was loaded */
const volatile __u8 minute_shift = WEIR_MINUTE_SHIFT;	/* shorter in tests */
const volatile __u8 answer_weight = 2;	/* see shortage.h; 0 in tests: no core is ever short of time */

/*
 * weir.h says what each map holds and who writes it. Inner maps are given by
 * size: clang 14 names their types in BTF without describing them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_meta);
} meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_DEVICES);
	__type(key, __u32);
	__type(value, struct weir_device);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_DEVICES);
	__type(key, __u32);
	__type(value, struct weir_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_hints);
} hints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_SIDES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(max_entries, WEIR_ENTRIES);
		__uint(key_size, sizeof(struct weir_prefix));
		__uint(value_size, sizeof(struct weir_entry));
	});
} allow SEC(".maps"), block SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_SIDES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(max_entries, 1);
		__uint(key_size, sizeof(__u64));
		__uint(value_size, sizeof(struct weir_entry));
	});
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_SIDES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(max_entries, WEIR_SCOPES);
		__uint(key_size, sizeof(struct weir_prefix));
		__uint(value_size, sizeof(__u32));
	});
} scopes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_SIDES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(map_flags, BPF_F_MMAPABLE);
		__uint(max_entries, 1);
		__uint(key_size, sizeof(__u32));
		__uint(value_size, sizeof(struct weir_policy));
	});
} policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_SIDES);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		/* BPF_F_INNER_MAP: each generation has a size of its own */
		__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
		__uint(max_entries, 1);
		__uint(key_size, sizeof(__u32));
		__uint(value_size, sizeof(struct weir_line));
	});
} blockset SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_GATE_LINES);
	__type(key, __u32);
	__type(value, struct weir_gate_line);
} gate SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_BUCKETS);
	__type(key, struct weir_bucket_key);
	__type(value, struct weir_bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_BUDGETS);
	__type(key, __u32);
	__type(value, struct weir_budget_state);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_BUDGETS);
	__type(key, __u32);
	__type(value, struct weir_spending);
} spending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * WEIR_KNOWN_LINES);
	__type(key, __u32);
	__type(value, struct weir_known_line);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_FILTER_LINES);
	__type(key, __u32);
	__type(value, struct weir_filter_line);
} known_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_SEEN);
	__type(key, __u32);
	__type(value, __u32);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_NETWORKS);
	__type(key, __u32);
	__type(value, struct weir_network);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_LISTENERS);
	__type(key, __u32);
	__type(value, struct weir_listener);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_LISTENERS);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, WEIR_RING_BYTES);
	});
} events SEC(".maps");

/* Not looked at by packets: here so that it is made with the others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_JUDGEMENTS);
	__type(key, __u32);
	__type(value, struct weir_judgement);
} judgements SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_BEATS);
	__type(key, __u32);
	__type(value, __u32);
} beats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_ASKED_LINES);
	__type(key, __u32);
	__type(value, struct weir_asked_line);
} asked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_core_time);
} core_time SEC(".maps");

#include "bpf/clock.h"
#include "bpf/known.h"
#include "bpf/lists.h"
#include "bpf/limits.h"
#include "bpf/budget.h"
#include "bpf/syn.h"
#include "bpf/verdict.h"

#define LEARN_SAMPLE	64	/* of so many packets one is looked at */

/* A limit is the source's own, a budget all sources'; who keeps to both is learnt. */
static __always_inline enum weir_reason check_rates(struct xdp_md *ctx, struct packet *pkt,
						    struct hint hint, struct weir_counters *own)
{
	struct rules rules = find_rules(pkt, hint);
	__u64 now_ns = coarse_ns(own);
	enum weir_reason reason = check_limits(pkt, hint, &rules, now_ns, own);
	int good = reason == WEIR_CONTINUE || reason == WEIR_PASS_LIMIT;

	if (!(own->turn++ % LEARN_SAMPLE) && pkt->what == WEIR_ANY_PACKET)
		learn(pkt, good, now_ns);
	if (!good)
		return reason;
	if (rules.policy && rules.policy->syn_rules && pkt->tcp_flags) {
		enum weir_reason answer = check_service(ctx, pkt, hint, &rules, now_ns);

		if (answer != WEIR_CONTINUE)
			return answer;
	}
	return check_budget(pkt, hint, &rules, now_ns, reason);
}

static __always_inline int journey(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct place at = { own_counters(), bpf_map_lookup_elem(&hints, &zero) };
	struct packet pkt = {};
	enum weir_reason reason;

	if (!at.own || !at.hints)
		return XDP_ABORTED;
	reason = parse(ctx, &pkt);
	if (reason == WEIR_CONTINUE) {
		struct hint hint = hint_of(&pkt, at.hints);

		reason = check_lists(&pkt, hint);
		if (reason == WEIR_CONTINUE)
			reason = check_rates(ctx, &pkt, hint, at.own);
	}
	return conclude(ctx, &pkt, &at, reason);
}

SEC("xdp")
int weir_ingress(struct xdp_md *ctx)
{
	return journey(ctx);
}

char _license[] SEC("license") = "GPL";
