/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `events` and `capture` have between them: their words, and the loop that
 * listens until somebody or something ends it.
 */
#ifndef WEIR_CLI_WATCH_H
#define WEIR_CLI_WATCH_H

#include "user/cli/command.h"
#include "user/state/listen.h"

struct watch_words {
	struct wanted wanted;	/* .reasons: those given; 0: none was */
	bool passed;
	uint64_t count;		/* 0: no end */
	uint64_t seconds;	/* 0: no end */
	const char *file;	/* of capture */
};

/* @table: of words whose set() gets a struct watch_words. -EINVAL with @err. */
int watch_parse(struct words words, const struct word *table, struct watch_words *w, char *err);
int watch_set_reason(void *into, const char *value, char *err);
int watch_set_from(void *into, const char *value, char *err);

/* The rows that both commands have. */
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
	char device[WEIR_DEVICES][16];	/* by slot; "": nothing is there */
	uint64_t unix_offset_ns;	/* from CLOCK_MONOTONIC to the time of day */
	uint64_t end_ns;		/* 0: never */
	bool attached;			/* to any interface */
	bool may_be_deaf;		/* goes on without a slot when all are taken: no listener */
	enum watch_end end;		/* may be set by the command, to end it */
	/* Both may be NULL. tick: four times a second; flush: after each wait, every 50 ms. */
	void (*tick)(void *arg);
	void (*flush)(void *arg);
	void *arg;			/* of tick and flush, and of each packet */
};

/*
 * Opens the maps and listens; signals are ours from then on. 0, or -errno with @err.
 * @watch: with tick, flush and arg set.
 */
int watch_open(struct watch *watch, const struct watch_words *w, listen_each each, char *err);
/* Until a signal, the time, detaching, or what the command says. */
enum watch_end watch_run(struct watch *watch);
/* What was listened to in all. */
struct listen_totals watch_close(struct watch *watch);

/* "drop", "pass", or "would drop" of what monitor mode let through. */
const char *event_action(const struct weir_event *event);

/* Whether a signal asks us to end: then writing fails for no other reason. */
bool watch_is_signalled(void);
/* Whether @fd is a pipe that nobody reads any more, or a terminal that is gone. */
bool watch_reader_left(int fd);
/* SIGPIPE's own end, for a command that has tidied up. */
void watch_die_of_pipe(void);

#endif
