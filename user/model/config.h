/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's settings file. Pure: config_parse() reads from memory. */
#ifndef WEIR_MODEL_CONFIG_H
#define WEIR_MODEL_CONFIG_H

#include "user/model/judge.h"
#include "user/model/rule_judge.h"

#define CONFIG_FILE	"/etc/weir/weir.yaml"
#define CONFIG_TEXT	256		/* of a path, NUL included */
#define CONFIG_LISTS	256

/* A list that the daemon loads at its start and when the file changes. */
struct config_list {
	char name[WEIR_NAME_LEN];
	char file[CONFIG_TEXT];
	char format[16];
	uint64_t every_ns;		/* 0: it is read again only when the file changes */
	bool skip_bad;
	uint8_t force;			/* enum weir_guard: the guards that are overruled */
};

struct config {
	struct judge_rules judge;
	struct rule_judge_rules rules;	/* but for undo and remember, which are those of bans */
	bool mode_was_monitor;		/* the file gives the mode by its older name */
	uint64_t window_ns;
	bool watch;
	uint64_t settle_ns;
	struct config_list lists[CONFIG_LISTS];
	size_t list_count;
	char known_file[CONFIG_TEXT], settings_file[CONFIG_TEXT];	/* "": off */
	char traffic_file[CONFIG_TEXT];					/* "": off */
	uint64_t save_every_ns;
	char calm_file[CONFIG_TEXT];	/* "": off */
	uint64_t calm_every_ns;
	uint64_t log_drops_ns;		/* 0: off */
	uint64_t incident_least_pps, incident_times, incident_keep;	/* keep 0: off */
	uint64_t incident_age_ns;
	char http_address[CONFIG_TEXT];
	uint64_t http_port;		/* 0: off */
	char http_socket[CONFIG_TEXT], http_socket_group[CONFIG_TEXT];	/* "": off, none */
};

enum config_kind {
	CONFIG_NUMBER,			/* uint64_t */
	CONFIG_DURATION,		/* `30s 10m 2h 7d`, uint64_t in ns; `off` where it may be 0 */
	CONFIG_FLAG,			/* `yes no`, bool */
	CONFIG_MODE,			/* `enforce judge`, bool */
	CONFIG_RULES,			/* `off suggest auto`, uint8_t of enum rules_mode */
	CONFIG_STRING,			/* char[CONFIG_TEXT] */
	CONFIG_ADDRESS,			/* char[CONFIG_TEXT], IPv4 or IPv6 */
	CONFIG_SOCKET,			/* char[CONFIG_TEXT], the path of a Unix socket, or "" */
	CONFIG_LIST_NAME,		/* char[WEIR_NAME_LEN] */
	CONFIG_LIST_FORMAT,		/* char[16] */
	CONFIG_GUARDS,			/* `[own, coverage]`, uint8_t of enum weir_guard */
};

/* The table by which keys are read, printed, documented and tested. */
struct config_key {
	const char *section;		/* "": the top level; "lists.load": of each list */
	const char *name;
	enum config_kind kind;
	size_t offset;			/* in struct config, or in struct config_list */
	uint64_t least, most;		/* of a duration in seconds; least 0: `off` is allowed */
	const char *initial;		/* the default, as in a file; NULL: the key must be given */
	const char *help;		/* with the unit */
};

/* The last one is empty. */
extern const struct config_key config_keys[];

/* The settings without a file. */
void config_defaults(struct config *config);
/* 0, or -errno with @err: "NAME:LINE: why", and @config unchanged. */
int config_parse(const char *name, const char *data, size_t size, struct config *config, char *err);
int config_read(const char *file, struct config *config, char *err);
/* The value of a key as a file would give it; @base: the struct that holds it. */
void config_format(const struct config_key *key, const void *base, char *text, size_t size);

#endif
