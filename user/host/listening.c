// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "user/host/listening.h"

#define ADDRESS_DIGITS	32	/* of an IPv6 address; of IPv4: 8 */

/* The address as /proc prints it: words of 32 bits in the order of the machine. */
static bool parse_end(const char *digits, struct prefix *end)
{
	struct weir_prefix key = { .prefixlen = 128 };
	size_t words = strlen(digits) / 8;
	unsigned int word;

	if (words != 1 && words != 4)
		return false;
	for (size_t i = 0; i < words; i++) {
		if (sscanf(digits + 8 * i, "%8x", &word) != 1)
			return false;
		memcpy(key.addr + (words == 1 ? 12 : 4 * i), &word, 4);
	}
	if (words == 1)
		memset(key.addr + 10, 0xff, 2);
	prefix_from_key(&key, end);
	return true;
}

/* Whether a socket bound to @local takes what is sent to an address in @to. */
static bool takes(const struct prefix *local, const struct prefix *to)
{
	bool v4 = prefix_is_v4(local);
	bool any = v4 ? !(uint32_t)local->lo : !local->hi && !local->lo;
	bool loopback = v4 ? (local->lo >> 24 & 0xff) == 127 : !local->hi && local->lo == 1;

	/* A socket for all of IPv6 takes IPv4 as well, unless it was told not to. */
	if (any)
		return !to->length || !v4 || prefix_is_v4(to);
	return to->length ? prefix_covers(to, local) : !loopback;
}

static bool listens_in(const char *path, unsigned int wanted, const struct prefix *to,
		       uint16_t port)
{
	FILE *file = fopen(path, "re");
	unsigned int at, state;
	char line[512], digits[ADDRESS_DIGITS + 1];
	struct prefix local;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", digits, &at,
			       &state) == 3 &&
			state == wanted && at == port && parse_end(digits, &local) &&
			takes(&local, to);
	if (file)
		fclose(file);
	return found;
}

bool listens_on(enum transport transport, const struct prefix *to, uint16_t port)
{
	if (transport == OVER_TCP)
		return listens_in("/proc/self/net/tcp", TCP_LISTEN, to, port) ||
		       listens_in("/proc/self/net/tcp6", TCP_LISTEN, to, port);
	/* A socket of UDP that is not connected has the state of a closed one. */
	return listens_in("/proc/self/net/udp", TCP_CLOSE, to, port) ||
	       listens_in("/proc/self/net/udp6", TCP_CLOSE, to, port);
}

static void peers_in(const char *path, uint16_t port,
		     void (*each)(const struct prefix *peer, void *arg), void *arg)
{
	FILE *file = fopen(path, "re");
	char line[512], digits[ADDRESS_DIGITS + 1];
	struct prefix peer;
	unsigned int at;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%*x %32[0-9A-Fa-f]:%x", digits, &at) == 2 &&
		    at == port && parse_end(digits, &peer))
			each(&peer, arg);
	if (file)
		fclose(file);
}

void udp_peers(uint16_t port, void (*each)(const struct prefix *peer, void *arg), void *arg)
{
	peers_in("/proc/self/net/udp", port, each, arg);
	peers_in("/proc/self/net/udp6", port, each, arg);
}
