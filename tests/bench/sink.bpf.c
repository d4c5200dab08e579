// SPDX-License-Identifier: GPL-2.0-only
/*
 * The far end of the SYN bench: takes what is for its own addresses, in 192.0.2.0/24,
 * 198.18.0.0/16 and 2001:db8::/32, and counts SYN-ACKs for all others, and drops them
 * as a distant network would.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define TYPE_AT	 12
#define FLAGS_4	 (14 + 20 + 13)
#define FLAGS_6	 (14 + 40 + 13)
#define SYN_ACK	 0x12

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} syn_acks SEC(".maps");

static __always_inline int swallow(__u8 flags)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&syn_acks, &zero);

	if (count && (flags & SYN_ACK) == SYN_ACK)
		++*count;
	return XDP_DROP;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	const __u8 *byte = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (byte + FLAGS_4 + 1 > end)
		return XDP_PASS;
	if (byte[TYPE_AT] == 0x08 && byte[TYPE_AT + 1] == 0) {
		if ((byte[30] == 192 && byte[31] == 0 && byte[32] == 2) ||
		    (byte[30] == 198 && byte[31] == 18))
			return XDP_PASS;
		return swallow(byte[FLAGS_4]);
	}
	if (byte[TYPE_AT] != 0x86 || byte + FLAGS_6 + 1 > end)
		return XDP_PASS;
	/* 2001:db8::/32, link-local, multicast */
	if (byte[38] >= 0xfe || (byte[38] == 0x20 && byte[39] == 0x01 && byte[40] == 0x0d &&
				 byte[41] == 0xb8))
		return XDP_PASS;
	return swallow(byte[FLAGS_6]);
}

char _license[] SEC("license") = "GPL";
