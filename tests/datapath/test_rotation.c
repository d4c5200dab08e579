// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next generation of the block set, and the other side of the settings, are
 * put in force while two threads run packets through the program without a
 * pause. Not one verdict may be wrong.
 *
 * A source in both sets is always blocked, one in neither set never, and one in
 * a single set may be either. Each kind of source has a program of its own in
 * each thread, so that the counters give the verdict of every packet.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/weir.skel.h"
#include "tests/unit/check.h"
#include "user/host/clock.h"
#include "user/state/datapath.h"
#include "user/model/format.h"
#include "user/state/lists.h"
#include "user/model/policy.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/block_set.h"
#include "user/state/hints.h"
#include "user/state/side_settings.h"
#include "user/state/tables.h"

#define SWAPS	     100
#define FLIPS	     20
#define THREADS	     2
#define SOURCES	     64 /* of each kind; every other one is IPv6 */
#define BUCKETS	     (1U << 16)
#define V4_COMMON    100000
#define V6_COMMON    50000
#define V4_EXTRA     40000 /* only in the first set; the second has five times as many */
#define V6_EXTRA     15000
#define SETTLE_S     10.0 /* at most, until the kernel has freed maps */
#define MADE_MAX     1024
#define NEVER_ENDING (3600 * NS_PER_S)

enum kind { ALWAYS, NEVER, ALLOWED, BANNED, EITHER, KINDS };

/*
 * Packets in one call. The first thread goes from source to source. The second
 * stays with one source for long, without a pause: the kernel waits twice for
 * RCU around each call of more than one packet.
 */
static const uint32_t packets_per_call[THREADS] = { 1, 100000 };

static const char *const kind_names[KINDS] = { "always blocked", "never blocked", "allowed",
					       "banned for a while", "in one set of the two" };

#define MAY(reason) (1ULL << WEIR_##reason)
static const uint64_t may_be[KINDS] = {
	[ALWAYS] = MAY(DROP_LIST),
	[NEVER] = MAY(CONTINUE) | MAY(PASS_LIMIT),
	[ALLOWED] = MAY(PASS_ALLOW),
	[BANNED] = MAY(DROP_BAN),
	[EITHER] = MAY(DROP_LIST) | MAY(CONTINUE) | MAY(PASS_LIMIT),
};

struct source {
	struct prefix address;
	uint8_t frame[80];
	uint32_t size;
};

struct shooter {
	pthread_t thread;
	unsigned int number;
	int prog_fd[KINDS];
	uint64_t packets[KINDS]; /* read once the thread has ended */
	uint64_t wrong[KINDS];
	int error;
};

struct range {
	struct weir_bpf *skel[THREADS * KINDS];
	struct maps maps;
	struct shooter shooter[THREADS];
	struct prefixes common, set[2]; /* merged */
	size_t prefixes[2];		/* before merging */
	struct source source[KINDS][SOURCES];
	struct settings settings;
	uint64_t generation;
	uint32_t made[MADE_MAX]; /* ids of all inner maps */
	size_t made_count;
	uint64_t set_bytes; /* of all block sets that were made */
};

static struct range range;
static atomic_bool stopping;

static void die(const char *what, int rc)
{
	printf("not ok - the rotation: %s: %s\n", what, strerror(rc < 0 ? -rc : errno));
	exit(EXIT_FAILURE);
}

/* ---- the sets ---- */

static struct prefix random_prefix(unsigned long long *state, bool ipv6)
{
	static const uint8_t v4_lengths[] = { 32, 32, 32, 32, 32, 31, 30, 29, 28, 27, 26, 24, 24 };
	static const uint8_t v6_lengths[] = { 128, 128, 64, 64, 64, 56, 48, 48, 40, 32 };
	unsigned long long bits = check_random(state), more = check_random(state);
	struct prefix prefix;

