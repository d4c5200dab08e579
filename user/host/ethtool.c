// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/ethtool.h"
#include "user/model/error.h"
#include "user/model/text.h"

#define STATISTICS_MOST	65536	/* more than any driver has: of 1,000 queues 60 each */

/* @data begins with the number of the request, ETHTOOL_G... */
static int request(const char *dev, void *data)
{
	struct ifreq ifr = { .ifr_data = data };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return neg_errno();
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	rc = ioctl(fd, SIOCETHTOOL, &ifr) ? neg_errno() : 0;
	close(fd);
	return rc;
}

int ethtool_driver(const char *dev, char driver[DRIVER_NAME])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	int rc = request(dev, &info);

	*driver = '\0';
	if (rc)
		return rc;
	snprintf(driver, DRIVER_NAME, "%.*s", (int)sizeof(info.driver) - 1, info.driver);
	text_make_plain(driver);
	return *driver ? 0 : -EOPNOTSUPP;
}

/* ---- speed ---- */

#define MODE_WORDS_MOST	127	/* of each of three masks, by the type of their length */

int ethtool_speed(const char *dev, uint64_t *bits_per_s)
{
	union {
		struct ethtool_link_settings settings;
		uint32_t room[sizeof(struct ethtool_link_settings) / 4 + 3 * MODE_WORDS_MOST];
	} answer = { .settings.cmd = ETHTOOL_GLINKSETTINGS };
	int rc = request(dev, &answer);

	if (rc)
		return rc;
	if (answer.settings.link_mode_masks_nwords >= 0)
		return -EOPNOTSUPP;
	/* The kernel has told, as a negative number, how long its masks of modes are. */
	answer.settings.cmd = ETHTOOL_GLINKSETTINGS;
	answer.settings.link_mode_masks_nwords = -answer.settings.link_mode_masks_nwords;
	rc = request(dev, &answer);
	if (!rc && answer.settings.speed == (uint32_t)SPEED_UNKNOWN)
		rc = -EOPNOTSUPP;
	*bits_per_s = rc ? 0 : answer.settings.speed * 1000000ULL;
	return rc;
}

/* ---- statistics ---- */

/* How many statistics there are; negative: -errno. */
static int count_statistics(const char *dev)
{
	/* Room for one count; a union, since the structure ends in an array without a length. */
	union {
		struct ethtool_sset_info info;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} ask = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_STATS } };
	int rc = request(dev, &ask);

	if (rc)
		return rc;
	if (!ask.info.sset_mask || !ask.info.data[0])
		return -EOPNOTSUPP;
	return ask.info.data[0] <= STATISTICS_MOST ? (int)ask.info.data[0] : -E2BIG;
}

static void call_each(const struct ethtool_gstrings *names, const struct ethtool_stats *values,
		      ethtool_statistic *each, void *arg)
{
	char name[ETH_GSTRING_LEN + 1] = "";

	/* A driver may have got or lost queues between the requests. */
	for (uint32_t i = 0; i < names->len && i < values->n_stats; i++) {
		memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
		each(name, values->data[i], arg);
	}
}

/*
 * The kernel writes as many as there are at that moment, whatever the caller has room for, so there
 * is room for twice as many as there were.
 */
int ethtool_statistics(const char *dev, ethtool_statistic *each, void *arg)
{
	int count = count_statistics(dev), rc = -ENOMEM;
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;

	if (count < 0)
		return count;
	names = calloc(1, sizeof(*names) + (size_t)count * 2 * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + (size_t)count * 2 * sizeof(uint64_t));
	if (names && values) {
		*names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
						    .string_set = ETH_SS_STATS, .len = count };
		values->cmd = ETHTOOL_GSTATS;
		values->n_stats = count;
		rc = request(dev, names);
		if (!rc)
			rc = request(dev, values);
		if (!rc)
			call_each(names, values, each, arg);
	}
	free(names);
	free(values);
	return rc;
}

/* ---- queues, rings, offloads ---- */

static int read_channels(const char *dev, struct ethtool_channels *channels)
{
	*channels = (struct ethtool_channels){ .cmd = ETHTOOL_GCHANNELS };
	return request(dev, channels);
}

int ethtool_queues(const char *dev, struct ethtool_amount *queues)
{
	struct ethtool_channels channels;
	int rc = read_channels(dev, &channels);

	if (rc)
		return rc;
	queues->now = channels.combined_count + channels.rx_count;
	queues->most = channels.max_combined > channels.max_rx ? channels.max_combined :
								 channels.max_rx;
	return queues->now ? 0 : -EOPNOTSUPP;
}

bool ethtool_queues_are_rx(const char *dev)
{
	struct ethtool_channels channels;

	return !read_channels(dev, &channels) && !channels.max_combined;
}

int ethtool_ring(const char *dev, struct ethtool_amount *ring)
{
	struct ethtool_ringparam params = { .cmd = ETHTOOL_GRINGPARAM };
	int rc = request(dev, &params);

	if (rc)
		return rc;
	*ring = (struct ethtool_amount){ params.rx_pending, params.rx_max_pending };
	return ring->now ? 0 : -EOPNOTSUPP;
}

static int read_value(const char *dev, uint32_t command, uint32_t *value)
{
	struct ethtool_value ask = { .cmd = command };
	int rc = request(dev, &ask);

	*value = ask.data;
	return rc;
}

int ethtool_lro(const char *dev, bool *on)
{
	uint32_t flags;
	int rc = read_value(dev, ETHTOOL_GFLAGS, &flags);

	*on = !rc && flags & ETH_FLAG_LRO;
	return rc;
}

int ethtool_gro(const char *dev, bool *on)
{
	uint32_t value;
	int rc = read_value(dev, ETHTOOL_GGRO, &value);

	*on = !rc && value;
	return rc;
}
