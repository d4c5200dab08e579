// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/host/clock.h"
#include "user/host/netstat.h"
#include "user/model/units.h"
#include "user/state/cookie_watch.h"
#include "user/state/device.h"
#include "user/state/tables.h"

#define LOOK_LEAST_NS	(200 * NS_PER_MS)
#define WINDOW_NS	(10 * NS_PER_S)
#define LEAST		5	/* so many refused ones are worth a word */
#define PART		4	/* and a quarter of all */

/* What the devices of this namespace counted as cookie-ack. False: there is no such device. */
static bool count_acks(const struct maps *maps, uint64_t *acks)
{
	struct weir_counters counters;
	struct weir_device device;
	bool any = false;

	*acks = 0;
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		if (device.netns != own_netns() || maps_read_counters(maps, slot, &counters))
			continue;
		*acks += counters.reason[WEIR_PASS_COOKIE].packets;
		any = true;
	}
	return any;
}

/* Whether this process is the one to look now: it is, if it moves the time. */
static bool take_turn(struct weir_cookie_watch *watch, uint64_t now)
{
	__u64 last = __atomic_load_n(&watch->read_ns, __ATOMIC_ACQUIRE);

	return (!last || now - last >= LOOK_LEAST_NS) &&
	       __atomic_compare_exchange_n(&watch->read_ns, &last, now, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

static uint64_t growth(uint64_t was, uint64_t is)
{
	return is > was ? is - was : 0;
}

static void move_window(struct weir_cookie_watch *watch, uint64_t now)
{
	struct weir_cookie_count *window = watch->window;
	uint64_t age = now - watch->window_ns;

	if (age < WINDOW_NS)
		return;
	window[1] = age < 2 * WINDOW_NS ? window[0] : (struct weir_cookie_count){ 0 };
	window[0] = (struct weir_cookie_count){ 0 };
	watch->window_ns = now;
}

static void add(struct weir_cookie_count *to, const struct weir_cookie_count *more)
{
	to->returned += more->returned;
	to->refused += more->refused;
	to->overflows += more->overflows;
}

void cookie_watch_look(const struct maps *maps)
{
	struct weir_cookie_watch *watch = &maps->hints->cookie_watch;
	struct weir_cookie_count found = { 0 };
	struct tcp_counts counts;
	uint64_t now = now_ns(), acks;

	/* The program's number first: a cookie on its way counts for the kernel only. */
	if (!count_acks(maps, &acks) || tcp_counts_read(&counts) || !take_turn(watch, now))
		return;
	if (watch->netns != own_netns()) {
		/* The first look, at attach or later: the kernel has counted for longer. */
		*watch = (struct weir_cookie_watch){ .read_ns = now, .window_ns = now,
						     .netns = own_netns() };
		watch->received = acks ? 0 : counts.cookies_received;
		watch->overflows = counts.listen_overflows;
	}
	found.returned = growth(watch->acks, acks);
	found.refused = growth(growth(watch->received, counts.cookies_received), found.returned);
	found.overflows = growth(watch->overflows, counts.listen_overflows);
	watch->acks = acks;
	watch->received = counts.cookies_received;
	watch->overflows = counts.listen_overflows;
	move_window(watch, now);
	add(&watch->all, &found);
	add(&watch->window[0], &found);
}

struct cookie_recent cookie_watch_recent(const struct weir_cookie_watch *watch)
{
	const struct weir_cookie_count *window = watch->window;

	return (struct cookie_recent){ window[0].returned + window[1].returned,
				       window[0].refused + window[1].refused,
				       window[0].overflows + window[1].overflows };
}

bool cookie_watch_complaint(const struct weir_cookie_watch *watch, char text[COOKIE_COMPLAINT])
{
	struct cookie_recent recent = cookie_watch_recent(watch);

	*text = '\0';
	if (recent.refused >= LEAST && recent.refused * PART >= recent.returned)
		snprintf(text, COOKIE_COMPLAINT, "%llu of %llu cookies that came back lately made no "
			 "connection: the kernel refuses them, or NAT, TPROXY, IPVS or a "
			 "conntrack rule stands before the listener. `weir syn show` names what "
			 "it finds; `weir syn del` ends the protection",
			 (unsigned long long)recent.refused,
			 (unsigned long long)recent.returned);
	else if (recent.overflows >= LEAST && recent.overflows * PART >= recent.returned &&
		 recent.returned)
		snprintf(text, COOKIE_COMPLAINT, "the accept queue of a listener was full for %llu "
			 "connections lately, while %llu cookies came back: the service accepts "
			 "too slowly, or its backlog or net.core.somaxconn is too small",
			 (unsigned long long)recent.overflows,
			 (unsigned long long)recent.returned);
	return *text;
}

int cookie_watch_read(struct weir_cookie_watch *watch, char *err)
{
	struct maps maps;
	int rc = maps_open(&maps, MAPS_READ, err);

	if (rc)
		return rc;
	cookie_watch_look(&maps);
	*watch = maps.hints->cookie_watch;
	maps_close(&maps);
	return 0;
}
