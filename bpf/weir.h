/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ABI between the XDP program and the tool: the shapes of the maps that the program reads or
 * writes. tool.h has the shapes that only tools read. What is a member of a struct the program
 * uses stands here, even where the program does not look at it: the operator's words in
 * weir_policy (spec, budget_spec), weir_hints.tally, weir_hints.cookie_watch and weir_hints.losses.
 *
 * Both are pinned under WEIR_PIN_ROOT. A change of a shape raises WEIR_ABI: a tool of another ABI
 * then refuses the maps by name and does not misread them.
 *
 * Conventions: integers are in host byte order unless a comment says "network order"; times are
 * CLOCK_MONOTONIC; padding is explicit.
 */
#ifndef WEIR_H
#define WEIR_H

#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weir runs on little-endian machines only (x86-64, arm64)"
#endif

#define WEIR_ABI	8

/*
 * Why a packet passed or was dropped: each packet is counted under exactly one reason. Append
 * only; a retired reason keeps its number. R(identifier, name, action)
 */
#define WEIR_REASONS(R)                                         \
	R(PASS_NO_LIMIT,    "no-limit",         PASS)           \
	R(PASS_LIMIT,       "under-limit",      PASS)           \
	R(PASS_ALLOW,       "allow",            PASS)           \
	R(PASS_ARP,         "arp",              PASS)           \
	R(PASS_NEIGHBOUR,   "neighbour",        PASS)           \
	R(PASS_NOT_IP,      "not-ip",           PASS)           \
	R(DROP_ETHERNET,    "bad-ethernet",     DROP)           \
	R(DROP_IPV4,        "bad-ipv4",         DROP)           \
	R(DROP_IPV6,        "bad-ipv6",         DROP)           \
	R(DROP_IPV6_CHAIN,  "ipv6-chain",       DROP)           \
	R(DROP_TCP,         "bad-tcp",          DROP)           \
	R(DROP_UDP,         "bad-udp",          DROP)           \
	R(DROP_ICMP,        "bad-icmp",         DROP)           \
	R(DROP_BLOCK,       "block",            DROP)           \
	R(DROP_BAN,         "ban",              DROP)           \
	R(DROP_LIST,        "blocklist",        DROP)           \
	R(DROP_RATE,        "rate-limit",       DROP)           \
	R(DROP_CONTENDED,   "contended",        DROP)           \
	R(DROP_TABLE_FULL,  "table-full",       DROP)           \
	R(PASS_KNOWN,       "known",            PASS)           \
	R(PASS_NEWCOMER,    "newcomer",         PASS)           \
	R(DROP_SHED,        "shed",             DROP)           \
	R(DROP_SHARE,       "network-share",    DROP)           \
	R(DROP_BUDGET,      "over-budget",      DROP)           \
	R(TX_COOKIE,        "syn-cookie",       TX)             \
	R(PASS_COOKIE,      "cookie-ack",       PASS)           \
	R(DROP_COOKIES,     "cookie-limit",     DROP)           \
	R(DROP_STRAY_ACK,   "stray-ack",        DROP)           \
	R(DROP_FIRST_SYN,   "first-syn",        DROP)           \
	R(DROP_NO_ANSWER,   "cookie-failed",    DROP)           \
	R(DROP_VLAN,        "vlan-tags",        DROP)           \
	R(DROP_ARP,         "arp-limit",        DROP)           \
	R(DROP_NEIGHBOUR,   "neighbour-limit",  DROP)           \
	R(DROP_NOT_IP,      "not-ip-limit",     DROP)           \
	R(DROP_FIRST_ACK,   "first-ack",        DROP)           \
	R(TX_DNS,           "dns-truncated",    TX)             \
	R(DROP_DNS,         "dns-limit",        DROP)           \
	R(DROP_RULE,        "rule",             DROP)

enum weir_reason {
#define R(id, name, action) WEIR_##id,
	WEIR_REASONS(R)
#undef R
	WEIR_REASON_MAX,

	/*
	 * What a stage returns if it has no objection, and the next stage decides. A packet that
	 * no stage decides on is counted as no-limit: the same number, so that it costs nothing.
	 */
	WEIR_CONTINUE = WEIR_PASS_NO_LIMIT,
};

/*
 * Time in a bucket is counted in ticks of 1/16 ns: the cost of a packet at 3 Mpps is then exact to
 * 0.01 %, and 2^64 ticks are 36 years of uptime.
 */
#define WEIR_TICK_SHIFT	4
#define WEIR_TICKS_PER_S	(1000000000ULL << WEIR_TICK_SHIFT)

/* The key of a trie: IPv4 as ::ffff:a.b.c.d with prefixlen + 96, addr in network order. */
struct weir_prefix {
	__u32 prefixlen;	/* 0..128 */
	__u8  addr[16];
};

/* ---- meta: ARRAY[1]; read by every tool first, and pinned last ---- */
struct weir_meta {
	__u32 magic;
	__u32 abi;
	__u64 seed;		/* per boot, secret: keys the gate's hash */
	__u64 created_unix_s;
	__u32 minute_shift;	/* 2^n ns are a minute of the table of known sources */
	__u32 pad;
};

#define WEIR_DEVICES	64
#define WEIR_NAME_LEN	32

/* ---- counters: PERCPU_ARRAY[WEIR_DEVICES]; cumulative since first attach ---- */
struct weir_count {
	__u64 packets;
	__u64 bytes;		/* on the wire, without FCS: padding counts */
};

