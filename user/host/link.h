/* SPDX-License-Identifier: GPL-2.0-only */
/* What the frames of an interface look like: its link type. */
#ifndef WEIR_HOST_LINK_H
#define WEIR_HOST_LINK_H

enum link_kind {
	LINK_ETHERNET,		/* an Ethernet header, then anything */
	LINK_LOOPBACK,		/* the same, and all traffic is this host's own */
	LINK_BARE,		/* no header: the frame begins with IP */
};

/*
 * The kind of interface @name in this network namespace. Returns 0; with @err -EOPNOTSUPP for link
 * types that weir cannot read, or the errno of the call that failed.
 */
int link_read(const char *name, enum link_kind *kind, char *err);

#endif
