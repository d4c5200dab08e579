// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/model/error.h"
#include "user/host/tcp.h"
#include "user/host/tcp_sockets.h"

#define TCP_RMEM	"/proc/sys/net/ipv4/tcp_rmem"
#define RMEM_MAX	"/proc/sys/net/core/rmem_max"
#define RMEM_DEFAULT	212992	/* of rmem_max, which only the first namespace shows */
#define SCALE_MAX	14	/* RFC 7323 */

/* ---- sysctls ---- */

/* Reads up to @most numbers from the start of the file. Returns how many there were. */
static int read_numbers(const char *path, long *numbers, int most)
{
	FILE *file = fopen(path, "re");
	int count = 0;

	if (!file)
		return 0;
	while (count < most && fscanf(file, "%ld", &numbers[count]) == 1)
		count++;
	fclose(file);
	return count;
}

long read_sysctl(const char *path)
{
	long numbers[3];
	int count = read_numbers(path, numbers, 3);

	return count ? numbers[count - 1] : -1;
}

int write_sysctl(const char *path, long number, char *err)
{
	FILE *file = fopen(path, "we");
	bool good = file && fprintf(file, "%ld\n", number) > 0;

	if (file && fclose(file))
		good = false;
	return good ? 0 : fail(err, EIO, "cannot write %ld to %s: %s", number, path, strerror(errno));
}

/* ---- listeners ---- */

/* Whether the table of sockets at @path has a listener on any of the rule's ports. */
static bool listens_in(const char *path, const struct weir_syn_rule *rule)
{
	FILE *file = fopen(path, "re");
	unsigned int port, state;
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port,
			       &state) == 2 &&
			state == TCP_LISTEN && port >= rule->first && port <= rule->last;
	if (file)
		fclose(file);
	return found;
}

bool tcp_listens(const struct weir_syn_rule *rule)
{
	return listens_in("/proc/self/net/tcp", rule) || listens_in("/proc/self/net/tcp6", rule);
}

static int request_socket(const struct inet_diag_sockid *id, uint8_t family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 diag;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST },
		.diag = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = ~0U, .id = *id },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd >= 0 && send(fd, &request, sizeof(request), 0) == sizeof(request))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int tcp_state(bool ipv6, const void *source, __be16 sport, const void *to, __be16 dport)
{
	_Alignas(struct nlmsghdr) char reply[1024];
	const struct nlmsghdr *head = (void *)reply;
	struct inet_diag_sockid id = { .idiag_sport = dport, .idiag_dport = sport,
				       .idiag_cookie = { ~0U, ~0U } };
	int fd, len, state = -EIO;

	/* To sock_diag the source is this end. */
	memcpy(id.idiag_src, to, ipv6 ? 16 : 4);
	memcpy(id.idiag_dst, source, ipv6 ? 16 : 4);
	fd = request_socket(&id, ipv6 ? AF_INET6 : AF_INET);
	if (fd < 0)
		return -EIO;
	len = recv(fd, reply, sizeof(reply), 0);
	close(fd);
	if (len < 0 || !NLMSG_OK(head, (unsigned int)len))
		return -EIO;
	if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY)
		state = ((struct inet_diag_msg *)NLMSG_DATA(head))->idiag_state;
	else if (head->nlmsg_type == NLMSG_ERROR &&
		 ((struct nlmsgerr *)NLMSG_DATA(head))->error == -ENOENT)
		state = 0;
	return state;
}

const char *forwarding_cause(void)
{
	DIR *devices;
	const struct dirent *device;
	bool bridge = false;
	char path[300];

	if (read_sysctl("/proc/sys/net/ipv4/ip_forward") > 0)
		return "net.ipv4.ip_forward is not 0";
	if (read_sysctl("/proc/sys/net/ipv6/conf/all/forwarding") > 0)
		return "net.ipv6.conf.all.forwarding is not 0";
	devices = opendir("/sys/class/net");
	while (devices && !bridge && (device = readdir(devices))) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/brport", device->d_name);
		bridge = !access(path, F_OK);
	}
	if (devices)
		closedir(devices);
	return bridge ? "it has a bridge" : NULL;
}

/* ---- the window ---- */

/* The receive buffer of a TCP socket in bytes: by default, and as far as it may grow. */
struct receive_memory {
	long usual, most;
};

static struct receive_memory read_memory(void)
{
	long rmem[3] = { 4096, 131072, 6291456 };	/* the kernel's own, for an unreadable file */

	read_numbers(TCP_RMEM, rmem, 3);
	return (struct receive_memory){ rmem[1], rmem[2] };
}

/* The bytes of a listener's receive buffer; 0: the message does not have them. */
static uint32_t buffer_of(const struct inet_diag_msg *socket, int length)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };

	length -= sizeof(*socket);
	for (struct rtattr *each = (struct rtattr *)(socket + 1); RTA_OK(each, length);
	     each = RTA_NEXT(each, length))
		if (each->rta_type == INET_DIAG_SKMEMINFO)
			memcpy(memory, RTA_DATA(each), RTA_PAYLOAD(each) < sizeof(memory) ?
			       RTA_PAYLOAD(each) : sizeof(memory));
	return memory[SK_MEMINFO_RCVBUF];
}

/* Of the rule's listeners, the least and the most bytes of a receive buffer. */
struct buffers {
	const struct weir_syn_rule *rule;
	uint32_t least, most;
};

static void note_buffer(const struct inet_diag_msg *socket, int length, void *arg)
{
	struct buffers *buffers = arg;
	uint16_t port = ntohs(socket->id.idiag_sport);
	uint32_t bytes;

	if (port < buffers->rule->first || port > buffers->rule->last)
		return;
	bytes = buffer_of(socket, length);
	if (bytes && bytes < buffers->least)
		buffers->least = bytes;
	if (bytes > buffers->most)
		buffers->most = bytes;
}

/*
 * The window scale for a listener with that receive buffer, computed as the kernel does in
 * tcp_select_initial_window() (net/ipv4/tcp_output.c). A buffer that the application has set
 * (SO_RCVBUF) bounds the window to half of it; one set to exactly the default is taken for the
 * default, since the two cannot be distinguished.
 */
static __u8 scale_of(uint32_t buffer, const struct receive_memory *memory)
{
	long most = read_sysctl(RMEM_MAX), space;
	int scale = 0;

	if (most < 0)
		most = RMEM_DEFAULT;
	space = memory->most > most ? memory->most : most;
	if (buffer != memory->usual && space > buffer / 2)
		space = buffer / 2;
	while (space >> (scale + 16) && scale < SCALE_MAX)
		scale++;
	return scale;
}

__u8 tcp_window_scale(const struct weir_syn_rule *rule, bool *differ)
{
	const struct receive_memory memory = read_memory();
	struct buffers buffers = { rule, UINT32_MAX, 0 };
	__u8 scale, other;

	/* A kernel without sock_diag lists none. */
	tcp_sockets(1 << TCP_LISTEN, 1 << (INET_DIAG_SKMEMINFO - 1), note_buffer, &buffers);
	if (!buffers.most)
		buffers.least = buffers.most = memory.usual;
	scale = scale_of(buffers.least, &memory);
	other = scale_of(buffers.most, &memory);
	*differ = scale != other;
	/* The smallest buffer need not have the smallest scale: a set one counts only by half. */
	return scale < other ? scale : other;
}
