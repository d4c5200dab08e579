/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The common part of `events`, `capture` and `top`: their words, and the loop that listens until a
 * signal, the time, detaching or the command ends it.
 */
#ifndef WEIR_CLI_WATCH_H
#define WEIR_CLI_WATCH_H

#include "user/cli/command.h"
#include "user/state/listen.h"

struct watch_words {
	struct wanted wanted;	/* .reasons: as given; 0: none were */
	bool passed;
	uint64_t count;		/* 0: no end */
	uint64_t seconds;	/* 0: no end */
	const char *file;	/* of capture */
};

/* Reads all @words by @table, whose struct is struct watch_words. 0, or -EINVAL with @err. */
int watch_parse(struct words words, const struct word *table, struct watch_words *w, char *err);
int watch_set_reason(void *into, const char *value, char *err);
int watch_set_from(void *into, const char *value, char *err);

/* The rows that are common to both commands. */
#define WATCH_SECONDS_MOST	(10 * 366 * 86400)
#define WATCH_WORDS \
	{ "reason", "a reason, such as rate-limit", watch_set_reason, .often = true }, \
	{ "from", "a prefix", watch_set_from }, \
	WORD_FLAG("passed", struct watch_words, passed), \
	WORD_NUMBER("count", struct watch_words, count, 1, UINT32_MAX), \
	WORD_NUMBER("seconds", struct watch_words, seconds, 1, WATCH_SECONDS_MOST)

enum watch_end {
	WATCH_GOES_ON,
	WATCH_SIGNAL,
	WATCH_ENOUGH,
	WATCH_TIME,
	WATCH_DETACHED,
	WATCH_FAILED,
};

struct watch {
	struct maps maps;
	struct listener *listener;
	char device[WEIR_DEVICES][16];	/* name by slot; "": the slot is free */
	bool bare[WEIR_DEVICES];	/* by slot: frames begin with IP */
	uint64_t unix_offset_ns;	/* CLOCK_REALTIME minus CLOCK_MONOTONIC */
	uint64_t end_ns;		/* 0: never */
	bool attached;			/* to any interface */
	bool may_be_deaf;		/* where all slots are taken, goes on without a listener */
	enum watch_end end;		/* the command may set it, to end the loop */
	/* Both may be NULL. tick: four times a second; flush: after each wait, every 50 ms. */
	void (*tick)(void *arg);
	void (*flush)(void *arg);
	void *arg;			/* of tick and flush, and of each packet */
};

/*
 * Opens the maps, installs the signal handlers and listens. 0, or -errno with @err.
 * @watch: with tick, flush and arg set.
 */
int watch_open(struct watch *watch, const struct watch_words *w, listen_each each, char *err);
/* Runs until a signal, the time, detaching, or watch->end. */
enum watch_end watch_run(struct watch *watch);
/* Returns how much was received in all. */
struct listen_totals watch_close(struct watch *watch);

/* "drop", "pass", or "would drop" for a packet that passed because of monitor mode. */
const char *event_action(const struct weir_event *event);

/* Whether a signal has ended the loop; a failed write is then no error. */
bool watch_is_signalled(void);
/* Whether @fd is a pipe without a reader, or a terminal that was closed. */
bool watch_reader_left(int fd);
/* Ends the process by SIGPIPE, after the command has cleaned up. */
void watch_die_of_pipe(void);

#endif
