// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/mman.h>

#include "bpf/pure/address.h"
#include "user/state/networks.h"

#define TABLE_BYTES	(WEIR_NETWORKS * sizeof(struct weir_network))
#define V4_BITS		24
#define V6_BITS		48

static struct prefix prefix_of(uint64_t key, uint64_t key_lo)
{
	if (key >> 32 == 0xffff)
		return prefix_v4(key, V4_BITS);
	if (is_link_local(key))
		return (struct prefix){ .hi = key, .lo = key_lo, .length = 128 };
	return (struct prefix){ .hi = key, .length = V6_BITS };
}

int networks_each(const struct maps *maps, int (*each)(const struct network *network, void *arg),
		  void *arg)
{
	const struct weir_network *lines;
	int rc = 0;

	lines = mmap(NULL, TABLE_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE,
		     maps->fd[MAP_networks], 0);
	if (lines == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; i < WEIR_NETWORKS && !rc; i++) {
		/* The data path writes meanwhile: each field is read once. */
		struct network network = {
			.line = i,
			.key = __atomic_load_n(&lines[i].key, __ATOMIC_RELAXED),
			.dropped = __atomic_load_n(&lines[i].dropped, __ATOMIC_RELAXED),
			.seen_ns = __atomic_load_n(&lines[i].seen_ns, __ATOMIC_RELAXED),
		};

		if (!network.key)
			continue;
		network.prefix = prefix_of(network.key,
					   __atomic_load_n(&lines[i].key_lo, __ATOMIC_RELAXED));
		rc = each(&network, arg);
	}
	munmap((void *)lines, TABLE_BYTES);
	return rc;
}
