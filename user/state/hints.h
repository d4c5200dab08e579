/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct weir_hints, as the tool writes it: for every IPv4 /16 and every hash of an IPv6 /32
 * a byte of bits that tell the data path which maps may hold something for a source, and a
 * tally of the settings for those that only want to count. The data path trusts a bit that is
 * 0, so bits are set before the maps are written and cleared after that.
 */
#ifndef WEIR_STATE_HINTS_H
#define WEIR_STATE_HINTS_H

#include "bpf/tool.h"
#include "user/model/prefixes.h"
#include "user/model/settings.h"

/*
 * Whether a block entry of this prefix is in the map hosts: a single IPv4 address or an IPv6
 * /64. Others are in the trie block. See weir.h.
 */
bool is_host_entry(const struct prefix *prefix);

/* Sets in @hints, which begins zeroed, the bits that @settings need. */
void hints_of_settings(struct weir_hints *hints, const struct settings *settings);
/* Sets in @live the bits of @wanted. */
void hints_add(struct weir_hints *live, const struct weir_hints *wanted);
/* Clears in @live the bits that are not in @wanted, those in @keep excepted. */
void hints_trim(struct weir_hints *live, const struct weir_hints *wanted, uint8_t keep);
/*
 * The bits of the block set become those of @set. @only_add: none is cleared yet, for the
 * time before @set is in force. Cannot fail: without memory it sets all bits.
 */
void hints_for_set(struct weir_hints *live, const struct prefixes *set, bool only_add);

/* Counts the entries where all of them are at hand: a walk of the tries may take a second. */
void tally_settings(struct weir_hints *hints, const struct settings *settings);
/* The daemon finished a loop that began at @start_ns: others see by it that it lives. */
void tally_loop(struct weir_hints *hints, uint64_t start_ns);
/* The daemon found no room for so many bans, and so many others ended early to make some. */
void tally_bans(struct weir_hints *hints, uint64_t gave_way, uint64_t put_off);

#endif
