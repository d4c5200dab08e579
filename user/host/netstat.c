// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/host/netstat.h"

#define NETSTAT		"/proc/thread-self/net/netstat"
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

int tcp_counts_read(struct tcp_counts *counts)
{
	char names[LINE_LEN], values[LINE_LEN];
	FILE *file = fopen(NETSTAT, "re");
	int rc = -ENOENT;

	while (file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file)) {
		if (strncmp(names, "TcpExt: ", 8) || strncmp(values, "TcpExt: ", 8))
			continue;
		rc = value_of(names, values, "SyncookiesRecv", &counts->cookies_received);
		if (!rc)
			rc = value_of(names, values, "ListenOverflows", &counts->listen_overflows);
		break;
	}
	if (file)
		fclose(file);
	return rc;
}
