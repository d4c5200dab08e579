// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "bpf/pure/blockset.h"
#include "user/model/blockset.h"
#include "user/state/datapath.h"
#include "user/model/error.h"
#include "user/state/maps.h"
#include "user/model/policy.h"
#include "user/model/units.h"

#define BPFFS		"/sys/fs/bpf"
#define LOCK_WAIT_MS	10000
#define SIDES		WEIR_PIN_ROOT "/sides"
#define INNER_TRIES	50
#define HOSTS_LEAST	4096
#define SERVICE_GROUP	"weir"
#define SYSTEM_GROUPS	1000	/* below this: not people's */

const char *const map_names[MAP_COUNT] = {
#define M(name) [MAP_##name] = #name,
	WEIR_MAPS(M)
#undef M
};

/* ---- the file system that the pins live in ---- */

static bool is_bpffs(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && (uint32_t)fs.f_type == BPF_FS_MAGIC;
}

/*
 * In a mount namespace of a command's own, what we mount would end with the
 * command. Told by the numbers of mounts, which a new namespace has all new:
 * /proc/1/ns/mnt is hidden from root in some containers.
 */
static bool in_own_mount_namespace(void)
{
	FILE *self = fopen("/proc/self/mountinfo", "re"), *init = fopen("/proc/1/mountinfo", "re");
	unsigned int ours, each;
	bool shared = false, known;

	known = self && init && fscanf(self, "%u%*[^\n]", &ours) == 1;
	while (known && !shared && fscanf(init, "%u%*[^\n]", &each) == 1)
		shared = each == ours;
	if (self)
		fclose(self);
	if (init)
		fclose(init);
	return known && !shared;
}

static int mount_bpffs(char *err)
{
	if (is_bpffs())
		return 0;
	if (in_own_mount_namespace())
		return fail(err, ENOENT, BPFFS " is not mounted in this mount namespace, and pins "
			    "made here would be lost (`ip netns exec` hides it: use "
			    "`nsenter --net=/run/netns/NAME`)");
	if (mkdir(BPFFS, 0700) && errno != EEXIST)
		return fail(err, errno, "cannot make " BPFFS ": %s", strerror(errno));
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return fail(err, errno, "cannot mount bpffs on " BPFFS ": %s%s", strerror(errno),
			    errno == EPERM ? " (weir needs root)" : "");
	return 0;
}

/* Where bpffs is open to all, anybody could have made the folder before us. */
static int check_owner(int fd, char *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(err, errno, "cannot stat " WEIR_PIN_ROOT ": %s", strerror(errno));
	if (st.st_uid && st.st_uid != geteuid())
		return fail(err, EPERM, WEIR_PIN_ROOT " belongs to user %u, not to you: remove it "
			    "by hand if that is not meant", st.st_uid);
	return 0;
}

/*
 * Where the system has a group for the daemon, it may use the maps: then the
 * daemon need not be root. A group of people is not meant, whatever its name.
 */
static void open_to_group(const char *path)
{
	const struct group *group = getgrnam(SERVICE_GROUP);

	if (!group || group->gr_gid >= SYSTEM_GROUPS || geteuid())
		return;
	if (!chown(path, -1, group->gr_gid))
		chmod(path, 02770);
}

static bool is_open_to_group(void)
{
	struct stat st;

	return !stat(WEIR_PIN_ROOT, &st) && st.st_mode & S_IWGRP;
}

