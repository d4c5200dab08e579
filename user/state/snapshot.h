/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of weir at one moment, as far as it can be read in a few milliseconds. */
#ifndef WEIR_STATE_SNAPSHOT_H
#define WEIR_STATE_SNAPSHOT_H

#include "user/model/error.h"
#include "user/state/census.h"
#include "user/state/lists.h"
#include "user/state/loss_watch.h"

struct snapshot_device {
	struct weir_device device;
	bool attached;
	struct weir_counters counters;
	struct losses losses;		/* packets that the program never saw */
};

struct snapshot_budget {
	struct weir_budget_spec spec;
	struct weir_spending spent;	/* summed over the CPUs */
	double used;			/* of the burst: 1 is exhausted */
	bool pressed;			/* it dropped packets in the last second */
};

struct snapshot_rule {
	char name[WEIR_NAME_LEN];
	bool monitor, daemons;		/* it only counts; the daemon has put it in force */
	struct weir_rule_count count;	/* summed over the CPUs */
};

struct snapshot {
	bool in_use;			/* false: no maps, and nothing else here is set */
	char why_not[ERR_LEN];
	struct snapshot_device *devices;
	size_t device_count;
	struct snapshot_budget *budgets;
	size_t budget_count;
	struct snapshot_rule rules[WEIR_RULES];	/* the drop rules */
	size_t rule_count;
	struct list_info *lists;
	size_t list_count;
	uint64_t set_generation, policy_generation;
	uint32_t limits;
	struct census buckets, known;
	uint64_t known_of_tier[WEIR_TIERS];	/* estimated, from WEIR_SEEN on */
	struct weir_common common;
	bool known_is_full;		/* proof found no room in the last minutes */
	double gate_share;		/* of cells that owe */
	struct weir_tally tally;
	struct weir_cookie_watch cookies;
	double daemon_age_s;		/* since its last loop; negative: there was none */
	char alarm[ERR_LEN];		/* what weir-restore could not restore; "": nothing */
	double took_s;			/* to read all this */
};

/* weir-restore writes this file when it starts with less than was set; `weir restore` removes it. */
#define ALARM_FILE	"/var/lib/weir/alarm"

/* 0, or -errno with @err; to be freed in the first case. */
int snapshot_read(struct snapshot *snapshot, char *err);
void snapshot_free(struct snapshot *snapshot);

/* How full the tables are that have an end. */
#define SNAPSHOT_TABLES	4
struct snapshot_table {
	const char *name;
	uint64_t entries, most, capacity;
};
void snapshot_tables(const struct snapshot *snapshot,
		     struct snapshot_table tables[SNAPSHOT_TABLES]);

/* A daemon that has not finished a loop for this long is dead or stuck. */
#define DAEMON_SILENT_S	10

static inline bool snapshot_daemon_is_up(const struct snapshot *snapshot)
{
	return snapshot->daemon_age_s >= 0 && snapshot->daemon_age_s < DAEMON_SILENT_S;
}

#endif
