// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures of the program without noise: its instructions, the bytes of machine
 * code, the instructions that the verifier went through to prove all paths, and
 * the stack of the deepest calls as Linux 6.1 counts it (stack_depth.h).
 * None may grow by more than a tenth unless the recorded figure changes, too
 * (`make record`), where a reviewer sees it.
 *
 * They depend on the compiler and the kernel: each pair has a record of its
 * own, and on a machine without one there is nothing to compare with.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "stack_depth.h"

#define RECORD		"tests/recorded.txt"
#define FEW_BUCKETS	1024
#define LINES_MAX	64
#define LINE_MAX_LEN	256
#define GROWTH_PERCENT	10
#define LOG_LEN		65536
#define LOG_STATS	4	/* BPF_LOG_STATS of the kernel: no log but the statistics */

enum figure { INSNS, JITED_BYTES, VERIFIED_INSNS, STACK_BYTES, FIGURES };

static const char *const figure_names[FIGURES] = { "instructions", "bytes of machine code",
						   "instructions verified",
						   "bytes of stack, as Linux 6.1 counts" };

static const char head[] =
	"# What the program of bpf/weir.bpf.c comes to; `make record` adds or replaces a line.\n"
	"# CLANG MACHINE KERNEL: instructions, bytes of machine code, instructions verified,\n"
	"# bytes of stack on the deepest chain of calls, as Linux 6.1 counts it\n";

/* Prints the deepest chain, each function with its frame. */
static void print_chain(const struct stack *stack, int program)
{
	struct bpf_func_info functions[STACK_FRAMES];
	struct bpf_prog_info info = { .nr_func_info = STACK_FRAMES,
				      .func_info_rec_size = sizeof(functions[0]),
				      .func_info = (uintptr_t)functions };
	__u32 size = sizeof(info);
	struct btf *btf = NULL;
	int at = 0;

	if (!bpf_obj_get_info_by_fd(program, &info, &size))
		btf = btf__load_from_kernel_by_id(info.btf_id);
	printf("# deepest calls, with their bytes of stack:");
	do {
		const struct btf_type *type = btf && info.nr_func_info == (__u32)stack->functions ?
					      btf__type_by_id(btf, functions[at].type_id) : NULL;

		printf(" %s %u", type ? btf__name_by_offset(btf, type->name_off) : "?",
		       stack->depth[at]);
		at = stack->next[at];
	} while (at);
	printf("\n");
	btf__free(btf);
}

static int count(const char *path, unsigned long figures[FIGURES])
{
	static char log[LOG_LEN];
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log,
		    .kernel_log_size = sizeof(log), .kernel_log_level = LOG_STATS);
	struct bpf_object *object = bpf_object__open_file(path, &opts);
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	struct bpf_program *program;
	static struct stack stack;
	int rc;

	if (!object)
		return -errno;
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "buckets"), FEW_BUCKETS);
	rc = bpf_object__load(object);
	program = bpf_object__find_program_by_name(object, "weir_ingress");
	if (!rc)
		rc = program ? bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) :
			       -ENOENT;
	figures[STACK_BYTES] = rc ? 0 : stack_read(&stack, program, log);
	if (figures[STACK_BYTES])
		print_chain(&stack, bpf_program__fd(program));
	else if (!rc)
		rc = -ENODATA;
	bpf_object__close(object);
	figures[INSNS] = info.xlated_prog_len / 8;
	figures[JITED_BYTES] = info.jited_prog_len;
	figures[VERIFIED_INSNS] = info.verified_insns;
	return rc;
}

