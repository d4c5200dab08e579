/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The DNS and time servers that this host asks, as its settings and its sockets name them. No name
 * is looked up: that would send packets, to the very servers that a flood may keep from answering.
 */
#ifndef WEIR_HOST_SERVERS_H
#define WEIR_HOST_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "user/model/prefix.h"

#define SERVERS_MOST	16
#define SERVER_FILES	24
#define SERVER_PATH	96

struct server_file {
	char path[SERVER_PATH];
	unsigned int addresses, names;	/* of servers, that stand there */
};

struct servers {
	struct prefix at[SERVERS_MOST];	/* each once, none of the loopback */
	size_t count;
	unsigned int names;	/* servers of which only the name is known */
	unsigned int local;	/* on this host: a server here asks others */
	bool too_many;		/* more addresses, or files, than there is room for */
	struct server_file file[SERVER_FILES];	/* that could be read */
	size_t files;
};

/* resolv.conf, also that of systemd-resolved. */
void read_resolv_conf(struct servers *servers);
/* The same, and sockets that are connected to port 53. */
void read_resolvers(struct servers *servers);
/* The settings of chrony, ntpd and systemd-timesyncd, and sockets that are connected to port 123. */
void read_time_servers(struct servers *servers);

#endif
