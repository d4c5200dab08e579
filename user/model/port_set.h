/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of ports, as limits, budgets and drop rules have them: `80,443,8000-8100`. */
#ifndef WEIR_PORT_SET_H
#define WEIR_PORT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/weir.h"

#define PORT_SET_TEXT	(WEIR_PORT_RANGES * 12)	/* bytes of a set as text, NUL included */

/*
 * Ports, ranges and services with commas between them, in any order, sorted and merged into @set.
 * @name of the word, for messages: "dport" or "sport". @proto: as parse_ports() has it. Returns 0,
 * or -EINVAL with @err.
 */
int port_set_parse(const char *word, const char *name, uint8_t proto,
		   struct weir_ports set[WEIR_PORT_RANGES], char *err);
/* Whether the port is in the set; an empty one, which stands for all, has each. */
bool port_set_has(const struct weir_ports set[WEIR_PORT_RANGES], uint16_t port);
/* How many ports it has; an empty set, which stands for all, has 65536. */
uint32_t port_set_count(const struct weir_ports set[WEIR_PORT_RANGES]);
/* Compares port by port from the lowest; 0 only for equal sets. */
int port_set_order(const struct weir_ports a[WEIR_PORT_RANGES],
		   const struct weir_ports b[WEIR_PORT_RANGES]);
/* Sets @starts, of 65537 elements, to 1 where a range begins or has just ended. */
void port_set_edges(const struct weir_ports set[WEIR_PORT_RANGES], uint8_t *starts);
void port_set_format(const struct weir_ports set[WEIR_PORT_RANGES], char text[PORT_SET_TEXT]);

#endif
