/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the ABI that only tools read and write: where the maps are pinned, and the shapes
 * that the program does not look at. weir.h has the rest, and does not include this header.
 * WEIR_ABI counts changes of both.
 */
#ifndef WEIR_TOOL_H
#define WEIR_TOOL_H

#include "bpf/weir.h"

#define WEIR_PIN_ROOT	"/sys/fs/bpf/weir"
#define WEIR_MAGIC	0x72696577U	/* weir_meta.magic: "weir" */

/* ---- devices: ARRAY[WEIR_DEVICES]; written by attach and detach ---- */
struct weir_device {
	__u32 ifindex;		/* 0: slot is free */
	__u32 prog_id;		/* of our program, lone or in a dispatcher */
	__u32 netns;		/* inode of the network namespace: ifindex is its own */
	__u8  mode;		/* enum weir_mode */
	__u8  monitor;		/* 1: nothing is dropped, only counted */
	__u8  dispatcher;	/* 1: under libxdp's dispatcher */
	__u8  fallback;		/* enum weir_fallback; with try_until_ns only */
	__u64 attached_unix_s;
	__u64 try_until_ns;	/* on trial until then, unless confirmed; 0: for good */
	char  name[16];		/* as at attach; NUL-terminated */
	__u8  bare;		/* 1: its frames have no link header, but begin with IP */
	__u8  pad[3];
	__u32 link_pps;		/* ARP, neighbour discovery, a tenth of what is not IP; 0: any */
};

enum weir_mode { WEIR_MODE_NATIVE, WEIR_MODE_SKB };
/* What a trial that the operator does not confirm goes back to. */
enum weir_fallback { WEIR_BACK_TO_NOTHING, WEIR_BACK_TO_MONITOR, WEIR_BACK_TO_ENFORCING };

/* Where an entry of allow, block or hosts, or a drop rule comes from: its field origin. */
enum weir_origin { WEIR_BY_OPERATOR, WEIR_BY_DAEMON };

/*
 * ---- judgements: ARRAY[WEIR_JUDGEMENTS]; what the daemon decided, and why ----
 * A ring: @number counts from 1, and its slot is number % WEIR_JUDGEMENTS.
 */
#define WEIR_JUDGEMENTS	4096
enum weir_judgement_kind {
	WEIR_BAN_SOURCE, WEIR_BAN_NETWORK,	/* carried out */
	WEIR_WOULD_BAN_SOURCE, WEIR_WOULD_BAN_NETWORK,	/* in judge mode: not carried out */
	WEIR_UNBAN,		/* undone by the operator */
	WEIR_SPARED,		/* not banned, for the reason in @text */
	WEIR_GAVE_WAY,		/* a ban that ended early: `most_bans` was reached, and others were
				 * worse. @seen_pps: what it dropped lately */
	/* Of drop rules; then @text is the rule's name and its conditions, as `drop add` has them. */
	WEIR_RULE,		/* put in force. @seen_pps: packets turned away before */
	WEIR_WOULD_RULE,	/* said, and not put in force */
	WEIR_RULE_ENDED,	/* its time was over. @packets: what it dropped, here and below */
	WEIR_RULE_WITHDRAWN,	/* it hit @prefix, a known source */
	WEIR_RULE_GAVE_WAY,	/* it dropped nothing any more, and another one needed its place */
	WEIR_RULE_OFF,		/* the settings say no longer that rules are put in force */
	WEIR_RULE_UNDONE,	/* removed by the operator */
};
struct weir_judgement {
	__u64 number;		/* 0: free */
	__u64 unix_s;
	struct weir_prefix prefix;
	__u8  kind;		/* enum weir_judgement_kind */
	__u8  strikes;		/* bans before this one, remembered */
	__u16 windows;		/* for how many windows in a row */
	__u64 ttl_s;		/* of the ban; 0: none */
	__u64 packets;		/* dropped in those windows */
	__u64 limit_pps;	/* what was allowed, a second */
	__u64 seen_pps;		/* what came, a second */
	__u32 sources;		/* of a network: how many of its sources misbehaved */
	__u32 share_permille;	/* of all drops in the last window */
	__u32 flood_millionths;	/* of a rule: its share of the flood */
	__u32 calm_millionths;	/* and the upper 95 % confidence bound of that of calm traffic */
	char  text[136];	/* in words; NUL-terminated */
	char  why[96];		/* of WEIR_WOULD_RULE: why it is not sure; NUL-terminated */
};

/*
 * ---- lists/NAME/current, /previous, /next: ARRAY of __u64 each ----
 * A loaded list: this head, then its prefixes as user/model/prefix.h packs them. Read
 * by the tool only; the data path sees the block set made of all of them.
 */
#define WEIR_LIST_MAGIC	0x7473696cU	/* "list" */
/* The checks that the word `force` overrules; weir_list.force has their bits. */
enum weir_guard {
	WEIR_GUARD_ALL = 1,		/* all of them, as a bare `force` means it */
	WEIR_GUARD_OWN = 2,		/* addresses of this host */
	WEIR_GUARD_ALLOW = 4,		/* allow entries that contradict */
	WEIR_GUARD_SIZE = 8,		/* a tenfold change of a list */
	WEIR_GUARD_COVERAGE = 16,	/* too much of the Internet */
	WEIR_GUARD_BLOCK = 32,		/* block entries that contradict */
	WEIR_GUARD_SSH = 64,		/* live SSH sessions; of one command, never stored */
};
struct weir_list {
	__u32 magic;
	__u16 format;		/* enum list_format, as it was asked for */
	__u8  skip_bad;		/* 1: lines that are no prefix were to be left out */
	__u8  force;		/* enum weir_guard: the guards that it was loaded past */
	__u64 v4_count, v6_count;
	__u64 generation;	/* of this list: 1, 2, ... */
	__u64 set_generation;	/* of the first block set that has it */
	__u64 loaded_unix_s;
	char  file[256];	/* absolute; NUL-terminated */
};

_Static_assert(sizeof(struct weir_device) == 56, "ABI: weir_device");
_Static_assert(sizeof(struct weir_judgement) == 320, "ABI: weir_judgement");
_Static_assert(sizeof(struct weir_list) == 304, "ABI: weir_list");

#endif
