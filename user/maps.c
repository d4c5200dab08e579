// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

#include "bpf/blockset.h"
#include "user/blockset.h"
#include "user/datapath.h"
#include "user/error.h"
#include "user/maps.h"
#include "user/policy.h"

#define BPFFS		"/sys/fs/bpf"
#define LOCK_WAIT_MS	10000
#define BUCKET_BATCH	4096

const char *const map_names[MAP_COUNT] = {
#define M(name) [MAP_##name] = #name,
	WEIR_MAPS(M)
#undef M
};

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

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
	if (st.st_uid != geteuid())
		return fail(err, EPERM, WEIR_PIN_ROOT " belongs to user %u, not to you: remove it "
			    "by hand if that is not meant", st.st_uid);
	return 0;
}

/* Whether @fd is still the folder of that name: the last writer may have removed it. */
static bool is_pin_root(int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(WEIR_PIN_ROOT, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

/*
 * One writer at a time, by a lock on the folder of the pins, which only root can
 * open. @create: make the folder first. -ENOENT with an empty @err: there is none.
 */
static int take_lock(struct maps *maps, bool create, char *err)
{
	for (int waited = 0; waited < LOCK_WAIT_MS; waited += 20) {
		if (create && mkdir(WEIR_PIN_ROOT, 0700) && errno != EEXIST)
			return fail(err, errno, "cannot make " WEIR_PIN_ROOT ": %s%s",
				    strerror(errno), errno == EACCES || errno == EPERM ?
				    " (weir needs root)" : "");
		maps->lock = open(WEIR_PIN_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (maps->lock < 0 && errno == ENOENT && !create)
			return -ENOENT;
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
	size_t size = (sizeof(*maps->hints) + 4095) & ~4095UL;

	maps->hints = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, maps->fd[MAP_hints], 0);
	if (maps->hints != MAP_FAILED)
		return 0;
	maps->hints = NULL;
	return fail(err, errno, "cannot map " WEIR_PIN_ROOT "/hints: %s", strerror(errno));
}

/* Entry limit 0 takes the array's own meaning: one element. */
static int create_inner(enum map_id outer, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	switch (outer) {
	case MAP_allow:
	case MAP_block:
		opts.map_flags = BPF_F_NO_PREALLOC;
		return bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "weir_entries",
				      sizeof(struct weir_prefix), sizeof(struct weir_entry),
				      WEIR_ENTRIES, &opts);
	case MAP_scopes:
		opts.map_flags = BPF_F_NO_PREALLOC;
		return bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "weir_scopes",
				      sizeof(struct weir_prefix), sizeof(__u32), WEIR_SCOPES, &opts);
	case MAP_policy:
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

/* An fd of what stands in the outer map's slot for @side, or -errno. */
static int open_inner(const struct maps *maps, enum map_id outer, uint32_t side)
{
	__u32 id;
	int fd;

	if (bpf_map_lookup_elem(maps->fd[outer], &side, &id))
		return -errno;
	fd = bpf_map_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}

static int put_inner(const struct maps *maps, enum map_id outer, uint32_t side, int fd)
{
	return bpf_map_update_elem(maps->fd[outer], &side, &fd, BPF_ANY) ? -errno : 0;
}

static int put_policy(const struct maps *maps, uint32_t side, struct weir_policy *policy, char *err)
{
	int fd = create_inner(MAP_policy, 0), rc = 0;
	__u32 zero = 0;

	if (fd < 0)
		return fail(err, errno, "cannot create the policy map: %s", strerror(errno));
	policy->generation++;
	policy->seed = maps->meta.seed;
	if (bpf_map_update_elem(fd, &zero, policy, BPF_ANY))
		rc = -errno;
	if (!rc)
		rc = put_inner(maps, MAP_policy, side, fd);
	close(fd);
	return rc ? fail(err, -rc, "cannot write the policy: %s", strerror(-rc)) : 0;
}

/* Empty tries and an empty policy on side 0: what a fresh weir starts with. */
static int fill_first_side(const struct maps *maps, char *err)
{
	static const enum map_id tries[] = { MAP_allow, MAP_block, MAP_scopes };
	struct weir_policy *policy = calloc(1, sizeof(*policy));
	int rc = policy ? policy_compile(policy, err) : -ENOMEM;

	for (size_t i = 0; i < 3 && !rc; i++) {
		int fd = create_inner(tries[i], 0);

		rc = fd < 0 ? -errno : put_inner(maps, tries[i], 0, fd);
		if (rc)
			fail(err, -rc, "cannot create map %s: %s", map_names[tries[i]], strerror(-rc));
		if (fd >= 0)
			close(fd);
	}
	if (!rc)
		rc = put_policy(maps, 0, policy, err);
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
		if (bpf_obj_pin(maps->fd[i], path))
			rc = fail(err, errno, "cannot pin %s: %s", path, strerror(errno));
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
		munmap(maps->hints, (sizeof(*maps->hints) + 4095) & ~4095UL);
	maps->hints = NULL;
	close_fds(maps);
	if (maps->lock >= 0)
		close(maps->lock);
	maps->lock = -1;
}

int maps_unpin(struct maps *maps, char *err)
{
	(void)maps;
	return remove_pins(err);
}

/* ---- settings: reading ---- */

static int read_entries(const struct maps *maps, enum map_id which, struct entries *entries,
			char *err)
{
	struct weir_prefix keys[256];
	struct weir_entry values[256];
	struct weir_prefix position;
	int fd = open_inner(maps, which, maps->hints->side), rc = 0;
	bool more = true, first = true;

	if (fd < 0)
		return fail(err, -fd, "cannot open map %s: %s", map_names[which], strerror(-fd));
	while (more && !rc) {
		__u32 count = 256;

		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, keys, values,
					 &count, NULL)) {
			if (errno != ENOENT) {
				rc = fail(err, errno, "cannot read map %s: %s", map_names[which],
					  strerror(errno));
				break;
			}
			more = false;
		}
		first = false;
		for (__u32 i = 0; i < count && !rc; i++) {
			struct prefix prefix;

			prefix_from_key(&keys[i], &prefix);
			rc = entries_append(entries, &prefix, &values[i]);
		}
	}
	close(fd);
	if (!rc)
		entries_sort(entries);
	return rc;
}

int maps_read_settings(const struct maps *maps, struct settings *settings, char *err)
{
	__u32 zero = 0;
	int fd, rc;

	rc = settings_init(settings);
	if (rc)
		return fail(err, -rc, "out of memory");
	fd = open_inner(maps, MAP_policy, maps->hints->side);
	if (fd < 0)
		rc = fail(err, -fd, "cannot open the policy: %s", strerror(-fd));
	else if (bpf_map_lookup_elem(fd, &zero, settings->policy))
		rc = fail(err, errno, "cannot read the policy: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!rc)
		rc = read_entries(maps, MAP_allow, &settings->allow, err);
	if (!rc)
		rc = read_entries(maps, MAP_block, &settings->block, err);
	if (rc)
		settings_free(settings);
	return rc;
}

/* ---- settings: writing ---- */

/* Sets @bit for everything that @prefix touches. */
static void hint_prefix(struct weir_hints *hints, const struct prefix *prefix, uint8_t bit)
{
	uint64_t first, count;

	if (prefix->length >= 96 && prefix_is_v4(prefix)) {
		first = prefix->lo >> 16 & 0xffff;
		count = prefix->length >= 112 ? 1 : 1ULL << (112 - prefix->length);
		for (uint64_t i = 0; i < count; i++)
			hints->v4[first + i] |= bit;
		return;
	}
	if (prefix->length == 0)
		for (uint64_t i = 0; i < 65536; i++)
			hints->v4[i] |= bit;
	first = prefix->hi >> 32;
	count = prefix->length >= 32 ? 1 : 1ULL << (32 - prefix->length);
	if (count >= 65536) {
		for (uint64_t i = 0; i < 65536; i++)
			hints->v6[i] |= bit;
		return;
	}
	for (uint64_t i = 0; i < count; i++)
		hints->v6[weir_hint_v6(first + i) & 0xffff] |= bit;
}

static void hint_settings(struct weir_hints *hints, const struct settings *settings)
{
	const struct weir_policy *policy = settings->policy;

	for (size_t i = 0; i < settings->allow.count; i++)
		hint_prefix(hints, &settings->allow.at[i].prefix, WEIR_HINT_ALLOW);
	for (size_t i = 0; i < settings->block.count; i++)
		hint_prefix(hints, &settings->block.at[i].prefix, WEIR_HINT_BLOCK);
	for (uint32_t row = 1; row < policy->scopes; row++) {
		struct prefix prefix;

		if (policy->scope[row].prefixlen > 128)
			continue;
		prefix_from_key(&policy->scope[row], &prefix);
		hint_prefix(hints, &prefix, WEIR_HINT_SCOPE);
	}
}

/* Bits may be set too early but never too late: first add, in the end take away. */
static void add_hints(struct weir_hints *live, const struct weir_hints *wanted)
{
	for (uint32_t i = 0; i < 65536; i++) {
		if (wanted->v4[i] & ~live->v4[i])
			live->v4[i] |= wanted->v4[i];
		if (wanted->v6[i] & ~live->v6[i])
			live->v6[i] |= wanted->v6[i];
	}
}

static void trim_hints(struct weir_hints *live, const struct weir_hints *wanted, uint8_t keep)
{
	for (uint32_t i = 0; i < 65536; i++) {
		uint8_t v4 = (live->v4[i] & keep) | wanted->v4[i];
		uint8_t v6 = (live->v6[i] & keep) | wanted->v6[i];

		if (live->v4[i] != v4)
			live->v4[i] = v4;
		if (live->v6[i] != v6)
			live->v6[i] = v6;
	}
}

static int put_entry(int fd, const struct entry *entry)
{
	struct weir_prefix key;

	prefix_to_key(&entry->prefix, &key);
	return bpf_map_update_elem(fd, &key, &entry->value, BPF_ANY) ? -errno : 0;
}

static int drop_entry(int fd, const struct entry *entry)
{
	struct weir_prefix key;

	prefix_to_key(&entry->prefix, &key);
	return bpf_map_delete_elem(fd, &key) && errno != ENOENT ? -errno : 0;
}

/* Both are sorted: one walk finds what is new, changed or gone. */
static int write_entries(int fd, const struct entries *was, const struct entries *is)
{
	size_t w = 0, i = 0;
	int rc = 0;

	while ((w < was->count || i < is->count) && !rc) {
		int order = w == was->count ? 1 : i == is->count ? -1 :
			    prefix_cmp(&was->at[w].prefix, &is->at[i].prefix);

		if (order < 0) {
			rc = drop_entry(fd, &was->at[w++]);
		} else if (order > 0) {
			rc = put_entry(fd, &is->at[i++]);
		} else {
			if (memcmp(&was->at[w].value, &is->at[i].value, sizeof(was->at[w].value)))
				rc = put_entry(fd, &is->at[i]);
			w++;
			i++;
		}
	}
	return rc;
}

/* Rows of @from that @other lacks or has elsewhere. @put: write them, else remove. */
static int write_scopes(int fd, const struct weir_policy *from, const struct weir_policy *other,
			bool put)
{
	for (__u32 row = 1; row < from->scopes; row++) {
		const struct weir_prefix *key = &from->scope[row];
		int rc;

		if (key->prefixlen > 128)
			continue;
		if (row < other->scopes && !memcmp(key, &other->scope[row], sizeof(*key)))
			continue;
		rc = put ? bpf_map_update_elem(fd, key, &row, BPF_ANY) : bpf_map_delete_elem(fd, key);
		if (rc && !(errno == ENOENT && !put))
			return -errno;
	}
	return 0;
}

static bool same_policy(const struct weir_policy *a, const struct weir_policy *b)
{
	return !memcmp(a->limit, b->limit, sizeof(a->limit)) &&
	       !memcmp(a->spec, b->spec, sizeof(a->spec));
}

/* What the tries and the policy of one side are, opened. */
struct side {
	uint32_t number;
	int allow, block, scopes;
};

static void close_side(struct side *side)
{
	int *fds[] = { &side->allow, &side->block, &side->scopes };

	for (size_t i = 0; i < 3; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

static int write_side(const struct maps *maps, const struct side *side,
		      const struct settings *was, struct settings *is, bool new_policy, char *err)
{
	int rc;

	rc = write_entries(side->allow, &was->allow, &is->allow);
	if (rc)
		return fail(err, -rc, "cannot write the allow list: %s", strerror(-rc));
	rc = write_entries(side->block, &was->block, &is->block);
	if (rc)
		return fail(err, -rc, "cannot write the block entries: %s", strerror(-rc));
	if (!new_policy)
		return 0;
	rc = write_scopes(side->scopes, was->policy, is->policy, false);
	if (!rc)
		rc = put_policy(maps, side->number, is->policy, err);
	if (!rc)
		rc = write_scopes(side->scopes, is->policy, was->policy, true);
	return rc ? fail(err, -rc, "cannot write the limits: %s", strerror(-rc)) : 0;
}

static int write_in_place(const struct maps *maps, const struct settings *was, struct settings *is,
			  char *err)
{
	uint32_t number = maps->hints->side;
	struct side side = { number, open_inner(maps, MAP_allow, number),
			     open_inner(maps, MAP_block, number),
			     open_inner(maps, MAP_scopes, number) };
	bool new_policy = !same_policy(was->policy, is->policy);
	char ignored[ERR_LEN];
	struct settings back;
	int rc;

	if (side.allow < 0 || side.block < 0 || side.scopes < 0) {
		close_side(&side);
		return fail(err, EIO, "cannot open the maps of the side in force");
	}
	rc = write_side(maps, &side, was, is, new_policy, err);
	if (rc && !settings_copy(&back, was)) {
		write_side(maps, &side, is, &back, new_policy, ignored);
		settings_free(&back);
	}
	close_side(&side);
	return rc;
}

/* An outer map's update returns only when no packet still sees what was there before. */
static int wait_for_packets(const struct maps *maps, uint32_t side)
{
	int fd = open_inner(maps, MAP_policy, side), rc;

	if (fd < 0)
		return fd;
	rc = put_inner(maps, MAP_policy, side, fd);
	close(fd);
	return rc;
}

static int share_blockset(const struct maps *maps, uint32_t from, uint32_t to)
{
	int fd = open_inner(maps, MAP_blockset, from), rc;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	rc = put_inner(maps, MAP_blockset, to, fd);
	close(fd);
	return rc;
}

static void clear_side(const struct maps *maps, uint32_t side)
{
	static const enum map_id outer[] = { MAP_allow, MAP_block, MAP_scopes, MAP_policy,
					     MAP_blockset };

	for (size_t i = 0; i < sizeof(outer) / sizeof(*outer); i++)
		bpf_map_delete_elem(maps->fd[outer[i]], &side);
}

static int write_other_side(const struct maps *maps, struct settings *is, int set_fd, char *err)
{
	uint32_t old = maps->hints->side, number = !old;
	struct side side = { number, create_inner(MAP_allow, 0), create_inner(MAP_block, 0),
			     create_inner(MAP_scopes, 0) };
	struct settings nothing;
	int rc = settings_init(&nothing);

	if (!rc && (side.allow < 0 || side.block < 0 || side.scopes < 0))
		rc = fail(err, ENOMEM, "cannot create the maps of the other side");
	if (!rc)
		rc = write_side(maps, &side, &nothing, is, true, err);
	if (!rc)
		rc = put_inner(maps, MAP_allow, number, side.allow);
	if (!rc)
		rc = put_inner(maps, MAP_block, number, side.block);
	if (!rc)
		rc = put_inner(maps, MAP_scopes, number, side.scopes);
	if (!rc)
		rc = set_fd >= 0 ? put_inner(maps, MAP_blockset, number, set_fd) :
				   share_blockset(maps, old, number);
	if (!rc) {
		__atomic_store_n(&maps->hints->side, number, __ATOMIC_RELEASE);
		wait_for_packets(maps, number);
		clear_side(maps, old);
	} else {
		clear_side(maps, number);
		if (!err[0])
			fail(err, -rc, "cannot fill the other side: %s", strerror(-rc));
	}
	settings_free(&nothing);
	close_side(&side);
	return rc;
}

static int write_hinted(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, int set_fd, char *err)
{
	struct weir_hints *wanted = calloc(1, sizeof(*wanted));
	int rc;

	if (!wanted)
		return fail(err, ENOMEM, "out of memory");
	entries_resolve(&is->allow);
	entries_resolve(&is->block);
	hint_settings(wanted, is);
	add_hints(maps->hints, wanted);
	err[0] = '\0';
	rc = at_once ? write_other_side(maps, is, set_fd, err) : write_in_place(maps, was, is, err);
	if (rc) {
		memset(wanted, 0, sizeof(*wanted));
		hint_settings(wanted, was);
	}
	trim_hints(maps->hints, wanted, WEIR_HINT_SET);
	free(wanted);
	return rc;
}

/* A source's row is in a trie, and what the row says in the policy: two writes, if in place. */
static bool same_scopes(const struct weir_policy *a, const struct weir_policy *b)
{
	return a->scopes == b->scopes && !memcmp(a->scope, b->scope, sizeof(a->scope));
}

int maps_write_settings(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, char *err)
{
	return write_hinted(maps, was, is, at_once || !same_scopes(was->policy, is->policy), -1, err);
}

int maps_replace_settings(struct maps *maps, const struct settings *was, struct settings *is,
			  int set_fd, char *err)
{
	return write_hinted(maps, was, is, true, set_fd, err);
}

/* ---- the block set ---- */

uint64_t maps_set_generation(const struct maps *maps)
{
	int fd = open_inner(maps, MAP_blockset, maps->hints->side);
	struct weir_line head;
	__u32 zero = 0;

	if (fd < 0)
		return 0;
	if (bpf_map_lookup_elem(fd, &zero, &head))
		head.word[WEIR_SET_GENERATION] = 0;
	close(fd);
	return head.word[WEIR_SET_GENERATION];
}

int maps_put_set(const struct maps *maps, int set_fd)
{
	return put_inner(maps, MAP_blockset, maps->hints->side, set_fd);
}

void maps_hint_set(const struct maps *maps, const struct prefixes *set, bool only_add)
{
	struct weir_hints *wanted = calloc(1, sizeof(*wanted));

	if (!wanted) {	/* every packet looks: slower, and right */
		memset(maps->hints->v4, 0xff, sizeof(maps->hints->v4));
		memset(maps->hints->v6, 0xff, sizeof(maps->hints->v6));
		return;
	}
	for (size_t i = 0; i < prefixes_count(set); i++) {
		struct prefix prefix = prefixes_at(set, i);

		hint_prefix(wanted, &prefix, WEIR_HINT_SET);
	}
	add_hints(maps->hints, wanted);
	if (!only_add)
		trim_hints(maps->hints, wanted, (uint8_t)~WEIR_HINT_SET);
	free(wanted);
}

int maps_set_has(const struct maps *maps, const struct prefix *address)
{
	int fd = open_inner(maps, MAP_blockset, maps->hints->side), has = 0;
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	size_t bytes;
	void *lines;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size)) {
		has = -errno;
	} else {
		bytes = ((size_t)info.max_entries * sizeof(struct weir_line) + 4095) & ~4095UL;
		lines = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		has = lines == MAP_FAILED ? -errno :
					    blockset_has(lines, info.max_entries, address);
		if (lines != MAP_FAILED)
			munmap(lines, bytes);
	}
	close(fd);
	return has;
}

/* ---- devices and counters ---- */

int maps_read_device(const struct maps *maps, uint32_t slot, struct weir_device *device)
{
	return bpf_map_lookup_elem(maps->fd[MAP_devices], &slot, device) ? -errno : 0;
}

int maps_write_device(const struct maps *maps, uint32_t slot, const struct weir_device *device)
{
	return bpf_map_update_elem(maps->fd[MAP_devices], &slot, device, BPF_ANY) ? -errno : 0;
}

int maps_read_counters(const struct maps *maps, uint32_t slot, struct weir_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();
	struct weir_counters *each = calloc(cpus, sizeof(*each));
	int rc = 0;

	if (!each)
		return -ENOMEM;
	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(maps->fd[MAP_counters], &slot, each))
		rc = -errno;
	/* All fields are 64-bit counters. */
	for (int cpu = 0; cpu < cpus && !rc; cpu++)
		for (size_t i = 0; i < sizeof(*sum) / sizeof(__u64); i++)
			((__u64 *)sum)[i] += ((__u64 *)&each[cpu])[i];
	free(each);
	return rc;
}

int maps_clear_counters(const struct maps *maps, uint32_t slot)
{
	struct weir_counters *zero = calloc(libbpf_num_possible_cpus(), sizeof(*zero));
	int rc = 0;

	if (!zero)
		return -ENOMEM;
	if (bpf_map_update_elem(maps->fd[MAP_counters], &slot, zero, BPF_ANY))
		rc = -errno;
	free(zero);
	return rc;
}

/* ---- buckets ---- */

int maps_read_bucket(const struct maps *maps, const struct weir_bucket_key *key,
		     struct weir_bucket *bucket)
{
	return bpf_map_lookup_elem(maps->fd[MAP_buckets], key, bucket) ? -errno : 0;
}

int maps_read_gate(const struct maps *maps, uint32_t line, struct weir_gate_line *cells)
{
	return bpf_map_lookup_elem(maps->fd[MAP_gate], &line, cells) ? -errno : 0;
}

int maps_each_bucket(const struct maps *maps,
		     int (*each)(const struct weir_bucket_key *key,
				 const struct weir_bucket *bucket, void *arg),
		     void *arg)
{
	struct weir_bucket_key *keys = calloc(BUCKET_BATCH, sizeof(*keys));
	struct weir_bucket *values = calloc(BUCKET_BATCH, sizeof(*values));
	bool more = true, first = true;
	__u64 position;
	int rc = 0;

	if (!keys || !values)
		rc = -ENOMEM;
	while (more && !rc) {
		__u32 count = BUCKET_BATCH;

		if (bpf_map_lookup_batch(maps->fd[MAP_buckets], first ? NULL : &position, &position,
					 keys, values, &count, NULL)) {
			if (errno != ENOENT) {
				rc = -errno;
				break;
			}
			more = false;
		}
		first = false;
		for (__u32 i = 0; i < count && !rc; i++)
			rc = each(&keys[i], &values[i], arg);
	}
	free(keys);
	free(values);
	return rc;
}
