// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/pure/known_line.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/state/hints.h"
#include "user/state/side_settings.h"
#include "user/state/sides.h"
#include "user/state/tables.h"

#define BATCH	256

/* ---- reading ---- */

static struct prefix host_prefix(uint64_t key)
{
	return known_key_is_v4(key) ? prefix_v4(key, 32) : (struct prefix){ key, 0, 64 };
}

union entry_keys {
	struct weir_prefix prefix[BATCH];
	uint64_t host[BATCH];
};

static int append_batch(struct entries *entries, enum side_map kind, const union entry_keys *keys,
			const struct weir_entry *values, uint32_t count)
{
	int rc = 0;

	for (uint32_t i = 0; i < count && !rc; i++) {
		struct prefix prefix;

		if (kind == SIDE_hosts)
			prefix = host_prefix(keys->host[i]);
		else
			prefix_from_key(&keys->prefix[i], &prefix);
		rc = entries_append(entries, &prefix, &values[i]);
	}
	return rc;
}

static int append_all(int fd, enum side_map kind, struct entries *entries)
{
	struct weir_entry values[BATCH];
	struct weir_prefix position;	/* opaque, of the size of a key: the larger of both kinds */
	union entry_keys keys;
	void *from = NULL;
	int rc;

	for (;;) {
		uint32_t count = BATCH;
		bool last = bpf_map_lookup_batch(fd, from, &position, &keys, values, &count, NULL);

		if (last && errno != ENOENT)
			return -errno;
		rc = append_batch(entries, kind, &keys, values, count);
		if (rc || last)
			return rc;
		from = &position;
	}
}

/* Appends: entries that come from several maps are to be sorted afterwards. */
static int read_entries(const struct maps *maps, enum side_map kind, struct entries *entries,
			char *err)
{
	int fd = side_open(maps, kind, maps->hints->side), rc;

	if (fd < 0)
		return fail(err, -fd, "cannot open map %s: %s", map_names[side_outer(kind)],
			    strerror(-fd));
	rc = append_all(fd, kind, entries);
	close(fd);
	return rc ? fail(err, -rc, "cannot read map %s: %s", map_names[side_outer(kind)],
			 strerror(-rc)) : 0;
}

