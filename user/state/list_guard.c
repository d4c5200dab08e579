// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "user/host/addresses.h"
#include "user/model/error.h"
#include "user/state/list_guard.h"

/* True: @set is the list in force, as far as that can be read. */
static bool read_current(const char *name, struct prefixes *set)
{
	char ignored[ERR_LEN];

	return !list_read_set(name, "current", set, ignored);
}

static bool same_set(const struct prefixes *a, const struct prefixes *b)
{
	bool same = a->v4_count == b->v4_count && a->v6_count == b->v6_count &&
		    (!a->v4_count || !memcmp(a->v4, b->v4, a->v4_count * sizeof(*a->v4)));

	for (size_t i = 0; i < a->v6_count && same; i++)
		same = !prefix_cmp(&a->v6[i], &b->v6[i]);
	return same;
}

/* @was: NULL where the list is new. */
static int apply_guards(struct list_change *change, const struct prefixes *was,
			const struct settings *settings, const struct prefixes *own, char *err)
{
	struct guard guard = { .passed = change->force };
	char why[ERR_LEN];
	int rc;

	guard_list(&guard, &change->set, was, settings, own, &change->notes);
	change->kept = guard_kept(&guard);
	rc = guard_verdict(&guard, why);
	return rc ? fail(err, -rc, "list %s: %.215s", change->name, why) : 0;
}

static int read_own(struct prefixes *own, char *err)
{
	int rc = own_addresses(own);

	return rc ? fail(err, -rc, "cannot read this host's addresses: %s", strerror(-rc)) : 0;
}

static void leave_out(struct list_change *change, uint8_t force, const struct prefixes *own)
{
	change->notes = (struct guard_notes){ 0 };
	if (!(force & (WEIR_GUARD_ALL | WEIR_GUARD_OWN)))
		guard_leave_out(&change->set, own, &change->notes);
}

/* 1, 0 or -errno, as list_guard(). */
static int compare(struct list_change *change, const struct settings *settings,
		   const struct prefixes *own, char *err)
{
	struct prefixes was = { 0 };
	bool loaded = read_current(change->name, &was);
	int rc;

	if (loaded && prefixes_count(&was) && same_set(&was, &change->set))
		rc = 0;
	else
		rc = apply_guards(change, loaded ? &was : NULL, settings, own, err) ? : 1;
	prefixes_free(&was);
	return rc;
}

int list_guard(struct list_change *change, const struct settings *settings, char *err)
{
	struct prefixes own = { 0 };
	int rc = read_own(&own, err);

	if (!rc) {
		leave_out(change, change->force, &own);
		rc = compare(change, settings, &own, err);
	}
	prefixes_free(&own);
	return rc;
}

int list_leave_out(struct list_change *change, char *err)
{
	struct prefixes own = { 0 };
	struct weir_list head;
	int rc = list_head(change->name, list_pin_in_force(change->name), &head);

	if (rc)
		head.force = 0;
	rc = read_own(&own, err);
	if (!rc)
		leave_out(change, head.force, &own);
	prefixes_free(&own);
	return rc;
}
