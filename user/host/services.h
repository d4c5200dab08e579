/* SPDX-License-Identifier: GPL-2.0-only */
/* Services by name, as this host knows them. */
#ifndef WEIR_HOST_SERVICES_H
#define WEIR_HOST_SERVICES_H

#include <stdbool.h>

struct service;

/* False where neither TCP nor UDP has a service of that name; see model/parse.h. */
bool service_look_up_host(const char *name, struct service *service);

#endif
