// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "user/model/losses.h"
#include "user/model/units.h"

#define WINDOW_NS	(10 * NS_PER_S)
#define LEAST		100	/* so many lost packets are worth a word */
#define PART		100	/* and one in so many of all */

/* ---- what is known of drivers ---- */

#define PATTERNS	2

/*
 * Read in the drivers of Linux 6.1 to 6.12; docs/architecture.md says the same in words. In a
 * pattern '#' stands for the digits of a queue. @lost: statistics of packets that were lost before
 * or beside the program; @own: of these, packets that the program dropped.
 */
static const struct driver {
	const char *name;
	enum own_drops own_drops;
	const char *lost[PATTERNS], *own[PATTERNS];
} drivers[] = {
	/* xdp_drops is a counter of its own; a full ring counts here if frames are redirected to
	 * the interface, and else as tx_dropped of its peer. */
	{ "veth", OWN_APART, { "rx_queue_#_drops" }, { NULL } },
	/* A packet that the program drops is counted as xdp_drops and as drops, and the sum of the
	 * latter is rx_dropped. The names are those of Linux 6.1 and of 6.12, which
	 * has the sum of the queues beside, as rx_drops. */
	{ "virtio_net", OWN_STATISTIC, { "rx_queue_#_drops", "rx#_drops" },
	  { "rx_queue_#_xdp_drops", "rx#_xdp_drops" } },
	/* tun_xdp_act() counts what the program drops as rx_dropped, and nothing else of it; it is
	 * native for taps only. */
	{ "tun", OWN_PROGRAM, { NULL }, { NULL } },
	{ "igb", OWN_UNKNOWN, { "rx_queue_#_drops" }, { NULL } },
	{ "igc", OWN_UNKNOWN, { "rx_queue_#_drops" }, { NULL } },
	{ "ixgbe", OWN_UNKNOWN, { "rx_no_dma_resources" }, { NULL } },
	{ "ice", OWN_UNKNOWN, { "rx_dropped.nic" }, { NULL } },
	{ "mlx5_core", OWN_UNKNOWN, { "rx_out_of_buffer" }, { NULL } },
	{ "ena", OWN_UNKNOWN, { "rx_drops" }, { NULL } },
	{ "sfc", OWN_UNKNOWN, { "port_rx_nodesc_drops" }, { NULL } },
};

static const struct driver *find_driver(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(drivers[i].name, name))
			return &drivers[i];
	return NULL;
}

enum own_drops losses_own(const char *name, bool native)
{
	const struct driver *driver = find_driver(name);

	if (!native)
		return OWN_APART;
	return driver ? driver->own_drops : OWN_UNKNOWN;
}

const char *own_drops_name(enum own_drops own)
{
	static const char *const names[] = { "unknown", "apart", "statistic", "program" };

	return names[own];
}

bool losses_has_statistics(const char *name)
{
	const struct driver *driver = find_driver(name);

	return driver && driver->lost[0];
}

static bool matches(const char *pattern, const char *name)
{
	for (; *pattern; pattern++) {
		if (*pattern != '#') {
			if (*pattern != *name++)
				return false;
			continue;
		}
		if (!isdigit((unsigned char)*name))
			return false;
		while (isdigit((unsigned char)*name))
			name++;
	}
	return !*name;
}

static bool matches_any(const char *const patterns[PATTERNS], const char *name)
{
	for (int i = 0; i < PATTERNS && patterns[i]; i++)
		if (matches(patterns[i], name))
			return true;
	return false;
}

void losses_add_statistic(struct loss_reading *reading, const char *driver_name, const char *name,
			  uint64_t value)
{
	const struct driver *driver = find_driver(driver_name);

	if (!driver)
		return;
	if (matches_any(driver->lost, name))
		reading->raw[WEIR_LOST_QUEUES] += value;
	if (!matches_any(driver->own, name))
		return;
	reading->own[WEIR_LOST_QUEUES] += value;
	reading->own[WEIR_LOST_DROPPED] += value;
}

/* ---- adding up ---- */

void losses_begin(struct weir_loss_watch *watch, const struct loss_reading *reading,
		  uint64_t now_ns)
{
	memset(&watch->all, 0, sizeof(watch->all));
	memset(watch->window, 0, sizeof(watch->window));
	watch->window_ns = now_ns;
	watch->seen = reading->seen;
	for (int i = 0; i < WEIR_LOSSES; i++) {
		watch->raw[i] = reading->raw[i];
		watch->level[i] = (int64_t)(reading->raw[i] - reading->own[i]);
	}
}

