// SPDX-License-Identifier: GPL-2.0-only
/* weir attach, weir detach. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "user/command.h"
#include "user/datapath.h"
#include "user/cmd_output.h"

static uint32_t own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

/* The slot of the interface of this name here, WEIR_DEVICES when it has none. */
static uint32_t slot_of(const struct maps *maps, const char *name, struct weir_device *device)
{
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (!maps_read_device(maps, slot, device) && device->ifindex &&
		    device->netns == own_netns() && !strcmp(device->name, name))
			return slot;
	return WEIR_DEVICES;
}

static uint32_t free_slot(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (!maps_read_device(maps, slot, &device) && !device.ifindex)
			return slot;
	return WEIR_DEVICES;
}

static uint32_t devices_in_use(const struct maps *maps)
{
	struct weir_device device;
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		count += !maps_read_device(maps, slot, &device) && device.ifindex;
	return count;
}

/* ---- attach ---- */

struct attach_words {
	const char *name;
	enum attach_mode mode;
	bool monitor;
};

static enum outcome parse_attach(const struct call *call, struct attach_words *w)
{
	char **words = call->words;
	const char *mode;

	*w = (struct attach_words){ .mode = ATTACH_AUTO };
	while (*words) {
		if (take_word(&words, "dev")) {
			if (w->name || !(w->name = take_value(&words)))
				return usage(call, "dev needs one interface");
		} else if (take_word(&words, "mode")) {
			mode = take_value(&words);
			if (mode && !strcmp(mode, "native"))
				w->mode = ATTACH_NATIVE;
			else if (mode && !strcmp(mode, "skb"))
				w->mode = ATTACH_SKB;
			else if (!mode || strcmp(mode, "auto"))
				return usage(call, "mode is native, skb or auto");
		} else if (take_word(&words, "monitor")) {
			w->monitor = true;
		} else {
			return usage(call, "\"%s\" is not a word of this command", *words);
		}
	}
	if (!w->name)
		return usage(call, "attach needs dev IF");
	return DONE;
}

static void report_attached(const struct call *call, const struct maps *maps,
			    const struct weir_device *device, const struct attach_result *result)
{
	const char *mode = device->mode == WEIR_MODE_SKB ? "skb" : "native";
	struct settings settings;
	char err[ERR_LEN];

	if (result->fell_back)
		remark(call, "%s: no native XDP here, attached in skb mode: right, but slower, since "
		       "the kernel has allocated a buffer by then (%s)", device->name, result->why);
	remark(call, "%s: %s (%s mode%s%s)", device->name,
	       result->replaced ? "weir was attached already; its program was replaced without a gap" :
				  "attached", mode, device->dispatcher ? ", with other programs" : "",
	       device->monitor ? ", monitor: nothing is dropped" : "");
	if (maps_read_settings(maps, &settings, err))
		return;
	if (!settings.policy->active && !result->replaced)
		remark(call, "no limits are set: traffic is counted and passes; "
		       "`weir limit set rate 1000pps` limits each source");
	settings_free(&settings);
}

static enum outcome attach(const struct call *call, struct maps *maps, const struct attach_words *w,
			   uint32_t ifindex)
{
	struct weir_device old = { 0 }, device;
	uint32_t slot = slot_of(maps, w->name, &old);
	bool fresh = slot == WEIR_DEVICES || old.ifindex != ifindex;
	struct attach_result result;
	char err[ERR_LEN];

	if (slot == WEIR_DEVICES)
		slot = free_slot(maps);
	if (slot == WEIR_DEVICES)
		return failed("weir is on %d interfaces already, which is the most it can do",
			      WEIR_DEVICES);
	device = (struct weir_device){ .ifindex = ifindex, .netns = own_netns(),
				       .monitor = w->monitor,
				       .attached_unix_s = fresh ? (uint64_t)time(NULL) :
								  old.attached_unix_s };
	snprintf(device.name, sizeof(device.name), "%s", w->name);
	if (fresh && maps_clear_counters(maps, slot))
		return failed("cannot clear the counters of slot %u", slot);
	if (datapath_attach(maps, slot, &device, w->mode, &result, err))
		return failed("%s", err);
	if (maps_write_device(maps, slot, &device)) {
		datapath_detach(maps, &device, err);
		return failed("%s: cannot record the device; detached again", w->name);
	}
	report_attached(call, maps, &device, &result);
	return DONE;
}

