// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/watch.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/device.h"

#define POLL_MS		50
#define TICK_NS		(250 * NS_PER_MS)
#define ATTACHED_NS	NS_PER_S	/* less often: it asks the kernel about each interface */

/* ---- words ---- */

int watch_set_reason(void *into, const char *value, char *err)
{
	struct watch_words *w = into;
	enum weir_reason reason = reason_find(value);
	char quoted[PREFIX_QUOTE];

	if (reason < WEIR_REASON_MAX) {
		w->wanted.reasons |= 1ULL << reason;
		return 0;
	}
	prefix_quote(value, strlen(value), quoted);
	return fail(err, EINVAL, "there is no reason %s; `weir show reasons` lists them", quoted);
}

int watch_set_from(void *into, const char *value, char *err)
{
	struct watch_words *w = into;

	w->wanted.from_given = true;
	return parse_prefix(value, &w->wanted.from, err);
}

int watch_parse(struct words words, const struct word *table, struct watch_words *w, char *err)
{
	int rc;

	*w = (struct watch_words){ 0 };
	rc = take_words(&words, table, w, err);
	if (!rc && w->passed && w->wanted.reasons)
		rc = fail(err, EINVAL, "passed or reason, not both: each reason implies whether "
			  "packets pass");
	return rc;
}

const char *event_action(const struct weir_event *event)
{
	const char *action = reason_action(event->reason);

	return event->passed && !strcmp(action, "drop") ? "would drop" : action;
}

/* ---- signals ---- */

static volatile sig_atomic_t signalled;

static void note_signal(int number)
{
	signalled = number;
}

/*
 * Without SA_RESTART, so that a signal ends poll() at once. Signals that are ignored at the start,
 * as by nohup, stay ignored. SIGPIPE is ignored: write() returns EPIPE.
 */
static void catch_signals(void)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = note_signal }, old;

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!sigaction(ours[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(ours[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool watch_is_signalled(void)
{
	return signalled;
}

bool watch_reader_left(int fd)
{
	struct pollfd reader = { .fd = fd };

	return poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP);
}

void watch_die_of_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

/* ---- the loop ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void read_devices(struct watch *watch)
{
	struct weir_device device;

	for (uint32_t slot = 0; device_next(&watch->maps, &slot, &device); slot++) {
		memcpy(watch->device[slot], device.name, sizeof(device.name));
		watch->bare[slot] = device.bare;
	}
	watch->unix_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static bool any_attached(const struct watch *watch)
{
	struct weir_device device;

	for (uint32_t slot = 0; device_next(&watch->maps, &slot, &device); slot++)
		if (device_is_attached(&watch->maps, &device))
			return true;
	return false;
}

/* Before the first attach this is false. */
static bool was_detached(struct watch *watch)
{
	bool attached = any_attached(watch);

	if (!maps_are_current(&watch->maps) || (watch->attached && !attached))
		return true;
	watch->attached = attached;
	return false;
}

int watch_open(struct watch *watch, const struct watch_words *w, listen_each each, char *err)
{
	struct wanted wanted = w->wanted;
	int rc = maps_open(&watch->maps, MAPS_READ, err);

	if (rc)
		return rc;
	if (!wanted.reasons)
		wanted.reasons = reasons_of_action(w->passed ? "pass" : "drop");
	catch_signals();
	rc = listen_open(&watch->listener, &watch->maps, &wanted, each, watch->arg, err);
	if (rc && !(rc == -EBUSY && watch->may_be_deaf)) {
		maps_close(&watch->maps);
		return rc;
	}
	read_devices(watch);
	watch->attached = any_attached(watch);
	if (w->seconds)
		watch->end_ns = now_ns() + w->seconds * NS_PER_S;
	return 0;
}

static int wait_for_packets(struct watch *watch, int wait_ms)
{
	if (watch->listener)
		return listen_poll(watch->listener, wait_ms);
	return poll(NULL, 0, wait_ms) < 0 ? -errno : 0;
}

enum watch_end watch_run(struct watch *watch)
{
	uint64_t next_tick = 0, next_attached = now_ns() + ATTACHED_NS;

	while (!watch->end) {
		uint64_t now = now_ns();
		int rc = 0;

		if (now >= next_tick) {
			read_devices(watch);
			if (watch->tick)
				watch->tick(watch->arg);
			next_tick = now + TICK_NS;
		}
		if (!watch->end)
			rc = wait_for_packets(watch, POLL_MS);
		if (watch->flush)
			watch->flush(watch->arg);
		if (watch->end)
			break;
		if (signalled)
			watch->end = WATCH_SIGNAL;
		else if (rc && rc != -EINTR)
			watch->end = WATCH_FAILED;
		else if (watch->end_ns && now >= watch->end_ns)
			watch->end = WATCH_TIME;
		else if (now >= next_attached && was_detached(watch))
			watch->end = WATCH_DETACHED;
		if (now >= next_attached)
			next_attached = now + ATTACHED_NS;
	}
	if (watch->end != WATCH_ENOUGH && !wait_for_packets(watch, 0) && watch->flush)
		watch->flush(watch->arg);	/* the last events */
	return watch->end;
}

struct listen_totals watch_close(struct watch *watch)
{
	struct listen_totals totals = listen_close(watch->listener);

	maps_close(&watch->maps);
	return totals;
}
