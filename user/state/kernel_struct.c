// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "user/state/kernel_struct.h"

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

/* Megabytes, and some 10 ms: once in a process, which is a command that ends soon. */
static const struct btf *kernel_types(void)
{
	static struct btf *types;

	if (!types)
		types = btf__load_vmlinux_btf();
	return types;
}

bool kernel_member(const char *const *path, size_t size, uint16_t *at)
{
	const struct btf *btf = kernel_types();
	int id = btf ? btf__find_by_name_kind(btf, *path, BTF_KIND_STRUCT) : -ENOENT;
	uint32_t bytes = 0;

	while (id > 0 && *++path)
		id = find_member(btf, id, *path, &bytes, 0);
	if (id <= 0 || btf__resolve_size(btf, id) != (int64_t)size || bytes > INT16_MAX)
		return false;
	*at = bytes;
	return true;
}
