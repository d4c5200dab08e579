// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/model/units.h"
#include "user/state/copies.h"

void copies_open(struct copies *copies, const struct maps *maps)
{
	*copies = (struct copies){ .maps = maps, .cpus = libbpf_num_possible_cpus() };
	for (int i = 0; i < MAP_COUNT; i++)
		copies->outer[i] = (struct map_view){ .fd = -1, .outer = i };
}

static size_t mapped_bytes(const struct map_view *view)
{
	return round_to_pages((size_t)view->entries * view->value_size);
}

static void drop_copy(struct copy *copy)
{
	free(copy->value);
	free(copy->original);
}

void copies_close(struct copies *copies)
{
	for (uint32_t i = 0; i < copies->count; i++)
		drop_copy(&copies->copy[i]);
	for (uint32_t i = 0; i < copies->inner_count; i++) {
		if (copies->inner[i].mapped)
			munmap(copies->inner[i].mapped, mapped_bytes(&copies->inner[i]));
		close(copies->inner[i].fd);
	}
	copies->count = copies->inner_count = 0;
}

static bool is_per_cpu(const struct map_view *view)
{
	return view->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* Of one CPU's part, as the kernel lays them out. */
static size_t stride_of(const struct map_view *view)
{
	return is_per_cpu(view) ? (view->value_size + 7) & ~7U : view->value_size;
}

static size_t value_bytes(const struct copies *copies, const struct map_view *view)
{
	return stride_of(view) * (is_per_cpu(view) ? copies->cpus : 1);
}

void copies_rewind(struct copies *copies)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < copies->count; i++) {
		struct copy *copy = &copies->copy[i];

		if (copy->value && !copy->original) {	/* one of copies_add() */
			drop_copy(copy);
			continue;
		}
		if (copy->value)
			memcpy(copy->value, copy->original, value_bytes(copies, copy->view));
		copies->copy[kept++] = *copy;
	}
	copies->count = kept;
}

/* ---- maps ---- */

static bool take_fd(struct map_view *view, int fd)
{
	struct bpf_map_info info = { 0 };

	if (map_info(fd, &info) || info.key_size > COPIES_KEY)
		return false;
	view->fd = fd;
	view->type = info.type;
	view->key_size = info.key_size;
	view->value_size = info.value_size;
	view->entries = info.max_entries;
	return true;
}

/* What is replaced as a whole is never written to, and is large: it is mapped. 0 or -errno. */
static int open_inner(const struct copies *copies, enum side_map kind, struct map_view *view)
{
	int fd = side_open(copies->maps, kind, view->side);

	if (fd < 0)
		return fd;
	if (take_fd(view, fd) && !side_is_replaced(kind))
		return 0;
	if (view->fd >= 0)
		view->mapped = mmap(NULL, mapped_bytes(view), PROT_READ, MAP_SHARED, fd, 0);
	if (view->mapped && view->mapped != MAP_FAILED)
		return 0;
	close(fd);
	return -EIO;
}

static struct map_view *inner_view(struct copies *copies, uint32_t outer, uint32_t side)
{
	struct map_view *view = &copies->inner[copies->inner_count];
	int kind = 0, rc;

	for (uint32_t i = 0; i < copies->inner_count; i++)
		if (copies->inner[i].outer == outer && copies->inner[i].side == side)
			return &copies->inner[i];
	while (kind < SIDE_MAPS && side_outer(kind) != outer)
		kind++;
	if (kind == SIDE_MAPS || side >= WEIR_SIDES)	/* a ring of events */
		return NULL;
	*view = (struct map_view){ .fd = -1, .outer = outer, .side = side };
	rc = open_inner(copies, kind, view);
	if (rc) {
		copies->failed |= rc != -ENOENT;
		return NULL;
	}
	copies->inner_count++;
	return view;
}

/* ---- elements ---- */

static struct copy *find_copy(struct copies *copies, const struct map_view *view, const void *key)
{
	for (uint32_t i = 0; i < copies->count; i++)
		if (copies->copy[i].view == view &&
		    !memcmp(copies->copy[i].key, key, view->key_size))
			return &copies->copy[i];
	return NULL;
}

static struct copy *new_copy(struct copies *copies, const struct map_view *view, const void *key)
{
	struct copy *copy;

	if (copies->count == COPIES_MAX) {
		copies->failed = true;
		return NULL;
	}
	copy = &copies->copy[copies->count++];
	*copy = (struct copy){ .view = view };
	memcpy(copy->key, key, view->key_size);
	return copy;
}

static void read_element(struct copies *copies, struct copy *copy)
{
	size_t bytes = value_bytes(copies, copy->view);

	copy->value = malloc(bytes);
	copy->original = malloc(bytes);
	if (!copy->value || !copy->original) {
		copies->failed = true;
	} else if (!bpf_map_lookup_elem(copy->view->fd, copy->key, copy->original)) {
		memcpy(copy->value, copy->original, bytes);
		return;
	} else if (errno != ENOENT) {
		copies->failed = true;
	}
	drop_copy(copy);
	copy->value = copy->original = NULL;
}

static void *part_of(const struct copies *copies, const struct copy *copy)
{
	if (!copy || !copy->value)
		return NULL;
	return copy->value + (is_per_cpu(copy->view) ? copies->cpu * stride_of(copy->view) : 0);
}

void *copies_find(struct copies *copies, struct map_view *view, const void *key)
{
	uint32_t index = *(const uint32_t *)key;	/* of an array; of others of no meaning */
	struct copy *copy;

	if (view->fd < 0 && !take_fd(view, copies->maps->fd[view->outer])) {
		copies->failed = true;
		return NULL;
	}
	if (view->type == BPF_MAP_TYPE_ARRAY_OF_MAPS)
		return inner_view(copies, view->outer, index);
	if (view->mapped)
		return index < view->entries ?
			       (char *)view->mapped + (size_t)index * view->value_size : NULL;
	copy = find_copy(copies, view, key);
	if (!copy) {
		copy = new_copy(copies, view, key);
		if (copy)
			read_element(copies, copy);
	}
	return part_of(copies, copy);
}

int copies_add(struct copies *copies, struct map_view *view, const void *key, const void *value)
{
	struct copy *copy = find_copy(copies, view, key);

	if (copy && copy->value)
		return -1;
	if (!copy)
		copy = new_copy(copies, view, key);
	if (copy)
		copy->value = malloc(view->value_size);
	if (!copy || !copy->value)
		return -1;
	memcpy(copy->value, value, view->value_size);
	return 0;
}
