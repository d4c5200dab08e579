/* SPDX-License-Identifier: GPL-2.0-only */
/* A network namespace for this process, in which it listens. */
#ifndef WEIR_TESTS_NAMESPACE_H
#define WEIR_TESTS_NAMESPACE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/datapath/program.h"

static inline void enter_namespace(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare", 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo", 0);
	close(fd);
}

/* Cookies for all SYNs, in this namespace. */
static inline void use_cookies(void)
{
	int fd = open("/proc/sys/net/ipv4/tcp_syncookies", O_WRONLY);

	if (fd < 0 || write(fd, "2", 1) != 1)
		die("tcp_syncookies", 0);
	close(fd);
}

/* For both families. Returns the socket; it stays open. */
static inline int listen_at(uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16))
		die("listen", 0);
	return fd;
}

/* The listener's stack sends a cookie, as under use_cookies() for any SYN. */
static inline void freshen(int listener)
{
	struct sockaddr_in6 address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (fd < 0 || getsockname(listener, (struct sockaddr *)&address, &len))
		die("listener", 0);
	address.sin6_addr = (struct in6_addr){ { { [10] = 0xff, 0xff, 127, 0, 0, 1 } } };
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect", 0);
	close(fd);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept", 0);
	close(fd);
}

#endif
