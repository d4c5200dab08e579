// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/host/process.h"
#include "user/host/ssh.h"
#include "user/host/tcp_sockets.h"
#include "user/model/error.h"

#define SSH_PORT	22
#define VARIABLE	"SSH_CONNECTION="
#define ANCESTORS	64	/* as far up as parents are looked at */

/* A connection, and by what it may turn out to be a session. */
struct candidate {
	struct ssh_session session;
	uint32_t inode, uid;
	bool of_server;		/* open in a process of an SSH server */
};

struct candidates {
	struct candidate *at;
	size_t count, room;
	ssh_wanted *wanted;
	void *arg;
	bool full;		/* no memory for all */
};

/* ---- established connections ---- */

/* A connection from this host itself does not pass the program. */
static bool is_loopback(const struct prefix *address)
{
	return prefix_is_v4(address) ? (address->lo >> 24 & 0xff) == 127 :
				       !address->hi && address->lo == 1;
}

/* @bytes: as sock_diag gives them. */
static struct prefix address_of(uint8_t family, const void *bytes)
{
	struct weir_prefix key = { .prefixlen = 128 };
	struct prefix address;
	uint32_t v4;

	if (family == AF_INET) {
		memcpy(&v4, bytes, sizeof(v4));
		return prefix_v4(ntohl(v4), 32);
	}
	memcpy(key.addr, bytes, sizeof(key.addr));
	prefix_from_key(&key, &address);
	return address;
}

static void note_connection(const struct inet_diag_msg *socket, int length, void *arg)
{
	struct candidates *found = arg;
	struct candidate new = {
		.session = { .peer = address_of(socket->idiag_family, socket->id.idiag_dst),
			     .here = address_of(socket->idiag_family, socket->id.idiag_src),
			     .peer_port = ntohs(socket->id.idiag_dport),
			     .port = ntohs(socket->id.idiag_sport) },
		.inode = socket->idiag_inode, .uid = socket->idiag_uid,
	};

	(void)length;
	if (is_loopback(&new.session.peer) || !prefix_cmp(&new.session.peer, &new.session.here) ||
	    (found->wanted && !found->wanted(&new.session, found->arg)))
		return;
	if (found->count == found->room) {
		size_t room = found->room ? found->room * 2 : 64;
		struct candidate *at = realloc(found->at, room * sizeof(*at));

		if (!at) {
			found->full = true;
			return;
		}
		found->at = at;
		found->room = room;
	}
	found->at[found->count++] = new;
}

static int by_inode(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* ---- processes of SSH servers ---- */

static bool is_server(const char *pid)
{
	static const char *const names[] = { "sshd", "sshd-session", "dropbear" };
	char path[300], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void note_sockets(const char *pid, struct candidates *found)
{
	char path[600], link[64];
	const struct dirent *each;
	DIR *files;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	files = opendir(path);
	while (files && (each = readdir(files))) {
		struct candidate key = { 0 }, *match;
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, each->d_name);
		length = readlink(path, link, sizeof(link) - 1);
		link[length < 0 ? 0 : length] = '\0';
		if (sscanf(link, "socket:[%u]", &key.inode) != 1)
			continue;
		match = bsearch(&key, found->at, found->count, sizeof(key), by_inode);
		if (match)
			match->of_server = true;
	}
	if (files)
		closedir(files);
}

static void note_servers(struct candidates *found)
{
	DIR *processes = opendir("/proc");
	const struct dirent *each;

	while (processes && (each = readdir(processes)))
		if (isdigit((unsigned char)each->d_name[0]) && is_server(each->d_name))
			note_sockets(each->d_name, found);
	if (processes)
		closedir(processes);
}

/* ---- the session of this process ---- */

/* @text: "PEER PORT HERE PORT"; an address of the link has its zone. */
static void note_own(const char *text, struct candidates *found)
{
	char peer[INET6_ADDRSTRLEN + 1], ignored[ERR_LEN];
	unsigned int peer_port, port;
	struct prefix address;

	if (sscanf(text, "%46[^% ]%*[^ ] %u %*s %u", peer, &peer_port, &port) != 3 &&
	    sscanf(text, "%46[^% ] %u %*s %u", peer, &peer_port, &port) != 3)
		return;
	if (prefix_parse(peer, &address, NULL, ignored))
		return;
	for (size_t i = 0; i < found->count; i++) {
		struct ssh_session *session = &found->at[i].session;

		if (session->peer_port == peer_port && session->port == port &&
		    !prefix_cmp(&session->peer, &address))
			session->own = true;
	}
}

static void note_environ(pid_t pid, struct candidates *found)
{
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (getdelim(&line, &size, '\0', file) > 0)
		if (!strncmp(line, VARIABLE, strlen(VARIABLE)))
			note_own(line + strlen(VARIABLE), found);
	free(line);
	fclose(file);
}

/* ---- both ---- */

static bool is_session(const struct candidate *each)
{
	return each->session.own ||
	       (!each->uid && (each->of_server || each->session.port == SSH_PORT));
}

int ssh_sessions(ssh_wanted *wanted, void *arg, struct ssh_session **sessions, size_t *count)
{
	struct candidates found = { .wanted = wanted, .arg = arg };
	int rc = tcp_sockets(1 << TCP_ESTABLISHED, 0, note_connection, &found);
	pid_t pid = getpid();

	*sessions = NULL;
	*count = 0;
	if (!rc && found.full)
		rc = -ENOMEM;
	if (!rc && found.count) {
		qsort(found.at, found.count, sizeof(*found.at), by_inode);
		note_servers(&found);
		for (int i = 0; i < ANCESTORS && pid > 0; i++, pid = process_parent(pid))
			note_environ(pid, &found);
		*sessions = calloc(found.count, sizeof(**sessions));
		rc = *sessions ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < found.count && !rc; i++)
		if (is_session(&found.at[i]))
			(*sessions)[(*count)++] = found.at[i].session;
	free(found.at);
	return rc;
}
