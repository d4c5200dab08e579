/* SPDX-License-Identifier: GPL-2.0-only */
/* The UDP source ports of services that are abused as reflectors. */
#ifndef WEIR_MODEL_REFLECTORS_H
#define WEIR_MODEL_REFLECTORS_H

#include <stdbool.h>
#include <stdint.h>

bool is_reflector(uint16_t sport);

#define REFLECTOR_PORTS	96	/* bytes of the set, NUL included */
/* All of them as a set of ports, with those of DNS and NTP or without. */
void reflector_ports(bool dns, bool ntp, char text[REFLECTOR_PORTS]);

#endif
