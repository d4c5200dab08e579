// SPDX-License-Identifier: GPL-2.0-only
/*
 * The program, with a switch for what only a race or the kernel can do: from the @first_lost-th
 * swap on each one is lost to another CPU, and the kernel makes no cookie.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile __u32 swaps;
volatile __u32 first_lost = ~0U;
volatile __u32 no_cookies;

#define weir_swap(address, old, new)                                                             \
	(swaps++ >= first_lost ? ~(old) : __sync_val_compare_and_swap(address, old, new))
#define bpf_tcp_raw_gen_syncookie_ipv4(ip, tcp, len)                                             \
	(no_cookies ? -1 : bpf_tcp_raw_gen_syncookie_ipv4(ip, tcp, len))
#define bpf_tcp_raw_gen_syncookie_ipv6(ip, tcp, len)                                             \
	(no_cookies ? -1 : bpf_tcp_raw_gen_syncookie_ipv6(ip, tcp, len))

#include "bpf/weir.bpf.c"