const struct weir_policy *maps_map_policy(const struct maps *maps, char *err)
{
	int fd = side_open(maps, SIDE_policy, maps->hints->side);
	void *policy;

	if (fd < 0) {
		fail(err, -fd, "cannot open the policy (limits and budgets): %s", strerror(-fd));
		return NULL;
	}
	policy = mmap(NULL, sizeof(struct weir_policy), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (policy != MAP_FAILED)
		return policy;
	fail(err, errno, "cannot map the policy (limits and budgets) into memory: %s",
	     strerror(errno));
	return NULL;
}

void maps_unmap_policy(const struct weir_policy *policy)
{
	munmap((void *)policy, sizeof(*policy));
}

static int read_policy(const struct maps *maps, struct weir_policy *policy, char *err)
{
	const struct weir_policy *mapped = maps_map_policy(maps, err);

	if (!mapped)
		return -EIO;
	memcpy(policy, mapped, sizeof(*policy));
	maps_unmap_policy(mapped);
	return 0;
}

int maps_read_settings(const struct maps *maps, struct settings *settings, char *err)
{
	int rc = settings_init(settings);

	if (rc)
		return fail(err, -rc, "cannot read the settings: out of memory");
	rc = read_policy(maps, settings->policy, err);
	if (!rc)
		rc = read_entries(maps, SIDE_allow, &settings->allow, err);
	if (!rc)
		rc = read_entries(maps, SIDE_block, &settings->block, err);
	if (!rc)
		rc = read_entries(maps, SIDE_hosts, &settings->block, err);
	if (rc) {
		settings_free(settings);
		return rc;
	}
	entries_sort(&settings->allow);
	entries_sort(&settings->block);
	return 0;
}

/* ---- writing entries ---- */

static uint32_t count_hosts(const struct entries *block)
{
	uint32_t count = 0;

	for (size_t i = 0; i < block->count; i++)
		count += is_host_entry(&block->at[i].prefix);
	return count;
}

/* The maps that one kind of entries is in; hosts -1 where all of them are in the trie. */
struct entry_maps {
	int trie, hosts;
};

static int write_entry(const struct entry_maps *to, const struct entry *entry, bool put)
{
	bool host = to->hosts >= 0 && is_host_entry(&entry->prefix);
	uint64_t host_key = known_key(entry->prefix.hi, entry->prefix.lo);
	int fd = host ? to->hosts : to->trie;
	struct weir_prefix prefix_key;
	const void *key = host ? (const void *)&host_key : &prefix_key;

	prefix_to_key(&entry->prefix, &prefix_key);
	if (!put)
		return bpf_map_delete_elem(fd, key) && errno != ENOENT ? -errno : 0;
	if (!bpf_map_update_elem(fd, key, &entry->value, BPF_ANY))
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno;	/* E2BIG: of a hash that is full */
}

static int write_difference(const struct entry *was, const struct entry *is, void *to)
{
	if (!is)
		return write_entry(to, was, false);
	if (!was || memcmp(&was->value, &is->value, sizeof(is->value)))
		return write_entry(to, is, true);
	return 0;
}

static int write_entries(struct entry_maps to, const char *what, const struct entries *was,
			 const struct entries *is, char *err)
{
	int rc = entries_diff(was, is, write_difference, &to);

	if (rc == -ENOSPC)
		return fail(err, ENOSPC, "cannot write the %s entries: %zu are too many, the most "
			    "is %u; remove some, or load them as a list", what, is->count,
			    WEIR_ENTRIES);
	return rc ? fail(err, -rc, "cannot write the %s entries: %s", what, strerror(-rc)) : 0;
}

/* ---- writing the policy ---- */

/*
 * Rows of @from that @other lacks or has with another number: writes them to the trie of
 * scopes with @put, or removes them from it.
 */
static int write_scopes(int fd, const struct weir_policy *from, const struct weir_policy *other,
			bool put, char *err)
{
	for (__u32 row = 1; row < from->scopes; row++) {
		const struct weir_prefix *key = &from->scope[row];
		int rc;

		if (key->prefixlen > 128)
			continue;
		if (row < other->scopes && !memcmp(key, &other->scope[row], sizeof(*key)))
			continue;
		rc = put ? bpf_map_update_elem(fd, key, &row, BPF_ANY) :
			   bpf_map_delete_elem(fd, key);
		if (rc && !(errno == ENOENT && !put))
			return fail(err, errno, "cannot write the sources of the limits: %s",
				    strerror(errno));
	}
	return 0;
}

static int write_policy(const struct maps *maps, const struct side *side,
			const struct weir_policy *was, struct weir_policy *is, char *err)
{
	int rc = write_scopes(side->fd[SIDE_scopes], was, is, false, err);

	if (!rc)
		rc = side_put_policy(maps, side->number, is, err);
	if (!rc)
		rc = write_scopes(side->fd[SIDE_scopes], is, was, true, err);
	return rc;
}

/* A budget that takes the slot of a removed one starts with a full bucket and no counts. */
static int clear_new_budgets(const struct maps *maps, const struct weir_policy *was,
			     const struct weir_policy *is, char *err)
{
	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++) {
		const char *name = is->budget_spec[slot].name;
		int rc;

		if (!is->budget_spec[slot].limit.used || !strcmp(name, was->budget_spec[slot].name))
			continue;
		rc = maps_clear_budget(maps, slot);
		if (rc)
			return fail(err, -rc, "cannot clear what budget %s counts: %s", name,
				    strerror(-rc));
	}
	return 0;
}

/* A drop rule that matches other packets than the one in its slot did counts them from 0. */
static int clear_new_rules(const struct maps *maps, const struct weir_policy *was,
			   const struct weir_policy *is, char *err)
{
	for (uint32_t slot = 0; slot < WEIR_RULES; slot++) {
		const struct weir_rule_spec *rule = &is->rule_spec[slot];
		int rc;

		if (!rule_is_used(rule) || rule_same(rule, &was->rule_spec[slot]))
			continue;
		rc = maps_clear_rule(maps, slot);
		if (rc)
			return fail(err, -rc, "cannot clear what drop rule %s counts: %s",
				    rule->name, strerror(-rc));
	}
	return 0;
}

/* ---- writing one side ---- */

static int write_side(const struct maps *maps, const struct side *side,
		      const struct settings *was, struct settings *is, bool new_policy, char *err)
{
	struct entry_maps allow = { side->fd[SIDE_allow], -1 };
	struct entry_maps block = { side->fd[SIDE_block], side->fd[SIDE_hosts] };
	int rc = write_entries(allow, "allow", &was->allow, &is->allow, err);

	if (!rc)
		rc = write_entries(block, "block", &was->block, &is->block, err);
	if (!rc && new_policy)
		rc = write_policy(maps, side, was->policy, is->policy, err);
	return rc;
}

static int write_in_place(const struct maps *maps, const struct settings *was, struct settings *is,
			  char *err)
{
	bool new_policy = !policy_same(was->policy, is->policy);
	struct settings back = *was;
	char ignored[ERR_LEN];
	struct side side;
	int rc;

	/* To go back must not fail for want of memory; writing a policy changes its generation. */
	back.policy = new_policy ? malloc(sizeof(*back.policy)) : was->policy;
	if (!back.policy)
		return fail(err, ENOMEM, "cannot write the settings: out of memory");
	if (new_policy)
		memcpy(back.policy, was->policy, sizeof(*back.policy));
	side_init(&side, maps->hints->side);
	rc = side_open_all(&side, maps, err);
	if (!rc) {
		rc = write_side(maps, &side, was, is, new_policy, err);
		if (rc)
			write_side(maps, &side, is, &back, new_policy, ignored);
	}
	side_close(&side);
	if (new_policy)
		free(back.policy);
	return rc;
}

