// SPDX-License-Identifier: GPL-2.0-only
/* weir attach, weir confirm, weir detach. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include "user/cli/command.h"
#include "user/cli/output.h"
#include "user/cli/ssh_guard.h"
#include "user/host/clock.h"
#include "user/host/link.h"
#include "user/host/priority.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/block_set.h"
#include "user/state/cookie_watch.h"
#include "user/state/datapath.h"
#include "user/state/device.h"
#include "user/state/loss_watch.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"
#include "user/state/stack.h"
#include "user/state/tables.h"
#include "user/state/try.h"
#include "user/state/unread.h"

#define TRY_MAX_NS	(24 * 3600 * NS_PER_S)
/* At the traffic, after attaching: ends at the first of the times at which enough packets came. */
#define LOOKS		20
#define LOOK_NS		(10 * NS_PER_MS)
#define LOOK_PACKETS	20
#define ENOUGH_PACKETS	1000

static uint32_t free_slot(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (!device_read(maps, slot, &device))
			return slot;
	return WEIR_DEVICES;
}

/* ---- attach ---- */

/* What the neighbours on a link may send a second beside IP; see bpf/link.h. */
#define LINK_PPS	10000
#define LINK_PPS_MAX	100000000

struct attach_words {
	const char *name;
	enum attach_mode mode;
	uint32_t link_pps;	/* 0: no limit */
	bool monitor, force;
	uint64_t try_ns;	/* 0: for good */
};

static int set_mode(void *into, const char *value, char *err)
{
	static const char *const modes[] = { "auto", "native", "skb" };
	struct attach_words *w = into;

	for (int i = ATTACH_AUTO; i <= ATTACH_SKB; i++) {
		if (strcmp(value, modes[i]))
			continue;
		w->mode = i;
		return 0;
	}
	return fail(err, EINVAL, "mode \"%.40s\": native, skb or auto", value);
}

static int set_link(void *into, const char *value, char *err)
{
	struct attach_words *w = into;
	struct rate rate = { 0 };

	if (strcmp(value, "off") && parse_rate(value, &rate, err))
		return -EINVAL;
	if (rate.bits_per_s || rate.per_s > 1 || rate.packets > LINK_PPS_MAX)
		return fail(err, EINVAL, "link \"%.40s\": packets a second such as 10kpps, at most "
			    "100mpps, or off", value);
	w->link_pps = rate.packets;
	return 0;
}

static int set_try(void *into, const char *value, char *err)
{
	struct attach_words *w = into;

	if (parse_duration(value, &w->try_ns, err))
		return -EINVAL;
	return w->try_ns <= TRY_MAX_NS ? 0 : fail(err, EINVAL, "try %s: at most 24h", value);
}

static int parse_attach(struct words words, struct attach_words *w, char *err)
{
	static const struct word table[] = {
		WORD_INTERFACE(struct attach_words, name),
		{ "mode", "native, skb or auto", set_mode },
		{ "link", "packets a second such as 10kpps, or off", set_link },
		WORD_FLAG("monitor", struct attach_words, monitor),
		{ "try", "a time such as 60s", set_try },
		WORD_FLAG("force", struct attach_words, force),
		{ 0 },
	};
	int rc;

	*w = (struct attach_words){ .mode = ATTACH_AUTO, .link_pps = LINK_PPS };
	rc = take_words(&words, table, w, err);
	if (rc)
		return rc;
	if (!w->name)
		return fail(err, EINVAL, "attach needs dev IF");
	return text_is_plain(w->name) ? 0 :
		fail(err, EINVAL, "the name of interface %s has control characters, or is not UTF-8; "
		     "rename it first: ip link set dev OLD name NEW", w->name);
}

bool nothing_is_set(const struct maps *maps, const struct settings *settings)
{
	const struct weir_policy *policy = settings->policy;
	uint64_t generation = 0;

	return !policy->active && !policy->budgets && !policy->syn_rules && !policy->dns_rules &&
	       !rules_count(policy, now_ns()).rules && !settings->block.count &&
	       !block_set_generation(maps, &generation) && !generation;
}

