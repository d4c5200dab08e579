/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known sources. Under a distributed flood their packets go first, so a source must not become
 * known by what anybody can send in its name. There are two kinds of evidence, and a tier for each
 * (enum weir_tier):
 *
 * - Proof: a segment of a connection that this host has with the source (own_connection()), a SYN
 *   cookie that came back (syn.h), or the word of a person (`known import`). Neither is possible
 *   without receiving what this host sends to that address. Proof counts at any time, and until the
 *   generation after the one in which it was given; a source that gives it again then is proven
 *   for long.
 * - Behaviour: the source was seen in WEIR_KNOWN_SCORE different minutes of calm times, and kept to
 *   its limit. Exceeding the limit meanwhile resets the score; afterwards the source stays known,
 *   since the excess may be spoofed, and its limit already contains it. A spoofer can make sources
 *   known in this way, so they come after proven ones, they give way to them in the table, and only
 *   so many become known in a time (SEEN_COST).
 *
 * A connection that gets through a budget under pressure stands between both: it cannot be forged,
 * and makes its source known at once, but not proven (enum known_how).
 *
 * One packet in LEARN_SAMPLE is looked at, at random: a sender cannot tell which. The table has two
 * generations, which change roles every 19.5 hours. A source seen again after the switch is carried
 * over; any other is forgotten at the next switch. A line of an older epoch counts as empty, so
 * nothing has to be cleared.
 *
 * A look-up is one line (pure/known_line.h), and the one beside it. In front of the table stands a
 * Bloom filter small enough for the cache: with 100,000 known sources 0.1 % of unknown ones pass
 * it, with a million 9 %.
 */
#ifndef WEIR_BPF_KNOWN_H
#define WEIR_BPF_KNOWN_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/maps.h"
#include "bpf/pure/bucket.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/core_time.h"
#include "bpf/pure/known_line.h"
#include "bpf/rodata.h"
#include "bpf/socket.h"

#define CALM_AFTER_NS	10000000000LL
#define LEARN_SAMPLE	64

/*
 * Looking up a socket takes some 400 ns. To learn, a CPU does it 25,000 times a second at most, so
 * that it takes 1 % of its time whatever the packets say of themselves: from 1.6 million TCP segments
 * a second on, some samples are not looked up, and proof takes longer. The burst is two ticks of the
 * coarse clock where it is slowest (100 Hz).
 */
#define LOOK_UP_NS		40000ULL
#define LOOK_UP_BURST_NS	20000000ULL

/*
 * Sources that become known without proof: eight a second, and 65,536 at once. In a generation that
 * is a third of the table at most, whatever a spoofer sends, so few lines are full.
 */
#define SEEN_COST	(WEIR_TICKS_PER_S / 8)
#define SEEN_BURST	(65536 * SEEN_COST)

/*
 * What a look-up is charged where the verdict depends on it (DNS over TCP, drop rules), so that a
 * flood of segments causes 200,000 a second on each CPU at most, some 4 % of its time. The burst
 * exceeds a tick of the coarse clock.
 */
#define PROOF_COST_NS	5000ULL
#define PROOF_BURST_NS	20000000ULL

/* ---- look-ups ---- */

static __always_inline __u64 hash_of(__u64 key)
{
	__u32 zero = 0;
	struct weir_meta *info = bpf_map_lookup_elem(&meta, &zero);

	return known_hash(key, info ? info->seed : 0);
}

static __always_inline struct weir_known_line *line_of(__u64 hash, __u64 minute)
{
	__u32 index = known_index(hash, minute);

	return bpf_map_lookup_elem(&known, &index);
}

/* The rank of a key in the generation of @minute, -1 if it is not in it. */
static __always_inline int find_rank(__u64 key, __u64 minute)
{
	struct weir_known_line *line = line_of(hash_of(key), minute);

	return line ? known_rank(line, known_epoch(minute), key) : -1;
}

/* Global, see in_set_v6(). */
__noinline int rank_at(__u64 key, __u64 minute)
{
	return find_rank(key, minute);
}

static __always_inline int maybe_known(const struct packet *pkt, __u64 now_ns)
{
	__u64 hash = hash_of(known_key(pkt->hi, pkt->lo));
	__u64 minute = known_minute(now_ns, minute_shift);
	__u32 index = filter_index(hash);
	struct weir_filter_line *filter = bpf_map_lookup_elem(&known_filter, &index);

	return filter && (filter_has(filter, hash, minute) ||
			  filter_has(filter, hash, minute - KNOWN_BEFORE));
}