	if (ipv6) {
		prefix = (struct prefix){ 0x2000ULL << 48 | bits >> 3, more,
					  v6_lengths[more % sizeof(v6_lengths)] };
	} else {
		uint8_t length = v4_lengths[more % sizeof(v4_lengths)];

		if ((more >> 32) % 4096 == 0)
			length = 12 + more % 8;
		prefix = prefix_v4((1 + bits % 222) << 24 | (bits >> 32 & 0xffffff), length);
	}
	prefix_mask(&prefix);
	return prefix;
}

static void add_random(struct prefixes *set, unsigned long long *state, size_t v4, size_t v6)
{
	for (size_t i = 0; i < v4 + v6; i++) {
		struct prefix prefix = random_prefix(state, i >= v4);

		if (prefixes_add(set, &prefix))
			die("the sets", -ENOMEM);
	}
}

static void make_sets(unsigned long long *state)
{
	add_random(&range.common, state, V4_COMMON, V6_COMMON);
	for (int i = 0; i < 2; i++) {
		struct prefixes *set = &range.set[i];

		add_random(set, state, i ? 5 * V4_EXTRA : V4_EXTRA, i ? 5 * V6_EXTRA : V6_EXTRA);
		if (prefixes_append(set, &range.common))
			die("the sets", -ENOMEM);
		range.prefixes[i] = prefixes_count(set);
		if (prefixes_merge(set))
			die("the sets", -ENOMEM);
	}
	if (prefixes_merge(&range.common))
		die("the sets", -ENOMEM);
}

/* ---- the sources ---- */

static struct prefix random_host(const struct prefix *prefix, unsigned long long *state)
{
	struct prefix host = { check_random(state), check_random(state), 128 }, net = host;

	net.length = prefix->length;
	prefix_mask(&net);
	host.hi = prefix->hi | (host.hi ^ net.hi);
	host.lo = prefix->lo | (host.lo ^ net.lo);
	return host;
}

static bool is_in(int set, const struct prefix *address)
{
	return prefixes_cover(&range.set[set], address);
}

/* Beside a blocked address, often in the same /24 or /32, where a mistake would show. */
static struct prefix neighbour(const struct prefix *address, unsigned long long *state)
{
	struct prefix other = *address;
	unsigned int bit = check_random(state) % (prefix_is_v4(address) ? 12 : 100);

	if (bit < 64)
		other.lo ^= 1ULL << bit;
	else
		other.hi ^= 1ULL << (bit - 64);
	return other;
}

static bool fits(enum kind kind, const struct prefix *address)
{
	int sets = is_in(0, address) + is_in(1, address);

	return kind == EITHER ? sets == 1 : kind == NEVER ? sets == 0 : sets == 2;
}

static struct prefix draw_address(enum kind kind, bool ipv6, unsigned long long *state)
{
	enum prefix_family family = ipv6 ? PREFIX_V6 : PREFIX_V4;
	const struct prefixes *from;
	struct prefix prefix, address;

	do {
		from = kind == EITHER ? &range.set[check_random(state) % 2] : &range.common;
		prefix =
			prefixes_get(from, family, check_random(state) % prefixes_in(from, family));
		address = random_host(&prefix, state);
		if (kind == NEVER)
			address = neighbour(&address, state);
	} while (!fits(kind, &address));
	return address;
}

/* UDP to port 9. */
static void build_frame(struct source *source)
{
	static const uint8_t v4[] = { 0x45, 0, 0, 46, 0,   1, 0, 0, 64, 17, 0, 0, 0, 0,
				      0,    0, 0, 0,  192, 0, 2, 1, 0,	99, 0, 9, 0, 26 };
	static const uint8_t v6[] = { 0x60, 0, 0, 0, 0, 26, 17, 64 };
	static const uint8_t udp[] = { 0, 99, 0, 9, 0, 26 };
	struct weir_prefix key;

	prefix_to_key(&source->address, &key);
	source->frame[12] = 0x08;
	source->size = 60;
	memcpy(source->frame + 14, v4, sizeof(v4));
	memcpy(source->frame + 14 + 12, key.addr + 12, 4);
	if (prefix_is_v4(&source->address))
		return;
	source->frame[12] = 0x86;
	source->frame[13] = 0xdd;
	source->size = 80;
	memset(source->frame + 14, 0, sizeof(source->frame) - 14);
	memcpy(source->frame + 14, v6, sizeof(v6));
	memcpy(source->frame + 14 + 8, key.addr, 16);
	memcpy(source->frame + 14 + 40, udp, sizeof(udp));
}

