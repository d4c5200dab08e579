// SPDX-License-Identifier: GPL-2.0-only
/*
 * An iterator over all BPF maps that says which memory control group each was charged to, which
 * is the group of the process that made it: a record of the map's id and the group's inode. The
 * ids that bpftool lists are those of the whole machine. The records are binary, since a format
 * string would be a map of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define KERNEL __attribute__((preserve_access_index))

struct kernfs_node {
	__u64 id;
} KERNEL;

struct cgroup {
	struct kernfs_node *kn;
} KERNEL;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
} KERNEL;

struct mem_cgroup {
	struct cgroup_subsys_state css;
} KERNEL;

struct obj_cgroup {
	struct mem_cgroup *memcg;
} KERNEL;

/* Named otherwise, as <linux/bpf.h> has no struct bpf_map, but libbpf's headers declare it. */
struct bpf_map___kernel {
	__u32 id;
	struct obj_cgroup *objcg;
} KERNEL;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} KERNEL;

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map___kernel *map;
} KERNEL;

struct record {
	__u64 group, id;
};

SEC("iter/bpf_map")
int owned(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map___kernel *map = ctx->map;
	struct record record = {};

	if (!map)
		return 0;
	record.id = BPF_CORE_READ(map, id);
	record.group = BPF_CORE_READ(map, objcg, memcg, css.cgroup, kn, id);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char _license[] SEC("license") = "GPL";