/* "14 x86_64 6.18", by the compiler's major version and the kernel's series. */
static bool name_machine(char *name, size_t size)
{
	const char *clang = getenv("CLANG") ? getenv("CLANG") : "clang";
	unsigned int version = 0, major, minor;
	char command[128];
	struct utsname uts;
	FILE *pipe;

	snprintf(command, sizeof(command), "%s -dumpversion", clang);
	pipe = popen(command, "r");
	if (!pipe)
		return false;
	if (fscanf(pipe, "%u", &version) != 1)
		version = 0;
	pclose(pipe);
	if (!version || uname(&uts) || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		return false;
	snprintf(name, size, "%u %s %u.%u", version, uts.machine, major, minor);
	return true;
}

/* The record's lines but the comments; returns how many. */
static int read_record(char lines[LINES_MAX][LINE_MAX_LEN])
{
	FILE *file = fopen(RECORD, "r");
	int n = 0;

	while (file && n < LINES_MAX && fgets(lines[n], LINE_MAX_LEN, file))
		n += lines[n][0] != '#';
	if (file)
		fclose(file);
	return n;
}

static const char *after_name(const char *line, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(line, name, length) && line[length] == ':' ? line + length + 1 : NULL;
}

static int record(const char *name, const unsigned long figures[FIGURES])
{
	char lines[LINES_MAX][LINE_MAX_LEN];
	int n = read_record(lines);
	FILE *file = fopen(RECORD, "w");

	if (!file) {
		fprintf(stderr, "record: %s: %s\n", RECORD, strerror(errno));
		return 1;
	}
	fputs(head, file);
	for (int i = 0; i < n; i++)
		if (!after_name(lines[i], name))
			fputs(lines[i], file);
	fprintf(file, "%s: %lu %lu %lu %lu\n", name, figures[INSNS], figures[JITED_BYTES],
		figures[VERIFIED_INSNS], figures[STACK_BYTES]);
	printf("%s: clang, machine and kernel %s: %lu instructions, %lu bytes, %lu verified, "
	       "%lu bytes of stack\n", RECORD, name, figures[INSNS], figures[JITED_BYTES],
	       figures[VERIFIED_INSNS], figures[STACK_BYTES]);
	return fclose(file) ? 1 : 0;
}

static bool compare(const char *name, const unsigned long figures[FIGURES])
{
	char lines[LINES_MAX][LINE_MAX_LEN];
	unsigned long was[FIGURES];
	int n = read_record(lines);
	bool good = true;

	for (int i = 0; i < n; i++) {
		const char *rest = after_name(lines[i], name);

		if (!rest || sscanf(rest, "%lu %lu %lu %lu", &was[0], &was[1], &was[2],
				     &was[3]) != FIGURES)
			continue;
		for (int f = 0; f < FIGURES; f++) {
			bool grown = figures[f] * 100 > was[f] * (100 + GROWTH_PERCENT);

			printf(grown ? "not ok - %s: %lu, recorded %lu: if it must be, `make record`\n" :
				       "ok - %s (%lu, recorded %lu)\n",
			       figure_names[f], figures[f], was[f]);
			good &= !grown;
		}
		return good;
	}
	printf("skip - instructions, machine code, verification, stack (%lu, %lu, %lu, %lu): "
	       "%s has no line for \"%s\"; `make record` adds it\n",
	       figures[INSNS], figures[JITED_BYTES], figures[VERIFIED_INSNS],
	       figures[STACK_BYTES], RECORD, name);
	return true;
}

int main(int argc, char **argv)
{
	const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
	bool recording = argc == 2 && !strcmp(argv[1], "record");
	unsigned long figures[FIGURES];
	char path[256], name[128];
	int rc;

	if (argc > 1 && !recording) {
		fprintf(stderr, "usage: test_counted [record]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/bpf/weir.bpf.o", build);
	rc = count(path, figures);
	if (rc) {
		printf("not ok - %s loads: %s\n", path, strerror(-rc));
		return 1;
	}
	if (!name_machine(name, sizeof(name))) {
		printf("not ok - the compiler's version: %s does not tell\n",
		       getenv("CLANG") ? getenv("CLANG") : "clang");
		return 1;
	}
	if (recording)
		return record(name, figures);
	return compare(name, figures) ? 0 : 1;
}