/* Whether @fd is still the folder of that name: the last writer may have removed it. */
static bool is_pin_root(int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(WEIR_PIN_ROOT, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

/*
 * One writer at a time, by a lock on the folder of the pins, which only root and
 * the daemon can open. @create: make the folder first. -ENOENT with an empty @err: there is none.
 */
static int take_lock(struct maps *maps, bool create, char *err)
{
	for (int waited = 0; waited < LOCK_WAIT_MS; waited += 20) {
		if (create && !mkdir(WEIR_PIN_ROOT, 0700))
			open_to_group(WEIR_PIN_ROOT);
		else if (create && errno != EEXIST)
			return fail(err, errno, "cannot make " WEIR_PIN_ROOT ": %s%s",
				    strerror(errno), errno == EACCES || errno == EPERM ?
				    " (weir needs root)" : "");
		maps->lock = open(WEIR_PIN_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (maps->lock < 0 && errno == ENOENT) {
			if (!create)
				return -ENOENT;
			continue;	/* the last writer was removing it */
		}
		if (maps->lock < 0)
			return fail(err, errno, "cannot open " WEIR_PIN_ROOT ": %s%s",
				    strerror(errno), errno == EACCES ? " (weir needs root)" : "");
		if (check_owner(maps->lock, err))
			return -EPERM;
		if (!flock(maps->lock, LOCK_EX | LOCK_NB) && is_pin_root(maps->lock))
			return 0;
		close(maps->lock);
		maps->lock = -1;
		usleep(20000);
	}
	return fail(err, EBUSY, "another weir command has been writing for %d s; "
		    "`fuser -v " WEIR_PIN_ROOT "` names it", LOCK_WAIT_MS / 1000);
}

/* ---- pins ---- */

static void pin_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, WEIR_PIN_ROOT "/%s", name);
}

/* The group comes from the folder. */
int maps_pin(int fd, const char *path)
{
	if (bpf_obj_pin(fd, path))
		return -errno;
	return is_open_to_group() && chmod(path, 0660) ? -errno : 0;
}

int maps_make_folder(const char *path)
{
	if (mkdir(path, 0700))
		return errno == EEXIST ? 0 : -errno;
	return is_open_to_group() && chmod(path, 02770) ? -errno : 0;
}

static void close_fds(struct maps *maps)
{
	for (int i = 0; i < MAP_COUNT; i++) {
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
		maps->fd[i] = -1;
	}
}

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
	size_t size = round_to_pages(sizeof(*maps->hints));

	maps->hints = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, maps->fd[MAP_hints], 0);
	if (maps->hints != MAP_FAILED)
		return 0;
	maps->hints = NULL;
	return fail(err, errno, "cannot map " WEIR_PIN_ROOT "/hints: %s", strerror(errno));
}

/* Small where little is in it: it is then more often in the caches. And room to grow. */
static uint32_t room_for(uint32_t hosts)
{
	uint32_t room = HOSTS_LEAST;

	while (room < WEIR_ENTRIES && room / 2 < hosts)
		room *= 2;
	return room;
}

int maps_create_inner(enum map_id outer, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	switch (outer) {
	case MAP_allow:
	case MAP_block:
		opts.map_flags = BPF_F_NO_PREALLOC;
		return bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "weir_entries",
				      sizeof(struct weir_prefix), sizeof(struct weir_entry),
				      WEIR_ENTRIES, &opts);
	case MAP_hosts:
		opts.map_flags = BPF_F_NO_PREALLOC;
		return bpf_map_create(BPF_MAP_TYPE_HASH, "weir_hosts", sizeof(__u64),
				      sizeof(struct weir_entry), room_for(entries), &opts);
	case MAP_scopes:
		opts.map_flags = BPF_F_NO_PREALLOC;
		return bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "weir_scopes",
				      sizeof(struct weir_prefix), sizeof(__u32), WEIR_SCOPES, &opts);
	case MAP_policy:
		opts.map_flags = BPF_F_MMAPABLE;
		return bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_policy", sizeof(__u32),
				      sizeof(struct weir_policy), 1, &opts);
	case MAP_blockset:
		opts.map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP;
		return bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_set", sizeof(__u32),
				      sizeof(struct weir_line), entries, &opts);
	default:
		return -EINVAL;
	}
}

/* ---- inner maps ---- */

/*
 * They are pinned too, by who holds the lock: whoever is not root may open a pin but no number. The pin
 * is changed first; where it is not what the outer map has, the number decides.
 */
static void side_path(char *path, size_t size, enum map_id outer, uint32_t side, const char *more)
{
	snprintf(path, size, SIDES "/%s-%u%s", map_names[outer], side, more);
}

