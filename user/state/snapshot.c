// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/host/clock.h"
#include "user/host/file.h"
#include "user/model/error.h"
#include "user/model/text.h"
#include "user/model/units.h"
#include "user/state/block_set.h"
#include "user/model/drop_rules.h"
#include "user/state/budgets.h"
#include "user/state/cookie_watch.h"
#include "user/state/device.h"
#include "user/state/proof.h"
#include "user/state/side_settings.h"
#include "user/state/snapshot.h"
#include "user/state/tables.h"


static int read_devices(const struct maps *maps, struct snapshot *snapshot)
{
	struct snapshot_device *each;

	snapshot->devices = calloc(WEIR_DEVICES, sizeof(*snapshot->devices));
	if (!snapshot->devices)
		return -ENOMEM;
	loss_watch_look(maps);
	for (uint32_t slot = 0;; slot++) {
		each = &snapshot->devices[snapshot->device_count];
		if (!device_next(maps, &slot, &each->device))
			break;
		if (maps_read_counters(maps, slot, &each->counters))
			continue;
		each->attached = device_is_attached(maps, &each->device);
		loss_watch_read(maps, slot, &each->device, &each->losses);
		snapshot->device_count++;
	}
	return 0;
}

/* ---- budgets ---- */

static int read_budget(const struct maps *maps, const struct weir_policy *policy, uint32_t slot,
		       struct snapshot_budget *budget)
{
	struct weir_budget_state state;
	int rc = maps_read_budget(maps, slot, &state, &budget->spent);

	if (rc)
		return rc;
	budget->spec = policy->budget_spec[slot];
	budget->used = budget_used(&policy->budget[slot], &state);
	budget->pressed = budget_is_pressed(&state);
	return 0;
}

/* Of a rule that cannot be read the counts are left out. */
static void read_rule(const struct maps *maps, const struct weir_rule_spec *spec, uint32_t slot,
		      struct snapshot *snapshot)
{
	struct snapshot_rule rule = { .monitor = spec->monitor,
				      .daemons = spec->origin == WEIR_BY_DAEMON };

	if (maps_read_rule(maps, slot, &rule.count))
		return;
	memcpy(rule.name, spec->name, sizeof(rule.name));
	snapshot->rules[snapshot->rule_count++] = rule;
}

static int read_policy(const struct maps *maps, struct snapshot *snapshot, char *err)
{
	const struct weir_policy *policy = maps_map_policy(maps, err);

	if (!policy)
		return -EIO;
	snapshot->policy_generation = policy->generation;
	snapshot->budgets = calloc(WEIR_BUDGETS, sizeof(*snapshot->budgets));
	for (uint32_t i = 1; i < WEIR_LIMITS; i++)
		snapshot->limits += policy->spec[i].used;
	for (uint32_t i = 0; i < WEIR_RULES; i++)
		if (rule_is_used(&policy->rule_spec[i]))
			read_rule(maps, &policy->rule_spec[i], i, snapshot);
	for (uint32_t i = 1; i < WEIR_BUDGETS && snapshot->budgets; i++)
		if (policy->budget_spec[i].limit.used &&
		    !read_budget(maps, policy, i, &snapshot->budgets[snapshot->budget_count]))
			snapshot->budget_count++;
	maps_unmap_policy(policy);
	return snapshot->budgets ? 0 : fail(err, ENOMEM, "cannot read the budgets: out of memory");
}

/* ---- all of it ---- */

static void note_most(uint32_t *most, uint64_t is)
{
	if (is > *most)
		*most = is;
}

static int read_tables(const struct maps *maps, struct snapshot *snapshot, char *err)
{
	struct weir_tally *tally = &maps->hints->tally;
	int rc = census_buckets(maps, &snapshot->buckets);

	if (!rc)
		rc = census_known(maps, &snapshot->known, snapshot->known_of_tier);
	if (!rc)
		rc = census_gate(maps, &snapshot->gate_share);
	if (!rc)
		rc = maps_read_common(maps, &snapshot->common);
	if (rc)
		return fail(err, -rc, "cannot count what the tables hold: %s", strerror(-rc));
	note_most(&tally->most_buckets, snapshot->buckets.entries);
	note_most(&tally->most_known, snapshot->known.entries);
	snapshot->tally = *tally;
	snapshot->known_is_full = known_is_full(&snapshot->common);
	cookie_watch_look(maps);
	snapshot->cookies = maps->hints->cookie_watch;
	snapshot->daemon_age_s = tally->daemon_ns ?
				 (double)(now_ns() - tally->daemon_ns) / NS_PER_S : -1;
	return 0;
}

static int read_all(const struct maps *maps, struct snapshot *snapshot, char *err)
{
	int rc = read_devices(maps, snapshot);

	if (rc)
		return fail(err, -rc, "cannot read the counters: %s", strerror(-rc));
	rc = read_policy(maps, snapshot, err);
	if (!rc)
		rc = read_tables(maps, snapshot, err);
	if (!rc)
		rc = lists_read(&snapshot->lists, &snapshot->list_count, err);
	if (rc)
		return rc;
	rc = block_set_generation(maps, &snapshot->set_generation);
	return rc ? fail(err, -rc, "cannot read the block set in force: %s", strerror(-rc)) : 0;
}

static void read_alarm(char alarm[ERR_LEN])
{
	struct file_text text;
	char ignored[ERR_LEN];

	if (file_read(ALARM_FILE, 4096, &text, ignored))
		return;
	text.data[strcspn(text.data, "\n")] = '\0';
	text_escape(text.data, alarm, ERR_LEN);
	file_text_free(&text);
}

int snapshot_read(struct snapshot *snapshot, char *err)
{
	uint64_t start = now_ns();
	struct maps maps;
	int rc = maps_open(&maps, MAPS_READ, err);

	*snapshot = (struct snapshot){ 0 };
	if (rc == -ENOENT) {
		snprintf(snapshot->why_not, sizeof(snapshot->why_not), "%s", err);
		return 0;
	}
	if (rc)
		return rc;
	snapshot->in_use = true;
	rc = read_all(&maps, snapshot, err);
	read_alarm(snapshot->alarm);
	maps_close(&maps);
	snapshot->took_s = (double)(now_ns() - start) / NS_PER_S;
	if (rc)
		snapshot_free(snapshot);
	return rc;
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->devices);
	free(snapshot->budgets);
	free(snapshot->lists);
	*snapshot = (struct snapshot){ 0 };
}

void snapshot_tables(const struct snapshot *snapshot, struct snapshot_table tables[SNAPSHOT_TABLES])
{
	const struct weir_tally *tally = &snapshot->tally;
	uint64_t block = (uint64_t)tally->block[0][0] + tally->block[0][1] + tally->block[1][0] +
			 tally->block[1][1];

	tables[0] = (struct snapshot_table){ "buckets", snapshot->buckets.entries,
					     tally->most_buckets, snapshot->buckets.capacity };
	tables[1] = (struct snapshot_table){ "known", snapshot->known.entries, tally->most_known,
					     snapshot->known.capacity };
	tables[2] = (struct snapshot_table){ "allow", tally->allow, tally->most_allow,
					     WEIR_ENTRIES };
	tables[3] = (struct snapshot_table){ "block", block, tally->most_block, WEIR_ENTRIES };
}
