/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * weir top: the figures that it reads once a second (rates.c, sources.c), the screen (screen.c),
 * and the keys (cmd_top.c).
 */
#ifndef WEIR_CLI_TOP_TOP_H
#define WEIR_CLI_TOP_TOP_H

#include "user/model/error.h"
#include "user/model/format.h"
#include "user/state/maps.h"

#define TOP_HISTORY	60	/* seconds */
#define TOP_ROWS	512	/* of sources, and of networks */

/* ---- reasons, budgets and drop rules ---- */

struct top_reason {
	uint64_t packets;		/* since the first attach */
	double pps, bits_per_s;		/* in the last interval */
	double monitored_pps;		/* of those, packets that passed in monitor mode */
	double history[TOP_HISTORY];	/* pps; the newest last */
};

struct top_budget {
	char name[WEIR_NAME_LEN];
	char rate[FORMAT_LEN];
	double used;			/* 0..1, of the burst */
	bool pressed;
	double passed_pps, dropped_pps;
	double known_pps, proven_pps;	/* under pressure; proven sources are known, too */
};

struct top_rule {
	char name[WEIR_NAME_LEN];
	bool monitor;			/* "dropped" is what would be */
	double dropped_pps, spared_pps;
};

struct top_rates {
	struct top_reason reason[WEIR_REASON_MAX];
	struct top_reason all;
	double lost_pps;		/* packets that weir never saw, at least */
	double dropped_pps;		/* without packets that passed in monitor mode */
	struct top_budget budget[WEIR_BUDGETS];
	uint32_t budgets;
	struct top_rule rule[WEIR_RULES];	/* the one that drops most is the first */
	uint32_t rules;
	char devices[256];		/* name and mode of each, for the head */
	/* The counters of the last reading. */
	uint64_t read_ns;
	struct weir_counters sum;
	struct weir_loss_count lost[WEIR_DEVICES];
	struct weir_spending spending[WEIR_BUDGETS];
	struct weir_rule_count rule_count[WEIR_RULES];
};

/* Reads the counters, and computes rates since the last reading. */
void top_read_rates(struct top_rates *rates, const struct maps *maps,
		    const struct weir_policy *policy);

/* ---- sources and networks ---- */

struct top_row {
	struct prefix prefix;
	char class[CLASS_LEN];	/* of sources with a bucket; else "" */
	enum weir_reason reason;
	bool sampled;		/* estimated from samples */
	double dropped_pps, passed_pps;
	uint64_t dropped;	/* packets; of a sampled source, since top began */
};

struct top_rows {
	struct top_row at[TOP_ROWS];
	size_t count;
};

struct top_sources;
struct top_sources *top_sources_new(void);
void top_sources_free(struct top_sources *sources);
/* Counts a sampled packet. */
void top_note_packet(struct top_sources *sources, const struct weir_event *event);
/*
 * The buckets of candidates are read every time. The whole table is searched for new candidates
 * so rarely that this takes at most 1/50 of the time.
 */
void top_read_sources(struct top_sources *sources, const struct maps *maps,
		      const struct weir_policy *policy, struct top_rows *rows);
void top_read_networks(struct top_sources *sources, const struct maps *maps,
		       struct top_rows *rows);
/* The number of buckets, at the last search. */
uint64_t top_bucket_count(const struct top_sources *sources);

/* ---- the screen ---- */

#define TOP_WIDTH	80	/* the smallest terminal */
#define TOP_HEIGHT	24

enum top_sort { SORT_DROPPED_PPS, SORT_PASSED_PPS, SORT_DROPPED, SORT_PREFIX, SORTS };
enum top_table { TABLE_SOURCES, TABLE_NETWORKS, TABLES };

struct top_screen {
	const struct top_rates *rates;
	struct top_rows *rows[TABLES];
	uint64_t buckets;
	enum top_sort sort;
	enum top_table focus;
	bool paused, ascii, deaf, help;
	size_t line[TABLES];		/* of the selection */
	struct top_row chosen[TABLES];	/* the row when it was selected */
	char message[ERR_LEN];		/* shown instead of the keys */
	bool alarming;			/* the message is an error */
};

/* Moves the selection by @by lines. */
void top_select(struct top_screen *screen, int by);
/* Sorts the rows; a selected row stays selected unless it was in the first line. */
void top_sort_rows(struct top_screen *screen);
void top_draw(struct top_screen *screen);
/* The selected row of the focused table, or NULL. */
const struct top_row *top_selected(const struct top_screen *screen);

#endif
