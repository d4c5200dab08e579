/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lists: allow entries, blocks and bans, and the block set of all loaded lists. A hint for
 * each /16 (weir_hints) says which of them may hold something for a source, so that the tries and
 * the hash are looked up for few packets.
 */
#ifndef WEIR_BPF_LISTS_H
#define WEIR_BPF_LISTS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/clock.h"
#include "bpf/frame.h"
#include "bpf/known.h"
#include "bpf/maps.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/hash.h"
#include "bpf/pure/known_line.h"

/* What the hints say of a source, and the side of the settings that the packet is judged by. */
struct hint {
	__u32 side;
	__u8 bits;		/* WEIR_HINT_* */
};

static __always_inline struct hint hint_of(const struct packet *pkt, const struct weir_hints *all)
{
	struct hint hint = { .side = all->side };

	if (pkt->ipv6)
		hint.bits = all->v6[weir_hint_v6(pkt->hi >> 32) & 0xffff];
	else
		hint.bits = all->v4[pkt->lo >> 16 & 0xffff];
	return hint;
}

static __always_inline struct weir_prefix source_key(const struct packet *pkt)
{
	struct weir_prefix key = { .prefixlen = 128 };
	__u32 *word = (__u32 *)key.addr;

	word[0] = be32(pkt->hi >> 32);
	word[1] = be32(pkt->hi);
	word[2] = be32(pkt->lo >> 32);
	word[3] = be32(pkt->lo);
	return key;
}

/* The entry that a trie has for the packet; NULL if it is one of the other family. */
static __always_inline struct weir_entry *entry_of(const struct packet *pkt,
						   struct weir_entry *entry)
{
	return entry && is_of_family(entry->prefixlen, pkt->ipv6) ? entry : NULL;
}

static __always_inline int in_allow(const struct packet *pkt, __u32 side)
{
	void *entries = bpf_map_lookup_elem(&allow, &side);
	struct weir_prefix key = source_key(pkt);

	return entries && entry_of(pkt, bpf_map_lookup_elem(entries, &key));
}

/*
 * A ban that spares known sources lets only those pass that are proven: the tiers below can be
 * forged, and a flood of forged sources that behaved for three minutes would pass its network's
 * ban. What a ban drops is counted in a sample, so that the daemon knows which bans are idle: the
 * count is in another cache line than the rest, which one packet in 64 waits for.
 */
static __always_inline enum weir_reason check_entry(const struct packet *pkt,
						    struct weir_entry *entry, __u64 now_ns)
{
	if (!entry)
		return WEIR_CONTINUE;
	if (!entry->effective_ns)
		return WEIR_DROP_BLOCK;
	if (now_ns >= entry->effective_ns)
		return WEIR_CONTINUE;
	if (entry->effective_spare && tier_of(pkt, now_ns) >= WEIR_PROVEN)
		return WEIR_CONTINUE;
	if (!(bpf_get_prandom_u32() & (WEIR_BAN_HIT_SAMPLE - 1)))
		__sync_fetch_and_add(&entry->hits, 1);
	return WEIR_DROP_BAN;
}

/* The entry for this single source. */
static __always_inline enum weir_reason check_host(const struct packet *pkt, __u32 side,
						   __u64 now_ns)
{
	__u64 key = known_key(pkt->hi, pkt->lo);
	void *entries;

	if (!has_known_key(pkt->hi, pkt->lo) || known_key_is_v4(key) == pkt->ipv6)
		return WEIR_CONTINUE;
	entries = bpf_map_lookup_elem(&hosts, &side);
	return entries ? check_entry(pkt, bpf_map_lookup_elem(entries, &key), now_ns) :
			 WEIR_CONTINUE;
}

/*
 * Global, see in_set_v6(). The host entry already takes covering entries into account. If it lets
 * the packet pass, a longer IPv6 prefix may still block it.
 */
__noinline int check_block(struct packet *pkt, __u32 side, __u32 hints, __u64 now_ns)
{
	enum weir_reason reason = WEIR_CONTINUE;
	struct weir_prefix key;
	void *entries;

	if (!pkt)
		return WEIR_CONTINUE;
	if (hints & WEIR_HINT_HOST)
		reason = check_host(pkt, side, now_ns);
	if (reason != WEIR_CONTINUE || !(hints & WEIR_HINT_BLOCK))
		return reason;
	entries = bpf_map_lookup_elem(&block, &side);
	if (!entries)
		return WEIR_CONTINUE;
	key = source_key(pkt);
	return check_entry(pkt, entry_of(pkt, bpf_map_lookup_elem(entries, &key)), now_ns);
}

#define WEIR_SET_LINE(set, index)                                       \
	({                                                              \
		__u32 line_index = (index);                             \
		bpf_map_lookup_elem(set, &line_index);                  \
	})
#include "bpf/pure/blockset.h"

/*
 * Global, so that the verifier proves it once and forgets how each result came about. Inlined,
 * every path through it would multiply with those behind it. A call costs as much as the whole
 * parser, so what most packets need is inlined.
 */
__noinline int in_set_v6(__u64 hi, __u64 lo, __u32 side)
{
	void *set = bpf_map_lookup_elem(&blockset, &side);

	return set && weir_set_has_v6(set, hi, lo);
}

static __always_inline int in_set(const struct packet *pkt, __u32 side)
{
	void *set = bpf_map_lookup_elem(&blockset, &side);

	if (!set)
		return 0;
	if (pkt->ipv6)
		return weir_set_maybe_v6(set, pkt->hi) && in_set_v6(pkt->hi, pkt->lo, side);
	return weir_set_has_v4(set, pkt->lo);
}

/* The stage. @hint: of this packet's source. */
static __always_inline enum weir_reason check_lists(struct packet *pkt, struct hint hint,
						    struct weir_counters *cpu)
{
	enum weir_reason reason;

	if (hint.bits & WEIR_HINT_ALLOW && in_allow(pkt, hint.side))
		return WEIR_PASS_ALLOW;
	if (hint.bits & (WEIR_HINT_HOST | WEIR_HINT_BLOCK)) {
		reason = check_block(pkt, hint.side, hint.bits, coarse_ns(cpu));
		if (reason != WEIR_CONTINUE)
			return reason;
	}
	if (hint.bits & WEIR_HINT_SET && in_set(pkt, hint.side))
		return WEIR_DROP_LIST;
	return WEIR_CONTINUE;
}

#endif
