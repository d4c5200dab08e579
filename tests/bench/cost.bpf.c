// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir's program behind a stage that draws each packet's source, since a test
 * run with `repeat` presents the same bytes again and again. Beside it the two
 * programs that the cost is measured against.
 */
#include "bpf/weir.bpf.c"

#define DRAW_FRAME	94	/* a SYN of IPv6, with options */

/* Set by cost.c before each run. */
__u64 draw_next;		/* counts the packets */
__u32 draw_sources;		/* 0: leave the packet as it is; else in turn */
__u32 draw_shuffled;		/* 1: one of the sources, at random */
__u32 draw_random;		/* 1: every packet a new source */
__u32 draw_first;		/* IPv4 of the first source, or the top of the IPv6 address */
__u32 draw_ipv6;
__u32 draw_stride;		/* from one source to the next */
__u32 draw_anew;		/* 1: begin with draw_frame, since the program writes answers */
__u8 draw_frame[DRAW_FRAME];

#define SOURCE_V4	(14 + 12)
#define SOURCE_V6	(14 + 8)

static __always_inline void draw(struct xdp_md *ctx)
{
	void *data, *end;
	__u64 index = draw_next++;
	__u32 *source;

	if (draw_anew)
		bpf_xdp_store_bytes(ctx, 0, draw_frame, sizeof(draw_frame));
	if (!draw_sources && !draw_random)
		return;
	/* Else clang takes what it read here for what the parser reads, as 32-bit numbers. */
	asm volatile("" : "+r"(ctx));
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (draw_random)
		index = weir_mix(index);
	else if (draw_shuffled)
		index = (weir_mix(index) >> 32) * draw_sources >> 32;
	else if (draw_sources & (draw_sources - 1))
		index %= draw_sources;
	else
		index &= draw_sources - 1;
	index = draw_first + (__u32)index * draw_stride;
	source = data + (draw_ipv6 ? SOURCE_V6 : SOURCE_V4);
	if ((void *)(source + 1) > end)
		return;
	*source = be32((__u32)index);
}

SEC("xdp")
int bench_weir(struct xdp_md *ctx)
{
	draw(ctx);
	return journey(ctx);
}

SEC("xdp")
int bench_draw(struct xdp_md *ctx)
{
	draw(ctx);
	return XDP_DROP;
}

SEC("xdp")
int bench_empty(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_DROP;
}

/* What others do: a bucket in an LRU hash for every packet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_BUCKETS);
	__type(key, struct weir_bucket_key);
	__type(value, struct weir_bucket);
} plain SEC(".maps");

SEC("xdp")
int bench_plain(struct xdp_md *ctx)
{
	struct packet pkt = {};
	struct weir_bucket_key key = {};
	struct weir_bucket *bucket, fresh = {};
	__u64 now;

	draw(ctx);
	if (parse(ctx, &pkt, 0) != WEIR_CONTINUE)
		return XDP_PASS;
	key.hi = pkt.hi;
	key.lo = pkt.lo;
	bucket = bpf_map_lookup_elem(&plain, &key);
	if (!bucket) {
		bpf_map_update_elem(&plain, &key, &fresh, BPF_NOEXIST);
		bucket = bpf_map_lookup_elem(&plain, &key);
		if (!bucket)
			return XDP_PASS;
	}
	now = bpf_ktime_get_ns() << WEIR_TICK_SHIFT;
	return bucket_take(&bucket->tat, now, 1000000ULL << WEIR_TICK_SHIFT,
			   100000000ULL << WEIR_TICK_SHIFT, 0) == BUCKET_PASS ? XDP_PASS : XDP_DROP;
}

/* What others do: the same prefixes in an LPM trie. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__uint(key_size, 8);
	__uint(value_size, 4);
} plain_trie SEC(".maps");

SEC("xdp")
int bench_trie(struct xdp_md *ctx)
{
	struct packet pkt = {};
	struct {
		__u32 length, address;
	} key = { .length = 32 };

	draw(ctx);
	if (parse(ctx, &pkt, 0) != WEIR_CONTINUE)
		return XDP_PASS;
	key.address = be32((__u32)pkt.lo);
	return bpf_map_lookup_elem(&plain_trie, &key) ? XDP_DROP : XDP_PASS;
}