static int pin_inner(enum map_id outer, uint32_t side, int fd)
{
	char path[96], aside[96];
	int rc = maps_make_folder(SIDES);

	side_path(path, sizeof(path), outer, side, "");
	side_path(aside, sizeof(aside), outer, side, "-next");
	unlink(aside);
	if (!rc)
		rc = maps_pin(fd, aside);
	if (!rc && rename(aside, path))
		rc = -errno;
	return rc;
}

static int open_pinned_inner(enum map_id outer, uint32_t side, uint32_t id)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	char path[96];
	int fd;

	side_path(path, sizeof(path), outer, side, "");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.id == id)
		return fd;
	close(fd);
	return -ESTALE;
}

/* An fd of what stands in the outer map's slot for @side, or -errno. */
int maps_open_inner(const struct maps *maps, enum map_id outer, uint32_t side)
{
	int fd = -ENOENT;
	__u32 id;

	for (int i = 0; i < INNER_TRIES && fd < 0; i++) {
		if (bpf_map_lookup_elem(maps->fd[outer], &side, &id))
			return -errno;
		fd = open_pinned_inner(outer, side, id);
		if (fd >= 0)
			return fd;
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0) {	/* gone, or not ours to ask for: the writer is about to finish */
			fd = -errno;
			usleep(2000);
		}
	}
	if (fd >= 0 && maps->lock >= 0)
		pin_inner(outer, side, fd);
	return fd;
}

int maps_put_inner(const struct maps *maps, enum map_id outer, uint32_t side, int fd)
{
	int rc = maps->lock >= 0 ? pin_inner(outer, side, fd) : 0;

	if (rc)
		return rc;
	return bpf_map_update_elem(maps->fd[outer], &side, &fd, BPF_ANY) ? -errno : 0;
}

void maps_remove_inner(const struct maps *maps, enum map_id outer, uint32_t side)
{
	char path[96];

	bpf_map_delete_elem(maps->fd[outer], &side);
	if (maps->lock < 0)
		return;
	side_path(path, sizeof(path), outer, side, "");
	unlink(path);
}

int maps_put_policy(const struct maps *maps, uint32_t side, struct weir_policy *policy, char *err)
{
	int fd = maps_create_inner(MAP_policy, 0), rc = 0;
	__u32 zero = 0;

	if (fd < 0)
		return fail(err, errno, "cannot create the policy map: %s", strerror(errno));
	policy->generation++;
	policy->seed = maps->meta.seed;
	if (bpf_map_update_elem(fd, &zero, policy, BPF_ANY))
		rc = -errno;
	if (!rc)
		rc = maps_put_inner(maps, MAP_policy, side, fd);
	close(fd);
	return rc ? fail(err, -rc, "cannot write the policy: %s", strerror(-rc)) : 0;
}

/* No entries and an empty policy on side 0: what a fresh weir starts with. */
static int fill_first_side(const struct maps *maps, char *err)
{
	static const enum map_id empty[] = { MAP_allow, MAP_block, MAP_hosts, MAP_scopes };
	struct weir_policy *policy = calloc(1, sizeof(*policy));
	int rc = policy ? policy_compile(policy, err) : -ENOMEM;

	for (size_t i = 0; i < sizeof(empty) / sizeof(*empty) && !rc; i++) {
		int fd = maps_create_inner(empty[i], 0);

		rc = fd < 0 ? -errno : maps_put_inner(maps, empty[i], 0, fd);
		if (rc)
			fail(err, -rc, "cannot create map %s: %s", map_names[empty[i]], strerror(-rc));
		if (fd >= 0)
			close(fd);
	}
	if (!rc)
		rc = maps_put_policy(maps, 0, policy, err);
	free(policy);
	return rc;
}

static int write_meta(struct maps *maps, char *err)
{
	__u32 zero = 0;

	maps->meta = (struct weir_meta){ .magic = WEIR_MAGIC, .abi = WEIR_ABI,
					 .created_unix_s = time(NULL) };
	if (getrandom(&maps->meta.seed, sizeof(maps->meta.seed), 0) != sizeof(maps->meta.seed))
		return fail(err, EIO, "cannot get random bytes for the hash seed");
	if (bpf_map_update_elem(maps->fd[MAP_meta], &zero, &maps->meta, BPF_ANY))
		return fail(err, errno, "cannot write map meta: %s", strerror(errno));
	return 0;
}

