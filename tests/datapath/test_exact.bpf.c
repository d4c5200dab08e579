// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir's program behind a stage that lets packets arrive at times that were set
 * beforehand: a test run with `repeat` presents the same bytes as fast as it
 * can. It records when each packet came, and whether it passed.
 */
#include "bpf/weir.bpf.c"

#define ARRIVALS  (1U << 21)	/* of each thread */
#define THREADS	  2
#define WAIT_MOST (1U << 22)	/* looks at the clock */
#define SOURCE_V4 (14 + 12)

struct arrival {
	__u64 at_ns;		/* when it is to come; then: when it came */
	__u32 source;		/* IPv4 */
	__u32 passed;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, THREADS * ARRIVALS);
	__type(key, __u32);
	__type(value, struct arrival);
} arrivals SEC(".maps");

const volatile __u32 thread;	/* which half of the arrivals */
__u32 done[THREADS];

static long look(__u32 index, void *until)
{
	(void)index;
	return bpf_ktime_get_ns() >= *(__u64 *)until;
}

SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 lane = thread & (THREADS - 1), index = lane * ARRIVALS + done[lane];
	struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);
	__u32 *source = data + SOURCE_V4;
	__u64 until;
	int action;

	if (!arrival || (void *)(source + 1) > end)
		return XDP_ABORTED;
	*source = be32(arrival->source);
	until = arrival->at_ns;
	bpf_loop(WAIT_MOST, look, &until, 0);
	arrival->at_ns = bpf_ktime_get_ns();
	action = journey(ctx);
	arrival->passed = action == XDP_PASS;
	done[lane]++;
	return action;
}
