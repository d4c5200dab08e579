// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "user/model/error.h"
#include "user/state/datapath.h"
#include "user/state/maps.h"
#include "user/state/pins.h"
#include "user/state/sides.h"

const char *const map_names[MAP_COUNT] = {
#define M(name) [MAP_##name] = #name,
	WEIR_MAPS(M)
#undef M
};

/* ---- information on maps ---- */

int map_info(int fd, struct bpf_map_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &size) ? -errno : 0;
}

uint64_t maps_bytes(const struct maps *maps)
{
	unsigned long long bytes, sum = 0;
	char path[48], line[128];

	for (int i = 0; i < MAP_COUNT; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", maps->fd[i]);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "memlock: %llu", &bytes) == 1)
				sum += bytes;
		if (file)
			fclose(file);
	}
	return sum;
}

uint32_t map_id_of(int fd)
{
	struct bpf_map_info info;

	return map_info(fd, &info) ? 0 : info.id;
}

/* ---- opening ---- */

static void close_fds(struct maps *maps)
{
	for (int i = 0; i < MAP_COUNT; i++) {
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
		maps->fd[i] = -1;
	}
}

static void pin_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, WEIR_PIN_ROOT "/%s", name);
}

/* meta is opened first. -ENOENT with @err as it is: meta is not there, so there is no weir. */
static int open_pins(struct maps *maps, char *err)
{
	char path[64];

	for (int i = MAP_COUNT - 1; i >= 0; i--) {
		pin_path(path, sizeof(path), map_names[i]);
		maps->fd[i] = bpf_obj_get(path);
		if (maps->fd[i] >= 0)
			continue;
		if (errno == EACCES || errno == EPERM)
			return fail(err, EPERM, "cannot open %s: weir needs root", path);
		if (i == MAP_meta && errno == ENOENT)
			return -ENOENT;
		return fail(err, errno == ENOENT ? EIO : errno, "cannot open %s: %s", path,
			    strerror(errno));
	}
	return 0;
}

static int check_abi(struct maps *maps, char *err)
{
	__u32 zero = 0;

	if (bpf_map_lookup_elem(maps->fd[MAP_meta], &zero, &maps->meta) ||
	    maps->meta.magic != WEIR_MAGIC)
		return fail(err, EINVAL, WEIR_PIN_ROOT "/meta is not weir's; remove "
			    WEIR_PIN_ROOT " by hand if nothing else uses it");
	if (maps->meta.abi != WEIR_ABI)
		return fail(err, EPROTO, "the maps in " WEIR_PIN_ROOT " are of ABI %u, this weir "
			    "is of ABI %u: use the weir that made them, or save the settings with "
			    "that one and `detach all` first", maps->meta.abi, WEIR_ABI);
	return 0;
}

static int map_hints(struct maps *maps, char *err)
{
	void *hints = mmap(NULL, sizeof(*maps->hints), PROT_READ | PROT_WRITE, MAP_SHARED,
			   maps->fd[MAP_hints], 0);

	if (hints == MAP_FAILED)
		return fail(err, errno, "cannot map " WEIR_PIN_ROOT "/hints into memory: %s",
			    strerror(errno));
	maps->hints = hints;
	return 0;
}

/* ---- creating ---- */

/*
 * Only for tests, which cannot wait for the generations of the table of known sources: they last
 * 2^10 minutes.
 */
static unsigned int minute_shift(void)
{
	const char *shorter = getenv("WEIR_MINUTE_SHIFT");
	unsigned long shift = shorter ? strtoul(shorter, NULL, 10) : 0;

	return shift >= 20 && shift < WEIR_MINUTE_SHIFT ? shift : WEIR_MINUTE_SHIFT;
}