static void make_sources(unsigned long long *state)
{
	for (int kind = 0; kind < KINDS; kind++) {
		for (int i = 0; i < SOURCES; i++) {
			struct source *source = &range.source[kind][i];

			source->address = draw_address(kind, i & 1, state);
			build_frame(source);
		}
	}
}

/* ---- the programs and their maps ---- */

static void open_programs(void)
{
	struct weir_bpf *first = NULL;
	int rc;

	for (int i = 0; i < THREADS * KINDS; i++) {
		struct weir_bpf *skel = weir_bpf__open();
		struct bpf_map *map;

		if (!skel)
			die("cannot open the program", 0);
		bpf_map__set_max_entries(skel->maps.buckets, BUCKETS);
		for (int id = 0; id < MAP_COUNT && first; id++) {
			map = bpf_object__find_map_by_name(skel->obj, map_names[id]);
			rc = bpf_map__reuse_fd(map, range.maps.fd[id]);
			if (rc)
				die("cannot share the maps", rc);
		}
		skel->rodata->device_slot = i;
		rc = weir_bpf__load(skel);
		if (rc)
			die("cannot load the program", rc);
		range.skel[i] = skel;
		range.shooter[i / KINDS].number = i / KINDS;
		range.shooter[i / KINDS].prog_fd[i % KINDS] =
			bpf_program__fd(skel->progs.weir_ingress);
		for (int id = 0; id < MAP_COUNT && !first; id++)
			range.maps.fd[id] =
				bpf_object__find_map_fd_by_name(skel->obj, map_names[id]);
		first = range.skel[0];
	}
}

static void set_up(void)
{
	range.maps = (struct maps){ .lock = -1, .meta.seed = 0x5eed5eed5eed5eedULL,
				     .meta.minute_shift = WEIR_MINUTE_SHIFT };
	open_programs();
	range.maps.hints = mmap(NULL, round_to_pages(sizeof(*range.maps.hints)),
				PROT_READ | PROT_WRITE, MAP_SHARED, range.maps.fd[MAP_hints], 0);
	if (range.maps.hints == MAP_FAILED)
		die("hints", 0);
}

/* ---- which maps there are ---- */

static bool was_made(uint32_t id)
{
	for (size_t i = 0; i < range.made_count; i++)
		if (range.made[i] == id)
			return true;
	return false;
}

static void note_map(uint32_t id)
{
	if (was_made(id))
		return;
	if (range.made_count == MADE_MAX)
		die("more maps than there is room for", -ENOSPC);
	range.made[range.made_count++] = id;
}

static void note_set(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		die("a set's map", 0);
	note_map(info.id);
	range.set_bytes += (uint64_t)info.max_entries * info.value_size;
}

/* Notes the maps in the slots of the outer maps. Returns how many there are. */
static size_t note_inner_maps(void)
{
	static const enum map_id outer[] = { MAP_allow, MAP_block, MAP_hosts, MAP_scopes,
					     MAP_policy, MAP_blockset };
	size_t count = 0;

	for (size_t i = 0; i < sizeof(outer) / sizeof(*outer); i++) {
		for (__u32 side = 0; side < WEIR_SIDES; side++) {
			__u32 id;

			if (bpf_map_lookup_elem(range.maps.fd[outer[i]], &side, &id))
				continue;
			note_map(id);
			count++;
		}
	}
	return count;
}

