// SPDX-License-Identifier: GPL-2.0-only
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>

#include "user/state/datapath.h"
#include "user/state/device.h"

uint32_t own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

bool device_read(const struct maps *maps, uint32_t slot, struct weir_device *device)
{
	char name[IF_NAMESIZE];

	if (maps_read_device(maps, slot, device) || !device->ifindex)
		return false;
	if (device->netns == own_netns() && if_indextoname(device->ifindex, name))
		memcpy(device->name, name, sizeof(device->name));
	return true;
}

uint32_t device_find(const struct maps *maps, const char *name, struct weir_device *device)
{
	uint32_t ifindex = if_nametoindex(name);

	for (uint32_t slot = 0; ifindex && slot < WEIR_DEVICES; slot++)
		if (device_read(maps, slot, device) && device->netns == own_netns() &&
		    device->ifindex == ifindex)
			return slot;
	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		if (device_read(maps, slot, device) && device->netns == own_netns() &&
		    !strcmp(device->name, name))
			return slot;
	return WEIR_DEVICES;
}

uint32_t devices_in_use(const struct maps *maps)
{
	struct weir_device device;
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < WEIR_DEVICES; slot++)
		count += device_read(maps, slot, &device);
	return count;
}

bool device_is_gone(const struct weir_device *device)
{
	char name[IF_NAMESIZE];

	return !if_indextoname(device->ifindex, name);
}

/* In another network namespace the interface cannot be asked; the program can. */
bool device_is_attached(const struct maps *maps, const struct weir_device *device)
{
	if (device->netns != own_netns())
		return datapath_program_lives(device->prog_id);
	return datapath_is_attached(maps, device) > 0;
}

const char *device_mode(const struct weir_device *device)
{
	return device->mode == WEIR_MODE_SKB ? "skb" : "native";
}
