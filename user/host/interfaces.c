// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/interfaces.h"

#define ANSWER_SIZE	65536

/*
 * The kinds of which IFLA_LINK names a device below. Of a veth it is the peer, and of a tunnel the
 * device that its packets should leave by: neither is below.
 */
static bool stands_upon_link(const char *kind)
{
	static const char *const kinds[] = {
		"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "dsa",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* The kind in a nested IFLA_LINKINFO; "" if there is none. */
static void read_kind(const struct rtattr *info, char *kind, size_t size)
{
	int left = RTA_PAYLOAD(info);

	for (const struct rtattr *each = RTA_DATA(info); RTA_OK(each, left);
	     each = RTA_NEXT(each, left))
		if (each->rta_type == IFLA_INFO_KIND)
			strncat(kind, RTA_DATA(each), size - 1);
}

static void read_interface(const struct nlmsghdr *message, struct interface *interface)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	int left = IFLA_PAYLOAD(message);
	uint32_t lower = 0;
	bool elsewhere = false;
	char kind[32] = "";

	*interface = (struct interface){ .ifindex = info->ifi_index };
	for (const struct rtattr *each = IFLA_RTA(info); RTA_OK(each, left);
	     each = RTA_NEXT(each, left)) {
		if (each->rta_type == IFLA_IFNAME)
			strncat(interface->name, RTA_DATA(each), sizeof(interface->name) - 1);
		else if (each->rta_type == IFLA_LINK)
			memcpy(&lower, RTA_DATA(each), sizeof(lower));
		else if (each->rta_type == IFLA_MASTER)
			memcpy(&interface->master, RTA_DATA(each), sizeof(interface->master));
		else if (each->rta_type == IFLA_LINK_NETNSID)
			elsewhere = true;
		else if (each->rta_type == IFLA_LINKINFO)
			read_kind(each, kind, sizeof(kind));
	}
	if (!elsewhere && stands_upon_link(kind))
		interface->lower = lower;
}

static int add_interface(const struct nlmsghdr *message, struct interface **all, size_t *count)
{
	struct interface *more = reallocarray(*all, *count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	*all = more;
	read_interface(message, &more[(*count)++]);
	return 0;
}

/* 1: more will come; 0: that was all; -errno. */
static int read_answer(char *answer, ssize_t size, struct interface **all, size_t *count)
{
	int left = size;

	for (struct nlmsghdr *each = (void *)answer; NLMSG_OK(each, (__u32)left);
	     each = NLMSG_NEXT(each, left)) {
		int rc = 0;

		if (each->nlmsg_type == NLMSG_DONE)
			return 0;
		if (each->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(each))->error ? : -EIO;
		if (each->nlmsg_type == RTM_NEWLINK)
			rc = add_interface(each, all, count);
		if (rc)
			return rc;
	}
	return 1;
}

static int ask(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};

	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

int interfaces_read(struct interface **all, size_t *count)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc = 1;
	char *answer = malloc(ANSWER_SIZE);

	*all = NULL;
	*count = 0;
	if (fd < 0 || !answer)
		rc = fd < 0 ? -errno : -ENOMEM;
	else if (ask(fd))
		rc = -EIO;
	while (rc > 0) {
		ssize_t size = recv(fd, answer, ANSWER_SIZE, 0);

		rc = size < 0 ? -errno : read_answer(answer, size, all, count);
	}
	free(answer);
	if (fd >= 0)
		close(fd);
	if (!rc)
		return 0;
	free(*all);
	*all = NULL;
	*count = 0;
	return rc;
}

bool interface_is_above(const struct interface *upper, const struct interface *lower)
{
	return upper->lower == lower->ifindex || lower->master == upper->ifindex;
}

const struct interface *interface_find(const struct interface *all, size_t count, uint32_t ifindex)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].ifindex == ifindex)
			return &all[i];
	return NULL;
}

/* The first route to everywhere; the kernel lists the one of the least metric first. */
static bool read_default_route(char name[IF_NAMESIZE])
{
	FILE *file = fopen("/proc/net/route", "re");
	char line[256], destination[16], gateway[16], flags[8], mask[16];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%15s %15s %15s %7s %*s %*s %*s %15s", name, destination,
			       gateway, flags, mask) == 5 &&
			!strcmp(destination, "00000000") && !strcmp(mask, "00000000");
	if (file)
		fclose(file);
	return found;
}

const char *interface_to_begin(char name[IF_NAMESIZE])
{
	struct interface *all;
	size_t count;

	if (read_default_route(name))
		return name;
	strcpy(name, "eth0");
	if (interfaces_read(&all, &count))
		return name;
	for (size_t i = count; i-- > 0;)
		if (all[i].ifindex != 1)
			memcpy(name, all[i].name, IF_NAMESIZE);
	free(all);
	return name;
}
