// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/tcp_sockets.h"

#define REPLY_SIZE	32768	/* the most that the kernel puts into one reply */

/* Returns a socket from which the replies are to be read, or -errno. */
static int ask(uint8_t family, uint32_t states, uint8_t extensions)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 diag;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.diag = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
			  .idiag_ext = extensions, .idiag_states = states },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), rc;

	if (fd < 0)
		return -errno;
	if (send(fd, &request, sizeof(request), 0) == sizeof(request))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int list(uint8_t family, uint32_t states, uint8_t extensions, tcp_socket *each, void *arg)
{
	_Alignas(struct nlmsghdr) static char reply[REPLY_SIZE];
	int fd = ask(family, states, extensions), rc = 0, len;
	bool more = fd >= 0;

	while (more && (len = recv(fd, reply, sizeof(reply), 0)) > 0) {
		for (struct nlmsghdr *head = (void *)reply; NLMSG_OK(head, (unsigned int)len);
		     head = NLMSG_NEXT(head, len)) {
			if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR)
				more = false;
			if (head->nlmsg_type == NLMSG_ERROR)
				rc = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
			if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY)
				each(NLMSG_DATA(head), head->nlmsg_len - NLMSG_LENGTH(0), arg);
		}
	}
	if (fd < 0)
		return fd;
	close(fd);
	return more ? -EIO : rc;
}

int tcp_sockets(uint32_t states, uint8_t extensions, tcp_socket *each, void *arg)
{
	int v4 = list(AF_INET, states, extensions, each, arg),
	    v6 = list(AF_INET6, states, extensions, each, arg);

	return v4 ? v4 : v6;
}
