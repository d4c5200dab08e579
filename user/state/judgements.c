// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/state/judgements.h"

#define UNDONE_MOST	512	/* of one command: more would fill the ring */

static int by_number(const void *a, const void *b)
{
	const struct weir_judgement *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* All judgements in the ring, sorted by number. */
static int read_ring(const struct maps *maps, struct weir_judgement **list, size_t *count,
		     char *err)
{
	struct weir_judgement *all = calloc(WEIR_JUDGEMENTS, sizeof(*all));
	__u32 *keys = calloc(WEIR_JUDGEMENTS, sizeof(*keys)), n = WEIR_JUDGEMENTS, position;
	size_t used = 0;
	int rc = 0;

	if (!all || !keys)
		rc = fail(err, ENOMEM, "cannot read the judgements: out of memory");
	else if (bpf_map_lookup_batch(maps->fd[MAP_judgements], NULL, &position, keys, all, &n,
				      NULL) && errno != ENOENT)
		rc = fail(err, errno, "cannot read map judgements: %s", strerror(errno));
	for (__u32 i = 0; !rc && i < n; i++)
		if (all[i].number)
			all[used++] = all[i];
	free(keys);
	if (rc) {
		free(all);
		all = NULL;
	} else {
		qsort(all, used, sizeof(*all), by_number);
	}
	*list = all;
	*count = rc ? 0 : used;
	return rc;
}

int judgements_read(const struct maps *maps, uint64_t most, struct weir_judgement **list,
		    size_t *count, char *err)
{
	int rc = read_ring(maps, list, count, err);

	if (!rc && *count > most) {
		memmove(*list, *list + (*count - most), most * sizeof(**list));
		*count = most;
	}
	return rc;
}

int judgement_read(const struct maps *maps, uint64_t number, struct weir_judgement *judgement)
{
	__u32 slot = number % WEIR_JUDGEMENTS;

	return bpf_map_lookup_elem(maps->fd[MAP_judgements], &slot, judgement) ? -errno : 0;
}

bool judgements_reached(const struct maps *maps, uint64_t number)
{
	struct weir_judgement judgement;

	return !judgement_read(maps, number, &judgement) &&
	       judgement.number >= number;
}

int judgements_append(const struct maps *maps, struct weir_judgement *list, size_t count, char *err)
{
	size_t there, first = count > WEIR_JUDGEMENTS ? count - WEIR_JUDGEMENTS : 0;
	struct weir_judgement *old;
	uint64_t number, now = time(NULL);
	int rc = read_ring(maps, &old, &there, err);

	if (rc)
		return rc;
	number = there ? old[there - 1].number : 0;
	free(old);
	for (size_t i = first; i < count && !rc; i++) {
		__u32 slot = ++number % WEIR_JUDGEMENTS;

		list[i].number = number;
		list[i].unix_s = now;
		if (bpf_map_update_elem(maps->fd[MAP_judgements], &slot, &list[i], BPF_ANY))
			rc = fail(err, errno, "cannot write map judgements: %s", strerror(errno));
	}
	return rc;
}

static bool is_daemons(const struct entry *entry)
{
	return entry && entry->value.origin == WEIR_BY_DAEMON;
}

int judgements_note_undone(const struct maps *maps, const struct settings *was,
			   const struct settings *is, char *err)
{
	struct weir_judgement *list = calloc(UNDONE_MOST, sizeof(*list));
	uint64_t now = now_ns();
	size_t count = 0;
	int rc = 0;

	if (!list)
		return fail(err, ENOMEM, "cannot note which bans were removed: out of memory");
	for (size_t i = 0; i < was->block.count && count < UNDONE_MOST; i++) {
		const struct entry *entry = &was->block.at[i];

		if (!is_daemons(entry) || entry->value.until_ns <= now ||
		    entries_find(&is->block, &entry->prefix))
			continue;
		list[count] = (struct weir_judgement){ .kind = WEIR_UNBAN };
		prefix_to_key(&entry->prefix, &list[count++].prefix);
	}
	if (count)
		rc = judgements_append(maps, list, count, err);
	free(list);
	return rc;
}

/* ---- in words ---- */

const char *judgement_name(uint8_t kind)
{
	static const char *const names[] = {
		[WEIR_BAN_SOURCE] = "ban-source",
		[WEIR_BAN_NETWORK] = "ban-network",
		[WEIR_WOULD_BAN_SOURCE] = "would-ban-source",
		[WEIR_WOULD_BAN_NETWORK] = "would-ban-network",
		[WEIR_UNBAN] = "unban",
		[WEIR_SPARED] = "spared",
		[WEIR_GAVE_WAY] = "gave-way",
	};

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : "?";
}

void judgement_explain(const struct weir_judgement *j, char *text, size_t size)
{
	char limit[64] = "", sources[48] = "", share[48] = "", ttl[FORMAT_LEN + 32] = "",
	     duration[FORMAT_LEN];

	if (j->kind == WEIR_UNBAN) {
		snprintf(text, size, "undone by a person");
		return;
	}
	if (j->kind == WEIR_GAVE_WAY) {
		snprintf(text, size, "most_bans is reached, and worse offenders take its place; it "
			 "dropped %llu pps lately", (unsigned long long)j->seen_pps);
		return;
	}
	if (j->limit_pps)
		snprintf(limit, sizeof(limit), ", %llu allowed", (unsigned long long)j->limit_pps);
	if (j->sources)
		snprintf(sources, sizeof(sources), ", from %u sources", j->sources);
	if (j->share_permille)
		snprintf(share, sizeof(share), ", %u.%u%% of all drops", j->share_permille / 10,
			 j->share_permille % 10);
	if (j->ttl_s) {
		format_duration(j->ttl_s, duration);
		snprintf(ttl, sizeof(ttl), ", strikes %u, for %s", j->strikes, duration);
	}
	snprintf(text, size, "%s%s%llu pps%s, %llu packets dropped in %u windows%s%s%s", j->text,
		 *j->text ? ": " : "", (unsigned long long)j->seen_pps, limit,
		 (unsigned long long)j->packets, j->windows, sources, share, ttl);
}

void judgement_comment(const struct weir_judgement *j, char text[WEIR_COMMENT])
{
	char sources[24] = "", limit[24] = "";

	if (j->limit_pps)
		snprintf(limit, sizeof(limit), "/%llu", (unsigned long long)j->limit_pps);
	if (j->sources)
		snprintf(sources, sizeof(sources), ", %u sources", j->sources);
	snprintf(text, WEIR_COMMENT, "%llu%s pps, %u windows%s", (unsigned long long)j->seen_pps,
		 limit, j->windows, sources);
}
