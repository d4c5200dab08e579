/* SPDX-License-Identifier: GPL-2.0-only */
/* The network interfaces of this namespace, and which of them stands upon which. */
#ifndef WEIR_HOST_INTERFACES_H
#define WEIR_HOST_INTERFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interface {
	uint32_t ifindex;
	uint32_t lower;			/* of a VLAN, macvlan and the like: what it is made upon; 0 */
	uint32_t master;		/* the bridge, bond, team or VRF that it is a port of; 0 */
	char name[IF_NAMESIZE];
};

/* The caller frees *@all. 0 or -errno. */
int interfaces_read(struct interface **all, size_t *count);
/* Whether @upper gets packets from @lower directly, in the sense of the kernel's upper devices. */
bool interface_is_above(const struct interface *upper, const struct interface *lower);
/* NULL: there is no such interface. */
const struct interface *interface_find(const struct interface *all, size_t count, uint32_t ifindex);

/*
 * The interface that a first command may name: that of the default route (of IPv4), otherwise the first
 * one that is not the loopback, otherwise "eth0". Writes it to @name, and returns that.
 */
const char *interface_to_begin(char name[IF_NAMESIZE]);

#endif
