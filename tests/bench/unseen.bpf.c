// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bound of the SYN bench: what is not from the users' addresses, 192.0.2.0/24,
 * 198.18.0.0/16 and 2001:db8::/32, drops without a look at it. No filter that does not know
 * the users beforehand can do better on this core and this ring.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int unseen(struct xdp_md *ctx)
{
	const __u8 *byte = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (byte + 34 > end)
		return XDP_PASS;
	if (byte[12] == 0x08 && byte[13] == 0)
		return (byte[26] == 192 && byte[27] == 0 && byte[28] == 2) ||
		       (byte[26] == 198 && byte[27] == 18) ? XDP_PASS : XDP_DROP;
	if (byte[12] != 0x86)
		return XDP_PASS;
	return byte[22] >= 0xfe || (byte[22] == 0x20 && byte[23] == 0x01 && byte[24] == 0x0d &&
				    byte[25] == 0xb8) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
