// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/host/addresses.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/guard.h"
#include "user/state/list_load.h"

#define TENFOLD	10

static int read_mapped(const char *name, int fd, size_t size, struct list_change *change,
		       const struct list_progress *progress, struct list_report *report, char *err)
{
	struct list_options options = { .format = change->format, .skip_bad = change->skip_bad,
					.progress = progress ? progress->show : NULL,
					.ctx = progress ? progress->ctx : NULL };
	char *data = NULL;
	int rc;

	if (size) {
		data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			return fail(err, errno, "cannot read %s: %s", name, strerror(errno));
	}
	rc = list_read(name, size ? data : "", size, &options, &change->set, report, err);
	if (data)
		munmap(data, size);
	if (!rc && prefixes_sort(&change->set, NULL))
		rc = fail(err, ENOMEM, "cannot sort the prefixes of %s: out of memory", name);
	return rc;
}

int list_read_file(struct list_change *change, const struct list_progress *progress,
		   struct list_report *report, char *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, rc;

	if (!realpath(change->file, path))
		return fail(err, errno, "cannot open list file %s: %s", change->file,
			    strerror(errno));
	if (strlen(path) >= sizeof(change->file))
		return fail(err, ENAMETOOLONG, "the path of %s is longer than %zu bytes", path,
			    sizeof(change->file) - 1);
	if (!is_utf8(path))
		return fail(err, EINVAL, "the path of the list file is not UTF-8; rename it");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		rc = fail(err, errno, "cannot open list file %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = fail(err, EINVAL, "%s is not a regular file", path);
	else
		rc = read_mapped(change->file, fd, st.st_size, change, progress, report, err);
	if (fd >= 0)
		close(fd);
	snprintf(change->file, sizeof(change->file), "%s", path);
	return rc;
}

/* ---- guards ---- */

static int guard_size(const struct list_change *change, size_t was, char *err)
{
	size_t is = prefixes_count(&change->set);

	if (!was || change->force || (is < was * TENFOLD && is * TENFOLD > was))
		return 0;
	return fail(err, EPERM, "list %s had %zu prefixes, %s has %zu: a tenfold change at once is "
		    "most often a broken download; say `force` if it is not", change->name, was,
		    change->file, is);
}

/* Applies the guards of `block add` to every prefix of the list that covers @inner. */
static int guard_cover(const struct list_change *change, const struct prefix *inner,
		       const struct settings *settings, const struct prefixes *own, char *err)
{
	int shortest = prefix_is_v4(inner) ? 96 : 0, rc = 0;
	char why[ERR_LEN];

	for (int length = inner->length; length >= shortest && !rc; length--) {
		struct prefix prefix = { .hi = inner->hi, .lo = inner->lo, .length = length };

		prefix_mask(&prefix);
		if (!prefixes_has(&change->set, &prefix))
			continue;
		rc = guard_prefix(&prefix, settings, own, why);
		if (rc)
			fail(err, -rc, "list %s: %.200s", change->name, why);
	}
	return rc;
}

static int guard_entries(const struct list_change *change, const struct settings *settings,
			 char *err)
{
	struct prefix v4 = prefix_v4(0, 0), v6 = { 0 };
	struct prefixes own = { 0 };
	int rc = own_addresses(&own);

	if (rc)
		return fail(err, -rc, "cannot read this host's addresses: %s", strerror(-rc));
	rc = guard_cover(change, &v4, settings, &own, err);
	if (!rc)
		rc = guard_cover(change, &v6, settings, &own, err);
	for (size_t i = 0; i < prefixes_count(&own) && !rc; i++) {
		struct prefix address = prefixes_at(&own, i);

		rc = guard_cover(change, &address, settings, &own, err);
	}
	for (size_t i = 0; i < settings->allow.count && !rc; i++)
		rc = guard_cover(change, &settings->allow.at[i].prefix, settings, &own, err);
	prefixes_free(&own);
	return rc;
}

static bool same_set(const char *name, const struct prefixes *set)
{
	struct prefixes current = { 0 };
	char ignored[ERR_LEN];
	bool same;

	if (list_read_set(name, "current", &current, ignored))
		return false;
	same = current.v4_count == set->v4_count && current.v6_count == set->v6_count &&
	       (!set->v4_count ||
		!memcmp(current.v4, set->v4, set->v4_count * sizeof(*set->v4)));
	for (size_t i = 0; i < set->v6_count && same; i++)
		same = !prefix_cmp(&current.v6[i], &set->v6[i]);
	prefixes_free(&current);
	return same;
}

/* ---- load ---- */

int plan_list_load(struct list_change *change, const struct settings *settings,
		   const struct list_progress *progress, struct list_report *report, char *err)
{
	struct list_info *infos;
	size_t count, was = 0;
	int rc = list_read_file(change, progress, report, err);

	if (rc)
		return rc;
	rc = lists_read(&infos, &count, err);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(infos[i].name, change->name))
			was = infos[i].current.v4_count + infos[i].current.v6_count;
	free(infos);
	if (!rc && was && same_set(change->name, &change->set))
		return 0;
	if (!rc)
		rc = guard_size(change, was, err);
	if (!rc && !change->force)
		rc = guard_entries(change, settings, err);
	return rc ? rc : 1;
}

int apply_list_change(const struct maps *maps, struct list_change *change, char *err)
{
	int set_fd, rc;

	rc = lists_prepare(maps, change, 1, &set_fd, err);
	if (rc)
		return rc;
	rc = lists_publish(maps, set_fd, err);
	close(set_fd);
	if (rc) {
		char ignored[ERR_LEN];

		lists_recover(maps, ignored);
		return rc;
	}
	return lists_finish(maps, change, 1, err);
}