/* The tier of a key: WEIR_FIRST_SEEN if it is not known. Global, see in_set_v6(). */
__noinline int tier_of_key(__u64 key, __u64 minute)
{
	int rank = find_rank(key, minute);

	return known_tier(rank, find_rank(key, minute - KNOWN_BEFORE));
}

/* The source's tier as far as the table tells it: WEIR_FIRST_SEEN, or WEIR_SEEN and above. */
static __always_inline int tier_of(const struct packet *pkt, __u64 now_ns)
{
	if (!has_known_key(pkt->hi, pkt->lo))
		return WEIR_FIRST_SEEN;
	return tier_of_key(known_key(pkt->hi, pkt->lo), known_minute(now_ns, minute_shift));
}

/* The same where most sources are not known: the filter comes first, since it is in the cache. */
static __always_inline int tier_fast(const struct packet *pkt, __u64 now_ns)
{
	return maybe_known(pkt, now_ns) ? tier_of(pkt, now_ns) : WEIR_FIRST_SEEN;
}

/* ---- learning ---- */

/* Global: its stack does not add to that of the deepest calls. */
__noinline int note_in_filter(__u64 key, __u64 now_ns)
{
	__u64 hash = hash_of(key);
	__u32 index = filter_index(hash);
	struct weir_filter_line *filter = bpf_map_lookup_elem(&known_filter, &index);

	if (filter)
		filter_note(filter, hash, known_minute(now_ns, minute_shift));
	return 0;
}

/* Whether one more source may become known without proof. */
static __always_inline int may_become_seen(struct weir_common *all, __u64 now_ns)
{
	return bucket_take(&all->seen_tat, now_ns << WEIR_TICK_SHIFT, SEEN_COST, SEEN_BURST, 0) ==
	       BUCKET_PASS;
}

/* Global, for its stack. */
__noinline int make_room(__u64 key, __u64 now_ns)
{
	__u64 minute = known_minute(now_ns, minute_shift);
	struct weir_known_line *line = line_of(hash_of(key), minute);

	if (line)
		known_make_room(line, key, known_epoch(minute));
	return 0;
}

/* Global. Notes a source in its line. @how: enum known_how. Returns 1 if it is known. */
__noinline int note_in_line(__u64 key, int how, __u64 now_ns)
{
	__u64 minute = known_minute(now_ns, minute_shift);
	struct weir_known_line *line = line_of(hash_of(key), minute);
	struct weir_common *all = common_state();
	int before, rank;

	if (!line || !all)
		return 0;
	before = rank_at(key, minute - KNOWN_BEFORE);
	/* Once a source has a score in this generation, that of the one before counts no more. */
	if (before > 0 && rank_at(key, minute) >= 0)
		before &= ~WEIR_KNOWN_SCORE;
	rank = known_note(line, key, minute, before, how);
	if (rank < 0) {
		if (how == KNOWN_PROOF) {
			__sync_fetch_and_add(&all->known_full, 1);
			all->known_full_ns = now_ns;
		}
		return 0;
	}
	if (rank & KNOWN_ROSE && !may_become_seen(all, now_ns)) {
		known_put_off(line, key);
		__sync_fetch_and_add(&all->seen_put_off, 1);
		return 0;
	}
	return rank >= WEIR_KNOWN_SCORE;
}

static __always_inline void note_source(__u64 key, enum known_how how, __u64 now_ns)
{
	if (how == KNOWN_PROOF)
		make_room(key, now_ns);
	if (note_in_line(key, how, now_ns))
		note_in_filter(key, now_ns);
}

/* The source proved that it is there: it received what this host sent to it. */
static __always_inline void prove(const struct packet *pkt, __u64 now_ns)
{
	if (has_known_key(pkt->hi, pkt->lo))
		note_source(known_key(pkt->hi, pkt->lo), KNOWN_PROOF, now_ns);
}

/* Whether this packet is one of about @every, at random. @left: how many come before the next. */
static __always_inline int is_sample(__u64 *left, __u32 every)
{
	if ((*left)--)
		return 0;
	*left = bpf_get_prandom_u32() % (2 * every - 1);
	return 1;
}

/* A SYN or a later fragment says nothing of its source. */
static __always_inline int is_learn_sample(const struct packet *pkt, struct weir_counters *cpu)
{
	return is_sample(&cpu->until_sample, LEARN_SAMPLE) && pkt->what == WEIR_ANY_PACKET;
}