/* How many of the maps that were made here are there. Those of other processes do not count. */
static size_t count_maps(void)
{
	size_t count = 0;
	__u32 id = 0;

	while (!bpf_map_get_next_id(id, &id))
		count += was_made(id);
	return count;
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	if (!dir)
		die("/proc/self/fd", 0);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Waits until only @wanted of our maps are left. Returns how many are. */
static size_t settle(size_t wanted)
{
	double until = check_seconds() + SETTLE_S;
	size_t count;

	while (count = count_maps(), count != wanted && check_seconds() < until)
		usleep(20000);
	return count;
}

/* Memory of this process that no file backs, in KiB; pages swapped out count. */
static long own_memory(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	long resident = 0, swapped = 0;
	char line[128];

	if (!file)
		die("/proc/self/status", 0);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "RssAnon: %ld", &resident);
		sscanf(line, "VmSwap: %ld", &swapped);
	}
	fclose(file);
	return resident + swapped;
}

/* ---- the fire ---- */

static int shoot(struct shooter *shooter, enum kind kind, struct source *source)
{
	uint32_t packets = packets_per_call[shooter->number];
	uint8_t out[128];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = source->frame, .data_size_in = source->size,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = packets);

	if (bpf_prog_test_run_opts(shooter->prog_fd[kind], &opts))
		return -errno;
	shooter->packets[kind] += packets;
	return 0;
}

static void *keep_shooting(void *arg)
{
	struct shooter *shooter = arg;

	while (!stopping && !shooter->error)
		for (int i = 0; i < SOURCES && !stopping; i++)
			for (int kind = 0; kind < KINDS && !shooter->error; kind++)
				shooter->error = shoot(shooter, kind, &range.source[kind][i]);
	return NULL;
}

static void open_fire(void)
{
	stopping = false;
	for (int i = 0; i < THREADS; i++) {
		memset(range.shooter[i].packets, 0, sizeof(range.shooter[i].packets));
		for (int kind = 0; kind < KINDS; kind++)
			maps_clear_counters(&range.maps, i * KINDS + kind);
		if (pthread_create(&range.shooter[i].thread, NULL, keep_shooting,
				   &range.shooter[i]))
			die("cannot start a thread", 0);
	}
}

static void cease_fire(struct check *check)
{
	stopping = true;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(range.shooter[i].thread, NULL);
		CHECK(check, !range.shooter[i].error, "test run: %s",
		      strerror(-range.shooter[i].error));
	}
}

/* Each packet is counted under one reason, and under one that its source may have. */
static void check_verdicts(struct check *check, const char *what)
{
	char name[128];

	for (int kind = 0; kind < KINDS; kind++) {
		uint64_t sent = 0, dropped = 0, counted = 0;

		for (int i = 0; i < THREADS; i++) {
			struct weir_counters counters;

			if (maps_read_counters(&range.maps, i * KINDS + kind, &counters))
				die("counters", 0);
			sent += range.shooter[i].packets[kind];
			for (int reason = 0; reason < WEIR_REASON_MAX; reason++) {
				uint64_t packets = counters.reason[reason].packets;

				CHECK(check, !packets || may_be[kind] >> reason & 1,
				      "%llu packets %s", (unsigned long long)packets,
				      reason_name(reason));
				counted += packets;
				if (!strcmp(reason_action(reason), "drop"))
					dropped += packets;
			}
		}
		CHECK(check, counted == sent && sent, "%llu packets sent, %llu counted",
		      (unsigned long long)sent, (unsigned long long)counted);
		CHECK(check, kind != EITHER || (dropped && dropped < sent),
		      "%llu of %llu dropped: both sets should have been seen",
		      (unsigned long long)dropped, (unsigned long long)sent);
		snprintf(name, sizeof(name), "%s: %s", what, kind_names[kind]);
		check_done(check, name, "%llu packets, %llu dropped, none of them wrongly",
			   (unsigned long long)sent, (unsigned long long)dropped);
	}
}

/* ---- the settings ---- */

