// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <stdio.h>

#include "user/model/reflectors.h"

#define PORT_DNS	53
#define PORT_NTP	123

/*
 * QOTD, CharGEN, DNS, portmap, NTP, NetBIOS, SNMP, CLDAP, RIP, SSDP, ARD, WS-Discovery, mDNS,
 * memcached.
 */
static const uint16_t ports[] = {
	17, 19, PORT_DNS, 111, PORT_NTP, 137, 161, 389, 520, 1900, 3283, 3702, 5353, 11211,
};
#define COUNT	(sizeof(ports) / sizeof(*ports))

bool is_reflector(uint16_t sport)
{
	for (size_t i = 0; i < COUNT; i++)
		if (ports[i] == sport)
			return true;
	return false;
}

void reflector_ports(bool dns, bool ntp, char text[REFLECTOR_PORTS])
{
	size_t used = 0;

	for (size_t i = 0; i < COUNT; i++)
		if ((dns || ports[i] != PORT_DNS) && (ntp || ports[i] != PORT_NTP))
			used += snprintf(text + used, REFLECTOR_PORTS - used, "%s%u",
					 used ? "," : "", ports[i]);
}
