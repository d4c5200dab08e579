// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/btf.h>
#include <string.h>
#include <time.h>

#include "user/model/units.h"
#include "user/state/cookie_clock.h"

#define FRESH_S		60	/* half of the time for which the kernel accepts cookies */
#define DEPTH_MAX	8	/* of anonymous structs */

/*
 * The member of a struct by its name, also in anonymous structs of it. Returns its type, 0: none;
 * adds to @bytes where it is.
 */
static uint32_t find_member(const struct btf *btf, uint32_t id, const char *name, uint32_t *bytes,
			    int depth)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	if (!type || !btf_is_composite(type) || depth > DEPTH_MAX)
		return 0;
	for (int i = 0; i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *is = btf__name_by_offset(btf, member->name_off);
		uint32_t at = *bytes + btf_member_bit_offset(type, i) / 8, inner;
		int resolved = btf__resolve_type(btf, member->type);

		if (resolved < 0 || btf_member_bitfield_size(type, i))
			continue;
		if (is && !strcmp(is, name)) {
			*bytes = at;
			return resolved;
		}
		inner = is && *is ? 0 : find_member(btf, resolved, name, &at, depth + 1);
		if (inner) {
			*bytes = at;
			return inner;
		}
	}
	return 0;
}

/* Where the member at the end of @path, which begins with a struct's name, is. */
static bool find_path(const struct btf *btf, const char *const *path, size_t size, uint16_t *at)
{
	int id = btf__find_by_name_kind(btf, *path, BTF_KIND_STRUCT);
	uint32_t bytes = 0;

	while (id > 0 && *++path)
		id = find_member(btf, id, *path, &bytes, 0);
	if (id <= 0 || btf__resolve_size(btf, id) != (int64_t)size || bytes > INT16_MAX)
		return false;
	*at = bytes;
	return true;
}

/* The kernel's HZ: its coarse clock moves once a jiffy. 0: unknown. */
static uint32_t jiffies_per_s(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || !tick.tv_nsec)
		return 0;
	return (NS_PER_S + tick.tv_nsec / 2) / tick.tv_nsec;
}

bool cookie_clock_read(struct cookie_clock *clock)
{
	static const char *const stamp[] = { "tcp_sock", "rx_opt", "ts_recent_stamp", NULL };
	static const char *const group[] = { "tcp_sock", "inet_conn", "icsk_inet", "sk",
					     "sk_reuseport_cb", NULL };
	static const char *const group_stamp[] = { "sock_reuseport", "synq_overflow_ts", NULL };
	struct btf *btf = btf__load_vmlinux_btf();
	struct cookie_clock found = { .fresh = FRESH_S * jiffies_per_s() };
	bool good = btf && found.fresh && find_path(btf, stamp, 4, &found.stamp_at) &&
		    find_path(btf, group, sizeof(void *), &found.group_at) &&
		    find_path(btf, group_stamp, 4, &found.group_stamp_at);

	btf__free(btf);
	*clock = good ? found : (struct cookie_clock){ 0 };
	return good;
}
