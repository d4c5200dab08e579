// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/link.h"
#include "user/model/error.h"

/* <net/if_arp.h> has only some of them; these are of <linux/if_arp.h>. */
#define TYPE_RAWIP	519
#define TYPE_SIT	776
#define TYPE_IPGRE	778
#define TYPE_IP6GRE	823
#define TYPE_NONE	0xfffe

/* Interfaces whose frames are IP packets, as the kernel hands them to XDP. */
static bool is_bare(unsigned int type)
{
	switch (type) {
	case TYPE_NONE:		/* tun, WireGuard, xfrm */
	case TYPE_RAWIP:	/* modems */
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:	/* ipip, vti */
	case ARPHRD_TUNNEL6:	/* ip6tnl, vti6 */
	case TYPE_SIT:
	case TYPE_IPGRE:
	case TYPE_IP6GRE:
		return true;
	default:
		return false;
	}
}

/*
 * The hardware broadcast address of a GRE interface over IPv4 is its remote end. Only with one host
 * there does the kernel show XDP the packet; else, without one or with a multicast group, it shows
 * the outer header (ipgre_header_ops). GRE over IPv6 always shows the packet, and `external` GRE
 * over IPv4 has TYPE_NONE.
 */
static bool has_remote(const struct ifaddrs *each)
{
	const struct sockaddr_ll *remote = (const struct sockaddr_ll *)each->ifa_broadaddr;
	uint32_t address;

	if (!remote || remote->sll_halen != sizeof(address))
		return false;
	memcpy(&address, remote->sll_addr, sizeof(address));
	return address && !IN_MULTICAST(ntohl(address));
}

static bool gre_has_remote(const char *name)
{
	struct ifaddrs *all, *each;
	bool has = false;

	if (getifaddrs(&all))
		return false;
	for (each = all; each && !has; each = each->ifa_next)
		has = each->ifa_addr && each->ifa_addr->sa_family == AF_PACKET &&
		      !strcmp(each->ifa_name, name) && has_remote(each);
	freeifaddrs(all);
	return has;
}

/* The ARPHRD_* of the interface, or a negative errno. */
static int type_of(const char *name)
{
	struct ifreq request = { .ifr_ifindex = 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	rc = ioctl(fd, SIOCGIFHWADDR, &request) ? -errno : request.ifr_hwaddr.sa_family;
	close(fd);
	return rc;
}

int link_read(const char *name, enum link_kind *kind, char *err)
{
	int type = type_of(name);

	if (type < 0)
		return fail(err, -type, "%s: cannot find out its link type: %s", name,
			    strerror(-type));
	*kind = type == ARPHRD_ETHER ? LINK_ETHERNET :
		type == ARPHRD_LOOPBACK ? LINK_LOOPBACK : LINK_BARE;
	if (*kind != LINK_BARE)
		return 0;
	if (!is_bare(type))
		return fail(err, EOPNOTSUPP, "%s: its link type is %d, and weir reads Ethernet and "
			    "plain IP only (tun, WireGuard, PPP, tunnels); attach to an interface "
			    "above or below it", name, type);
	if (type == TYPE_IPGRE && !gre_has_remote(name))
		return fail(err, EOPNOTSUPP, "%s: a GRE tunnel without one host as its remote end shows "
			    "XDP the outer header and not the packet; give it a `remote` that is no "
			    "group, or attach to the interface that carries it", name);
	return 0;
}