#define WEIR_PACKET_ROOM	64	/* bytes for struct packet of pure/packet.h */
struct weir_counters {
	/*
	 * What is known of the packet that this CPU judges: here and not on the stack, which has to
	 * last for the deepest calls. It stands first, so that one pointer serves both.
	 */
	__u64 packet[WEIR_PACKET_ROOM / 8];
	struct weir_count reason[WEIR_REASON_MAX];
	/* of those, passed because the device is in monitor mode */
	struct weir_count monitored[WEIR_REASON_MAX];
	__u64 exact;		/* packets that the gate sent on to their bucket */
	__u64 created;		/* buckets created */
	__u64 until_sample;	/* packets until the next one that is looked at, see known.h */
	__u64 sampled;		/* packets that were looked at, without SYNs; each stands for 64 */
	__u64 looked_up;	/* of those, TCP whose socket was looked up */
	__u64 own;		/* of those, segments of a connection of this host */
	__u64 look_up_tat_ns;	/* until when look-ups of sockets are paid for, see known.h */
	__u64 jiffies;		/* the kernel's tick in which @coarse_ns was read: see clock.h */
	__u64 coarse_ns;
};

/*
 * Part of weir_hints for the tool only: figures that would take too long to count for each scrape,
 * kept as the tool writes the maps.
 */
struct weir_tally {
	__u32 allow;		/* entries at the last change */
	__u32 block[2][2];	/* by origin; for good, with a deadline */
	__u32 most_allow;	/* the most there ever were */
	__u32 most_block;
	__u32 most_buckets;	/* the most that any count of them found */
	__u32 most_known;
	__u32 daemon_loops;	/* finished by daemons since the maps were made */
	__u32 daemon_loop_us;	/* duration of the last one, and of the longest */
	__u32 daemon_longest_us;
	__u64 daemon_ns;	/* when the last one ended; 0: never */
	__u64 bans_gave_way;	/* bans of the daemon that ended early, for worse offenders */
	__u64 bans_put_off;	/* decisions to ban for which there was no room */
};

/*
 * Another part of weir_hints for the tool only: whether cookies that come back become connections;
 * see user/state/cookie_watch.h.
 */
struct weir_cookie_count {
	__u64 returned;		/* cookies that the program found right */
	__u64 refused;		/* of those, that the kernel did not take */
	__u64 overflows;	/* connections for which a listener's queue had no room */
};
struct weir_cookie_watch {
	__u64 read_ns;		/* of the last look; 0: there was none */
	__u64 acks, received, overflows;	/* the counters then */
	__u64 window_ns;	/* when window[0] began; window[1] is the one before */
	struct weir_cookie_count all, window[2];
	__u32 netns;		/* the network namespace that was looked at */
	__u32 pad;
};

/*
 * And a third: packets that were lost on a device before the program saw them, by the kernel's own
 * counters; see user/state/loss_watch.h.
 */
enum weir_loss {
	WEIR_LOST_DROPPED,	/* rx_dropped: in the driver, or behind the program in the stack */
	WEIR_LOST_MISSED,	/* rx_missed_errors: the card had no buffer */
	WEIR_LOST_OVER,		/* rx_over_errors: they did not fit into the buffers */
	WEIR_LOST_FIFO,		/* rx_fifo_errors: overflows of a queue, of events or packets */
	WEIR_LOST_NOHANDLER,	/* rx_nohandler: the device is an idle port of a bond or team */
	WEIR_LOST_QUEUES,	/* what the driver's own statistics tell of its queues */
	WEIR_LOSSES,
};
struct weir_loss_count {
	__u64 lost[WEIR_LOSSES];	/* packets; one packet may be in several of these */
	__u64 seen;		/* packets that the program saw */
};
struct weir_loss_watch {
	__u64 read_ns;		/* of the last look; 0: there was none */
	__u64 attached_unix_s;	/* of the attachment that it belongs to, with @ifindex and @netns */
	__u64 window_ns;	/* when window[0] began; window[1] is the one before */
	__u64 raw[WEIR_LOSSES];	/* the counters at the last look */
	__s64 level[WEIR_LOSSES];	/* the highest so far, without weir's own drops */
	__u64 seen;
	struct weir_loss_count all, window[2];	/* since the attachment, and lately */
	__u32 ifindex, netns;
};

/*
 * ---- hints: ARRAY[1], mmapable ----
 * @side: which of the two sides of the settings is in force: the index into allow, block, hosts,
 * scopes, policy and blockset (WEIR_SIDE_MAPS). Small changes go to the side in force, one write
 * each. A restore fills the other side and then writes @side, so no packet sees half of it.
 *
 * A byte for each IPv4 /16 and for each hash of an IPv6 /32 says whether any prefix of a kind
 * touches it, so that the maps above are looked up only for packets for which they may hold
 * something. False positives are possible, false negatives are not: bits are set before an entry
 * is added, and cleared after it was removed.
 */

#define WEIR_SIDES	2
#define WEIR_HINT_ALLOW	0x01
#define WEIR_HINT_BLOCK	0x02
#define WEIR_HINT_SCOPE	0x04
#define WEIR_HINT_SET	0x08	/* the block set */
#define WEIR_HINT_HOST	0x10	/* hosts */
struct weir_hints {
	__u32 side;		/* 0 or 1 */
	__u32 listeners;	/* a bit for each slot of listeners that is in use */
	struct weir_tally tally;
	__u8 v4[65536];
	__u8 v6[65536];
	struct weir_cookie_watch cookie_watch;
	struct weir_loss_watch losses[WEIR_DEVICES];
};

/*
 * ---- allow, block: inner LPM_TRIE of weir_prefix -> weir_entry; hosts: inner HASH of
 * __u64 -> weir_entry; written by the tool ----
 * Block entries of the size of one source, an IPv4 /32 or an IPv6 /64, are in hosts, with
 * known_key() of pure/known_line.h as their key: most bans are such entries, there may be many,
 * and each makes the walk of a trie more expensive. All others are in block, and so are those of
 * 0:ffff::/32, whose keys are those of IPv4.
 */
