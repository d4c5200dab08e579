/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The data path's program, compiled for the tool, and run over copies of the maps: what it would
 * do with a frame, without doing it.
 */
#ifndef WEIR_STATE_DRY_RUN_H
#define WEIR_STATE_DRY_RUN_H

#include "user/state/copies.h"

#define DRY_FRAME_MAX	2048
#define DRY_ASK		(-1)	/* as the kernel, or the map, says */

struct dry_run {
	struct copies *copies;
	uint8_t frame[DRY_FRAME_MAX];	/* an answer to it may have taken its place afterwards */
	uint32_t size;
	uint64_t now_ns, coarse_ns;	/* CLOCK_MONOTONIC, and its coarse form */
	int socket;	/* the state of the socket that the segment is for, a BPF_TCP_*, 0: none */
	int cookie;	/* whether it acknowledges a cookie; there is nothing to ask */
	int again;	/* whether it was dropped in the last seconds, or an answer asked for it */
	bool no_cookie;	/* the kernel makes none */
	struct weir_event *event;	/* where the last event is made; NULL: none is */
	int clock;	/* of a listener, an enum weir_clock */
	uint32_t rule;	/* set: the drop rule, where the reason is WEIR_DROP_RULE */
	bool no_socket;	/* set: the kernel had to be asked for the socket, and did not say */
};

/* The reason; WEIR_REASON_MAX: the program did not come to one. Rewinds the copies first. */
enum weir_reason dry_run(struct dry_run *run);

#endif