static int write_meta(struct maps *maps, char *err)
{
	__u32 zero = 0;

	maps->meta = (struct weir_meta){ .magic = WEIR_MAGIC, .abi = WEIR_ABI,
					 .created_unix_s = time(NULL),
					 .minute_shift = minute_shift() };
	if (getrandom(&maps->meta.seed, sizeof(maps->meta.seed), 0) != sizeof(maps->meta.seed))
		return fail(err, EIO, "cannot get random bytes for the hash seed");
	if (bpf_map_update_elem(maps->fd[MAP_meta], &zero, &maps->meta, BPF_ANY))
		return fail(err, errno, "cannot write map meta: %s", strerror(errno));
	return 0;
}

/* meta is pinned last: without it the folder is a creation that did not finish. */
static int fill_and_pin(struct maps *maps, char *err)
{
	char path[64];
	int rc = datapath_create_maps(maps, err);

	if (!rc)
		rc = write_meta(maps, err);
	if (!rc)
		rc = side_fill_first(maps, err);
	for (int i = 0; i < MAP_COUNT && !rc; i++) {
		pin_path(path, sizeof(path), map_names[i]);
		rc = pins_put(maps->fd[i], path);
		if (rc)
			fail(err, -rc, "cannot pin %s: %s", path, strerror(-rc));
	}
	return rc;
}

static int create_pins(struct maps *maps, char *err)
{
	char ignored[ERR_LEN];
	int rc = pins_clear(err);

	if (rc)
		return rc;
	rc = fill_and_pin(maps, err);
	if (rc)
		pins_remove(ignored);
	return rc;
}

/* ---- all of it ---- */

static int not_in_use(char *err)
{
	return fail(err, ENOENT,
		    "weir is not in use here: nothing is attached and nothing is set%s",
		    pins_are_mounted() ? "" : " (" BPFFS " is not mounted; `ip netns exec` hides "
					      "it, `nsenter --net=/run/netns/NAME` does not)");
}

static int lock(struct maps *maps, bool create, char *err)
{
	int fd = pins_lock(create, err);

	if (fd < 0)
		return fd;
	maps->lock = fd;
	return 0;
}

/* -ENOENT with @err as it is: nothing is pinned. */
static int open_or_create(struct maps *maps, enum maps_use use, char *err)
{
	int rc = use == MAPS_READ ? 0 : lock(maps, use == MAPS_CREATE, err);

	if (!rc)
		rc = open_pins(maps, err);
	if (rc == -ENOENT && use == MAPS_CREATE) {
		close_fds(maps);
		rc = create_pins(maps, err);
		maps->made = !rc;
	} else if (!rc) {
		rc = check_abi(maps, err);
	}
	return rc ? rc : map_hints(maps, err);
}

int maps_open(struct maps *maps, enum maps_use use, char *err)
{
	int rc;

	*maps = (struct maps){ .lock = -1 };
	for (int i = 0; i < MAP_COUNT; i++)
		maps->fd[i] = -1;
	if (use == MAPS_CREATE) {
		rc = pins_mount(err);
		if (rc)
			return rc;
	}
	rc = open_or_create(maps, use, err);
	if (rc == -ENOENT && use != MAPS_CREATE)
		not_in_use(err);
	if (rc)
		maps_close(maps);
	return rc;
}

void maps_close(struct maps *maps)
{
	if (maps->hints)
		munmap(maps->hints, sizeof(*maps->hints));
	maps->hints = NULL;
	close_fds(maps);
	maps_unlock(maps);
}

int maps_lock(struct maps *maps, char *err)
{
	int rc = lock(maps, false, err);

	return rc == -ENOENT ? fail(err, ENOENT, "weir was detached just now, so there is nothing "
				    "to change") : rc;
}

void maps_unlock(struct maps *maps)
{
	if (maps->lock >= 0)
		close(maps->lock);
	maps->lock = -1;
}

bool maps_are_current(const struct maps *maps)
{
	int fd = bpf_obj_get(WEIR_PIN_ROOT "/meta");
	struct weir_meta meta = { 0 };
	__u32 zero = 0;

	if (fd < 0)
		return false;
	if (bpf_map_lookup_elem(fd, &zero, &meta))
		meta.seed = 0;
	close(fd);
	return meta.seed == maps->meta.seed;
}

int maps_unpin(char *err)
{
	return pins_remove(err);
}
