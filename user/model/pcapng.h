/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing pcapng (draft-ietf-opsawg-pcapng): a section, its interfaces, packets.
 * libpcap reads the format and does not write it. Pure, but for the stream.
 */
#ifndef WEIR_MODEL_PCAPNG_H
#define WEIR_MODEL_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#define PCAPNG_CAPTURED_MAX	2048	/* bytes of a packet */
#define PCAPNG_TEXT_MAX		512	/* bytes of a text, longer ones are cut */

/* All return 0, or -errno when the stream fails. Ethernet; times in ns. */
int pcapng_section(FILE *to, const char *program, const char *comment);
/* Interfaces are numbered in the order in which they are written, from 0. */
int pcapng_interface(FILE *to, const char *name, const char *description, uint32_t snap);

struct pcapng_packet {
	uint32_t interface;
	uint64_t unix_ns;
	const void *data;
	uint32_t captured;	/* bytes of @data; at most PCAPNG_CAPTURED_MAX */
	uint32_t length;	/* of the packet on the wire */
	const char *comment;
	uint64_t xdp_action;	/* enum xdp_action */
};

int pcapng_packet(FILE *to, const struct pcapng_packet *packet);

#endif
