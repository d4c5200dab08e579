// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the users' end of the wire: what is for none of them is dropped at once, as the
 * network would have carried it elsewhere. Answers that weir gives at the driver come
 * here, half a million a second; the users' stack must not spend its time on them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Where known users, newcomers, the crowd, bots and the host itself are; see world.py, run.py. */
static __always_inline int is_users4(__u32 address)
{
	return address >> 8 == 0xcb0071 || address >> 17 == 0xc612 >> 1 || address >> 16 == 0x0a01 ||
	       address >> 16 == 0x0a02 || address >> 8 == 0xc00002;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	return is_users4(bpf_ntohl(ip->daddr)) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
