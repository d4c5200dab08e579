// SPDX-License-Identifier: GPL-2.0-only
/* weir's program behind a stage that gives each packet the next of a number of sources. */
#include "bpf/weir.bpf.c"

#define SOURCE_V4 (14 + 12)

__u32 next_source, sources = 1;

SEC("xdp")
int from_many(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *source = data + SOURCE_V4;

	if ((void *)(source + 1) > end)
		return XDP_ABORTED;
	*source = be32(0x01000000U + next_source);
	next_source = next_source + 1 < sources ? next_source + 1 : 0;
	return journey(ctx);
}
