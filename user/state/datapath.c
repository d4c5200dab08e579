// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "bpf/weir.skel.h"
#include "user/model/error.h"
#include "user/state/datapath.h"

/*
 * Where other programs share the interface: weir goes early, and a packet that
 * it passes goes on to the next.
 */
#define RUN_PRIORITY	10

#define MTU_DEFAULT	1500
#define MTU_LEAST	576

/* Of the memory; a bucket and its place in the hash take about 144 bytes. */
#define BUCKETS_SHARE	50
#define BUCKET_BYTES	144
#define BUCKETS_MIN	(1U << 16)

/* What every driver's XDP takes: a page less headroom, header and bookkeeping. */
#define PAGE_MTU	3000

static bool verbose_logs;

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return verbose_logs && level != LIBBPF_DEBUG ? vfprintf(stderr, format, args) : 0;
}

static int print_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return verbose_logs && level != LIBXDP_DEBUG ? vfprintf(stderr, format, args) : 0;
}

void datapath_verbose(bool verbose)
{
	verbose_logs = verbose;
	libbpf_set_print(print_libbpf);
	libxdp_set_print(print_libxdp);
}

/* ---- the object and its maps ---- */

static struct bpf_map *skeleton_map(const struct weir_bpf *skel, enum map_id id)
{
	return bpf_object__find_map_by_name(skel->obj, map_names[id]);
}

/* A power of two, so that the whole table is at most 2 % of the memory. */
static uint32_t bucket_entries(void)
{
	uint64_t share = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / BUCKETS_SHARE;
	uint32_t entries = WEIR_BUCKETS;

	while (entries > BUCKETS_MIN && (uint64_t)entries * BUCKET_BYTES > share)
		entries /= 2;
	return entries;
}

int datapath_create_maps(struct maps *maps, char *err)
{
	struct weir_bpf *skel = weir_bpf__open();
	int rc;

	if (!skel)
		return fail(err, errno, "cannot read the built-in BPF object: %s", strerror(errno));
	bpf_program__set_autoload(skel->progs.weir_ingress, false);
	bpf_map__set_max_entries(skel->maps.buckets, bucket_entries());
	rc = weir_bpf__load(skel);
	if (rc)
		fail(err, -rc, "cannot create the maps: %s%s", strerror(-rc),
		     rc == -EPERM ? " (weir needs root)" : "");
	for (int i = 0; i < MAP_COUNT && !rc; i++) {
		maps->fd[i] = dup(bpf_map__fd(skeleton_map(skel, i)));
		if (maps->fd[i] < 0)
			rc = fail(err, errno, "cannot keep map %s: %s", map_names[i],
				  strerror(errno));
	}
	weir_bpf__destroy(skel);
	return rc;
}

/* Bytes; what an answered SYN may offer follows from it. */
static uint16_t mtu_of(const struct weir_device *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_mtu = MTU_DEFAULT };

	if (fd < 0)
		return MTU_DEFAULT;
	if (!if_indextoname(device->ifindex, request.ifr_name) ||
	    ioctl(fd, SIOCGIFMTU, &request) || request.ifr_mtu < MTU_LEAST)
		request.ifr_mtu = MTU_DEFAULT;
	close(fd);
	return request.ifr_mtu < UINT16_MAX ? request.ifr_mtu : UINT16_MAX;
}

/* The program for one device, on the pinned maps; not loaded yet. */
static struct weir_bpf *open_program(const struct maps *maps, uint32_t slot,
				     const struct weir_device *device, char *err)
{
	struct weir_bpf *skel = weir_bpf__open();
	int rc = skel ? 0 : -errno;

	for (int i = 0; i < MAP_COUNT && !rc; i++)
		rc = bpf_map__reuse_fd(skeleton_map(skel, i), maps->fd[i]);
	if (rc) {
		fail(err, -rc, "cannot open the BPF program on the pinned maps: %s", strerror(-rc));
		weir_bpf__destroy(skel);
		return NULL;
	}
	skel->rodata->device_slot = slot;
	skel->rodata->monitor = device->monitor;
	skel->rodata->try_until_ns = device->try_until_ns;
	skel->rodata->monitor_after = device->fallback != WEIR_BACK_TO_ENFORCING;
	skel->rodata->mtu = mtu_of(device);
	return skel;
}

/* ---- what is on an interface ---- */

static uint32_t id_of_fd(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

/* A program is ours when it counts in our counters: names and tags can be anybody's. */
static bool is_ours(const struct maps *maps, uint32_t prog_id)
{
	uint32_t ids[64], wanted = id_of_fd(maps->fd[MAP_counters]);
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (uintptr_t)ids };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool ours = false;

	if (fd < 0)
		return false;
	if (!bpf_obj_get_info_by_fd(fd, &info, &size))
		for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++)
			ours |= ids[i] == wanted;
	close(fd);
	return ours;
}

