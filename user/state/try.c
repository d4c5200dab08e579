// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "user/state/datapath.h"
#include "user/state/device.h"
#include "user/state/stack.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/try.h"

#define PERSISTENCE	30	/* attempts to get the lock, each of up to 10 s */

const char *try_fallback_text(const struct weir_device *device)
{
	static const char *const texts[] = {
		[WEIR_BACK_TO_NOTHING] = "off the interface",
		[WEIR_BACK_TO_MONITOR] = "back to monitor mode",
		[WEIR_BACK_TO_ENFORCING] = "back to enforcing",
	};

	return device->fallback <= WEIR_BACK_TO_ENFORCING ? texts[device->fallback] : "?";
}

const char *try_fallback_word(const struct weir_device *device)
{
	static const char *const words[] = {
		[WEIR_BACK_TO_NOTHING] = "detached",
		[WEIR_BACK_TO_MONITOR] = "monitor",
		[WEIR_BACK_TO_ENFORCING] = "enforcing",
	};

	return device->fallback <= WEIR_BACK_TO_ENFORCING ? words[device->fallback] : "?";
}

/* Replaces the program by one without a deadline. */
static int stay(struct maps *maps, uint32_t slot, struct weir_device *device, bool monitor,
		char *err)
{
	struct attach_result result;
	int rc;

	device->monitor = monitor;
	device->try_until_ns = 0;
	device->fallback = 0;
	rc = datapath_attach(maps, slot, device, ATTACH_AUTO, &result, err);
	if (rc)
		return rc;
	rc = device_write(maps, slot, device);
	return rc ? fail(err, -rc, "%s: the program is in place, but cannot be recorded in map "
			 "devices: %s; attach again", device->name, strerror(-rc)) : 0;
}

/* Whether our program is on the interface: 1, 0, or -errno with @err. */
static int is_there(const struct maps *maps, const struct weir_device *device, char *err)
{
	int there = device_is_gone(device) ? 0 : datapath_is_attached(maps, device);

	return there < 0 ? fail(err, -there, "%s: cannot find out whether weir is still on it: %s",
				device->name, strerror(-there)) : there;
}

int try_confirm(struct maps *maps, uint32_t slot, struct weir_device *device, char *err)
{
	int there = is_there(maps, device, err);

	if (there < 0)
		return there;
	if (!there)
		return fail(err, ENOENT, "%s: weir is not on it any more, so there is nothing to "
			    "confirm", device->name);
	return stay(maps, slot, device, device->monitor, err);
}

int try_go_back(struct maps *maps, uint32_t slot, struct weir_device *device, char *err)
{
	static const struct weir_device none;
	int there = is_there(maps, device, err), rc = 0;

	if (there < 0)
		return there;
	if (there && device->fallback != WEIR_BACK_TO_NOTHING)
		return stay(maps, slot, device, device->fallback == WEIR_BACK_TO_MONITOR, err);
	if (there)
		rc = datapath_detach(maps, device, err);
	if (rc < 0)
		return rc;
	rc = device_write(maps, slot, &none);
	return rc ? fail(err, -rc, "%s: detached, but the record of it in map devices stays: %s; "
			 "detach again", device->name, strerror(-rc)) : 0;
}

void try_settle(struct maps *maps)
{
	uint32_t slots[WEIR_DEVICES], count = stack_from_top(maps, slots);
	struct weir_device device;
	char err[ERR_LEN];

	for (uint32_t i = 0; i < count; i++)
		if (device_read(maps, slots[i], &device) && device.netns == own_netns() &&
		    try_is_over(&device))
			try_go_back(maps, slots[i], &device, err);
}

/* ---- the process that waits ---- */

static void sleep_until(uint64_t ns)
{
	struct timespec until = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* A confirm, a detach or another try in the meantime has changed the record. */
static bool still_pending(const struct maps *maps, uint32_t slot, const struct weir_device *ours,
			  struct weir_device *now)
{
	return device_read(maps, slot, now) && now->ifindex == ours->ifindex &&
	       now->netns == ours->netns && now->try_until_ns == ours->try_until_ns;
}

static void end_try(uint32_t slot, const struct weir_device *ours)
{
	struct weir_device device;
	struct maps maps;
	char err[ERR_LEN];
	int rc = -EBUSY;

	for (int i = 0; i < PERSISTENCE && rc == -EBUSY; i++)
		rc = maps_open(&maps, MAPS_WRITE, err);
	if (rc == -ENOENT)
		return;
	if (!rc && !still_pending(&maps, slot, ours, &device)) {
		maps_close(&maps);
		return;
	}
	if (!rc) {
		rc = try_go_back(&maps, slot, &device, err);
		maps_close(&maps);
	}
	if (rc)
		syslog(LOG_ERR, "%s: the try ended without confirm, and %s; the program itself "
		       "has gone %s", ours->name, err, try_fallback_text(ours));
	else
		syslog(LOG_WARNING, "%s: the try ended without confirm: %s", ours->name,
		       try_fallback_text(ours));
}

/* Drops all of the session: its terminal, pipes that ssh would wait for, its folder. */
static void leave_session(void)
{
	int null = open("/dev/null", O_RDWR);

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (int fd = 0; fd < 3; fd++)
		if (null >= 0)
			dup2(null, fd);
	close_range(3, ~0U, 0);
	if (chdir("/"))
		syslog(LOG_WARNING, "cannot leave the current folder");
}

int try_watch(uint32_t slot, const struct weir_device *device, char *err)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		setsid();
		child = fork();
		if (child)
			_exit(child < 0);
		leave_session();
		openlog("weir", LOG_PID, LOG_DAEMON);
		sleep_until(device->try_until_ns);
		end_try(slot, device);
		_exit(0);
	}
	if (child > 0 && waitpid(child, &status, 0) == child && !status)
		return 0;
	return fail(err, EAGAIN, "%s: cannot start the process that ends the try", device->name);
}
