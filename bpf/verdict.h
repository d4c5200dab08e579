/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of the journey: a reason becomes an action and is counted. */
#ifndef WEIR_VERDICT_H
#define WEIR_VERDICT_H

enum event { EVENT_EXACT, EVENT_CREATED };

static __always_inline struct weir_counters *own_counters(void)
{
	__u32 slot = device_slot;

	return bpf_map_lookup_elem(&counters, &slot);
}

static __always_inline void count_event(enum event event)
{
	struct weir_counters *own = own_counters();

	if (!own)
		return;
	if (event == EVENT_EXACT)
		own->exact++;
	else
		own->created++;
}

static __always_inline int action_of(enum weir_reason reason)
{
	switch (reason) {
#define R(id, name, action) case WEIR_##id: return XDP_##action;
	WEIR_REASONS(R)
#undef R
	default:
		return XDP_ABORTED;
	}
}

/* The only place with XDP actions, counters and monitor mode. */
static __always_inline int conclude(const struct packet *pkt, enum weir_reason reason)
{
	struct weir_counters *own = own_counters();
	int action = action_of(reason);
	__u32 index = reason;

	/*
	 * Clang 22 infers what a global function can return and drops the check
	 * below, while the verifier takes such a function's result for any number.
	 */
	barrier_var(index);
	if (!own || index >= WEIR_REASON_MAX)
		return XDP_ABORTED;
	own->reason[index].packets++;
	own->reason[index].bytes += pkt->bytes;
	if (monitor && action == XDP_DROP) {
		own->monitored[index].packets++;
		own->monitored[index].bytes += pkt->bytes;
		return XDP_PASS;
	}
	return action;
}

#endif
