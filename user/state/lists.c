// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/model/error.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/lists.h"

/* ---- all lists ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct list_info *)a)->name, ((const struct list_info *)b)->name);
}

static int read_info(const char *name, struct list_info *info)
{
	int rc = list_head(name, list_pin_in_force(name), &info->current);

	if (rc)
		return rc;
	rc = list_head(name, "previous", &info->previous);
	strcpy(info->name, name);
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

/*
 * A folder without a list in force is one that is only prepared, or not of a list. Any other
 * list that cannot be read is an error: left out, it would be left out of the block set, too.
 */
static int read_infos(list_name *names, size_t found,
		      struct list_info *infos, size_t *count, char *err)
{
	for (size_t i = 0; i < found; i++) {
		int rc = read_info(names[i], &infos[*count]);

		if (!rc)
			++*count;
		else if (rc != -ENOENT && rc != -EBADMSG)
			return fail(err, -rc, "cannot read list %s: %s", names[i], strerror(-rc));
	}
	return 0;
}

int lists_read(struct list_info **infos, size_t *count, char *err)
{
	list_name *names;
	size_t found;
	int rc = list_names(&names, &found, err);

	*count = 0;
	*infos = NULL;
	if (rc)
		return rc;
	*infos = calloc(found + 1, sizeof(**infos));
	rc = *infos ? read_infos(names, found, *infos, count, err) :
		      fail(err, ENOMEM, "cannot read the lists: out of memory");
	free(names);
	if (rc) {
		free(*infos);
		*infos = NULL;
		*count = 0;
		return rc;
	}
	qsort(*infos, *count, sizeof(**infos), by_name);
	return 0;
}

static const struct list_change *change_of(const struct list_change *changes, size_t count,
					   const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(changes[i].name, name))
			return &changes[i];
	return NULL;
}

static int add_change(const struct list_change *change, struct prefixes *all, char *err)
{
	if (change->what == LIST_ROLLBACK)
		return list_read_set(change->name, "previous", all, err);
	if (change->what == LIST_LOAD && prefixes_append(all, &change->set))
		return fail(err, ENOMEM, "cannot add list %s to the others: out of memory",
			    change->name);
	return 0;
}

/* The merged union of what the lists will be after @changes. */
static int read_union(const struct list_change *changes, size_t count, struct prefixes *all,
		      char *err)
{
	struct list_info *infos;
	size_t lists;
	int rc = lists_read(&infos, &lists, err);

	for (size_t i = 0; i < lists && !rc; i++)
		if (!change_of(changes, count, infos[i].name))
			rc = list_read_set(infos[i].name, "current", all, err);
	for (size_t i = 0; i < count && !rc; i++)
		rc = add_change(&changes[i], all, err);
	free(infos);
	if (!rc && prefixes_merge(all))
		rc = fail(err, ENOMEM, "cannot merge the lists, %zu prefixes: out of memory",
			  prefixes_count(all));
	return rc;
}

int lists_read_union(struct prefixes *all, char *err)
{
	return read_union(NULL, 0, all, err);
}

/* ---- preparing ---- */

static int prepare_load(const struct list_change *change, uint64_t set_generation)
{
	struct weir_list head = { .format = change->format, .skip_bad = change->skip_bad,
				  .force = change->kept, .set_generation = set_generation,
				  .loaded_unix_s = change->instead ? change->since_unix_s :
								     (uint64_t)time(NULL) };
	struct weir_list current, previous;

	list_head(change->name, "current", &current);
	list_head(change->name, "previous", &previous);
	head.generation = (current.generation > previous.generation ? current.generation :
								      previous.generation) + 1;
	snprintf(head.file, sizeof(head.file), "%s", change->file);
	return list_prepare_next(change->name, &head, &change->set);
}

static int prepare(const struct list_change *change, uint64_t set_generation, char *err)
{
	int rc = change->what == LIST_LOAD ? prepare_load(change, set_generation) :
		 change->what == LIST_ROLLBACK ?
			 list_prepare_previous(change->name, set_generation) :
			 list_prepare_delete(change->name, set_generation);

	return rc ? fail(err, -rc, "cannot prepare the change of list %s: %s", change->name,
			 list_strerror(rc)) : 0;
}

