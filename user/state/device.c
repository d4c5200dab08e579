// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

#include "user/model/text.h"
#include "user/state/datapath.h"
#include "user/state/device.h"
#include "user/state/programs.h"
#include "user/state/tables.h"

uint32_t own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

static int read_record(const struct maps *maps, uint32_t slot, struct weir_device *device)
{
	return bpf_map_lookup_elem(maps->fd[MAP_devices], &slot, device) ? -errno : 0;
}

int device_write(const struct maps *maps, uint32_t slot, const struct weir_device *device)
{
	return bpf_map_update_elem(maps->fd[MAP_devices], &slot, device, BPF_ANY) ? -errno : 0;
}

bool device_read(const struct maps *maps, uint32_t slot, struct weir_device *device)
{
	char name[IF_NAMESIZE];

	if (read_record(maps, slot, device) || !device->ifindex)
		return false;
	if (device->netns == own_netns() && if_indextoname(device->ifindex, name))
		memcpy(device->name, name, sizeof(device->name));
	text_make_plain(device->name);	/* the kernel allows nearly every byte */
	return true;
}

bool device_next(const struct maps *maps, uint32_t *slot, struct weir_device *device)
{
	for (; *slot < WEIR_DEVICES; ++*slot)
		if (device_read(maps, *slot, device))
			return true;
	return false;
}

uint32_t device_find(const struct maps *maps, const char *name, struct weir_device *device)
{
	uint32_t ifindex = if_nametoindex(name), slot;

	for (slot = 0; ifindex && device_next(maps, &slot, device); slot++)
		if (device->netns == own_netns() && device->ifindex == ifindex)
			return slot;
	for (slot = 0; device_next(maps, &slot, device); slot++)
		if (device->netns == own_netns() && !strcmp(device->name, name))
			return slot;
	return WEIR_DEVICES;
}

void devices_by_slot(const struct maps *maps, struct weir_device devices[WEIR_DEVICES])
{
	struct weir_device device;

	memset(devices, 0, WEIR_DEVICES * sizeof(*devices));
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		devices[slot] = device;
}

uint32_t devices_in_use(const struct maps *maps)
{
	struct weir_device device;
	uint32_t count = 0;

	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		count++;
	return count;
}

static void add_counters(struct weir_counters *sum, const struct weir_counters *each)
{
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		sum->reason[i].packets += each->reason[i].packets;
		sum->reason[i].bytes += each->reason[i].bytes;
		sum->monitored[i].packets += each->monitored[i].packets;
		sum->monitored[i].bytes += each->monitored[i].bytes;
	}
	sum->exact += each->exact;
	sum->created += each->created;
}

int devices_sum(const struct maps *maps, struct weir_counters *sum)
{
	struct weir_counters each;
	struct weir_device device;
	int rc = 0;

	memset(sum, 0, sizeof(*sum));
	for (uint32_t slot = 0; slot < WEIR_DEVICES && !rc; slot++) {
		if (read_record(maps, slot, &device) || !device.ifindex)
			continue;
		rc = maps_read_counters(maps, slot, &each);
		if (!rc)
			add_counters(sum, &each);
	}
	return rc;
}

bool device_is_gone(const struct weir_device *device)
{
	char name[IF_NAMESIZE];

	return !if_indextoname(device->ifindex, name);
}

/* An interface of another network namespace cannot be queried, but its program can. */
bool device_is_attached(const struct maps *maps, const struct weir_device *device)
{
	if (device->netns != own_netns())
		return program_lives(device->prog_id);
	return datapath_is_attached(maps, device) > 0;
}

bool devices_attached(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		if (device_is_attached(maps, &device))
			return true;
	return false;
}

const char *device_mode(const struct weir_device *device)
{
	return device->mode == WEIR_MODE_SKB ? "skb" : "native";
}
