/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a driver tells of its device, as ethtool(8) shows it, by the interface's name in this network
 * namespace. All of it is told without root. It is read by ioctl: the kernel has the driver's own
 * statistics nowhere else, so the newer netlink family of ethtool would only be a second way.
 *
 * Each function returns 0 or -errno: -EOPNOTSUPP where the driver does not tell.
 */
#ifndef WEIR_HOST_ETHTOOL_H
#define WEIR_HOST_ETHTOOL_H

#include <stdbool.h>
#include <stdint.h>

#define DRIVER_NAME	32	/* bytes, NUL included */

/* As "virtio_net"; each byte that is no plain text is a question mark. */
int ethtool_driver(const char *dev, char driver[DRIVER_NAME]);

/* Of the link; -EOPNOTSUPP also where it is down or the driver does not know. */
int ethtool_speed(const char *dev, uint64_t *bits_per_s);

/* Calls @each for each of the driver's statistics, with the name that `ethtool -S` prints. */
typedef void ethtool_statistic(const char *name, uint64_t value, void *arg);
int ethtool_statistics(const char *dev, ethtool_statistic *each, void *arg);

struct ethtool_amount {
	uint32_t now, most;	/* most: that the driver accepts */
};
/* Queues that receive: combined ones and those of receiving alone. */
int ethtool_queues(const char *dev, struct ethtool_amount *queues);
/* Whether `ethtool -L` calls these queues "rx"; else "combined". */
bool ethtool_queues_are_rx(const char *dev);
/* Descriptors of one receiving ring. */
int ethtool_ring(const char *dev, struct ethtool_amount *ring);
/* Whether segments are merged: by the device (LRO), and by the kernel (GRO). */
int ethtool_lro(const char *dev, bool *on);
int ethtool_gro(const char *dev, bool *on);

#endif
