// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/host/clock.h"
#include "user/host/process.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/listen.h"

#define EVENTS_PER_S	1000		/* told at most, about */
#define WINDOW_NS	(100 * NS_PER_MS)	/* how often the sampling is set */
#define WINDOW_EVENTS	(EVENTS_PER_S / 10)
#define SHIFT_MAX	24

struct listener {
	struct maps *maps;
	uint32_t slot;
	int ring_fd;
	struct ring_buffer *ring;
	listen_each each;
	void *arg;
	struct weir_listener entry;	/* as we wrote it last */
	struct listen_totals totals;
	uint64_t lost_packets;
	uint64_t window_end_ns;
	uint32_t told[WEIR_REASON_MAX];	/* events in this window */
};

/* ---- slots ---- */

static bool is_free(const struct weir_listener *entry)
{
	return !process_is_running(entry->pid, entry->pid_started);
}

static void say_listening(const struct maps *maps, uint32_t slot, bool listening)
{
	if (listening)
		__atomic_fetch_or(&maps->hints->listeners, 1U << slot, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&maps->hints->listeners, ~(1U << slot), __ATOMIC_RELEASE);
}

/* First nobody is told any more, then the ring goes, then the slot is free. */
static void clear_slot(const struct maps *maps, uint32_t slot)
{
	static const struct weir_listener nobody;

	say_listening(maps, slot, false);
	bpf_map_delete_elem(maps->fd[MAP_events], &slot);
	bpf_map_update_elem(maps->fd[MAP_listeners], &slot, &nobody, BPF_ANY);
}

void listen_reap(struct maps *maps)
{
	struct weir_listener entry;

	for (uint32_t slot = 0; slot < WEIR_LISTENERS; slot++)
		if (!bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &entry) && entry.pid &&
		    is_free(&entry))
			clear_slot(maps, slot);
}

static int refuse_fifth(const struct maps *maps, char *err)
{
	char pids[WEIR_LISTENERS * 12] = "";
	struct weir_listener entry;

	for (uint32_t slot = 0; slot < WEIR_LISTENERS; slot++) {
		size_t used = strlen(pids);

		if (!bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &entry))
			snprintf(pids + used, sizeof(pids) - used, " %u", entry.pid);
	}
	return fail(err, EBUSY, "%d readers of packets are at work already, which is the most there "
		    "can be (processes%s): end one of them", WEIR_LISTENERS, pids);
}

static int take_slot(struct listener *listener, char *err)
{
	const struct maps *maps = listener->maps;
	struct weir_listener taken;
	uint32_t slot;
	int rc;

	for (slot = 0; slot < WEIR_LISTENERS; slot++)
		if (bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &taken) || is_free(&taken))
			break;
	if (slot == WEIR_LISTENERS)
		return refuse_fifth(maps, err);
	clear_slot(maps, slot);
	rc = bpf_map_update_elem(maps->fd[MAP_listeners], &slot, &listener->entry, BPF_ANY);
	if (!rc)
		rc = bpf_map_update_elem(maps->fd[MAP_events], &slot, &listener->ring_fd, BPF_ANY);
	if (rc) {
		rc = fail(err, errno, "cannot take slot %u of the listeners: %s", slot,
			  strerror(errno));
		clear_slot(maps, slot);
		return rc;
	}
	listener->slot = slot;
	say_listening(maps, slot, true);
	return 0;
}

/* ---- how many packets are told ---- */

static uint8_t shift_for(uint64_t events, uint64_t share)
{
	uint8_t shift = 0;

	while (shift < SHIFT_MAX && events >> shift > share)
		shift++;
	return shift;
}

/*
 * A flood that is there already is not told in full first: a window's count
 * without listening says how much of it is enough.
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
			after.reason[i].packets - before.reason[i].packets, WINDOW_EVENTS);
}

/* Only our bytes: lost is the data path's, and must not go backwards. */
static void write_shifts(struct listener *listener, const struct weir_listener *now)
{
	struct weir_listener entry = *now;

	memcpy(entry.every_shift, listener->entry.every_shift, sizeof(entry.every_shift));
	if (memcmp(&entry, now, sizeof(entry)))
		bpf_map_update_elem(listener->maps->fd[MAP_listeners], &listener->slot, &entry,
				    BPF_EXIST);
}

/* What was lost since we last looked; @now (may be NULL): our entry as it is. */
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
 * The reasons share what may be told. At once thinner, and only step by step
 * denser: pulses of a flood must not fill the ring each time.
 */
static void set_shifts(struct listener *listener)
{
	uint32_t active = 0, share, most = 0;
	struct weir_listener now = listener->entry;
	uint64_t lost = add_lost(listener, &now);

	for (uint32_t i = 0; i < WEIR_REASON_MAX; i++) {
		active += listener->told[i] > 0;
		most = listener->told[i] > listener->told[most] ? i : most;
	}
	listener->told[most] += lost;
	share = active ? WINDOW_EVENTS / active : WINDOW_EVENTS;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		uint8_t *shift = &listener->entry.every_shift[i];

		if (listener->told[i] > share)
			*shift += shift_for(listener->told[i], share);
		else if (*shift && listener->told[i] < share / 4)
			--*shift;
		if (*shift > SHIFT_MAX)
			*shift = SHIFT_MAX;
		listener->told[i] = 0;
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
	listener->told[event->reason]++;
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
		return fail(err, errno, "cannot make a ring buffer: %s", strerror(errno));
	listener->ring = ring_buffer__new(listener->ring_fd, take_event, listener, NULL);
	if (!listener->ring)
		return fail(err, errno, "cannot map the ring buffer: %s", strerror(errno));
	return 0;
}

static void describe_reader(struct weir_listener *entry, const struct wanted *wanted)
{
	struct prefix mask = { .hi = UINT64_MAX, .lo = UINT64_MAX,
			       .length = wanted->from_given ? wanted->from.length : 0 };

	prefix_mask(&mask);
	*entry = (struct weir_listener){ .reasons = wanted->reasons, .mask_hi = mask.hi,
					 .mask_lo = mask.lo, .pid = getpid(),
					 .pid_started = process_started(getpid()) };
	if (wanted->from_given) {
		entry->hi = wanted->from.hi & mask.hi;
		entry->lo = wanted->from.lo & mask.lo;
	}
}

int listen_open(struct listener **made, struct maps *maps, const struct wanted *wanted,
		listen_each each, void *arg, char *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int rc;

	*made = NULL;
	if (!listener)
		return fail(err, ENOMEM, "out of memory");
	*listener = (struct listener){ .maps = maps, .slot = WEIR_LISTENERS, .ring_fd = -1,
				       .each = each, .arg = arg };
	describe_reader(&listener->entry, wanted);
	guess_shifts(listener);
	rc = make_ring(listener, err);
	if (!rc)
		rc = maps_lock(maps, err);
	if (!rc) {
		rc = take_slot(listener, err);
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

/* The slot is nobody else's while we live: no lock, which could keep us from ending. */
struct listen_totals listen_close(struct listener *listener)
{
	struct listen_totals totals = { 0 };

	if (!listener)
		return totals;
	if (listener->slot < WEIR_LISTENERS) {
		add_lost(listener, NULL);
		clear_slot(listener->maps, listener->slot);
	}
	ring_buffer__free(listener->ring);
	if (listener->ring_fd >= 0)
		close(listener->ring_fd);
	totals = listener->totals;
	free(listener);
	return totals;
}
