// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/listen.h"
#include "user/state/listeners.h"

#define EVENTS_PER_S	1000		/* wanted by a reader that does not say how many */
#define WINDOW_NS	(100 * NS_PER_MS)	/* how often the sampling is adjusted */
#define WINDOWS_PER_S	10
#define SHIFT_MAX	24

struct listener {
	struct maps *maps;
	uint32_t slot;
	int ring_fd;
	struct ring_buffer *ring;
	listen_each each;
	void *arg;
	struct weir_listener entry;	/* as last written */
	struct listen_totals totals;
	uint64_t lost_packets;
	uint64_t window_end_ns;
	uint32_t window_events;	/* about the most in one window */
	uint32_t sampled[WEIR_REASON_MAX];	/* events in this window */
};

/* ---- sampling: one packet in 2^shift becomes an event, each reason with its own shift ---- */

static uint8_t shift_for(uint64_t events, uint64_t share)
{
	uint8_t shift = 0;

	while (shift < SHIFT_MAX && events >> shift > share)
		shift++;
	return shift;
}

/*
 * The first window must not receive all packets of a flood that is under way, so the packets
 * of one window are counted before listening begins.
 */
static void guess_shifts(struct listener *listener)
{
	struct weir_counters before, after;

	if (devices_sum(listener->maps, &before))
		return;
	usleep(WINDOW_NS / 1000);
	if (devices_sum(listener->maps, &after))
		return;
	for (int i = 0; i < WEIR_REASON_MAX; i++)
		listener->entry.every_shift[i] = shift_for(
			after.reason[i].packets - before.reason[i].packets, listener->window_events);
}

/* Writes the shifts only: the data path counts lost, which must not go backwards. */
static void write_shifts(struct listener *listener, const struct weir_listener *now)
{
	struct weir_listener entry = *now;

	memcpy(entry.every_shift, listener->entry.every_shift, sizeof(entry.every_shift));
	if (memcmp(&entry, now, sizeof(entry)))
		bpf_map_update_elem(listener->maps->fd[MAP_listeners], &listener->slot, &entry,
				    BPF_EXIST);
}

/* Events lost since the last call; @now (may be NULL): the entry as the map has it. */
static uint64_t add_lost(struct listener *listener, struct weir_listener *now)
{
	struct weir_listener entry;
	uint64_t lost;

	if (bpf_map_lookup_elem(listener->maps->fd[MAP_listeners], &listener->slot, &entry))
		return 0;
	lost = entry.lost - listener->totals.lost;
	listener->totals.lost = entry.lost;
	listener->totals.packets += entry.lost_packets - listener->lost_packets;
	listener->lost_packets = entry.lost_packets;
	if (now)
		*now = entry;
	return lost;
}

/*
 * The reasons seen in the last window share the events of the next one. Sampling becomes
 * sparser at once but denser only step by step, so that a flood in pulses does not fill the
 * ring with each pulse.
 */
static void set_shifts(struct listener *listener)
{
	uint32_t active = 0, share, most = 0;
	struct weir_listener now = listener->entry;
	uint64_t lost = add_lost(listener, &now);

	for (uint32_t i = 0; i < WEIR_REASON_MAX; i++) {
		active += listener->sampled[i] > 0;
		most = listener->sampled[i] > listener->sampled[most] ? i : most;
	}
	listener->sampled[most] += lost;
	share = active ? listener->window_events / active : listener->window_events;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		uint8_t *shift = &listener->entry.every_shift[i];

		if (listener->sampled[i] > share)
			*shift += shift_for(listener->sampled[i], share);
		else if (*shift && listener->sampled[i] < share / 4)
			--*shift;
		if (*shift > SHIFT_MAX)
			*shift = SHIFT_MAX;
		listener->sampled[i] = 0;
	}
	write_shifts(listener, &now);
}

/* ---- listening ---- */

static int take_event(void *arg, void *data, size_t size)
{
	struct listener *listener = arg;
	const struct weir_event *event = data;

	if (size < sizeof(*event) || event->reason >= WEIR_REASON_MAX)
		return 0;
	listener->sampled[event->reason]++;
	listener->totals.events++;
	listener->totals.packets += event->weight;
	listener->each(event, listener->arg);
	return 0;
}

static int make_ring(struct listener *listener, char *err)
{
	listener->ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "weir_ring", 0, 0,
					   WEIR_RING_BYTES, NULL);
	if (listener->ring_fd < 0)
		return fail(err, errno, "cannot create a ring buffer of %u KiB for the packets: %s",
			    WEIR_RING_BYTES / 1024, strerror(errno));
	listener->ring = ring_buffer__new(listener->ring_fd, take_event, listener, NULL);
	if (!listener->ring)
		return fail(err, errno, "cannot map the ring buffer of the packets into memory: %s",
			    strerror(errno));
	return 0;
}

static void describe_reader(struct weir_listener *entry, const struct wanted *wanted)
{
	struct prefix mask = { .hi = UINT64_MAX, .lo = UINT64_MAX,
			       .length = wanted->from_given ? wanted->from.length : 0 };

	prefix_mask(&mask);
	*entry = (struct weir_listener){ .reasons = wanted->reasons, .mask_hi = mask.hi,
					 .mask_lo = mask.lo };
	if (wanted->from_given) {
		entry->hi = wanted->from.hi & mask.hi;
		entry->lo = wanted->from.lo & mask.lo;
		entry->only_ipv6 = !prefix_is_v4(&wanted->from);
	}
}

int listen_open(struct listener **made, struct maps *maps, const struct wanted *wanted,
		listen_each each, void *arg, char *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int rc;

	*made = NULL;
	if (!listener)
		return fail(err, ENOMEM, "cannot listen to packets: out of memory");
	*listener = (struct listener){ .maps = maps, .slot = WEIR_LISTENERS, .ring_fd = -1,
				       .each = each, .arg = arg };
	listener->window_events = (wanted->events_per_s ? wanted->events_per_s : EVENTS_PER_S) /
				  WINDOWS_PER_S;
	describe_reader(&listener->entry, wanted);
	guess_shifts(listener);
	rc = make_ring(listener, err);
	if (!rc)
		rc = maps_lock(maps, err);
	if (!rc) {
		rc = listener_take(maps, &listener->entry, listener->ring_fd, &listener->slot, err);
		maps_unlock(maps);
	}
	if (rc) {
		listen_close(listener);
		return rc;
	}
	listener->window_end_ns = now_ns() + WINDOW_NS;
	*made = listener;
	return 0;
}

int listen_poll(struct listener *listener, int wait_ms)
{
	int rc = ring_buffer__poll(listener->ring, wait_ms);

	if (now_ns() >= listener->window_end_ns) {
		set_shifts(listener);
		listener->window_end_ns = now_ns() + WINDOW_NS;
	}
	return rc < 0 ? rc : 0;
}

/* Takes no lock: a writer that holds it must not keep a reader from ending. */
struct listen_totals listen_close(struct listener *listener)
{
	struct listen_totals totals = { 0 };

	if (!listener)
		return totals;
	if (listener->slot < WEIR_LISTENERS) {
		add_lost(listener, NULL);
		listener_clear(listener->maps, listener->slot);
	}
	ring_buffer__free(listener->ring);
	if (listener->ring_fd >= 0)
		close(listener->ring_fd);
	totals = listener->totals;
	free(listener);
	return totals;
}
