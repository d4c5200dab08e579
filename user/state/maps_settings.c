// SPDX-License-Identifier: GPL-2.0-only
/* The settings and the block set, in the maps of the side in force or of the other. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/pure/blockset.h"
#include "bpf/pure/known_line.h"
#include "user/model/blockset.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/model/policy.h"
#include "user/state/maps.h"

/* ---- settings: reading ---- */

/* Which block entries are in the map hosts, and what their keys there stand for: see weir.h. */
static bool is_host(const struct prefix *prefix)
{
	if (prefix_is_v4(prefix))
		return prefix->length == 128;
	return prefix->length == 64 && !known_key_is_v4(prefix->hi);
}

static struct prefix host_prefix(uint64_t key)
{
	return known_key_is_v4(key) ? prefix_v4(key, 32) : (struct prefix){ key, 0, 64 };
}

/* Appends: what is read of several maps is to be sorted. */
static int read_entries(const struct maps *maps, enum map_id which, struct entries *entries,
			char *err)
{
	union {
		struct weir_prefix prefix[256];
		uint64_t host[256];
	} keys;
	struct weir_entry values[256];
	struct weir_prefix position;	/* the kernel's; room for either */
	int fd = maps_open_inner(maps, which, maps->hints->side), rc = 0;
	bool more = true, first = true;

	if (fd < 0)
		return fail(err, -fd, "cannot open map %s: %s", map_names[which], strerror(-fd));
	while (more && !rc) {
		__u32 count = 256;

		if (bpf_map_lookup_batch(fd, first ? NULL : &position, &position, &keys, values,
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

			if (which == MAP_hosts)
				prefix = host_prefix(keys.host[i]);
			else
				prefix_from_key(&keys.prefix[i], &prefix);
			rc = entries_append(entries, &prefix, &values[i]);
		}
	}
	close(fd);
	return rc;
}

static size_t policy_bytes(void)
{
	return round_to_pages(sizeof(struct weir_policy));
}

const struct weir_policy *maps_map_policy(const struct maps *maps, char *err)
{
	int fd = maps_open_inner(maps, MAP_policy, maps->hints->side);
	void *policy;

	if (fd < 0) {
		fail(err, -fd, "cannot open the policy: %s", strerror(-fd));
		return NULL;
	}
	policy = mmap(NULL, policy_bytes(), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (policy != MAP_FAILED)
		return policy;
	fail(err, errno, "cannot map the policy: %s", strerror(errno));
	return NULL;
}

void maps_unmap_policy(const struct weir_policy *policy)
{
	munmap((void *)policy, policy_bytes());
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
		return fail(err, -rc, "out of memory");
	rc = read_policy(maps, settings->policy, err);
	if (!rc)
		rc = read_entries(maps, MAP_allow, &settings->allow, err);
	if (!rc)
		rc = read_entries(maps, MAP_block, &settings->block, err);
	if (!rc)
		rc = read_entries(maps, MAP_hosts, &settings->block, err);
	if (rc) {
		settings_free(settings);
		return rc;
	}
	entries_sort(&settings->allow);
	entries_sort(&settings->block);
	return 0;
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

static uint32_t count_hosts(const struct entries *block)
{
	uint32_t count = 0;

	for (size_t i = 0; i < block->count; i++)
		count += is_host(&block->at[i].prefix);
	return count;
}

static void hint_settings(struct weir_hints *hints, const struct settings *settings)
{
	const struct weir_policy *policy = settings->policy;

	for (size_t i = 0; i < settings->allow.count; i++)
		hint_prefix(hints, &settings->allow.at[i].prefix, WEIR_HINT_ALLOW);
	for (size_t i = 0; i < settings->block.count; i++)
		hint_prefix(hints, &settings->block.at[i].prefix,
			    is_host(&settings->block.at[i].prefix) ? WEIR_HINT_HOST : WEIR_HINT_BLOCK);
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

/* The two maps that one kind of entries is in; the same where nothing is in hosts. */
struct entry_maps {
	int tries, hosts;
};

static int write_entry(const struct entry_maps *to, const struct entry *entry, bool put)
{
	bool host = to->hosts != to->tries && is_host(&entry->prefix);
	uint64_t host_key = known_key(entry->prefix.hi, entry->prefix.lo);
	int fd = host ? to->hosts : to->tries;
	struct weir_prefix prefix_key;
	const void *key = host ? (const void *)&host_key : &prefix_key;

	prefix_to_key(&entry->prefix, &prefix_key);
	if (!put)
		return bpf_map_delete_elem(fd, key) && errno != ENOENT ? -errno : 0;
	if (!bpf_map_update_elem(fd, key, &entry->value, BPF_ANY))
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno;	/* a hash says the one, a trie the other */
}

static int write_difference(const struct entry *was, const struct entry *is, void *to)
{
	if (!is)
		return write_entry(to, was, false);
	if (!was || memcmp(&was->value, &is->value, sizeof(is->value)))
		return write_entry(to, is, true);
	return 0;
}

static int write_entries(struct entry_maps to, const struct entries *was, const struct entries *is)
{
	return entries_diff(was, is, write_difference, &to);
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

/* Whoever gets the slot of a budget that is gone starts with a clean one. */
static int clear_new_budgets(const struct maps *maps, const struct weir_policy *was,
			     const struct weir_policy *is)
{
	int rc = 0;

	for (uint32_t slot = 1; slot < WEIR_BUDGETS && !rc; slot++)
		if (is->budget_spec[slot].limit.used &&
		    strcmp(is->budget_spec[slot].name, was->budget_spec[slot].name))
			rc = maps_clear_budget(maps, slot);
	return rc;
}

/* The entries and rows of one side, opened. */
struct side {
	uint32_t number;
	int allow, block, hosts, scopes;
};

static bool is_open(const struct side *side)
{
	return side->allow >= 0 && side->block >= 0 && side->hosts >= 0 && side->scopes >= 0;
}

static void close_side(struct side *side)
{
	int *fds[] = { &side->allow, &side->block, &side->hosts, &side->scopes };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
}

static int write_side(const struct maps *maps, const struct side *side,
		      const struct settings *was, struct settings *is, bool new_policy, char *err)
{
	int rc;

	rc = write_entries((struct entry_maps){ side->allow, side->allow }, &was->allow, &is->allow);
	if (rc)
		return fail(err, -rc, "cannot write the allow list: %s", strerror(-rc));
	rc = write_entries((struct entry_maps){ side->block, side->hosts }, &was->block, &is->block);
	if (rc)
		return fail(err, -rc, "cannot write the block entries: %s", strerror(-rc));
	if (!new_policy)
		return 0;
	rc = write_scopes(side->scopes, was->policy, is->policy, false);
	if (!rc)
		rc = maps_put_policy(maps, side->number, is->policy, err);
	if (!rc)
		rc = write_scopes(side->scopes, is->policy, was->policy, true);
	return rc ? fail(err, -rc, "cannot write the limits: %s", strerror(-rc)) : 0;
}

static int write_in_place(const struct maps *maps, const struct settings *was, struct settings *is,
			  char *err)
{
	uint32_t number = maps->hints->side;
	struct side side = { number, maps_open_inner(maps, MAP_allow, number),
			     maps_open_inner(maps, MAP_block, number),
			     maps_open_inner(maps, MAP_hosts, number),
			     maps_open_inner(maps, MAP_scopes, number) };
	bool new_policy = !policy_same(was->policy, is->policy);
	char ignored[ERR_LEN];
	struct settings back;
	int rc;

	if (!is_open(&side)) {
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
	int fd = maps_open_inner(maps, MAP_policy, side), rc;

	if (fd < 0)
		return fd;
	rc = maps_put_inner(maps, MAP_policy, side, fd);
	close(fd);
	return rc;
}

static int share_blockset(const struct maps *maps, uint32_t from, uint32_t to)
{
	int fd = maps_open_inner(maps, MAP_blockset, from), rc;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	rc = maps_put_inner(maps, MAP_blockset, to, fd);
	close(fd);
	return rc;
}

static void clear_side(const struct maps *maps, uint32_t side)
{
	static const enum map_id outer[] = { MAP_allow, MAP_block, MAP_hosts, MAP_scopes,
					     MAP_policy, MAP_blockset };

	for (size_t i = 0; i < sizeof(outer) / sizeof(*outer); i++)
		maps_remove_inner(maps, outer[i], side);
}

static int write_other_side(const struct maps *maps, struct settings *is, int set_fd, char *err)
{
	uint32_t old = maps->hints->side, number = !old;
	struct side side = { number, maps_create_inner(MAP_allow, 0), maps_create_inner(MAP_block, 0),
			     maps_create_inner(MAP_hosts, count_hosts(&is->block)),
			     maps_create_inner(MAP_scopes, 0) };
	struct settings nothing;
	int rc = settings_init(&nothing);

	if (!rc && !is_open(&side))
		rc = fail(err, ENOMEM, "cannot create the maps of the other side");
	if (!rc)
		rc = write_side(maps, &side, &nothing, is, true, err);
	if (!rc)
		rc = maps_put_inner(maps, MAP_allow, number, side.allow);
	if (!rc)
		rc = maps_put_inner(maps, MAP_block, number, side.block);
	if (!rc)
		rc = maps_put_inner(maps, MAP_hosts, number, side.hosts);
	if (!rc)
		rc = maps_put_inner(maps, MAP_scopes, number, side.scopes);
	if (!rc)
		rc = set_fd >= 0 ? maps_put_inner(maps, MAP_blockset, number, set_fd) :
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

/* Counted here, where all entries are at hand: a walk of the tries may take a second. */
static void tally_settings(struct weir_hints *hints, const struct settings *settings)
{
	struct weir_tally *tally = &hints->tally;
	uint32_t block[2][2] = { 0 };

	for (size_t i = 0; i < settings->block.count; i++) {
		const struct weir_entry *entry = &settings->block.at[i].value;

		block[entry->origin == WEIR_BY_DAEMON][entry->until_ns != 0]++;
	}
	memcpy(tally->block, block, sizeof(block));
	tally->allow = settings->allow.count;
	if (tally->allow > tally->most_allow)
		tally->most_allow = tally->allow;
	if (settings->block.count > tally->most_block)
		tally->most_block = settings->block.count;
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
	rc = clear_new_budgets(maps, was->policy, is->policy);
	if (rc) {
		free(wanted);
		return fail(err, -rc, "cannot clear a budget: %s", strerror(-rc));
	}
	hint_settings(wanted, is);
	add_hints(maps->hints, wanted);
	err[0] = '\0';
	rc = at_once ? write_other_side(maps, is, set_fd, err) : write_in_place(maps, was, is, err);
	if (rc) {
		memset(wanted, 0, sizeof(*wanted));
		hint_settings(wanted, was);
	}
	trim_hints(maps->hints, wanted, WEIR_HINT_SET);
	tally_settings(maps->hints, rc ? was : is);
	free(wanted);
	return rc;
}

/* A source's row is in a trie, and what the row says in the policy: two writes, if in place. */
static bool same_scopes(const struct weir_policy *a, const struct weir_policy *b)
{
	return a->scopes == b->scopes && !memcmp(a->scope, b->scope, sizeof(a->scope));
}

/* A hash does not grow: who outgrows it gets a new one, and so a new side. */
static bool hosts_fit(const struct maps *maps, const struct entries *block)
{
	int fd = maps_open_inner(maps, MAP_hosts, maps->hints->side);
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	bool fit;

	if (fd < 0)
		return false;
	fit = !bpf_obj_get_info_by_fd(fd, &info, &size) && count_hosts(block) <= info.max_entries;
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

/* ---- the block set ---- */

uint64_t maps_set_generation(const struct maps *maps)
{
	int fd = maps_open_inner(maps, MAP_blockset, maps->hints->side);
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
	return maps_put_inner(maps, MAP_blockset, maps->hints->side, set_fd);
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
	int fd = maps_open_inner(maps, MAP_blockset, maps->hints->side), has = 0;
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	size_t bytes;
	void *lines;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size)) {
		has = -errno;
	} else {
		bytes = round_to_pages((size_t)info.max_entries * sizeof(struct weir_line));
		lines = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		has = lines == MAP_FAILED ? -errno :
					    blockset_has(lines, info.max_entries, address);
		if (lines != MAP_FAILED)
			munmap(lines, bytes);
	}
	close(fd);
	return has;
}
