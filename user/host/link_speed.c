// SPDX-License-Identifier: GPL-2.0-only
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "user/host/interfaces.h"
#include "user/host/link_speed.h"

#define MODE_WORDS_MOST	127	/* of three masks, by the type of link_mode_masks_nwords */

struct settings_answer {
	struct ethtool_link_settings settings;
	uint32_t modes[3 * MODE_WORDS_MOST];
};

/* The kernel first tells, as a negative number, how long its masks of modes are. */
static uint32_t ask_speed(int fd, const char *name)
{
	struct settings_answer answer = { .settings.cmd = ETHTOOL_GLINKSETTINGS };
	struct ifreq request = { .ifr_data = (char *)&answer };

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCETHTOOL, &request) || answer.settings.link_mode_masks_nwords >= 0)
		return 0;
	answer.settings.cmd = ETHTOOL_GLINKSETTINGS;
	answer.settings.link_mode_masks_nwords = -answer.settings.link_mode_masks_nwords;
	if (ioctl(fd, SIOCETHTOOL, &request) || answer.settings.speed == (uint32_t)SPEED_UNKNOWN)
		return 0;
	return answer.settings.speed;
}

uint64_t fastest_link(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct interface *all;
	uint64_t fastest = 0;
	size_t count;

	if (fd < 0)
		return 0;
	if (!interfaces_read(&all, &count)) {
		for (size_t i = 0; i < count; i++) {
			uint32_t mbit = ask_speed(fd, all[i].name);

			if (mbit > fastest)
				fastest = mbit;
		}
		free(all);
	}
	close(fd);
	return fastest * 1000000;
}
