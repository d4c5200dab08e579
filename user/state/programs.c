// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/state/programs.h"

#define MAPS_MOST	64	/* of one program; ours has about half of them */

static int program_info(int fd, struct bpf_prog_info *info)
{
	__u32 size = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &size) ? -errno : 0;
}

uint32_t program_id_of(int fd)
{
	struct bpf_prog_info info = { 0 };

	return program_info(fd, &info) ? 0 : info.id;
}

bool program_lives(uint32_t prog_id)
{
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return errno == EPERM;
	close(fd);
	return true;
}

/* The ids of its maps and its name. -ENOENT: there is no such program any more. */
static int read_program(uint32_t prog_id, uint32_t ids[MAPS_MOST], struct bpf_prog_info *info)
{
	int fd = bpf_prog_get_fd_by_id(prog_id), rc;

	*info = (struct bpf_prog_info){ .nr_map_ids = MAPS_MOST, .map_ids = (uintptr_t)ids };
	if (fd < 0)
		return -errno;
	rc = program_info(fd, info);
	close(fd);
	return rc;
}

/* 1, 0 or -errno. */
static int is_ours(const struct maps *maps, uint32_t prog_id, char *name, size_t size)
{
	uint32_t ids[MAPS_MOST];
	struct bpf_map_info counters = { .id = 0 };
	struct bpf_prog_info info;
	int rc = maps ? map_info(maps->fd[MAP_counters], &counters) : 0;

	if (!rc)
		rc = read_program(prog_id, ids, &info);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	snprintf(name, size, "%s", info.name);
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MOST; i++)
		if (ids[i] == counters.id)
			return 1;
	return 0;
}

static int read_lone(const struct maps *maps, struct xdp_multiprog *all, struct programs *programs)
{
	int ours;

	programs->lone = xdp_program__id(xdp_multiprog__main_prog(all));
	/* libxdp shows none where it could not open it, or where the hardware runs the only one. */
	if (!programs->lone)
		return xdp_multiprog__hw_prog(all) ? 0 : -EIO;
	ours = is_ours(maps, programs->lone, programs->lone_name, sizeof(programs->lone_name));
	if (ours > 0)
		programs->ours = programs->lone;
	return ours < 0 ? ours : 0;
}

static int read_dispatched(const struct maps *maps, struct xdp_multiprog *all,
			   struct programs *programs)
{
	struct xdp_program *each = NULL;
	char name[BPF_OBJ_NAME_LEN];

	while ((each = xdp_multiprog__next_prog(each, all))) {
		int ours = is_ours(maps, xdp_program__id(each), name, sizeof(name));

		if (ours < 0)
			return ours;
		if (ours)
			programs->ours = xdp_program__id(each);
		else
			programs->others++;
	}
	/* A dispatcher has programs; libxdp shows none where it could not read the BTF. */
	return programs->ours || programs->others ? 0 : -EIO;
}

int programs_read(const struct maps *maps, uint32_t ifindex, struct programs *programs)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	int rc = libxdp_get_error(all);

	*programs = (struct programs){ .lone_name = "?" };
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	programs->mode = xdp_multiprog__attach_mode(all);
	rc = xdp_multiprog__is_legacy(all) ? read_lone(maps, all, programs) :
					     read_dispatched(maps, all, programs);
	xdp_multiprog__close(all);
	return rc;
}

int programs_leave_dispatcher(uint32_t ifindex, uint32_t id, enum xdp_attach_mode mode)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *each = NULL;
	int rc = -ENOENT;

	if (libxdp_get_error(all))
		return libxdp_get_error(all);
	while ((each = xdp_multiprog__next_prog(each, all)))
		if (xdp_program__id(each) == id)
			break;
	if (each)
		rc = xdp_program__detach(each, ifindex, mode, 0);
	xdp_multiprog__close(all);
	return rc;
}