static void report_attached(const struct call *call, const struct maps *maps,
			    const struct weir_device *device, const struct attach_result *result)
{
	const char *mode = device_mode(device);
	struct settings settings;
	char err[ERR_LEN];

	if (result->fell_back)
		remark(call, "%s: no native XDP here, so weir is attached in skb mode: it decides the "
		       "same, but slower, since the kernel allocates a buffer for each packet first "
		       "(%s)", device->name, result->why);
	remark(call, "%s: %s (%s mode%s%s)", device->name,
	       result->replaced ? "weir was attached already; its program was replaced without a gap" :
				  "attached", mode, device->dispatcher ? ", with other programs" : "",
	       device->monitor ? ", monitor: nothing is dropped" : "");
	if (maps_read_settings(maps, &settings, err))
		return;
	if (!result->replaced && nothing_is_set(maps, &settings))
		remark(call, "no limits are set: traffic is counted and passes; "
		       "`weir limit set rate 1000pps` limits each source");
	settings_free(&settings);
}

/*
 * After a short look: a device whose traffic weir cannot read is attached, and filters nothing. On
 * a device that weir was on before, the counters say so at once.
 */
static void report_unread(const struct call *call, const struct maps *maps, uint32_t slot,
			  const struct weir_device *device)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct weir_counters counters;
	unsigned int percent;

	for (int i = 0; i < LOOKS; i++) {
		nanosleep(&look, NULL);
		if (maps_read_counters(maps, slot, &counters))
			return;
		if (counted_packets(&counters) >= ENOUGH_PACKETS)
			break;
	}
	if (!is_mostly_unread(&counters, LOOK_PACKETS, &percent))
		return;
	remark(call, "%s: %u%% of its packets are not IP to weir: " UNREAD_REMEDY, device->name,
	       percent);
}

/* Sets the state that the try of @device goes back to; false: that is the state it tries. */
static bool choose_fallback(struct weir_device *device, const struct weir_device *old, bool fresh)
{
	if (fresh)
		device->fallback = WEIR_BACK_TO_NOTHING;
	else if (old->try_until_ns)
		device->fallback = old->fallback;
	else
		device->fallback = old->monitor ? WEIR_BACK_TO_MONITOR : WEIR_BACK_TO_ENFORCING;
	return device->fallback == WEIR_BACK_TO_NOTHING ||
	       (device->fallback == WEIR_BACK_TO_MONITOR) != device->monitor;
}

/* Starts the process that ends the try; where that fails, the try ends now. */
static enum outcome begin_try(const struct call *call, struct maps *maps, uint32_t slot,
			      struct weir_device *device, const struct attach_words *w)
{
	char err[ERR_LEN], ignored[ERR_LEN], period[FORMAT_LEN];

	if (try_watch(slot, device, err)) {
		try_go_back(maps, slot, device, ignored);
		return failed(call, "%s", err);
	}
	format_duration(w->try_ns / NS_PER_S, period);
	remark(call, "%s: on trial for %s, then %s automatically; `weir confirm` keeps it", device->name,
	       period, try_fallback_text(device));
	return DONE;
}

/* For good, and not so before. A swap of the program changes nothing for the sessions. */
static bool begins_to_drop(const struct attach_words *w, const struct weir_device *old, bool fresh)
{
	return !w->monitor && !w->try_ns && !w->force &&
	       (fresh || old->monitor || old->try_until_ns);
}

