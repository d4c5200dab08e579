// SPDX-License-Identifier: GPL-2.0-only
/*
 * The object loads and verifies with every combination of the switches in its .rodata; on an
 * emulated machine, with every pair of their values. The verifier deletes what a switch turns off,
 * so each combination is a program of its own, and is verified only where it is loaded.
 *
 * test_switches [OBJECT]: another compiler's object, for example.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bpf/weir.h"
#include "user/state/cookie_clock.h"
#include "user/state/tcp_window.h"

#define SWITCHES_MAX	16
#define FEW_BUCKETS	1024

/* A global of .rodata, and the two values between which it is tried. */
struct tried {
	const char *name;
	__u32 offset, size;
	__u64 value[2];
	bool number;		/* deletes no code: all of them change together, by bit 0 */
	int bit;		/* of the combination */
};

struct object {
	const char *path;
	struct bpf_object *first;	/* its maps serve all others too */
	struct tried switches[SWITCHES_MAX];
	int count, bits;
	__u32 least_insns, most_insns;	/* that the verifier went through */
};

/* All 0 without BTF: then their code is never tried. */
static struct cookie_clock kernel_clock;
static struct tcp_window kernel_window;
static char log_lines[1 << 16];
static size_t log_length;

/* The verifier's log is printed only where it refused. */
static int keep_log(enum libbpf_print_level level, const char *format, va_list args)
{
	int length;

	if (level == LIBBPF_DEBUG || log_length >= sizeof(log_lines) - 1)
		return 0;
	length = vsnprintf(log_lines + log_length, sizeof(log_lines) - log_length, format, args);
	log_length += length > 0 ? (size_t)length : 0;
	return 0;
}

static struct bpf_map *rodata_of(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map), *dot = strrchr(name, '.');

		if (dot && !strcmp(dot, ".rodata"))
			return map;
	}
	return NULL;
}

/* Where in the kernel's structs the program reads: these numbers alone are right. */
static bool take_offset(struct tried *tried)
{
	if (!strcmp(tried->name, "clock_stamp_at"))
		tried->value[0] = kernel_clock.stamp_at;
	else if (!strcmp(tried->name, "clock_group_at"))
		tried->value[0] = kernel_clock.group_at;
	else if (!strcmp(tried->name, "clock_group_stamp_at"))
		tried->value[0] = kernel_clock.group_stamp_at;
	else if (!strcmp(tried->name, "window_next_at"))
		tried->value[0] = kernel_window.next_at;
	else if (!strcmp(tried->name, "window_size_at"))
		tried->value[0] = kernel_window.size_at;
	else
		return false;
	tried->value[1] = tried->value[0];
	tried->number = true;
	return true;
}

/*
 * A switch, off and on; a number, by name, so that a new one is not forgotten: its
 * usual or least value, and another or its greatest.
 */
static int add_switch(struct object *object, const char *name, __u32 offset, __u32 size,
		      const __u8 *initial)
{
	struct tried *tried = &object->switches[object->count];

	if (object->count == SWITCHES_MAX)
		return -E2BIG;
	*tried = (struct tried){ name, offset, size, { 0, 1 }, .number = false };
	if (size == 4 && !strcmp(name, "device_slot")) {
		tried->value[1] = WEIR_DEVICES - 1;
		tried->number = true;
	} else if (size == 1 && !strcmp(name, "minute_shift")) {
		tried->value[0] = *initial;
		tried->number = true;
	} else if (size == 1 && !strcmp(name, "answer_weight")) {
		tried->value[0] = *initial;
		tried->value[1] = 0;
		tried->number = true;
	} else if (size == 2 && !strcmp(name, "mtu")) {
		tried->value[0] = 1280;
		tried->value[1] = 65535;
		tried->number = true;
	} else if (size == 8 && !strcmp(name, "link_cost")) {
		tried->value[1] = WEIR_TICKS_PER_S;
		tried->number = true;
	} else if (size == 4 && !strcmp(name, "clock_fresh")) {
		tried->value[1] = kernel_clock.fresh;
	} else if (size == 2 && take_offset(tried)) {
		;
	} else if (size == 8 && !strcmp(name, "try_until_ns")) {
		tried->value[1] = ~0ULL >> 1;
	} else if (size != 1 || *initial > 1) {
		return -ENOTSUP;
	}
	if (!tried->number)
		tried->bit = ++object->bits;
	object->count++;
	return 0;
}

static int find_switches(struct object *object)
{
	const struct btf *btf = bpf_object__btf(object->first);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC), rc = 0;
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, id) : NULL;
	const struct btf_var_secinfo *each = section ? btf_var_secinfos(section) : NULL;
	size_t length;
	const __u8 *rodata = section ? bpf_map__initial_value(rodata_of(object->first), &length) : NULL;

	for (int i = 0; section && i < btf_vlen(section) && !rc; i++) {
		const struct btf_type *var = btf__type_by_id(btf, each[i].type);
		const char *name = btf__name_by_offset(btf, var->name_off);

		if (btf_var(var)->linkage != BTF_VAR_GLOBAL_ALLOCATED)
			continue;
		rc = add_switch(object, name, each[i].offset, each[i].size, rodata + each[i].offset);
		if (rc)
			printf("not ok - %s: switch %s has %u bytes, and this test has no values for it\n",
			       object->path, name, each[i].size);
	}
	return rc;
}