#define WEIR_ENTRIES	(1U << 20)
#define WEIR_COMMENT	48	/* bytes, NUL included */
struct weir_entry {
	/*
	 * The latest end over this entry and every entry that covers it, 0 if one of them is for
	 * good: the trie returns the longest prefix only, and a short ban inside a longer one must
	 * not end that one. @effective_spare: the same for @spare_known, over all that have not
	 * ended. Both stand first, since in hosts they are in the cache line of the key.
	 */
	__u64 effective_ns : 63;
	__u64 effective_spare : 1;
	__u64 until_ns;		/* as asked for; 0: for good */
	__u64 added_unix_s;
	char  comment[WEIR_COMMENT];	/* NUL-terminated UTF-8 */
	__u8  origin;		/* enum weir_origin */
	__u8  spare_known;	/* as asked for; 1: known sources pass, in a ban of a network */
	__u8  strikes;		/* by the daemon: bans before this one */
	__u8  prefixlen;	/* of its key: tells the families apart, see pure/address.h */
	__u32 hits;		/* packets that a ban dropped, one in WEIR_BAN_HIT_SAMPLE: the only
				 * field that the program writes */
};
#define WEIR_BAN_HIT_SAMPLE	64

/* ---- scopes: inner LPM_TRIE of weir_prefix -> __u32 row in weir_policy.limit_of ---- */
#define WEIR_SCOPES	2048
#define WEIR_CLASSES	512
#define WEIR_SPORT_GROUPS	128	/* a power of two, for a mask */
#define WEIR_LIMITS	4096

/*
 * What the data path needs of one limit: a cache line. Durations are in ticks. A rate of packets
 * and one of bits may both be set; cost 0: not set.
 */
struct weir_limit {
	__u64 cost;		/* of a packet */
	__u64 burst;		/* tolerated debt in the packet bucket */
	__u64 byte_cost;	/* of a byte, times 2^WEIR_BYTE_COST_SHIFT */
	__u64 byte_burst;	/* tolerated debt in the byte bucket */
	__u64 floor;		/* every gate cell counts as at least this: the debt that a source
				 * may have had when the rate last changed */
	__u64 half;		/* debt up to which the gate alone lets a packet pass: half of the
				 * shorter burst */
	__u64 cap;		/* the longer burst: gate cells rise no further */
	__u32 serial;		/* never used twice: names the limit in buckets */
	__u8  v4_bits;		/* length of the source prefixes that have one bucket each, 0..32 */
	__u8  v6_bits;		/* 0..128 */
	__u8  coarse;		/* 1: the coarse clock is exact enough for this burst */
	__u8  gate_bits;	/* its sources have their cells in the first 2^n lines of the gate */
};
#define WEIR_BYTE_COST_SHIFT	20

/*
 * A set of ports: ranges, both ends included, in ascending order with a gap between each two; a
 * first port of 0 ends it. An empty set is any port.
 */
#define WEIR_PORT_RANGES	16
struct weir_ports {
	__u16 first, last;
};

/* A limit as the operator set it: read by the tool only. */
struct weir_limit_spec {
	struct weir_prefix from;	/* ::/0 is the default */
	union {
		struct weir_ports dport[WEIR_PORT_RANGES];
		struct {	/* the first of them: most sets have one */
			__u16 dport_first, dport_last;
		};
	};
	union {
		struct weir_ports sport[WEIR_PORT_RANGES];
		struct {
			__u16 sport_first, sport_last;
		};
	};
	__u8  proto;		/* IPPROTO_*; ICMP stands for ICMPv6 too */
	__u8  what;		/* enum weir_what */
	__u8  any_proto;	/* 1: proto does not matter */
	__u8  used;		/* 1: this slot holds a limit */
	__u32 per_s;		/* the packet rate's unit: 1, 60 or 3600 s */
	__u16 icmp4, icmp6;	/* the type of ICMP, and of ICMPv6, plus 1; both 0: any packet; one
				 * of them 0: no packet of that family */
	__u64 rate_packets;	/* in per_s seconds; 0: no packet rate */
	__u64 burst_packets;
	__u64 rate_bits_per_s;	/* 0: no bit rate */
	__u64 burst_bits;
};

enum weir_what { WEIR_ANY_PACKET, WEIR_SYN, WEIR_FRAGMENT };

/*
 * A budget: one bucket for all sources together that send to a service. It is matched like a
 * limit, but by the packet's destination, which is @limit.from. Of several that match, the most
 * specific counts.
 */
#define WEIR_BUDGETS	64		/* 0 is never used: "none" */
#define WEIR_DESTINATIONS	32
struct weir_budget_spec {
	char name[WEIR_NAME_LEN];	/* a-z, 0-9, - and _; NUL-terminated */
	struct weir_limit_spec limit;
};

/* The prefix of a destination as numbers in host order. */
struct weir_destination {
	__u64 hi, lo;
	__u64 mask_hi, mask_lo;
};

/*
 * A drop rule as the operator set it. Each condition has a bit in @match; those without one are 0.
 * A packet of which the rule's field cannot be known (a port of a later fragment) does not match.
 */
#define WEIR_RULES		64
#define WEIR_RULE_OFFSET	1400	/* the most; of payload and l4 */
enum weir_rule_match {
	WEIR_MATCH_PROTO = 1,
	WEIR_MATCH_FRAGMENT = 2,	/* a later fragment */
	WEIR_MATCH_SPORT = 4,
	WEIR_MATCH_DPORT = 8,
	WEIR_MATCH_LENGTH = 16,
	WEIR_MATCH_TTL = 32,
	WEIR_MATCH_FLAGS = 64,
	WEIR_MATCH_ICMP = 128,
	WEIR_MATCH_PAYLOAD = 256,
	WEIR_MATCH_L4 = 512,
	WEIR_MATCH_FROM = 1024,
	WEIR_MATCH_TO = 2048,
};
/* Which sources a rule spares. Those below proven can be forged: see known.h. */
enum weir_rule_spare { WEIR_SPARE_KNOWN, WEIR_SPARE_PROVEN, WEIR_SPARE_NONE };

