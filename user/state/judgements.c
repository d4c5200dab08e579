// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/host/clock.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/rule_judge.h"
#include "user/model/rule_spec.h"
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

/* Rules of the daemon that are gone, or that an operator's rule of the same name has replaced. */
static size_t note_rules_undone(const struct settings *was, const struct settings *is,
				uint64_t now, struct weir_judgement *list, size_t most)
{
	size_t count = 0;

	for (uint32_t i = 0; i < WEIR_RULES && count < most; i++) {
		const struct weir_rule_spec *spec = &was->policy->rule_spec[i];
		uint32_t slot;

		if (!rule_is_in_force(spec, now) || spec->origin != WEIR_BY_DAEMON)
			continue;
		slot = rule_find(is->policy, spec->name);
		if (slot != NO_RULE && is->policy->rule_spec[slot].origin == WEIR_BY_DAEMON)
			continue;
		list[count] = (struct weir_judgement){ .kind = WEIR_RULE_UNDONE };
		rule_spec_write(spec, list[count].text, sizeof(list[count].text));
		count++;
	}
	return count;
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
	count += note_rules_undone(was, is, now, list + count, UNDONE_MOST - count);
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
		[WEIR_RULE] = "rule",
		[WEIR_WOULD_RULE] = "would-rule",
		[WEIR_RULE_ENDED] = "rule-ended",
		[WEIR_RULE_WITHDRAWN] = "rule-withdrawn",
		[WEIR_RULE_GAVE_WAY] = "rule-gave-way",
		[WEIR_RULE_OFF] = "rule-off",
		[WEIR_RULE_UNDONE] = "rule-undone",
	};

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : "?";
}

/* Hundredths of a percent, rounded down. */
static const char *percent(uint32_t millionths, char text[16])
{
	snprintf(text, 16, "%u.%02u%%", millionths / 10000, millionths / 100 % 100);
	return text;
}

/* A rule that was found: what it is, and both figures. */
static void explain_found(const struct weir_judgement *j, char *text, size_t size)
{
	char flood[16], calm[16], ttl[FORMAT_LEN], why[sizeof(j->why) + 16] = "";
	const char *match = j->text + strcspn(j->text, " ");

	format_duration(j->ttl_s, ttl);
	if (*j->why)
		snprintf(why, sizeof(why), "; not sure: %s", j->why);
	snprintf(text, size, "%s: matches %s of the %llu pps that are turned away, and with 95 %% "
		 "confidence less than %s of calm traffic; %s%s, strikes %u%s",
		 match + strspn(match, " "), percent(j->flood_millionths, flood),
		 (unsigned long long)j->seen_pps, percent(j->calm_millionths + 99, calm),
		 j->kind == WEIR_RULE ? "for " : "not put in force, and not said again for ", ttl,
		 j->strikes, why);
}

/* A rule whose time is over, for one of several causes. */
static void explain_end(const struct weir_judgement *j, char *text, size_t size)
{
	char cause[JUDGEMENT_TEXT] = "", source[PREFIX_STRLEN];
	const char *match = j->text + strcspn(j->text, " ");
	struct prefix prefix;

	prefix_from_key(&j->prefix, &prefix);
	prefix_format_short(&prefix, source);
	if (j->kind == WEIR_RULE_ENDED)
		snprintf(cause, sizeof(cause), "its time is over");
	else if (j->kind == WEIR_RULE_WITHDRAWN)
		snprintf(cause, sizeof(cause), "it hit %s, a known source, which was spared; others "
			 "like it would not be", source);
	else if (j->kind == WEIR_RULE_GAVE_WAY)
		snprintf(cause, sizeof(cause), "it dropped nothing any more, and another rule takes "
			 "its place");
	else
		snprintf(cause, sizeof(cause), "the settings say no longer that rules are put in "
			 "force");
	snprintf(text, size, "%s: %s; it dropped %llu packets", match + strspn(match, " "), cause,
		 (unsigned long long)j->packets);
}

void judgement_explain(const struct weir_judgement *j, char *text, size_t size)
{
	char limit[64] = "", sources[48] = "", share[48] = "", ttl[FORMAT_LEN + 32] = "",
	     duration[FORMAT_LEN];

	if (j->kind == WEIR_UNBAN || j->kind == WEIR_RULE_UNDONE) {
		snprintf(text, size, "undone by a person");
		return;
	}
	if (j->kind == WEIR_RULE || j->kind == WEIR_WOULD_RULE) {
		explain_found(j, text, size);
		return;
	}
	if (judgement_is_of_rule(j->kind)) {
		explain_end(j, text, size);
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

const char *judgement_subject(const struct weir_judgement *j, char text[JUDGEMENT_SUBJECT])
{
	struct prefix prefix;

	if (judgement_is_of_rule(j->kind)) {
		snprintf(text, JUDGEMENT_SUBJECT, "%.*s", (int)strcspn(j->text, " "), j->text);
	} else {
		prefix_from_key(&j->prefix, &prefix);
		prefix_format(&prefix, text);
	}
	return text;
}

bool judgement_command(const struct weir_judgement *j, char text[JUDGEMENT_COMMAND])
{
	char subject[JUDGEMENT_SUBJECT];

	judgement_subject(j, subject);
	switch (j->kind) {
	case WEIR_BAN_SOURCE:
	case WEIR_BAN_NETWORK:
		snprintf(text, JUDGEMENT_COMMAND, "undo: weir block del %s", subject);
		return true;
	case WEIR_RULE:
		snprintf(text, JUDGEMENT_COMMAND, "undo: weir drop del %s", subject);
		return true;
	case WEIR_WOULD_RULE:
		snprintf(text, JUDGEMENT_COMMAND, "do: weir drop add %s ttl 1h", j->text);
		return !strstr(j->text, "...");	/* one that was cut is no command */
	default:
		return false;
	}
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
