/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the data path would decide for a frame now. The program itself says so, over copies of
 * the maps (dry_run.h); nothing is written.
 *
 * Of some things the outcome depends on, a tool can know nothing: which CPU takes the packet, and
 * so which CPU's part of a budget it spends; whether a segment belongs to a connection when its
 * source port is not known, whether it brings a cookie that this kernel made, whether a listener
 * sent a cookie lately, and whether a segment is sent again after it was dropped. Each possibility is
 * then tried, and the verdict has all reasons that came out.
 */
#ifndef WEIR_STATE_VERDICT_H
#define WEIR_STATE_VERDICT_H

#include "user/state/copies.h"

struct verdict_question {
	const void *frame;
	uint32_t size;
	int cpu;		/* the one that takes it; -1: any */
	uint64_t now_ns, coarse_ns; /* CLOCK_MONOTONIC and its coarse form; 0: now */
	bool any_connection;	/* of TCP: it may belong to a connection, whatever its ports say */
	bool any_socket;	/* the sockets it may reach are in another network namespace */
	bool any_cookie;	/* it may acknowledge a cookie; else @cookie says */
	bool cookie;
	bool any_clock;		/* a listener's last cookie may be fresh or not; else @clock says */
	enum weir_clock clock;
	bool any_sequence;	/* of TCP: its port and number may be those of one dropped before */
};

/* What decides between the reasons of a verdict. */
#define VERDICT_CPU		1
#define VERDICT_SOCKET		2
#define VERDICT_COOKIE		4
#define VERDICT_AGAIN		8
#define VERDICT_CLOCK		16

struct verdict {
	/* On the first CPU; of a connection's segment, of no cookie, of a SYN not sent before,
	 * to a listener whose cookie is fresh. */
	enum weir_reason reason;
	uint64_t possible;	/* a bit for each possible reason, @reason included */
	uint32_t rule;		/* the drop rule, where WEIR_DROP_RULE is possible */
	uint8_t depends[WEIR_REASON_MAX]; /* of each of those: what must be otherwise */
};

/*
 * 0, or -errno with @err. What was read of the maps stays in @copies, and is not read again: to
 * ask about the same moment twice.
 */
int verdict_of(struct copies *copies, const struct verdict_question *question,
	       struct verdict *verdict, char *err);

#endif
