/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real program on maps of its own, unpinned: for tests that run single
 * packets through it by BPF_PROG_TEST_RUN. What cannot work without root or
 * memory ends the test with a "not ok".
 */
#ifndef WEIR_TESTS_PROGRAM_H
#define WEIR_TESTS_PROGRAM_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "user/state/datapath.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/lists.h"
#include "user/model/dns_rules.h"
#include "user/model/drop_rules.h"
#include "user/model/drop_words.h"
#include "user/model/policy.h"
#include "user/model/syn_rules.h"
#include "user/model/units.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

#define PROGRAM_BUCKETS (1U << 16)

struct program {
	struct bpf_object *object;
	struct maps maps;
	struct settings settings; /* in force */
};

static inline __attribute__((noreturn)) void die(const char *what, int rc)
{
	printf("not ok - %s: %s\n", what, strerror(rc < 0 ? -rc : errno));
	exit(EXIT_FAILURE);
}

/* Before loading: a table of @entries buckets. */
static inline void program_size(struct bpf_object *object, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[MAP_buckets]);

	if (!map || bpf_map__set_max_entries(map, entries))
		die("the table of buckets", 0);
}

/* Of a loaded object. */
static inline void program_take(struct program *program, struct bpf_object *object)
{
	__u32 zero = 0;

	*program = (struct program){ .object = object };
	program->maps = (struct maps){ .lock = -1, .meta.seed = 0x5eed5eed5eed5eedULL,
				     .meta.minute_shift = WEIR_MINUTE_SHIFT };
	for (int i = 0; i < MAP_COUNT; i++) {
		program->maps.fd[i] = bpf_object__find_map_fd_by_name(object, map_names[i]);
		if (program->maps.fd[i] < 0)
			die(map_names[i], program->maps.fd[i]);
	}
	if (bpf_map_update_elem(program->maps.fd[MAP_meta], &zero, &program->maps.meta, BPF_ANY))
		die("meta", 0);
	program->maps.hints = mmap(NULL, round_to_pages(sizeof(*program->maps.hints)),
				   PROT_READ | PROT_WRITE, MAP_SHARED, program->maps.fd[MAP_hints],
				   0);
	if (program->maps.hints == MAP_FAILED)
		die("hints", 0);
	if (settings_init(&program->settings))
		die("settings", -ENOMEM);
}

/* Before loading: the maps of a program that is loaded already. */
static inline void program_share(const struct program *program, struct bpf_object *object)
{
	for (int i = 0; i < MAP_COUNT; i++)
		if (bpf_map__reuse_fd(bpf_object__find_map_by_name(object, map_names[i]),
				      program->maps.fd[i]))
			die(map_names[i], 0);
}

static inline void program_close(struct program *program)
{
	munmap(program->maps.hints, round_to_pages(sizeof(*program->maps.hints)));
	settings_free(&program->settings);
}

/* Compiles @is and puts it in force; it belongs to @program afterwards. */
static inline void program_set(struct program *program, struct settings *is)
{
	bool first = !program->settings.policy->generation; /* the maps have no side yet */
	char err[ERR_LEN];
	int rc = policy_compile(is->policy, err);

	if (!rc)
		rc = maps_write_settings(&program->maps, &program->settings, is, first, err);
	if (rc)
		die(err, rc);
	settings_free(&program->settings);
	program->settings = *is;
}

/* Adds a limit; @from NULL: for all sources. */
static inline void add_limit(struct settings *settings, const char *from,
			     struct weir_limit_spec spec, uint8_t v4_bits, uint8_t v6_bits)
{
	struct prefix prefix;
	char err[ERR_LEN];

	if (from && (prefix_parse(from, &prefix, NULL, err)))
		die(err, -EINVAL);
	if (from)
		prefix_to_key(&prefix, &spec.from);
	if (policy_set(settings->policy, &spec, v4_bits, v6_bits, 0, err) < 0)
		die(err, -EINVAL);
}

static inline void add_entry(struct entries *entries, const char *text, uint64_t until_ns)
{
	struct weir_entry value = { .until_ns = until_ns };
	struct prefix prefix;
	char err[ERR_LEN];

	if (prefix_parse(text, &prefix, NULL, err) || entries_put(entries, &prefix, &value) < 0)
		die(text, -EINVAL);
}

/* A SYN rule; @to NULL: for all addresses. */
static inline void add_syn_rule(struct settings *settings, struct weir_syn_rule rule,
				const char *to)
{
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (to && prefix_parse(to, &prefix, NULL, err))
		die(err, -EINVAL);
	prefix_to_key(&prefix, &rule.to);
	if (syn_set(settings->policy, &rule, err) < 0)
		die(err, -EINVAL);
}

/* A DNS rule; @to NULL: for all addresses. */
static inline void add_dns_rule(struct settings *settings, uint16_t port, bool always,
				const char *to)
{
	struct weir_dns_rule rule = { .port = port, .always = always };
	struct prefix prefix = { 0 };
	char err[ERR_LEN];

	if (to && prefix_parse(to, &prefix, NULL, err))
		die(err, -EINVAL);
	prefix_to_key(&prefix, &rule.to);
	if (dns_set(settings->policy, &rule, err) < 0)
		die(err, -EINVAL);
}

/* A drop rule in the words of `drop add`. */
static inline void add_drop_rule(struct settings *settings, const char *line, uint64_t until_ns)
{
	char copy[256], *words[32], *rest = copy, err[ERR_LEN];
	struct drop_words w;
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((words[count] = strsep(&rest, " ")) && count < 31)
		count++;
	words[count] = NULL;
	if (parse_drop_words(&(struct words){ words }, &w, err))
		die(line, -EINVAL);
	w.spec.until_ns = until_ns;
	if (rule_set(settings->policy, &w.spec, err) < 0)
		die(err, -EINVAL);
}

/* Puts a block set of these prefixes in force, and frees them. */
static inline void program_put_set(struct program *program, struct prefixes *set,
				   uint64_t generation)
{
	char err[ERR_LEN];
	int fd;

	if (prefixes_merge(set) ||
	    block_set_compile(&program->maps, set, generation, &fd, err))
		die("block set", -ENOMEM);
	hints_for_set(program->maps.hints, set, false);
	if (block_set_put(&program->maps, fd))
		die("block set", 0);
	close(fd);
	prefixes_free(set);
}

/* Removes what sources owe at the gate, all lines in one call. */
static inline void clear_gate(const struct program *program)
{
	static const struct weir_gate_line empty[WEIR_GATE_LINES];
	static __u32 lines[WEIR_GATE_LINES];
	__u32 count = WEIR_GATE_LINES;

	for (__u32 i = 0; i < WEIR_GATE_LINES; i++)
		lines[i] = i;
	if (bpf_map_update_batch(program->maps.fd[MAP_gate], lines, empty, &count, NULL))
		die("gate", 0);
}

/* Runs one frame; the program's action, an XDP_*. */
static inline uint32_t run_frame(int prog_fd, const void *data, uint32_t size, uint32_t times)
{
	static uint8_t out[8192];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = times);

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		die("test run", 0);
	return opts.retval;
}

/* Of slot 0 since the last call; and zeroes them. */
static inline struct weir_counters take_counters(struct program *program)
{
	struct weir_counters sum;

	if (maps_read_counters(&program->maps, 0, &sum) || maps_clear_counters(&program->maps, 0))
		die("counters", 0);
	return sum;
}

static inline uint64_t count_packets(const struct weir_counters *counters)
{
	uint64_t sum = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		sum += counters->reason[i].packets;
	return sum;
}

#endif
