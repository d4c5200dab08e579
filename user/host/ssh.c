// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

#include "user/host/process.h"
#include "user/host/ssh.h"
#include "user/model/error.h"
#include "user/model/prefixes.h"

#define VARIABLE	"SSH_CONNECTION="
#define ANCESTORS	64	/* as far up as parents are looked at */

/* A connection from this host itself does not pass the program. */
static bool is_loopback(const struct prefix *address)
{
	return prefix_is_v4(address) ? (address->lo >> 24 & 0xff) == 127 :
				       !address->hi && address->lo == 1;
}

/* Adds the address at the start of @text, if there is one. Returns 0 or -ENOMEM. */
static int add_peer(struct prefixes *peers, const char *text)
{
	char address[INET6_ADDRSTRLEN], err[ERR_LEN];
	size_t length = strcspn(text, " %");	/* a port or a zone may follow */
	struct prefix prefix;

	if (length >= sizeof(address))
		return 0;
	memcpy(address, text, length);
	address[length] = '\0';
	if (prefix_parse(address, &prefix, NULL, err) || prefix.length != 128 ||
	    is_loopback(&prefix))
		return 0;
	return prefixes_add(peers, &prefix);
}

static int add_from_environ(struct prefixes *peers, pid_t pid)
{
	char path[64], *line = NULL;
	size_t size = 0;
	int rc = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!rc && getdelim(&line, &size, '\0', file) > 0)
		if (!strncmp(line, VARIABLE, strlen(VARIABLE)))
			rc = add_peer(peers, line + strlen(VARIABLE));
	free(line);
	fclose(file);
	return rc;
}

static int add_from_utmp(struct prefixes *peers)
{
	const struct utmpx *each;
	char text[INET6_ADDRSTRLEN];
	int rc = 0;

	setutxent();
	while (!rc && (each = getutxent())) {
		const void *address = each->ut_addr_v6;
		bool ipv6 = each->ut_addr_v6[1] || each->ut_addr_v6[2] || each->ut_addr_v6[3];

		if (each->ut_type != USER_PROCESS || (!ipv6 && !each->ut_addr_v6[0]) ||
		    (kill(each->ut_pid, 0) && errno == ESRCH))
			continue;
		if (inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, text, sizeof(text)))
			rc = add_peer(peers, text);
	}
	endutxent();
	return rc;
}

int ssh_peers(struct prefixes *peers)
{
	pid_t pid = getpid();
	int rc = 0;

	for (int i = 0; i < ANCESTORS && pid > 0 && !rc; i++) {
		rc = add_from_environ(peers, pid);
		pid = process_parent(pid);
	}
	if (!rc)
		rc = add_from_utmp(peers);
	return rc ? rc : prefixes_sort(peers, NULL);
}