/* Nothing is left behind by an attach that made the maps and then failed. */
static void forget_if_unused(struct maps *maps)
{
	struct settings settings;
	char err[ERR_LEN];

	if (devices_in_use(maps) || maps_read_settings(maps, &settings, err))
		return;
	if (settings.policy->generation <= 1 && !settings.allow.count && !settings.block.count)
		maps_unpin(maps, err);
	settings_free(&settings);
}

enum outcome cmd_attach(const struct call *call)
{
	struct attach_words w;
	enum outcome outcome = parse_attach(call, &w);
	struct maps maps;
	char err[ERR_LEN];
	uint32_t ifindex;

	if (outcome != DONE)
		return outcome;
	ifindex = if_nametoindex(w.name);
	if (!ifindex)
		return failed("there is no interface %s in this network namespace; `ip -br link` "
			      "lists them", w.name);
	if (maps_open(&maps, MAPS_CREATE, err))
		return failed("%s", err);
	outcome = attach(call, &maps, &w, ifindex);
	if (outcome != DONE)
		forget_if_unused(&maps);
	maps_close(&maps);
	return outcome;
}

/* ---- detach ---- */

static bool interface_is_gone(const struct weir_device *device)
{
	char name[IF_NAMESIZE];

	return !if_indextoname(device->ifindex, name);
}

static enum outcome detach_slot(const struct call *call, const struct maps *maps, uint32_t slot,
				const struct weir_device *device)
{
	static const struct weir_device none;
	char err[ERR_LEN];
	int rc = 0;

	if (device->netns != own_netns()) {
		if (datapath_program_lives(device->prog_id))
			return failed("%s: attached in another network namespace; detach it from "
				      "there (nsenter --net=/run/netns/NAME)", device->name);
	} else if (!interface_is_gone(device)) {
		rc = datapath_detach(maps, device, err);
	}
	if (rc < 0)
		return failed("%s", err);
	if (maps_write_device(maps, slot, &none))
		return failed("%s: detached, but the record of it stays", device->name);
	remark(call, rc ? "%s: detached" : "%s: was gone already", device->name);
	return DONE;
}

static enum outcome detach_all(const struct call *call, const struct maps *maps)
{
	enum outcome outcome = DONE;
	struct weir_device device;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (!maps_read_device(maps, slot, &device) && device.ifindex &&
		    detach_slot(call, maps, slot, &device) != DONE)
			outcome = FAILED;
	return outcome;
}

static enum outcome forget_settings(const struct call *call, struct maps *maps)
{
	char err[ERR_LEN];

	if (maps_unpin(maps, err))
		return failed("%s", err);
	remark(call, "weir is on no interface any more: its settings and counters are removed "
	       "(`keep` keeps them)");
	return DONE;
}

enum outcome cmd_detach(const struct call *call)
{
	bool all = false, keep = false;
	char **words = call->words, err[ERR_LEN];
	struct weir_device device;
	const char *name = NULL;
	enum outcome outcome;
	struct maps maps;
	uint32_t slot;

	while (*words) {
		if (take_word(&words, "all"))
			all = true;
		else if (take_word(&words, "keep"))
			keep = true;
		else if (!take_word(&words, "dev") || name || !(name = take_value(&words)))
			return usage(call, "detach needs dev IF, or all");
	}
	if (all == (name != NULL))
		return usage(call, "detach needs dev IF, or all");
	if (maps_open(&maps, MAPS_WRITE, err))
		return failed("%s", err);
	if (all) {
		outcome = detach_all(call, &maps);
	} else {
		slot = slot_of(&maps, name, &device);
		outcome = slot == WEIR_DEVICES ? failed("%s: weir is not attached", name) :
						 detach_slot(call, &maps, slot, &device);
	}
	if (outcome == DONE && !keep && !devices_in_use(&maps))
		outcome = forget_settings(call, &maps);
	maps_close(&maps);
	return outcome;
}
