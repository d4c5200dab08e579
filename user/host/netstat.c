// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/host/netstat.h"

#define NETSTAT		"/proc/thread-self/net/netstat"
#define SNMP		"/proc/thread-self/net/snmp"
#define LINE_LEN	8192	/* of TcpExt; the longest known kernel has 3 KiB */

/* Of two lines, one with names and one with their values, the value of @name. */
static int value_of(const char *names, const char *values, const char *name, uint64_t *value)
{
	size_t len = strlen(name);

	while ((names = strchr(names, ' ')) && (values = strchr(values, ' '))) {
		names++;
		values++;
		if (strncmp(names, name, len) || !strchr(" \n", names[len]))
			continue;
		*value = strtoull(values, NULL, 10);
		return 0;
	}
	return -ENOENT;
}

/* The two lines of @file that begin with @kind. */
static int read_lines(const char *path, const char *kind, char names[LINE_LEN],
		      char values[LINE_LEN])
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(kind);
	int rc = -ENOENT;

	while (rc && file && fgets(names, LINE_LEN, file) && fgets(values, LINE_LEN, file))
		if (!strncmp(names, kind, length) && !strncmp(values, kind, length))
			rc = 0;
	if (file)
		fclose(file);
	return rc;
}

int tcp_counts_read(struct tcp_counts *counts)
{
	char names[LINE_LEN], values[LINE_LEN];
	int rc = read_lines(NETSTAT, "TcpExt: ", names, values);

	if (!rc)
		rc = value_of(names, values, "SyncookiesRecv", &counts->cookies_received);
	if (!rc)
		rc = value_of(names, values, "ListenOverflows", &counts->listen_overflows);
	return rc;
}

int tcp_connections_read(uint64_t *connections)
{
	char names[LINE_LEN], values[LINE_LEN];
	int rc = read_lines(SNMP, "Tcp: ", names, values);

	return rc ? rc : value_of(names, values, "PassiveOpens", connections);
}