static enum outcome attach(const struct call *call, struct maps *maps, const struct attach_words *w,
			   uint32_t ifindex)
{
	struct weir_device old = { 0 }, device;
	uint32_t slot = device_find(maps, w->name, &old);
	bool fresh = slot == WEIR_DEVICES || old.ifindex != ifindex;
	struct attach_result result;
	enum link_kind kind;
	char err[ERR_LEN];

	if (link_read(w->name, &kind, err))
		return failed(call, "%s", err);
	if (slot == WEIR_DEVICES)
		slot = free_slot(maps);
	if (slot == WEIR_DEVICES)
		return failed(call, "weir is attached to %d interfaces already, which is the maximum",
			      WEIR_DEVICES);
	device = (struct weir_device){ .ifindex = ifindex, .netns = own_netns(),
				       .monitor = w->monitor, .bare = kind == LINK_BARE,
				       .link_pps = w->link_pps,
				       .try_until_ns = w->try_ns ? now_ns() + w->try_ns : 0,
				       .attached_unix_s = fresh ? (uint64_t)time(NULL) :
								  old.attached_unix_s };
	snprintf(device.name, sizeof(device.name), "%s", w->name);
	if (w->try_ns && !choose_fallback(&device, &old, fresh))
		return failed(call, "%s: weir is attached and %s already, so there is nothing to try",
			      w->name, w->monitor ? "in monitor mode" : "enforcing");
	if (fresh && stack_check(maps, ifindex, w->name, err))
		return failed(call, "%s", err);
	if (fresh && maps_clear_counters(maps, slot))
		return failed(call, "cannot clear the counters of slot %u", slot);
	if (begins_to_drop(w, &old, fresh)) {
		if (ssh_guard_attach(maps, w->name, err))
			return failed(call, "%s", err);
	} else {
		ssh_warn(call, maps, w->name);
	}
	if (datapath_attach(maps, slot, &device, w->mode, &result, err))
		return failed(call, "%s", err);
	if (device_write(maps, slot, &device)) {
		if (result.replaced)
			return failed(call, "%s: weir's program was replaced and works, but its record could "
				      "not be written; attach again", w->name);
		datapath_detach(maps, &device, err);
		return failed(call, "%s: cannot record the device; detached again", w->name);
	}
	if (fresh)
		loss_watch_begin(maps, slot);
	report_attached(call, maps, &device, &result);
	if (kind == LINK_LOOPBACK)
		remark(call, "%s: what it limits is this host's own traffic to itself; attach to the "
		       "interfaces that packets arrive on", w->name);
	report_unread(call, maps, slot, &device);
	cookie_watch_look(maps);	/* what comes back is counted from here on */
	return w->try_ns ? begin_try(call, maps, slot, &device, w) : DONE;
}

enum outcome cmd_attach(const struct call *call)
{
	struct attach_words w;
	enum outcome outcome;
	struct maps maps;
	char err[ERR_LEN];
	uint32_t ifindex;

	if (parse_attach(call->words, &w, err))
		return usage(call, "%s", err);
	ifindex = if_nametoindex(w.name);
	if (!ifindex)
		return failed(call, "there is no interface %s in this network namespace; `ip -br link` "
			      "lists them", w.name);
	run_before_others();
	if (maps_open(&maps, MAPS_CREATE, err))
		return failed(call, "%s", err);
	try_settle(&maps);
	outcome = attach(call, &maps, &w, ifindex);
	close_maps(&maps, outcome == DONE);
	return outcome;
}

/* ---- confirm ---- */

static enum outcome confirm_one(const struct call *call, struct maps *maps, uint32_t slot,
				struct weir_device *device)
{
	char err[ERR_LEN];

	if (try_is_over(device)) {
		if (try_go_back(maps, slot, device, err))
			return failed(call, "%s", err);
		return failed(call, "%s: too late, the trial has ended and weir went %s; attach again",
			      device->name, try_fallback_text(device));
	}
	if (try_confirm(maps, slot, device, err))
		return failed(call, "%s", err);
	remark(call, "%s: confirmed, weir stays attached", device->name);
	return DONE;
}

static enum outcome confirm(const struct call *call, struct maps *maps, const char *name)
{
	enum outcome outcome = DONE;
	struct weir_device device;
	bool any = false;

