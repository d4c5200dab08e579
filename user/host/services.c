// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <netdb.h>

#include "user/host/services.h"
#include "user/model/parse.h"

static uint16_t port_of(const char *name, const char *proto)
{
	const struct servent *entry = getservbyname(name, proto);

	return entry ? ntohs(entry->s_port) : 0;
}

bool service_look_up_host(const char *name, struct service *service)
{
	service->tcp = port_of(name, "tcp");
	service->udp = port_of(name, "udp");
	return service->tcp || service->udp;
}