struct found {
	uint32_t ours;		/* id of our program, 0: none */
	uint32_t lone;		/* id of whatever lone program is attached, 0: none */
	uint32_t others;	/* programs beside ours */
	enum xdp_attach_mode mode;
	char lone_name[32];
};

static void name_of(uint32_t prog_id, char *name, size_t size)
{
	struct bpf_prog_info info = { 0 };
	__u32 info_size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);

	snprintf(name, size, "?");
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &info_size))
		snprintf(name, size, "%s", info.name);
	close(fd);
}

static void look_at(const struct maps *maps, uint32_t ifindex, struct found *found)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *each = NULL;

	*found = (struct found){ 0 };
	if (libxdp_get_error(all))
		return;
	found->mode = xdp_multiprog__attach_mode(all);
	if (xdp_multiprog__is_legacy(all)) {
		found->lone = xdp_program__id(xdp_multiprog__main_prog(all));
		name_of(found->lone, found->lone_name, sizeof(found->lone_name));
		if (is_ours(maps, found->lone))
			found->ours = found->lone;
	} else {
		while ((each = xdp_multiprog__next_prog(each, all))) {
			if (is_ours(maps, xdp_program__id(each)))
				found->ours = xdp_program__id(each);
			else
				found->others++;
		}
	}
	xdp_multiprog__close(all);
}

/*
 * Without root no program may be opened: a lone one is known by its number, and
 * in a dispatcher ours is taken to be where it was put.
 */
int datapath_is_attached(const struct maps *maps, const struct weir_device *device)
{
	struct found found;
	__u32 id = 0;

	if (!bpf_xdp_query_id(device->ifindex, 0, &id) && (!id || id == device->prog_id))
		return id != 0;
	if (!datapath_program_lives(id))
		return 0;
	look_at(maps, device->ifindex, &found);
	return found.ours || (device->dispatcher && geteuid());
}

bool datapath_program_lives(uint32_t prog_id)
{
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return errno == EPERM;
	close(fd);
	return true;
}

/* ---- attaching ---- */

static const char *mode_name(enum xdp_attach_mode mode)
{
	return mode == XDP_MODE_SKB ? "skb" : "native";
}

static uint32_t prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

/* One atomic exchange of our lone program: no packet goes unfiltered. */
static int swap_lone(struct weir_bpf *skel, struct weir_device *device, const struct found *found,
		     char *err)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	uint32_t flags = XDP_FLAGS_REPLACE;
	int rc;

	rc = weir_bpf__load(skel);
	if (rc)
		return fail(err, -rc, "the kernel refuses the program: %s (-v shows why)",
			    strerror(-rc));
	flags |= found->mode == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	opts.old_prog_fd = bpf_prog_get_fd_by_id(found->ours);
	rc = opts.old_prog_fd < 0 ? -errno : bpf_xdp_attach(device->ifindex,
					bpf_program__fd(skel->progs.weir_ingress), flags, &opts);
	if (opts.old_prog_fd >= 0)
		close(opts.old_prog_fd);
	if (rc)
		return fail(err, -rc, "%s: cannot swap the program: %s; the old one goes on",
			    device->name, strerror(-rc));
	device->prog_id = prog_id(bpf_program__fd(skel->progs.weir_ingress));
	device->mode = found->mode == XDP_MODE_SKB ? WEIR_MODE_SKB : WEIR_MODE_NATIVE;
	device->dispatcher = 0;
	return 0;
}

static int detach_from_dispatcher(uint32_t ifindex, uint32_t id, enum xdp_attach_mode mode)
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

static int attach_by_libxdp(struct weir_bpf *skel, struct weir_device *device,
			    enum xdp_attach_mode mode)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skel->obj, .prog_name = "weir_ingress");
	struct xdp_program *program = xdp_program__create(&opts);
	int rc = libxdp_get_error(program);

	if (rc)
		return rc;
	rc = xdp_program__set_run_prio(program, RUN_PRIORITY);
	if (!rc)
		rc = xdp_program__set_chain_call_enabled(program, XDP_PASS, true);
	if (!rc)
		rc = xdp_program__attach(program, device->ifindex, mode, 0);
	if (!rc) {
		device->prog_id = xdp_program__id(program);
		device->mode = mode == XDP_MODE_SKB ? WEIR_MODE_SKB : WEIR_MODE_NATIVE;
	}
	xdp_program__close(program);
	return rc;
}

