// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "bpf/tool.h"
#include "user/model/error.h"
#include "user/state/pins.h"

#define LOCK_WAIT_MS	10000
#define LOCK_RETRY_MS	20
#define SERVICE_GROUP	"weir"
#define SYSTEM_GROUPS	1000	/* group ids from here on belong to people */

/* ---- the file system that the pins live in ---- */

bool pins_are_mounted(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && (uint32_t)fs.f_type == BPF_FS_MAGIC;
}

/*
 * Whether this command runs in a mount namespace of its own: a bpffs mounted there would end
 * with the command. A new namespace gives all mounts new ids, so an id that init has as well
 * shows that the namespace is init's; /proc/1/ns/mnt is hidden from root in some containers.
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

int pins_mount(char *err)
{
	if (pins_are_mounted())
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

/* ---- the daemon's group ---- */

/*
 * Where the system has a group for the daemon, its members may use the maps, so that the
 * daemon need not run as root. A group of people is not meant, whatever its name.
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

/* The group itself comes from the folder, which is setgid. */
int pins_put(int fd, const char *path)
{
	if (bpf_obj_pin(fd, path))
		return -errno;
	return is_open_to_group() && chmod(path, 0660) ? -errno : 0;
}

/*
 * A folder in one that is set-group-ID becomes so as well. To set that bit by chmod() is refused to
 * the daemon by RestrictSUIDSGID= of its unit, so the mode comes from mkdir().
 */
int pins_make_folder(const char *path)
{
	mode_t mask = umask(0);
	int rc = mkdir(path, is_open_to_group() ? 0770 : 0700) ? -errno : 0;

	umask(mask);
	return rc == -EEXIST ? 0 : rc;
}

/* ---- the lock ---- */

/* Where bpffs is open to all, any user may have made the folder before weir did. */
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

/* Whether @fd is still the folder of that name: the last writer may have removed it. */
static bool is_pin_root(int fd)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(WEIR_PIN_ROOT, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

static int make_root(char *err)
{
	if (!mkdir(WEIR_PIN_ROOT, 0700)) {
		open_to_group(WEIR_PIN_ROOT);
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	return fail(err, errno, "cannot make " WEIR_PIN_ROOT ": %s%s", strerror(errno),
		    errno == EACCES || errno == EPERM ? " (weir needs root)" : "");
}

/* An fd that holds the lock; -EAGAIN: another writer has it; -errno with @err. */
static int try_lock(char *err)
{
	int fd = open(WEIR_PIN_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return fail(err, errno, "cannot open " WEIR_PIN_ROOT ": %s%s", strerror(errno),
			    errno == EACCES ? " (weir needs root)" : "");
	rc = check_owner(fd, err);
	if (!rc && !flock(fd, LOCK_EX | LOCK_NB) && is_pin_root(fd))
		return fd;
	close(fd);
	return rc ? rc : -EAGAIN;
}

/* The lock is on the folder itself, which only root and the daemon can open. */
int pins_lock(bool create, char *err)
{
	for (int waited = 0; waited < LOCK_WAIT_MS; waited += LOCK_RETRY_MS) {
		int rc = create ? make_root(err) : 0;

		if (!rc)
			rc = try_lock(err);
		/* A folder that was just made and is gone: the last writer removed it. */
		if (rc != -EAGAIN && !(rc == -ENOENT && create))
			return rc;
		if (rc == -EAGAIN)
			usleep(LOCK_RETRY_MS * 1000);
	}
	return fail(err, EBUSY, "another weir command has been writing for %d s; "
		    "`fuser -v " WEIR_PIN_ROOT "` names it", LOCK_WAIT_MS / 1000);
}

/* ---- removing ---- */

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

int pins_clear(char *err)
{
	return empty_tree(WEIR_PIN_ROOT, err);
}

/*
 * meta goes first: without it, the rest counts as a creation that did not finish. The folder
 * goes last, and the lock on it with it.
 */
int pins_remove(char *err)
{
	int rc;

	if (unlink(WEIR_PIN_ROOT "/meta") && errno != ENOENT)
		return fail(err, errno, "cannot remove " WEIR_PIN_ROOT "/meta: %s",
			    strerror(errno));
	rc = pins_clear(err);
	if (rc)
		return rc;
	if (rmdir(WEIR_PIN_ROOT) && errno != ENOENT)
		return fail(err, errno, "cannot remove " WEIR_PIN_ROOT ": %s", strerror(errno));
	return 0;
}
