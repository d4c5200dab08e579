// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>

#include "bpf/pure/known_line.h"
#include "user/state/offences.h"

#define BATCH	256

static struct prefix source_of(uint64_t key)
{
	return known_key_is_v4(key) ? prefix_v4(key, 32) : (struct prefix){ key, 0, 64 };
}

int offences_each(const struct maps *maps,
		  int (*each)(const struct prefix *source, uint64_t packets, void *arg), void *arg)
{
	struct weir_offence values[BATCH];
	uint64_t keys[BATCH], position;
	bool more = true, first = true;
	int rc = 0;

	while (more && !rc) {
		__u32 count = BATCH;

		if (bpf_map_lookup_batch(maps->fd[MAP_offences], first ? NULL : &position, &position,
					 keys, values, &count, NULL)) {
			if (errno != ENOENT)
				return -errno;
			more = false;
		}
		first = false;
		for (__u32 i = 0; i < count && !rc; i++) {
			struct prefix source = source_of(keys[i]);

			rc = each(&source, values[i].packets, arg);
		}
	}
	return rc;
}