	if (name && device_find(maps, name, &device) == WEIR_DEVICES)
		return failed(call, "%s: weir is not attached", name);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		if (!device.try_until_ns || device.netns != own_netns() ||
		    (name && strcmp(name, device.name)))
			continue;
		any = true;
		if (confirm_one(call, maps, slot, &device) != DONE)
			outcome = FAILED;
	}
	if (!any)
		return failed(call, "%s%snothing is on trial here: it was confirmed or detached, or its time "
			      "is over", name ? name : "", name ? ": " : "");
	return outcome;
}

enum outcome cmd_confirm(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN];
	const char *name = NULL;
	enum outcome outcome;
	struct maps maps;

	if (take_interface(&words, &name, err))
		return usage(call, "%s", err);
	run_before_others();
	if (maps_open(&maps, MAPS_WRITE, err))
		return failed(call, "%s", err);
	outcome = confirm(call, &maps, name);
	maps_close(&maps);
	return outcome;
}

/* ---- detach ---- */

static enum outcome detach_slot(const struct call *call, const struct maps *maps, uint32_t slot,
				const struct weir_device *device)
{
	static const struct weir_device none;
	char err[ERR_LEN];
	int rc = 0;

	if (device->netns != own_netns()) {
		if (device_is_attached(maps, device))
			return failed(call, "%s: attached in another network namespace; detach it from "
				      "there (nsenter --net=/run/netns/NAME)", device->name);
	} else if (!device_is_gone(device)) {
		rc = datapath_detach(maps, device, err);
	}
	if (rc < 0)
		return failed(call, "%s", err);
	if (device_write(maps, slot, &none))
		return failed(call, "%s: detached, but its record could not be removed", device->name);
	remark(call, rc ? "%s: detached" : "%s: it was detached already", device->name);
	return DONE;
}

static enum outcome detach_all(const struct call *call, const struct maps *maps)
{
	enum outcome outcome = DONE;
	uint32_t slots[WEIR_DEVICES], count = stack_from_top(maps, slots);
	struct weir_device device;

	for (uint32_t i = 0; i < count; i++)
		if (device_read(maps, slots[i], &device) &&
		    detach_slot(call, maps, slots[i], &device) != DONE)
			outcome = FAILED;
	return outcome;
}

static enum outcome forget_settings(const struct call *call)
{
	char err[ERR_LEN];

	if (maps_unpin(err))
		return failed(call, "%s", err);
	remark(call, "weir is attached to no interface any more: its settings and counters are removed "
	       "(`keep` keeps them)");
	return DONE;
}

struct detach_words {
	const char *name;
	bool all, keep;
};

static int parse_detach(struct words words, struct detach_words *w, char *err)
{
	static const struct word table[] = {
		WORD_INTERFACE(struct detach_words, name),
		WORD_FLAG("all", struct detach_words, all),
		WORD_FLAG("keep", struct detach_words, keep),
		{ 0 },
	};
	int rc;

	*w = (struct detach_words){ 0 };
	rc = take_words(&words, table, w, err);
	if (rc)
		return rc;
	if (w->all && w->name)
		return fail(err, EINVAL, "dev %s or all, not both", w->name);
	return w->all || w->name ? 0 : fail(err, EINVAL, "detach needs dev IF, or all");
}

enum outcome cmd_detach(const struct call *call)
{
	struct weir_device device;
	struct detach_words w;
	enum outcome outcome;
	char err[ERR_LEN];
	struct maps maps;
	uint32_t slot;

	if (parse_detach(call->words, &w, err))
		return usage(call, "%s", err);
	run_before_others();
	if (maps_open(&maps, MAPS_WRITE, err))
		return failed(call, "%s", err);
	if (w.all) {
		outcome = detach_all(call, &maps);
	} else {
		slot = device_find(&maps, w.name, &device);
		outcome = slot == WEIR_DEVICES ? failed(call, "%s: weir is not attached", w.name) :
						 detach_slot(call, &maps, slot, &device);
		/* The device was in the way of those below it. */
		try_settle(&maps);
	}
	if (outcome == DONE && !w.keep && !devices_in_use(&maps))
		outcome = forget_settings(call);
	maps_close(&maps);
	return outcome;
}