static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_map *buckets = object ? bpf_object__find_map_by_name(object, "buckets") : NULL;

	if (buckets)
		bpf_map__set_max_entries(buckets, FEW_BUCKETS);
	return object;
}

static int share_maps(const struct object *object, struct bpf_object *other)
{
	struct bpf_map *map;
	int rc = 0;

	bpf_object__for_each_map(map, object->first)
		if (map != rodata_of(object->first) && !rc)
			rc = bpf_map__reuse_fd(bpf_object__find_map_by_name(other, bpf_map__name(map)),
					       bpf_map__fd(map));
	return rc;
}

static void note_insns(struct object *object, struct bpf_object *loaded)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, loaded) {
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		if (info.verified_insns > object->most_insns)
			object->most_insns = info.verified_insns;
		if (info.verified_insns < object->least_insns)
			object->least_insns = info.verified_insns;
	}
}

static int load_combination(struct object *object, unsigned combination, char *named, size_t size)
{
	struct bpf_object *other = open_object(object->path);
	int rc = other ? share_maps(object, other) : -errno;
	size_t used = 0, length = 0;
	char *rodata = NULL;

	if (!rc && object->count)
		rodata = (char *)bpf_map__initial_value(rodata_of(other), &length);
	for (int i = 0; i < object->count && !rc; i++) {
		const struct tried *tried = &object->switches[i];
		const __u64 *value = &tried->value[combination >> tried->bit & 1];

		if (!rodata || tried->offset + tried->size > length)
			rc = -EINVAL;
		else
			memcpy(rodata + tried->offset, value, tried->size);
		used += snprintf(named + used, size - used, " %s=%llu", tried->name, *value);
	}
	log_length = 0;
	if (!rc)
		rc = bpf_object__load(other);
	if (!rc)
		note_insns(object, other);
	bpf_object__close(other);
	return rc;
}

/*
 * An emulated machine takes five seconds for each combination. There, nine are tried in which each
 * pair of switches has each pair of its values: by the rows of an orthogonal array of strength 2,
 * in which column c of row r is the parity of r & (c + 1), and with all switches on.
 */
#define FEW_ROWS	8
#define FEW_BITS	7

static unsigned few_combination(const struct object *object, unsigned row)
{
	unsigned combination = 0;

	if (row == FEW_ROWS)
		return (2U << object->bits) - 1;
	for (int bit = 0; bit <= object->bits; bit++)
		combination |= (unsigned)__builtin_parity(row & (bit + 1)) << bit;
	return combination;
}

static bool load_all(struct object *object)
{
	bool few = getenv("WEIR_GUEST") && object->bits < FEW_BITS;
	unsigned combinations = few ? FEW_ROWS + 1 : 2U << object->bits, refused = 0;
	char named[1024] = "", kernel[80] = "";
	struct utsname uts;

	if (!uname(&uts))
		snprintf(kernel, sizeof(kernel), "Linux %s", uts.release);
	for (unsigned i = 0; i < combinations; i++) {
		int rc = load_combination(object, few ? few_combination(object, i) : i, named,
					  sizeof(named));

		if (!rc)
			continue;
		refused++;
		log_lines[sizeof(log_lines) - 1] = '\0';
		printf("%snot ok - %s loads with%s: %s\n", log_lines, object->path, named, strerror(-rc));
	}
	if (!refused)
		printf("ok - %s loads with every %s of %d switches and %d numbers "
		       "(%u combinations; the verifier went through %u to %u instructions; %s)\n",
		       object->path, few ? "pair of values" : "combination", object->bits,
		       object->count - object->bits, combinations, object->least_insns,
		       object->most_insns, kernel);
	return !refused;
}

int main(int argc, char **argv)
{
	const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
	struct object object = { .least_insns = ~0U };
	char path[256];
	bool good;

	snprintf(path, sizeof(path), "%s/bpf/weir.bpf.o", build);
	object.path = argc > 1 ? argv[1] : path;
	if (!cookie_clock_read(&kernel_clock))
		printf("skip - the clock of cookies: no BTF of the kernel\n");
	if (!tcp_window_read(&kernel_window))
		printf("skip - the windows of connections: no BTF of the kernel\n");
	libbpf_set_print(keep_log);
	object.first = open_object(object.path);
	if (!object.first) {
		printf("not ok - %s opens: %s\n", object.path, strerror(errno));
		return 1;
	}
	good = !find_switches(&object);
	if (good && bpf_object__load(object.first)) {
		log_lines[sizeof(log_lines) - 1] = '\0';
		printf("%snot ok - %s loads: %s\n", log_lines, object.path, strerror(errno));
		good = false;
	}
	good = good && load_all(&object);
	bpf_object__close(object.first);
	return good ? 0 : 1;
}
