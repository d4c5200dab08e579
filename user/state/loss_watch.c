// SPDX-License-Identifier: GPL-2.0-only
#include <net/if.h>
#include <string.h>

#include "user/host/clock.h"
#include "user/host/ethtool.h"
#include "user/host/rtnl.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/loss_watch.h"
#include "user/state/tables.h"
#include "user/state/unread.h"

#define LOOK_LEAST_NS	(500 * NS_PER_MS)

struct statistics {
	struct loss_reading *reading;
	const char *driver;
};

static void add_statistic(const char *name, uint64_t value, void *arg)
{
	struct statistics *statistics = arg;

	losses_add_statistic(statistics->reading, statistics->driver, name, value);
}

/* What the program dropped in fact, and not only in monitor mode. */
static uint64_t dropped_by_program(const struct weir_counters *counters)
{
	uint64_t dropped = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!strcmp(reason_action(i), "drop"))
			dropped += counters->reason[i].packets - counters->monitored[i].packets;
	return dropped;
}

/* The kernel's counters first, and what the program dropped last: see take_level(). */
static bool read_counters(const struct maps *maps, uint32_t slot, const struct weir_device *device,
			  struct loss_reading *reading)
{
	char name[IF_NAMESIZE], driver[DRIVER_NAME];
	struct statistics statistics = { reading, driver };
	struct weir_counters counters;
	struct link_counts link;

	*reading = (struct loss_reading){ 0 };
	if (device->netns != own_netns() || !if_indextoname(device->ifindex, name) ||
	    link_counts_read(device->ifindex, &link))
		return false;
	reading->raw[WEIR_LOST_DROPPED] = link.dropped;
	reading->raw[WEIR_LOST_MISSED] = link.missed;
	reading->raw[WEIR_LOST_OVER] = link.over;
	reading->raw[WEIR_LOST_FIFO] = link.fifo;
	reading->raw[WEIR_LOST_NOHANDLER] = link.nohandler;
	ethtool_driver(name, driver);
	if (losses_has_statistics(driver) && ethtool_statistics(name, add_statistic, &statistics))
		return false;
	if (maps_read_counters(maps, slot, &counters))
		return false;
	reading->seen = counted_packets(&counters);
	if (losses_own(driver, device->mode == WEIR_MODE_NATIVE) == OWN_PROGRAM)
		reading->own[WEIR_LOST_DROPPED] = dropped_by_program(&counters);
	return true;
}

static bool is_of(const struct weir_loss_watch *watch, const struct weir_device *device)
{
	return watch->read_ns && watch->ifindex == device->ifindex &&
	       watch->netns == device->netns && watch->attached_unix_s == device->attached_unix_s;
}

/* Whether this process is the one to look now: it is, if it moves the time. */
static bool take_turn(struct weir_loss_watch *watch, uint64_t now)
{
	__u64 last = __atomic_load_n(&watch->read_ns, __ATOMIC_ACQUIRE);

	return (!last || now - last >= LOOK_LEAST_NS) &&
	       __atomic_compare_exchange_n(&watch->read_ns, &last, now, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static void begin(struct weir_loss_watch *watch, const struct weir_device *device,
		  const struct loss_reading *reading, uint64_t now)
{
	losses_begin(watch, reading, now);
	watch->ifindex = device->ifindex;
	watch->netns = device->netns;
	watch->attached_unix_s = device->attached_unix_s;
}

static void look_at(const struct maps *maps, uint32_t slot, const struct weir_device *device)
{
	struct weir_loss_watch *watch = &maps->hints->losses[slot];
	bool known = is_of(watch, device);
	struct loss_reading reading;
	uint64_t now = now_ns();

	/* The turn is taken before the counters are read, so that none is older than another's. */
	if (device->netns != own_netns() || !take_turn(watch, now) ||
	    !read_counters(maps, slot, device, &reading))
		return;
	if (known)
		losses_take(watch, &reading, now);
	else
		begin(watch, device, &reading, now);
}

void loss_watch_look(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		look_at(maps, slot, &device);
}

void loss_watch_begin(const struct maps *maps, uint32_t slot)
{
	struct weir_loss_watch *watch = &maps->hints->losses[slot];
	struct loss_reading reading;
	struct weir_device device;

	if (!device_read(maps, slot, &device) || !read_counters(maps, slot, &device, &reading))
		return;
	watch->read_ns = now_ns();
	begin(watch, &device, &reading, watch->read_ns);
}

void loss_watch_read(const struct maps *maps, uint32_t slot, const struct weir_device *device,
		     struct losses *losses)
{
	const struct weir_loss_watch *watch = &maps->hints->losses[slot];
	char name[IF_NAMESIZE], driver[DRIVER_NAME] = "";

	*losses = (struct losses){ .own = OWN_UNKNOWN };
	if (!is_of(watch, device))
		return;
	if (device->netns == own_netns() && if_indextoname(device->ifindex, name))
		ethtool_driver(name, driver);
	losses->watch = *watch;
	losses->own = losses_own(driver, device->mode == WEIR_MODE_NATIVE);
	losses_complaint(watch, losses->own, device->name, losses->complaint);
}
