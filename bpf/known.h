/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known sources: sources that were seen to behave in calm times. Under a distributed flood their
 * packets go first.
 *
 * A source becomes known when it was seen in WEIR_KNOWN_SCORE different minutes and kept to its
 * limit. Exceeding the limit meanwhile resets the score. A known source that exceeds it stays
 * known: the excess may be spoofed, and its limit already contains it. The table has two
 * generations, which change roles every 19.5 hours. A source seen again after the switch is
 * carried over; any other is forgotten at the next switch. A line of an older epoch counts as
 * empty, so nothing has to be cleared.
 *
 * A look-up is one line (pure/known_line.h). In front of the table stands a Bloom filter small
 * enough for the cache: with 100,000 known sources 0.1 % of unknown ones pass it, with a million
 * 9 %.
 */
#ifndef WEIR_BPF_KNOWN_H
#define WEIR_BPF_KNOWN_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/frame.h"
#include "bpf/maps.h"
#include "bpf/pure/compiler.h"
#include "bpf/pure/known_line.h"
#include "bpf/rodata.h"

#define CALM_AFTER_NS	10000000000LL
#define LEARN_SAMPLE	64

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

static __always_inline int score_at(__u64 key, __u64 hash, __u64 minute)
{
	struct weir_known_line *line = line_of(hash, minute);

	return line ? known_score(line, known_epoch(minute), key) : -1;
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

/* The score in this generation, or else in the previous one. Global, see in_set_v6(). */
__noinline int score_of(__u64 key, __u64 minute)
{
	__u64 hash = hash_of(key);
	int score = score_at(key, hash, minute);

	return score < 0 ? score_at(key, hash, minute - KNOWN_BEFORE) : score;
}

static __always_inline int is_known(const struct packet *pkt, __u64 now_ns)
{
	return has_known_key(pkt->hi, pkt->lo) &&
	       score_of(known_key(pkt->hi, pkt->lo), known_minute(now_ns, minute_shift)) >=
		       WEIR_KNOWN_SCORE;
}

/* The same where most sources are not known: the filter comes first, since it is in the cache. */
static __always_inline int is_known_fast(const struct packet *pkt, __u64 now_ns)
{
	return maybe_known(pkt, now_ns) && is_known(pkt, now_ns);
}

/* Global: its stack does not add to that of the deepest calls. */
__noinline int note_in_filter(__u64 hash, __u64 minute)
{
	__u32 index = filter_index(hash);
	struct weir_filter_line *filter = bpf_map_lookup_elem(&known_filter, &index);

	if (filter)
		filter_note(filter, hash, minute);
	return 0;
}

/* Notes a source in its line, and in the filter once it is known; see known_note(). */
static __always_inline void remember(struct weir_known_line *line, __u64 key, __u64 hash,
				     __u64 minute, int least, int good)
{
	if (known_note(line, key, minute, least, good) >= WEIR_KNOWN_SCORE)
		note_in_filter(hash, minute);
}

/* One packet in LEARN_SAMPLE is looked at, and none that is a SYN or a later fragment. */
static __always_inline int is_learn_sample(const struct packet *pkt, struct weir_counters *cpu)
{
	return !(cpu->sample_tick++ % LEARN_SAMPLE) && pkt->what == WEIR_ANY_PACKET;
}

/*
 * Global. Called for one packet in LEARN_SAMPLE: notes a source as behaving (@good) or not. Only in
 * calm times: no budget has dropped a packet for ten seconds.
 */
__noinline int learn_known(struct packet *pkt, int good, __u64 now_ns)
{
	__u64 minute = known_minute(now_ns, minute_shift), key, hash;
	struct weir_common *all = common_state();
	struct weir_known_line *line;
	int before = -1;

	if (!pkt || !all || !has_known_key(pkt->hi, pkt->lo))
		return 0;
	if (all->pressed_ns && (__s64)(now_ns - all->pressed_ns) < CALM_AFTER_NS)
		return 0;
	key = known_key(pkt->hi, pkt->lo);
	hash = hash_of(key);
	line = line_of(hash, minute);
	if (!line)
		return 0;
	if (known_score(line, known_epoch(minute), key) < 0)
		before = score_at(key, hash, minute - KNOWN_BEFORE);
	remember(line, key, hash, minute, before, good);
	return 0;
}

#endif