static void move_window(struct weir_loss_watch *watch, uint64_t now)
{
	uint64_t age = now - watch->window_ns;

	if (age < WINDOW_NS)
		return;
	watch->window[1] = age < 2 * WINDOW_NS ? watch->window[0] : (struct weir_loss_count){ 0 };
	watch->window[0] = (struct weir_loss_count){ 0 };
	watch->window_ns = now;
}

/*
 * The counters of one reading are not of the same moment: the program's drops are read last, so a
 * level may be too low by what was dropped meanwhile, and never too high. Compared with the highest
 * level so far, such an error does not add up.
 */
static uint64_t take_level(struct weir_loss_watch *watch, const struct loss_reading *reading, int i)
{
	int64_t level = (int64_t)(reading->raw[i] - reading->own[i]), before = watch->level[i];
	bool fell = reading->raw[i] < watch->raw[i];

	watch->raw[i] = reading->raw[i];
	if (fell || level > before)
		watch->level[i] = level;
	return !fell && level > before ? level - before : 0;
}

void losses_take(struct weir_loss_watch *watch, const struct loss_reading *reading,
		 uint64_t now_ns)
{
	uint64_t seen = reading->seen > watch->seen ? reading->seen - watch->seen : 0;

	move_window(watch, now_ns);
	watch->seen = reading->seen;
	watch->all.seen += seen;
	watch->window[0].seen += seen;
	for (int i = 0; i < WEIR_LOSSES; i++) {
		uint64_t lost = take_level(watch, reading, i);

		watch->all.lost[i] += lost;
		watch->window[0].lost[i] += lost;
	}
}

struct weir_loss_count losses_recent(const struct weir_loss_watch *watch)
{
	struct weir_loss_count sum = watch->window[0];

	sum.seen += watch->window[1].seen;
	for (int i = 0; i < WEIR_LOSSES; i++)
		sum.lost[i] += watch->window[1].lost[i];
	return sum;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* rx_missed_errors is by its definition not part of rx_dropped, so these two are added. */
uint64_t losses_least(const struct weir_loss_count *count, enum own_drops own)
{
	uint64_t link = count->lost[WEIR_LOST_MISSED];

	if (own != OWN_UNKNOWN)
		link += count->lost[WEIR_LOST_DROPPED];
	link = larger(link, count->lost[WEIR_LOST_OVER]);
	link = larger(link, count->lost[WEIR_LOST_FIFO]);
	return larger(link, count->lost[WEIR_LOST_QUEUES]);
}

/* ---- words ---- */

static const struct {
	const char *name, *counter;
} names[WEIR_LOSSES] = {
	[WEIR_LOST_DROPPED] = { "dropped", "rx_dropped" },
	[WEIR_LOST_MISSED] = { "missed", "rx_missed_errors" },
	[WEIR_LOST_OVER] = { "over", "rx_over_errors" },
	[WEIR_LOST_FIFO] = { "fifo", "rx_fifo_errors" },
	[WEIR_LOST_NOHANDLER] = { "nohandler", "rx_nohandler" },
	[WEIR_LOST_QUEUES] = { "queues", "the driver's queues" },
};

const char *loss_name(enum weir_loss loss)
{
	return names[loss].name;
}

const char *losses_list(const struct weir_loss_count *count, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (int i = 0; i < WEIR_LOSSES; i++)
		if (count->lost[i] && used < size)
			used += snprintf(text + used, size - used, "%s%s %llu", used ? ", " : "",
					 names[i].counter, (unsigned long long)count->lost[i]);
	return text;
}

bool losses_complaint(const struct weir_loss_watch *watch, enum own_drops own, const char *dev,
		      char text[LOSS_COMPLAINT])
{
	struct weir_loss_count recent = losses_recent(watch);
	uint64_t lost = losses_least(&recent, own);
	char list[192];

	*text = '\0';
	if (lost < LEAST || lost * PART < recent.seen + lost)
		return false;
	snprintf(text, LOSS_COMPLAINT, "%s: %llu packets were lost lately that weir never saw, beside "
		 "%llu that it saw (%s): the card or the driver has more than its queues and CPUs "
		 "take. `weir doctor dev %s` names what can be set", dev, (unsigned long long)lost,
		 (unsigned long long)recent.seen, losses_list(&recent, list, sizeof(list)), dev);
	return true;
}
