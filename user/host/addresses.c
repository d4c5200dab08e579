// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "user/host/addresses.h"
#include "user/model/prefixes.h"

static struct prefix from_v6(const struct in6_addr *addr, uint8_t length)
{
	struct weir_prefix key = { .prefixlen = length };
	struct prefix prefix;

	memcpy(key.addr, addr, 16);
	prefix_from_key(&key, &prefix);
	prefix_mask(&prefix);
	return prefix;
}

/* The length of a netmask of @size bytes. */
static uint8_t bits_of(const void *mask, size_t size)
{
	const uint8_t *byte = mask;
	uint8_t bits = 0;

	for (size_t i = 0; i < size; i++)
		bits += __builtin_popcount(byte[i]);
	return bits;
}

/* Loopback is left out: its packets never pass the program, and many lists name 127.0.0.0/8. */
static int add_address(const struct ifaddrs *each, struct prefixes *own,
		       struct prefixes *own_networks)
{
	struct prefix address, network;

	if (!each->ifa_addr || each->ifa_flags & IFF_LOOPBACK)
		return 0;
	if (each->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *in = (void *)each->ifa_addr, *mask = (void *)each->ifa_netmask;

		address = prefix_v4(ntohl(in->sin_addr.s_addr), 32);
		network = address;
		if (mask)
			network.length = 96 + bits_of(&mask->sin_addr, 4);
	} else if (each->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (void *)each->ifa_addr,
					  *mask = (void *)each->ifa_netmask;

		address = from_v6(&in->sin6_addr, 128);
		network = address;
		if (mask)
			network.length = bits_of(&mask->sin6_addr, 16);
	} else {
		return 0;
	}
	prefix_mask(&network);
	if (prefixes_add(own, &address) || prefixes_add(own_networks, &network))
		return -ENOMEM;
	return 0;
}

static int read_interfaces(struct prefixes *own, struct prefixes *own_networks)
{
	struct ifaddrs *all, *each;
	int rc = 0;

	if (getifaddrs(&all))
		return -errno;
	for (each = all; each && !rc; each = each->ifa_next)
		rc = add_address(each, own, own_networks);
	freeifaddrs(all);
	return rc;
}

int own_addresses(struct prefixes *own)
{
	struct prefixes networks = { 0 };
	int rc = read_interfaces(own, &networks);

	prefixes_free(&networks);
	return rc;
}

/*
 * Gateways send ICMP errors from their own address. With the gateway banned, this host would no
 * longer learn of unreachable destinations and of smaller MTUs.
 */
static int add_gateways_v4(struct prefixes *own)
{
	FILE *file = fopen("/proc/net/route", "re");
	unsigned int gateway, flags;
	char line[512];
	int rc = 0;

	while (file && !rc && fgets(line, sizeof(line), file)) {
		struct prefix address;

		if (sscanf(line, "%*s %*x %x %x", &gateway, &flags) != 2 || !gateway)
			continue;
		address = prefix_v4(ntohl(gateway), 32);
		rc = prefixes_add(own, &address);
	}
	if (file)
		fclose(file);
	return rc;
}

static int add_gateways_v6(struct prefixes *own)
{
	FILE *file = fopen("/proc/net/ipv6_route", "re");
	char line[512], hex[33];
	int rc = 0;

	while (file && !rc && fgets(line, sizeof(line), file)) {
		struct in6_addr addr, none = { 0 };
		struct prefix address;

		if (sscanf(line, "%*s %*s %*s %*s %32s", hex) != 1 || strlen(hex) != 32)
			continue;
		for (int i = 0; i < 16; i++)
			sscanf(hex + 2 * i, "%2hhx", &addr.s6_addr[i]);
		if (!memcmp(&addr, &none, sizeof(addr)))
			continue;
		address = from_v6(&addr, 128);
		rc = prefixes_add(own, &address);
	}
	if (file)
		fclose(file);
	return rc;
}

int host_read(struct prefixes *own, struct prefixes *own_networks)
{
	int rc = read_interfaces(own, own_networks);

	if (!rc)
		rc = add_gateways_v4(own);
	if (!rc)
		rc = add_gateways_v6(own);
	if (!rc)
		rc = prefixes_append(own_networks, own);
	if (!rc)
		rc = prefixes_merge(own);
	return rc ? rc : prefixes_merge(own_networks);
}