/* Everything under @path; bpffs holds nothing but pins and folders. */
static int empty_tree(const char *path, char *err)
{
	char below[PATH_MAX];
	struct dirent *each;
	DIR *dir = opendir(path);
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : fail(err, errno, "cannot open %s: %s", path,
						  strerror(errno));
	while (!rc && (each = readdir(dir))) {
		if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, each->d_name);
		if (each->d_type == DT_DIR)
			rc = empty_tree(below, err);
		if (!rc && remove(below))
			rc = fail(err, errno, "cannot remove %s: %s", below, strerror(errno));
	}
	closedir(dir);
	return rc;
}

/*
 * meta first: from then on the rest is a creation that did not finish. The
 * folder goes last, and with it the lock.
 */
static int remove_pins(char *err)
{
	if (unlink(WEIR_PIN_ROOT "/meta") && errno != ENOENT)
		return fail(err, errno, "cannot remove " WEIR_PIN_ROOT "/meta: %s", strerror(errno));
	if (empty_tree(WEIR_PIN_ROOT, err))
		return -EIO;
	if (rmdir(WEIR_PIN_ROOT) && errno != ENOENT)
		return fail(err, errno, "cannot remove " WEIR_PIN_ROOT ": %s", strerror(errno));
	return 0;
}

/* meta is pinned last: without it the folder is a creation that did not finish. */
static int create_pins(struct maps *maps, char *err)
{
	char path[64];
	int rc;

	rc = empty_tree(WEIR_PIN_ROOT, err);
	if (rc)
		return rc;
	rc = datapath_create_maps(maps, err);
	if (!rc)
		rc = write_meta(maps, err);
	if (!rc)
		rc = fill_first_side(maps, err);
	for (int i = 0; i < MAP_COUNT && !rc; i++) {
		pin_path(path, sizeof(path), map_names[i]);
		rc = maps_pin(maps->fd[i], path);
		if (rc)
			fail(err, -rc, "cannot pin %s: %s", path, strerror(-rc));
	}
	if (rc) {
		char ignored[ERR_LEN];

		remove_pins(ignored);
	}
	return rc;
}

int maps_open(struct maps *maps, enum maps_use use, char *err)
{
	int rc = 0;

	*maps = (struct maps){ .lock = -1 };
	for (int i = 0; i < MAP_COUNT; i++)
		maps->fd[i] = -1;
	err[0] = '\0';
	if (use == MAPS_CREATE)
		rc = mount_bpffs(err);
	if (!rc && use != MAPS_READ)
		rc = take_lock(maps, use == MAPS_CREATE, err);
	if (!rc)
		rc = open_pins(maps, err);
	if (rc == -ENOENT && use == MAPS_CREATE && !err[0]) {
		close_fds(maps);
		rc = create_pins(maps, err);
		maps->made = !rc;
	} else if (!rc) {
		rc = check_abi(maps, err);
	}
	if (!rc)
		rc = map_hints(maps, err);
	if (rc == -ENOENT && !err[0])
		fail(err, ENOENT, "weir is not in use here: nothing is attached and nothing is set%s",
		     is_bpffs() ? "" : " (" BPFFS " is not mounted; `ip netns exec` hides it, "
				       "`nsenter --net=/run/netns/NAME` does not)");
	if (rc)
		maps_close(maps);
	return rc;
}

void maps_close(struct maps *maps)
{
	if (maps->hints)
		munmap(maps->hints, round_to_pages(sizeof(*maps->hints)));
	maps->hints = NULL;
	close_fds(maps);
	maps_unlock(maps);
}

int maps_lock(struct maps *maps, char *err)
{
	int rc = take_lock(maps, false, err);

	return rc == -ENOENT ? fail(err, ENOENT, "weir was detached just now") : rc;
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

int maps_unpin(struct maps *maps, char *err)
{
	(void)maps;
	return remove_pins(err);
}
