/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes pcapng (draft-ietf-opsawg-pcapng): a section, then its interfaces, then packets. libpcap
 * can only read the format.
 */
#ifndef WEIR_MODEL_PCAPNG_H
#define WEIR_MODEL_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

#define PCAPNG_CAPTURED_MAX	2048	/* bytes of a packet */
#define PCAPNG_TEXT_MAX		512	/* bytes of a text; longer ones are cut */

/* LINKTYPE_* of tcpdump: what packets begin with. */
enum pcapng_link { PCAPNG_ETHERNET = 1, PCAPNG_RAW_IP = 101 };

/*
 * All return 0, or -errno when the stream fails. Numbers are written in the byte order of this
 * host, as the format allows. Times are in nanoseconds.
 */
int pcapng_section(FILE *to, const char *program, const char *comment);
/*
 * Interfaces are numbered from 0 in the order in which they are written. @snap: the most bytes
 * that are kept of a packet.
 */
int pcapng_interface(FILE *to, enum pcapng_link link, const char *name, const char *description,
		     uint32_t snap);

struct pcapng_packet {
	uint32_t interface;	/* its number */
	uint64_t unix_ns;	/* CLOCK_REALTIME */
	const void *data;
	uint32_t captured;	/* bytes of @data; at most PCAPNG_CAPTURED_MAX */
	uint32_t length;	/* of the packet on the wire */
	const char *comment;	/* UTF-8; empty: none */
	uint64_t xdp_action;	/* enum xdp_action */
};

/* -EINVAL when @packet->captured exceeds PCAPNG_CAPTURED_MAX. */
int pcapng_packet(FILE *to, const struct pcapng_packet *packet);

#endif
