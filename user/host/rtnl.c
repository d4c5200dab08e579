// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/rtnl.h"
#include "user/model/error.h"

#define ANSWER_SIZE	32768	/* one interface, with the statistics of each of its ports */

/* <linux/netdev.h> is newer than Linux 6.1. */
#define NETDEV_FAMILY		"netdev"
#define NETDEV_DEV_GET		1
#define NETDEV_IFINDEX		1
#define NETDEV_XDP_FEATURES	3
#define NETDEV_XDP_BASIC	1

struct message {
	struct nlmsghdr head;
	char body[256];
};

static void add_attribute(struct message *message, uint16_t type, const void *value, size_t size)
{
	struct rtattr *each = (void *)((char *)message + NLMSG_ALIGN(message->head.nlmsg_len));

	each->rta_type = type;
	each->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(each), value, size);
	message->head.nlmsg_len = NLMSG_ALIGN(message->head.nlmsg_len) + RTA_ALIGN(each->rta_len);
}

/* The answer is one message. Returns its length, or -errno. */
static ssize_t ask(int family, struct message *message, char answer[ANSWER_SIZE])
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	const struct nlmsghdr *head = (void *)answer;
	ssize_t size;

	if (fd < 0)
		return neg_errno();
	message->head.nlmsg_flags = NLM_F_REQUEST;
	size = send(fd, message, message->head.nlmsg_len, 0);
	if (size >= 0)
		size = recv(fd, answer, ANSWER_SIZE, 0);
	if (size < 0)
		size = neg_errno();
	close(fd);
	if (size < 0)
		return size;
	if (!NLMSG_OK(head, (__u32)size))
		return -EBADMSG;
	if (head->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(head))->error ? : -EBADMSG;
	return size;
}

/* The attribute @type behind the @fixed bytes of the message's own head, of at least @least bytes. */
static const void *find_attribute(const char *answer, size_t fixed, uint16_t type, size_t least)
{
	const struct nlmsghdr *head = (const void *)answer;
	int left = (int)head->nlmsg_len - (int)NLMSG_SPACE(fixed);

	for (const struct rtattr *each = (const void *)(answer + NLMSG_SPACE(fixed));
	     RTA_OK(each, left); each = RTA_NEXT(each, left))
		if ((each->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(each) >= least)
			return RTA_DATA(each);
	return NULL;
}

int link_counts_read(uint32_t ifindex, struct link_counts *counts)
{
	struct message message = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					     .nlmsg_type = RTM_GETLINK } };
	/* Older kernels have no rx_nohandler, and newer ones more behind it. */
	size_t size = offsetof(struct rtnl_link_stats64, rx_nohandler) + sizeof(__u64);
	struct ifinfomsg *info = (void *)message.body;
	struct rtnl_link_stats64 stats;
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
	const void *found;
	ssize_t rc;

	info->ifi_index = ifindex;
	rc = ask(NETLINK_ROUTE, &message, answer);
	if (rc < 0)
		return rc;
	found = find_attribute(answer, sizeof(*info), IFLA_STATS64, size);
	if (!found)
		return -EOPNOTSUPP;
	memcpy(&stats, found, size);
	*counts = (struct link_counts){ stats.rx_dropped, stats.rx_missed_errors,
					stats.rx_over_errors, stats.rx_fifo_errors,
					stats.rx_nohandler };
	return 0;
}

/* ---- generic netlink ---- */

static struct message generic(uint16_t family, uint8_t command)
{
	struct message message = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct genlmsghdr)),
					     .nlmsg_type = family } };
	struct genlmsghdr *head = (void *)message.body;

	head->cmd = command;
	head->version = 1;
	return message;
}

/* The number of the family; -EOPNOTSUPP: this kernel does not have it. */
static int find_family(const char *name, char answer[ANSWER_SIZE])
{
	struct message message = generic(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	const uint16_t *id;
	ssize_t rc;

	add_attribute(&message, CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
	rc = ask(NETLINK_GENERIC, &message, answer);
	if (rc < 0)
		return rc == -ENOENT ? -EOPNOTSUPP : rc;
	id = find_attribute(answer, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID, sizeof(*id));
	return id ? *id : -EBADMSG;
}

int link_has_native_xdp(uint32_t ifindex, bool *has)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
	int family = find_family(NETDEV_FAMILY, answer);
	struct message message;
	const void *found;
	uint64_t features;
	ssize_t rc;

	if (family < 0)
		return family;
	message = generic(family, NETDEV_DEV_GET);
	add_attribute(&message, NETDEV_IFINDEX, &ifindex, sizeof(ifindex));
	rc = ask(NETLINK_GENERIC, &message, answer);
	if (rc < 0)
		return rc;
	found = find_attribute(answer, sizeof(struct genlmsghdr), NETDEV_XDP_FEATURES,
			       sizeof(features));
	if (!found)
		return -EOPNOTSUPP;
	memcpy(&features, found, sizeof(features));
	*has = features & NETDEV_XDP_BASIC;
	return 0;
}
