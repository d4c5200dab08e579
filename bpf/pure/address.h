/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of addresses, of 128 bits as two numbers in host order, IPv4 as ::ffff:a.b.c.d. Pure.
 *
 * The families are kept apart: a prefix of IPv6 holds no address of IPv4, though its bits may cover
 * ::ffff:0:0/96. The parser drops IPv6 packets with mapped addresses, so the longest match of an
 * IPv4 packet can be a prefix of IPv6, which then counts as no match, but never the other way
 * round.
 */
#ifndef WEIR_BPF_PURE_ADDRESS_H
#define WEIR_BPF_PURE_ADDRESS_H

#include "bpf/pure/compiler.h"

#define MAPPED_TOP	0xffffULL	/* of the lower half, where the upper is 0 */
#define MAPPED_BITS	96		/* the length of ::ffff:0:0/96 */

/* Whether it is an address of IPv4. */
static __always_inline int is_mapped(__u64 hi, __u64 lo)
{
	return !hi && lo >> 32 == MAPPED_TOP;
}

/* Whether a prefix of @bits that matched an address of this family is of the same family. */
static __always_inline int is_of_family(__u32 bits, int ipv6)
{
	return ipv6 || bits >= MAPPED_BITS;
}

/* The same, from the lower half of the prefix's mask. */
static __always_inline int is_mask_of_family(__u64 mask_lo, int ipv6)
{
	return ipv6 || mask_lo >> 32 == 0xffffffff;
}

/*
 * fe80::/10: addresses of neighbours on the link, which all share one /64. There, a source is one
 * address and not a /64, and no network.
 */
static __always_inline int is_link_local(__u64 hi)
{
	return hi >> 54 == 0x3fa;
}

/* 0.0.0.0 or ::, the source of a host that has no address yet (DHCP, multicast reports). */
static __always_inline int is_unspecified(__u64 hi, __u64 lo)
{
	return !(hi | (lo & ~(MAPPED_TOP << 32)));
}

/*
 * A host without an address is told from others by its hardware address: its source is counted as
 * fe80:0:0:1:: with the hardware address in the last 48 bits. That is no address of any host, since
 * RFC 4291 wants 54 zeros behind fe80::/10.
 */
#define HARDWARE_HI	0xfe80000000000001ULL

#endif
