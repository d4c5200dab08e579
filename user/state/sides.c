// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/state/pins.h"
#include "user/state/sides.h"
#include "user/state/slots.h"

#define SIDES		WEIR_PIN_ROOT "/sides"
#define OPEN_TRIES	50
#define RETRY_US	2000
#define HOSTS_LEAST	4096

/* What WEIR_SIDE_MAPS says of each kind. */
static const struct kind {
	const char *name;
	enum map_id outer;
	enum bpf_map_type type;
	uint32_t key_size, value_size, flags, entries;
} kinds[SIDE_MAPS] = {
#define M(name, type, key, value, flags, max) \
	[SIDE_##name] = { "weir_" #name, MAP_##name, type, sizeof(key), sizeof(value), flags, max },
	WEIR_SIDE_MAPS(M)
#undef M
};

enum map_id side_outer(enum side_map kind)
{
	return kinds[kind].outer;
}

/* ---- making ---- */

/* A table with few entries stays small, and so in the caches; twice as many still fit. */
static uint32_t room_for(uint32_t hosts)
{
	uint32_t room = HOSTS_LEAST;

	while (room < WEIR_ENTRIES && room / 2 < hosts)
		room *= 2;
	return room;
}

int side_create(enum side_map kind, uint32_t entries)
{
	const struct kind *k = &kinds[kind];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = k->flags);
	uint32_t count = kind == SIDE_hosts ? room_for(entries) :
			 kind == SIDE_blockset ? entries : k->entries;
	int fd = bpf_map_create(k->type, k->name, k->key_size, k->value_size, count, &opts);

	return fd < 0 ? -errno : fd;
}

/* ---- pins ---- */

/*
 * A map of a side is pinned, too, by the command that holds the lock: without CAP_SYS_ADMIN
 * a map can be opened by its pin but not by its id. The pin is changed before the slot of the
 * outer map; as long as they differ, the id in the slot counts.
 */
static void side_path(char *path, size_t size, enum side_map kind, uint32_t side, const char *more)
{
	snprintf(path, size, SIDES "/%s-%u%s", map_names[side_outer(kind)], side, more);
}

static int pin(enum side_map kind, uint32_t side, int fd)
{
	char path[96], aside[96];
	int rc = pins_make_folder(SIDES);

	side_path(path, sizeof(path), kind, side, "");
	side_path(aside, sizeof(aside), kind, side, "-next");
	unlink(aside);
	if (!rc)
		rc = pins_put(fd, aside);
	if (!rc && rename(aside, path))
		rc = -errno;
	return rc;
}

/* -ESTALE: what is pinned is not the map with this id. */
static int open_pinned(enum side_map kind, uint32_t side, uint32_t id)
{
	char path[96];
	int fd;

	side_path(path, sizeof(path), kind, side, "");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	if (map_id_of(fd) == id)
		return fd;
	close(fd);
	return -ESTALE;
}

/* ---- the slots of the outer maps ---- */

int side_open(const struct maps *maps, enum side_map kind, uint32_t side)
{
	int fd = -ENOENT;
	__u32 id;

	for (int i = 0; i < OPEN_TRIES && fd < 0; i++) {
		if (bpf_map_lookup_elem(maps->fd[side_outer(kind)], &side, &id))
			return -errno;
		fd = open_pinned(kind, side, id);
		if (fd >= 0)
			return fd;
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0) {
			/* It is gone, or may not be opened by id: a writer is about to finish. */
			fd = -errno;
			usleep(RETRY_US);
		}
	}
	if (fd >= 0 && maps->lock >= 0)
		pin(kind, side, fd);
	return fd == -ENOENT ? -ESTALE : fd;
}

int side_put(const struct maps *maps, enum side_map kind, uint32_t side, int fd)
{
	int rc = maps->lock >= 0 ? pin(kind, side, fd) : 0;

	if (rc)
		return rc;
	return bpf_map_update_elem(maps->fd[side_outer(kind)], &side, &fd, BPF_ANY) ? -errno : 0;
}

void side_clear(const struct maps *maps, uint32_t side)
{
	struct slot_write writes[SIDE_MAPS];
	char path[96];

	for (int kind = 0; kind < SIDE_MAPS; kind++)
		writes[kind] = (struct slot_write){ maps->fd[side_outer(kind)], side, -1, 0 };
	slots_write(writes, SIDE_MAPS);
	for (int kind = 0; kind < SIDE_MAPS && maps->lock >= 0; kind++) {
		side_path(path, sizeof(path), kind, side, "");
		unlink(path);
	}
}