/* Up to four bytes of the packet: the last one is the lowest of @value and @mask. */
struct weir_rule_bytes {
	__u32 value, mask;
	__u16 offset;		/* from the end of the transport header, or from its begin */
	__u8  count;		/* 0: no condition */
	__u8  pad;
};

struct weir_rule_spec {
	char name[WEIR_NAME_LEN];	/* as of weir_budget_spec; empty: the slot is free */
	__u32 match;		/* enum weir_rule_match */
	__u8  proto;		/* IPPROTO_*; ICMP stands for ICMPv6 too */
	__u8  origin;		/* enum weir_origin */
	__u8  flags, flags_mask;	/* TCP_* */
	__u8  ttl_first, ttl_last;	/* or the hop limit */
	__u16 length_first, length_last;	/* of the IP packet */
	__u8  monitor;		/* 1: count what would drop */
	__u8  spare;		/* enum weir_rule_spare */
	struct weir_ports sport[WEIR_PORT_RANGES], dport[WEIR_PORT_RANGES];
	struct weir_rule_bytes payload, l4;
	struct weir_prefix from, to;
	__u64 rate_packets;	/* in per_s seconds, of all sources together; 0: no packet rate */
	__u64 rate_bits_per_s;	/* 0: no bit rate; without any rate all is dropped */
	__u32 per_s;		/* 1, 60 or 3600 */
	__u16 icmp4, icmp6;	/* as in weir_limit_spec */
	__u64 until_ns;		/* 0: for good */
	__u64 added_unix_s;
};

/* A rule as the data path reads it: what its tables cannot say, and what it does. */
struct weir_rule {
	__u64 until_ns;
	struct weir_rule_bytes payload, l4;
	__u8  monitor, spare;	/* as in weir_rule_spec */
	__u8  by_from, by_to;	/* 1: the prefix below is a condition */
	__u32 pad;
	struct weir_destination from, to;
	__u64 cost, burst;	/* as in weir_limit */
	__u64 byte_cost, byte_burst;
};

/*
 * Rules by bit vectors, see pure/rules.h: each table holds sets of rules, a bit for each, that a
 * value of its field does not rule out.
 */
enum weir_rule_line { WEIR_LINE_SPORT, WEIR_LINE_DPORT, WEIR_LINE_LENGTH, WEIR_LINES };
#define WEIR_PIECES	256	/* of a line; the last one: the packet has no such field */
#define WEIR_PEEKS	4	/* places of the packet with a table of the byte there */
struct weir_rule_tables {
	__u64 all;		/* the rules that there are; 0: skip the stage */
	__u64 exact;		/* those that have a condition beside the tables */
	__u32 used;		/* tables that rule out something: 1 << enum weir_rule_table */
	__u32 peeks;		/* so many of these are in use */
	__u16 peek_at[WEIR_PEEKS];	/* offset */
	__u8  peek_l4[WEIR_PEEKS];	/* 1: from the transport header; 0: from its end */
	__u32 pad;
	__u64 proto[2][256];	/* of a later fragment: 1 */
	__u64 ttl[256];
	__u64 flags[256 + 1];	/* the last one of these: the packet has none */
	__u64 icmp[2][256 + 1];	/* the same; of ICMPv6: 1 */
	__u64 piece[WEIR_LINES][WEIR_PIECES];
	__u64 peek[WEIR_PEEKS][256 + 1];
	__u8  index[WEIR_LINES][65536];	/* of the piece that has this value */
	struct weir_rule rule[WEIR_RULES];
};
enum weir_rule_table {
	WEIR_TABLE_PROTO, WEIR_TABLE_TTL, WEIR_TABLE_FLAGS, WEIR_TABLE_ICMP,
	WEIR_TABLE_LINE,	/* and those of the other lines */
};

/*
 * A service whose SYNs are answered with cookies, see syn.h. What the SYN-ACK may offer follows
 * the sysctls that the network namespace had when the rule was set.
 */
#define WEIR_SYN_RULES	16		/* 0 is never used: "none" */
struct weir_syn_rule {
	struct weir_prefix to;	/* destination; ::/0: any */
	__u16 first, last;	/* ports */
	__u8  used;
	__u8  always;		/* 0: only while the budget of its SYNs is used up */
	__u8  timestamps;	/* 1: net.ipv4.tcp_timestamps is 2, so that options survive */
	__u8  ecn;		/* 1: net.ipv4.tcp_ecn is not 0 */
	__u8  wscale;		/* the window scale that the kernel will assume it has offered */
	__u8  set_sysctl;	/* 1: the sysctls were set with the operator's consent */
	__u8  pad[2];
	struct weir_destination where;	/* the same as @to */
};

/*
 * A DNS service, whose queries over UDP are answered with "truncated" where their source is not
 * proven, see dns.h. The rules of a port form a chain, the longest prefix first.
 */
#define WEIR_DNS_RULES	16		/* 0 is never used: "none" */
struct weir_dns_rule {
	struct weir_prefix to;	/* destination; ::/0: any */
	__u16 port;
	__u8  used;
	__u8  always;		/* 0: only while the budget of its UDP is used up */
	__u8  next;		/* of the same port; 0: the last */
	__u8  pad[7];
	struct weir_destination where;	/* the same as @to */
};

/*
 * ---- policy: inner ARRAY[1] of weir_policy ----
 * Compiled aside and swapped by one write. The class of a packet follows from its protocol and
 * port, its row from its source, its limit from both: three loads, whatever the number of limits.
 */
enum weir_port_kind { WEIR_PORT_TCP, WEIR_PORT_SYN, WEIR_PORT_UDP, WEIR_PORT_KINDS };