static int refuse_stranger(const struct weir_device *device, const struct found *found, char *err)
{
	return fail(err, EBUSY, "%s: XDP program %s (id %u) is there alone and not under libxdp's "
		    "dispatcher, so weir cannot join it and will not displace it; detach it first "
		    "(ip link set dev %s xdp off) if you may", device->name, found->lone_name,
		    found->lone, device->name);
}

static int explain(const struct weir_device *device, enum xdp_attach_mode mode, int rc, char *err)
{
	char why[128];

	libxdp_strerror(rc, why, sizeof(why));
	if (rc == -EPERM)
		return fail(err, EPERM, "%s: not permitted (weir needs root)", device->name);
	if (mode == XDP_MODE_NATIVE && mtu_of(device) > PAGE_MTU)
		return fail(err, -rc, "%s: cannot attach in native mode: %s; with its MTU of %d a frame "
			    "takes more than one page, which drivers refuse: `ip link set dev %s mtu %d` "
			    "(on a veth that of its peer too), or attach with mode skb", device->name,
			    why, mtu_of(device), device->name, PAGE_MTU);
	return fail(err, -rc, "%s: cannot attach in %s mode: %s (-v shows more)", device->name,
		    mode_name(mode), why);
}

/* Tries one mode with a program of its own: a failed load leaves an object unusable. */
static int attach_in_mode(struct maps *maps, uint32_t slot, struct weir_device *device,
			  enum xdp_attach_mode mode, char *err)
{
	struct weir_bpf *skel = open_program(maps, slot, device, err);
	struct found found;
	int rc;

	if (!skel)
		return -EIO;
	rc = attach_by_libxdp(skel, device, mode);
	weir_bpf__destroy(skel);
	if (rc)
		return explain(device, mode, rc, err);
	look_at(maps, device->ifindex, &found);
	device->dispatcher = !found.lone;
	return 0;
}

/* In a dispatcher the new program joins before the old one leaves. */
static int attach_anew(struct maps *maps, uint32_t slot, struct weir_device *device,
		       enum attach_mode mode, const struct found *found,
		       struct attach_result *result, char *err)
{
	enum xdp_attach_mode first = mode == ATTACH_SKB ? XDP_MODE_SKB : XDP_MODE_NATIVE;
	int rc;

	if (found->ours || found->others)
		first = found->mode;
	rc = attach_in_mode(maps, slot, device, first, err);
	if (rc && mode == ATTACH_AUTO && first == XDP_MODE_NATIVE && rc != -EPERM &&
	    rc != -ENODEV && rc != -EBUSY) {
		snprintf(result->why, sizeof(result->why), "%s", err);
		rc = attach_in_mode(maps, slot, device, XDP_MODE_SKB, err);
		result->fell_back = !rc;
	}
	if (!rc && found->ours)
		detach_from_dispatcher(device->ifindex, found->ours, found->mode);
	return rc;
}

int datapath_attach(struct maps *maps, uint32_t slot, struct weir_device *device,
		    enum attach_mode mode, struct attach_result *result, char *err)
{
	struct weir_bpf *skel;
	struct found found;
	int rc;

	*result = (struct attach_result){ 0 };
	look_at(maps, device->ifindex, &found);
	if (found.lone && !found.ours)
		return refuse_stranger(device, &found, err);
	if (found.ours && mode != ATTACH_AUTO &&
	    (mode == ATTACH_SKB) != (found.mode == XDP_MODE_SKB))
		return fail(err, EBUSY, "%s: weir is attached in %s mode, and changing the mode would "
			    "leave a gap; `weir detach dev %s keep` first", device->name,
			    mode_name(found.mode), device->name);
	result->replaced = found.ours != 0;
	if (!found.lone)
		return attach_anew(maps, slot, device, mode, &found, result, err);

	skel = open_program(maps, slot, device, err);
	if (!skel)
		return -EIO;
	rc = swap_lone(skel, device, &found, err);
	weir_bpf__destroy(skel);
	return rc;
}

/* ---- detaching ---- */

int datapath_detach(const struct maps *maps, const struct weir_device *device, char *err)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	struct found found;
	int rc;

	look_at(maps, device->ifindex, &found);
	if (!found.ours)
		return 0;
	if (!found.lone) {
		rc = detach_from_dispatcher(device->ifindex, found.ours, found.mode);
	} else {
		/* Only if it is still ours at that moment. */
		opts.old_prog_fd = bpf_prog_get_fd_by_id(found.ours);
		rc = opts.old_prog_fd < 0 ? -errno : bpf_xdp_detach(device->ifindex,
				found.mode == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
				&opts);
		if (opts.old_prog_fd >= 0)
			close(opts.old_prog_fd);
	}
	return rc ? fail(err, -rc, "%s: cannot detach: %s", device->name, strerror(-rc)) : 1;
}