/* ---- the maps of one side, open for writing ---- */

void side_init(struct side *side, uint32_t number)
{
	side->number = number;
	for (int kind = 0; kind < SIDE_MAPS; kind++)
		side->fd[kind] = -1;
}

void side_close(struct side *side)
{
	for (int kind = 0; kind < SIDE_MAPS; kind++)
		if (side->fd[kind] >= 0)
			close(side->fd[kind]);
}

int side_open_all(struct side *side, const struct maps *maps, char *err)
{
	for (int kind = 0; kind < SIDE_MAPS; kind++) {
		int fd;

		if (side_is_replaced(kind))
			continue;
		fd = side_open(maps, kind, side->number);
		if (fd < 0)
			return fail(err, -fd, "cannot open map %s of the settings in force: %s",
				    map_names[side_outer(kind)], strerror(-fd));
		side->fd[kind] = fd;
	}
	return 0;
}

int side_make_all(struct side *side, uint32_t hosts, char *err)
{
	for (int kind = 0; kind < SIDE_MAPS; kind++) {
		int fd;

		if (side_is_replaced(kind))
			continue;
		fd = side_create(kind, hosts);
		if (fd < 0)
			return fail(err, -fd, "cannot create map %s for the new settings: %s",
				    map_names[side_outer(kind)], strerror(-fd));
		side->fd[kind] = fd;
	}
	return 0;
}

static int fail_put(enum side_map kind, int rc, char *err)
{
	return fail(err, -rc, "cannot put map %s of the new settings into its place: %s",
		    map_names[side_outer(kind)], strerror(-rc));
}

int side_put_all(const struct side *side, const struct maps *maps, char *err)
{
	struct slot_write writes[SIDE_MAPS];
	enum side_map kinds_put[SIDE_MAPS];
	size_t count = 0;

	for (int kind = 0; kind < SIDE_MAPS; kind++) {
		int fd = side->fd[kind], rc = fd < 0 || maps->lock < 0 ? 0 : pin(kind, side->number, fd);

		if (rc)
			return fail_put(kind, rc, err);
		if (fd < 0)
			continue;
		kinds_put[count] = kind;
		writes[count++] = (struct slot_write){ maps->fd[side_outer(kind)], side->number, fd, 0 };
	}
	slots_write(writes, count);
	for (size_t i = 0; i < count; i++)
		if (writes[i].rc)
			return fail_put(kinds_put[i], writes[i].rc, err);
	return 0;
}

/* ---- the policy ---- */

/* A map with @policy in it. An fd, or -errno with @err. */
static int policy_map(const struct maps *maps, struct weir_policy *policy, char *err)
{
	int fd = side_create(SIDE_policy, 0), rc;
	__u32 zero = 0;

	if (fd < 0)
		return fail(err, -fd, "cannot create the map of the policy (limits and budgets): "
			    "%s", strerror(-fd));
	policy->generation++;
	policy->seed = maps->meta.seed;
	if (!bpf_map_update_elem(fd, &zero, policy, BPF_ANY))
		return fd;
	rc = fail(err, errno, "cannot write the policy (limits and budgets): %s", strerror(errno));
	close(fd);
	return rc;
}

int side_put_policy(const struct maps *maps, uint32_t side, struct weir_policy *policy, char *err)
{
	int fd = policy_map(maps, policy, err), rc;

	if (fd < 0)
		return fd;
	rc = side_put(maps, SIDE_policy, side, fd);
	close(fd);
	return rc ? fail(err, -rc, "cannot put the policy (limits and budgets) into force: %s",
			 strerror(-rc)) : 0;
}

/* ---- what is in them at first ---- */

static int fill_first(const struct maps *maps, struct side *side, char *err)
{
	struct weir_policy *policy = calloc(1, sizeof(*policy));
	int rc;

	if (!policy)
		return fail(err, ENOMEM, "out of memory: an empty policy takes %zu KiB",
			    sizeof(*policy) / 1024);
	rc = policy_compile(policy, err);
	if (!rc) {
		side->fd[SIDE_policy] = policy_map(maps, policy, err);
		rc = side->fd[SIDE_policy] < 0 ? side->fd[SIDE_policy] : 0;
	}
	free(policy);
	return rc;
}

int side_fill_first(const struct maps *maps, char *err)
{
	struct side side;
	int rc;

	side_init(&side, 0);
	rc = fill_first(maps, &side, err);
	if (!rc)
		rc = side_make_all(&side, 0, err);
	if (!rc)
		rc = side_put_all(&side, maps, err);
	side_close(&side);
	return rc;
}