static void put_entries(struct entries *entries, enum kind kind, uint64_t until_ns)
{
	for (int i = 0; i < SOURCES; i++) {
		struct weir_entry entry = { .until_ns = until_ns, .added_unix_s = i };

		if (entries_put(entries, &range.source[kind][i].address, &entry) < 0)
			die("entries", -ENOMEM);
	}
}

static void write_settings(struct settings *is)
{
	char err[ERR_LEN];
	int rc = policy_compile(is->policy, err);

	if (!rc)
		rc = maps_replace_settings(&range.maps, &range.settings, is, -1, err);
	if (rc)
		die(err, rc);
	settings_free(&range.settings);
	range.settings = *is;
}

static void write_first_settings(void)
{
	struct settings is;

	if (settings_init(&range.settings) || settings_init(&is))
		die("settings", -ENOMEM);
	put_entries(&is.allow, ALLOWED, 0);
	put_entries(&is.block, BANNED, now_ns() + NEVER_ENDING);
	write_settings(&is);
}

/* Changes nothing for the sources of this test: other entries and a generous limit come and go. */
static void change_settings(struct settings *is, int turn, unsigned long long *state)
{
	struct weir_limit_spec spec = { .any_proto = 1, .rate_packets = 1000000000, .per_s = 1 };
	struct weir_entry entry = { 0 };
	char err[ERR_LEN];

	if (settings_init(is))
		die("settings", -ENOMEM);
	put_entries(&is->allow, ALLOWED, 0);
	put_entries(&is->block, BANNED, range.settings.block.at[0].value.until_ns);
	for (int i = 0; i < 1000; i++) {
		struct prefix stranger = { 0xfd00ULL << 48 | check_random(state) >> 16,
					   check_random(state), 128 };

		if (entries_put(turn % 2 ? &is->allow : &is->block, &stranger, &entry) < 0)
			die("settings", -ENOMEM);
	}
	memcpy(is->policy, range.settings.policy, sizeof(*is->policy));
	if (turn % 2)
		policy_remove(is->policy, policy_find(is->policy, &spec));
	else if (policy_set(is->policy, &spec, 32, 64, 0, err) < 0)
		die(err, -EINVAL);
	if (policy_compile(is->policy, err))
		die(err, -EINVAL);
}

/* ---- rotation ---- */

static int compile_set(int which)
{
	char err[ERR_LEN];
	int fd, rc;

	rc = block_set_compile(&range.maps, &range.set[which], ++range.generation, &fd, err);
	if (rc)
		die(err, rc);
	note_set(fd);
	hints_for_set(range.maps.hints, &range.set[which], true);
	return fd;
}

static void swap_set(int which)
{
	int fd = compile_set(which), rc = block_set_put(&range.maps, fd);

	if (rc)
		die("cannot swap the set", rc);
	hints_for_set(range.maps.hints, &range.set[which], false);
	close(fd);
}

static bool same_bans(const struct entries *a, const struct entries *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->count != b->count || prefix_cmp(&a->at[i].prefix, &b->at[i].prefix) ||
		    a->at[i].value.until_ns != b->at[i].value.until_ns)
			return false;
	return true;
}

static void check_bans(struct check *check)
{
	struct settings now;
	char err[ERR_LEN];

	if (maps_read_settings(&range.maps, &now, err))
		die(err, -EIO);
	CHECK(check, now.block.count == SOURCES && same_bans(&range.settings.block, &now.block),
	      "%zu of %d bans are left, or their ends differ", now.block.count, SOURCES);
	check_done(check, "swaps keep the bans", "%zu bans, each with its end", now.block.count);
	settings_free(&now);
}

/*
 * A map that the kernel keeps has an id, or a descriptor here. Of what a swap allocates in this
 * process nothing may stay: a tenth of one set's size for each would be seen.
 */