/*
 * Writing to an outer map returns only once no packet sees any more what was there before,
 * so writing the same policy again waits for the packets on their way.
 */
static void wait_for_packets(const struct maps *maps, uint32_t side)
{
	int fd = side_open(maps, SIDE_policy, side);

	if (fd < 0)
		return;
	side_put(maps, SIDE_policy, side, fd);
	close(fd);
}

/* @set_fd: the block set for the other side; -1: that of the side in force, if it has any. */
static int put_block_set(const struct maps *maps, uint32_t number, int set_fd, char *err)
{
	int fd = set_fd >= 0 ? set_fd : side_open(maps, SIDE_blockset, maps->hints->side), rc;

	if (fd == -ENOENT)
		return 0;
	rc = fd < 0 ? fd : side_put(maps, SIDE_blockset, number, fd);
	if (fd >= 0 && fd != set_fd)
		close(fd);
	return rc ? fail(err, -rc, "cannot put the block set of the lists to the new settings: %s",
			 strerror(-rc)) : 0;
}

static int fill_side(const struct maps *maps, struct side *side, struct settings *is, int set_fd,
		     char *err)
{
	struct settings nothing;
	int rc = settings_init(&nothing);

	if (rc)
		return fail(err, -rc, "cannot write the settings: out of memory");
	rc = side_make_all(side, count_hosts(&is->block), err);
	if (!rc)
		rc = write_side(maps, side, &nothing, is, true, err);
	if (!rc)
		rc = side_put_all(side, maps, err);
	if (!rc)
		rc = put_block_set(maps, side->number, set_fd, err);
	settings_free(&nothing);
	return rc;
}

/* Fills the side that is not in force, and makes it that by one write. */
static int write_other_side(const struct maps *maps, struct settings *is, int set_fd, char *err)
{
	uint32_t old = maps->hints->side, number = !old;
	struct side side;
	int rc;

	side_init(&side, number);
	rc = fill_side(maps, &side, is, set_fd, err);
	side_close(&side);
	if (rc) {
		side_clear(maps, number);
		return rc;
	}
	__atomic_store_n(&maps->hints->side, number, __ATOMIC_RELEASE);
	wait_for_packets(maps, number);
	side_clear(maps, old);
	return 0;
}

/* ---- writing, with what goes along with it ---- */

static int write_hinted(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, int set_fd, char *err)
{
	struct weir_hints *wanted = calloc(1, sizeof(*wanted));
	int rc;

	if (!wanted)
		return fail(err, ENOMEM, "cannot write the settings: out of memory");
	entries_resolve(&is->allow);
	entries_resolve(&is->block);
	rc = clear_new_budgets(maps, was->policy, is->policy, err);
	if (!rc)
		rc = clear_new_rules(maps, was->policy, is->policy, err);
	if (rc) {
		free(wanted);
		return rc;
	}
	hints_of_settings(wanted, is);
	hints_add(maps->hints, wanted);
	rc = at_once ? write_other_side(maps, is, set_fd, err) : write_in_place(maps, was, is, err);
	if (rc) {
		memset(wanted, 0, sizeof(*wanted));
		hints_of_settings(wanted, was);
	}
	hints_trim(maps->hints, wanted, WEIR_HINT_SET);
	tally_settings(maps->hints, rc ? was : is);
	free(wanted);
	return rc;
}

/*
 * The row of a source is in a trie, and what holds in that row in the policy. Two writes in
 * place would show packets one without the other.
 */
static bool same_scopes(const struct weir_policy *a, const struct weir_policy *b)
{
	return a->scopes == b->scopes && !memcmp(a->scope, b->scope, sizeof(a->scope));
}

/* A hash does not grow: more entries than it has room for need a new one, on a new side. */
static bool hosts_fit(const struct maps *maps, const struct entries *block)
{
	int fd = side_open(maps, SIDE_hosts, maps->hints->side);
	struct bpf_map_info info;
	bool fit;

	if (fd < 0)
		return false;
	fit = !map_info(fd, &info) && count_hosts(block) <= info.max_entries;
	close(fd);
	return fit;
}

int maps_write_settings(struct maps *maps, const struct settings *was, struct settings *is,
			bool at_once, char *err)
{
	if (!same_scopes(was->policy, is->policy) || !hosts_fit(maps, &is->block))
		at_once = true;
	return write_hinted(maps, was, is, at_once, -1, err);
}

int maps_replace_settings(struct maps *maps, const struct settings *was, struct settings *is,
			  int set_fd, char *err)
{
	return write_hinted(maps, was, is, true, set_fd, err);
}