/* TCP, and a segment of an established connection as far as its flags say. */
static __always_inline int may_be_connected(const struct packet *pkt)
{
	return (pkt->tcp_flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK;
}

/* Of a socket, where the verdict depends on it. */
static __always_inline int may_look_up(struct weir_core_time *cpu, __u64 now_ns)
{
	return time_spend(&cpu->proofs_tat_ns, now_ns, PROOF_COST_NS, PROOF_BURST_NS);
}

/* Global, for its stack. Notes that a known source exceeded its limit on its own connection. */
__noinline int note_offence(__u64 key)
{
	struct weir_offence fresh = { .packets = LEARN_SAMPLE };
	struct weir_offence *offence = bpf_map_lookup_elem(&offences, &key);

	if (offence)
		__sync_fetch_and_add(&offence->packets, LEARN_SAMPLE);
	else
		bpf_map_update_elem(&offences, &key, &fresh, BPF_NOEXIST);
	return 0;
}

/* Whether a source with this rank has nothing to prove for now. */
static __always_inline int is_proven_now(__u64 key, __u64 now_ns)
{
	return rank_at(key, known_minute(now_ns, minute_shift)) >= WEIR_RANK_PROVEN;
}

/* What learn() may do. */
#define LEARN_OVER	1	/* the limit dropped the packet */
#define LEARN_MAY_ASK	2	/* there is time to look up a socket */

/* What learn() did, for the counters. */
#define LEARN_LOOKED_UP	1
#define LEARN_OWN	2

/*
 * Global. Called for one packet in LEARN_SAMPLE that limits let pass or not. The socket is looked up
 * only where the answer matters: for a source without proof in this generation, and for a known one
 * that exceeds its limit. Behaviour counts in calm times: no budget has dropped a packet for ten
 * seconds. @may: LEARN_OVER, LEARN_MAY_ASK.
 */
__noinline int learn(struct xdp_md *ctx, struct packet *pkt, int may, __u64 now_ns)
{
	struct weir_common *all = common_state();
	int over = may & LEARN_OVER, did = 0;
	__u64 key;

	if (!pkt || !all || !has_known_key(pkt->hi, pkt->lo))
		return 0;
	key = known_key(pkt->hi, pkt->lo);
	if (may & LEARN_MAY_ASK &&
	    (over ? maybe_known(pkt, now_ns) : !is_proven_now(key, now_ns)))
		did = own_connection(ctx, pkt) ? LEARN_LOOKED_UP | LEARN_OWN : LEARN_LOOKED_UP;
	if (did & LEARN_OWN)
		note_source(key, KNOWN_PROOF, now_ns);
	if (did & LEARN_OWN && over)
		note_offence(key);
	if (!all->pressed_ns || (__s64)(now_ns - all->pressed_ns) >= CALM_AFTER_NS)
		note_source(key, over ? KNOWN_BAD : KNOWN_GOOD, now_ns);
	return did;
}

/* Global, for its stack. Makes the source known if the segment is of a connection of this host. */
__noinline int meet_newcomer(struct xdp_md *ctx, struct packet *pkt, __u64 now_ns)
{
	if (pkt && has_known_key(pkt->hi, pkt->lo) && own_connection(ctx, pkt))
		note_source(known_key(pkt->hi, pkt->lo), KNOWN_CONNECTED, now_ns);
	return 0;
}

/*
 * The stage, which decides nothing. @over: the limit dropped the packet. @newcomer: a budget under
 * pressure let it pass, and its source is not known. Then it need not be a sample: the first segment
 * of a connection that gets through makes its source known, as one that was seen: above the flood,
 * and below those that proved themselves before. Half of the time for look-ups is left to samples.
 */
static __always_inline void learn_from(struct xdp_md *ctx, struct packet *pkt, int over, int newcomer,
				       __u64 now_ns, struct weir_counters *cpu)
{
	int may = over ? LEARN_OVER : 0, did;

	if (newcomer && may_be_connected(pkt) &&
	    time_spend(&cpu->look_up_tat_ns, now_ns, LOOK_UP_NS, LOOK_UP_BURST_NS / 2))
		meet_newcomer(ctx, pkt, now_ns);
	if (!is_learn_sample(pkt, cpu))
		return;
	if (may_be_connected(pkt) &&
	    time_spend(&cpu->look_up_tat_ns, now_ns, LOOK_UP_NS, LOOK_UP_BURST_NS))
		may |= LEARN_MAY_ASK;
	did = learn(ctx, pkt, may, now_ns);
	cpu->sampled++;
	cpu->looked_up += did & LEARN_LOOKED_UP;
	cpu->own += (did & LEARN_OWN) >> 1;
}

#endif
