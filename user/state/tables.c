// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/state/tables.h"

#define BUCKET_BATCH	4096

/* ---- counters, which every CPU has for itself ---- */

/* Adds up the parts of all CPUs: structs of nothing but 64-bit counters, @size bytes each. */
static int sum_cpus(const struct maps *maps, enum map_id map, uint32_t slot, void *sum, size_t size)
{
	int cpus = libbpf_num_possible_cpus(), rc = 0;
	char *each = calloc(cpus, size);

	if (!each)
		return -ENOMEM;
	memset(sum, 0, size);
	if (bpf_map_lookup_elem(maps->fd[map], &slot, each))
		rc = -errno;
	for (int cpu = 0; cpu < cpus && !rc; cpu++)
		for (size_t i = 0; i < size / sizeof(uint64_t); i++)
			((uint64_t *)sum)[i] += ((uint64_t *)(each + cpu * size))[i];
	free(each);
	return rc;
}

/* @size: of the part of one CPU. */
static int clear_cpus(const struct maps *maps, enum map_id map, uint32_t slot, size_t size)
{
	void *zero = calloc(libbpf_num_possible_cpus(), size);
	int rc = 0;

	if (!zero)
		return -ENOMEM;
	if (bpf_map_update_elem(maps->fd[map], &slot, zero, BPF_ANY))
		rc = -errno;
	free(zero);
	return rc;
}

int maps_read_counters(const struct maps *maps, uint32_t slot, struct weir_counters *sum)
{
	return sum_cpus(maps, MAP_counters, slot, sum, sizeof(*sum));
}

int maps_clear_counters(const struct maps *maps, uint32_t slot)
{
	return clear_cpus(maps, MAP_counters, slot, sizeof(struct weir_counters));
}

/* ---- buckets ---- */

int maps_read_bucket(const struct maps *maps, const struct weir_bucket_key *key,
		     struct weir_bucket *bucket)
{
	return bpf_map_lookup_elem(maps->fd[MAP_buckets], key, bucket) ? -errno : 0;
}

int maps_each_bucket(const struct maps *maps,
		     int (*each)(const struct weir_bucket_key *key,
				 const struct weir_bucket *bucket, void *arg),
		     void *arg)
{
	struct weir_bucket_key *keys = calloc(BUCKET_BATCH, sizeof(*keys));
	struct weir_bucket *values = calloc(BUCKET_BATCH, sizeof(*values));
	bool more = true, first = true;
	__u64 position;
	int rc = 0;

	if (!keys || !values)
		rc = -ENOMEM;
	while (more && !rc) {
		__u32 count = BUCKET_BATCH;

		if (bpf_map_lookup_batch(maps->fd[MAP_buckets], first ? NULL : &position, &position,
					 keys, values, &count, NULL)) {
			if (errno != ENOENT) {
				rc = -errno;
				break;
			}
			more = false;
		}
		first = false;
		for (__u32 i = 0; i < count && !rc; i++)
			rc = each(&keys[i], &values[i], arg);
	}
	free(keys);
	free(values);
	return rc;
}

/* ---- budgets ---- */

int maps_read_budget(const struct maps *maps, uint32_t slot, struct weir_budget_state *state,
		     struct weir_spending *sum)
{
	if (bpf_map_lookup_elem(maps->fd[MAP_budgets], &slot, state))
		return -errno;
	return sum_cpus(maps, MAP_spending, slot, sum, sizeof(*sum));
}

int maps_clear_budget(const struct maps *maps, uint32_t slot)
{
	static const struct weir_budget_state none;

	if (bpf_map_update_elem(maps->fd[MAP_budgets], &slot, &none, BPF_ANY))
		return -errno;
	return clear_cpus(maps, MAP_spending, slot, sizeof(struct weir_spending));
}

/* ---- drop rules ---- */

int maps_read_rule(const struct maps *maps, uint32_t slot, struct weir_rule_count *sum)
{
	return sum_cpus(maps, MAP_rule_counts, slot, sum, sizeof(*sum));
}

int maps_clear_rule(const struct maps *maps, uint32_t slot)
{
	static const struct weir_rule_bucket full;

	if (bpf_map_update_elem(maps->fd[MAP_rule_buckets], &slot, &full, BPF_ANY))
		return -errno;
	return clear_cpus(maps, MAP_rule_counts, slot, sizeof(struct weir_rule_count));
}

int maps_read_common(const struct maps *maps, struct weir_common *common)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(maps->fd[MAP_common], &zero, common) ? -errno : 0;
}
