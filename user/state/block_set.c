// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/pure/blockset.h"
#include "user/model/blockset.h"
#include "user/model/error.h"
#include "user/state/block_set.h"
#include "user/state/sides.h"

static int open_set(const struct maps *maps)
{
	return side_open(maps, SIDE_blockset, maps->hints->side);
}

int block_set_generation(const struct maps *maps, uint64_t *generation)
{
	int fd = open_set(maps), rc = 0;
	struct set_head head;
	__u32 zero = 0;

	*generation = 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (bpf_map_lookup_elem(fd, &zero, &head))
		rc = -errno;
	else
		*generation = head.generation;
	close(fd);
	return rc;
}

static int has(int fd, const struct prefix *address)
{
	struct bpf_map_info info;
	struct weir_line *lines;
	int rc = map_info(fd, &info);

	if (rc)
		return rc;
	lines = mmap(NULL, info.max_entries * sizeof(*lines), PROT_READ, MAP_SHARED, fd, 0);
	if (lines == MAP_FAILED)
		return -errno;
	rc = blockset_has(lines, info.max_entries, address);
	munmap(lines, info.max_entries * sizeof(*lines));
	return rc;
}

int block_set_has(const struct maps *maps, const struct prefix *address)
{
	int fd = open_set(maps), rc;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = has(fd, address);
	close(fd);
	return rc;
}

int block_set_put(const struct maps *maps, int set_fd)
{
	return side_put(maps, SIDE_blockset, maps->hints->side, set_fd);
}

/* ---- compiling ---- */

/* The map that the compiler writes into. */
struct set_map {
	int fd;
	struct weir_line *lines;
	size_t size;
	char *err;
};

static struct weir_line *alloc_set(void *ctx, size_t lines)
{
	struct set_map *map = ctx;
	void *at;

	map->size = lines * sizeof(*map->lines);
	map->fd = side_create(SIDE_blockset, lines);
	if (map->fd < 0) {
		fail(map->err, -map->fd, "cannot create a block set of %zu KiB: %s",
		     map->size / 1024, strerror(-map->fd));
		return NULL;
	}
	at = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	if (at == MAP_FAILED) {
		fail(map->err, errno, "cannot map a block set of %zu KiB into memory: %s",
		     map->size / 1024, strerror(errno));
		return NULL;
	}
	map->lines = at;
	return map->lines;
}

int block_set_compile(const struct maps *maps, const struct prefixes *all, uint64_t generation,
		      int *fd, char *err)
{
	struct set_map map = { .fd = -1, .err = err };
	int rc = blockset_compile(all, maps->meta.seed ^ generation, generation, alloc_set, &map,
				  err);

	if (map.lines)
		munmap(map.lines, map.size);
	if (rc && map.fd >= 0)
		close(map.fd);
	*fd = rc ? -1 : map.fd;
	return rc;
}