static void check_leaks(struct check *check, long memory_before, size_t fds_before)
{
	size_t inner = note_inner_maps(), ours = settle(inner), fds = count_fds();
	long grown = own_memory() - memory_before, most = range.set_bytes / 1024 / 10;

	CHECK(check, ours == inner, "%zu inner maps are in force, %zu of %zu made are left", inner,
	      ours, range.made_count);
	CHECK(check, fds == fds_before, "%zu file descriptors before, %zu after", fds_before, fds);
	CHECK(check, grown < most, "this process has %ld KiB more", grown);
	check_done(check, "nothing leaks",
		   "%zu maps made, of %zu MiB, %zu in force and left; this process: %+ld KiB of %ld",
		   range.made_count, (size_t)(range.set_bytes >> 20), ours, grown, memory_before);
}

static void test_swaps(struct check *check)
{
	double started = check_seconds();
	size_t fds_before;
	long memory_before;

	swap_set(0);
	swap_set(1);
	settle(note_inner_maps());
	fds_before = count_fds();
	memory_before = own_memory();
	open_fire();
	for (int i = 0; i < SWAPS; i++)
		swap_set(i % 2);
	cease_fire(check);
	check_done(check, "swaps under fire", "%d swaps between %zu and %zu prefixes in %.1f s",
		   SWAPS, range.prefixes[0], range.prefixes[1], check_seconds() - started);
	check_verdicts(check, "swaps of the block set");
	check_bans(check);
	check_leaks(check, memory_before, fds_before);
}

/* The settings alone, and together with the next block set, as restore writes them. */
static void test_flips(struct check *check, unsigned long long *state)
{
	size_t fds = count_fds(), inner, ours;
	double started = check_seconds();
	struct settings is;
	char err[ERR_LEN];

	open_fire();
	for (int i = 1; i <= FLIPS; i++) {
		uint32_t side = range.maps.hints->side;
		int which = i / 2 % 2, fd = i % 2 ? -1 : compile_set(which);

		change_settings(&is, i, state);
		if (maps_replace_settings(&range.maps, &range.settings, &is, fd, err))
			die(err, -EIO);
		if (fd >= 0) {
			hints_for_set(range.maps.hints, &range.set[which], false);
			close(fd);
		}
		settings_free(&range.settings);
		range.settings = is;
		note_inner_maps();
		CHECK(check, range.maps.hints->side != side, "flip %d changed no side", i);
	}
	cease_fire(check);
	check_done(check, "flips under fire",
		   "%d flips, every other one with a block set, in %.1f s", FLIPS,
		   check_seconds() - started);
	check_verdicts(check, "flips of the settings");
	inner = note_inner_maps();
	ours = settle(inner);
	CHECK(check, ours == inner, "%zu inner maps are in force, %zu are left", inner, ours);
	CHECK(check, count_fds() == fds, "%zu file descriptors before, %zu after", fds,
	      count_fds());
	check_done(check, "flips leave nothing behind", "%zu inner maps are in force and left",
		   ours);
}

static void close_down(struct check *check)
{
	size_t ours;

	munmap(range.maps.hints, round_to_pages(sizeof(*range.maps.hints)));
	for (int i = 0; i < THREADS * KINDS; i++)
		weir_bpf__destroy(range.skel[i]);
	ours = settle(0);
	CHECK(check, ours == 0, "%zu maps are left", ours);
	check_done(check, "in the end no map is left", "%zu were made", range.made_count);
	settings_free(&range.settings);
	prefixes_free(&range.common);
	prefixes_free(&range.set[0]);
	prefixes_free(&range.set[1]);
}

int main(void)
{
	unsigned long long seed = check_seed(), state = seed;
	struct check check = { 0 };

	datapath_verbose(false);
	make_sets(&state);
	make_sources(&state);
	printf("seed %llu: %zu and %zu prefixes, %zu and %zu after merging\n", seed,
	       range.prefixes[0], range.prefixes[1], prefixes_count(&range.set[0]),
	       prefixes_count(&range.set[1]));
	set_up();
	write_first_settings();
	test_swaps(&check);
	test_flips(&check, &state);
	close_down(&check);
	return check_exit(&check);
}
