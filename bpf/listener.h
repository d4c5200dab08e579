/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a listener accepts cookies. The kernel accepts one only if the listener itself sent one
 * in the last two minutes; the time of that, in jiffies, is in the socket, and for a group of
 * SO_REUSEPORT in what its members share. The tool reads from the kernel's BTF where, and sets
 * these offsets before it loads the program: an object with CO-RE relocations of its own could not
 * be loaded where there is no BTF. Without BTF clock_fresh is 0, the verifier removes the code as
 * dead, and syn.h sends heartbeats at a fixed rate.
 */
#ifndef WEIR_BPF_LISTENER_H
#define WEIR_BPF_LISTENER_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/pure/compiler.h"
#include "bpf/rodata.h"
#include "bpf/weir.h"

/* The tool cannot read the kernel's sockets, and defines it otherwise (user/state/dry_run.c). */
#ifndef listener_clock
static __always_inline enum weir_clock listener_clock(struct bpf_sock *sock)
{
	const void *tcp, *group;
	__u32 stamp;

	if (!clock_fresh)
		return WEIR_CLOCK_NONE;
	tcp = bpf_skc_to_tcp_sock(sock);
	if (!tcp)
		return WEIR_CLOCK_NONE;
	group = *(void *const volatile *)(tcp + clock_group_at);
	/* The verifier must know which struct is read: two loads, and not one with either pointer. */
	if (group) {
		stamp = *(const volatile __u32 *)(group + clock_group_stamp_at);
		asm volatile("%0 |= 0" : "+r"(stamp));
	} else {
		stamp = *(const volatile __u32 *)(tcp + clock_stamp_at);
		asm volatile("" : "+r"(stamp));
	}
	return (__u32)bpf_jiffies64() - stamp < clock_fresh ? WEIR_CLOCK_FRESH : WEIR_CLOCK_STALE;
}
#endif

#endif