struct weir_policy {
	__u64 generation;
	__u32 active;		/* 0: no limit at all, skip the stage */
	__u32 icmp_types;	/* 0: no ICMP type matters, class_of_icmp is not filled */
	__u32 scopes;		/* rows in use, the default's row 0 included */
	__u32 classes;		/* in use */
	__u64 seed;		/* copy of weir_meta.seed */
	__u32 budgets;		/* 0: no budget at all, skip the stage */
	__u32 destinations;	/* rows of budget_of in use, everywhere (row 0) included */
	__u32 syn_rules;	/* 0: no SYN is answered with a cookie, skip the stage */
	__u32 network_bits;	/* each budget has 2^n lines of the map networks */
	__u32 time_weight;	/* how often cookies' work is charged to a core's time, in 1/256 */
	__u32 dns_rules;	/* 0: no query is answered with "truncated", skip the stage */
	__u32 sport_groups;	/* rows of class_of_sport in use; 0: no source port matters */
	__u32 drop_rules;	/* 0: no rule, skip the stage */
	/* ---- a cache line up to here, for the program ---- */
	__u32 syn_share;	/* percent of a core's time for cookies, from which that follows; 0: the
				 * usual one */
	__u32 link_mbit;	/* of the fastest interface, when that was last looked at */
	__u32 next_serial;
	__u32 pad[13];
	struct weir_limit limit[WEIR_LIMITS];	/* 0 is never used: "none" */
	__u16 class_of_port[WEIR_PORT_KINDS][65536];
	__u16 class_of_proto[256];
	__u16 class_of_fragment[256];
	__u16 class_of_icmp[2][256];	/* by type; of ICMPv6: 1 */
	/*
	 * Where source ports matter: the group of a packet's source port, and the class by that
	 * and by the class of class_of_port. The other tables above have the class itself.
	 */
	__u8  sport_group[65536];
	__u16 class_of_sport[WEIR_SPORT_GROUPS][WEIR_CLASSES];
	__u16 limit_of[WEIR_SCOPES][WEIR_CLASSES];
	struct weir_prefix scope[WEIR_SCOPES];
	struct weir_limit_spec spec[WEIR_LIMITS];
	struct weir_limit budget[WEIR_BUDGETS];	/* cost and bursts; serial: which part of networks
						 * it has; the rest is not used */
	__u8 budget_of[WEIR_DESTINATIONS][WEIR_CLASSES];
	/* longest prefix first; row 0 is everywhere and is not searched */
	struct weir_destination destination[WEIR_DESTINATIONS];
	struct weir_budget_spec budget_spec[WEIR_BUDGETS];
	__u8 syn_rule_of[65536];		/* by destination port */
	struct weir_syn_rule syn_rule[WEIR_SYN_RULES];
	__u8 dns_rule_of[65536];		/* by destination port: the first of its rules */
	struct weir_dns_rule dns_rule[WEIR_DNS_RULES];
	struct weir_rule_tables rules;
	struct weir_rule_spec rule_spec[WEIR_RULES];
};

/*
 * ---- gate: ARRAY[WEIR_GATE_LINES]; see pure/bucket.h ----
 * 2 MiB. Measured with 1 to 16 MiB: a larger gate does not stay in the second-level cache, and
 * each packet of a spoofed flood then waits for memory. A limit whose packets cost little time
 * needs fewer cells, and uses only the first lines: policy.c computes how many.
 */
#define WEIR_GATE_CELLS	8	/* a cache line */
#define WEIR_GATE_BITS	15
#define WEIR_GATE_LINES	(1U << WEIR_GATE_BITS)
#define WEIR_GATE_BITS_LEAST	11	/* 128 KiB, which all limits use */
struct weir_gate_line {
	__u64 tat[WEIR_GATE_CELLS];	/* ticks */
};

/* ---- buckets: LRU_HASH; the sources near their limit, and those over it ---- */
#define WEIR_BUCKETS	(1U << 21)	/* at most; the tool lowers it on small machines */
struct weir_bucket_key {
	__u64 hi, lo;		/* address, masked to the limit's bits; IPv4 mapped */
	__u32 serial;		/* of the limit */
	__u32 pad;
};

/*
 * 56 bytes, so that key, value and the kernel's own 48 bytes are exactly two cache lines: with a
 * million sources over their limit each further line is a wait for memory.
 */
struct weir_bucket {
	__u64 tat;		/* ticks; packets */
	__u64 byte_tat;		/* ticks; bytes */
	__u64 cost;		/* of the limit when tat was last moved */
	__u64 byte_cost;
	__u64 passed;		/* packets, since the source came near its limit */
	__u64 dropped;
	__u64 dropped_bytes;
};

/*
 * What is known of a source decides how early its packets go under pressure. The tiers are ranked
 * by what it costs to get into them. First-seen and returning sources are newcomers. Sources that
 * were seen to behave in calm times are known, though anybody can send such packets in their name.
 * Proven ones completed a handshake with this host, or a person vouched for them. Those that did so
 * again in a later generation of the table are proven for long.
 */
enum weir_tier {
	WEIR_FIRST_SEEN,	/* not seen within the last minute */
	WEIR_RETURNING,
	WEIR_SEEN,		/* known, without proof */
	WEIR_PROVEN,
	WEIR_LONG,		/* proven for long */
	WEIR_TIERS
};

/*
 * ---- budgets: ARRAY[WEIR_BUDGETS]; see budget.h ----
 * Shared by all CPUs and written in chunks. Slot 0 is not used. The first cache line is what a
 * budget needs that is not under pressure.
 */