/* Whether there will be too many lists after @changes. */
static int check_count(const struct list_change *changes, size_t count, char *err)
{
	struct list_info *infos;
	size_t lists, after;
	int rc = lists_read(&infos, &lists, err);

	if (rc)
		return rc;
	after = lists;
	for (size_t i = 0; i < count; i++)
		after += changes[i].what == LIST_LOAD;
	for (size_t i = 0; i < lists; i++)
		after -= change_of(changes, count, infos[i].name) &&
			 change_of(changes, count, infos[i].name)->what != LIST_ROLLBACK;
	free(infos);
	return after <= LISTS_MAX ? 0 : fail(err, E2BIG, "that would be %zu lists, and %d is the "
					     "most; put some together", after, LISTS_MAX);
}

static int prepare_all(const struct maps *maps, const struct list_change *changes, size_t count,
		       uint64_t generation, int *set_fd, char *err)
{
	struct prefixes all = { 0 };
	int rc = read_union(changes, count, &all, err);

	if (!rc)
		rc = block_set_compile(maps, &all, generation, set_fd, err);
	if (!rc)
		hints_for_set(maps->hints, &all, true);
	prefixes_free(&all);
	for (size_t i = 0; i < count && !rc; i++)
		rc = prepare(&changes[i], generation, err);
	return rc;
}

static int read_generation(const struct maps *maps, uint64_t *generation, char *err)
{
	int rc = block_set_generation(maps, generation);

	return rc ? fail(err, -rc, "cannot read the block set in force: %s", strerror(-rc)) : 0;
}

int lists_prepare(const struct maps *maps, struct list_change *changes, size_t count, int *set_fd,
		  char *err)
{
	char ignored[ERR_LEN];
	uint64_t in_force;
	int rc = check_count(changes, count, err);

	*set_fd = -1;
	if (!rc)
		rc = read_generation(maps, &in_force, err);
	if (rc)
		return rc;
	rc = prepare_all(maps, changes, count, in_force + 1, set_fd, err);
	if (rc) {
		if (*set_fd >= 0)
			close(*set_fd);
		*set_fd = -1;
		lists_recover(maps, ignored);
	}
	return rc;
}

int lists_publish(const struct maps *maps, int set_fd, char *err)
{
	int rc = block_set_put(maps, set_fd);

	return rc ? fail(err, -rc, "cannot put the new block set of the lists into force: %s",
			 strerror(-rc)) : 0;
}

/* ---- after the write, and after an accident ---- */

int lists_recover(const struct maps *maps, char *err)
{
	list_name *names;
	uint64_t in_force, prepared_for;
	size_t count;
	int rc = list_names(&names, &count, err);

	if (!rc && count)
		rc = read_generation(maps, &in_force, err);
	for (size_t i = 0; i < count && !rc; i++) {
		rc = list_is_prepared(names[i], &prepared_for);
		if (rc > 0)
			rc = list_settle(names[i], prepared_for <= in_force);
		if (rc)
			fail(err, -rc, "cannot complete or take back the last change of list %s: "
			     "%s", names[i], list_strerror(rc));
	}
	free(names);
	return rc;
}

int lists_finish(const struct maps *maps, const struct list_change *changes, size_t count,
		 char *err)
{
	struct prefixes all = { 0 };
	char why[ERR_LEN];
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		rc = list_settle(changes[i].name, true);
		if (rc)
			fail(err, -rc, "the change of list %s is in force, but its maps cannot be "
			     "renamed: %s; the next command tries again", changes[i].name,
			     list_strerror(rc));
	}
	if (rc)
		return rc;
	rc = lists_read_union(&all, why);
	if (rc)
		fail(err, -rc, "the lists are in force, but the hints of those before cannot be cleared, "
		     "which costs time until the next change: %.100s", why);
	else
		hints_for_set(maps->hints, &all, false);
	prefixes_free(&all);
	return rc;
}

bool list_that_covers(const struct prefix *prefix, char name[WEIR_NAME_LEN])
{
	struct prefixes set = { 0 };
	struct list_info *infos;
	bool covered = false;
	char err[ERR_LEN];
	size_t count;

	if (lists_read(&infos, &count, err))
		return false;
	for (size_t i = 0; i < count && !covered; i++) {
		set = (struct prefixes){ 0 };
		covered = !list_read_set(infos[i].name, "current", &set, err) &&
			  !prefixes_merge(&set) && prefixes_cover(&set, prefix);
		if (covered)
			strcpy(name, infos[i].name);
		prefixes_free(&set);
	}
	free(infos);
	if (covered)
		return true;
	/* Several lists may cover it together. */
	if (!lists_read_union(&set, err) && prefixes_cover(&set, prefix)) {
		strcpy(name, "(several)");
		covered = true;
	}
	prefixes_free(&set);
	return covered;
}
