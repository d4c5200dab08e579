// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/host/process.h"
#include "user/model/error.h"
#include "user/state/listen.h"
#include "user/state/listeners.h"

static bool is_free(const struct weir_listener *entry)
{
	return !process_is_running(entry->pid, entry->pid_started);
}

static void announce(const struct maps *maps, uint32_t slot, bool listening)
{
	if (listening)
		__atomic_fetch_or(&maps->hints->listeners, 1U << slot, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&maps->hints->listeners, ~(1U << slot), __ATOMIC_RELEASE);
}

/* The data path stops writing to the slot before its ring goes, and that before it is free. */
void listener_clear(const struct maps *maps, uint32_t slot)
{
	static const struct weir_listener none;

	announce(maps, slot, false);
	bpf_map_delete_elem(maps->fd[MAP_events], &slot);
	bpf_map_update_elem(maps->fd[MAP_listeners], &slot, &none, BPF_ANY);
}

void listen_reap(struct maps *maps)
{
	struct weir_listener entry;

	for (uint32_t slot = 0; slot < WEIR_LISTENERS; slot++)
		if (!bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &entry) && entry.pid &&
		    is_free(&entry))
			listener_clear(maps, slot);
}

static int all_taken(const struct maps *maps, char *err)
{
	char pids[WEIR_LISTENERS * 12] = "";
	struct weir_listener entry;

	for (uint32_t slot = 0; slot < WEIR_LISTENERS; slot++) {
		size_t used = strlen(pids);

		if (!bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &entry))
			snprintf(pids + used, sizeof(pids) - used, " %u", entry.pid);
	}
	return fail(err, EBUSY, "%d readers of packets are at work already, which is the most "
		    "there can be (processes%s): end one of them", WEIR_LISTENERS, pids);
}

static uint32_t find_free(const struct maps *maps)
{
	struct weir_listener taken;
	uint32_t slot;

	for (slot = 0; slot < WEIR_LISTENERS; slot++)
		if (bpf_map_lookup_elem(maps->fd[MAP_listeners], &slot, &taken) || is_free(&taken))
			break;
	return slot;
}

int listener_take(const struct maps *maps, struct weir_listener *entry, int ring_fd,
		  uint32_t *taken, char *err)
{
	uint32_t slot = find_free(maps);
	int rc;

	if (slot == WEIR_LISTENERS)
		return all_taken(maps, err);
	entry->pid = getpid();
	entry->pid_started = process_started(entry->pid);
	listener_clear(maps, slot);
	rc = bpf_map_update_elem(maps->fd[MAP_listeners], &slot, entry, BPF_ANY);
	if (!rc)
		rc = bpf_map_update_elem(maps->fd[MAP_events], &slot, &ring_fd, BPF_ANY);
	if (rc) {
		rc = fail(err, errno, "cannot take slot %u of the readers of packets: %s", slot,
			  strerror(errno));
		listener_clear(maps, slot);
		return rc;
	}
	*taken = slot;
	announce(maps, slot, true);
	return 0;
}