struct weir_budget_state {
	__u64 tat;		/* ticks; packets */
	__u64 byte_tat;		/* ticks; bytes */
	__u64 pressed_ns;	/* when a packet was last dropped, coarse clock */
	__u64 adjust_ns;	/* when the shares are next adjusted */
	__u64 used_ns;		/* when they were last adjusted */
	__u64 pad[3];
	/* ---- by tier ---- */
	__u32 asked[WEIR_TIERS];	/* packets within their network's share, since then */
	__u32 given[WEIR_TIERS];	/* of those, let through */
	__u64 reserve_tat[WEIR_TIERS];	/* ticks, 16 for each that a packet costs the budget */
	__u64 byte_reserve_tat[WEIR_TIERS];
	__u64 share[WEIR_TIERS];	/* ticks a packet, for each network */
	/*
	 * What a network could have used that was always there, in 2^-12 packets: the clock of the
	 * shares. It starts at 2^6 a ns of uptime, ahead of every clock that the cells of networks
	 * were on before.
	 */
	__u64 used[WEIR_TIERS];		/* at @used_ns */
	__u64 pace[WEIR_TIERS];		/* growth of @used since then, in 2^-52 packets a ns */
	__u64 pad2[2];
};

/* ---- spending: PERCPU_ARRAY[WEIR_BUDGETS]; a CPU's part of each budget ---- */
struct weir_spending {
	__u64 stash[WEIR_TIERS];	/* ticks taken from the budget, not yet used */
	__u64 byte_stash[WEIR_TIERS];
	__u64 passed, passed_bytes;	/* packets in all */
	/* ---- under pressure, by tier ---- */
	__u64 let_in[WEIR_TIERS];	/* of those that passed */
	__u64 no_room[WEIR_TIERS];	/* dropped: within their network's share */
	__u64 over_share[WEIR_TIERS];	/* dropped: their network had used its share */
	__u64 dropped_bytes;	/* of all */
	__u64 until_sample;	/* packets under pressure until the next one that is sampled */
	__u64 pad;
};

/* ---- rule_buckets: ARRAY[WEIR_RULES]; the debt of rules with a rate; shared by all CPUs ---- */
struct weir_rule_bucket {
	__u64 tat;		/* ticks; packets */
	__u64 byte_tat;		/* ticks; bytes */
	__u64 pad[6];
};

/* ---- rule_counts: PERCPU_ARRAY[WEIR_RULES] ---- */
struct weir_rule_count {
	__u64 packets, bytes;	/* that the rule dropped; of one in monitor mode: would have */
	__u64 passed;		/* packets within its rate */
	__u64 spared;		/* packets of sources that it spares */
	__u64 stash, byte_stash;	/* ticks taken from its bucket, not yet used */
};

/* ---- common: ARRAY[1]; what all budgets and all answers with cookies share: a cache line ---- */
struct weir_common {
	__u64 pressed_ns;	/* when any budget last dropped a packet, coarse clock */
	__u64 answers_tat;	/* ticks; SYNs and queries that were answered, see syn.h, dns.h */
	__u64 strays_tat;	/* ticks; ACKs that belong to no connection */
	__u64 beats_tat;	/* ticks; SYNs that went through as heartbeats, of all services */
	__u64 seen_tat;		/* ticks; sources that became known without proof */
	__u64 seen_put_off;	/* sources that did not, for want of room there */
	__u64 known_full;	/* proven sources for which their line had no room */
	__u64 known_full_ns;	/* when that last was so, coarse clock; 0: never */
};

/*
 * ---- known: ARRAY[2 * WEIR_KNOWN_LINES], mmapable; see known.h ----
 * Sources that proved to be there or were seen to behave, a u64 each: the upper half of an IPv6
 * address, or the lower half of ::ffff:a.b.c.d. The two generations of a line lie side by side.
 * 16 MiB a generation, room for 1.8 million sources.
 */
#define WEIR_KNOWN_LINES	(1U << 18)
#define WEIR_KNOWN_SLOTS	7
struct weir_known_line {
	__u64 key[WEIR_KNOWN_SLOTS];	/* 0: free */
	__u8  state[WEIR_KNOWN_SLOTS];	/* minute when last seen, mod 16, << 4 | rank */
	__u8  epoch;		/* of the generation; with any other, the line counts as empty */
};
/* A rank: a score, the different minutes in which the source was seen; and two bits of proof. */
#define WEIR_KNOWN_SCORE	3	/* of a source that is known without proof; the mask, too */
#define WEIR_RANK_PROVEN	4	/* it gave proof in this generation */
#define WEIR_RANK_LONG		8	/* and in one before */
#define WEIR_MINUTE_SHIFT	36	/* a minute is 2^36 ns, 69 s: no division for it */
#define WEIR_EPOCH_SHIFT	10	/* a generation is 2^10 minutes, 19.5 h; a source stays
					 * known for one to two */

/*
 * ---- known_filter: ARRAY[WEIR_FILTER_LINES], mmapable ----
 * Whether a key may be known, in either generation: two bits of 192 for each known source, in one
 * line. Its 2 MiB stay in the cache, and spare most sources of a flood the look-up in the 32 MiB
 * of known.
 */
#define WEIR_FILTER_LINES	(1U << 15)
#define WEIR_FILTER_BITS	192
struct weir_filter_line {
	__u64 bits[2][WEIR_FILTER_BITS / 64];
	__u8  epoch[2];		/* as in weir_known_line */
	__u8  pad[14];
};

/*
 * ---- offences: LRU_HASH, WEIR_OFFENCES entries, of the keys of known ----
 * Known sources that exceeded their limit by segments of their own connections. To forge one, a
 * sender has to know the connection's ports and, where the tool can read the kernel's BTF, what
 * sequence number it expects.
 */
#define WEIR_OFFENCES	(1U << 14)
struct weir_offence {
	__u64 packets;		/* over the limit: a sample times its weight of 64 */
};

/* ---- seen: ARRAY[WEIR_SEEN_CELLS] of __u32; newcomers of the last minute, under pressure ---- */
#define WEIR_SEEN_CELLS	(1U << 21)

/*
 * ---- networks: ARRAY[WEIR_NETWORKS]; under pressure only ----
 * Sources by /24 and /48: the cells of the fair share, and the network of this line with the most
 * drops. That is a counter of Misra and Gries (Science of Computer Programming 1982) for each
 * line: @dropped is never more than the truth, and less by at most the drops of the line's other
 * networks. Each budget has a part of the lines of its own. Newcomers need the first cache line
 * only.
 */
