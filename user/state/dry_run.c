// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf/weir.bpf.c is compiled here a second time, for this machine: a description of what it
 * decides in other words would differ from it sooner or later. The helpers that it calls are
 * defined below. Look-ups give copies of elements, the clock is that of the run, sockets are asked
 * for by sock_diag. Whether a number is a cookie, and when a listener sent its last one, only the
 * kernel can tell: the caller says.
 */
#include <linux/bpf.h>
#include <string.h>

#include "user/host/tcp.h"
#include "user/state/dry_run.h"

static __thread struct dry_run *run;

/* ---- what <bpf/bpf_helpers.h> declares ---- */

#define __BPF_HELPERS__
#define __uint(name, val)	int (*name)[val]
#define __type(name, val)	__typeof__(val) *name
#define __array(name, val)	__typeof__(val) *name[]
#define SEC(name)		__attribute__((unused))

static void *bpf_map_lookup_elem(const void *map, const void *key);
static long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);

static __u64 bpf_ktime_get_ns(void)
{
	return run->now_ns;
}

static __u64 bpf_ktime_get_coarse_ns(void)
{
	return run->coarse_ns;
}

/* No tick in which a CPU has read the clock already: it is read anew. */
static __u64 bpf_jiffies64(void)
{
	return ~0ULL;
}

static __u32 bpf_get_prandom_u32(void)
{
	return 0;
}

static void *bpf_ringbuf_reserve(const void *ring, __u64 size, __u64 flags)
{
	(void)ring, (void)size, (void)flags;
	return run->event;
}

static void bpf_ringbuf_submit(const void *event, __u64 flags)
{
	(void)event, (void)flags;
}

static long bpf_xdp_load_bytes(const void *ctx, __u32 offset, void *into, __u32 len)
{
	(void)ctx;
	if (offset > run->size || len > run->size - offset)
		return -1;
	memcpy(into, run->frame + offset, len);
	return 0;
}

static long bpf_xdp_store_bytes(const void *ctx, __u32 offset, const void *from, __u32 len)
{
	(void)ctx;
	if (offset > run->size || len > run->size - offset)
		return -1;
	memcpy(run->frame + offset, from, len);
	return 0;
}

/* The program only adds: @from is empty. */
static __s64 bpf_csum_diff(const void *from, __u32 from_size, const void *to, __u32 size,
			   __u32 seed)
{
	__u64 sum = seed;

	(void)from, (void)from_size;
	for (__u32 i = 0; i < size / 4; i++)
		sum += ((const __u32 *)to)[i];
	while (sum >> 32)
		sum = (sum & 0xffffffff) + (sum >> 32);
	return sum;
}

/* Which number it would be is a secret of the kernel's. */
static __s64 bpf_tcp_raw_gen_syncookie_ipv4(const void *ip, const void *tcp, __u32 len)
{
	(void)ip, (void)tcp, (void)len;
	return run->no_cookie ? -1 : 0;
}

static __s64 bpf_tcp_raw_gen_syncookie_ipv6(const void *ip, const void *tcp, __u32 len)
{
	(void)ip, (void)tcp, (void)len;
	return run->no_cookie ? -1 : 0;
}

static long bpf_tcp_raw_check_syncookie_ipv4(const void *ip, const void *tcp)
{
	(void)ip, (void)tcp;
	return run->cookie ? 0 : -1;
}

static long bpf_tcp_raw_check_syncookie_ipv6(const void *ip, const void *tcp)
{
	(void)ip, (void)tcp;
	return run->cookie ? 0 : -1;
}

static void bpf_sk_release(const void *socket)
{
	(void)socket;
}

static struct bpf_sock *bpf_skc_lookup_tcp(const void *ctx, const struct bpf_sock_tuple *tuple,
					   __u32 size, __u64 netns, __u64 flags)
{
	static __thread struct bpf_sock found;
	int state = run->socket;

	(void)ctx, (void)netns, (void)flags;
	if (state == DRY_ASK)
		state = size == sizeof(tuple->ipv6) ?
			tcp_state(true, tuple->ipv6.saddr, tuple->ipv6.sport, tuple->ipv6.daddr,
				  tuple->ipv6.dport) :
			tcp_state(false, &tuple->ipv4.saddr, tuple->ipv4.sport,
				  &tuple->ipv4.daddr, tuple->ipv4.dport);
	if (state < 0)
		run->no_socket = true;
	found.state = state;
	return state > 0 ? &found : NULL;
}

static enum weir_clock dry_clock(const struct bpf_sock *socket)
{
	(void)socket;
	return run->clock;
}
#define listener_clock(socket)	dry_clock(socket)
/* A segment of a connection is taken for one that its sender made, with the right number. */
#define is_in_window(socket, seq)	((void)(socket), (void)(seq), 1)

/* ---- the program ---- */

/* Its context has pointers of 32 bits, and its functions are for no other file. */
struct dry_frame {
	void *data, *data_end;
};
#define xdp_md dry_frame
#include "bpf/pure/compiler.h"
#undef __noinline
#define __noinline static __attribute__((noinline))
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
static int weir_ingress(struct xdp_md *ctx);

#include "bpf/weir.bpf.c"

#undef xdp_md

/* ---- its maps ---- */

static struct map_view *view_of(const void *map)
{
	static const void *const symbols[MAP_COUNT] = {
#define M(name) [MAP_##name] = &name,
		WEIR_MAPS(M)
#undef M
	};

	for (int i = 0; i < MAP_COUNT; i++)
		if (map == symbols[i])
			return &run->copies->outer[i];
	return (struct map_view *)map;	/* an inner one, from a look-up in its outer map */
}

/* A line in which every segment is noted, or none. */
static void *asked_line(int again)
{
	static __thread struct weir_asked_line line;

	memset(&line, again ? 0xff : 0, sizeof(line));
	for (int i = 0; i < WEIR_ASKED_TIMES; i++)
		line.time[i] = run->coarse_ns >> ASKED_TIME_SHIFT;
	return &line;
}

static __thread struct rule_view dry_view;

static void *bpf_map_lookup_elem(const void *map, const void *key)
{
	static __thread struct syn_headers headers;
	static __thread struct dns_headers query;

	if (map == &scratch)
		return &headers;
	if (map == &dns_scratch)
		return &query;
	if (map == &rule_scratch)
		return &dry_view;
	if (map == &asked && run->again != DRY_ASK)
		return asked_line(run->again);
	return copies_find(run->copies, view_of(map), key);
}

static long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags)
{
	(void)flags;
	return copies_add(run->copies, view_of(map), key, value);
}

enum weir_reason dry_run(struct dry_run *this)
{
	struct dry_frame frame = { this->frame, this->frame + this->size };
	__u32 zero = 0, slot = device_slot;
	struct weir_counters *cpu;
	struct weir_hints *copy;

	run = this;
	copies_rewind(run->copies);
	copy = bpf_map_lookup_elem(&hints, &zero);
	cpu = bpf_map_lookup_elem(&counters, &slot);
	if (!copy || !cpu)
		return WEIR_REASON_MAX;
	copy->listeners = 0;
	memset(cpu->reason, 0, sizeof(cpu->reason));
	cpu->until_sample = ~0ULL;	/* learning decides nothing, and would ask for sockets */
	weir_ingress(&frame);
	this->rule = dry_view.rule;
	for (int reason = 0; reason < WEIR_REASON_MAX; reason++)
		if (cpu->reason[reason].packets)
			return run->copies->failed ? WEIR_REASON_MAX : reason;
	return WEIR_REASON_MAX;
}