#define WEIR_NETWORKS	(1U << 16)
#define WEIR_KNOWN_TIERS	(WEIR_TIERS - WEIR_SEEN)
struct weir_network {
	__u64 used[4];		/* cells, in 2^-12 packets: three for returning sources, of which a
				 * network has two; the last is for first-seen sources */
	__u64 key;		/* 0xffff << 32 | address >> 8 << 8, or the upper half of a /48 or
				 * of a link-local address */
	__u64 dropped;		/* packets, a sample times its weight */
	__u64 seen_ns;		/* when one was last dropped, coarse clock */
	__u32 budget;		/* the budget on whose clock the cells are; for any other they count
				 * as 0 */
	__u32 pad;
	__u64 known_used[WEIR_KNOWN_TIERS][2];	/* for known sources; a network has one of two */
	__u64 key_lo;		/* the lower half of a link-local address, else 0 */
	__u64 pad2;
};

/*
 * ---- beats: LRU_HASH, WEIR_BEATS entries; see syn.h ----
 * A service that cookies protect, and a TAT of the SYNs that go through to its listener, in ticks.
 * The whole address and port are the key: no service shares the heartbeat of another one.
 */
#define WEIR_BEATS	(1U << 12)
/* What the program knows of the time of a listener's last cookie; see listener.h. */
enum weir_clock { WEIR_CLOCK_NONE, WEIR_CLOCK_FRESH, WEIR_CLOCK_STALE };

struct weir_service {
	__u64 to_hi, to_lo;
	__u32 port;
	__u32 pad;
};

/*
 * ---- asked: ARRAY[WEIR_ASKED_LINES]; see pure/asked.h ----
 * Segments that were dropped in the last seconds because a core had no time for them, and those that
 * are expected: two bits of 96 for each, in one line, by the second in which the segment came.
 */
#define WEIR_ASKED_LINES	(1U << 18)
#define WEIR_ASKED_TIMES	4
#define WEIR_ASKED_BITS		96
struct weir_asked_line {
	__u32 bits[WEIR_ASKED_TIMES][WEIR_ASKED_BITS / 32];
	__u32 time[WEIR_ASKED_TIMES];	/* uptime in 2^30 ns; of any other time, no bit is set */
};

/*
 * ---- links: ARRAY[WEIR_DEVICES]; see link.h ----
 * The debt of each device for frames of its link: ARP, neighbour discovery, what is not IP.
 */
struct weir_link {
	__u64 tat;		/* ticks */
	__u64 pressed_ns;	/* when a frame was last dropped for want of room; 0: never */
	__u64 pad[6];
};

/*
 * ---- neighbours: ARRAY[WEIR_NEIGHBOUR_LINES]; see link.h ----
 * The debt of each neighbour on a link, two cells as in the gate, and the neighbours that were seen
 * in calm times: hardware address << 16 | known << 15 | minute when last seen, 0: free.
 */
#define WEIR_NEIGHBOUR_LINES	(1U << 13)
#define WEIR_NEIGHBOUR_SLOTS	4
struct weir_neighbours {
	__u64 tat[WEIR_NEIGHBOUR_SLOTS];
	__u64 key[WEIR_NEIGHBOUR_SLOTS];
};

/* ---- core_time: PERCPU_ARRAY[1]; what answers take of a core; see pure/core_time.h ---- */
struct weir_core_time {
	__u64 tat_ns;		/* until when cookies' part of the core's time is used up */
	__u64 cost_ns;		/* of one answer, as measured; 0: not yet */
	__u64 began_ns;		/* start of the answer that is being measured; 0: none is */
	__u64 sample_tick;	/* counts SYNs: one in many is measured */
	__u64 answers_stash;	/* ticks taken from weir_common.answers_tat, not yet used */
	__u64 strays_stash;	/* the same for strays_tat */
	__u64 ack_tat_ns;	/* until when the part of segments without SYN is used up */
	__u64 ack_cost_ns;	/* of one look-up of such a segment, as measured; 0: not yet */
	__u64 ack_short_ns;	/* when one was last dropped for want of time; 0: never */
	__u32 ack_tick;		/* counts them: one in many is measured */
	__u32 weight;		/* of the settings in force: weir_policy.time_weight */
	__u64 proofs_tat_ns;	/* look-ups of sockets for proof, see known.h */
};

/*
 * ---- listeners: ARRAY[WEIR_LISTENERS]; events: ARRAY_OF_MAPS[WEIR_LISTENERS] of RINGBUF ----
 * The readers of events: a slot and a ring for each. Written by the readers, under the lock of all
 * writers; lost and lost_packets by the data path.
 */
#define WEIR_LISTENERS	4
#define WEIR_RING_BYTES	(1U << 20)
struct weir_listener {
	__u64 reasons;		/* a bit for each enum weir_reason */
	__u64 hi, lo;		/* of the source, masked; host order */
	__u64 mask_hi, mask_lo;
	__u64 lost;		/* events for which the ring had no room */
	__u64 lost_packets;	/* how many packets those stood for */
	__u64 pid_started;	/* of the reader, as in /proc/PID/stat, since pids are reused */
	__u32 pid;		/* 0, or of a process that has ended: the slot is free */
	__u32 only_ipv6;	/* 1: no source of IPv4, whose addresses are mapped into ::/0 */
	/*
	 * One of 2^n packets becomes an event. Each reason has its own n, so that a flood under
	 * one reason does not hide the few packets under another.
	 */
	__u8  every_shift[64];
};

#define WEIR_SNAP	256
struct weir_event {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u64 hi, lo;		/* source, host order; 0 when the packet has none */
	__u64 to_hi, to_lo;	/* destination */
	__u64 weight;		/* how many packets this one stands for */
	__u32 bytes;		/* of the frame */
	__u32 slot;		/* of the device */
	__u16 dport;
	__u16 snap;		/* bytes in data */
	__u8  reason;		/* enum weir_reason */
	__u8  passed;		/* 1: the packet went on; with a drop reason: monitor mode */
	__u8  proto;
	__u8  what;		/* enum weir_what */
	__u16 sport;
	__u16 icmp;		/* type of ICMP or ICMPv6, plus 1; 0: none */
	__u8  pad[4];
	__u8  data[WEIR_SNAP];	/* the frame's first bytes */
};

/*
 * ---- blockset: inner ARRAY of weir_line ----
 * All lists, compiled into one array of cache lines for both families, built aside and swapped by
 * one write. pure/blockset.h has a struct for each kind of line.
 */
struct weir_line {
	union {
		__u64 word[8];
		__u32 half[16];
	};
};

/*
 * The maps that a side of the settings consists of. Each name is an ARRAY_OF_MAPS[WEIR_SIDES],
 * whose inner maps are of this type, key, value, these flags and at most so many entries:
 * M(name, type, key, value, flags, max). The sizes of hosts and of blockset (BPF_F_INNER_MAP) are
 * chosen by the tool whenever it creates an inner map; their max is that of an empty one.
 */
#define WEIR_SIDE_MAPS(M)                                                                         \
	/* Sources that always pass. */                                                           \
	M(allow, BPF_MAP_TYPE_LPM_TRIE, struct weir_prefix, struct weir_entry,                    \
	  BPF_F_NO_PREALLOC, WEIR_ENTRIES)                                                        \
	/* Blocks and bans of prefixes, single sources excepted. */                               \
	M(block, BPF_MAP_TYPE_LPM_TRIE, struct weir_prefix, struct weir_entry,                    \
	  BPF_F_NO_PREALLOC, WEIR_ENTRIES)                                                        \
	/* Blocks and bans of single sources: an IPv4 address or an IPv6 /64. */                  \
	M(hosts, BPF_MAP_TYPE_HASH, __u64, struct weir_entry, BPF_F_NO_PREALLOC, 1)               \
	/* The row of limits for prefixes of sources that have limits of their own. */            \
	M(scopes, BPF_MAP_TYPE_LPM_TRIE, struct weir_prefix, __u32,                               \
	  BPF_F_NO_PREALLOC, WEIR_SCOPES)                                                         \
	/* Limits, budgets and cookies, compiled into tables. */                                  \
	M(policy, BPF_MAP_TYPE_ARRAY, __u32, struct weir_policy, BPF_F_MMAPABLE, 1)               \
	/* All lists, compiled into one array. */                                                 \
	M(blockset, BPF_MAP_TYPE_ARRAY, __u32, struct weir_line,                                  \
	  BPF_F_MMAPABLE | BPF_F_INNER_MAP, 1)

_Static_assert(sizeof(struct weir_prefix) == 20, "ABI: weir_prefix");
_Static_assert(sizeof(struct weir_tally) == 72, "ABI: weir_tally");
_Static_assert(sizeof(struct weir_cookie_watch) == 120, "ABI: weir_cookie_watch");
_Static_assert(sizeof(struct weir_loss_watch) == 304, "ABI: weir_loss_watch");
_Static_assert(__builtin_offsetof(struct weir_hints, v4) == 80, "ABI: weir_hints");
_Static_assert(sizeof(struct weir_entry) == 80, "ABI: weir_entry");
_Static_assert(sizeof(struct weir_limit) == 64, "ABI: weir_limit");
_Static_assert(sizeof(struct weir_limit_spec) == 192, "ABI: weir_limit_spec");
_Static_assert(sizeof(struct weir_bucket_key) == 24, "ABI: weir_bucket_key");
_Static_assert(sizeof(struct weir_bucket) == 56, "ABI: weir_bucket");
_Static_assert(sizeof(struct weir_gate_line) == 64, "ABI: weir_gate_line");
_Static_assert(sizeof(struct weir_line) == 64, "ABI: weir_line");
_Static_assert(sizeof(struct weir_budget_spec) == 224, "ABI: weir_budget_spec");
_Static_assert(sizeof(struct weir_syn_rule) == 64, "ABI: weir_syn_rule");
_Static_assert(sizeof(struct weir_dns_rule) == 64, "ABI: weir_dns_rule");
_Static_assert(sizeof(struct weir_rule_spec) == 280, "ABI: weir_rule_spec");
_Static_assert(sizeof(struct weir_rule) == 136, "ABI: weir_rule");
_Static_assert(sizeof(struct weir_rule_bucket) == 64, "ABI: weir_rule_bucket");
_Static_assert(sizeof(struct weir_rule_count) == 48, "ABI: weir_rule_count");
_Static_assert(sizeof(struct weir_budget_state) == 320, "ABI: weir_budget_state");
_Static_assert(sizeof(struct weir_common) == 64, "ABI: weir_common");
_Static_assert(sizeof(struct weir_link) == 64, "ABI: weir_link");
_Static_assert(sizeof(struct weir_neighbours) == 64, "ABI: weir_neighbours");
_Static_assert(sizeof(struct weir_service) == 24, "ABI: weir_service");
_Static_assert(sizeof(struct weir_core_time) == 88, "ABI: weir_core_time");
_Static_assert(sizeof(struct weir_known_line) == 64, "ABI: weir_known_line");
_Static_assert(sizeof(struct weir_filter_line) == 64, "ABI: weir_filter_line");
_Static_assert(sizeof(struct weir_asked_line) == 64, "ABI: weir_asked_line");
_Static_assert(sizeof(struct weir_network) == 128, "ABI: weir_network");
_Static_assert(sizeof(struct weir_listener) == 136, "ABI: weir_listener");
_Static_assert(sizeof(struct weir_event) == 328, "ABI: weir_event");
_Static_assert(WEIR_REASON_MAX < 64, "ABI: reasons");

#endif
